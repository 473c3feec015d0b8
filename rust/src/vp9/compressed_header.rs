//! `compressed_header` (6.3): the symbols' probabilities as this frame changes them.

use super::frame_header::{FrameHeader, InterpolationFilter};
use super::probabilities::{CoefProbs, Probabilities};
use super::tables::INV_MAP_TABLE;
use crate::bool_decoder::BoolDecoder;
use crate::error::Result;

/// `reference_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceMode {
    Single,
    Compound,
    Select,
}

#[derive(Debug, Clone, Copy)]
pub struct CompressedHeader {
    /// Largest transform size, as log2 of its size in units of 4 samples.
    pub max_tx_size: u8,
    /// `tx_mode` is `TX_MODE_SELECT`: blocks tell their transform size.
    pub tx_mode_select: bool,
    pub reference_mode: ReferenceMode,
    pub comp_fixed_ref: i8,
    pub comp_var_ref: [i8; 2],
}

impl CompressedHeader {
    /// Reads the header in `bytes` and changes `probs` as it says.
    pub fn parse(bytes: &[u8], header: &FrameHeader, probs: &mut Probabilities) -> Result<Self> {
        let mut d = BoolDecoder::new(bytes)?;
        let (max_tx_size, tx_mode_select) = read_tx_mode(&mut d, header.lossless);
        let (comp_fixed_ref, comp_var_ref) = setup_compound_reference_mode(&header.sign_bias);
        let mut compressed =
            Self { max_tx_size, tx_mode_select, reference_mode: ReferenceMode::Single, comp_fixed_ref, comp_var_ref };
        if tx_mode_select {
            diff_update_probs(&mut d, probs.tx_8x8.as_flattened_mut());
            diff_update_probs(&mut d, probs.tx_16x16.as_flattened_mut());
            diff_update_probs(&mut d, probs.tx_32x32.as_flattened_mut());
        }
        for coef in &mut probs.coef[..=usize::from(max_tx_size)] {
            read_coef_probs(&mut d, coef);
        }
        diff_update_probs(&mut d, &mut probs.skip);
        if !header.frame_is_intra() {
            compressed.reference_mode = read_inter_probs(&mut d, header, probs);
        }
        d.finish()?;
        Ok(compressed)
    }
}

/// `read_tx_mode` (6.3.1): the largest size, and whether blocks choose.
fn read_tx_mode(d: &mut BoolDecoder, lossless: bool) -> (u8, bool) {
    if lossless {
        return (0, false);
    }
    let tx_mode = d.literal(2) as u8;
    (tx_mode, tx_mode == 3 && d.read(128))
}

/// `read_coef_probs` (6.3.7) of one transform size.
fn read_coef_probs(d: &mut BoolDecoder, probs: &mut CoefProbs) {
    if !d.read(128) {
        return;
    }
    for bands in probs.as_flattened_mut() {
        for (band, contexts) in bands.iter_mut().enumerate() {
            let used = if band == 0 { 3 } else { 6 };
            diff_update_probs(d, contexts[..used].as_flattened_mut());
        }
    }
}

/// What only frames that are predicted from others have.
fn read_inter_probs(d: &mut BoolDecoder, header: &FrameHeader, probs: &mut Probabilities) -> ReferenceMode {
    diff_update_probs(d, probs.inter_mode.as_flattened_mut());
    if header.interpolation_filter == InterpolationFilter::Switchable {
        diff_update_probs(d, probs.interp_filter.as_flattened_mut());
    }
    diff_update_probs(d, &mut probs.is_inter);
    let reference_mode = frame_reference_mode(d, &header.sign_bias);
    if reference_mode == ReferenceMode::Select {
        diff_update_probs(d, &mut probs.comp_mode);
    }
    if reference_mode != ReferenceMode::Compound {
        diff_update_probs(d, probs.single_ref.as_flattened_mut());
    }
    if reference_mode != ReferenceMode::Single {
        diff_update_probs(d, &mut probs.comp_ref);
    }
    diff_update_probs(d, probs.y_mode.as_flattened_mut());
    diff_update_probs(d, probs.partition.as_flattened_mut());
    mv_probs(d, header.allow_high_precision_mv, probs);
    reference_mode
}

/// `frame_reference_mode` (6.3.12).
fn frame_reference_mode(d: &mut BoolDecoder, sign_bias: &[bool; 4]) -> ReferenceMode {
    let compound_reference_allowed = sign_bias[2] != sign_bias[1] || sign_bias[3] != sign_bias[1];
    if !compound_reference_allowed || !d.read(128) {
        ReferenceMode::Single
    } else if !d.read(128) {
        ReferenceMode::Compound
    } else {
        ReferenceMode::Select
    }
}

/// `setup_compound_reference_mode` (6.3.18): `CompFixedRef` and `CompVarRef`, of last (1), golden (2), alternate (3).
fn setup_compound_reference_mode(sign_bias: &[bool; 4]) -> (i8, [i8; 2]) {
    if sign_bias[1] == sign_bias[2] {
        (3, [1, 2])
    } else if sign_bias[1] == sign_bias[3] {
        (2, [1, 3])
    } else {
        (1, [2, 3])
    }
}

/// `mv_probs` (6.3.16).
fn mv_probs(d: &mut BoolDecoder, allow_high_precision_mv: bool, probs: &mut Probabilities) {
    update_mv_probs(d, &mut probs.mv_joint);
    for mv in &mut probs.mv {
        update_mv_probs(d, std::slice::from_mut(&mut mv.sign));
        update_mv_probs(d, &mut mv.classes);
        update_mv_probs(d, &mut mv.class0_bit);
        update_mv_probs(d, &mut mv.bits);
    }
    for mv in &mut probs.mv {
        update_mv_probs(d, mv.class0_fr.as_flattened_mut());
        update_mv_probs(d, &mut mv.fr);
    }
    if allow_high_precision_mv {
        for mv in &mut probs.mv {
            update_mv_probs(d, std::slice::from_mut(&mut mv.class0_hp));
            update_mv_probs(d, std::slice::from_mut(&mut mv.hp));
        }
    }
}

/// `update_mv_prob` (6.3.17).
fn update_mv_probs(d: &mut BoolDecoder, probs: &mut [u8]) {
    for prob in probs {
        if d.read(252) {
            *prob = (d.literal(7) as u8) << 1 | 1;
        }
    }
}

/// `diff_update_prob` (6.3.3).
fn diff_update_probs(d: &mut BoolDecoder, probs: &mut [u8]) {
    for prob in probs {
        if d.read(252) {
            *prob = inv_remap_prob(decode_term_subexp(d), *prob);
        }
    }
}

/// `decode_term_subexp` (6.3.4), 0 to 254.
fn decode_term_subexp(d: &mut BoolDecoder) -> usize {
    let value = if !d.read(128) {
        d.literal(4)
    } else if !d.read(128) {
        d.literal(4) + 16
    } else if !d.read(128) {
        d.literal(5) + 32
    } else {
        match d.literal(7) {
            v @ 0..65 => v + 64,
            v => (v << 1) - 1 + u32::from(d.read(128)),
        }
    };
    value as usize
}

/// `inv_remap_prob` (6.3.5). The result stays within 1 to 255.
fn inv_remap_prob(delta_prob: usize, prob: u8) -> u8 {
    let v = i32::from(INV_MAP_TABLE[delta_prob.min(INV_MAP_TABLE.len() - 1)]);
    let m = i32::from(prob) - 1;
    let remapped = if m << 1 <= 255 { 1 + inv_recenter_nonneg(v, m) } else { 255 - inv_recenter_nonneg(v, 254 - m) };
    remapped.clamp(1, 255) as u8
}

/// `inv_recenter_nonneg` (6.3.6).
fn inv_recenter_nonneg(v: i32, m: i32) -> i32 {
    if v > 2 * m {
        v
    } else if v & 1 == 1 {
        m - ((v + 1) >> 1)
    } else {
        m + (v >> 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remapping_reaches_every_other_probability() {
        for prob in 1..=255 {
            let reached: std::collections::BTreeSet<u8> = (0..254).map(|delta| inv_remap_prob(delta, prob)).collect();
            assert_eq!(reached.len(), 254);
            assert!(!reached.contains(&0) && !reached.contains(&prob));
        }
    }
}
