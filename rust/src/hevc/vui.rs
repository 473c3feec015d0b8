//! VUI and HRD parameters (E.2): of them only the colours are used, but the SPS extensions lie behind.

use crate::bits::BitReader;
use crate::error::{Error, Result};
use crate::picture_format::Colour;

/// `vui_parameters()` (E.2.1).
pub fn parse_vui_parameters(r: &mut BitReader, sps_max_sub_layers_minus1: u32) -> Result<Colour> {
    let colour = Colour::parse(r);
    let chroma_loc_info_present_flag = r.flag();
    if chroma_loc_info_present_flag {
        skip_ue(r, 2)?;
    }
    // neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
    r.skip(3);
    let default_display_window_flag = r.flag();
    if default_display_window_flag {
        skip_ue(r, 4)?;
    }
    let vui_timing_info_present_flag = r.flag();
    if vui_timing_info_present_flag {
        r.skip(32 + 32);
        let vui_poc_proportional_to_timing_flag = r.flag();
        if vui_poc_proportional_to_timing_flag {
            skip_ue(r, 1)?;
        }
        let vui_hrd_parameters_present_flag = r.flag();
        if vui_hrd_parameters_present_flag {
            skip_hrd_parameters(r, sps_max_sub_layers_minus1)?;
        }
    }
    let bitstream_restriction_flag = r.flag();
    if bitstream_restriction_flag {
        r.skip(3);
        skip_ue(r, 5)?;
    }
    r.check()?;
    Ok(colour)
}

/// `hrd_parameters(1, maxNumSubLayersMinus1)` (E.2.2).
fn skip_hrd_parameters(r: &mut BitReader, max_num_sub_layers_minus1: u32) -> Result<()> {
    let nal_hrd_parameters_present_flag = r.flag();
    let vcl_hrd_parameters_present_flag = r.flag();
    let mut sub_pic_hrd_params_present_flag = false;
    if nal_hrd_parameters_present_flag || vcl_hrd_parameters_present_flag {
        sub_pic_hrd_params_present_flag = r.flag();
        if sub_pic_hrd_params_present_flag {
            r.skip(8 + 5 + 1 + 5);
        }
        r.skip(4 + 4);
        if sub_pic_hrd_params_present_flag {
            r.skip(4);
        }
        r.skip(5 + 5 + 5);
    }
    for _ in 0..=max_num_sub_layers_minus1 {
        let fixed_pic_rate_general_flag = r.flag();
        let fixed_pic_rate_within_cvs_flag = fixed_pic_rate_general_flag || r.flag();
        let low_delay_hrd_flag = if fixed_pic_rate_within_cvs_flag {
            skip_ue(r, 1)?;
            false
        } else {
            r.flag()
        };
        let cpb_cnt_minus1 = if low_delay_hrd_flag { 0 } else { r.ue()? };
        if cpb_cnt_minus1 > 31 {
            return Err(Error::corrupt("cpb_cnt_minus1 out of range", r.pos()));
        }
        for _ in 0..u32::from(nal_hrd_parameters_present_flag) + u32::from(vcl_hrd_parameters_present_flag) {
            for _ in 0..=cpb_cnt_minus1 {
                skip_ue(r, if sub_pic_hrd_params_present_flag { 4 } else { 2 })?;
                r.skip(1);
            }
        }
    }
    Ok(())
}

fn skip_ue(r: &mut BitReader, count: usize) -> Result<()> {
    (0..count).try_for_each(|_| r.ue().map(drop))
}
