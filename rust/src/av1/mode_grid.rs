//! The blocks of a frame, to be looked up by place.

use super::block_size::{BLOCK_4X4, BlockSize};
use super::tx_size::{TX_4X4, TxSize};

/// Reference frames (6.10.24): `ref_frame` of blocks.
pub mod ref_frame {
    pub const NONE: i8 = -1;
    pub const INTRA_FRAME: i8 = 0;
    pub const LAST_FRAME: i8 = 1;
    pub const LAST2_FRAME: i8 = 2;
    pub const LAST3_FRAME: i8 = 3;
    pub const GOLDEN_FRAME: i8 = 4;
    pub const BWDREF_FRAME: i8 = 5;
    pub const ALTREF2_FRAME: i8 = 6;
    pub const ALTREF_FRAME: i8 = 7;
}

/// `YMode` (6.10.21 on): intra modes, then those of one vector, then those of two. `uv_mode` goes on behind
/// `PAETH_PRED` with `UV_CFL_PRED`.
pub mod mode {
    pub const DC_PRED: u8 = 0;
    pub const V_PRED: u8 = 1;
    pub const D67_PRED: u8 = 8;
    pub const UV_CFL_PRED: u8 = 13;
    pub const NEARESTMV: u8 = 14;
    pub const NEARMV: u8 = 15;
    pub const GLOBALMV: u8 = 16;
    pub const NEWMV: u8 = 17;
    pub const NEAREST_NEARESTMV: u8 = 18;
    pub const NEAR_NEARMV: u8 = 19;
    pub const NEAREST_NEWMV: u8 = 20;
    pub const NEW_NEARESTMV: u8 = 21;
    pub const NEAR_NEWMV: u8 = 22;
    pub const NEW_NEARMV: u8 = 23;
    pub const GLOBAL_GLOBALMV: u8 = 24;
    pub const NEW_NEWMV: u8 = 25;
}

/// A vector in units of 1/8 sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mv {
    pub row: i16,
    pub col: i16,
}

/// What later blocks ask of a block, under the specification's names.
#[derive(Debug, Clone, Copy)]
pub struct ModeInfo {
    pub mi_size: BlockSize,
    pub segment_id: u8,
    pub skip: bool,
    pub skip_mode: bool,
    pub is_inter: bool,
    pub y_mode: u8,
    pub uv_mode: u8,
    pub ref_frame: [i8; 2],
    pub mv: [Mv; 2],
    pub interp_filter: [u8; 2],
    pub comp_group_idx: u8,
    pub compound_idx: u8,
    pub tx_size: TxSize,
    /// `PaletteSizeY` and `PaletteSizeUV`.
    pub palette_size: [u8; 2],
    /// Where its colours lie in the grid's palettes, if it has any.
    pub(super) palette: u32,
}

impl ModeInfo {
    /// `LeftIntra`, `AboveIntra`: no vector between frames.
    #[inline(always)]
    pub fn is_intra(&self) -> bool {
        self.ref_frame[0] <= ref_frame::INTRA_FRAME
    }

    /// `LeftSingle`, `AboveSingle`: at most one vector between frames.
    #[inline(always)]
    pub fn is_single(&self) -> bool {
        self.ref_frame[1] <= ref_frame::INTRA_FRAME
    }
}

impl Default for ModeInfo {
    fn default() -> Self {
        Self {
            mi_size: BLOCK_4X4,
            segment_id: 0,
            skip: false,
            skip_mode: false,
            is_inter: false,
            y_mode: mode::DC_PRED,
            uv_mode: mode::DC_PRED,
            ref_frame: [ref_frame::INTRA_FRAME, ref_frame::NONE],
            mv: [Mv::default(); 2],
            interp_filter: [0; 2],
            comp_group_idx: 0,
            compound_idx: 0,
            tx_size: TX_4X4,
            palette_size: [0; 2],
            palette: 0,
        }
    }
}

/// Colours of a block: `palette_colors_y` and `palette_colors_u`.
pub type PaletteColors = [[u16; 8]; 2];

/// All blocks of a frame that were parsed, and which of them covers each unit of 4x4 samples.
#[derive(Debug)]
pub struct ModeGrid {
    rows: usize,
    cols: usize,
    /// Positions in `blocks`, unit by unit. The first one stands where none was parsed.
    covering: Vec<u32>,
    blocks: Vec<ModeInfo>,
    palettes: Vec<PaletteColors>,
}

impl ModeGrid {
    pub fn new(mi_rows: usize, mi_cols: usize) -> Self {
        let covering = vec![0; mi_rows * mi_cols];
        Self { rows: mi_rows, cols: mi_cols, covering, blocks: vec![ModeInfo::default()], palettes: vec![] }
    }

    /// `MiRows` and `MiCols`.
    pub fn size(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// The block that covers a unit of the picture.
    #[inline(always)]
    pub fn at(&self, mi_row: usize, mi_col: usize) -> &ModeInfo {
        &self.blocks[self.covering[mi_row * self.cols + mi_col] as usize]
    }

    /// The colours of a block in this grid that has a palette.
    pub fn palette_colors(&self, block: &ModeInfo) -> &PaletteColors {
        &self.palettes[block.palette as usize]
    }

    /// Puts a block where it lies; what reaches beyond the picture is left out.
    pub fn put(&mut self, mi_row: usize, mi_col: usize, block: &ModeInfo, colors: &PaletteColors) {
        let mut block = *block;
        if block.palette_size != [0; 2] {
            block.palette = self.palettes.len() as u32;
            self.palettes.push(*colors);
        }
        let number = self.blocks.len() as u32;
        self.blocks.push(block);
        let width = block.mi_size.width4().min(self.cols - mi_col);
        let height = block.mi_size.height4().min(self.rows - mi_row);
        for row in self.covering.chunks_exact_mut(self.cols).skip(mi_row).take(height) {
            row[mi_col..mi_col + width].fill(number);
        }
    }

    /// Whether every unit was covered.
    pub fn is_full(&self) -> bool {
        !self.covering.contains(&0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::block_size::{BLOCK_16X8, BLOCK_SIZES};
    use super::*;

    #[test]
    fn a_block_covers_its_units_and_no_others() {
        for size in (0..BLOCK_SIZES as u8).map(BlockSize) {
            let mut grid = ModeGrid::new(20, 40);
            let block = ModeInfo { mi_size: size, skip: true, ..ModeInfo::default() };
            grid.put(4, 36, &block, &PaletteColors::default());
            for (row, col) in (0..20).flat_map(|row| (0..40).map(move |col| (row, col))) {
                let is_inside = (4..4 + size.height4()).contains(&row) && (36..36 + size.width4()).contains(&col);
                assert_eq!(grid.at(row, col).skip, is_inside, "{size:?} at {row}, {col}");
            }
        }
    }

    #[test]
    fn each_block_keeps_its_own_colours() {
        let mut grid = ModeGrid::new(4, 8);
        for col in [0, 4] {
            let block = ModeInfo { mi_size: BLOCK_16X8, palette_size: [2, 0], ..ModeInfo::default() };
            grid.put(0, col, &block, &[[col as u16 + 1; 8]; 2]);
        }
        let color = |col: usize| grid.palette_colors(grid.at(1, col))[0][1];
        assert_eq!([color(0), color(3), color(4), color(7)], [1, 1, 5, 5]);
    }
}
