//! What every block's modes begin with: `intra_frame_mode_info` and `inter_frame_mode_info` (5.11.6 on).

use super::mode_grid::{ModeInfo, mode, ref_frame};
use super::segmentation::{SEG_LVL_GLOBALMV, SEG_LVL_REF_FRAME, SEG_LVL_SKIP};
use super::tile::{Block, Tile};
use crate::error::Result;

/// `DELTA_Q_SMALL` and `DELTA_LF_SMALL`.
const DELTA_SMALL: usize = 3;
const FRAME_LF_COUNT: usize = 4;
const BILINEAR: u8 = 3;

const INTRA_MODE_CONTEXT: [u8; 13] = [0, 1, 2, 3, 4, 4, 4, 4, 3, 0, 1, 2, 0];

impl Tile<'_> {
    /// `mode_info` (5.11.6).
    pub(super) fn mode_info(&mut self, block: &mut Block) -> Result<()> {
        if self.frame.header.frame_is_intra() {
            self.intra_frame_mode_info(block)
        } else {
            self.inter_frame_mode_info(block)
        }
    }

    /// `intra_frame_mode_info` (5.11.7).
    fn intra_frame_mode_info(&mut self, block: &mut Block) -> Result<()> {
        let seg_id_pre_skip = self.frame.header.segmentation.seg_id_pre_skip;
        if seg_id_pre_skip {
            self.intra_segment_id(block)?;
        }
        self.read_skip(block);
        if !seg_id_pre_skip {
            self.intra_segment_id(block)?;
        }
        self.superblock_parameters(block);
        let allow_intrabc = self.frame.header.allow_intrabc;
        block.use_intrabc = allow_intrabc && self.d.read_flag(&mut self.cdfs.intrabc);
        if block.use_intrabc {
            block.mode.is_inter = true;
            block.mode.interp_filter = [BILINEAR; 2];
            let stack = self.find_mv_stack(block, false);
            let start = self.d.tell();
            self.assign_mv(block, &stack, 0)?;
            self.motion_bits += (self.d.tell() - start) as u32;
            return Ok(());
        }
        let context = |neighbour: Option<ModeInfo>| {
            let y_mode = neighbour.map_or(mode::DC_PRED, |neighbour| neighbour.y_mode);
            usize::from(INTRA_MODE_CONTEXT[usize::from(y_mode)])
        };
        let cdf = &mut self.cdfs.intra_frame_y_mode[context(block.above)][context(block.left)];
        block.mode.y_mode = self.d.read_symbol(cdf) as u8;
        self.intra_modes_behind_y_mode(block);
        Ok(())
    }

    /// `inter_frame_mode_info` (5.11.18).
    fn inter_frame_mode_info(&mut self, block: &mut Block) -> Result<()> {
        self.inter_segment_id(block, true)?;
        self.read_skip_mode(block);
        if block.mode.skip_mode {
            block.mode.skip = true;
        } else {
            self.read_skip(block);
        }
        if !self.frame.header.segmentation.seg_id_pre_skip {
            self.inter_segment_id(block, false)?;
        }
        self.superblock_parameters(block);
        self.read_is_inter(block);
        if block.mode.is_inter {
            return self.inter_block_mode_info(block);
        }
        let ctx = block.mode.mi_size.size_group();
        block.mode.y_mode = self.d.read_symbol(&mut self.cdfs.y_mode[ctx]) as u8;
        self.intra_modes_behind_y_mode(block);
        Ok(())
    }

    /// What follows on the block's segment and `skip`: some of it concerns the superblock.
    fn superblock_parameters(&mut self, block: &mut Block) {
        let header = self.frame.header;
        block.lossless = header.lossless_array[usize::from(block.mode.segment_id)];
        if header.segmentation.enabled {
            self.keep_segment_id(block);
        }
        self.read_cdef(block);
        self.read_delta_qindex(block);
        self.read_delta_lf(block);
        self.read_deltas = false;
    }

    fn seg_feature_active(&self, block: &Block, feature: usize) -> bool {
        self.frame.header.segmentation.is_active(block.mode.segment_id, feature)
    }

    /// Whether the segment fixes what the block refers to.
    pub(super) fn seg_is_still(&self, block: &Block) -> bool {
        self.seg_feature_active(block, SEG_LVL_SKIP) || self.seg_feature_active(block, SEG_LVL_GLOBALMV)
    }

    /// `read_skip_mode` (5.11.10).
    fn read_skip_mode(&mut self, block: &mut Block) {
        let size = block.mode.mi_size;
        if self.seg_is_still(block)
            || self.seg_feature_active(block, SEG_LVL_REF_FRAME)
            || self.frame.header.skip_mode_frames.is_none()
            || size.width() < 8
            || size.height() < 8
        {
            return;
        }
        let is_coded = |neighbour: Option<ModeInfo>| usize::from(neighbour.is_some_and(|mode| mode.skip_mode));
        let ctx = is_coded(block.above) + is_coded(block.left);
        block.mode.skip_mode = self.d.read_flag(&mut self.cdfs.skip_mode[ctx]);
    }

    /// `read_skip` (5.11.11).
    fn read_skip(&mut self, block: &mut Block) {
        let segmentation = &self.frame.header.segmentation;
        if segmentation.seg_id_pre_skip && self.seg_feature_active(block, SEG_LVL_SKIP) {
            block.mode.skip = true;
            return;
        }
        let is_skipped = |neighbour: Option<ModeInfo>| usize::from(neighbour.is_some_and(|mode| mode.skip));
        let ctx = is_skipped(block.above) + is_skipped(block.left);
        block.mode.skip = self.d.read_flag(&mut self.cdfs.skip[ctx]);
    }

    /// `read_cdef` (5.11.56).
    fn read_cdef(&mut self, block: &Block) {
        let header = self.frame.header;
        let (false, Some(cdef_bits)) = (block.mode.skip, header.cdef_bits) else { return };
        let (row, col) = (block.mi_row / 16 % 2, block.mi_col / 16 % 2);
        if self.has_cdef_idx[row][col] {
            return;
        }
        self.d.read_literal(cdef_bits);
        let size = block.mode.mi_size;
        for line in self.has_cdef_idx[row..].iter_mut().take(size.height4().div_ceil(16)) {
            line[col..].iter_mut().take(size.width4().div_ceil(16)).for_each(|square| *square = true);
        }
    }

    /// Whether the block is a whole superblock without coefficients: it brings no deltas.
    fn is_skipped_superblock(&self, block: &Block) -> bool {
        block.mode.mi_size == self.superblock_size() && block.mode.skip
    }

    /// `read_delta_qindex` (5.11.12).
    fn read_delta_qindex(&mut self, block: &Block) {
        if !self.read_deltas || self.is_skipped_superblock(block) {
            return;
        }
        let symbol = self.d.read_symbol(&mut self.cdfs.delta_q);
        let delta = self.read_delta(symbol);
        if delta != 0 {
            let reduced = delta << self.frame.header.deltas.delta_q_res;
            self.current_q_index = (i32::from(self.current_q_index) + reduced).clamp(1, 255) as u8;
        }
    }

    /// `read_delta_lf` (5.11.13), whose values matter to the filter only.
    fn read_delta_lf(&mut self, block: &Block) {
        let deltas = self.frame.header.deltas;
        if !self.read_deltas || !deltas.delta_lf_present || self.is_skipped_superblock(block) {
            return;
        }
        let frame_lf_count = match (deltas.delta_lf_multi, self.frame.sequence.color.num_planes()) {
            (false, _) => 1,
            (true, 1) => FRAME_LF_COUNT - 2,
            (true, _) => FRAME_LF_COUNT,
        };
        for i in 0..frame_lf_count {
            let cdf = if deltas.delta_lf_multi { &mut self.cdfs.delta_lf_multi[i] } else { &mut self.cdfs.delta_lf };
            let symbol = self.d.read_symbol(cdf);
            self.read_delta(symbol);
        }
    }

    /// The delta whose size begins with `symbol`: a large one goes on with bits.
    fn read_delta(&mut self, symbol: usize) -> i32 {
        let mut abs = symbol as i32;
        if symbol == DELTA_SMALL {
            let n = self.d.read_literal(3) + 1;
            abs = self.d.read_literal(n) as i32 + (1 << n) + 1;
        }
        if abs != 0 && self.d.read_bool() { -abs } else { abs }
    }

    /// `read_is_inter` (5.11.20).
    fn read_is_inter(&mut self, block: &mut Block) {
        let segmentation = &self.frame.header.segmentation;
        block.mode.is_inter = if block.mode.skip_mode {
            true
        } else if let Some(frame) = segmentation.feature(block.mode.segment_id, SEG_LVL_REF_FRAME) {
            frame != i16::from(ref_frame::INTRA_FRAME)
        } else if self.seg_feature_active(block, SEG_LVL_GLOBALMV) {
            true
        } else {
            let is_intra = |neighbour: Option<ModeInfo>| neighbour.map(|mode| usize::from(mode.is_intra()));
            let ctx = match (is_intra(block.above), is_intra(block.left)) {
                (Some(1), Some(1)) => 3,
                (Some(above), Some(left)) => above | left,
                (Some(one), None) | (None, Some(one)) => 2 * one,
                (None, None) => 0,
            };
            self.d.read_flag(&mut self.cdfs.is_inter[ctx])
        };
    }
}
