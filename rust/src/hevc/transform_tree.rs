//! Transform trees and units (7.3.8.8, 7.3.8.10, 7.3.8.12, 7.3.8.14).

use super::coding_tree::{Area, CodingTree};
use super::coding_unit::{CodingUnit, PartMode};
use super::contexts as ctx;
use super::residual::{Block, Coder, residual_coding};
use super::scan::{DIAGONAL, HORIZONTAL, VERTICAL};
use crate::error::{Error, Result};
use crate::map::Syntax;

/// `cbf_cb` and `cbf_cr`: bit 0 of the upper, or only, block, bit 1 of the lower one of 4:2:2.
#[derive(Debug, Clone, Copy)]
struct CbfChroma {
    cb: u8,
    cr: u8,
}

impl CbfChroma {
    fn any(self) -> bool {
        self.cb | self.cr != 0
    }
}

/// A node of the transform tree.
#[derive(Debug, Clone, Copy)]
struct Node {
    x0: u32,
    y0: u32,
    x_base: u32,
    y_base: u32,
    log2_trafo_size: u32,
    trafo_depth: u32,
    blk_idx: usize,
    /// Which of the coding unit's intra modes hold here.
    part: usize,
}

impl Node {
    fn area(&self) -> Area {
        Area::square(self.x0, self.y0, self.log2_trafo_size)
    }
}

impl CodingTree<'_> {
    /// The `transform_tree()` of a coding unit, behind its `rqt_root_cbf`.
    pub fn transform_tree(&mut self, cu: &CodingUnit, share: f32) -> Result<()> {
        let root = Node {
            x0: cu.x0,
            y0: cu.y0,
            x_base: cu.x0,
            y_base: cu.y0,
            log2_trafo_size: cu.log2_cb_size,
            trafo_depth: 0,
            blk_idx: 0,
            part: 0,
        };
        self.transform_node(cu, root, CbfChroma { cb: 1, cr: 1 }, share)
    }

    /// `share` is what each cell has been charged by what lies above.
    fn transform_node(&mut self, cu: &CodingUnit, node: Node, parent: CbfChroma, mut share: f32) -> Result<()> {
        let split_transform_flag = self.split_transform_flag(cu, &node);
        let cbf_chroma = self.cbf_chroma(&node, parent, split_transform_flag);
        if !split_transform_flag {
            let cbf_luma =
                if cu.is_intra || node.trafo_depth != 0 || cbf_chroma.any() { self.cbf_luma(&node) } else { true };
            share += self.transform_unit(cu, &node, cbf_luma, cbf_chroma)?;
            self.spread(node.area(), share);
            return Ok(());
        }
        share += self.charge(Syntax::Mode, node.log2_trafo_size);
        let half = 1 << (node.log2_trafo_size - 1);
        for blk_idx in 0..4 {
            let child = Node {
                x0: node.x0 + half * (blk_idx as u32 & 1),
                y0: node.y0 + half * (blk_idx as u32 >> 1),
                x_base: node.x0,
                y_base: node.y0,
                log2_trafo_size: node.log2_trafo_size - 1,
                trafo_depth: node.trafo_depth + 1,
                blk_idx,
                part: if node.trafo_depth == 0 { blk_idx } else { node.part },
            };
            self.transform_node(cu, child, cbf_chroma, share)?;
        }
        Ok(())
    }

    /// `split_transform_flag`, or what is inferred for it (7.4.9.8).
    fn split_transform_flag(&mut self, cu: &CodingUnit, node: &Node) -> bool {
        let sps = self.sps;
        let (log2_size, depth) = (node.log2_trafo_size, node.trafo_depth);
        let is_intra_split = cu.intra_split_flag() && depth == 0;
        let max_trafo_depth = if cu.is_intra {
            sps.max_transform_hierarchy_depth_intra + u32::from(cu.intra_split_flag())
        } else {
            sps.max_transform_hierarchy_depth_inter
        };
        let (min, max) = (sps.min_tb_log2_size_y, sps.max_tb_log2_size_y);
        if log2_size <= max && log2_size > min && depth < max_trafo_depth && !is_intra_split {
            return self.bin(ctx::SPLIT_TRANSFORM_FLAG + 5 - log2_size as usize);
        }
        let inter_split_flag = sps.max_transform_hierarchy_depth_inter == 0
            && !cu.is_intra
            && cu.part_mode != PartMode::Part2Nx2N
            && depth == 0;
        log2_size > max || is_intra_split || inter_split_flag
    }

    fn cbf_chroma(&mut self, node: &Node, parent: CbfChroma, split_transform_flag: bool) -> CbfChroma {
        if self.chroma_array_type == 0 {
            return CbfChroma { cb: 0, cr: 0 };
        }
        if node.log2_trafo_size == 2 && self.chroma_array_type != 3 {
            // Four luma blocks of 4x4 share the chroma blocks of their parent.
            return parent;
        }
        let inc = ctx::CBF_CHROMA + node.trafo_depth as usize;
        let has_two = self.chroma_array_type == 2 && (!split_transform_flag || node.log2_trafo_size == 3);
        let mut flags = |parent: u8| -> u8 {
            if parent == 0 {
                return 0;
            }
            let first = u8::from(self.bin(inc));
            if has_two { first | u8::from(self.bin(inc)) << 1 } else { first }
        };
        CbfChroma { cb: flags(parent.cb), cr: flags(parent.cr) }
    }

    fn cbf_luma(&mut self, node: &Node) -> bool {
        self.bin(ctx::CBF_LUMA + usize::from(node.trafo_depth == 0))
    }

    /// `transform_unit()`, and the flags of its node before it; gives the bits of both per cell.
    fn transform_unit(&mut self, cu: &CodingUnit, node: &Node, cbf_luma: bool, cbf_chroma: CbfChroma) -> Result<f32> {
        if cbf_luma || cbf_chroma.any() {
            if self.pps.scc.residual_adaptive_colour_transform_enabled_flag && has_tu_residual_act_flag(cu, node) {
                self.bin(ctx::TU_RESIDUAL_ACT_FLAG);
            }
            self.delta_qp()?;
            if cbf_chroma.any() {
                self.chroma_qp_offset(cu.cu_transquant_bypass_flag);
            }
        }
        let mut share = self.charge(Syntax::Mode, node.log2_trafo_size);
        if cbf_luma {
            self.luma_block(cu, node)?;
            share += self.charge(Syntax::Luma, node.log2_trafo_size);
        }
        if node.log2_trafo_size > 2 || self.chroma_array_type == 3 {
            let has_cross_component = self.pps.cross_component_prediction_enabled_flag
                && cbf_luma
                && (!cu.is_intra || cu.is_chroma_derived[node.part]);
            for (c, cbf) in [cbf_chroma.cb, cbf_chroma.cr].into_iter().enumerate() {
                if has_cross_component {
                    self.cross_comp_pred(c);
                    share += self.charge(Syntax::Chroma, node.log2_trafo_size);
                }
                if cbf != 0 {
                    share += self.chroma_blocks(cu, node.area(), node.part, cbf)?;
                }
            }
        } else if node.blk_idx == 3 && cbf_chroma.any() {
            // The chroma of all four 4x4 luma blocks, in the direction of the first.
            let area = Area::square(node.x_base, node.y_base, 3);
            let share_of_four =
                self.chroma_blocks(cu, area, 0, cbf_chroma.cb)? + self.chroma_blocks(cu, area, 0, cbf_chroma.cr)?;
            self.spread(area, share_of_four);
        }
        Ok(share)
    }

    fn luma_block(&mut self, cu: &CodingUnit, node: &Node) -> Result<()> {
        let mode = cu.intra_pred_mode_y[node.part];
        let log2_size = node.log2_trafo_size;
        // 7.4.9.11
        let scan_idx = if cu.is_intra && log2_size <= 3 { scan_idx(mode) } else { DIAGONAL };
        self.block::<false>(cu, log2_size, scan_idx, mode)
    }

    /// The Cb or the Cr block of a luma area, or both one above the other in 4:2:2, which are spread here.
    ///
    /// Gives the bits per cell of the area that are yet to be spread.
    fn chroma_blocks(&mut self, cu: &CodingUnit, area: Area, part: usize, cbf: u8) -> Result<f32> {
        let mode = cu.intra_pred_mode_c[part];
        let is_444 = self.chroma_array_type == 3;
        let log2_luma_size = area.width.trailing_zeros();
        let log2_size = log2_luma_size - u32::from(!is_444);
        let is_mode_dependent = cu.is_intra && (log2_size == 2 || (log2_size == 3 && is_444));
        let scan_idx = if is_mode_dependent { scan_idx(mode) } else { DIAGONAL };
        if self.chroma_array_type != 2 {
            if cbf != 0 {
                self.block::<true>(cu, log2_size, scan_idx, mode)?;
            }
            return Ok(self.charge(Syntax::Chroma, log2_luma_size));
        }
        let height = area.height / 2;
        for t_idx in 0..2 {
            if cbf >> t_idx & 1 != 0 {
                self.block::<true>(cu, log2_size, scan_idx, mode)?;
                let share = 2.0 * self.charge(Syntax::Chroma, log2_luma_size);
                self.spread(Area { y: area.y + t_idx * height, height, ..area }, share);
            }
        }
        Ok(0.0)
    }

    #[inline(always)]
    fn block<const CHROMA: bool>(
        &mut self,
        cu: &CodingUnit,
        log2_trafo_size: u32,
        scan_idx: usize,
        pred_mode_intra: u8,
    ) -> Result<()> {
        let block = Block {
            log2_trafo_size,
            scan_idx,
            cu_transquant_bypass_flag: cu.cu_transquant_bypass_flag,
            is_intra: cu.is_intra,
            is_pure_direction: matches!(pred_mode_intra, 10 | 26),
        };
        let coder = Coder { engine: &mut self.engine, contexts: &mut self.contexts, stat_coeff: &mut self.stat_coeff };
        if self.has_extended_residuals || cu.cu_transquant_bypass_flag {
            residual_coding::<CHROMA, true>(coder, &self.tools, block)
        } else {
            residual_coding::<CHROMA, false>(coder, &self.tools, block)
        }
    }

    /// `delta_qp()` (7.3.8.14).
    pub fn delta_qp(&mut self) -> Result<()> {
        if !self.pps.cu_qp_delta_enabled_flag || self.quantisation.is_cu_qp_delta_coded {
            return Ok(());
        }
        let mut cu_qp_delta_abs = self.unary(5, |bin_idx| ctx::CU_QP_DELTA_ABS + usize::from(bin_idx > 0)) as i32;
        if cu_qp_delta_abs == 5 {
            cu_qp_delta_abs += self.exp_golomb(0)? as i32;
        }
        let is_negative = cu_qp_delta_abs > 0 && self.engine.bypass();
        let cu_qp_delta_val = if is_negative { -cu_qp_delta_abs } else { cu_qp_delta_abs };
        // 7.4.9.14
        let half_range = 26 + 3 * (self.sps.bit_depth_luma as i32 - 8);
        if !(-half_range..half_range).contains(&cu_qp_delta_val) {
            return Err(Error::corrupt("CuQpDeltaVal out of range", self.engine.tell()));
        }
        self.quantisation.is_cu_qp_delta_coded = true;
        self.quantisation.cu_qp_delta_val = cu_qp_delta_val;
        Ok(())
    }

    /// `chroma_qp_offset()` (7.3.8.14).
    pub fn chroma_qp_offset(&mut self, cu_transquant_bypass_flag: bool) {
        let is_coded = self.quantisation.is_cu_chroma_qp_offset_coded;
        if !self.slice.cu_chroma_qp_offset_enabled_flag || cu_transquant_bypass_flag || is_coded {
            return;
        }
        let cu_chroma_qp_offset_flag = self.bin(ctx::CU_CHROMA_QP_OFFSET_FLAG);
        if cu_chroma_qp_offset_flag {
            // cu_chroma_qp_offset_idx
            self.unary(self.pps.chroma_qp_offset_list_len_minus1, |_| ctx::CU_CHROMA_QP_OFFSET_IDX);
        }
        self.quantisation.is_cu_chroma_qp_offset_coded = true;
    }

    /// `cross_comp_pred()` (7.3.8.12).
    fn cross_comp_pred(&mut self, c: usize) {
        let first = ctx::LOG2_RES_SCALE_ABS + 4 * c;
        let log2_res_scale_abs_plus1 = self.unary(4, |bin_idx| first + bin_idx as usize);
        if log2_res_scale_abs_plus1 != 0 {
            self.bin(ctx::RES_SCALE_SIGN_FLAG + c);
        }
    }

    /// A k-th order Exp-Golomb code of bypass bins (9.3.3.5).
    pub fn exp_golomb(&mut self, mut k: u32) -> Result<u32> {
        const MAX_ORDER: u32 = 24;
        let mut value = 0;
        while self.engine.bypass() {
            value += 1 << k;
            k += 1;
            if k > MAX_ORDER {
                return Err(Error::corrupt("Exp-Golomb code out of range", self.engine.tell()));
            }
        }
        Ok(value + self.engine.bypass_bits(k))
    }
}

/// The condition of `tu_residual_act_flag`: all chroma of the coding unit goes in the direction of luma.
fn has_tu_residual_act_flag(cu: &CodingUnit, node: &Node) -> bool {
    !cu.is_intra
        || (cu.part_mode == PartMode::Part2Nx2N && cu.is_chroma_derived[node.part])
        || cu.is_chroma_derived.iter().all(|&derived| derived)
}

/// `scanIdx` of small intra blocks (7.4.9.11): across the direction of prediction.
fn scan_idx(pred_mode_intra: u8) -> usize {
    match pred_mode_intra {
        6..=14 => VERTICAL,
        22..=30 => HORIZONTAL,
        _ => DIAGONAL,
    }
}
