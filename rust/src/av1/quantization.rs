//! Quantizer indices (5.9.12, 5.9.17, 7.12.2).

use super::descriptors::su;
use super::segmentation::{SEG_LVL_ALT_Q, Segmentation};
use super::sequence_header::ColorConfig;
use crate::bits::BitReader;

/// `quantization_params` (5.9.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantization {
    pub base_q_idx: u8,
    /// `DeltaQYDc` and those of chroma are all 0.
    has_no_deltas: bool,
}

impl Quantization {
    pub fn parse(r: &mut BitReader, color: ColorConfig) -> Self {
        let base_q_idx = r.u(8) as u8;
        let mut has_no_deltas = read_delta_q(r) == 0;
        if color.num_planes() > 1 {
            let diff_uv_delta = color.separate_uv_delta_q && r.flag();
            for _ in 0..if diff_uv_delta { 4 } else { 2 } {
                has_no_deltas &= read_delta_q(r) == 0;
            }
        }
        let using_qmatrix = r.flag();
        if using_qmatrix {
            r.skip(4 + 4); // qm_y, qm_u
            if color.separate_uv_delta_q {
                r.skip(4); // qm_v
            }
        }
        Self { base_q_idx, has_no_deltas }
    }

    /// `get_qindex` (7.12.2) of a block in a segment, `current_q_index` being its base: `base_q_idx` where delta
    /// values are ignored or not present.
    pub fn qindex(segmentation: &Segmentation, segment_id: u8, current_q_index: u8) -> u8 {
        match segmentation.feature(segment_id, SEG_LVL_ALT_Q) {
            Some(data) => (i16::from(current_q_index) + data).clamp(0, 255) as u8,
            None => current_q_index,
        }
    }

    /// `LosslessArray`, for one segment.
    pub fn is_lossless(&self, segmentation: &Segmentation, segment_id: u8) -> bool {
        self.has_no_deltas && Self::qindex(segmentation, segment_id, self.base_q_idx) == 0
    }
}

/// `read_delta_q` (5.9.13).
fn read_delta_q(r: &mut BitReader) -> i32 {
    let delta_coded = r.flag();
    if delta_coded { su(r, 1 + 6) } else { 0 }
}

/// `delta_q_params` and `delta_lf_params` (5.9.17, 5.9.18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deltas {
    pub delta_q_present: bool,
    pub delta_q_res: u8,
    pub delta_lf_present: bool,
    pub delta_lf_multi: bool,
}

impl Deltas {
    pub fn parse(r: &mut BitReader, base_q_idx: u8, allow_intrabc: bool) -> Self {
        let mut deltas = Self { delta_q_present: base_q_idx > 0 && r.flag(), ..Self::default() };
        if deltas.delta_q_present {
            deltas.delta_q_res = r.u(2) as u8;
            deltas.delta_lf_present = !allow_intrabc && r.flag();
        }
        if deltas.delta_lf_present {
            r.skip(2); // delta_lf_res
            deltas.delta_lf_multi = r.flag();
        }
        deltas
    }
}
