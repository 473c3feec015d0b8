//! Blocks: their sizes, their motion, and what later blocks need to know of them.

/// `BLOCK_4X4` and so on, width by height in luma samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockSize {
    B4x4,
    B4x8,
    B8x4,
    B8x8,
    B8x16,
    B16x8,
    B16x16,
    B16x32,
    B32x16,
    B32x32,
    B32x64,
    B64x32,
    B64x64,
}

use BlockSize::*;

/// `partition`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    None = 0,
    Horizontal = 1,
    Vertical = 2,
    Split = 3,
}

impl BlockSize {
    /// `subsize_lookup`: what `partition` makes of a square of 8 << `log2` samples.
    #[inline]
    pub fn of_partition(partition: Partition, log2: u32) -> Self {
        const SUBSIZES: [[BlockSize; 4]; 4] = [
            [B8x8, B8x4, B4x8, B4x4],
            [B16x16, B16x8, B8x16, B8x8],
            [B32x32, B32x16, B16x32, B16x16],
            [B64x64, B64x32, B32x64, B32x32],
        ];
        SUBSIZES[log2 as usize & 3][partition as usize]
    }

    /// log2 of the width in units of 4 samples (`b_width_log2_lookup`).
    #[inline]
    pub fn width4_log2(self) -> u32 {
        const LOG2: [u8; 13] = [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4];
        u32::from(LOG2[self as usize])
    }

    /// log2 of the height in units of 4 samples (`b_height_log2_lookup`).
    #[inline]
    pub fn height4_log2(self) -> u32 {
        const LOG2: [u8; 13] = [0, 1, 0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4];
        u32::from(LOG2[self as usize])
    }

    /// `num_8x8_blocks_wide_lookup`.
    #[inline]
    pub fn width8(self) -> usize {
        1 << self.width4_log2().saturating_sub(1)
    }

    /// `num_8x8_blocks_high_lookup`.
    #[inline]
    pub fn height8(self) -> usize {
        1 << self.height4_log2().saturating_sub(1)
    }

    #[inline]
    pub fn is_sub8x8(self) -> bool {
        self < B8x8
    }

    /// `max_txsize_lookup`.
    #[inline]
    pub fn max_tx_size(self) -> u8 {
        self.width4_log2().min(self.height4_log2()).min(3) as u8
    }

    /// `size_group_lookup`.
    #[inline]
    pub fn size_group(self) -> usize {
        self.width4_log2().min(self.height4_log2()).min(3) as usize
    }

    /// `get_uv_tx_size` (6.4.22): a chroma transform is no larger than the luma one, nor than the chroma block.
    #[inline]
    pub fn uv_tx_size(self, tx_size: u8, subsampling_x: u8, subsampling_y: u8) -> u8 {
        if self.is_sub8x8() {
            return 0;
        }
        let width = self.width4_log2() as u8 - subsampling_x;
        let height = self.height4_log2() as u8 - subsampling_y;
        tx_size.min(width).min(height)
    }
}

/// A motion vector in eighths of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mv {
    pub row: i16,
    pub col: i16,
}

impl Mv {
    #[inline]
    pub fn negated_if(self, negate: bool) -> Self {
        // Vectors are within 2^14, as `assign_mv` sees to.
        if negate { Self { row: self.row.wrapping_neg(), col: self.col.wrapping_neg() } } else { self }
    }
}

pub const INTRA_FRAME: i8 = 0;
pub const LAST_FRAME: i8 = 1;
pub const GOLDEN_FRAME: i8 = 2;
pub const ALTREF_FRAME: i8 = 3;
/// There is no second reference frame.
pub const NONE: i8 = -1;

/// `ref_frame[0]` and `ref_frame[1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefFrames(pub [i8; 2]);

impl RefFrames {
    pub const INTRA: Self = Self::single(INTRA_FRAME);

    pub const fn single(frame: i8) -> Self {
        Self([frame, NONE])
    }

    #[inline]
    pub fn is_inter(self) -> bool {
        self.0[0] > INTRA_FRAME
    }

    #[inline]
    pub fn is_compound(self) -> bool {
        self.0[1] > INTRA_FRAME
    }

    #[inline]
    pub fn has(self, frame: i8) -> bool {
        self.0[0] == frame || self.0[1] == frame
    }
}
