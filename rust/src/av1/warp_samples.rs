//! What a block's neighbours allow: overlapped and warped motion (7.10.3, 7.10.4).

use super::mode_grid::ref_frame;
use super::tile::{Block, Tile};

impl Tile<'_> {
    /// The has overlappable candidates process (7.10.3).
    pub(super) fn has_overlappable_candidates(&self, b: &Block) -> bool {
        let modes = &self.state.modes;
        let is_inter = |row: usize, col: usize| modes.at(row, col).ref_frame[0] > ref_frame::INTRA_FRAME;
        let size = b.mode.mi_size;
        let end_col = self.frame.mi_cols.min(b.mi_col + size.width4());
        let end_row = self.frame.mi_rows.min(b.mi_row + size.height4());
        (b.avail_u && (b.mi_col..end_col).step_by(2).any(|col| is_inter(b.mi_row - 1, col | 1)))
            || (b.avail_l && (b.mi_row..end_row).step_by(2).any(|row| is_inter(row | 1, b.mi_col - 1)))
    }

    /// The find warp samples process (7.10.4), as far as syntax asks: whether `NumSamples` is above 0. It is wherever
    /// a candidate was scanned, however far its vector is from the block's.
    pub(super) fn has_warp_samples(&self, b: &Block) -> bool {
        let modes = &self.state.modes;
        let (mi_row, mi_col) = (b.mi_row as isize, b.mi_col as isize);
        let (w4, h4) = (b.mode.mi_size.width4(), b.mode.mi_size.height4());
        let (mut do_top_left, mut do_top_right) = (true, true);
        if b.avail_u {
            let src_w = modes.at(b.mi_row - 1, b.mi_col).mi_size.width4();
            let mut end = w4.min(self.frame.mi_cols - b.mi_col);
            if w4 <= src_w {
                let offset = b.mi_col & (src_w - 1);
                do_top_left &= offset == 0;
                do_top_right &= src_w - offset <= w4;
                end = 1;
            }
            if (0..end as isize).any(|i| self.is_sample(b, mi_row - 1, mi_col + i)) {
                return true;
            }
        }
        if b.avail_l {
            let src_h = modes.at(b.mi_row, b.mi_col - 1).mi_size.height4();
            let mut end = h4.min(self.frame.mi_rows - b.mi_row);
            if h4 <= src_h {
                do_top_left &= b.mi_row & (src_h - 1) == 0;
                end = 1;
            }
            if (0..end as isize).any(|i| self.is_sample(b, mi_row + i, mi_col - 1)) {
                return true;
            }
        }
        (do_top_left && self.is_sample(b, mi_row - 1, mi_col - 1))
            || (do_top_right && w4.max(h4) <= 16 && self.is_sample(b, mi_row - 1, mi_col + w4 as isize))
    }

    /// Whether the add sample process (7.10.4.2) scans a candidate. Where nothing was parsed yet there is an intra block.
    fn is_sample(&self, b: &Block, mv_row: isize, mv_col: isize) -> bool {
        self.area.is_inside(mv_row, mv_col)
            && self.state.modes.at(mv_row as usize, mv_col as usize).ref_frame == [b.mode.ref_frame[0], ref_frame::NONE]
    }
}
