//! Contexts of the reference frames (9.3.2), from those of the blocks above and to the left.

use super::block::{GOLDEN_FRAME, LAST_FRAME, RefFrames};

use Neighbors::{Both, Neither, One};

/// The reference frames of the blocks above and to the left, as far as they are available.
#[derive(Debug, Clone, Copy)]
pub enum Neighbors {
    Neither,
    One(RefFrames),
    Both(RefFrames, RefFrames),
}

impl Neighbors {
    pub fn new(above: Option<RefFrames>, left: Option<RefFrames>) -> Self {
        match (above, left) {
            (Some(above), Some(left)) => Both(above, left),
            (Some(one), None) | (None, Some(one)) => One(one),
            (None, None) => Neither,
        }
    }

    /// `comp_mode`.
    pub fn comp_mode(self, fixed_ref: i8) -> usize {
        let is_fixed = |refs: RefFrames| refs.0[0] == fixed_ref;
        match self {
            Neither => 1,
            One(refs) if refs.is_compound() => 3,
            One(refs) => usize::from(is_fixed(refs)),
            Both(a, b) => match (a.is_compound(), b.is_compound()) {
                (true, true) => 4,
                (true, false) => 2 + usize::from(is_fixed(b) || !b.is_inter()),
                (false, true) => 2 + usize::from(is_fixed(a) || !a.is_inter()),
                (false, false) => usize::from(is_fixed(a) != is_fixed(b)),
            },
        }
    }

    /// `comp_ref`; `var_index` is where a compound block has its variable reference.
    pub fn comp_ref(self, fixed_ref: i8, var_ref: [i8; 2], var_index: usize) -> usize {
        let variable = |refs: RefFrames| if refs.is_compound() { refs.0[var_index] } else { refs.0[0] };
        let other_than_second = |refs: RefFrames| usize::from(variable(refs) != var_ref[1]);
        match self {
            Neither => 2,
            One(refs) if !refs.is_inter() => 2,
            One(refs) => other_than_second(refs) * if refs.is_compound() { 4 } else { 3 },
            Both(a, b) => match (a.is_inter(), b.is_inter()) {
                (false, false) => 2,
                (true, false) => 1 + 2 * other_than_second(a),
                (false, true) => 1 + 2 * other_than_second(b),
                (true, true) => {
                    let (va, vb) = (variable(a), variable(b));
                    if va == vb && va == var_ref[1] {
                        return 0;
                    }
                    match (a.is_compound(), b.is_compound()) {
                        (true, true) => {
                            if va == vb {
                                4
                            } else {
                                2
                            }
                        }
                        (false, false) => comp_ref_of_singles([va, vb], fixed_ref, var_ref),
                        (true, false) => comp_ref_of_mixed(vb, va, var_ref[1]),
                        (false, true) => comp_ref_of_mixed(va, vb, var_ref[1]),
                    }
                }
            },
        }
    }

    /// `single_ref_p1`: last, or one of the others.
    pub fn single_ref_p1(self) -> usize {
        let has_last = |refs: RefFrames| usize::from(refs.has(LAST_FRAME));
        let of_one = |refs: RefFrames| match (refs.is_inter(), refs.is_compound()) {
            (false, _) => 2,
            (true, true) => 1 + has_last(refs),
            (true, false) => 4 * has_last(refs),
        };
        match self {
            Neither => 2,
            One(refs) => of_one(refs),
            Both(a, b) if !a.is_inter() => of_one(b),
            Both(a, b) if !b.is_inter() => of_one(a),
            Both(a, b) => match (a.is_compound(), b.is_compound()) {
                (true, true) => 1 + (has_last(a) | has_last(b)),
                (false, false) => 2 * (has_last(a) + has_last(b)),
                (true, false) => 3 * has_last(b) + has_last(a),
                (false, true) => 3 * has_last(a) + has_last(b),
            },
        }
    }

    /// `single_ref_p2`: golden or alternate.
    pub fn single_ref_p2(self) -> usize {
        let has_golden = |refs: RefFrames| usize::from(refs.has(GOLDEN_FRAME));
        match self {
            Neither => 2,
            One(refs) if !refs.is_inter() || refs.0 == RefFrames::single(LAST_FRAME).0 => 2,
            One(refs) => has_golden(refs) * if refs.is_compound() { 3 } else { 4 },
            Both(a, b) => match (a.is_inter(), b.is_inter()) {
                (false, false) => 2,
                (true, false) => single_ref_p2_beside_intra(a),
                (false, true) => single_ref_p2_beside_intra(b),
                (true, true) => match (a.is_compound(), b.is_compound()) {
                    (true, true) => {
                        if a == b {
                            3 * has_golden(a)
                        } else {
                            2
                        }
                    }
                    (false, false) => single_ref_p2_of_singles(a.0[0], b.0[0]),
                    (true, false) => single_ref_p2_of_mixed(b.0[0], has_golden(a)),
                    (false, true) => single_ref_p2_of_mixed(a.0[0], has_golden(b)),
                },
            },
        }
    }
}

fn comp_ref_of_singles(refs: [i8; 2], fixed_ref: i8, var_ref: [i8; 2]) -> usize {
    if refs == [fixed_ref, var_ref[0]] || refs == [var_ref[0], fixed_ref] {
        4
    } else if refs[0] == refs[1] {
        3
    } else {
        1
    }
}

/// A single reference and a compound block's variable one; they are not both the second variable reference.
fn comp_ref_of_mixed(single: i8, variable: i8, second: i8) -> usize {
    if variable == second {
        1
    } else if single == second {
        2
    } else {
        4
    }
}

fn single_ref_p2_beside_intra(refs: RefFrames) -> usize {
    let has_golden = usize::from(refs.has(GOLDEN_FRAME));
    if refs.is_compound() {
        1 + 2 * has_golden
    } else if refs.0[0] == LAST_FRAME {
        3
    } else {
        4 * has_golden
    }
}

fn single_ref_p2_of_singles(a: i8, b: i8) -> usize {
    let golden = |frame| usize::from(frame == GOLDEN_FRAME);
    match (a == LAST_FRAME, b == LAST_FRAME) {
        (true, true) => 3,
        (true, false) => 4 * golden(b),
        (false, true) => 4 * golden(a),
        (false, false) => 2 * (golden(a) + golden(b)),
    }
}

fn single_ref_p2_of_mixed(single: i8, compound_has_golden: usize) -> usize {
    match single {
        GOLDEN_FRAME => 3 + compound_has_golden,
        LAST_FRAME => 1 + 2 * compound_has_golden,
        _ => compound_has_golden,
    }
}
