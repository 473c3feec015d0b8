//! Motion vector prediction (6.5): the candidates that neighbours in space and time give.

use super::block::{InterMode, ModeInfo, Mv, RefFrames};
use super::place::Place;
use super::tables::{COUNTER_TO_CONTEXT, MV_REF_BLOCKS};
use super::tile::Tile;

/// How far outside of the picture, in eighths of a sample, a candidate may lead.
const MV_BORDER: i32 = 16 << 3;

/// Vectors this long, in whole samples, are not coded in high precision.
const COMPANDED_MVREF_THRESH: u16 = 8;

/// `use_mv_hp` (6.5.13).
#[inline]
pub fn use_mv_hp(mv: Mv) -> bool {
    mv.row.unsigned_abs() >> 3 < COMPANDED_MVREF_THRESH && mv.col.unsigned_abs() >> 3 < COMPANDED_MVREF_THRESH
}

/// `find_best_ref_mvs` (6.5.12): without high precision, odd components go one step towards zero.
#[inline]
pub fn with_mv_precision(mv: Mv, allow_high_precision_mv: bool) -> Mv {
    if allow_high_precision_mv && use_mv_hp(mv) {
        return mv;
    }
    let even = |v: i16| if v & 1 == 1 { v - v.signum() } else { v };
    Mv { row: even(mv.row), col: even(mv.col) }
}

/// `RefListMv`: the first two different candidates.
struct Candidates {
    mvs: [Mv; 2],
    found: usize,
    wanted: usize,
}

impl Candidates {
    /// `add_mv_ref_list` (6.5.6). Tells whether there are enough.
    #[inline(always)]
    fn add(&mut self, mv: Mv) -> bool {
        if self.found == 0 {
            self.mvs[0] = mv;
            self.found = 1;
        } else if mv != self.mvs[0] {
            self.mvs[1] = mv;
            self.found = 2;
        }
        self.found == self.wanted
    }
}

impl<const COSTS: bool> Tile<'_, COSTS> {
    /// The blocks to look for candidates in, in order of preference, `None` outside of the tile.
    #[inline(always)]
    fn neighbors(&self, place: &Place) -> impl Iterator<Item = Option<&ModeInfo>> + Clone {
        let (place_row, place_col) = (place.row, place.col);
        MV_REF_BLOCKS[place.size as usize].iter().map(move |&(row, col)| {
            let row = place_row.wrapping_add_signed(isize::from(row));
            let col = place_col.wrapping_add_signed(isize::from(col));
            let is_inside = row < self.frame.mi_rows && col >= self.area.col_start && col < self.area.col_end;
            is_inside.then(|| self.state.blocks.at(row, col))
        })
    }

    /// The context of `inter_mode`: the modes of the first two neighbours.
    pub(super) fn inter_mode_context(&self, place: &Place) -> usize {
        let counters = self.neighbors(place).take(2).flatten().map(|neighbor| usize::from(neighbor.mode_counter));
        usize::from(COUNTER_TO_CONTEXT[counters.sum::<usize>().min(18)])
    }

    /// `find_mv_refs` (6.5.1): the first candidate for `frame`, or with `second` the second one. `block` is the 4x4
    /// block in question below 8x8.
    #[inline]
    pub(super) fn find_mv(&self, place: &Place, frame: i8, block: Option<usize>, second: bool) -> Mv {
        self.find_mvs(place, frame, block, if second { 2 } else { 1 })[usize::from(second)]
    }

    fn find_mvs(&self, place: &Place, frame: i8, block: Option<usize>, wanted: usize) -> [Mv; 2] {
        let mut candidates = Candidates { mvs: [Mv::default(); 2], found: 0, wanted };
        self.collect_candidates(place, frame, block, &mut candidates);
        candidates.mvs.map(|mv| self.clamp_mv(place, mv))
    }

    fn collect_candidates(&self, place: &Place, frame: i8, block: Option<usize>, candidates: &mut Candidates) {
        let prev = self.frame.prev_blocks.map(|blocks| blocks.at(place.row, place.col));
        for (i, neighbor) in self.neighbors(place).enumerate() {
            let Some(neighbor) = neighbor else { continue };
            let mvs = match block {
                // Those of its 4x4 block that touches `block`.
                Some(block) if i == 0 => neighbor.mvs[2 | block & 1],
                Some(block) if i == 1 => neighbor.mvs[1 | block & 2],
                _ => neighbor.mvs[3],
            };
            if add_same_frame(candidates, neighbor.refs, mvs, frame) {
                return;
            }
        }
        if let Some(prev) = prev {
            if add_same_frame(candidates, prev.refs, prev.mvs[3], frame) {
                return;
            }
        }
        // Not enough vectors into the same frame: take those into other frames.
        for neighbor in self.neighbors(place).flatten() {
            if self.add_different_frame(candidates, neighbor, frame) {
                return;
            }
        }
        if let Some(prev) = prev {
            self.add_different_frame(candidates, prev, frame);
        }
    }

    /// `if_diff_ref_frame_add_mv` (6.5.8).
    #[inline(always)]
    fn add_different_frame(&self, candidates: &mut Candidates, neighbor: &ModeInfo, frame: i8) -> bool {
        let sign_bias = &self.frame.header.sign_bias;
        let bias = |frame: i8| sign_bias[frame as usize & 3];
        let ([first, second], [first_mv, second_mv]) = (neighbor.refs.0, neighbor.mvs[3]);
        if !neighbor.refs.is_inter() {
            return false;
        }
        if first != frame && candidates.add(first_mv.negated_if(bias(first) != bias(frame))) {
            return true;
        }
        neighbor.refs.is_compound()
            && second != frame
            && second_mv != first_mv
            && candidates.add(second_mv.negated_if(bias(second) != bias(frame)))
    }

    /// `clamp_mv_ref` (6.5.3).
    fn clamp_mv(&self, place: &Place, mv: Mv) -> Mv {
        let clamp = |v: i16, position: usize, units: usize, end: usize| {
            let to_start = -(position as i32 * 64);
            let to_end = (end as i32 - units as i32 - position as i32) * 64;
            // Both bounds are on the far side of every vector that they do not touch: the result fits.
            i32::from(v).clamp(to_start - MV_BORDER, to_end + MV_BORDER) as i16
        };
        Mv {
            row: clamp(mv.row, place.row, place.size.height8(), self.frame.mi_rows),
            col: clamp(mv.col, place.col, place.size.width8(), self.frame.mi_cols),
        }
    }

    /// `append_sub8x8_mvs` (6.5.14): nearest or near of a 4x4 block, by reference; `mvs` are the blocks' before it.
    pub(super) fn sub8x8_mvs(
        &self,
        place: &Place,
        refs: RefFrames,
        inter_mode: InterMode,
        block: usize,
        mvs: &[[Mv; 2]; 4],
    ) -> [Mv; 2] {
        let is_near = inter_mode == InterMode::Near;
        let of_list = |list: usize| {
            let frame = refs.0[list];
            let [first, second, third, _] = mvs.map(|mvs| mvs[list]);
            match (block, is_near) {
                (0, _) => self.find_mv(place, frame, Some(block), is_near),
                (1 | 2, false) => first,
                (1 | 2, true) => self.first_other_than(first, &[], place, frame, block),
                (_, false) => third,
                (_, true) => self.first_other_than(third, &[second, first], place, frame, block),
            }
        };
        [of_list(0), if refs.is_compound() { of_list(1) } else { Mv::default() }]
    }

    /// The first of the blocks' vectors, then of the candidates, that differs from the nearest one.
    fn first_other_than(&self, nearest: Mv, blocks: &[Mv], place: &Place, frame: i8, block: usize) -> Mv {
        let other = |mvs: &[Mv]| mvs.iter().copied().find(|&mv| mv != nearest);
        other(blocks).or_else(|| other(&self.find_mvs(place, frame, Some(block), 2))).unwrap_or_default()
    }
}

/// `if_same_ref_frame_add_mv` (6.5.7).
#[inline(always)]
fn add_same_frame(candidates: &mut Candidates, refs: RefFrames, mvs: [Mv; 2], frame: i8) -> bool {
    if refs.0[0] == frame {
        candidates.add(mvs[0])
    } else if refs.0[1] == frame {
        candidates.add(mvs[1])
    } else {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_is_lowered_towards_zero() {
        let mv = |row, col| Mv { row, col };
        assert_eq!(with_mv_precision(mv(5, -7), true), mv(5, -7));
        assert_eq!(with_mv_precision(mv(5, -7), false), mv(4, -6));
        assert_eq!(with_mv_precision(mv(64, -7), true), mv(64, -6));
        assert_eq!(with_mv_precision(mv(-63, 63), true), mv(-63, 63));
    }
}
