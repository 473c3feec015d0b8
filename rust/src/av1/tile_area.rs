//! Where a tile lies in its frame.

/// Units of 4 samples along the larger of the superblocks.
pub const MOST_MI: usize = 32;

/// Where a tile lies, in units of 4 samples.
#[derive(Debug, Clone, Copy)]
pub struct TileArea {
    pub mi_row_start: usize,
    pub mi_row_end: usize,
    pub mi_col_start: usize,
    pub mi_col_end: usize,
}

impl TileArea {
    /// `is_inside` (5.11.51).
    #[inline(always)]
    pub fn is_inside(&self, row: isize, col: isize) -> bool {
        let is_within = |at: isize, start: usize, end: usize| at >= start as isize && at < end as isize;
        is_within(row, self.mi_row_start, self.mi_row_end) && is_within(col, self.mi_col_start, self.mi_col_end)
    }
}
