//! The beginning of `uncompressed_header` (5.9.2): up to what the frame refers to.

use super::sequence_header::SequenceHeader;
use crate::bits::BitReader;
use crate::error::Result;

pub const NUM_REF_FRAMES: usize = 8;
const REFS_PER_FRAME: usize = 7;
const ALL_FRAMES: u8 = 0xff;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameType {
    Key,
    Inter,
    IntraOnly,
    Switch,
}

impl FrameType {
    /// `FrameIsIntra`.
    pub fn is_intra(self) -> bool {
        matches!(self, Self::Key | Self::IntraOnly)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameHeader {
    /// `show_existing_frame`, of this slot.
    ShowExisting(usize),
    Frame(Frame),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub frame_type: FrameType,
    pub show_frame: bool,
    pub refresh_frame_flags: u8,
    /// Slots that the frame may take anything from: bit i for slot i.
    pub refers_to: u8,
}

impl Frame {
    /// A key frame that is shown: it takes nothing from before, and fills all slots.
    pub fn resets_decoder(&self) -> bool {
        self.frame_type == FrameType::Key && self.show_frame
    }
}

impl FrameHeader {
    /// Parses the header of a unit in `layer` (temporal, spatial).
    pub fn parse(payload: &[u8], sequence: &SequenceHeader, layer: (u32, u32)) -> Result<Self> {
        let mut parser = Parser { r: BitReader::new(payload), sequence, layer };
        let header = parser.uncompressed_header();
        parser.r.check()?;
        Ok(header)
    }
}

struct Parser<'a> {
    r: BitReader<'a>,
    sequence: &'a SequenceHeader,
    layer: (u32, u32),
}

impl Parser<'_> {
    fn uncompressed_header(&mut self) -> FrameHeader {
        let (mut frame_type, mut show_frame, mut error_resilient_mode) = (FrameType::Key, true, true);
        if !self.sequence.reduced_still_picture_header {
            if self.r.flag() {
                return FrameHeader::ShowExisting(self.slot());
            }
            frame_type = match self.r.u(2) {
                0 => FrameType::Key,
                1 => FrameType::Inter,
                2 => FrameType::IntraOnly,
                _ => FrameType::Switch,
            };
            show_frame = self.r.flag();
            self.skip_show_fields(show_frame);
            error_resilient_mode =
                frame_type == FrameType::Switch || (frame_type == FrameType::Key && show_frame) || self.r.flag();
        }
        self.skip_tools();
        if frame_type != FrameType::Switch && !self.sequence.reduced_still_picture_header {
            self.r.skip(1); // frame_size_override_flag
        }
        self.r.skip(self.sequence.order_hint_bits as usize); // order_hint
        if !frame_type.is_intra() && !error_resilient_mode {
            self.r.skip(3); // primary_ref_frame: an index into ref_frame_idx
        }
        self.skip_buffer_removal_times();
        let fills_all = frame_type == FrameType::Switch || (frame_type == FrameType::Key && show_frame);
        let refresh_frame_flags = if fills_all { ALL_FRAMES } else { self.r.u(8) as u8 };
        let has_order_hints = error_resilient_mode && self.sequence.enable_order_hint;
        if has_order_hints && !(frame_type.is_intra() && refresh_frame_flags == ALL_FRAMES) {
            self.r.skip(NUM_REF_FRAMES * self.sequence.order_hint_bits as usize); // ref_order_hint
        }
        let refers_to = if frame_type.is_intra() { 0 } else { self.parse_references() };
        FrameHeader::Frame(Frame { frame_type, show_frame, refresh_frame_flags, refers_to })
    }

    fn slot(&mut self) -> usize {
        self.r.u(3) as usize
    }

    /// `frame_presentation_time` and `showable_frame`.
    fn skip_show_fields(&mut self, show_frame: bool) {
        match self.sequence.decoder_model {
            Some(model) if show_frame && !self.sequence.equal_picture_interval => {
                self.r.skip(model.frame_presentation_time_length as usize);
            }
            _ => {}
        }
        if !show_frame {
            self.r.skip(1);
        }
    }

    /// From `disable_cdf_update` to `current_frame_id`.
    fn skip_tools(&mut self) {
        self.r.skip(1);
        let sequence = self.sequence;
        let allow_screen_content_tools = sequence.seq_force_screen_content_tools.unwrap_or_else(|| self.r.flag());
        if allow_screen_content_tools && sequence.seq_force_integer_mv.is_none() {
            self.r.skip(1); // force_integer_mv
        }
        self.r.skip(sequence.frame_ids.map_or(0, |ids| ids.length as usize));
    }

    fn skip_buffer_removal_times(&mut self) {
        let Some(model) = self.sequence.decoder_model else { return };
        if self.r.flag() {
            let points = self.sequence.operating_points.iter();
            let count = points.filter(|point| point.decoder_model_present && point.includes(self.layer)).count();
            self.r.skip(count * model.buffer_removal_time_length as usize);
        }
    }

    /// The slots in `ref_frame_idx`.
    fn parse_references(&mut self) -> u8 {
        let frame_refs_short_signaling = self.sequence.enable_order_hint && self.r.flag();
        if frame_refs_short_signaling {
            return ALL_FRAMES; // it is the order of the frames in all slots that says which are meant (7.8)
        }
        let delta_frame_id_length = self.sequence.frame_ids.map_or(0, |ids| ids.delta_length as usize);
        (0..REFS_PER_FRAME).fold(0, |slots, _| {
            let slot = self.slot();
            self.r.skip(delta_frame_id_length);
            slots | 1 << slot
        })
    }
}
