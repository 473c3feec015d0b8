//! `intra_segment_id` and `inter_segment_id` (5.11.8, 5.11.9, 5.11.19).

use super::tile::{Block, Tile};
use super::tile_area::MOST_MI;
use crate::error::{Error, Result};

impl Tile<'_> {
    /// `intra_segment_id` (5.11.8).
    pub(super) fn intra_segment_id(&mut self, block: &mut Block) -> Result<()> {
        if self.frame.header.segmentation.enabled {
            self.read_segment_id(block)?;
        }
        Ok(())
    }

    /// `inter_segment_id` (5.11.19), before (`pre_skip`) or behind `skip`.
    pub(super) fn inter_segment_id(&mut self, block: &mut Block, pre_skip: bool) -> Result<()> {
        let segmentation = &self.frame.header.segmentation;
        if !segmentation.enabled {
            return Ok(());
        }
        if !segmentation.update_map {
            block.mode.segment_id = self.predicted_segment_id(block);
            return Ok(());
        }
        if pre_skip && !segmentation.seg_id_pre_skip {
            block.mode.segment_id = 0;
            return Ok(());
        }
        if !pre_skip && block.mode.skip {
            self.set_seg_pred_context(block, false);
            return self.read_segment_id(block);
        }
        if !segmentation.temporal_update {
            return self.read_segment_id(block);
        }
        let above = self.above_seg_pred[block.mi_col - self.area.mi_col_start];
        let left = self.left_seg_pred[block.mi_row % MOST_MI];
        let cdf = &mut self.cdfs.segment_id_predicted[usize::from(left) + usize::from(above)];
        let seg_id_predicted = self.d.read_flag(cdf);
        if seg_id_predicted {
            block.mode.segment_id = self.predicted_segment_id(block);
        } else {
            self.read_segment_id(block)?;
        }
        self.set_seg_pred_context(block, seg_id_predicted);
        Ok(())
    }

    fn set_seg_pred_context(&mut self, block: &Block, seg_id_predicted: bool) {
        let size = block.mode.mi_size;
        self.above_seg_pred[block.mi_col - self.area.mi_col_start..][..size.width4()].fill(seg_id_predicted);
        self.left_seg_pred[block.mi_row % MOST_MI..][..size.height4()].fill(seg_id_predicted);
    }

    /// `read_segment_id` (5.11.9).
    fn read_segment_id(&mut self, block: &mut Block) -> Result<()> {
        let prev_u = block.above.map(|above| above.segment_id);
        let prev_l = block.left.map(|left| left.segment_id);
        let prev_ul = match (prev_u, prev_l) {
            (Some(_), Some(_)) => Some(self.state.modes.at(block.mi_row - 1, block.mi_col - 1).segment_id),
            _ => None,
        };
        let pred = match (prev_u, prev_l) {
            (Some(above), Some(_)) if prev_ul == Some(above) => above,
            (_, Some(left)) => left,
            (above, None) => above.unwrap_or(0),
        };
        block.mode.segment_id = pred;
        if block.mode.skip {
            return Ok(());
        }
        let ctx = match prev_ul {
            None => 0,
            _ if prev_ul == prev_u && prev_ul == prev_l => 2,
            _ if prev_ul == prev_u || prev_ul == prev_l || prev_u == prev_l => 1,
            _ => 0,
        };
        let segment_id = self.d.read_symbol(&mut self.cdfs.segment_id[ctx]) as i32;
        let max = i32::from(self.frame.header.segmentation.last_active_seg_id) + 1;
        let segment_id = neg_deinterleave(segment_id, i32::from(pred), max);
        if !(0..max).contains(&segment_id) {
            return Err(Error::corrupt("a segment is not among those of its frame", self.d.tell()));
        }
        block.mode.segment_id = segment_id as u8;
        Ok(())
    }

    /// `get_segment_id` (5.11.21).
    fn predicted_segment_id(&self, block: &Block) -> u8 {
        let size = block.mode.mi_size;
        let cols = block.mi_col..(block.mi_col + size.width4()).min(self.frame.mi_cols);
        let rows = self.frame.prev_segment_ids.chunks_exact(self.frame.mi_cols).skip(block.mi_row).take(size.height4());
        rows.flat_map(|row| &row[cols.clone()]).copied().min().unwrap_or(0)
    }

    /// Notes the block's segment for later frames.
    pub(super) fn keep_segment_id(&mut self, block: &Block) {
        let size = block.mode.mi_size;
        let cols = block.mi_col..(block.mi_col + size.width4()).min(self.frame.mi_cols);
        let lines = self.state.segment_ids.chunks_exact_mut(self.frame.mi_cols).skip(block.mi_row);
        for line in lines.take(size.height4()) {
            line[cols.clone()].fill(block.mode.segment_id);
        }
    }
}

fn neg_deinterleave(diff: i32, reference: i32, max: i32) -> i32 {
    let around = || if diff & 1 == 1 { reference + ((diff + 1) >> 1) } else { reference - (diff >> 1) };
    if reference == 0 {
        diff
    } else if reference >= max - 1 {
        max - diff - 1
    } else if 2 * reference < max {
        if diff <= 2 * reference { around() } else { diff }
    } else if diff <= 2 * (max - reference - 1) {
        around()
    } else {
        max - (diff + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_each_segment_once_and_the_nearest_first() {
        for (max, reference) in (1..=8).flat_map(|max| (0..max).map(move |reference| (max, reference))) {
            let segments: Vec<_> = (0..max).map(|diff| neg_deinterleave(diff, reference, max)).collect();
            let distances: Vec<_> = segments.iter().map(|segment| (segment - reference).abs()).collect();
            assert!(distances.is_sorted(), "{segments:?} around {reference} of {max}");
            let mut sorted = segments;
            sorted.sort_unstable();
            assert_eq!(sorted, (0..max).collect::<Vec<_>>(), "around {reference} of {max}");
        }
    }
}
