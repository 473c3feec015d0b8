//! Modes of blocks: `intra_frame_mode_info` and `inter_frame_mode_info` (6.4.6 on).

use std::convert::Infallible;

use super::block::{BlockSize, Edge, ModeInfo, fill_sub_blocks};
use super::default_probabilities::{KF_UV_MODE_PROBS, KF_Y_MODE_PROBS};
use super::place::Place;
use super::tables::{INTRA_MODE_TREE, SEGMENT_TREE};
use super::tile::Tile;
use crate::error::Result;
use crate::map::Kind;

impl<const COSTS: bool> Tile<'_, COSTS> {
    /// The block above, if it is available.
    #[inline(always)]
    pub(super) fn above(&self, place: &Place) -> Option<&ModeInfo> {
        (place.row > 0).then(|| self.state.blocks.at(place.row - 1, place.col))
    }

    /// The block to the left, if it is available: tiles side by side know nothing of each other.
    #[inline(always)]
    pub(super) fn left(&self, place: &Place) -> Option<&ModeInfo> {
        (place.col > self.area.col_start).then(|| self.state.blocks.at(place.row, place.col - 1))
    }

    /// `intra_frame_mode_info` (6.4.6).
    pub(super) fn intra_frame_mode_info(&mut self, place: &Place, mode: &mut ModeInfo) {
        let (above, left) = (self.above(place), self.left(place));
        let above_modes = above.map_or([0; 2], |above| [above.sub_modes[2], above.sub_modes[3]]);
        let left_modes = left.map_or([0; 2], |left| [left.sub_modes[1], left.sub_modes[3]]);
        let (above, left) = (above.map(ModeInfo::edge), left.map(ModeInfo::edge));
        mode.segment_id = self.intra_segment_id(place);
        mode.skip = self.read_skip(mode.segment_id, above, left);
        mode.tx_size = self.tx_size(place.size, true, above, left);
        let Ok(()) = self.for_each_sub_block(place, |tile, block| {
            let above = if block < 2 { above_modes[block] } else { mode.sub_modes[block - 2] };
            let left = if block & 1 == 0 { left_modes[block >> 1] } else { mode.sub_modes[block - 1] };
            let probs = &KF_Y_MODE_PROBS[usize::from(above)][usize::from(left)];
            let intra_mode = tile.d.tree(&INTRA_MODE_TREE, probs) as u8;
            fill_sub_blocks(&mut mode.sub_modes, place.size, block, intra_mode);
            Ok::<(), Infallible>(())
        });
        self.d.tree(&INTRA_MODE_TREE, &KF_UV_MODE_PROBS[usize::from(mode.y_mode())]);
    }

    /// `inter_frame_mode_info` (6.4.11).
    #[inline(always)]
    pub(super) fn inter_frame_mode_info(&mut self, place: &Place, mode: &mut ModeInfo) -> Result<()> {
        let above = self.above(place).map(ModeInfo::edge);
        let left = self.left(place).map(ModeInfo::edge);
        (mode.segment_id, mode.seg_id_predicted) = self.inter_segment_id(place, above, left);
        mode.skip = self.read_skip(mode.segment_id, above, left);
        let is_inter = self.read_is_inter(mode.segment_id, above, left);
        mode.tx_size = self.tx_size(place.size, !mode.skip || !is_inter, above, left);
        if is_inter {
            mode.kind = if mode.skip { Kind::Skip } else { Kind::Inter };
            self.inter_block_mode_info(place, mode, above, left)
        } else {
            self.intra_block_mode_info(place, mode);
            Ok(())
        }
    }

    /// Calls `read` for each block that has a mode of its own, from 8x8 on once, with its 4x4 block index; below
    /// 8x8, what was read is spread over that block alone.
    pub(super) fn for_each_sub_block<E>(
        &mut self,
        place: &Place,
        mut read: impl FnMut(&mut Self, usize) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        if !place.size.is_sub8x8() {
            return read(self, 0);
        }
        let (width, height) = (1 << place.size.width4_log2(), 1 << place.size.height4_log2());
        for block in 0..4 {
            let (idy, idx) = (block >> 1, block & 1);
            if idy & (height - 1) != 0 || idx & (width - 1) != 0 {
                continue;
            }
            let start = self.d.tell();
            read(self, block)?;
            if COSTS {
                let bits = (self.d.tell() - start) as u32;
                self.spread_bits += bits;
                let cells = place.cells_at(idy, idx, height, width);
                self.account.add_to_cells(&cells, cells.share(bits));
            }
        }
        Ok(())
    }

    /// `intra_segment_id` (6.4.7).
    fn intra_segment_id(&mut self, place: &Place) -> u8 {
        let segmentation = &self.frame.header.segmentation;
        if !segmentation.enabled {
            return 0;
        }
        if !segmentation.update_map {
            self.copy_segment_ids(place);
            return 0;
        }
        let segment_id = self.d.tree(&SEGMENT_TREE, &segmentation.tree_probs) as u8;
        self.set_segment_ids(place, segment_id);
        segment_id
    }

    /// `inter_segment_id` (6.4.12): the segment, and whether it was predicted.
    fn inter_segment_id(&mut self, place: &Place, above: Option<Edge>, left: Option<Edge>) -> (u8, bool) {
        let segmentation = &self.frame.header.segmentation;
        if !segmentation.enabled {
            return (0, false);
        }
        let predicted_segment_id = self.predicted_segment_id(place);
        if !segmentation.update_map {
            self.copy_segment_ids(place);
            return (predicted_segment_id, false);
        }
        let mut seg_id_predicted = false;
        if segmentation.temporal_update {
            let is_predicted = |edge: Option<Edge>| usize::from(edge.is_some_and(|edge| edge.seg_id_predicted));
            seg_id_predicted = self.d.read(segmentation.pred_probs[is_predicted(above) + is_predicted(left)]);
        }
        let segment_id = if seg_id_predicted {
            predicted_segment_id
        } else {
            self.d.tree(&SEGMENT_TREE, &segmentation.tree_probs) as u8
        };
        self.set_segment_ids(place, segment_id);
        (segment_id, seg_id_predicted)
    }

    /// `get_segment_id` (6.4.14).
    fn predicted_segment_id(&self, place: &Place) -> u8 {
        let rows = self.frame.prev_segment_ids.chunks_exact(self.frame.mi_cols).skip(place.row).take(place.rows);
        rows.flat_map(|row| &row[place.col..place.col + place.cols]).copied().min().unwrap_or(0)
    }

    fn set_segment_ids(&mut self, place: &Place, segment_id: u8) {
        for row in place.row..place.row + place.rows {
            let start = row * self.frame.mi_cols + place.col;
            self.state.segment_ids[start..start + place.cols].fill(segment_id);
        }
    }

    /// Where the map is not coded it stays what it was.
    fn copy_segment_ids(&mut self, place: &Place) {
        for row in place.row..place.row + place.rows {
            let start = row * self.frame.mi_cols + place.col;
            let ids = start..start + place.cols;
            self.state.segment_ids[ids.clone()].copy_from_slice(&self.frame.prev_segment_ids[ids]);
        }
    }

    /// `read_skip` (6.4.8).
    fn read_skip(&mut self, segment_id: u8, above: Option<Edge>, left: Option<Edge>) -> bool {
        if self.frame.header.segmentation.skip(segment_id) {
            return true;
        }
        let is_skipped = |edge: Option<Edge>| usize::from(edge.is_some_and(|edge| edge.skip));
        let ctx = is_skipped(above) + is_skipped(left);
        let skip = self.d.decide(self.frame.probs.skip[ctx]);
        self.state.counts.skip[ctx][usize::from(skip)] += 1;
        skip
    }

    /// `read_tx_size` (6.4.10).
    fn tx_size(&mut self, size: BlockSize, allow_select: bool, above: Option<Edge>, left: Option<Edge>) -> u8 {
        let max_tx_size = size.max_tx_size();
        let compressed = &self.frame.compressed;
        if !allow_select || !compressed.tx_mode_select || size.is_sub8x8() {
            return max_tx_size.min(compressed.max_tx_size);
        }
        let size_of = |edge: Edge| if edge.skip { max_tx_size } else { edge.tx_size };
        let (above, left) = match (above.map(size_of), left.map(size_of)) {
            (Some(above), Some(left)) => (above, left),
            (Some(one), None) | (None, Some(one)) => (one, one),
            (None, None) => (max_tx_size, max_tx_size),
        };
        let ctx = usize::from(above + left > max_tx_size);
        let probs = self.frame.probs;
        let tx_size = match max_tx_size {
            1 => self.d.unary(&probs.tx_8x8[ctx]),
            2 => self.d.unary(&probs.tx_16x16[ctx]),
            _ => self.d.unary(&probs.tx_32x32[ctx]),
        };
        let counts = &mut self.state.counts;
        let counts: &mut [u32] = match max_tx_size {
            1 => &mut counts.tx_8x8[ctx],
            2 => &mut counts.tx_16x16[ctx],
            _ => &mut counts.tx_32x32[ctx],
        };
        counts[tx_size] += 1;
        tx_size as u8
    }

    /// `read_is_inter` (6.4.13).
    fn read_is_inter(&mut self, segment_id: u8, above: Option<Edge>, left: Option<Edge>) -> bool {
        if let Some(frame) = self.frame.header.segmentation.ref_frame(segment_id) {
            return frame > 0;
        }
        let is_intra = |edge: Edge| usize::from(!edge.refs.is_inter());
        let ctx = match (above.map(is_intra), left.map(is_intra)) {
            (Some(1), Some(1)) => 3,
            (Some(above), Some(left)) => above + left,
            (Some(one), None) | (None, Some(one)) => 2 * one,
            (None, None) => 0,
        };
        let is_inter = self.d.decide(self.frame.probs.is_inter[ctx]);
        self.state.counts.is_inter[ctx][usize::from(is_inter)] += 1;
        is_inter
    }

    /// `intra_block_mode_info` (6.4.15).
    fn intra_block_mode_info(&mut self, place: &Place, mode: &mut ModeInfo) {
        let ctx = place.size.size_group();
        let Ok(()) = self.for_each_sub_block(place, |tile, block| {
            let intra_mode = tile.d.tree(&INTRA_MODE_TREE, &tile.frame.probs.y_mode[ctx]);
            tile.state.counts.y_mode[ctx][intra_mode] += 1;
            fill_sub_blocks(&mut mode.sub_modes, place.size, block, intra_mode as u8);
            Ok::<(), Infallible>(())
        });
        let y_mode = usize::from(mode.y_mode());
        let uv_mode = self.d.tree(&INTRA_MODE_TREE, &self.frame.probs.uv_mode[y_mode]);
        self.state.counts.uv_mode[y_mode][uv_mode] += 1;
    }
}
