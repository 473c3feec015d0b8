//! Modes and vectors of inter blocks (5.11.23, 5.11.26 on).

use super::block_size::{BLOCK_8X8, BLOCK_32X32};
use super::cdfs::MV_INTRABC_CONTEXT;
use super::frame_header::InterpolationFilter;
use super::global_motion::GmType;
use super::mode_grid::{ModeInfo, Mv, mode::*, ref_frame};
use super::mv_stack::MvStack;
use super::tile::{Block, Tile};
use crate::error::{Error, Result};

const INTRABC_DELAY_PIXELS: i32 = 256;

const MV_JOINT_HNZVZ: usize = 1;
const MV_JOINT_HZVNZ: usize = 2;
const MV_JOINT_HNZVNZ: usize = 3;

const COMPOUND_MODE_CTX_MAP: [[u8; 5]; 3] = [[0, 1, 1, 1, 1], [1, 2, 3, 4, 4], [4, 4, 5, 6, 7]];

#[derive(Clone, Copy, PartialEq, Eq)]
enum MotionMode {
    Simple,
    Obmc,
    LocalWarp,
}

impl Tile<'_> {
    /// `inter_block_mode_info` (5.11.23).
    pub(super) fn inter_block_mode_info(&mut self, block: &mut Block) -> Result<()> {
        let start = self.d.tell();
        block.mode.ref_frame = self.read_ref_frames(block);
        self.motion_bits += (self.d.tell() - start) as u32;
        let is_compound = block.mode.ref_frame[1] > ref_frame::INTRA_FRAME;
        let stack = self.find_mv_stack(block, is_compound);
        block.mode.y_mode = self.read_inter_mode(block, &stack, is_compound);
        let ref_mv_idx = self.read_ref_mv_idx(block.mode.y_mode, &stack);
        let start = self.d.tell();
        self.assign_mv(block, &stack, ref_mv_idx)?;
        self.motion_bits += (self.d.tell() - start) as u32;
        self.read_interintra_mode(block, is_compound);
        let motion_mode = self.read_motion_mode(block, is_compound);
        self.read_compound_type(block, is_compound);
        self.read_interp_filter(block, motion_mode);
        Ok(())
    }

    /// `YMode`.
    fn read_inter_mode(&mut self, block: &Block, stack: &MvStack, is_compound: bool) -> u8 {
        if block.mode.skip_mode {
            return NEAREST_NEARESTMV;
        }
        if self.seg_is_still(block) {
            return GLOBALMV;
        }
        let (d, cdfs) = (&mut self.d, &mut *self.cdfs);
        if is_compound {
            let ctx = COMPOUND_MODE_CTX_MAP[stack.ref_mv_context >> 1][stack.new_mv_context.min(4)];
            let compound_mode = d.read_symbol(&mut cdfs.compound_mode[usize::from(ctx)]);
            return NEAREST_NEARESTMV + compound_mode as u8;
        }
        let new_mv = d.read_flag(&mut cdfs.new_mv[stack.new_mv_context]);
        if !new_mv {
            return NEWMV;
        }
        let zero_mv = d.read_flag(&mut cdfs.zero_mv[stack.zero_mv_context]);
        if !zero_mv {
            return GLOBALMV;
        }
        let ref_mv = d.read_flag(&mut cdfs.ref_mv[stack.ref_mv_context]);
        if ref_mv { NEARMV } else { NEARESTMV }
    }

    /// `RefMvIdx`.
    fn read_ref_mv_idx(&mut self, y_mode: u8, stack: &MvStack) -> usize {
        let first = match y_mode {
            NEWMV | NEW_NEWMV => 0,
            NEARMV | NEAR_NEARMV | NEAR_NEWMV | NEW_NEARMV => 1,
            _ => return 0,
        };
        let mut ref_mv_idx = first;
        for idx in first..first + 2 {
            if stack.num_mv_found > idx + 1 {
                let drl_mode = self.d.read_flag(&mut self.cdfs.drl_mode[usize::from(stack.drl_ctx_stack[idx])]);
                if !drl_mode {
                    return idx;
                }
                ref_mv_idx = idx + 1;
            }
        }
        ref_mv_idx
    }

    /// `assign_mv` (5.11.26).
    pub(super) fn assign_mv(&mut self, block: &mut Block, stack: &MvStack, ref_mv_idx: usize) -> Result<()> {
        let is_compound = block.mode.ref_frame[1] > ref_frame::INTRA_FRAME;
        for i in 0..1 + usize::from(is_compound) {
            let comp_mode = if block.use_intrabc { NEWMV } else { get_mode(block.mode.y_mode, i) };
            let pred_mv = if block.use_intrabc {
                self.intrabc_pred_mv(block, stack)
            } else if comp_mode == GLOBALMV {
                stack.global_mvs[i]
            } else {
                let is_first = comp_mode == NEARESTMV || (comp_mode == NEWMV && stack.num_mv_found <= 1);
                stack.ref_stack_mv[if is_first { 0 } else { ref_mv_idx }][i]
            };
            let mv_ctx = if block.use_intrabc { MV_INTRABC_CONTEXT } else { 0 };
            let diff = if comp_mode == NEWMV { self.read_mv(mv_ctx) } else { [0; 2] };
            let [row, col] = [i32::from(pred_mv.row) + diff[0], i32::from(pred_mv.col) + diff[1]];
            // is_mv_valid (6.10.25)
            if row.abs() >= 1 << 14 || col.abs() >= 1 << 14 {
                return Err(Error::corrupt("a motion vector is out of range", self.d.tell()));
            }
            block.mode.mv[i] = Mv { row: row as i16, col: col as i16 };
        }
        Ok(())
    }

    fn intrabc_pred_mv(&self, block: &Block, stack: &MvStack) -> Mv {
        let candidates = [stack.ref_stack_mv[0][0], stack.ref_stack_mv[1][0]];
        if let Some(found) = candidates.into_iter().find(|mv| *mv != Mv::default()) {
            return found;
        }
        let sb_size4 = self.superblock_size().height4();
        let pixels = 4 * sb_size4 as i32;
        if block.mi_row < self.area.mi_row_start + sb_size4 {
            Mv { row: 0, col: (-(pixels + INTRABC_DELAY_PIXELS) * 8) as i16 }
        } else {
            Mv { row: (-pixels * 8) as i16, col: 0 }
        }
    }

    /// `read_mv` (5.11.31): `diffMv`, its row and its column.
    fn read_mv(&mut self, mv_ctx: usize) -> [i32; 2] {
        let mv_joint = self.d.read_symbol(&mut self.cdfs.mv[mv_ctx].joint);
        let mut diff_mv = [0; 2];
        if mv_joint == MV_JOINT_HZVNZ || mv_joint == MV_JOINT_HNZVNZ {
            diff_mv[0] = self.read_mv_component(mv_ctx, 0);
        }
        if mv_joint == MV_JOINT_HNZVZ || mv_joint == MV_JOINT_HNZVNZ {
            diff_mv[1] = self.read_mv_component(mv_ctx, 1);
        }
        diff_mv
    }

    /// `read_mv_component` (5.11.32).
    fn read_mv_component(&mut self, mv_ctx: usize, comp: usize) -> i32 {
        let header = self.frame.header;
        let (d, cdfs) = (&mut self.d, &mut self.cdfs.mv[mv_ctx]);
        let mv_sign = d.read_flag(&mut cdfs.sign[comp]);
        let mv_class = d.read_symbol(&mut cdfs.class[comp]);
        let (fr_cdf, hp_cdf, integer) = if mv_class == 0 {
            let mv_class0_bit = d.read_symbol(&mut cdfs.class0_bit[comp]);
            (&mut cdfs.class0_fr[comp][mv_class0_bit], &mut cdfs.class0_hp[comp], mv_class0_bit)
        } else {
            let bits = cdfs.bit[comp][..mv_class].iter_mut().enumerate();
            let bits = bits.fold(0, |bits, (i, cdf)| bits | d.read_symbol(cdf) << i);
            (&mut cdfs.fr[comp], &mut cdfs.hp[comp], bits | 1 << mv_class)
        };
        let fr = if header.start.force_integer_mv { 3 } else { d.read_symbol(fr_cdf) };
        let hp = if header.allow_high_precision_mv { d.read_symbol(hp_cdf) } else { 1 };
        let mag = (integer << 3 | fr << 1 | hp) as i32 + 1;
        if mv_sign { -mag } else { mag }
    }

    /// `read_interintra_mode` (5.11.28).
    fn read_interintra_mode(&mut self, block: &mut Block, is_compound: bool) {
        let size = block.mode.mi_size;
        if block.mode.skip_mode
            || !self.frame.sequence.enable_interintra_compound
            || is_compound
            || !(BLOCK_8X8..=BLOCK_32X32).contains(&size)
        {
            return;
        }
        let (d, cdfs) = (&mut self.d, &mut *self.cdfs);
        let ctx = size.size_group() - 1;
        let interintra = d.read_flag(&mut cdfs.inter_intra[ctx]);
        if interintra {
            d.read_symbol(&mut cdfs.inter_intra_mode[ctx]);
            block.mode.ref_frame[1] = ref_frame::INTRA_FRAME;
            let wedge_interintra = d.read_flag(&mut cdfs.wedge_inter_intra[size.index()]);
            if wedge_interintra {
                d.read_symbol(&mut cdfs.wedge_index[size.index()]);
            }
        }
    }

    /// `read_motion_mode` (5.11.27).
    fn read_motion_mode(&mut self, block: &Block, is_compound: bool) -> MotionMode {
        let header = self.frame.header;
        let (size, frames) = (block.mode.mi_size, block.mode.ref_frame);
        let is_global = block.mode.y_mode == GLOBALMV || block.mode.y_mode == GLOBAL_GLOBALMV;
        let gm_type = header.global_motion[frames[0] as usize].gm_type;
        if block.mode.skip_mode
            || !header.is_motion_mode_switchable
            || size.width().min(size.height()) < 8
            || (!header.start.force_integer_mv && is_global && gm_type > GmType::Translation)
            || is_compound
            || frames[1] == ref_frame::INTRA_FRAME
            || !self.has_overlappable_candidates(block)
        {
            return MotionMode::Simple;
        }
        let may_warp = !header.start.force_integer_mv
            && header.allow_warped_motion
            && !self.frame.is_scaled[frames[0] as usize]
            && self.has_warp_samples(block);
        if may_warp {
            let motion_mode = self.d.read_symbol(&mut self.cdfs.motion_mode[size.index()]);
            [MotionMode::Simple, MotionMode::Obmc, MotionMode::LocalWarp][motion_mode]
        } else {
            let use_obmc = self.d.read_flag(&mut self.cdfs.use_obmc[size.index()]);
            if use_obmc { MotionMode::Obmc } else { MotionMode::Simple }
        }
    }

    /// `read_compound_type` (5.11.29).
    fn read_compound_type(&mut self, block: &mut Block, is_compound: bool) {
        block.mode.comp_group_idx = 0;
        block.mode.compound_idx = 1;
        if block.mode.skip_mode || !is_compound {
            return;
        }
        let size = block.mode.mi_size;
        let sequence = self.frame.sequence;
        if sequence.enable_masked_compound {
            let ctx = context_of_compounds(block, 3, |mode| mode.comp_group_idx).min(5);
            block.mode.comp_group_idx = self.d.read_symbol(&mut self.cdfs.comp_group_idx[ctx]) as u8;
        }
        if block.mode.comp_group_idx == 0 {
            if sequence.enable_jnt_comp {
                let ctx = self.compound_idx_ctx(block);
                block.mode.compound_idx = self.d.read_symbol(&mut self.cdfs.compound_idx[ctx]) as u8;
            }
            return;
        }
        let has_wedge = size.wedge_bits() > 0;
        let is_diffwtd = !has_wedge || self.d.read_flag(&mut self.cdfs.compound_type[size.index()]);
        if !is_diffwtd {
            self.d.read_symbol(&mut self.cdfs.wedge_index[size.index()]);
        }
        self.d.read_bool(); // wedge_sign or mask_type
    }

    fn compound_idx_ctx(&self, block: &Block) -> usize {
        let header = self.frame.header;
        let distance = |frame: i8| {
            let hint = header.order_hints[frame as usize];
            self.frame.sequence.get_relative_dist(hint, header.start.order_hint).abs()
        };
        let [forward, backward] = block.mode.ref_frame.map(distance);
        let ctx = if forward == backward { 3 } else { 0 };
        ctx + context_of_compounds(block, 1, |mode| mode.compound_idx)
    }

    /// `interp_filter`.
    fn read_interp_filter(&mut self, block: &mut Block, motion_mode: MotionMode) {
        if let InterpolationFilter::Fixed(filter) = self.frame.header.interpolation_filter {
            block.mode.interp_filter = [filter; 2];
            return;
        }
        let enable_dual_filter = self.frame.sequence.enable_dual_filter;
        if self.needs_interp_filter(block, motion_mode) {
            for dir in 0..if enable_dual_filter { 2 } else { 1 } {
                let ctx = interp_filter_ctx(block, dir);
                block.mode.interp_filter[dir] = self.d.read_symbol(&mut self.cdfs.interp_filter[ctx]) as u8;
            }
        }
        if !enable_dual_filter {
            block.mode.interp_filter[1] = block.mode.interp_filter[0];
        }
    }

    fn needs_interp_filter(&self, block: &Block, motion_mode: MotionMode) -> bool {
        let size = block.mode.mi_size;
        let large = size.width().min(size.height()) >= 8;
        let is_translation = |list: usize| {
            let frame = block.mode.ref_frame[list];
            self.frame.header.global_motion[frame as usize].gm_type == GmType::Translation
        };
        if block.mode.skip_mode || motion_mode == MotionMode::LocalWarp {
            false
        } else if large && block.mode.y_mode == GLOBALMV {
            is_translation(0)
        } else if large && block.mode.y_mode == GLOBAL_GLOBALMV {
            is_translation(0) || is_translation(1)
        } else {
            true
        }
    }
}

/// `get_mode` (5.11.30).
fn get_mode(y_mode: u8, ref_list: usize) -> u8 {
    let modes = match y_mode {
        NEAREST_NEARESTMV => [NEARESTMV, NEARESTMV],
        NEAR_NEARMV => [NEARMV, NEARMV],
        NEAREST_NEWMV => [NEARESTMV, NEWMV],
        NEW_NEARESTMV => [NEWMV, NEARESTMV],
        NEAR_NEWMV => [NEARMV, NEWMV],
        NEW_NEARMV => [NEWMV, NEARMV],
        GLOBAL_GLOBALMV => [GLOBALMV, GLOBALMV],
        NEW_NEWMV => [NEWMV, NEWMV],
        single => [single, single],
    };
    modes[ref_list]
}

/// The sum over the neighbours that the contexts of `comp_group_idx` and `compound_idx` share: `of_compound` for those
/// with two vectors, `of_altref` for those with one into `ALTREF_FRAME`.
fn context_of_compounds(block: &Block, of_altref: usize, of_compound: impl Fn(ModeInfo) -> u8) -> usize {
    let neighbours = [block.above, block.left].into_iter().flatten();
    let context = |neighbour: ModeInfo| match neighbour.is_single() {
        false => usize::from(of_compound(neighbour)),
        true if neighbour.ref_frame[0] == ref_frame::ALTREF_FRAME => of_altref,
        true => 0,
    };
    neighbours.map(context).sum()
}

fn interp_filter_ctx(block: &Block, dir: usize) -> usize {
    const UNKNOWN: usize = 3;
    let frames = block.mode.ref_frame;
    let ctx = ((dir & 1) * 2 + usize::from(frames[1] > ref_frame::INTRA_FRAME)) * 4;
    let filter_type = |neighbour: Option<ModeInfo>| match neighbour {
        Some(mode) if mode.ref_frame.contains(&frames[0]) => usize::from(mode.interp_filter[dir]),
        _ => UNKNOWN,
    };
    let (above, left) = (filter_type(block.above), filter_type(block.left));
    ctx + match (left, above) {
        _ if left == above => left,
        (UNKNOWN, _) => above,
        (_, UNKNOWN) => left,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::super::mode_grid::ref_frame::*;
    use super::*;

    fn neighbour(ref_frame: [i8; 2], value: u8) -> ModeInfo {
        let interp_filter = [value, 2 - value];
        ModeInfo { ref_frame, interp_filter, comp_group_idx: value.min(1), ..ModeInfo::default() }
    }

    /// Neighbours of one, two and no vectors, and none.
    fn neighbours() -> Vec<Option<ModeInfo>> {
        let frames = [
            [INTRA_FRAME, NONE],
            [LAST_FRAME, NONE],
            [ALTREF_FRAME, NONE],
            [ALTREF_FRAME, INTRA_FRAME],
            [LAST_FRAME, ALTREF_FRAME],
            [LAST2_FRAME, ALTREF_FRAME],
        ];
        let all = frames.into_iter().flat_map(|frames| (0..3).map(move |value| Some(neighbour(frames, value))));
        all.chain([None]).collect()
    }

    fn blocks(ref_frame: [i8; 2]) -> impl Iterator<Item = Block> {
        let pairs = neighbours().into_iter().flat_map(|above| neighbours().into_iter().map(move |left| (above, left)));
        let mode = ModeInfo { ref_frame, ..ModeInfo::default() };
        pairs.map(move |(above, left)| Block { above, left, mode, ..Block::default() })
    }

    #[test]
    fn contexts_of_filters_are_as_specified_beside_all_neighbours() {
        let frames = [[LAST_FRAME, NONE], [LAST_FRAME, INTRA_FRAME], [ALTREF_FRAME, NONE], [LAST_FRAME, ALTREF_FRAME]];
        for (block, dir) in frames.into_iter().flat_map(blocks).flat_map(|block| [(block.clone(), 0), (block, 1)]) {
            let ref_frame = block.mode.ref_frame;
            let mut ctx = ((dir & 1) * 2 + usize::from(ref_frame[1] > INTRA_FRAME)) * 4;
            let (mut left_type, mut above_type) = (3, 3);
            if let Some(left) = block.left {
                if left.ref_frame[0] == ref_frame[0] || left.ref_frame[1] == ref_frame[0] {
                    left_type = usize::from(left.interp_filter[dir]);
                }
            }
            if let Some(above) = block.above {
                if above.ref_frame[0] == ref_frame[0] || above.ref_frame[1] == ref_frame[0] {
                    above_type = usize::from(above.interp_filter[dir]);
                }
            }
            if left_type == above_type {
                ctx += left_type;
            } else if left_type == 3 {
                ctx += above_type;
            } else if above_type == 3 {
                ctx += left_type;
            } else {
                ctx += 3;
            }
            assert_eq!(interp_filter_ctx(&block, dir), ctx, "{block:?} {dir}");
        }
    }

    #[test]
    fn contexts_of_compounds_are_as_specified_beside_all_neighbours() {
        for block in blocks([LAST_FRAME, ALTREF_FRAME]) {
            let mut ctx = 0;
            for neighbour in [block.above, block.left].into_iter().flatten() {
                if neighbour.ref_frame[1] > INTRA_FRAME {
                    ctx += usize::from(neighbour.comp_group_idx);
                } else if neighbour.ref_frame[0] == ALTREF_FRAME {
                    ctx += 3;
                }
            }
            assert_eq!(context_of_compounds(&block, 3, |mode| mode.comp_group_idx), ctx, "{block:?}");
        }
    }
}
