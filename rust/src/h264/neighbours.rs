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

/// The neighbours of one macroblock, as positions in an `MbStore`. To the left there may be two, side by side with
/// the upper and the lower half, whose rows of 4x4 blocks do not match the macroblock's own (MBAFF).
#[derive(Debug, Clone, Copy)]
pub struct Neighbours {
    pub a: usize,
    pub b: usize,
    lower_a: usize,
    rows: &'static LeftRows,
}

/// For each row of 4x4 blocks, the row beside it in the left macroblock; for planes of 16 lines, and of 8.
#[derive(Debug)]
struct LeftRows {
    of_16_lines: [u8; 4],
    of_8_lines: [u8; 2],
}

// Table 6-4 for xN < 0; rows of 4x4 blocks begin on even lines.
static SAME: LeftRows = LeftRows { of_16_lines: [0, 1, 2, 3], of_8_lines: [0, 1] };
static TOP_FRAME_BESIDE_FIELD: LeftRows = LeftRows { of_16_lines: [0, 0, 1, 1], of_8_lines: [0, 0] };
static BOTTOM_FRAME_BESIDE_FIELD: LeftRows = LeftRows { of_16_lines: [2, 2, 3, 3], of_8_lines: [1, 1] };
static FIELD_BESIDE_FRAME: LeftRows = LeftRows { of_16_lines: [0, 2, 0, 2], of_8_lines: [0, 0] };

impl Default for Neighbours {
    fn default() -> Self {
        Self { a: NOWHERE, b: NOWHERE, lower_a: NOWHERE, rows: &SAME }
    }
}

impl Neighbours {
    /// Position and row of what lies left of row `y` of a plane of 16 lines.
    #[inline]
    pub fn left(&self, y: usize) -> (usize, usize) {
        (if y < 2 { self.a } else { self.lower_a }, usize::from(self.rows.of_16_lines[y]))
    }

    /// The same for a plane of 8 lines, the chroma of 4:2:0.
    #[inline]
    pub fn left_of_8_lines(&self, y: usize) -> (usize, usize) {
        (if y < 1 { self.a } else { self.lower_a }, usize::from(self.rows.of_8_lines[y]))
    }
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

    #[inline(always)]
    pub fn get(&self, position: usize) -> &MbInfo {
        &self.mbs[position]
    }

    #[inline(always)]
    pub fn at(&self, mb_addr: usize) -> &MbInfo {
        &self.mbs[mb_addr + 1]
    }

    #[inline(always)]
    pub fn at_mut(&mut self, mb_addr: usize) -> &mut MbInfo {
        &mut self.mbs[mb_addr + 1]
    }

    /// Macroblocks that no slice held.
    pub fn missing(&self) -> usize {
        self.mbs.iter().skip(1).filter(|mb| mb.slice == 0).count()
    }

    #[inline(always)]
    fn if_in_slice(&self, mb_addr: Option<usize>, slice: u32) -> usize {
        match mb_addr {
            Some(addr) if self.at(addr).slice == slice => addr + 1,
            _ => NOWHERE,
        }
    }

    /// 6.4.9: frames without MBAFF, and fields.
    #[inline(always)]
    pub fn neighbours(&self, mb_addr: usize, column: usize, slice: u32) -> Neighbours {
        let left = if column > 0 { Some(mb_addr - 1) } else { None };
        let a = self.if_in_slice(left, slice);
        let b = self.if_in_slice(mb_addr.checked_sub(self.width), slice);
        Neighbours { a, b, lower_a: a, rows: &SAME }
    }

    /// Top macroblocks of the pairs to the left and above (6.4.10), `NOWHERE` if not in the slice.
    fn neighbour_pairs(&self, mb_addr: usize, column: usize, slice: u32) -> (usize, usize) {
        let pair = mb_addr / 2;
        let left = if column > 0 { Some(2 * (pair - 1)) } else { None };
        let above = pair.checked_sub(self.width).map(|pair| 2 * pair);
        (self.if_in_slice(left, slice), self.if_in_slice(above, slice))
    }

    /// Whether the pairs left and above are field pairs: contexts of `mb_field_decoding_flag` (9.3.3.1.1.2).
    pub fn field_pairs(&self, mb_addr: usize, column: usize, slice: u32) -> (bool, bool) {
        let (a, b) = self.neighbour_pairs(mb_addr, column, slice);
        (self.mbs[a].flags.is_field, self.mbs[b].flags.is_field)
    }

    /// `mb_field_decoding_flag` of a pair that has none (7.4.4).
    pub fn inferred_field(&self, mb_addr: usize, column: usize, slice: u32) -> bool {
        let (a, b) = self.neighbour_pairs(mb_addr, column, slice);
        let from = if a != NOWHERE { a } else { b };
        self.mbs[from].flags.is_field
    }

    /// 6.4.12.2, `is_field` being that of the current macroblock pair.
    pub fn neighbours_mbaff(&self, mb_addr: usize, column: usize, slice: u32, is_field: bool) -> Neighbours {
        let (left, above) = self.neighbour_pairs(mb_addr, column, slice);
        let is_bottom = mb_addr % 2 == 1;
        let b = match (is_field, is_bottom) {
            (false, true) => mb_addr, // position of the top macroblock of the same pair
            _ if above == NOWHERE => NOWHERE,
            (true, false) if self.mbs[above].flags.is_field => above,
            _ => above + 1,
        };
        if left == NOWHERE {
            return Neighbours { b, ..Neighbours::default() };
        }
        let (a, lower_a, rows) = match (is_field, self.mbs[left].flags.is_field) {
            (false, true) if is_bottom => (left, left, &BOTTOM_FRAME_BESIDE_FIELD),
            (false, true) => (left, left, &TOP_FRAME_BESIDE_FIELD),
            (true, false) => (left, left + 1, &FIELD_BESIDE_FRAME),
            _ => (left + usize::from(is_bottom), left + usize::from(is_bottom), &SAME),
        };
        Neighbours { a, b, lower_a, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 6-4 for xN < 0, as it stands there: the neighbour is the bottom macroblock of the left pair, and yM.
    fn table_6_4(y: usize, max_h: usize, is_field: bool, is_bottom: bool, left_is_field: bool) -> (bool, usize) {
        match (is_field, is_bottom, left_is_field) {
            (false, _, false) => (is_bottom, y),
            (false, false, true) => (y % 2 != 0, y >> 1),
            (false, true, true) => (y % 2 != 0, (y + max_h) >> 1),
            (true, _, true) => (is_bottom, y),
            (true, false, false) if y < max_h / 2 => (false, y << 1),
            (true, false, false) => (true, (y << 1) - max_h),
            (true, true, false) if y < max_h / 2 => (false, (y << 1) + 1),
            (true, true, false) => (true, (y << 1) + 1 - max_h),
        }
    }

    #[test]
    fn rows_beside_a_pair_are_those_of_table_6_4() {
        for case in 0..8 {
            let (is_field, is_bottom, left_is_field) = (case & 1 != 0, case & 2 != 0, case & 4 != 0);
            let mut store = MbStore::default();
            store.reset(2, 4);
            for mb_addr in 0..2 {
                store.at_mut(mb_addr).slice = 1;
                store.at_mut(mb_addr).flags.is_field = left_is_field;
            }
            let neighbours = store.neighbours_mbaff(2 + usize::from(is_bottom), 1, 1, is_field);
            for row in 0..4 {
                let (below, y) = table_6_4(4 * row, 16, is_field, is_bottom, left_is_field);
                assert_eq!(neighbours.left(row), (1 + usize::from(below), y / 4));
            }
            for row in 0..2 {
                let (below, y) = table_6_4(4 * row, 8, is_field, is_bottom, left_is_field);
                assert_eq!(neighbours.left_of_8_lines(row), (1 + usize::from(below), y / 4));
            }
        }
    }

    #[test]
    fn another_slice_is_no_neighbour() {
        let mut store = MbStore::default();
        store.reset(2, 4);
        store.at_mut(0).slice = 1;
        store.at_mut(1).slice = 2;
        let neighbours = store.neighbours(2, 0, 1);
        assert_eq!((neighbours.a, neighbours.b), (NOWHERE, 1));
        assert_eq!(store.neighbours(3, 1, 1).b, NOWHERE);
        assert_eq!(store.missing(), 2);
    }
}
