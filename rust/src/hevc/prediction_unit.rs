//! Prediction units (7.3.8.6) and motion vector differences (7.3.8.9).

use super::coding_tree::{Area, CodingTree};
use super::coding_unit::{CodingUnit, PartMode};
use super::contexts as ctx;
use super::slice_header::SliceType;
use crate::error::{Error, Result};
use crate::map::Syntax;

/// `inter_pred_idc` (Table 7-11).
#[derive(Clone, Copy, PartialEq, Eq)]
enum InterPredIdc {
    L0,
    L1,
    Bi,
}

impl CodingTree<'_> {
    /// All prediction units of a coding unit; tells whether the first one is merged.
    pub fn prediction_units(&mut self, cu: &CodingUnit) -> Result<bool> {
        let Area { x, y, width: size, .. } = cu.area();
        let (half, quarter) = (size / 2, size / 4);
        let whole = cu.area();
        let left = |width| Area { width, ..whole };
        let right = |width| Area { x: x + size - width, width, ..whole };
        let top = |height| Area { height, ..whole };
        let bottom = |height| Area { y: y + size - height, height, ..whole };
        let pair = match cu.part_mode {
            PartMode::Part2Nx2N => return self.prediction_unit(cu, whole),
            PartMode::PartNxN => {
                let log2_size = cu.log2_cb_size - 1;
                let is_merged = self.prediction_unit(cu, Area::square(x, y, log2_size))?;
                for (x, y) in [(x + half, y), (x, y + half), (x + half, y + half)] {
                    self.prediction_unit(cu, Area::square(x, y, log2_size))?;
                }
                return Ok(is_merged);
            }
            PartMode::Part2NxN => [top(half), bottom(half)],
            PartMode::PartNx2N => [left(half), right(half)],
            PartMode::Part2NxnU => [top(quarter), bottom(size - quarter)],
            PartMode::Part2NxnD => [top(size - quarter), bottom(quarter)],
            PartMode::PartnLx2N => [left(quarter), right(size - quarter)],
            PartMode::PartnRx2N => [left(size - quarter), right(quarter)],
        };
        let is_merged = self.prediction_unit(cu, pair[0])?;
        self.prediction_unit(cu, pair[1])?;
        Ok(is_merged)
    }

    /// `prediction_unit()` of a unit that is not skipped; gives its `merge_flag`.
    fn prediction_unit(&mut self, cu: &CodingUnit, area: Area) -> Result<bool> {
        let merge_flag = self.bin(ctx::MERGE_FLAG);
        if merge_flag {
            self.merge_idx();
        } else {
            let inter_pred_idc = self.inter_pred_idc(cu, area);
            if inter_pred_idc != InterPredIdc::L1 {
                self.ref_idx(self.slice.num_ref_idx_active[0]);
                self.mvd_coding()?;
                // mvp_l0_flag
                self.bin(ctx::MVP_FLAG);
            }
            if inter_pred_idc != InterPredIdc::L0 {
                self.ref_idx(self.slice.num_ref_idx_active[1]);
                if !(self.slice.mvd_l1_zero_flag && inter_pred_idc == InterPredIdc::Bi) {
                    self.mvd_coding()?;
                }
                // mvp_l1_flag
                self.bin(ctx::MVP_FLAG);
            }
        }
        let cells = (area.width >> 2) * (area.height >> 2);
        let share = self.take_bits(Syntax::Motion) as f32 / cells as f32;
        self.spread(area, share);
        Ok(merge_flag)
    }

    pub fn merge_idx(&mut self) {
        let c_max = self.slice.max_num_merge_cand - 1;
        if c_max > 0 && self.bin(ctx::MERGE_IDX) {
            let mut merge_idx = 1;
            while merge_idx < c_max && self.engine.bypass() {
                merge_idx += 1;
            }
        }
    }

    fn inter_pred_idc(&mut self, cu: &CodingUnit, area: Area) -> InterPredIdc {
        if self.slice.slice_type != SliceType::B {
            return InterPredIdc::L0;
        }
        // Units of 8x4 and 4x8 are predicted from one list only.
        let may_be_bi = area.width + area.height != 12;
        if may_be_bi && self.bin(ctx::INTER_PRED_IDC + cu.cqt_depth as usize) {
            return InterPredIdc::Bi;
        }
        if self.bin(ctx::INTER_PRED_IDC + 4) { InterPredIdc::L1 } else { InterPredIdc::L0 }
    }

    fn ref_idx(&mut self, num_ref_idx_active: u32) {
        let c_max = num_ref_idx_active.saturating_sub(1);
        let mut ref_idx = self.unary(c_max.min(2), |bin_idx| ctx::REF_IDX + bin_idx as usize);
        if ref_idx == 2 {
            while ref_idx < c_max && self.engine.bypass() {
                ref_idx += 1;
            }
        }
    }

    /// `mvd_coding()`.
    fn mvd_coding(&mut self) -> Result<()> {
        let mut abs_mvd_greater0_flag = [false; 2];
        let mut abs_mvd_greater1_flag = [false; 2];
        for flag in &mut abs_mvd_greater0_flag {
            *flag = self.bin(ctx::ABS_MVD_GREATER0_FLAG);
        }
        for (greater1, greater0) in abs_mvd_greater1_flag.iter_mut().zip(abs_mvd_greater0_flag) {
            *greater1 = greater0 && self.bin(ctx::ABS_MVD_GREATER1_FLAG);
        }
        for (greater1, greater0) in abs_mvd_greater1_flag.iter().zip(abs_mvd_greater0_flag) {
            if *greater1 {
                self.abs_mvd_minus2()?;
            }
            if greater0 {
                // mvd_sign_flag
                self.engine.bypass();
            }
        }
        Ok(())
    }

    /// `abs_mvd_minus2`, an Exp-Golomb code of order 1 (9.3.3.5).
    fn abs_mvd_minus2(&mut self) -> Result<()> {
        // Differences have 16 bits at most.
        const MAX_PREFIX: u32 = 15;
        let mut k = 1;
        while self.engine.bypass() {
            if k > MAX_PREFIX {
                return Err(Error::corrupt("abs_mvd_minus2 out of range", self.engine.tell()));
            }
            k += 1;
        }
        self.engine.bypass_bits(k);
        Ok(())
    }
}
