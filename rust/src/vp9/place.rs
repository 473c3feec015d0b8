//! Where blocks lie in the picture, and which cells of a superblock they take.

use super::block::BlockSize;

/// Units of 8 samples along a superblock.
pub const SUPERBLOCK: usize = 8;

/// Cells of 4x4 luma samples along a superblock.
pub const CELLS: usize = 2 * SUPERBLOCK;

/// A block's place, in units of 8 samples; `rows` and `cols` are what lies within the picture.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub row: usize,
    pub col: usize,
    pub size: BlockSize,
    pub rows: usize,
    pub cols: usize,
}

impl Place {
    /// The whole block.
    #[inline(always)]
    pub fn cells(&self) -> CellRectangle {
        self.cells_at(0, 0, 2 * self.size.height8(), 2 * self.size.width8())
    }

    /// A part of the block that begins within the picture, in cells from the block's corner.
    #[inline(always)]
    pub fn cells_at(&self, row: usize, col: usize, rows: usize, cols: usize) -> CellRectangle {
        CellRectangle {
            row: self.row % SUPERBLOCK * 2 + row,
            col: self.col % SUPERBLOCK * 2 + col,
            rows,
            cols,
            rows_inside: rows.min(2 * self.rows - row),
            cols_inside: cols.min(2 * self.cols - col),
        }
    }
}

/// A rectangle of cells within a superblock; `rows_inside` and `cols_inside` are what of it lies within the picture.
#[derive(Clone, Copy)]
pub struct CellRectangle {
    pub row: usize,
    pub col: usize,
    pub rows: usize,
    pub cols: usize,
    pub rows_inside: usize,
    pub cols_inside: usize,
}

impl CellRectangle {
    /// What each cell has of `bits` that are spread evenly over those within the picture.
    #[inline(always)]
    pub fn share(&self, bits: u32) -> f32 {
        bits as f32 / (self.rows_inside * self.cols_inside) as f32
    }
}
