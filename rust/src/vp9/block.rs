//! Blocks: their sizes, their motion, and what later blocks need to know of them.

use crate::map::Kind;

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

/// `inter_mode`, in the order of its counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterMode {
    Nearest = 0,
    Near = 1,
    Zero = 2,
    New = 3,
}

impl InterMode {
    /// In the order of `inter_mode_tree`.
    pub const CODED: [Self; 4] = [Self::Zero, Self::Nearest, Self::Near, Self::New];

    /// `mode_2_counter`.
    pub fn counter(self) -> u8 {
        match self {
            Self::Nearest | Self::Near => 0,
            Self::Zero => 3,
            Self::New => 1,
        }
    }
}

/// What a block's modes say. It is kept for what later blocks and frames look up.
#[derive(Debug, Clone, Copy)]
pub struct ModeInfo {
    pub segment_id: u8,
    pub seg_id_predicted: bool,
    pub skip: bool,
    pub tx_size: u8,
    pub refs: RefFrames,
    /// 3 for intra blocks.
    pub interp_filter: u8,
    /// Intra modes by 4x4 block, all the same from 8x8 on; `DC_PRED` for inter blocks.
    pub sub_modes: [u8; 4],
    /// `mode_2_counter` of its mode; below 8x8, of that of the last 4x4 block.
    pub mode_counter: u8,
    /// Vectors by 4x4 block, in each by reference.
    pub mvs: [[Mv; 2]; 4],
    pub kind: Kind,
}

impl Default for ModeInfo {
    fn default() -> Self {
        Self {
            segment_id: 0,
            seg_id_predicted: false,
            skip: false,
            tx_size: 0,
            refs: RefFrames::INTRA,
            interp_filter: 3,
            sub_modes: [0; 4],
            mode_counter: 9,
            mvs: [[Mv::default(); 2]; 4],
            kind: Kind::Intra,
        }
    }
}

impl ModeInfo {
    /// `y_mode` of an intra block.
    pub fn y_mode(&self) -> u8 {
        self.sub_modes[3]
    }

    #[inline(always)]
    pub fn edge(&self) -> Edge {
        Edge {
            refs: self.refs,
            skip: self.skip,
            tx_size: self.tx_size,
            interp_filter: self.interp_filter,
            seg_id_predicted: self.seg_id_predicted,
        }
    }
}

/// What the contexts of a block's modes look up of the blocks above and to the left.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    pub refs: RefFrames,
    pub skip: bool,
    pub tx_size: u8,
    pub interp_filter: u8,
    pub seg_id_predicted: bool,
}

/// Sets all 4x4 blocks that block `block` of a block of `size` stands for.
pub fn fill_sub_blocks<T: Copy>(values: &mut [T; 4], size: BlockSize, block: usize, value: T) {
    match size {
        BlockSize::B4x4 => values[block] = value,
        BlockSize::B4x8 => (values[block & 1], values[block & 1 | 2]) = (value, value),
        BlockSize::B8x4 => (values[block & 2], values[block & 2 | 1]) = (value, value),
        _ => *values = [value; 4],
    }
}
