//! What later macroblocks' contexts need of earlier ones, and which macroblocks are neighbours (6.4.9 to 6.4.12).

/// A macroblock as its neighbours see it. The default is the unavailable one: every context rule that treats an
/// unavailable neighbour in its own way finds that in the values themselves.
#[derive(Debug, Clone, Copy)]
pub struct MbInfo {
    /// Number of the slice, from 1; 0 where nothing was decoded.
    pub slice: u32,
    pub flags: MbFlags,
    /// `CodedBlockPatternLuma | CodedBlockPatternChroma << 4`.
    pub coded_block_pattern: u8,
    /// `coded_block_flag` of the DC blocks of Y, Cb, Cr: bits 0 to 2.
    pub dc_coded: u8,
    pub right: Edge,
    pub bottom: Edge,
}

impl Default for MbInfo {
    fn default() -> Self {
        Self {
            slice: 0,
            flags: MbFlags::default(),
            // 9.3.3.1.1.4: an unavailable neighbour counts as if all its luma blocks were coded.
            coded_block_pattern: 0x0f,
            dc_coded: 0,
            right: Edge::default(),
            bottom: Edge::default(),
        }
    }
}

/// Each flag is false for an unavailable macroblock.
#[derive(Debug, Clone, Copy, Default)]
pub struct MbFlags {
    pub available: bool,
    pub not_skipped: bool,
    /// `mb_type` is not I_NxN.
    pub not_i_nxn: bool,
    /// Neither B_Skip nor B_Direct_16x16.
    pub not_direct: bool,
    pub is_pcm: bool,
    pub is_field: bool,
    pub intra_chroma_pred_mode: bool,
    pub transform_size_8x8: bool,
}

/// The 4x4 blocks along one side, top to bottom or left to right.
#[derive(Debug, Clone, Copy, Default)]
pub struct Edge {
    /// `total_coeff` (CAVLC) or `coded_block_flag` (CABAC) of Y, Cb, Cr.
    pub coefficients: [[u8; 4]; 3],
    /// `ref_idx` by list, for each 8x8 block; 0 also where nothing is predicted.
    pub ref_idx: [[u8; 2]; 2],
    /// Absolute `mvd` by list, horizontal and vertical, at most `MVD_MAX`.
    pub mvd: [[[u8; 2]; 4]; 2],
}

/// Differences above this all mean the same to the contexts, halved or doubled too (9.3.3.1.1.7).
pub const MVD_MAX: u32 = 127;

/// Position in `MbStore::mbs` of the macroblock that is not there.
const NOWHERE: usize = 0;

/// A 4x4 block row of a macroblock to the left.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeftRow {
    pub mb: usize,
    pub row: usize,
}

/// The neighbours of one macroblock, as positions in an `MbStore`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Neighbours {
    pub a: usize,
    pub b: usize,
    /// What lies left of each row of 4x4 luma blocks.
    pub left: [LeftRow; 4],
    /// The same for rows of 4x4 chroma blocks, of which 4:2:0 has two.
    pub left_chroma: [LeftRow; 4],
}

/// The macroblocks of one picture (or colour plane), by address; those of MBAFF frames by pairs, top first.
#[derive(Debug, Default)]
pub struct MbStore {
    mbs: Vec<MbInfo>,
    width: usize,
}

impl MbStore {
    pub fn reset(&mut self, width: usize, count: usize) {
        self.width = width;
        self.mbs.clear();
        self.mbs.resize(count + 1, MbInfo::default());
    }

    pub fn get(&self, position: usize) -> &MbInfo {
        &self.mbs[position]
    }

    pub fn at(&self, mb_addr: usize) -> &MbInfo {
        &self.mbs[mb_addr + 1]
    }

    pub fn at_mut(&mut self, mb_addr: usize) -> &mut MbInfo {
        &mut self.mbs[mb_addr + 1]
    }

    /// Macroblocks that no slice held.
    pub fn missing(&self) -> usize {
        self.mbs.iter().skip(1).filter(|mb| mb.slice == 0).count()
    }

    fn if_in_slice(&self, mb_addr: Option<usize>, slice: u32) -> usize {
        match mb_addr {
            Some(addr) if self.at(addr).slice == slice => addr + 1,
            _ => NOWHERE,
        }
    }

    /// 6.4.9: frames without MBAFF, and fields.
    pub fn neighbours(&self, mb_addr: usize, slice: u32) -> Neighbours {
        let left = if mb_addr % self.width > 0 { Some(mb_addr - 1) } else { None };
        let a = self.if_in_slice(left, slice);
        let b = self.if_in_slice(mb_addr.checked_sub(self.width), slice);
        let rows = std::array::from_fn(|row| LeftRow { mb: a, row });
        Neighbours { a, b, left: rows, left_chroma: rows }
    }

    /// Top macroblocks of the pairs to the left and above (6.4.10), `NOWHERE` if not in the slice.
    fn neighbour_pairs(&self, mb_addr: usize, slice: u32) -> (usize, usize) {
        let pair = mb_addr / 2;
        let left = if pair % self.width > 0 { Some(2 * (pair - 1)) } else { None };
        let above = pair.checked_sub(self.width).map(|pair| 2 * pair);
        (self.if_in_slice(left, slice), self.if_in_slice(above, slice))
    }

    /// Whether the pairs left and above are field pairs: contexts of `mb_field_decoding_flag` (9.3.3.1.1.2).
    pub fn field_pairs(&self, mb_addr: usize, slice: u32) -> (bool, bool) {
        let (a, b) = self.neighbour_pairs(mb_addr, slice);
        (self.mbs[a].flags.is_field, self.mbs[b].flags.is_field)
    }

    /// `mb_field_decoding_flag` of a pair that has none (7.4.4).
    pub fn inferred_field(&self, mb_addr: usize, slice: u32) -> bool {
        let (a, b) = self.neighbour_pairs(mb_addr, slice);
        let from = if a != NOWHERE { a } else { b };
        self.mbs[from].flags.is_field
    }

    /// 6.4.12.2, `is_field` being that of the current macroblock pair. `chroma_height` in samples: 0, 8 or 16.
    pub fn neighbours_mbaff(&self, mb_addr: usize, slice: u32, is_field: bool, chroma_height: usize) -> Neighbours {
        let (a, b) = self.neighbour_pairs(mb_addr, slice);
        let is_bottom = mb_addr % 2 == 1;
        let above = match (is_field, is_bottom) {
            (false, true) => mb_addr, // position of the top macroblock of the same pair
            _ if b == NOWHERE => NOWHERE,
            (true, false) if self.mbs[b].flags.is_field => b,
            _ => b + 1,
        };
        let left_rows = |max_h: usize| -> [LeftRow; 4] {
            std::array::from_fn(|row| {
                if a == NOWHERE || 4 * row >= max_h {
                    return LeftRow { mb: NOWHERE, row: 0 };
                }
                let (below, y) = left_in_pair(4 * row, max_h, is_field, is_bottom, self.mbs[a].flags.is_field);
                LeftRow { mb: a + usize::from(below), row: y / 4 }
            })
        };
        let left = left_rows(16);
        let left_chroma = left_rows(chroma_height);
        Neighbours { a: left[0].mb, b: above, left, left_chroma }
    }
}

/// Table 6-4 for xN < 0: whether the neighbour is the bottom macroblock of the left pair, and yM.
fn left_in_pair(y: usize, max_h: usize, is_field: bool, is_bottom: bool, left_is_field: bool) -> (bool, usize) {
    match (is_field, left_is_field) {
        (false, false) | (true, true) => (is_bottom, y),
        // Rows of 4x4 blocks start on even lines: they lie in the top field macroblock.
        (false, true) => (false, if is_bottom { (y + max_h) / 2 } else { y / 2 }),
        (true, false) if y < max_h / 2 => (false, 2 * y),
        (true, false) => (true, 2 * y - max_h),
    }
}
