//! The stack of candidates that the motion vector prediction process (7.10.2) builds.

use super::mode_grid::Mv;

const MAX_REF_MV_STACK_SIZE: usize = 8;
/// `REF_CAT_LEVEL`: what the weight of candidates next to the block is raised by.
pub const REF_CAT_LEVEL: u32 = 640;

/// One vector, or the two of compound prediction; without it the second is zero.
pub type Candidate = [Mv; 2];

/// What `find_mv_stack` finds.
#[derive(Debug, Clone, Default)]
pub struct MvStack {
    pub num_mv_found: usize,
    /// With single prediction, the first two are there even if they were not found.
    pub ref_stack_mv: [Candidate; MAX_REF_MV_STACK_SIZE],
    pub weight_stack: [u32; MAX_REF_MV_STACK_SIZE],
    pub global_mvs: Candidate,
    pub new_mv_context: usize,
    pub ref_mv_context: usize,
    pub zero_mv_context: usize,
    pub drl_ctx_stack: [u8; MAX_REF_MV_STACK_SIZE],
}

impl MvStack {
    /// Adds to the weight of a candidate, which goes onto the stack if it is new and there is room.
    pub fn add(&mut self, candidate: Candidate, weight: u32) {
        let found = &self.ref_stack_mv[..self.num_mv_found];
        if let Some(idx) = found.iter().position(|known| *known == candidate) {
            self.weight_stack[idx] += weight;
        } else if self.num_mv_found < MAX_REF_MV_STACK_SIZE {
            self.push(candidate, weight);
        }
    }

    pub fn push(&mut self, candidate: Candidate, weight: u32) {
        self.ref_stack_mv[self.num_mv_found] = candidate;
        self.weight_stack[self.num_mv_found] = weight;
        self.num_mv_found += 1;
    }

    /// The sorting process (7.10.2.11): by falling weight, and stable.
    pub fn sort(&mut self, start: usize, end: usize) {
        for sorted in start + 1..end {
            for idx in (start + 1..=sorted).rev() {
                if self.weight_stack[idx - 1] >= self.weight_stack[idx] {
                    break;
                }
                self.weight_stack.swap(idx - 1, idx);
                self.ref_stack_mv.swap(idx - 1, idx);
            }
        }
    }

    /// `DrlCtxStack` (7.10.2.14).
    pub fn set_drl_contexts(&mut self) {
        let found = &self.weight_stack[..self.num_mv_found];
        for (ctx, weights) in self.drl_ctx_stack.iter_mut().zip(found.windows(2)) {
            *ctx = match (weights[0] < REF_CAT_LEVEL, weights[1] < REF_CAT_LEVEL) {
                (true, _) => 2,
                (false, true) => 1,
                (false, false) => 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(row: i16) -> Candidate {
        [Mv { row, col: 0 }, Mv::default()]
    }

    #[test]
    fn a_candidate_is_on_the_stack_once_and_adds_to_its_weight() {
        let mut stack = MvStack::default();
        for row in (0..12).chain(0..12) {
            stack.add(candidate(row), 2);
        }
        assert_eq!(stack.num_mv_found, MAX_REF_MV_STACK_SIZE);
        assert!((0..8).all(|row| stack.ref_stack_mv[row as usize] == candidate(row)));
        assert_eq!(stack.weight_stack, [4; MAX_REF_MV_STACK_SIZE]);
    }

    #[test]
    fn a_part_of_the_stack_is_sorted_by_falling_weight_and_stays_else_in_order() {
        let mut stack = MvStack::default();
        for (row, weight) in [2, 8, 4, 8, 2, 4].into_iter().enumerate() {
            stack.add(candidate(row as i16), weight);
        }
        stack.sort(1, 6);
        let rows = stack.ref_stack_mv[..6].iter().map(|mvs| mvs[0].row);
        assert_eq!(rows.collect::<Vec<_>>(), [0, 1, 3, 2, 5, 4]);
        assert_eq!(stack.weight_stack[..6], [2, 8, 8, 4, 4, 2]);
    }
}
