//! Sequence parameter set (7.3.2.2): what of it the slice syntax depends on.

use super::short_term_ref_pic_set::ShortTermRefPicSet;
use super::vui::parse_vui_parameters;
use crate::bits::{BitReader, Rbsp};
use crate::error::{Error, Result};
use crate::map::Crop;
use crate::picture_format::{Colour, PictureFormat, subsampling};

/// Largest `MaxLumaPs` of any level (A.4.1, level 7.2): pictures above it are refused, not allocated.
pub const MAX_LUMA_SAMPLES: u64 = 142_606_336;

/// `palette_max_size` is at most 64 and `PaletteMaxPredictorSize` at most 128 in all profiles (A.3.7).
pub const MAX_PALETTE_PREDICTOR_SIZE: usize = 128;

#[derive(Debug, Clone, Default)]
pub struct Sps {
    pub sps_max_sub_layers_minus1: u8,
    pub chroma_format_idc: u8,
    pub separate_colour_plane_flag: bool,
    pub pic_width_in_luma_samples: u32,
    pub pic_height_in_luma_samples: u32,
    pub crop: Crop,
    pub bit_depth_luma: u32,
    pub bit_depth_chroma: u32,
    pub log2_max_pic_order_cnt_lsb: u32,
    pub min_cb_log2_size_y: u32,
    pub ctb_log2_size_y: u32,
    pub min_tb_log2_size_y: u32,
    pub max_tb_log2_size_y: u32,
    pub max_transform_hierarchy_depth_inter: u32,
    pub max_transform_hierarchy_depth_intra: u32,
    pub amp_enabled_flag: bool,
    pub sample_adaptive_offset_enabled_flag: bool,
    pub pcm: Option<Pcm>,
    pub short_term_ref_pic_sets: Vec<ShortTermRefPicSet>,
    pub long_term_ref_pics_present_flag: bool,
    /// `lt_ref_pic_poc_lsb_sps` and `used_by_curr_pic_lt_sps_flag`.
    pub long_term_ref_pics: Vec<(u32, bool)>,
    pub sps_temporal_mvp_enabled_flag: bool,
    pub colour: Colour,
    pub range: SpsRangeExtension,
    pub scc: SpsSccExtension,
}

#[derive(Debug, Clone, Copy)]
pub struct Pcm {
    pub bit_depth_luma: u32,
    pub bit_depth_chroma: u32,
    pub log2_min_cb_size: u32,
    pub log2_max_cb_size: u32,
}

/// `sps_range_extension()` (7.3.2.2.2).
#[derive(Debug, Clone, Copy, Default)]
pub struct SpsRangeExtension {
    pub transform_skip_context_enabled_flag: bool,
    pub implicit_rdpcm_enabled_flag: bool,
    pub explicit_rdpcm_enabled_flag: bool,
    pub extended_precision_processing_flag: bool,
    pub persistent_rice_adaptation_enabled_flag: bool,
    pub cabac_bypass_alignment_enabled_flag: bool,
}

impl SpsRangeExtension {
    /// Whether any tool changes how residuals are parsed.
    pub fn changes_residuals(&self) -> bool {
        self.transform_skip_context_enabled_flag
            || self.implicit_rdpcm_enabled_flag
            || self.explicit_rdpcm_enabled_flag
            || self.extended_precision_processing_flag
            || self.persistent_rice_adaptation_enabled_flag
            || self.cabac_bypass_alignment_enabled_flag
    }
}

/// `sps_scc_extension()` (7.3.2.2.3).
#[derive(Debug, Clone, Default)]
pub struct SpsSccExtension {
    pub sps_curr_pic_ref_enabled_flag: bool,
    pub palette_mode_enabled_flag: bool,
    pub palette_max_size: usize,
    pub palette_max_predictor_size: usize,
    pub num_palette_predictor_initializers: usize,
    pub motion_vector_resolution_control_idc: u32,
}

impl Sps {
    pub fn parse(rbsp: &Rbsp) -> Result<Self> {
        let mut r = rbsp.reader();
        let (sps_max_sub_layers_minus1, _) = parse_start(&mut r)?;
        let mut sps = Self { sps_max_sub_layers_minus1, ..Self::default() };
        sps.parse_format(&mut r)?;
        sps.parse_ordering(&mut r)?;
        sps.parse_block_sizes(&mut r)?;
        sps.parse_tools(&mut r)?;
        sps.parse_reference_pictures(&mut r)?;
        sps.sps_temporal_mvp_enabled_flag = r.flag();
        // strong_intra_smoothing_enabled_flag
        r.skip(1);
        let vui_parameters_present_flag = r.flag();
        if vui_parameters_present_flag {
            sps.colour = parse_vui_parameters(&mut r, u32::from(sps_max_sub_layers_minus1))?;
        }
        sps.parse_extensions(&mut r)?;
        r.check()?;
        Ok(sps)
    }

    pub fn picture_format(&self) -> PictureFormat {
        PictureFormat {
            crop: self.crop,
            bit_depth: (self.bit_depth_luma as u8, self.bit_depth_chroma as u8),
            subsampling: subsampling(self.chroma_format_idc),
            colour: self.colour,
        }
    }

    /// `sps_seq_parameter_set_id` alone, for sets that cannot be parsed to their end.
    pub fn read_id(rbsp: &Rbsp) -> Result<usize> {
        parse_start(&mut rbsp.reader()).map(|(_, id)| id)
    }

    fn parse_format(&mut self, r: &mut BitReader) -> Result<()> {
        self.chroma_format_idc = ue_up_to(r, 3, "chroma_format_idc out of range")? as u8;
        self.separate_colour_plane_flag = self.chroma_format_idc == 3 && r.flag();
        let start = r.pos();
        self.pic_width_in_luma_samples = r.ue()?;
        self.pic_height_in_luma_samples = r.ue()?;
        let (width, height) = (self.pic_width_in_luma_samples, self.pic_height_in_luma_samples);
        if width == 0 || height == 0 {
            return Err(Error::corrupt("picture without a size", start));
        }
        let samples = u64::from(width) * u64::from(height);
        if samples > MAX_LUMA_SAMPLES {
            return Err(Error::limit("picture size in samples", samples, MAX_LUMA_SAMPLES));
        }
        self.crop = Crop { left: 0, top: 0, width, height };
        let conformance_window_flag = r.flag();
        if conformance_window_flag {
            self.crop = self.parse_conformance_window(r)?;
        }
        self.bit_depth_luma = 8 + ue_up_to(r, 8, "bit_depth_luma_minus8 out of range")?;
        self.bit_depth_chroma = 8 + ue_up_to(r, 8, "bit_depth_chroma_minus8 out of range")?;
        self.log2_max_pic_order_cnt_lsb = 4 + ue_up_to(r, 12, "log2_max_pic_order_cnt_lsb_minus4 out of range")?;
        Ok(())
    }

    fn parse_conformance_window(&self, r: &mut BitReader) -> Result<Crop> {
        let start = r.pos();
        let sub_width_c = if matches!(self.chroma_format_idc, 1 | 2) { 2 } else { 1 };
        let sub_height_c = if self.chroma_format_idc == 1 { 2 } else { 1 };
        let mut offset = |unit: u64| r.ue().map(|offset| u64::from(offset) * unit);
        let (left, right) = (offset(sub_width_c)?, offset(sub_width_c)?);
        let (top, bottom) = (offset(sub_height_c)?, offset(sub_height_c)?);
        let (width, height) = (self.pic_width_in_luma_samples, self.pic_height_in_luma_samples);
        if left + right >= u64::from(width) || top + bottom >= u64::from(height) {
            return Err(Error::corrupt("conformance window leaves nothing of the picture", start));
        }
        Ok(Crop {
            left: left as u32,
            top: top as u32,
            width: width - (left + right) as u32,
            height: height - (top + bottom) as u32,
        })
    }

    fn parse_ordering(&self, r: &mut BitReader) -> Result<()> {
        let sps_sub_layer_ordering_info_present_flag = r.flag();
        let layers = if sps_sub_layer_ordering_info_present_flag { self.sps_max_sub_layers_minus1 + 1 } else { 1 };
        for _ in 0..3 * layers {
            r.ue()?;
        }
        Ok(())
    }

    fn parse_block_sizes(&mut self, r: &mut BitReader) -> Result<()> {
        let start = r.pos();
        let mut log2_size = |base: u32| r.ue().map(|value| base.saturating_add(value));
        self.min_cb_log2_size_y = log2_size(3)?;
        self.ctb_log2_size_y = log2_size(self.min_cb_log2_size_y)?;
        self.min_tb_log2_size_y = log2_size(2)?;
        self.max_tb_log2_size_y = log2_size(self.min_tb_log2_size_y)?;
        // 7.4.3.2.1; CTBs of 8x8 luma samples exist in no profile.
        let in_range = (4..=6).contains(&self.ctb_log2_size_y)
            && self.min_tb_log2_size_y < self.min_cb_log2_size_y
            && self.max_tb_log2_size_y <= self.ctb_log2_size_y.min(5);
        if !in_range {
            return Err(Error::corrupt("coding or transform block sizes out of range", start));
        }
        let mask = (1 << self.min_cb_log2_size_y) - 1;
        if (self.pic_width_in_luma_samples | self.pic_height_in_luma_samples) & mask != 0 {
            return Err(Error::corrupt("picture size is no multiple of the smallest coding block", start));
        }
        let max_depth = self.ctb_log2_size_y - self.min_tb_log2_size_y;
        self.max_transform_hierarchy_depth_inter =
            ue_up_to(r, max_depth, "max_transform_hierarchy_depth_inter out of range")?;
        self.max_transform_hierarchy_depth_intra =
            ue_up_to(r, max_depth, "max_transform_hierarchy_depth_intra out of range")?;
        Ok(())
    }

    fn parse_tools(&mut self, r: &mut BitReader) -> Result<()> {
        let scaling_list_enabled_flag = r.flag();
        if scaling_list_enabled_flag {
            let sps_scaling_list_data_present_flag = r.flag();
            if sps_scaling_list_data_present_flag {
                skip_scaling_list_data(r)?;
            }
        }
        self.amp_enabled_flag = r.flag();
        self.sample_adaptive_offset_enabled_flag = r.flag();
        let pcm_enabled_flag = r.flag();
        if pcm_enabled_flag {
            self.pcm = Some(self.parse_pcm(r)?);
        }
        Ok(())
    }

    fn parse_pcm(&self, r: &mut BitReader) -> Result<Pcm> {
        let start = r.pos();
        let bit_depth_luma = r.u(4) + 1;
        let bit_depth_chroma = r.u(4) + 1;
        let log2_min_cb_size = r.ue()?.saturating_add(3);
        let log2_max_cb_size = log2_min_cb_size.saturating_add(r.ue()?);
        // pcm_loop_filter_disabled_flag
        r.skip(1);
        if log2_max_cb_size > self.ctb_log2_size_y.min(5) {
            return Err(Error::corrupt("PCM coding block sizes out of range", start));
        }
        Ok(Pcm { bit_depth_luma, bit_depth_chroma, log2_min_cb_size, log2_max_cb_size })
    }

    fn parse_reference_pictures(&mut self, r: &mut BitReader) -> Result<()> {
        let num_short_term_ref_pic_sets = ue_up_to(r, 64, "num_short_term_ref_pic_sets out of range")?;
        for _ in 0..num_short_term_ref_pic_sets {
            let set = ShortTermRefPicSet::parse(r, &self.short_term_ref_pic_sets, false)?;
            self.short_term_ref_pic_sets.push(set);
        }
        self.long_term_ref_pics_present_flag = r.flag();
        if self.long_term_ref_pics_present_flag {
            let num_long_term_ref_pics_sps = ue_up_to(r, 32, "num_long_term_ref_pics_sps out of range")?;
            for _ in 0..num_long_term_ref_pics_sps {
                let lt_ref_pic_poc_lsb_sps = r.u(self.log2_max_pic_order_cnt_lsb);
                let used_by_curr_pic_lt_sps_flag = r.flag();
                self.long_term_ref_pics.push((lt_ref_pic_poc_lsb_sps, used_by_curr_pic_lt_sps_flag));
            }
        }
        Ok(())
    }

    fn parse_extensions(&mut self, r: &mut BitReader) -> Result<()> {
        let sps_extension_present_flag = r.flag();
        if !sps_extension_present_flag {
            return Ok(());
        }
        let sps_range_extension_flag = r.flag();
        let sps_multilayer_extension_flag = r.flag();
        let sps_3d_extension_flag = r.flag();
        let sps_scc_extension_flag = r.flag();
        // sps_extension_4bits: data of extensions yet to be defined, which decoders ignore.
        r.skip(4);
        if sps_range_extension_flag {
            self.parse_range_extension(r);
        }
        if sps_multilayer_extension_flag {
            // inter_view_mv_vert_constraint_flag
            r.skip(1);
        }
        if sps_scc_extension_flag {
            if sps_3d_extension_flag {
                return Err(Error::unsupported("screen content together with 3D-HEVC", r.pos()));
            }
            self.parse_scc_extension(r)?;
        }
        Ok(())
    }

    fn parse_range_extension(&mut self, r: &mut BitReader) {
        // transform_skip_rotation_enabled_flag
        r.skip(1);
        self.range.transform_skip_context_enabled_flag = r.flag();
        self.range.implicit_rdpcm_enabled_flag = r.flag();
        self.range.explicit_rdpcm_enabled_flag = r.flag();
        self.range.extended_precision_processing_flag = r.flag();
        // intra_smoothing_disabled_flag, high_precision_offsets_enabled_flag
        r.skip(2);
        self.range.persistent_rice_adaptation_enabled_flag = r.flag();
        self.range.cabac_bypass_alignment_enabled_flag = r.flag();
    }

    fn parse_scc_extension(&mut self, r: &mut BitReader) -> Result<()> {
        let scc = &mut self.scc;
        scc.sps_curr_pic_ref_enabled_flag = r.flag();
        scc.palette_mode_enabled_flag = r.flag();
        if scc.palette_mode_enabled_flag {
            const OUT_OF_RANGE: &str = "palette sizes out of range";
            let max = MAX_PALETTE_PREDICTOR_SIZE as u32;
            let palette_max_size = ue_up_to(r, max, OUT_OF_RANGE)?;
            let delta_palette_max_predictor_size = ue_up_to(r, max - palette_max_size, OUT_OF_RANGE)?;
            scc.palette_max_size = palette_max_size as usize;
            scc.palette_max_predictor_size = (palette_max_size + delta_palette_max_predictor_size) as usize;
            let sps_palette_predictor_initializers_present_flag = r.flag();
            if sps_palette_predictor_initializers_present_flag {
                let count = 1 + ue_up_to(r, max - 1, OUT_OF_RANGE)? as usize;
                scc.num_palette_predictor_initializers = count;
                let chroma_components = if self.chroma_format_idc == 0 { 0 } else { 2 };
                r.skip(count * (self.bit_depth_luma + chroma_components * self.bit_depth_chroma) as usize);
            }
        }
        scc.motion_vector_resolution_control_idc = r.u(2);
        // intra_boundary_filtering_disabled_flag
        r.skip(1);
        Ok(())
    }

    /// `ChromaArrayType` (7.4.3.2.1).
    pub fn chroma_array_type(&self) -> u8 {
        if self.separate_colour_plane_flag { 0 } else { self.chroma_format_idc }
    }

    pub fn pic_width_in_ctbs_y(&self) -> usize {
        self.pic_width_in_luma_samples.div_ceil(1 << self.ctb_log2_size_y) as usize
    }

    pub fn pic_height_in_ctbs_y(&self) -> usize {
        self.pic_height_in_luma_samples.div_ceil(1 << self.ctb_log2_size_y) as usize
    }

    pub fn pic_size_in_ctbs_y(&self) -> usize {
        self.pic_width_in_ctbs_y() * self.pic_height_in_ctbs_y()
    }
}

/// From the NAL unit header to `sps_seq_parameter_set_id`: that id, behind `sps_max_sub_layers_minus1`.
fn parse_start(r: &mut BitReader) -> Result<(u8, usize)> {
    r.skip(16);
    // sps_video_parameter_set_id
    r.skip(4);
    let sps_max_sub_layers_minus1 = r.u(3);
    // sps_temporal_id_nesting_flag
    r.skip(1);
    skip_profile_tier_level(r, sps_max_sub_layers_minus1);
    let sps_seq_parameter_set_id = ue_up_to(r, 15, "sps_seq_parameter_set_id out of range")?;
    r.check()?;
    Ok((sps_max_sub_layers_minus1 as u8, sps_seq_parameter_set_id as usize))
}

/// An `ue(v)` that must not be above `max`.
pub fn ue_up_to(r: &mut BitReader, max: u32, out_of_range: &'static str) -> Result<u32> {
    let start = r.pos();
    let value = r.ue()?;
    if value > max {
        return Err(Error::corrupt(out_of_range, start));
    }
    Ok(value)
}

/// `Ceil(Log2(n))`, 0 for 0.
pub fn ceil_log2(n: usize) -> u32 {
    n.max(1).next_power_of_two().trailing_zeros()
}

/// `profile_tier_level(1, maxNumSubLayersMinus1)` (7.3.3).
fn skip_profile_tier_level(r: &mut BitReader, max_num_sub_layers_minus1: u32) {
    const PROFILE_BITS: usize = 88;
    const LEVEL_BITS: usize = 8;
    r.skip(PROFILE_BITS + LEVEL_BITS);
    let present: Vec<(bool, bool)> = (0..max_num_sub_layers_minus1).map(|_| (r.flag(), r.flag())).collect();
    if max_num_sub_layers_minus1 > 0 {
        r.skip(2 * (8 - max_num_sub_layers_minus1 as usize));
    }
    for (sub_layer_profile_present_flag, sub_layer_level_present_flag) in present {
        r.skip(if sub_layer_profile_present_flag { PROFILE_BITS } else { 0 });
        r.skip(if sub_layer_level_present_flag { LEVEL_BITS } else { 0 });
    }
}

/// `scaling_list_data()` (7.3.4): it changes no syntax.
pub fn skip_scaling_list_data(r: &mut BitReader) -> Result<()> {
    for size_id in 0..4 {
        for _ in (0..6).step_by(if size_id == 3 { 3 } else { 1 }) {
            let scaling_list_pred_mode_flag = r.flag();
            if !scaling_list_pred_mode_flag {
                // scaling_list_pred_matrix_id_delta
                r.ue()?;
                continue;
            }
            let coef_num = 64.min(1 << (4 + (size_id << 1)));
            let dc = if size_id > 1 { 1 } else { 0 };
            for _ in 0..coef_num + dc {
                r.se()?;
            }
            r.check()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::written::ue_codes;
    use crate::error::ErrorKind;

    #[test]
    fn pictures_may_be_as_large_as_the_limit_and_no_larger() {
        let parse = |width: u32, height: u32| {
            // chroma_format_idc; behind the size conformance_window_flag and the bit depths share a code.
            let codes = ue_codes(&[1, width, height, 2, 0]);
            Sps::default().parse_format(&mut BitReader::new(&codes)).map_err(|error| error.kind)
        };
        let height = (MAX_LUMA_SAMPLES / 8192) as u32;
        assert_eq!(u64::from(height) * 8192, MAX_LUMA_SAMPLES);
        assert_eq!(parse(8192, height), Ok(()));
        for (width, height) in [(8192, height + 1), (8193, height), (u32::MAX - 1, u32::MAX - 1)] {
            assert!(matches!(parse(width, height), Err(ErrorKind::Limit { .. })), "{width}x{height}");
        }
    }
}
