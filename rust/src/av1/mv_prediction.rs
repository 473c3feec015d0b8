//! The motion vector prediction process (7.10.2): candidates from neighbours and from the motion field, and the
//! contexts that follow from what was found.

use super::global_motion::{GmType, WARPEDMODEL_PREC_BITS};
use super::mode_grid::{ModeInfo, Mv, mode, ref_frame};
use super::mv_stack::{Candidate, MvStack, REF_CAT_LEVEL};
use super::tile::{Block, Tile};

const MV_BORDER: i32 = 128;

impl Tile<'_> {
    /// The find MV stack process (7.10.2) of a block whose `ref_frame` is known.
    pub(super) fn find_mv_stack(&self, b: &Block, is_compound: bool) -> MvStack {
        let search = Search {
            tile: self,
            b,
            is_compound,
            lists: if is_compound { 2 } else { 1 },
            stack: MvStack::default(),
            has_new_mv: false,
            found_match: false,
        };
        search.run()
    }

    /// The setup global MV process (7.10.2.1).
    fn global_mv(&self, b: &Block, ref_frame: i8) -> Mv {
        let header = self.frame.header;
        let motion = &header.global_motion[ref_frame as usize & 7];
        if ref_frame == ref_frame::INTRA_FRAME || motion.gm_type == GmType::Identity {
            return Mv::default();
        }
        let params = motion.gm_params.map(i64::from);
        let (row, col) = if motion.gm_type == GmType::Translation {
            let shift = WARPEDMODEL_PREC_BITS - 3;
            (params[0] >> shift, params[1] >> shift)
        } else {
            let one = 1 << WARPEDMODEL_PREC_BITS;
            let x = (b.mi_col * 4 + b.mode.mi_size.width() / 2) as i64 - 1;
            let y = (b.mi_row * 4 + b.mode.mi_size.height() / 2) as i64 - 1;
            let xc = (params[2] - one) * x + params[3] * y + params[0];
            let yc = params[4] * x + (params[5] - one) * y + params[1];
            if header.allow_high_precision_mv {
                let bits = WARPEDMODEL_PREC_BITS - 3;
                (round2_signed(yc, bits), round2_signed(xc, bits))
            } else {
                let bits = WARPEDMODEL_PREC_BITS - 2;
                (round2_signed(yc, bits) * 2, round2_signed(xc, bits) * 2)
            }
        };
        // Vectors of legal streams fit.
        let fit = |component: i64| component.clamp(i64::from(-i16::MAX), i64::from(i16::MAX)) as i16;
        self.lower_mv_precision(Mv { row: fit(row), col: fit(col) })
    }

    /// The lower precision process (7.10.2.10).
    fn lower_mv_precision(&self, mv: Mv) -> Mv {
        let header = self.frame.header;
        if header.allow_high_precision_mv {
            return mv;
        }
        let lower = |component: i16| {
            let magnitude = i32::from(component).abs();
            let lowered = if header.start.force_integer_mv { (magnitude + 3) & !7 } else { magnitude & !1 };
            (lowered * i32::from(component.signum())).clamp(-i32::from(i16::MAX), i32::from(i16::MAX)) as i16
        };
        Mv { row: lower(mv.row), col: lower(mv.col) }
    }
}

fn round2_signed(x: i64, n: u32) -> i64 {
    ((x.abs() + (1 << (n - 1))) >> n) * x.signum()
}

/// `has_newmv`.
fn has_newmv(mode: u8) -> bool {
    use mode::*;
    matches!(mode, NEWMV | NEW_NEWMV | NEAR_NEWMV | NEW_NEARMV | NEAREST_NEWMV | NEW_NEARESTMV)
}

fn negated(mv: Mv) -> Mv {
    Mv { row: mv.row.saturating_neg(), col: mv.col.saturating_neg() }
}

/// One run of the process.
struct Search<'a, 'b> {
    tile: &'a Tile<'b>,
    b: &'a Block,
    is_compound: bool,
    /// Vectors of a candidate.
    lists: usize,
    stack: MvStack,
    /// Whether `NewMvCount` is above 0.
    has_new_mv: bool,
    /// `FoundMatch`.
    found_match: bool,
}

impl<'a> Search<'a, '_> {
    fn run(mut self) -> MvStack {
        let size = self.b.mode.mi_size;
        let (bw4, bh4) = (size.width4(), size.height4());
        for list in 0..self.lists {
            self.stack.global_mvs[list] = self.tile.global_mv(self.b, self.b.mode.ref_frame[list]);
        }
        self.scan_row(-1);
        let mut found_above_match = std::mem::take(&mut self.found_match);
        self.scan_col(-1);
        let mut found_left_match = std::mem::take(&mut self.found_match);
        if bw4.max(bh4) <= 16 {
            self.scan_point(-1, bw4 as isize);
        }
        found_above_match |= std::mem::take(&mut self.found_match);
        let close_matches = usize::from(found_above_match) + usize::from(found_left_match);
        let (num_nearest, has_new) = (self.stack.num_mv_found, self.has_new_mv);
        self.stack.weight_stack[..num_nearest].iter_mut().for_each(|weight| *weight += REF_CAT_LEVEL);
        self.temporal_scan();
        self.scan_point(-1, -1);
        found_above_match |= std::mem::take(&mut self.found_match);
        self.scan_row(-3);
        found_above_match |= std::mem::take(&mut self.found_match);
        self.scan_col(-3);
        found_left_match |= std::mem::take(&mut self.found_match);
        if bh4 > 1 {
            self.scan_row(-5);
        }
        found_above_match |= std::mem::take(&mut self.found_match);
        if bw4 > 1 {
            self.scan_col(-5);
        }
        found_left_match |= self.found_match;
        let total_matches = usize::from(found_above_match) + usize::from(found_left_match);
        self.stack.sort(0, num_nearest);
        self.stack.sort(num_nearest, self.stack.num_mv_found);
        if self.stack.num_mv_found < 2 {
            self.extra_search();
        }
        self.stack.set_drl_contexts();
        self.clamp();
        let new = usize::from(has_new);
        (self.stack.new_mv_context, self.stack.ref_mv_context) = match close_matches {
            0 => (total_matches.min(1), total_matches),
            1 => (3 - new, 2 + total_matches),
            _ => (5 - new, 5),
        };
        self.stack
    }

    /// The block at an offset, if it lies in the tile. Where none was parsed yet, it is an intra block.
    #[inline]
    fn candidate(&self, mv_row: isize, mv_col: isize) -> Option<&'a ModeInfo> {
        let tile = self.tile;
        let is_inside = tile.area.is_inside(mv_row, mv_col);
        is_inside.then(|| tile.state.modes.at(mv_row as usize, mv_col as usize))
    }

    /// The scan row process (7.10.2.2).
    fn scan_row(&mut self, delta_row: isize) {
        let (mi_row, mi_col) = (self.b.mi_row as isize, self.b.mi_col as isize);
        let bw4 = self.b.mode.mi_size.width4();
        let end4 = bw4.min(self.tile.frame.mi_cols - self.b.mi_col).min(16);
        let (mut mv_row, mut mv_col, mut least) = (mi_row + delta_row, mi_col, 1);
        if delta_row < -1 {
            mv_row += mi_row & 1;
            mv_col += 1 - (mi_col & 1);
            least = 2;
        }
        if bw4 >= 16 {
            least = 4;
        }
        let mut i = 0;
        while i < end4 {
            let Some(candidate) = self.candidate(mv_row, mv_col + i as isize) else { break };
            let len = bw4.min(candidate.mi_size.width4()).max(least);
            self.add_ref_mv_candidate(candidate, 2 * len as u32);
            i += len;
        }
    }

    /// The scan col process (7.10.2.3).
    fn scan_col(&mut self, delta_col: isize) {
        let (mi_row, mi_col) = (self.b.mi_row as isize, self.b.mi_col as isize);
        let bh4 = self.b.mode.mi_size.height4();
        let end4 = bh4.min(self.tile.frame.mi_rows - self.b.mi_row).min(16);
        let (mut mv_row, mut mv_col, mut least) = (mi_row, mi_col + delta_col, 1);
        if delta_col < -1 {
            mv_row += 1 - (mi_row & 1);
            mv_col += mi_col & 1;
            least = 2;
        }
        if bh4 >= 16 {
            least = 4;
        }
        let mut i = 0;
        while i < end4 {
            let Some(candidate) = self.candidate(mv_row + i as isize, mv_col) else { break };
            let len = bh4.min(candidate.mi_size.height4()).max(least);
            self.add_ref_mv_candidate(candidate, 2 * len as u32);
            i += len;
        }
    }

    /// The scan point process (7.10.2.4).
    fn scan_point(&mut self, delta_row: isize, delta_col: isize) {
        let candidate = self.candidate(self.b.mi_row as isize + delta_row, self.b.mi_col as isize + delta_col);
        if let Some(candidate) = candidate {
            self.add_ref_mv_candidate(candidate, 4);
        }
    }

    /// The add reference motion vector process (7.10.2.7).
    fn add_ref_mv_candidate(&mut self, candidate: &ModeInfo, weight: u32) {
        if !candidate.is_inter {
            return;
        }
        let wanted = self.b.mode.ref_frame;
        if self.is_compound {
            if candidate.ref_frame == wanted {
                self.compound_search_stack(candidate, weight);
            }
            return;
        }
        for list in 0..2 {
            if candidate.ref_frame[list] == wanted[0] {
                self.search_stack(candidate, list, weight);
            }
        }
    }

    /// Whether the frame that list `list` of the block refers to moves by more than a translation.
    fn is_warped(&self, list: usize) -> bool {
        let frame = self.b.mode.ref_frame[list] as usize & 7;
        self.tile.frame.header.global_motion[frame].gm_type > GmType::Translation
    }

    /// The search stack process (7.10.2.8).
    fn search_stack(&mut self, candidate: &ModeInfo, list: usize, weight: u32) {
        let is_large = candidate.mi_size.width4().min(candidate.mi_size.height4()) >= 2;
        let is_global = matches!(candidate.y_mode, mode::GLOBALMV | mode::GLOBAL_GLOBALMV);
        let mv = if is_global && is_large && self.is_warped(0) {
            self.stack.global_mvs[0]
        } else {
            self.tile.lower_mv_precision(candidate.mv[list])
        };
        self.has_new_mv |= has_newmv(candidate.y_mode);
        self.found_match = true;
        self.stack.add([mv, Mv::default()], weight);
    }

    /// The compound search stack process (7.10.2.9).
    fn compound_search_stack(&mut self, candidate: &ModeInfo, weight: u32) {
        let mut mvs = candidate.mv.map(|mv| self.tile.lower_mv_precision(mv));
        if candidate.y_mode == mode::GLOBAL_GLOBALMV {
            for (list, mv) in mvs.iter_mut().enumerate() {
                if self.is_warped(list) {
                    *mv = self.stack.global_mvs[list];
                }
            }
        }
        self.has_new_mv |= has_newmv(candidate.y_mode);
        self.found_match = true;
        self.stack.add(mvs, weight);
    }

    /// The temporal scan process (7.10.2.5), if there is a motion field.
    fn temporal_scan(&mut self) {
        if self.tile.frame.motion_field.is_none() {
            return;
        }
        let size = self.b.mode.mi_size;
        let (bw4, bh4) = (size.width4(), size.height4());
        for delta_row in (0..bh4.min(16)).step_by(if bh4 >= 16 { 4 } else { 2 }) {
            for delta_col in (0..bw4.min(16)).step_by(if bw4 >= 16 { 4 } else { 2 }) {
                self.add_tpl_ref_mv(delta_row as isize, delta_col as isize);
            }
        }
        let allow_extension = (2..16).contains(&bh4) && (2..16).contains(&bw4);
        if allow_extension {
            let (bw4, bh4) = (bw4 as isize, bh4 as isize);
            for (delta_row, delta_col) in [(bh4, -2), (bh4, bw4), (bh4 - 2, bw4)] {
                // check_sb_border
                let row = (self.b.mi_row & 15) as isize + delta_row;
                let col = (self.b.mi_col & 15) as isize + delta_col;
                if (0..16).contains(&row) && (0..16).contains(&col) {
                    self.add_tpl_ref_mv(delta_row, delta_col);
                }
            }
        }
    }

    /// The temporal sample process (7.10.2.6).
    fn add_tpl_ref_mv(&mut self, delta_row: isize, delta_col: isize) {
        let frame = self.tile.frame;
        let mv_row = (self.b.mi_row as isize + delta_row) | 1;
        let mv_col = (self.b.mi_col as isize + delta_col) | 1;
        let (Some(field), true) = (frame.motion_field, self.tile.area.is_inside(mv_row, mv_col)) else { return };
        let is_first = (delta_row, delta_col) == (0, 0);
        if is_first {
            self.stack.zero_mv_context = 1;
        }
        let mut mvs = Candidate::default();
        for (mv, ref_frame) in mvs.iter_mut().zip(self.b.mode.ref_frame).take(self.lists) {
            let hint = frame.header.order_hints[ref_frame as usize & 7];
            let ref_to_dst = frame.sequence.get_relative_dist(frame.header.start.order_hint, hint);
            let Some(projected) = field.at(mv_row as usize / 2, mv_col as usize / 2, ref_to_dst) else { return };
            *mv = self.tile.lower_mv_precision(projected);
        }
        if is_first {
            let is_far = |a: i16, b: i16| (i32::from(a) - i32::from(b)).abs() >= 16;
            let pairs = mvs.iter().zip(&self.stack.global_mvs);
            let differs =
                pairs.into_iter().any(|(mv, global)| is_far(mv.row, global.row) || is_far(mv.col, global.col));
            self.stack.zero_mv_context = usize::from(differs);
        }
        self.stack.add(mvs, 2);
    }

    /// The extra search process (7.10.2.12).
    fn extra_search(&mut self) {
        let size = self.b.mode.mi_size;
        let w4 = size.width4().min(16).min(self.tile.frame.mi_cols - self.b.mi_col);
        let h4 = size.height4().min(16).min(self.tile.frame.mi_rows - self.b.mi_row);
        let num4x4 = w4.min(h4);
        let (mi_row, mi_col) = (self.b.mi_row as isize, self.b.mi_col as isize);
        let mut partial = <[PartialMatches; 2]>::default();
        for is_above in [true, false] {
            let mut idx = 0;
            while idx < num4x4 && self.stack.num_mv_found < 2 {
                let at = idx as isize;
                let (mv_row, mv_col) = if is_above { (mi_row - 1, mi_col + at) } else { (mi_row + at, mi_col - 1) };
                let Some(candidate) = self.candidate(mv_row, mv_col) else { break };
                self.add_extra_mv_candidate(candidate, &mut partial);
                idx += if is_above { candidate.mi_size.width4() } else { candidate.mi_size.height4() };
            }
        }
        if self.is_compound {
            self.add_combined(&partial);
        } else {
            let global = [self.stack.global_mvs[0], Mv::default()];
            let found = self.stack.num_mv_found.min(2);
            self.stack.ref_stack_mv[found..2].fill(global);
        }
    }

    /// The add extra MV candidate process (7.10.2.13).
    fn add_extra_mv_candidate(&mut self, candidate: &ModeInfo, partial: &mut [PartialMatches; 2]) {
        let sign_bias = |frame: i8| self.tile.frame.header.ref_frame_sign_bias[frame as usize & 7];
        let wanted = self.b.mode.ref_frame;
        for (cand_ref, cand_mv) in candidate.ref_frame.into_iter().zip(candidate.mv) {
            if cand_ref <= ref_frame::INTRA_FRAME {
                continue;
            }
            let towards = |frame: i8| if sign_bias(cand_ref) != sign_bias(frame) { negated(cand_mv) } else { cand_mv };
            if !self.is_compound {
                let mv = [towards(wanted[0]), Mv::default()];
                if !self.stack.ref_stack_mv[..self.stack.num_mv_found].contains(&mv) {
                    self.stack.push(mv, 2);
                }
                continue;
            }
            for (frame, partial) in wanted.into_iter().zip(partial.iter_mut()) {
                if cand_ref == frame && partial.same.count < 2 {
                    partial.same.push(cand_mv);
                } else if partial.other.count < 2 {
                    partial.other.push(towards(frame));
                }
            }
        }
    }

    /// The end of the extra search of compound prediction: pairs of vectors that matched in part.
    fn add_combined(&mut self, partial: &[PartialMatches; 2]) {
        let mut combined = [Candidate::default(); 2];
        for list in 0..2 {
            let found = partial[list].same.found().iter().chain(partial[list].other.found()).copied();
            let mut mvs = found.chain(std::iter::repeat(self.stack.global_mvs[list]));
            combined.iter_mut().for_each(|pair| pair[list] = mvs.next().unwrap_or_default());
        }
        if self.stack.num_mv_found == 1 {
            let is_known = combined[0] == self.stack.ref_stack_mv[0];
            self.stack.push(combined[usize::from(is_known)], 2);
        } else {
            combined.into_iter().for_each(|pair| self.stack.push(pair, 2));
        }
    }

    /// `clamp_mv_row` and `clamp_mv_col` (5.11.53, 5.11.54) of all candidates.
    fn clamp(&mut self) {
        let (b, frame) = (self.b, self.tile.frame);
        let limits = |at: usize, length4: usize, end: usize| {
            let border = MV_BORDER + length4 as i32 * 32;
            let (at, length4, end) = (at as i32, length4 as i32, end as i32);
            (-at * 32 - border, (end - length4 - at) * 32 + border)
        };
        let rows = limits(b.mi_row, b.mode.mi_size.height4(), frame.mi_rows);
        let cols = limits(b.mi_col, b.mode.mi_size.width4(), frame.mi_cols);
        // Between vectors of 16 bits and 0, all that it clamps to has 16 bits.
        let clamp = |component: i16, (low, high): (i32, i32)| i32::from(component).clamp(low, high) as i16;
        for mvs in &mut self.stack.ref_stack_mv[..self.stack.num_mv_found] {
            for mv in &mut mvs[..self.lists] {
                *mv = Mv { row: clamp(mv.row, rows), col: clamp(mv.col, cols) };
            }
        }
    }
}

/// Vectors to the same reference frame (`RefIdMvs`) and to others (`RefDiffMvs`).
#[derive(Default)]
struct PartialMatches {
    same: FewMvs,
    other: FewMvs,
}

#[derive(Default)]
struct FewMvs {
    mvs: [Mv; 2],
    count: usize,
}

impl FewMvs {
    fn push(&mut self, mv: Mv) {
        self.mvs[self.count] = mv;
        self.count += 1;
    }

    fn found(&self) -> &[Mv] {
        &self.mvs[..self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_away_from_zero() {
        assert_eq!([-6, -5, -2, 0, 1, 2, 6].map(|x| round2_signed(x, 2)), [-2, -1, -1, 0, 0, 1, 2]);
    }
}
