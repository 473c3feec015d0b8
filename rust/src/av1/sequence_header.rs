//! `sequence_header_obu` (5.5).

use super::descriptors::skip_uvlc;
use crate::bits::BitReader;
use crate::error::Result;
use crate::map::Crop;
use crate::picture_format::{Colour, PictureFormat};

/// Luma samples of the largest picture that we are willing to parse (level 6.3 ends at 2^25.1).
pub const MAX_PICTURE_SAMPLES: u64 = 1 << 27;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceHeader {
    pub reduced_still_picture_header: bool,
    pub operating_points: Vec<OperatingPoint>,
    pub decoder_model: Option<DecoderModel>,
    pub equal_picture_interval: bool,
    pub frame_width_bits: u32,
    pub frame_height_bits: u32,
    pub max_frame_width: u32,
    pub max_frame_height: u32,
    pub frame_ids: Option<FrameIds>,
    pub use_128x128_superblock: bool,
    pub enable_filter_intra: bool,
    pub enable_interintra_compound: bool,
    pub enable_masked_compound: bool,
    pub enable_warped_motion: bool,
    pub enable_dual_filter: bool,
    pub enable_order_hint: bool,
    pub enable_jnt_comp: bool,
    pub enable_ref_frame_mvs: bool,
    /// `None`: each frame says so itself (`SELECT_SCREEN_CONTENT_TOOLS`).
    pub seq_force_screen_content_tools: Option<bool>,
    /// `None`: each frame says so itself (`SELECT_INTEGER_MV`).
    pub seq_force_integer_mv: Option<bool>,
    /// `OrderHintBits`.
    pub order_hint_bits: u32,
    pub enable_superres: bool,
    pub enable_cdef: bool,
    pub enable_restoration: bool,
    pub color: ColorConfig,
    pub film_grain_params_present: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OperatingPoint {
    pub idc: u32,
    pub decoder_model_present: bool,
}

impl OperatingPoint {
    /// Whether it includes a unit of that temporal and spatial layer (5.3.1).
    pub fn includes(self, (temporal_id, spatial_id): (u32, u32)) -> bool {
        self.idc == 0 || (self.idc >> temporal_id & 1 == 1 && self.idc >> (spatial_id + 8) & 1 == 1)
    }
}

/// `decoder_model_info` (5.5.4): lengths in bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderModel {
    buffer_delay_length: u32,
    pub buffer_removal_time_length: u32,
    pub frame_presentation_time_length: u32,
}

/// Lengths in bits of the numbers that frames bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameIds {
    /// `delta_frame_id_length_minus_2 + 2`.
    pub delta_length: u32,
    /// `idLen` (5.9.2).
    pub length: u32,
}

/// `color_config` (5.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ColorConfig {
    /// `BitDepth`.
    pub bit_depth: u8,
    pub mono_chrome: bool,
    pub subsampling_x: bool,
    pub subsampling_y: bool,
    pub is_rgb: bool,
    pub separate_uv_delta_q: bool,
}

/// BT.709 primaries, sRGB transfer and the identity matrix: RGB, which is never subsampled.
const RGB: [u32; 3] = [1, 13, 0];

impl ColorConfig {
    /// `NumPlanes`.
    pub fn num_planes(self) -> usize {
        if self.mono_chrome { 1 } else { 3 }
    }

    fn parse(r: &mut BitReader, seq_profile: u32) -> Self {
        let mut color = Self::default();
        let high_bitdepth = r.flag();
        let twelve_bit = seq_profile == 2 && high_bitdepth && r.flag();
        color.bit_depth = match (twelve_bit, high_bitdepth) {
            (true, _) => 12,
            (false, true) => 10,
            (false, false) => 8,
        };
        color.mono_chrome = seq_profile != 1 && r.flag();
        let color_description_present_flag = r.flag();
        let description = if color_description_present_flag { [0; 3].map(|_| r.u(8)) } else { [2; 3] };
        if color.mono_chrome {
            r.skip(1); // color_range
            (color.subsampling_x, color.subsampling_y) = (true, true);
            return color;
        }
        color.is_rgb = description == RGB;
        if !color.is_rgb {
            r.skip(1); // color_range
            (color.subsampling_x, color.subsampling_y) = match seq_profile {
                0 => (true, true),
                1 => (false, false),
                _ if color.bit_depth == 12 => {
                    let subsampling_x = r.flag();
                    (subsampling_x, subsampling_x && r.flag())
                }
                _ => (true, false),
            };
            if color.subsampling_x && color.subsampling_y {
                r.skip(2); // chroma_sample_position
            }
        }
        color.separate_uv_delta_q = r.flag();
        color
    }
}

impl SequenceHeader {
    /// That of frames which have the size that is promised here; `None` where layers may differ in size, and
    /// of what is larger than we parse.
    pub fn picture_format(&self) -> Option<PictureFormat> {
        let ColorConfig { bit_depth, mono_chrome, subsampling_x, subsampling_y, is_rgb, .. } = self.color;
        let has_one_layer = self.operating_points.iter().all(|point| point.idc >> 9 == 0);
        let samples = u64::from(self.max_frame_width) * u64::from(self.max_frame_height);
        (has_one_layer && samples <= MAX_PICTURE_SAMPLES).then(|| PictureFormat {
            crop: Crop { left: 0, top: 0, width: self.max_frame_width, height: self.max_frame_height },
            bit_depth: (bit_depth, bit_depth),
            subsampling: (!mono_chrome).then_some((subsampling_x.into(), subsampling_y.into())),
            colour: Colour { is_rgb: Some(is_rgb), is_full_range: None },
        })
    }

    pub fn parse(payload: &[u8]) -> Result<Self> {
        let mut r = BitReader::new(payload);
        let mut header = Self::default();
        let seq_profile = r.u(3);
        r.skip(1); // still_picture
        header.reduced_still_picture_header = r.flag();
        if header.reduced_still_picture_header {
            r.skip(5); // seq_level_idx[ 0 ]
            header.operating_points.push(OperatingPoint::default());
        } else {
            header.parse_operating_points(&mut r);
        }
        (header.frame_width_bits, header.frame_height_bits) = (r.u(4) + 1, r.u(4) + 1);
        header.max_frame_width = r.u(header.frame_width_bits) + 1;
        header.max_frame_height = r.u(header.frame_height_bits) + 1;
        if !header.reduced_still_picture_header && r.flag() {
            let delta_length = r.u(4) + 2;
            header.frame_ids = Some(FrameIds { delta_length, length: delta_length + r.u(3) + 1 });
        }
        header.use_128x128_superblock = r.flag();
        header.enable_filter_intra = r.flag();
        r.skip(1); // enable_intra_edge_filter
        if !header.reduced_still_picture_header {
            header.parse_inter_tools(&mut r);
        }
        header.enable_superres = r.flag();
        header.enable_cdef = r.flag();
        header.enable_restoration = r.flag();
        header.color = ColorConfig::parse(&mut r, seq_profile);
        header.film_grain_params_present = r.flag();
        r.check()?;
        Ok(header)
    }

    /// `get_relative_dist` (5.9.3).
    pub fn get_relative_dist(&self, a: u32, b: u32) -> i32 {
        if !self.enable_order_hint {
            return 0;
        }
        let diff = a as i32 - b as i32;
        let m = 1 << (self.order_hint_bits - 1);
        (diff & (m - 1)) - (diff & m)
    }

    fn parse_operating_points(&mut self, r: &mut BitReader) {
        if r.flag() {
            self.parse_timing_info(r);
        }
        let initial_display_delay_present_flag = r.flag();
        for _ in 0..=r.u(5) {
            let mut point = OperatingPoint { idc: r.u(12), decoder_model_present: false };
            if r.u(5) > 7 {
                r.skip(1); // seq_tier
            }
            if let Some(model) = self.decoder_model {
                point.decoder_model_present = r.flag();
                if point.decoder_model_present {
                    r.skip(2 * model.buffer_delay_length as usize + 1); // operating_parameters_info
                }
            }
            if initial_display_delay_present_flag && r.flag() {
                r.skip(4); // initial_display_delay_minus_1
            }
            self.operating_points.push(point);
        }
    }

    // 5.5.3
    fn parse_timing_info(&mut self, r: &mut BitReader) {
        r.skip(32 + 32); // num_units_in_display_tick, time_scale
        self.equal_picture_interval = r.flag();
        if self.equal_picture_interval {
            skip_uvlc(r); // num_ticks_per_picture_minus_1
        }
        if r.flag() {
            let buffer_delay_length = r.u(5) + 1;
            r.skip(32); // num_units_in_decoding_tick
            self.decoder_model = Some(DecoderModel {
                buffer_delay_length,
                buffer_removal_time_length: r.u(5) + 1,
                frame_presentation_time_length: r.u(5) + 1,
            });
        }
    }

    fn parse_inter_tools(&mut self, r: &mut BitReader) {
        self.enable_interintra_compound = r.flag();
        self.enable_masked_compound = r.flag();
        self.enable_warped_motion = r.flag();
        self.enable_dual_filter = r.flag();
        self.enable_order_hint = r.flag();
        if self.enable_order_hint {
            self.enable_jnt_comp = r.flag();
            self.enable_ref_frame_mvs = r.flag();
        }
        self.seq_force_screen_content_tools = if r.flag() { None } else { Some(r.flag()) };
        if self.seq_force_screen_content_tools != Some(false) {
            self.seq_force_integer_mv = if r.flag() { None } else { Some(r.flag()) };
        }
        if self.enable_order_hint {
            self.order_hint_bits = r.u(3) + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_larger_than_we_parse_have_no_format() {
        let of_width =
            |max_frame_width| SequenceHeader { max_frame_width, max_frame_height: 1 << 14, ..Default::default() };
        assert!(of_width(1 << 13).picture_format().is_some());
        assert!(of_width((1 << 13) + 1).picture_format().is_none());
    }
}
