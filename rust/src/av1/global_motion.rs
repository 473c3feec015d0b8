//! `global_motion_params` (5.9.24).

use super::descriptors::ns;
use super::frame_start::REFS_PER_FRAME;
use crate::bits::BitReader;

const GM_ABS_ALPHA_BITS: u32 = 12;
const GM_ALPHA_PREC_BITS: u32 = 15;
const GM_ABS_TRANS_ONLY_BITS: u32 = 9;
const GM_TRANS_ONLY_PREC_BITS: u32 = 3;
const GM_ABS_TRANS_BITS: u32 = 12;
const GM_TRANS_PREC_BITS: u32 = 6;
pub const WARPEDMODEL_PREC_BITS: u32 = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum GmType {
    #[default]
    Identity,
    Translation,
    RotZoom,
    Affine,
}

/// `GmType` and `gm_params` of a reference frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalMotion {
    pub gm_type: GmType,
    pub gm_params: [i32; 6],
}

impl Default for GlobalMotion {
    fn default() -> Self {
        const ONE: i32 = 1 << WARPEDMODEL_PREC_BITS;
        Self { gm_type: GmType::Identity, gm_params: [0, 0, ONE, 0, 0, ONE] }
    }
}

/// Indexed by reference frame; that of `INTRA_FRAME` is the identity.
pub type GlobalMotions = [GlobalMotion; 1 + REFS_PER_FRAME];

/// Those of an inter frame. `previous` are those of the frame that `primary_ref_frame` names (`PrevGmParams`).
pub fn global_motion_params(
    r: &mut BitReader,
    previous: Option<&GlobalMotions>,
    allow_high_precision_mv: bool,
) -> GlobalMotions {
    let identity = GlobalMotions::default();
    let previous = previous.unwrap_or(&identity);
    let mut motions = GlobalMotions::default();
    for (motion, previous) in motions.iter_mut().zip(previous).skip(1) {
        motion.gm_type = gm_type(r);
        let mut reader =
            ParamReader { r, gm_type: motion.gm_type, previous: &previous.gm_params, allow_high_precision_mv };
        let params = &mut motion.gm_params;
        if motion.gm_type >= GmType::RotZoom {
            params[2] = reader.read_global_param(2);
            params[3] = reader.read_global_param(3);
            if motion.gm_type == GmType::Affine {
                params[4] = reader.read_global_param(4);
                params[5] = reader.read_global_param(5);
            } else {
                (params[4], params[5]) = (-params[3], params[2]);
            }
        }
        if motion.gm_type >= GmType::Translation {
            params[0] = reader.read_global_param(0);
            params[1] = reader.read_global_param(1);
        }
    }
    motions
}

fn gm_type(r: &mut BitReader) -> GmType {
    let is_global = r.flag();
    if !is_global {
        return GmType::Identity;
    }
    let is_rot_zoom = r.flag();
    if is_rot_zoom {
        return GmType::RotZoom;
    }
    let is_translation = r.flag();
    if is_translation { GmType::Translation } else { GmType::Affine }
}

struct ParamReader<'a, 'b> {
    r: &'a mut BitReader<'b>,
    gm_type: GmType,
    previous: &'a [i32; 6],
    allow_high_precision_mv: bool,
}

impl ParamReader<'_, '_> {
    /// `read_global_param` (5.9.25).
    fn read_global_param(&mut self, idx: usize) -> i32 {
        let (mut abs_bits, mut prec_bits) = (GM_ABS_ALPHA_BITS, GM_ALPHA_PREC_BITS);
        if idx < 2 {
            (abs_bits, prec_bits) = (GM_ABS_TRANS_BITS, GM_TRANS_PREC_BITS);
            if self.gm_type == GmType::Translation {
                let coarser = u32::from(!self.allow_high_precision_mv);
                (abs_bits, prec_bits) = (GM_ABS_TRANS_ONLY_BITS - coarser, GM_TRANS_ONLY_PREC_BITS - coarser);
            }
        }
        let prec_diff = WARPEDMODEL_PREC_BITS - prec_bits;
        let is_scale = idx % 3 == 2;
        let round = if is_scale { 1 << WARPEDMODEL_PREC_BITS } else { 0 };
        let sub = if is_scale { 1 << prec_bits } else { 0 };
        let mx = 1 << abs_bits;
        let reference = (self.previous[idx] >> prec_diff) - sub;
        (decode_signed_subexp_with_ref(self.r, -mx, mx + 1, reference) << prec_diff) + round
    }
}

/// 5.9.26. The reference lies between `low` and `high`: models of all kinds cover the same range, if in other steps.
fn decode_signed_subexp_with_ref(r: &mut BitReader, low: i32, high: i32, reference: i32) -> i32 {
    debug_assert!((low..high).contains(&reference));
    decode_unsigned_subexp_with_ref(r, (high - low) as u32, (reference - low) as u32) as i32 + low
}

/// 5.9.27.
fn decode_unsigned_subexp_with_ref(r: &mut BitReader, mx: u32, reference: u32) -> u32 {
    let v = decode_subexp(r, mx);
    if reference << 1 <= mx { inverse_recenter(reference, v) } else { mx - 1 - inverse_recenter(mx - 1 - reference, v) }
}

/// 5.9.28: gives a number below `num_syms`.
fn decode_subexp(r: &mut BitReader, num_syms: u32) -> u32 {
    let (mut i, mut mk, k) = (0, 0, 3);
    loop {
        let b2 = if i > 0 { k + i - 1 } else { k };
        let a = 1 << b2;
        if num_syms <= mk + 3 * a {
            return ns(r, num_syms - mk) + mk;
        }
        let subexp_more_bits = r.flag();
        if !subexp_more_bits {
            return r.u(b2) + mk;
        }
        i += 1;
        mk += a;
    }
}

/// 5.9.29. Numbers around `r`, the nearest first.
fn inverse_recenter(r: u32, v: u32) -> u32 {
    if v > 2 * r {
        v
    } else if v & 1 == 1 {
        r - v.div_ceil(2)
    } else {
        r + (v >> 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::written::BitWriter;

    #[test]
    fn numbers_are_recentered_one_to_one() {
        for reference in [0, 3, 8, 9, 16] {
            let mut values: Vec<_> = (0..17)
                .map(|v| {
                    let bytes = write_ns(BitWriter::default(), 17, v).bytes();
                    decode_unsigned_subexp_with_ref(&mut BitReader::new(&bytes), 17, reference)
                })
                .collect();
            assert_eq!(values[0], reference);
            values.sort_unstable();
            assert!(values.into_iter().eq(0..17));
        }
    }

    fn write_ns(bits: BitWriter, n: u32, value: u32) -> BitWriter {
        let w = n.ilog2() + 1;
        let m = (1 << w) - n;
        if value < m { bits.u(w - 1, value) } else { bits.u(w, value + m) }
    }
}
