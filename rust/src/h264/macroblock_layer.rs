//! Macroblock layer (7.3.5): one macroblock from its type to its last coefficient, whatever the entropy coding.

use super::inter_pred::{inter_pred, sub_mb_pred};
use super::macroblock::{Macroblock, RunningState, STRIDE, SliceContext};
use super::mb_type::MbType;
use super::neighbours::MbStore;
use super::residual::residual;
use super::slice_header::SliceType;
use super::syntax::{MacroblockSyntax, PatternNeighbours};
use crate::error::{Error, Result};

/// `macroblock_layer()`.
#[inline(never)]
pub fn macroblock_layer<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    store: &MbStore,
    state: &mut RunningState,
    mb: &mut Macroblock,
) -> Result<()> {
    mb.clear_blocks(slice.has_motion_contexts);
    let mb_type = mb_type(e, slice, store, mb)?;
    mb.mb_type = Some(mb_type);
    mb.is_intra = mb_type.is_intra();
    if mb_type == MbType::IPcm {
        return i_pcm(e, slice, state, mb);
    }
    let t8x8_mode = slice.header.pps.transform_8x8_mode_flag;
    let mut may_use_8x8 = t8x8_mode && !mb.is_intra;
    if let MbType::Inter8x8 { ref_idx_coded } = mb_type {
        may_use_8x8 &= sub_mb_pred(e, slice, store, mb, ref_idx_coded)?;
    } else {
        if t8x8_mode && mb_type == MbType::INxN {
            mb.transform_size_8x8 = transform_size_8x8_flag(e, store, mb);
        }
        mb_pred(e, slice, store, mb, mb_type)?;
    }
    if let MbType::I16x16 { coded_block_pattern } = mb_type {
        mb.coded_block_pattern = coded_block_pattern;
    } else {
        let has_chroma = matches!(slice.chroma_array_type, 1 | 2);
        let neighbours = pattern_neighbours(store, mb);
        mb.coded_block_pattern = e.coded_block_pattern(neighbours, mb.is_intra, has_chroma)?;
        may_use_8x8 &= mb_type != MbType::BDirect16x16 || slice.header.sps.direct_8x8_inference_flag;
        if may_use_8x8 && mb.coded_block_pattern & 15 != 0 {
            mb.transform_size_8x8 = transform_size_8x8_flag(e, store, mb);
        }
    }
    let is_i16x16 = matches!(mb_type, MbType::I16x16 { .. });
    if mb.coded_block_pattern == 0 && !is_i16x16 {
        state.last_qp_delta_nonzero = false;
        return Ok(());
    }
    mb_qp_delta(e, slice, state, mb)?;
    residual(e, slice, store, mb, is_i16x16)
}

fn mb_type<E: MacroblockSyntax>(e: &mut E, slice: &SliceContext, store: &MbStore, mb: &Macroblock) -> Result<MbType> {
    let (a, b) = (store.get(mb.neighbours.a).flags, store.get(mb.neighbours.b).flags);
    match slice.header.slice_type {
        // 9.3.3.1.1.3
        SliceType::I => e.mb_type_i(usize::from(a.not_i_nxn) + usize::from(b.not_i_nxn)),
        SliceType::SI => e.mb_type_si(),
        SliceType::P | SliceType::SP => e.mb_type_p(),
        SliceType::B => e.mb_type_b(usize::from(a.not_direct) + usize::from(b.not_direct)),
    }
}

/// 9.3.3.1.1.10
fn transform_size_8x8_flag<E: MacroblockSyntax>(e: &mut E, store: &MbStore, mb: &Macroblock) -> bool {
    let is_8x8 = |position| usize::from(store.get(position).flags.transform_size_8x8);
    e.transform_size_8x8_flag(is_8x8(mb.neighbours.a) + is_8x8(mb.neighbours.b))
}

fn i_pcm<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    state: &mut RunningState,
    mb: &mut Macroblock,
) -> Result<()> {
    let sps = &slice.header.sps;
    let chroma_samples = [0, 128, 256, 512][usize::from(slice.chroma_array_type & 3)];
    let luma_bits = 256 * usize::from(sps.bit_depth_luma);
    let chroma_bits = chroma_samples * usize::from(sps.bit_depth_chroma);
    mb.cost.overhead = e.pcm_samples(luma_bits + chroma_bits)? as u32;
    mb.cost.luma = luma_bits as u32;
    mb.cost.chroma = chroma_bits as u32;
    mb.cost.is_raw = true;
    mb.cost.spread(0, 0, 4, 4, (luma_bits + chroma_bits) as u32);
    mb.coded_block_pattern = 0x2f;
    mb.dc_coded = 7;
    // 9.2.1: I_PCM blocks count as 16 coefficients each.
    mb.coefficients = [[16; STRIDE * STRIDE]; 3];
    state.last_qp_delta_nonzero = false;
    Ok(())
}

/// 7.3.5.1
fn mb_pred<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    store: &MbStore,
    mb: &mut Macroblock,
    mb_type: MbType,
) -> Result<()> {
    match mb_type {
        MbType::Inter { shape, lists } => inter_pred(e, slice, store, mb, shape, lists),
        MbType::BDirect16x16 => Ok(()),
        _ => {
            if matches!(mb_type, MbType::INxN | MbType::Si) {
                let blocks = if mb.transform_size_8x8 { 4 } else { 16 };
                (0..blocks).for_each(|_| e.intra_pred_mode());
            }
            if matches!(slice.chroma_array_type, 1 | 2) {
                let mode = |position| usize::from(store.get(position).flags.intra_chroma_pred_mode);
                let ctx_idx_inc = mode(mb.neighbours.a) + mode(mb.neighbours.b);
                mb.intra_chroma_pred_mode = e.intra_chroma_pred_mode(ctx_idx_inc)?;
            }
            Ok(())
        }
    }
}

fn pattern_neighbours(store: &MbStore, mb: &Macroblock) -> PatternNeighbours {
    let pattern = |position: usize| store.get(position).coded_block_pattern;
    let left_not_coded = [0, 2].map(|row| {
        let (position, row) = mb.neighbours.left(row);
        pattern(position) >> (row / 2 * 2 + 1) & 1 == 0
    });
    let above = pattern(mb.neighbours.b);
    PatternNeighbours {
        left_not_coded,
        above_not_coded: [2, 3].map(|block| above >> block & 1 == 0),
        chroma: [pattern(mb.neighbours.a) >> 4, above >> 4],
    }
}

/// 7.4.5: `QP_Y` from `mb_qp_delta`.
fn mb_qp_delta<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    state: &mut RunningState,
    mb: &mut Macroblock,
) -> Result<()> {
    let sps = &slice.header.sps;
    let delta = e.mb_qp_delta(state.last_qp_delta_nonzero)?;
    state.last_qp_delta_nonzero = delta != 0;
    let qp_bd_offset = 6 * (i32::from(sps.bit_depth_luma) - 8);
    if !(-26 - qp_bd_offset / 2..=25 + qp_bd_offset / 2).contains(&delta) {
        return Err(Error::corrupt("mb_qp_delta out of range", e.tell()));
    }
    let range = 52 + qp_bd_offset;
    state.qp = (state.qp + delta + qp_bd_offset + range).rem_euclid(range) - qp_bd_offset;
    mb.cost.is_raw = sps.qpprime_y_zero_transform_bypass_flag && state.qp + qp_bd_offset == 0;
    Ok(())
}
