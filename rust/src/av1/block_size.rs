//! Sizes of blocks, and what follows from them (tables of section 10, "Conversion tables").

use super::tx_size::*;

/// A block's size, numbered as in the specification (6.10.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct BlockSize(pub u8);

pub const BLOCK_4X4: BlockSize = BlockSize(0);
pub const BLOCK_4X8: BlockSize = BlockSize(1);
pub const BLOCK_8X4: BlockSize = BlockSize(2);
pub const BLOCK_8X8: BlockSize = BlockSize(3);
pub const BLOCK_8X16: BlockSize = BlockSize(4);
pub const BLOCK_16X8: BlockSize = BlockSize(5);
pub const BLOCK_16X16: BlockSize = BlockSize(6);
pub const BLOCK_16X32: BlockSize = BlockSize(7);
pub const BLOCK_32X16: BlockSize = BlockSize(8);
pub const BLOCK_32X32: BlockSize = BlockSize(9);
pub const BLOCK_32X64: BlockSize = BlockSize(10);
pub const BLOCK_64X32: BlockSize = BlockSize(11);
pub const BLOCK_64X64: BlockSize = BlockSize(12);
pub const BLOCK_64X128: BlockSize = BlockSize(13);
pub const BLOCK_128X64: BlockSize = BlockSize(14);
pub const BLOCK_128X128: BlockSize = BlockSize(15);
pub const BLOCK_4X16: BlockSize = BlockSize(16);
pub const BLOCK_16X4: BlockSize = BlockSize(17);
pub const BLOCK_8X32: BlockSize = BlockSize(18);
pub const BLOCK_32X8: BlockSize = BlockSize(19);
pub const BLOCK_16X64: BlockSize = BlockSize(20);
pub const BLOCK_64X16: BlockSize = BlockSize(21);

pub const BLOCK_SIZES: usize = 22;

impl BlockSize {
    /// As an index into tables.
    #[inline(always)]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// `Mi_Width_Log2`.
    #[inline(always)]
    pub fn width4_log2(self) -> u32 {
        const TABLE: [u8; BLOCK_SIZES] = [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 0, 2, 1, 3, 2, 4];
        u32::from(TABLE[self.index()])
    }

    /// `Mi_Height_Log2`.
    #[inline(always)]
    pub fn height4_log2(self) -> u32 {
        const TABLE: [u8; BLOCK_SIZES] = [0, 1, 0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 5, 2, 0, 3, 1, 4, 2];
        u32::from(TABLE[self.index()])
    }

    /// `Num_4x4_Blocks_Wide`.
    #[inline(always)]
    pub fn width4(self) -> usize {
        1 << self.width4_log2()
    }

    /// `Num_4x4_Blocks_High`.
    #[inline(always)]
    pub fn height4(self) -> usize {
        1 << self.height4_log2()
    }

    /// `Block_Width`, in samples.
    #[inline(always)]
    pub fn width(self) -> usize {
        4 * self.width4()
    }

    /// `Block_Height`, in samples.
    #[inline(always)]
    pub fn height(self) -> usize {
        4 * self.height4()
    }

    /// The block of this width and height in units of 4 samples, as logarithms; `None` if there is none.
    fn of_log2(width4_log2: u32, height4_log2: u32) -> Option<Self> {
        (0..BLOCK_SIZES as u8)
            .map(Self)
            .find(|size| (size.width4_log2(), size.height4_log2()) == (width4_log2, height4_log2))
    }

    /// `Size_Group`.
    #[inline(always)]
    pub fn size_group(self) -> usize {
        const TABLE: [u8; BLOCK_SIZES] = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 0, 0, 1, 1, 2, 2];
        usize::from(TABLE[self.index()])
    }

    /// `Max_Tx_Size_Rect`.
    #[inline(always)]
    pub fn max_tx_size_rect(self) -> TxSize {
        const TABLE: [TxSize; BLOCK_SIZES] = [
            TX_4X4, TX_4X8, TX_8X4, TX_8X8, TX_8X16, TX_16X8, TX_16X16, TX_16X32, TX_32X16, TX_32X32, TX_32X64,
            TX_64X32, TX_64X64, TX_64X64, TX_64X64, TX_64X64, TX_4X16, TX_16X4, TX_8X32, TX_32X8, TX_16X64, TX_64X16,
        ];
        TABLE[self.index()]
    }

    /// `Max_Tx_Depth`.
    #[inline(always)]
    pub fn max_tx_depth(self) -> usize {
        const TABLE: [u8; BLOCK_SIZES] = [0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 2, 2, 3, 3, 4, 4];
        usize::from(TABLE[self.index()])
    }

    /// `Wedge_Bits`.
    #[inline(always)]
    pub fn wedge_bits(self) -> u8 {
        const TABLE: [u8; BLOCK_SIZES] = [0, 0, 0, 4, 4, 4, 4, 4, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 0, 0];
        TABLE[self.index()]
    }

    /// `Subsampled_Size`; `None` for `BLOCK_INVALID`.
    #[inline(always)]
    pub fn subsampled(self, subsampling_x: bool, subsampling_y: bool) -> Option<Self> {
        const NONE: BlockSize = BlockSize(u8::MAX);
        const TABLE: [[[BlockSize; 2]; 2]; BLOCK_SIZES] = [
            [[BLOCK_4X4, BLOCK_4X4], [BLOCK_4X4, BLOCK_4X4]],
            [[BLOCK_4X8, BLOCK_4X4], [NONE, BLOCK_4X4]],
            [[BLOCK_8X4, NONE], [BLOCK_4X4, BLOCK_4X4]],
            [[BLOCK_8X8, BLOCK_8X4], [BLOCK_4X8, BLOCK_4X4]],
            [[BLOCK_8X16, BLOCK_8X8], [NONE, BLOCK_4X8]],
            [[BLOCK_16X8, NONE], [BLOCK_8X8, BLOCK_8X4]],
            [[BLOCK_16X16, BLOCK_16X8], [BLOCK_8X16, BLOCK_8X8]],
            [[BLOCK_16X32, BLOCK_16X16], [NONE, BLOCK_8X16]],
            [[BLOCK_32X16, NONE], [BLOCK_16X16, BLOCK_16X8]],
            [[BLOCK_32X32, BLOCK_32X16], [BLOCK_16X32, BLOCK_16X16]],
            [[BLOCK_32X64, BLOCK_32X32], [NONE, BLOCK_16X32]],
            [[BLOCK_64X32, NONE], [BLOCK_32X32, BLOCK_32X16]],
            [[BLOCK_64X64, BLOCK_64X32], [BLOCK_32X64, BLOCK_32X32]],
            [[BLOCK_64X128, BLOCK_64X64], [NONE, BLOCK_32X64]],
            [[BLOCK_128X64, NONE], [BLOCK_64X64, BLOCK_64X32]],
            [[BLOCK_128X128, BLOCK_128X64], [BLOCK_64X128, BLOCK_64X64]],
            [[BLOCK_4X16, BLOCK_4X8], [NONE, BLOCK_4X8]],
            [[BLOCK_16X4, NONE], [BLOCK_8X4, BLOCK_8X4]],
            [[BLOCK_8X32, BLOCK_8X16], [NONE, BLOCK_4X16]],
            [[BLOCK_32X8, NONE], [BLOCK_16X8, BLOCK_16X4]],
            [[BLOCK_16X64, BLOCK_16X32], [NONE, BLOCK_8X32]],
            [[BLOCK_64X16, NONE], [BLOCK_32X16, BLOCK_32X8]],
        ];
        let size = TABLE[self.index()][usize::from(subsampling_x)][usize::from(subsampling_y)];
        (size != NONE).then_some(size)
    }
}

/// `partition` (6.10.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    None,
    Horz,
    Vert,
    Split,
    HorzA,
    HorzB,
    VertA,
    VertB,
    Horz4,
    Vert4,
}

impl Partition {
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::Horz,
        Self::Vert,
        Self::Split,
        Self::HorzA,
        Self::HorzB,
        Self::VertA,
        Self::VertB,
        Self::Horz4,
        Self::Vert4,
    ];

    /// `Partition_Subsize` of a square of 4 << `log2` samples; `None` for `BLOCK_INVALID`.
    pub fn subsize(self, log2: u32) -> Option<BlockSize> {
        let (width, height) = match self {
            Self::None => (0, 0),
            Self::Horz | Self::HorzA | Self::HorzB => (0, 1),
            Self::Vert | Self::VertA | Self::VertB => (1, 0),
            Self::Split => (1, 1),
            Self::Horz4 => (0, 2),
            Self::Vert4 => (2, 0),
        };
        BlockSize::of_log2(log2.checked_sub(width)?, log2.checked_sub(height)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes() -> impl Iterator<Item = BlockSize> {
        (0..BLOCK_SIZES as u8).map(BlockSize)
    }

    #[test]
    fn a_partition_leads_to_parts_of_its_square() {
        for (log2, partition) in (1..6).flat_map(|log2| Partition::ALL.map(|partition| (log2, partition))) {
            let divided_by = |size: BlockSize| (log2 - size.width4_log2(), log2 - size.height4_log2());
            let divided = partition.subsize(log2).map(divided_by);
            let expected = match partition {
                Partition::None => Some((0, 0)),
                Partition::Horz | Partition::HorzA | Partition::HorzB => Some((0, 1)),
                Partition::Vert | Partition::VertA | Partition::VertB => Some((1, 0)),
                Partition::Split => Some((1, 1)),
                // There are no blocks of 8x2 and of 128x32 samples.
                Partition::Horz4 => (2..5).contains(&log2).then_some((0, 2)),
                Partition::Vert4 => (2..5).contains(&log2).then_some((2, 0)),
            };
            assert_eq!(divided, expected, "{partition:?} of {log2}");
        }
    }

    #[test]
    fn subsampling_halves_what_is_longer_than_a_unit() {
        for size in sizes() {
            for (sx, sy) in [(false, false), (true, false), (true, true)] {
                let width = size.width4_log2().saturating_sub(sx.into());
                let height = size.height4_log2().saturating_sub(sy.into());
                let expected = (width.abs_diff(height) <= 2).then(|| BlockSize::of_log2(width, height)).flatten();
                // Of 4:2:2, only shapes no higher than 2 to 1 are left.
                let expected = expected.filter(|_| sy || !sx || size.height4_log2() <= size.width4_log2());
                assert_eq!(size.subsampled(sx, sy), expected, "{size:?} {sx} {sy}");
            }
        }
    }

    #[test]
    fn the_largest_transform_fills_a_block_up_to_64_samples() {
        for size in sizes() {
            let tx_size = size.max_tx_size_rect();
            assert_eq!(tx_size.width4_log2(), size.width4_log2().min(4), "{size:?}");
            assert_eq!(tx_size.height4_log2(), size.height4_log2().min(4), "{size:?}");
        }
    }
}
