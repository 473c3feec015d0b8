//! What the order hints of the frames in the slots say: which slots a frame with few words refers to (7.8), and which
//! two references a block in skip mode has (5.9.22).

use super::frame_start::{NUM_REF_FRAMES, REFS_PER_FRAME};
use super::sequence_header::SequenceHeader;

// Reference frames less LAST_FRAME.
const LAST: usize = 0;
const LAST2: usize = 1;
const LAST3: usize = 2;
const GOLDEN: usize = 3;
const BWDREF: usize = 4;
const ALTREF2: usize = 5;
const ALTREF: usize = 6;

const REF_FRAME_LIST: [usize; REFS_PER_FRAME - 2] = [LAST2, LAST3, BWDREF, ALTREF2, ALTREF];

/// `set_frame_refs` (7.8): `ref_frame_idx`, from the order hints of the frames in the slots (`RefOrderHint`).
pub fn set_frame_refs(
    sequence: &SequenceHeader,
    ref_order_hint: &[u32; NUM_REF_FRAMES],
    order_hint: u32,
    last_frame_idx: usize,
    gold_frame_idx: usize,
) -> [usize; REFS_PER_FRAME] {
    // shiftedOrderHints, less curFrameHint
    let mut slots = Slots { hints: ref_order_hint.map(|hint| sequence.get_relative_dist(hint, order_hint)), used: 0 };
    let mut ref_frame_idx = [None; REFS_PER_FRAME];
    ref_frame_idx[LAST] = Some(last_frame_idx);
    ref_frame_idx[GOLDEN] = Some(gold_frame_idx);
    slots.used = 1 << last_frame_idx | 1 << gold_frame_idx;
    ref_frame_idx[ALTREF] = slots.take_latest(|hint| hint >= 0);
    ref_frame_idx[BWDREF] = slots.take_earliest(|hint| hint >= 0);
    ref_frame_idx[ALTREF2] = slots.take_earliest(|hint| hint >= 0);
    for reference in REF_FRAME_LIST {
        if ref_frame_idx[reference].is_none() {
            ref_frame_idx[reference] = slots.take_latest(|hint| hint < 0);
        }
    }
    slots.used = 0;
    let earliest = slots.take_earliest(|_| true).unwrap_or_default();
    ref_frame_idx.map(|slot| slot.unwrap_or(earliest))
}

struct Slots {
    hints: [i32; NUM_REF_FRAMES],
    /// `usedFrame`: bit i for slot i.
    used: u8,
}

impl Slots {
    /// Of equal ones the last.
    fn take_latest(&mut self, is_candidate: impl Fn(i32) -> bool) -> Option<usize> {
        let slot = self.candidates(is_candidate).max_by_key(|&slot| self.hints[slot]);
        self.take(slot)
    }

    /// Of equal ones the first.
    fn take_earliest(&mut self, is_candidate: impl Fn(i32) -> bool) -> Option<usize> {
        let slot = self.candidates(is_candidate).min_by_key(|&slot| self.hints[slot]);
        self.take(slot)
    }

    fn candidates(&self, is_candidate: impl Fn(i32) -> bool) -> impl Iterator<Item = usize> {
        (0..NUM_REF_FRAMES).filter(move |&slot| self.used >> slot & 1 == 0 && is_candidate(self.hints[slot]))
    }

    fn take(&mut self, slot: Option<usize>) -> Option<usize> {
        self.used |= slot.map_or(0, |slot| 1 << slot);
        slot
    }
}

/// `SkipModeFrame` (5.9.22), less `LAST_FRAME`, where `skipModeAllowed`. `order_hints` are those of the references.
pub fn skip_mode_frames(
    sequence: &SequenceHeader,
    order_hints: &[u32; REFS_PER_FRAME],
    order_hint: u32,
) -> Option<[usize; 2]> {
    let distances = order_hints.map(|hint| sequence.get_relative_dist(hint, order_hint));
    let latest = |is_candidate: &dyn Fn(i32) -> bool| {
        // Of equal ones the first.
        (0..REFS_PER_FRAME).rev().filter(|&i| is_candidate(distances[i])).max_by_key(|&i| distances[i])
    };
    let forward = latest(&|distance| distance < 0)?;
    let backward = (0..REFS_PER_FRAME).filter(|&i| distances[i] > 0).min_by_key(|&i| distances[i]);
    let second = backward.or_else(|| {
        let is_before = |i: usize| sequence.get_relative_dist(order_hints[i], order_hints[forward]) < 0;
        let before = (0..REFS_PER_FRAME).rev().filter(|&i| is_before(i));
        before.max_by_key(|&i| sequence.get_relative_dist(order_hints[i], order_hints[forward]))
    })?;
    Some([forward.min(second), forward.max(second)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence() -> SequenceHeader {
        SequenceHeader { enable_order_hint: true, order_hint_bits: 7, ..SequenceHeader::default() }
    }

    #[test]
    fn short_signaling_takes_the_nearest_frames_of_both_sides() {
        let refs = |hints, order_hint, last, gold| set_frame_refs(&sequence(), &hints, order_hint, last, gold);
        // In the order LAST, LAST2, LAST3, GOLDEN, BWDREF, ALTREF2, ALTREF.
        assert_eq!(refs([10, 11, 12, 13, 14, 20, 18, 16], 15, 4, 0), [4, 3, 2, 0, 7, 6, 5]);
        assert_eq!(refs([1, 2, 3, 4, 5, 6, 7, 8], 9, 7, 0), [7, 6, 5, 0, 4, 3, 2]);
        // Hints wrap around; where frames are missing, the earliest stands for them.
        assert_eq!(refs([126, 127, 0, 2, 126, 126, 126, 126], 1, 2, 1), [2, 7, 6, 1, 5, 4, 3]);
        assert_eq!(refs([5; 8], 9, 1, 2), [1, 7, 6, 2, 5, 4, 3]);
        assert_eq!(refs([9, 4, 4, 4, 4, 4, 4, 4], 3, 1, 2), [1, 1, 1, 2, 3, 4, 0]);
    }

    #[test]
    fn skip_mode_takes_the_nearest_frame_of_each_side_or_the_two_before() {
        let frames = |hints, order_hint| skip_mode_frames(&sequence(), &hints, order_hint);
        assert_eq!(frames([3, 4, 4, 1, 9, 8, 8], 6), Some([1, 5]));
        assert_eq!(frames([3, 4, 4, 1, 2, 2, 0], 6), Some([0, 1]));
        assert_eq!(frames([4; 7], 6), None);
        assert_eq!(frames([8; 7], 6), None);
        assert_eq!(frames([6; 7], 6), None);
    }
}
