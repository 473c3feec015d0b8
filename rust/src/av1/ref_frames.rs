//! `read_ref_frames` (5.11.25) and its contexts, which count what the neighbours refer to.

use super::mode_grid::{ModeInfo, ref_frame::*};
use super::segmentation::SEG_LVL_REF_FRAME;
use super::tile::{Block, Tile};

/// `count_refs`, by reference frame.
struct RefCounts([u8; 8]);

impl RefCounts {
    fn new(block: &Block) -> Self {
        let mut counts = [0; 8];
        for neighbour in [block.above, block.left].into_iter().flatten() {
            for frame in neighbour.ref_frame {
                if frame > INTRA_FRAME {
                    counts[frame as usize] += 1;
                }
            }
        }
        Self(counts)
    }

    /// `ref_count_ctx` of the references to the first frames and of those to the others.
    fn ctx(&self, first: &[i8], others: &[i8]) -> usize {
        let count = |frames: &[i8]| frames.iter().map(|&frame| self.0[frame as usize]).sum::<u8>();
        match count(first).cmp(&count(others)) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => 1,
            std::cmp::Ordering::Greater => 2,
        }
    }

    /// That of `single_ref_p1` and `uni_comp_ref`.
    fn forward_or_backward(&self) -> usize {
        self.ctx(&[LAST_FRAME, LAST2_FRAME, LAST3_FRAME, GOLDEN_FRAME], &[BWDREF_FRAME, ALTREF2_FRAME, ALTREF_FRAME])
    }

    /// That of `comp_ref` and `single_ref_p3`.
    fn last12_or_last3_gold(&self) -> usize {
        self.ctx(&[LAST_FRAME, LAST2_FRAME], &[LAST3_FRAME, GOLDEN_FRAME])
    }

    /// That of `comp_ref_p1` and `single_ref_p4`.
    fn last_or_last2(&self) -> usize {
        self.ctx(&[LAST_FRAME], &[LAST2_FRAME])
    }

    /// That of `comp_ref_p2`, `single_ref_p5` and `uni_comp_ref_p2`.
    fn last3_or_gold(&self) -> usize {
        self.ctx(&[LAST3_FRAME], &[GOLDEN_FRAME])
    }

    /// That of `comp_bwdref` and `single_ref_p2`.
    fn backward_or_altref(&self) -> usize {
        self.ctx(&[BWDREF_FRAME, ALTREF2_FRAME], &[ALTREF_FRAME])
    }

    /// That of `comp_bwdref_p1` and `single_ref_p6`.
    fn bwdref_or_altref2(&self) -> usize {
        self.ctx(&[BWDREF_FRAME], &[ALTREF2_FRAME])
    }

    /// That of `uni_comp_ref_p1`.
    fn last2_or_last3_gold(&self) -> usize {
        self.ctx(&[LAST2_FRAME], &[LAST3_FRAME, GOLDEN_FRAME])
    }
}

impl Tile<'_> {
    /// `read_ref_frames` (5.11.25).
    pub(super) fn read_ref_frames(&mut self, block: &Block) -> [i8; 2] {
        let header = self.frame.header;
        if let (true, Some(frames)) = (block.mode.skip_mode, header.skip_mode_frames) {
            return frames;
        }
        if let Some(frame) = header.segmentation.feature(block.mode.segment_id, SEG_LVL_REF_FRAME) {
            return [frame as i8, NONE];
        }
        if self.seg_is_still(block) {
            return [LAST_FRAME, NONE];
        }
        let size = block.mode.mi_size;
        let may_be_compound = header.reference_select && size.width4().min(size.height4()) >= 2;
        let counts = RefCounts::new(block);
        if may_be_compound && self.d.read_flag(&mut self.cdfs.comp_mode[comp_mode_ctx(block)]) {
            let is_bidirectional = self.d.read_flag(&mut self.cdfs.comp_ref_type[comp_ref_type_ctx(block)]);
            if is_bidirectional { self.read_bidir_comp(&counts) } else { self.read_unidir_comp(&counts) }
        } else {
            [self.read_single(&counts), NONE]
        }
    }

    fn read_unidir_comp(&mut self, counts: &RefCounts) -> [i8; 2] {
        let (d, cdf) = (&mut self.d, &mut self.cdfs.uni_comp_ref);
        if d.read_flag(&mut cdf[counts.forward_or_backward()][0]) {
            [BWDREF_FRAME, ALTREF_FRAME]
        } else if !d.read_flag(&mut cdf[counts.last2_or_last3_gold()][1]) {
            [LAST_FRAME, LAST2_FRAME]
        } else if d.read_flag(&mut cdf[counts.last3_or_gold()][2]) {
            [LAST_FRAME, GOLDEN_FRAME]
        } else {
            [LAST_FRAME, LAST3_FRAME]
        }
    }

    fn read_bidir_comp(&mut self, counts: &RefCounts) -> [i8; 2] {
        let (d, cdf) = (&mut self.d, &mut self.cdfs.comp_ref);
        let forward = if !d.read_flag(&mut cdf[counts.last12_or_last3_gold()][0]) {
            let comp_ref_p1 = d.read_flag(&mut cdf[counts.last_or_last2()][1]);
            if comp_ref_p1 { LAST2_FRAME } else { LAST_FRAME }
        } else {
            let comp_ref_p2 = d.read_flag(&mut cdf[counts.last3_or_gold()][2]);
            if comp_ref_p2 { GOLDEN_FRAME } else { LAST3_FRAME }
        };
        let cdf = &mut self.cdfs.comp_bwd_ref;
        let backward = if d.read_flag(&mut cdf[counts.backward_or_altref()][0]) {
            ALTREF_FRAME
        } else {
            let comp_bwdref_p1 = d.read_flag(&mut cdf[counts.bwdref_or_altref2()][1]);
            if comp_bwdref_p1 { ALTREF2_FRAME } else { BWDREF_FRAME }
        };
        [forward, backward]
    }

    fn read_single(&mut self, counts: &RefCounts) -> i8 {
        let (d, cdf) = (&mut self.d, &mut self.cdfs.single_ref);
        if d.read_flag(&mut cdf[counts.forward_or_backward()][0]) {
            if d.read_flag(&mut cdf[counts.backward_or_altref()][1]) {
                return ALTREF_FRAME;
            }
            let single_ref_p6 = d.read_flag(&mut cdf[counts.bwdref_or_altref2()][5]);
            if single_ref_p6 { ALTREF2_FRAME } else { BWDREF_FRAME }
        } else if d.read_flag(&mut cdf[counts.last12_or_last3_gold()][2]) {
            let single_ref_p5 = d.read_flag(&mut cdf[counts.last3_or_gold()][4]);
            if single_ref_p5 { GOLDEN_FRAME } else { LAST3_FRAME }
        } else {
            let single_ref_p4 = d.read_flag(&mut cdf[counts.last_or_last2()][3]);
            if single_ref_p4 { LAST2_FRAME } else { LAST_FRAME }
        }
    }
}

fn check_backward(frame: i8) -> bool {
    frame >= BWDREF_FRAME
}

fn comp_mode_ctx(block: &Block) -> usize {
    let of_one = |one: ModeInfo| if one.is_single() { usize::from(check_backward(one.ref_frame[0])) } else { 3 };
    let beside_compound = |one: ModeInfo| 2 + usize::from(check_backward(one.ref_frame[0]) || one.is_intra());
    match (block.above, block.left) {
        (Some(above), Some(left)) => match (above.is_single(), left.is_single()) {
            (true, true) => usize::from(check_backward(above.ref_frame[0]) != check_backward(left.ref_frame[0])),
            (true, false) => beside_compound(above),
            (false, true) => beside_compound(left),
            (false, false) => 4,
        },
        (Some(one), None) | (None, Some(one)) => of_one(one),
        (None, None) => 1,
    }
}

fn comp_ref_type_ctx(block: &Block) -> usize {
    let is_samedir_ref_pair = |ref0: i8, ref1: i8| check_backward(ref0) == check_backward(ref1);
    let is_comp_inter = |one: &ModeInfo| !one.is_intra() && !one.is_single();
    let is_uni_comp = |one: &ModeInfo| is_comp_inter(one) && is_samedir_ref_pair(one.ref_frame[0], one.ref_frame[1]);
    let (above, left) = (block.above.as_ref(), block.left.as_ref());
    if let (Some(above), Some(left)) = (above, left) {
        if !above.is_intra() && !left.is_intra() {
            let samedir = usize::from(is_samedir_ref_pair(above.ref_frame[0], left.ref_frame[0]));
            let beside_single = |compound: &ModeInfo| if is_uni_comp(compound) { 3 + samedir } else { 1 };
            return match (is_comp_inter(above), is_comp_inter(left)) {
                (false, false) => 1 + 2 * samedir,
                (false, true) => beside_single(left),
                (true, false) => beside_single(above),
                (true, true) => match (is_uni_comp(above), is_uni_comp(left)) {
                    (false, false) => 0,
                    (true, true) => {
                        let is_bwdref = |one: &ModeInfo| one.ref_frame[0] == BWDREF_FRAME;
                        3 + usize::from(is_bwdref(above) == is_bwdref(left))
                    }
                    _ => 2,
                },
            };
        }
    }
    let weight = if above.is_some() && left.is_some() { (1, 2) } else { (0, 4) };
    match [above, left].into_iter().flatten().find(|one| is_comp_inter(one)) {
        Some(compound) => weight.0 + weight.1 * usize::from(is_uni_comp(compound)),
        None => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the specification's text asks of the neighbours.
    struct Specified {
        avail_u: bool,
        avail_l: bool,
        above: [i8; 2],
        left: [i8; 2],
    }

    impl Specified {
        fn comp_mode(&self) -> usize {
            let backward = |frame: i8| usize::from((BWDREF_FRAME..=ALTREF_FRAME).contains(&frame));
            let (above_single, left_single) = (self.above[1] <= INTRA_FRAME, self.left[1] <= INTRA_FRAME);
            let (above_intra, left_intra) =
                (usize::from(self.above[0] <= INTRA_FRAME), usize::from(self.left[0] <= INTRA_FRAME));
            if self.avail_u && self.avail_l {
                if above_single && left_single {
                    backward(self.above[0]) ^ backward(self.left[0])
                } else if above_single {
                    2 + (backward(self.above[0]) | above_intra)
                } else if left_single {
                    2 + (backward(self.left[0]) | left_intra)
                } else {
                    4
                }
            } else if self.avail_u {
                if above_single { backward(self.above[0]) } else { 3 }
            } else if self.avail_l {
                if left_single { backward(self.left[0]) } else { 3 }
            } else {
                1
            }
        }

        fn comp_ref_type(&self) -> usize {
            let is_samedir_ref_pair = |ref0: i8, ref1: i8| (ref0 >= BWDREF_FRAME) == (ref1 >= BWDREF_FRAME);
            let ([above0, above1], [left0, left1]) = (self.above, self.left);
            let (above_intra, left_intra) = (above0 <= INTRA_FRAME, left0 <= INTRA_FRAME);
            let above_comp_inter = self.avail_u && !above_intra && above1 > INTRA_FRAME;
            let left_comp_inter = self.avail_l && !left_intra && left1 > INTRA_FRAME;
            let above_uni_comp = above_comp_inter && is_samedir_ref_pair(above0, above1);
            let left_uni_comp = left_comp_inter && is_samedir_ref_pair(left0, left1);
            if self.avail_u && !above_intra && self.avail_l && !left_intra {
                let samedir = usize::from(is_samedir_ref_pair(above0, left0));
                if !above_comp_inter && !left_comp_inter {
                    1 + 2 * samedir
                } else if !above_comp_inter {
                    if !left_uni_comp { 1 } else { 3 + samedir }
                } else if !left_comp_inter {
                    if !above_uni_comp { 1 } else { 3 + samedir }
                } else if !above_uni_comp && !left_uni_comp {
                    0
                } else if !above_uni_comp || !left_uni_comp {
                    2
                } else {
                    3 + usize::from((above0 == BWDREF_FRAME) == (left0 == BWDREF_FRAME))
                }
            } else if self.avail_u && self.avail_l {
                if above_comp_inter {
                    1 + 2 * usize::from(above_uni_comp)
                } else if left_comp_inter {
                    1 + 2 * usize::from(left_uni_comp)
                } else {
                    2
                }
            } else if above_comp_inter {
                4 * usize::from(above_uni_comp)
            } else if left_comp_inter {
                4 * usize::from(left_uni_comp)
            } else {
                2
            }
        }
    }

    /// What a neighbour may refer to; `None` if it is not available.
    fn neighbours() -> Vec<Option<[i8; 2]>> {
        let intra = [INTRA_FRAME, NONE];
        let inter = (LAST_FRAME..=ALTREF_FRAME).flat_map(|first| (NONE..=ALTREF_FRAME).map(move |last| [first, last]));
        [None, Some(intra)].into_iter().chain(inter.map(Some)).collect()
    }

    #[test]
    fn contexts_of_compound_references_are_as_specified_beside_all_neighbours() {
        let neighbours = neighbours();
        for (above, left) in neighbours.iter().flat_map(|above| neighbours.iter().map(move |left| (*above, *left))) {
            let unavailable = [INTRA_FRAME, NONE];
            let specified = Specified {
                avail_u: above.is_some(),
                avail_l: left.is_some(),
                above: above.unwrap_or(unavailable),
                left: left.unwrap_or(unavailable),
            };
            let mode =
                |ref_frame: Option<[i8; 2]>| ref_frame.map(|ref_frame| ModeInfo { ref_frame, ..ModeInfo::default() });
            let block = Block { above: mode(above), left: mode(left), ..Block::default() };
            assert_eq!(comp_mode_ctx(&block), specified.comp_mode(), "{above:?} {left:?}");
            assert_eq!(comp_ref_type_ctx(&block), specified.comp_ref_type(), "{above:?} {left:?}");
        }
    }

    #[test]
    fn references_are_counted_where_there_are_neighbours() {
        let above = ModeInfo { ref_frame: [LAST3_FRAME, BWDREF_FRAME], ..ModeInfo::default() };
        let left = ModeInfo { ref_frame: [LAST3_FRAME, INTRA_FRAME], ..ModeInfo::default() };
        let both = RefCounts::new(&Block { above: Some(above), left: Some(left), ..Block::default() });
        assert_eq!(both.0, [0, 0, 0, 2, 0, 1, 0, 0]);
        let contexts = [both.forward_or_backward(), both.last12_or_last3_gold(), both.last_or_last2()];
        assert_eq!(contexts, [2, 0, 1]);
        assert_eq!(RefCounts::new(&Block::default()).0, [0; 8]);
    }
}
