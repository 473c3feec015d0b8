//! Types of transforms (5.11.40, 5.11.47, 5.11.48).

use super::scan::TxClass;
use super::tx_size::TxSize;

/// `DCT_DCT` and so on, by their numbers.
pub type TxType = u8;

pub const DCT_DCT: TxType = 0;
const ADST_DCT: TxType = 1;
const DCT_ADST: TxType = 2;
const ADST_ADST: TxType = 3;
const FLIPADST_DCT: TxType = 4;
const DCT_FLIPADST: TxType = 5;
const FLIPADST_FLIPADST: TxType = 6;
const ADST_FLIPADST: TxType = 7;
const FLIPADST_ADST: TxType = 8;
const IDTX: TxType = 9;
const V_DCT: TxType = 10;
const H_DCT: TxType = 11;
const V_ADST: TxType = 12;
const H_ADST: TxType = 13;
const V_FLIPADST: TxType = 14;
const H_FLIPADST: TxType = 15;

pub const TX_TYPE_INTRA_INV_SET1: [TxType; 7] = [IDTX, DCT_DCT, V_DCT, H_DCT, ADST_ADST, ADST_DCT, DCT_ADST];
pub const TX_TYPE_INTRA_INV_SET2: [TxType; 5] = [IDTX, DCT_DCT, ADST_ADST, ADST_DCT, DCT_ADST];
pub const TX_TYPE_INTER_INV_SET1: [TxType; 16] = [
    IDTX,
    V_DCT,
    H_DCT,
    V_ADST,
    H_ADST,
    V_FLIPADST,
    H_FLIPADST,
    DCT_DCT,
    ADST_DCT,
    DCT_ADST,
    FLIPADST_DCT,
    DCT_FLIPADST,
    ADST_ADST,
    FLIPADST_FLIPADST,
    ADST_FLIPADST,
    FLIPADST_ADST,
];
pub const TX_TYPE_INTER_INV_SET2: [TxType; 12] = [
    IDTX,
    V_DCT,
    H_DCT,
    DCT_DCT,
    ADST_DCT,
    DCT_ADST,
    FLIPADST_DCT,
    DCT_FLIPADST,
    ADST_ADST,
    FLIPADST_FLIPADST,
    ADST_FLIPADST,
    FLIPADST_ADST,
];
pub const TX_TYPE_INTER_INV_SET3: [TxType; 2] = [IDTX, DCT_DCT];

/// `Mode_To_Txfm`, by `UVMode`.
pub const MODE_TO_TXFM: [TxType; 14] = [
    DCT_DCT, ADST_DCT, DCT_ADST, DCT_DCT, ADST_ADST, ADST_DCT, DCT_ADST, DCT_ADST, ADST_DCT, ADST_ADST, ADST_DCT,
    DCT_ADST, ADST_ADST, DCT_DCT,
];

/// `Filter_Intra_Mode_To_Intra_Dir`: `DC_PRED`, `V_PRED`, `H_PRED`, `D157_PRED`, `DC_PRED`.
pub const FILTER_INTRA_MODE_TO_INTRA_DIR: [u8; 5] = [0, 1, 2, 6, 0];

/// Which types a transform block may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxSet {
    DctOnly,
    Intra1,
    Intra2,
    Inter1,
    Inter2,
    Inter3,
}

impl TxSet {
    /// `get_tx_set`.
    #[inline]
    pub fn of(tx_size: TxSize, is_inter: bool, reduced_tx_set: bool) -> Self {
        let is_16x16 = tx_size.sqr() == 2;
        match (is_inter, tx_size.sqr_up()) {
            (_, 4) | (false, 3) => Self::DctOnly,
            (true, 3) => Self::Inter3,
            (true, _) if reduced_tx_set => Self::Inter3,
            (true, _) if is_16x16 => Self::Inter2,
            (true, _) => Self::Inter1,
            (false, _) if reduced_tx_set || is_16x16 => Self::Intra2,
            (false, _) => Self::Intra1,
        }
    }

    /// `is_tx_type_in_set`.
    #[inline]
    pub fn includes(self, tx_type: TxType) -> bool {
        match self {
            Self::DctOnly => tx_type == DCT_DCT,
            Self::Intra1 => matches!(tx_type, DCT_DCT..=ADST_ADST | IDTX..=H_DCT),
            Self::Intra2 => matches!(tx_type, DCT_DCT..=ADST_ADST | IDTX),
            Self::Inter1 => true,
            Self::Inter2 => matches!(tx_type, DCT_DCT..=H_DCT),
            Self::Inter3 => matches!(tx_type, DCT_DCT | IDTX),
        }
    }
}

/// `get_tx_class` (8.3.2).
#[inline]
pub fn get_tx_class(tx_type: TxType) -> TxClass {
    match tx_type {
        V_DCT | V_ADST | V_FLIPADST => TxClass::Vert,
        H_DCT | H_ADST | H_FLIPADST => TxClass::Horiz,
        _ => TxClass::TwoD,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tx_size::*;
    use super::*;

    #[test]
    fn sets_shrink_with_the_size_of_the_transform() {
        let of = |tx_size| [TxSet::of(tx_size, false, false), TxSet::of(tx_size, true, false)];
        assert_eq!(of(TX_4X8), [TxSet::Intra1, TxSet::Inter1]);
        assert_eq!(of(TX_4X16), [TxSet::Intra1, TxSet::Inter1]);
        assert_eq!(of(TX_16X16), [TxSet::Intra2, TxSet::Inter2]);
        assert_eq!(of(TX_8X32), [TxSet::DctOnly, TxSet::Inter3]);
        assert_eq!(of(TX_16X64), [TxSet::DctOnly, TxSet::DctOnly]);
        assert_eq!(TxSet::of(TX_4X4, true, true), TxSet::Inter3);
        assert_eq!(TxSet::of(TX_4X4, false, true), TxSet::Intra2);
    }

    #[test]
    fn sets_hold_the_types_that_can_be_read_from_them() {
        let holds =
            |set: TxSet, types: &[TxType]| (0..16).all(|tx_type| set.includes(tx_type) == types.contains(&tx_type));
        assert!(holds(TxSet::DctOnly, &[DCT_DCT]));
        assert!(holds(TxSet::Intra1, &TX_TYPE_INTRA_INV_SET1));
        assert!(holds(TxSet::Intra2, &TX_TYPE_INTRA_INV_SET2));
        assert!(holds(TxSet::Inter1, &TX_TYPE_INTER_INV_SET1));
        assert!(holds(TxSet::Inter2, &TX_TYPE_INTER_INV_SET2));
        assert!(holds(TxSet::Inter3, &TX_TYPE_INTER_INV_SET3));
    }
}
