//! `film_grain_params` (5.9.30), which only change what is shown: they are passed over.

use super::sequence_header::ColorConfig;
use crate::bits::BitReader;

/// Those of a frame that may be shown, in a sequence that has them.
pub fn skip_film_grain_params(r: &mut BitReader, color: ColorConfig, is_inter_frame: bool) {
    let apply_grain = r.flag();
    if !apply_grain {
        return;
    }
    r.skip(16); // grain_seed
    let update_grain = !is_inter_frame || r.flag();
    if !update_grain {
        r.skip(3); // film_grain_params_ref_idx
        return;
    }
    let num_y_points = skip_points(r);
    let chroma_scaling_from_luma = !color.mono_chrome && r.flag();
    let is_420_without_luma = color.subsampling_x && color.subsampling_y && num_y_points == 0;
    let (mut num_cb_points, mut num_cr_points) = (0, 0);
    if !color.mono_chrome && !chroma_scaling_from_luma && !is_420_without_luma {
        num_cb_points = skip_points(r);
        num_cr_points = skip_points(r);
    }
    r.skip(2); // grain_scaling_minus_8
    let ar_coeff_lag = r.u(2) as usize;
    let num_pos_luma = 2 * ar_coeff_lag * (ar_coeff_lag + 1);
    let num_pos_chroma = num_pos_luma + usize::from(num_y_points > 0);
    if num_y_points > 0 {
        r.skip(8 * num_pos_luma);
    }
    for num_points in [num_cb_points, num_cr_points] {
        if chroma_scaling_from_luma || num_points > 0 {
            r.skip(8 * num_pos_chroma);
        }
    }
    r.skip(2 + 2); // ar_coeff_shift_minus_6, grain_scale_shift
    for num_points in [num_cb_points, num_cr_points] {
        if num_points > 0 {
            r.skip(8 + 8 + 9); // cb_mult, cb_luma_mult, cb_offset
        }
    }
    r.skip(1 + 1); // overlap_flag, clip_to_restricted_range
}

/// Points of a scaling function: how many there are.
fn skip_points(r: &mut BitReader) -> usize {
    let points = r.u(4) as usize;
    r.skip(points * (8 + 8));
    points
}
