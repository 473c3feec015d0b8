//! Macroblock and sub-macroblock types (tables 7-11, 7-13, 7-14, 7-17, 7-18).

/// How a macroblock or sub-macroblock is split; sides halve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Whole,
    /// 16x8 or 8x4: one part above the other.
    Rows,
    /// 8x16 or 4x8: one part beside the other.
    Columns,
    Quarters,
}

/// Which reference lists a part is predicted from: bit 0 list 0, bit 1 list 1. 0: direct, nothing coded.
pub type Lists = u8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MbType {
    Si,
    INxN,
    I16x16 {
        coded_block_pattern: u8,
    },
    IPcm,
    /// One or two parts, each with its own lists.
    Inter {
        shape: Shape,
        lists: [Lists; 2],
    },
    /// `P_8x8`, `P_8x8ref0` and `B_8x8`.
    Inter8x8 {
        ref_idx_coded: bool,
    },
    BDirect16x16,
}

impl MbType {
    /// Table 7-11; `mb_type` from 0 to 25.
    pub fn intra(mb_type: u32) -> Option<Self> {
        match mb_type {
            0 => Some(Self::INxN),
            1..=24 => {
                let n = mb_type as u8 - 1;
                let luma = if n >= 12 { 15 } else { 0 };
                Some(Self::I16x16 { coded_block_pattern: luma | (n / 4 % 3) << 4 })
            }
            25 => Some(Self::IPcm),
            _ => None,
        }
    }

    /// Table 7-13, intra types behind its own.
    pub fn p(mb_type: u32) -> Option<Self> {
        match mb_type {
            0 => Some(Self::Inter { shape: Shape::Whole, lists: [1, 0] }),
            1 => Some(Self::Inter { shape: Shape::Rows, lists: [1, 1] }),
            2 => Some(Self::Inter { shape: Shape::Columns, lists: [1, 1] }),
            3 => Some(Self::Inter8x8 { ref_idx_coded: true }),
            4 => Some(Self::Inter8x8 { ref_idx_coded: false }),
            _ => Self::intra(mb_type - 5),
        }
    }

    /// Table 7-14, intra types behind its own.
    pub fn b(mb_type: u32) -> Option<Self> {
        /// Lists of both parts of types 4 and 5, 6 and 7, and so on.
        const PAIRS: [[Lists; 2]; 9] = [[1, 1], [2, 2], [1, 2], [2, 1], [1, 3], [2, 3], [3, 1], [3, 2], [3, 3]];
        match mb_type {
            0 => Some(Self::BDirect16x16),
            1..=3 => Some(Self::Inter { shape: Shape::Whole, lists: [mb_type as Lists, 0] }),
            4..=21 => {
                let shape = if mb_type % 2 == 0 { Shape::Rows } else { Shape::Columns };
                Some(Self::Inter { shape, lists: PAIRS[mb_type as usize / 2 - 2] })
            }
            22 => Some(Self::Inter8x8 { ref_idx_coded: true }),
            _ => Self::intra(mb_type - 23),
        }
    }

    pub fn is_intra(self) -> bool {
        matches!(self, Self::Si | Self::INxN | Self::I16x16 { .. } | Self::IPcm)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubMbType {
    pub shape: Shape,
    pub lists: Lists,
}

impl SubMbType {
    pub const DIRECT: Self = Self { shape: Shape::Quarters, lists: 0 };

    /// Table 7-17.
    pub fn p(sub_mb_type: u32) -> Option<Self> {
        let shape = *[Shape::Whole, Shape::Rows, Shape::Columns, Shape::Quarters].get(sub_mb_type as usize)?;
        Some(Self { shape, lists: 1 })
    }

    /// Table 7-18.
    pub fn b(sub_mb_type: u32) -> Option<Self> {
        let (shape, lists) = match sub_mb_type {
            0 => return Some(Self::DIRECT),
            1..=3 => (Shape::Whole, sub_mb_type),
            4 => (Shape::Rows, 1),
            5 => (Shape::Columns, 1),
            6 => (Shape::Rows, 2),
            7 => (Shape::Columns, 2),
            8 => (Shape::Rows, 3),
            9 => (Shape::Columns, 3),
            10..=12 => (Shape::Quarters, sub_mb_type - 9),
            _ => return None,
        };
        Some(Self { shape, lists: lists as Lists })
    }

    pub fn is_direct(self) -> bool {
        self.lists == 0
    }
}
