//! Transform sizes and how they divide (9.3).

/// `TX_4X4` and so on, width by height in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TxSize(u8);

pub const TX_4X4: TxSize = TxSize(0);
pub const TX_8X8: TxSize = TxSize(1);
pub const TX_16X16: TxSize = TxSize(2);
pub const TX_32X32: TxSize = TxSize(3);
pub const TX_64X64: TxSize = TxSize(4);
pub const TX_4X8: TxSize = TxSize(5);
pub const TX_8X4: TxSize = TxSize(6);
pub const TX_8X16: TxSize = TxSize(7);
pub const TX_16X8: TxSize = TxSize(8);
pub const TX_16X32: TxSize = TxSize(9);
pub const TX_32X16: TxSize = TxSize(10);
pub const TX_32X64: TxSize = TxSize(11);
pub const TX_64X32: TxSize = TxSize(12);
pub const TX_4X16: TxSize = TxSize(13);
pub const TX_16X4: TxSize = TxSize(14);
pub const TX_8X32: TxSize = TxSize(15);
pub const TX_32X8: TxSize = TxSize(16);
pub const TX_16X64: TxSize = TxSize(17);
pub const TX_64X16: TxSize = TxSize(18);

/// `TX_SIZES_ALL`, and beyond it `TX_4X4`s so that no index needs a check.
const ROOM: usize = 32;

/// A property of each transform size, given for those that there are.
const fn table(of_size: [u8; 19]) -> [u8; ROOM] {
    let mut all = [of_size[0]; ROOM];
    let mut size = 0;
    while size < of_size.len() {
        all[size] = of_size[size];
        size += 1;
    }
    all
}

/// log2 of width and height in units of 4 samples.
const WIDTH4_LOG2: [u8; ROOM] = table([0, 1, 2, 3, 4, 0, 1, 1, 2, 2, 3, 3, 4, 0, 2, 1, 3, 2, 4]);
const HEIGHT4_LOG2: [u8; ROOM] = table([0, 1, 2, 3, 4, 1, 0, 2, 1, 3, 2, 4, 3, 2, 0, 3, 1, 4, 2]);
const SPLIT_TX_SIZE: [u8; ROOM] = table([0, 0, 1, 2, 3, 0, 0, 1, 1, 2, 2, 3, 3, 5, 6, 7, 8, 9, 10]);

impl TxSize {
    /// `find_tx_size` (5.11.36), from log2 of width and height in units of 4 samples; there is none for ratios above 4.
    pub fn find(width4_log2: u32, height4_log2: u32) -> Option<Self> {
        let is_found =
            |size: &u8| Self(*size).width4_log2() == width4_log2 && Self(*size).height4_log2() == height4_log2;
        (0..19).find(is_found).map(Self)
    }

    #[inline(always)]
    pub fn index(self) -> usize {
        usize::from(self.0) % ROOM
    }

    #[inline(always)]
    pub fn width4_log2(self) -> u32 {
        u32::from(WIDTH4_LOG2[self.index()])
    }

    #[inline(always)]
    pub fn height4_log2(self) -> u32 {
        u32::from(HEIGHT4_LOG2[self.index()])
    }

    /// In units of 4 samples.
    #[inline(always)]
    pub fn width4(self) -> usize {
        1 << self.width4_log2()
    }

    #[inline(always)]
    pub fn height4(self) -> usize {
        1 << self.height4_log2()
    }

    /// `Tx_Size_Sqr`: the square of the shorter side, as a number of doublings of 4 samples.
    #[inline(always)]
    pub fn sqr(self) -> usize {
        self.width4_log2().min(self.height4_log2()) as usize
    }

    /// `Tx_Size_Sqr_Up`: the square of the longer side.
    #[inline(always)]
    pub fn sqr_up(self) -> usize {
        self.width4_log2().max(self.height4_log2()) as usize
    }

    /// `Split_Tx_Size`.
    #[inline(always)]
    pub fn split(self) -> Self {
        Self(SPLIT_TX_SIZE[self.index()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_found_by_their_sides() {
        for (size, width, height) in [(TX_4X4, 0, 0), (TX_64X64, 4, 4), (TX_8X32, 1, 3), (TX_64X16, 4, 2)] {
            assert_eq!(TxSize::find(width, height), Some(size));
        }
        assert_eq!(TxSize::find(0, 3), None);
        assert!((0..19).all(|size| TxSize::find(TxSize(size).width4_log2(), TxSize(size).height4_log2()) == Some(TxSize(size))));
    }

    #[test]
    fn a_split_halves_the_longer_side_or_both() {
        for size in (1..19).map(TxSize) {
            let (width, height) = (size.width4_log2(), size.height4_log2());
            let longer = width.max(height);
            let split = [width, height].map(|side| side - u32::from(side == longer));
            assert_eq!([size.split().width4_log2(), size.split().height4_log2()], split);
        }
        assert_eq!(TX_4X4.split(), TX_4X4);
    }
}
