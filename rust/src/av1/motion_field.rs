//! The motion that frames keep (7.19), and the motion field that a later frame projects from it (7.9).

use super::mode_grid::{ModeGrid, ModeInfo, Mv, ref_frame};
use super::sequence_header::SequenceHeader;

const MAX_FRAME_DISTANCE: i32 = 31;
const MAX_OFFSET_WIDTH: i32 = 8;
const MAX_OFFSET_HEIGHT: i32 = 0;
const MFMV_STACK_SIZE: i32 = 3;
/// `REFMVS_LIMIT`: longer vectors are not kept.
const REFMVS_LIMIT: u16 = (1 << 12) - 1;

/// By reference frame, `INTRA_FRAME` first.
pub type OrderHints = [u32; 8];

/// The vector of 8x8 luma samples, and the frame it points to; `INTRA_FRAME` if there is none.
#[derive(Debug, Clone, Copy, Default)]
struct SavedMv {
    mv: Mv,
    ref_frame: u8,
}

/// `SavedMvs` and `SavedRefFrames` of an inter frame, where both row and column are odd: no others are looked at.
#[derive(Debug)]
pub struct SavedMotion {
    mi_rows: usize,
    mi_cols: usize,
    vectors: Vec<SavedMv>,
    /// `SavedOrderHints`.
    order_hints: OrderHints,
}

impl SavedMotion {
    /// The motion field motion vector storage process (7.19), of a frame whose references have `order_hints`.
    pub fn store(modes: &ModeGrid, sequence: &SequenceHeader, order_hint: u32, order_hints: &OrderHints) -> Self {
        let (mi_rows, mi_cols) = modes.size();
        let is_before = order_hints.map(|hint| sequence.get_relative_dist(hint, order_hint) < 0);
        let saved = |block: &ModeInfo| {
            let is_kept = |list: &usize| {
                let (r, mv) = (block.ref_frame[*list], block.mv[*list]);
                let is_short = |component: i16| component.unsigned_abs() <= REFMVS_LIMIT;
                r > ref_frame::INTRA_FRAME && is_before[r as usize & 7] && is_short(mv.row) && is_short(mv.col)
            };
            // The second reference goes before the first.
            let kept = [1, 0].into_iter().find(is_kept);
            kept.map_or_else(SavedMv::default, |list| SavedMv {
                mv: block.mv[list],
                ref_frame: block.ref_frame[list] as u8 & 7,
            })
        };
        let mut vectors = Vec::with_capacity(mi_rows / 2 * (mi_cols / 2));
        for row in (1..mi_rows).step_by(2) {
            // Most places are covered by the same block as the one before.
            let mut last: Option<(&ModeInfo, SavedMv)> = None;
            for col in (1..mi_cols).step_by(2) {
                let block = modes.at(row, col);
                let known = last.filter(|(last, _)| std::ptr::eq(*last, block));
                let (_, vector) = *last.insert(known.unwrap_or_else(|| (block, saved(block))));
                vectors.push(vector);
            }
        }
        Self { mi_rows, mi_cols, vectors, order_hints: *order_hints }
    }
}

/// What is known of 8x8 luma samples' motion: how far it went over how many frames, 0 if nothing is.
#[derive(Debug, Clone, Copy, Default)]
struct FieldMv {
    mv: Mv,
    ref_offset: u8,
}

/// `MotionFieldMvs`, before they are projected to one of the reference frames.
#[derive(Debug)]
pub struct MotionField {
    width8: usize,
    vectors: Vec<FieldMv>,
}

/// What a motion field is estimated from.
pub struct Estimation<'a> {
    pub sequence: &'a SequenceHeader,
    pub mi_rows: usize,
    pub mi_cols: usize,
    pub order_hint: u32,
    /// `OrderHints`.
    pub order_hints: &'a OrderHints,
    /// What each reference frame keeps; nothing for intra frames.
    pub references: [Option<&'a SavedMotion>; 8],
}

impl Estimation<'_> {
    /// The motion field estimation process (7.9.1).
    pub fn run(&self) -> MotionField {
        let width8 = self.mi_cols / 2;
        let mut field = MotionField { width8, vectors: vec![FieldMv::default(); width8 * (self.mi_rows / 2)] };
        let [last, last2, golden, bwdref, altref2, altref] = [
            ref_frame::LAST_FRAME,
            ref_frame::LAST2_FRAME,
            ref_frame::GOLDEN_FRAME,
            ref_frame::BWDREF_FRAME,
            ref_frame::ALTREF2_FRAME,
            ref_frame::ALTREF_FRAME,
        ]
        .map(|frame| frame as usize);
        let last_alt_order_hint = self.references[last].map(|motion| motion.order_hints[altref]);
        if last_alt_order_hint != Some(self.order_hints[golden]) {
            self.project(&mut field, last, -1);
        }
        let is_ahead = |src: usize| self.sequence.get_relative_dist(self.order_hints[src], self.order_hint) > 0;
        let mut ref_stamp = MFMV_STACK_SIZE - 2;
        for src in [bwdref, altref2] {
            if is_ahead(src) && self.project(&mut field, src, 1) {
                ref_stamp -= 1;
            }
        }
        if is_ahead(altref) && ref_stamp >= 0 && self.project(&mut field, altref, 1) {
            ref_stamp -= 1;
        }
        if ref_stamp >= 0 {
            self.project(&mut field, last2, -1);
        }
        field
    }

    /// The projection process (7.9.2). Tells whether there was something to project.
    fn project(&self, field: &mut MotionField, src: usize, dst_sign: i32) -> bool {
        let Some(motion) = self.references[src] else { return false };
        if (motion.mi_rows, motion.mi_cols) != (self.mi_rows, self.mi_cols) {
            return false;
        }
        let dist = |a, b| self.sequence.get_relative_dist(a, b);
        let src_hint = self.order_hints[src];
        let ref_to_cur = dist(src_hint, self.order_hint);
        if ref_to_cur.abs() > MAX_FRAME_DISTANCE || field.width8 == 0 {
            return true;
        }
        // By the frame that a vector points to: over how many frames it goes, and what takes it to the current frame.
        let mut projections = motion.order_hints.map(|hint| {
            let ref_offset = dist(src_hint, hint);
            let is_valid = (1..=MAX_FRAME_DISTANCE).contains(&ref_offset);
            is_valid.then(|| (ref_offset as u8, projection_factor(ref_to_cur * dst_sign, ref_offset)))
        });
        projections[ref_frame::INTRA_FRAME as usize] = None;
        let (width8, height8) = (field.width8 as i32, (self.mi_rows / 2) as i32);
        for (y8, line) in motion.vectors.chunks_exact(field.width8).enumerate() {
            for (x8, saved) in line.iter().enumerate() {
                let Some((ref_offset, factor)) = projections[usize::from(saved.ref_frame & 7)] else { continue };
                let proj_row = scale(saved.mv.row, factor);
                let row = project(y8 as i32, proj_row, dst_sign, height8, MAX_OFFSET_HEIGHT);
                let Some(row) = row else { continue };
                let proj_col = scale(saved.mv.col, factor);
                if let Some(col) = project(x8 as i32, proj_col, dst_sign, width8, MAX_OFFSET_WIDTH) {
                    field.vectors[row * field.width8 + col] = FieldMv { mv: saved.mv, ref_offset };
                }
            }
        }
        true
    }
}

impl MotionField {
    /// `MotionFieldMvs` for a frame that is `ref_to_dst` frames before the current one; `None` for an invalid vector.
    #[inline]
    pub fn at(&self, y8: usize, x8: usize, ref_to_dst: i32) -> Option<Mv> {
        let known = self.vectors[y8 * self.width8 + x8];
        (known.ref_offset > 0).then(|| get_mv_projection(known.mv, ref_to_dst, i32::from(known.ref_offset)))
    }
}

/// The get MV projection process (7.9.3): the vector over `numerator` frames of one over `denominator`.
#[inline]
fn get_mv_projection(mv: Mv, numerator: i32, denominator: i32) -> Mv {
    let factor = projection_factor(numerator, denominator);
    Mv { row: scale(mv.row, factor), col: scale(mv.col, factor) }
}

/// What `scale` multiplies by.
#[inline]
fn projection_factor(numerator: i32, denominator: i32) -> i32 {
    const DIV_MULT: [i32; 32] = [
        0, 16384, 8192, 5461, 4096, 3276, 2730, 2340, 2048, 1820, 1638, 1489, 1365, 1260, 1170, 1092, 1024, 963, 910,
        862, 819, 780, 744, 712, 682, 655, 630, 606, 585, 564, 546, 528,
    ];
    let clipped_denominator = denominator.clamp(0, MAX_FRAME_DISTANCE);
    let clipped_numerator = numerator.clamp(-MAX_FRAME_DISTANCE, MAX_FRAME_DISTANCE);
    clipped_numerator * DIV_MULT[clipped_denominator as usize]
}

/// A saved vector's component, which is no longer than `REFMVS_LIMIT`: the product has 32 bits.
#[inline]
fn scale(component: i16, factor: i32) -> i16 {
    let product = i32::from(component) * factor;
    let scaled = ((product.abs() + (1 << 13)) >> 14) * product.signum();
    scaled.clamp(-(1 << 14) + 1, (1 << 14) - 1) as i16
}

/// `project` of the get block position process (7.9.4); `None` where `posValid` becomes 0.
#[inline]
fn project(v8: i32, delta: i16, dst_sign: i32, max8: i32, max_off8: i32) -> Option<usize> {
    let base8 = v8 & !7;
    let offset8 = i32::from(delta.unsigned_abs() >> 6) * i32::from(delta.signum());
    let v8 = v8 + dst_sign * offset8;
    ((base8 - max_off8).max(0)..(base8 + 8 + max_off8).min(max8)).contains(&v8).then_some(v8 as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_scale_with_the_distance_and_round_away_from_zero() {
        let mv = Mv { row: -24, col: 25 };
        assert_eq!(get_mv_projection(mv, 1, 1), mv);
        assert_eq!(get_mv_projection(mv, -2, 4), Mv { row: 12, col: -13 });
        assert_eq!(get_mv_projection(mv, 40, 1), Mv { row: -744, col: 775 });
        assert_eq!(get_mv_projection(Mv { row: -4095, col: 4095 }, 31, 1), Mv { row: -16383, col: 16383 });
        assert_eq!(get_mv_projection(mv, 1, 0), Mv::default());
    }

    #[test]
    fn positions_stay_within_their_row_of_superblocks_and_near_their_column() {
        assert_eq!(project(7, 64, 1, 100, MAX_OFFSET_HEIGHT), None);
        assert_eq!(project(7, 63, 1, 100, MAX_OFFSET_HEIGHT), Some(7));
        assert_eq!(project(7, 64, -1, 100, MAX_OFFSET_HEIGHT), Some(6));
        assert_eq!(project(7, 64 * 8, 1, 100, MAX_OFFSET_WIDTH), Some(15));
        assert_eq!(project(7, 64 * 9, 1, 100, MAX_OFFSET_WIDTH), None);
        assert_eq!(project(7, 64 * 9, 1, 10, MAX_OFFSET_WIDTH), None);
        assert_eq!(project(3, -64 * 4, 1, 10, MAX_OFFSET_WIDTH), None);
    }
}
