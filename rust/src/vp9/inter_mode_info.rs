//! Modes, reference frames and motion vectors of inter blocks (6.4.16 on).

use super::block::{ALTREF_FRAME, Edge, GOLDEN_FRAME, InterMode, LAST_FRAME, ModeInfo, Mv, RefFrames, fill_sub_blocks};
use super::compressed_header::ReferenceMode;
use super::frame_header::InterpolationFilter;
use super::mv_prediction::{use_mv_hp, with_mv_precision};
use super::place::Place;
use super::reference_contexts::Neighbors;
use super::tables::MV_CLASS_TREE;
use super::tile::Tile;
use crate::error::{Error, Result};

/// A valid vector's components are smaller.
const MV_LIMIT: i32 = 1 << 14;

impl<const COSTS: bool> Tile<'_, COSTS> {
    /// `inter_block_mode_info` (6.4.16).
    pub(super) fn inter_block_mode_info(
        &mut self,
        place: &Place,
        mode: &mut ModeInfo,
        above: Option<Edge>,
        left: Option<Edge>,
    ) -> Result<()> {
        let start = self.d.tell();
        mode.refs = self.read_ref_frames(mode.segment_id, above, left);
        self.note_motion(start);
        let ctx = self.inter_mode_context(place);
        let is_skipped_segment = self.frame.header.segmentation.skip(mode.segment_id);
        if is_skipped_segment && place.size.is_sub8x8() {
            return Err(Error::corrupt("a block below 8x8 in a segment of skipped blocks", start));
        }
        let inter_mode =
            if is_skipped_segment || place.size.is_sub8x8() { InterMode::Zero } else { self.read_inter_mode(ctx) };
        mode.interp_filter = match self.frame.header.interpolation_filter {
            InterpolationFilter::Switchable => self.read_interp_filter(above, left),
            InterpolationFilter::Fixed(filter) => filter,
        };
        if place.size.is_sub8x8() {
            return self.sub8x8_modes(place, mode, ctx);
        }
        mode.mode_counter = inter_mode.counter();
        if inter_mode != InterMode::Zero {
            let mut mvs = self.best_mvs(place, mode.refs, inter_mode);
            if inter_mode == InterMode::New {
                mvs = self.read_mvs(mode.refs, mvs)?;
            }
            mode.mvs = [mvs; 4];
        }
        Ok(())
    }

    fn sub8x8_modes(&mut self, place: &Place, mode: &mut ModeInfo, ctx: usize) -> Result<()> {
        let refs = mode.refs;
        let mut best_mvs = None;
        self.for_each_sub_block(place, |tile, block| {
            let inter_mode = tile.read_inter_mode(ctx);
            let mvs = match inter_mode {
                InterMode::Zero => [Mv::default(); 2],
                InterMode::New => {
                    // New vectors start from the best of the whole block.
                    let best = *best_mvs.get_or_insert_with(|| tile.best_mvs(place, refs, InterMode::New));
                    tile.read_mvs(refs, best)?
                }
                _ => tile.sub8x8_mvs(place, refs, inter_mode, block, &mode.mvs),
            };
            fill_sub_blocks(&mut mode.mvs, place.size, block, mvs);
            mode.mode_counter = inter_mode.counter();
            Ok(())
        })
    }

    fn read_inter_mode(&mut self, ctx: usize) -> InterMode {
        let inter_mode = InterMode::CODED[self.d.unary(&self.frame.probs.inter_mode[ctx])];
        self.state.counts.inter_mode[ctx][inter_mode as usize] += 1;
        inter_mode
    }

    fn read_interp_filter(&mut self, above: Option<Edge>, left: Option<Edge>) -> u8 {
        // 3, as intra blocks have it, also stands for a block that is not available.
        let above = above.map_or(3, |edge| edge.interp_filter);
        let left = left.map_or(3, |edge| edge.interp_filter);
        let ctx = match (above, left) {
            _ if above == left => above,
            (3, one) | (one, 3) => one,
            _ => 3,
        };
        let ctx = usize::from(ctx & 3);
        let value = self.d.unary(&self.frame.probs.interp_filter[ctx]);
        self.state.counts.interp_filter[ctx][value] += 1;
        value as u8
    }

    /// `read_ref_frames` (6.4.17).
    fn read_ref_frames(&mut self, segment_id: u8, above: Option<Edge>, left: Option<Edge>) -> RefFrames {
        if let Some(frame) = self.frame.header.segmentation.ref_frame(segment_id) {
            return RefFrames::single(frame);
        }
        let neighbors = Neighbors::new(above.map(|edge| edge.refs), left.map(|edge| edge.refs));
        let compressed = &self.frame.compressed;
        let is_compound = match compressed.reference_mode {
            ReferenceMode::Single => false,
            ReferenceMode::Compound => true,
            ReferenceMode::Select => {
                let ctx = neighbors.comp_mode(compressed.comp_fixed_ref);
                let comp_mode = self.d.decide(self.frame.probs.comp_mode[ctx]);
                self.state.counts.comp_mode[ctx][usize::from(comp_mode)] += 1;
                comp_mode
            }
        };
        if is_compound { self.read_compound_ref(neighbors) } else { self.read_single_ref(neighbors) }
    }

    fn read_compound_ref(&mut self, neighbors: Neighbors) -> RefFrames {
        let compressed = &self.frame.compressed;
        let (fixed_ref, var_ref) = (compressed.comp_fixed_ref, compressed.comp_var_ref);
        let fixed_index = usize::from(self.frame.header.sign_bias[fixed_ref as usize & 3]);
        let ctx = neighbors.comp_ref(fixed_ref, var_ref, 1 - fixed_index);
        let comp_ref = self.d.read(self.frame.probs.comp_ref[ctx]);
        self.state.counts.comp_ref[ctx][usize::from(comp_ref)] += 1;
        let mut refs = [fixed_ref; 2];
        refs[1 - fixed_index] = var_ref[usize::from(comp_ref)];
        RefFrames(refs)
    }

    fn read_single_ref(&mut self, neighbors: Neighbors) -> RefFrames {
        let ctx = neighbors.single_ref_p1();
        let is_not_last = self.d.decide(self.frame.probs.single_ref[ctx][0]);
        self.state.counts.single_ref[ctx][0][usize::from(is_not_last)] += 1;
        if !is_not_last {
            return RefFrames::single(LAST_FRAME);
        }
        let ctx = neighbors.single_ref_p2();
        let is_altref = self.d.decide(self.frame.probs.single_ref[ctx][1]);
        self.state.counts.single_ref[ctx][1][usize::from(is_altref)] += 1;
        RefFrames::single(if is_altref { ALTREF_FRAME } else { GOLDEN_FRAME })
    }

    /// `assign_mv` (6.4.18) of new vectors: the best ones plus what is coded.
    fn read_mvs(&mut self, refs: RefFrames, best: [Mv; 2]) -> Result<[Mv; 2]> {
        let start = self.d.tell();
        let mut mvs = [Mv::default(); 2];
        mvs[0] = self.read_mv(best[0])?;
        if refs.is_compound() {
            mvs[1] = self.read_mv(best[1])?;
        }
        self.note_motion(start);
        Ok(mvs)
    }

    /// Notes that what was read since `start` tells of motion.
    #[inline(always)]
    fn note_motion(&mut self, start: usize) {
        if COSTS {
            self.motion_bits += (self.d.tell() - start) as u32;
        }
    }

    /// `read_mv` (6.4.19).
    fn read_mv(&mut self, best: Mv) -> Result<Mv> {
        let use_hp = self.frame.header.allow_high_precision_mv && use_mv_hp(best);
        let mv_joint = self.d.unary(&self.frame.probs.mv_joint);
        self.state.counts.mv_joint[mv_joint] += 1;
        // mv_joint: neither changes, the column, the row, both.
        let row = i32::from(best.row) + if mv_joint & 2 != 0 { self.read_mv_component(0, use_hp) } else { 0 };
        let col = i32::from(best.col) + if mv_joint & 1 != 0 { self.read_mv_component(1, use_hp) } else { 0 };
        if row.abs() >= MV_LIMIT || col.abs() >= MV_LIMIT {
            return Err(Error::corrupt("a motion vector is out of range", self.d.tell()));
        }
        Ok(Mv { row: row as i16, col: col as i16 })
    }

    /// `read_mv_component` (6.4.20). What is not coded counts, too: the high precision bit is then 1.
    fn read_mv_component(&mut self, comp: usize, use_hp: bool) -> i32 {
        let (probs, counts) = (&self.frame.probs.mv[comp], &mut self.state.counts.mv[comp]);
        let d = &mut self.d;
        let sign = d.read(probs.sign);
        counts.sign[usize::from(sign)] += 1;
        let class = d.tree(&MV_CLASS_TREE, &probs.classes);
        counts.classes[class] += 1;
        let magnitude = if class == 0 {
            let integer = usize::from(d.read(probs.class0_bit[0]));
            counts.class0_bit[integer] += 1;
            let fr = d.unary(&probs.class0_fr[integer]);
            counts.class0_fr[integer][fr] += 1;
            let hp = usize::from(!use_hp || d.read(probs.class0_hp));
            counts.class0_hp[hp] += 1;
            (integer << 3 | fr << 1 | hp) + 1
        } else {
            let mut integer = 0;
            for (i, (&prob, counts)) in probs.bits.iter().zip(&mut counts.bits).take(class).enumerate() {
                let bit = usize::from(d.read(prob));
                counts[bit] += 1;
                integer |= bit << i;
            }
            let fr = d.unary(&probs.fr);
            counts.fr[fr] += 1;
            let hp = usize::from(!use_hp || d.read(probs.hp));
            counts.hp[hp] += 1;
            (2 << (class + 2)) + (integer << 3 | fr << 1 | hp) + 1
        } as i32;
        if sign { -magnitude } else { magnitude }
    }

    /// `BestMv` of a mode other than zero, by reference: nearest, or near.
    fn best_mvs(&self, place: &Place, refs: RefFrames, inter_mode: InterMode) -> [Mv; 2] {
        let best = |frame| {
            let mv = self.find_mv(place, frame, None, inter_mode == InterMode::Near);
            with_mv_precision(mv, self.frame.header.allow_high_precision_mv)
        };
        [best(refs.0[0]), if refs.is_compound() { best(refs.0[1]) } else { Mv::default() }]
    }
}
