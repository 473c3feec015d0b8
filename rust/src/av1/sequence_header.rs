//! `sequence_header_obu` (5.5), as far as frame headers cannot be read without it.

use crate::bits::BitReader;
use crate::error::Result;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceHeader {
    pub reduced_still_picture_header: bool,
    pub operating_points: Vec<OperatingPoint>,
    pub decoder_model: Option<DecoderModel>,
    pub equal_picture_interval: bool,
    pub frame_ids: Option<FrameIds>,
    /// `None`: each frame says so itself (`SELECT_SCREEN_CONTENT_TOOLS`).
    pub seq_force_screen_content_tools: Option<bool>,
    /// `None`: each frame says so itself (`SELECT_INTEGER_MV`).
    pub seq_force_integer_mv: Option<bool>,
    pub enable_order_hint: bool,
    /// `OrderHintBits`.
    pub order_hint_bits: u32,
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

impl SequenceHeader {
    pub fn parse(payload: &[u8]) -> Result<Self> {
        let mut r = BitReader::new(payload);
        let mut header = Self::default();
        r.skip(3 + 1); // seq_profile, still_picture
        header.reduced_still_picture_header = r.flag();
        if header.reduced_still_picture_header {
            r.skip(5); // seq_level_idx[ 0 ]
            header.operating_points.push(OperatingPoint::default());
        } else {
            header.parse_operating_points(&mut r);
        }
        let (frame_width_bits_minus_1, frame_height_bits_minus_1) = (r.u(4), r.u(4));
        r.skip((frame_width_bits_minus_1 + frame_height_bits_minus_1) as usize + 2); // max_frame_width_minus_1, ...
        if !header.reduced_still_picture_header && r.flag() {
            let delta_length = r.u(4) + 2;
            header.frame_ids = Some(FrameIds { delta_length, length: delta_length + r.u(3) + 1 });
        }
        r.skip(3); // use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
        if !header.reduced_still_picture_header {
            header.parse_inter_tools(&mut r);
        }
        r.check()?;
        Ok(header)
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
        // enable_interintra_compound, enable_masked_compound, enable_warped_motion, enable_dual_filter
        r.skip(4);
        self.enable_order_hint = r.flag();
        if self.enable_order_hint {
            r.skip(2); // enable_jnt_comp, enable_ref_frame_mvs
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

/// `uvlc()` (4.10.3).
fn skip_uvlc(r: &mut BitReader) {
    let zeros = (0..32).take_while(|_| !r.flag()).count();
    if zeros < 32 {
        r.skip(zeros);
    }
}
