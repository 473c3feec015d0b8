//! The blocks of a frame, to be looked up by place.

use super::block::{BlockSize, ModeInfo};
use super::place::{Place, SUPERBLOCK};

/// All blocks of a frame that were parsed, and which of them covers each unit of 8x8 samples.
#[derive(Debug)]
pub struct BlockMap {
    /// In whole superblocks, so that every block lies inside.
    cols: usize,
    /// Positions in `blocks`, unit by unit.
    covering: Vec<u32>,
    /// The first one stands where none was parsed.
    blocks: Vec<ModeInfo>,
}

impl BlockMap {
    pub fn new(mi_rows: usize, mi_cols: usize) -> Self {
        let (rows, cols) = (mi_rows.next_multiple_of(SUPERBLOCK), mi_cols.next_multiple_of(SUPERBLOCK));
        Self { cols, covering: vec![0; rows * cols], blocks: vec![ModeInfo::default()] }
    }

    /// The block that covers a unit within the picture.
    #[inline(always)]
    pub fn at(&self, row: usize, col: usize) -> &ModeInfo {
        &self.blocks[self.covering[row * self.cols + col] as usize]
    }

    #[inline(always)]
    pub fn put(&mut self, place: &Place, block: &ModeInfo) {
        use BlockSize::*;
        let number = self.blocks.len() as u32;
        self.blocks.push(*block);
        let units = &mut self.covering[place.row * self.cols + place.col..];
        // Of constant size each, so that filling them takes no loop.
        match place.size {
            B4x4 | B4x8 | B8x4 | B8x8 => fill::<1, 1>(units, self.cols, number),
            B8x16 => fill::<1, 2>(units, self.cols, number),
            B16x8 => fill::<2, 1>(units, self.cols, number),
            B16x16 => fill::<2, 2>(units, self.cols, number),
            B16x32 => fill::<2, 4>(units, self.cols, number),
            B32x16 => fill::<4, 2>(units, self.cols, number),
            B32x32 => fill::<4, 4>(units, self.cols, number),
            B32x64 => fill::<4, 8>(units, self.cols, number),
            B64x32 => fill::<8, 4>(units, self.cols, number),
            B64x64 => fill::<8, 8>(units, self.cols, number),
        }
    }
}

#[inline(always)]
fn fill<const WIDTH: usize, const HEIGHT: usize>(units: &mut [u32], cols: usize, number: u32) {
    for row in 0..HEIGHT {
        units[row * cols..][..WIDTH].fill(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_covers_its_units_and_no_others() {
        let sizes = (0..4).flat_map(|log2| {
            use crate::vp9::block::Partition::*;
            [None, Horizontal, Vertical, Split].map(|partition| BlockSize::of_partition(partition, log2))
        });
        for size in sizes {
            let mut blocks = BlockMap::new(9, 17);
            let place = Place { row: 8, col: 8, size, rows: 1, cols: size.width8() };
            let block = ModeInfo { tx_size: 3, ..ModeInfo::default() };
            blocks.put(&place, &block);
            let is_covered = |row, col| blocks.at(row, col).tx_size == 3;
            for (row, col) in (0..16).flat_map(|row| (0..24).map(move |col| (row, col))) {
                let is_inside = (8..8 + size.height8()).contains(&row) && (8..8 + size.width8()).contains(&col);
                assert_eq!(is_covered(row, col), is_inside, "{size:?} at {row}, {col}");
            }
        }
    }
}
