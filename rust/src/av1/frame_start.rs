//! The beginning of `uncompressed_header` (5.9.2), up to what the frame refers to: all that can be read of a frame
//! without knowing those before it.

use super::sequence_header::SequenceHeader;
use crate::bits::BitReader;

pub const NUM_REF_FRAMES: usize = 8;
pub const REFS_PER_FRAME: usize = 7;
const ALL_FRAMES: u8 = 0xff;
const PRIMARY_REF_NONE: u32 = 7;

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

/// How a frame says which slots it refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefFrameIdx {
    /// It is an intra frame.
    None,
    /// `ref_frame_idx`.
    Explicit([u8; REFS_PER_FRAME]),
    /// `frame_refs_short_signaling`: the order of the frames in all slots says which are meant (7.8).
    Short { last_frame_idx: u8, gold_frame_idx: u8 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderStart {
    /// `show_existing_frame`, of this slot.
    ShowExisting(usize),
    Frame(FrameStart),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameStart {
    pub frame_type: FrameType,
    pub show_frame: bool,
    pub showable_frame: bool,
    pub error_resilient_mode: bool,
    pub disable_cdf_update: bool,
    pub allow_screen_content_tools: bool,
    pub force_integer_mv: bool,
    pub frame_size_override_flag: bool,
    pub order_hint: u32,
    /// An index into `ref_frame_idx`; `None` for `PRIMARY_REF_NONE`.
    pub primary_ref_frame: Option<usize>,
    pub refresh_frame_flags: u8,
    /// The order hints that the frames in the slots have, unless they were lost on the way.
    pub ref_order_hint: Option<[u32; NUM_REF_FRAMES]>,
    pub ref_frame_idx: RefFrameIdx,
}

impl FrameStart {
    /// `FrameIsIntra`.
    pub fn frame_is_intra(&self) -> bool {
        self.frame_type.is_intra()
    }

    /// A key frame that is shown: it takes nothing from before, and fills all slots.
    pub fn resets_decoder(&self) -> bool {
        self.frame_type == FrameType::Key && self.show_frame
    }

    /// Slots that the frame may take anything from: bit i for slot i.
    pub fn refers_to(&self) -> u8 {
        match self.ref_frame_idx {
            RefFrameIdx::None => 0,
            RefFrameIdx::Explicit(slots) => slots.iter().fold(0, |all, slot| all | 1 << slot),
            RefFrameIdx::Short { .. } => ALL_FRAMES,
        }
    }
}

impl HeaderStart {
    /// Reads the start of the header of a unit in `layer` (temporal, spatial); `r` stops behind it. Whether the bits
    /// were there is for the caller to check.
    pub fn parse(r: &mut BitReader, sequence: &SequenceHeader, layer: (u32, u32)) -> Self {
        Parser { r, sequence, layer }.uncompressed_header()
    }
}

struct Parser<'a, 'b> {
    r: &'a mut BitReader<'b>,
    sequence: &'a SequenceHeader,
    layer: (u32, u32),
}

impl Parser<'_, '_> {
    fn uncompressed_header(&mut self) -> HeaderStart {
        let is_reduced = self.sequence.reduced_still_picture_header;
        let (mut frame_type, mut show_frame, mut showable_frame) = (FrameType::Key, true, false);
        let mut error_resilient_mode = true;
        if !is_reduced {
            if self.r.flag() {
                return self.show_existing_frame();
            }
            frame_type = match self.r.u(2) {
                0 => FrameType::Key,
                1 => FrameType::Inter,
                2 => FrameType::IntraOnly,
                _ => FrameType::Switch,
            };
            show_frame = self.r.flag();
            if show_frame {
                self.temporal_point_info();
            }
            showable_frame = if show_frame { frame_type != FrameType::Key } else { self.r.flag() };
            error_resilient_mode =
                frame_type == FrameType::Switch || (frame_type == FrameType::Key && show_frame) || self.r.flag();
        }
        let disable_cdf_update = self.r.flag();
        let (allow_screen_content_tools, force_integer_mv) = self.screen_content();
        self.r.skip(self.sequence.frame_ids.map_or(0, |ids| ids.length as usize)); // current_frame_id
        let frame_size_override_flag = frame_type == FrameType::Switch || (!is_reduced && self.r.flag());
        let order_hint = self.r.u(self.sequence.order_hint_bits);
        let mut primary_ref_frame = None;
        if !frame_type.is_intra() && !error_resilient_mode {
            let index = self.r.u(3);
            primary_ref_frame = (index != PRIMARY_REF_NONE).then_some(index as usize);
        }
        self.buffer_removal_times();
        let fills_all = frame_type == FrameType::Switch || (frame_type == FrameType::Key && show_frame);
        let refresh_frame_flags = if fills_all { ALL_FRAMES } else { self.r.u(8) as u8 };
        let has_order_hints = error_resilient_mode && self.sequence.enable_order_hint;
        let has_references = !frame_type.is_intra() || refresh_frame_flags != ALL_FRAMES;
        let ref_order_hint = (has_order_hints && has_references)
            .then(|| [0; NUM_REF_FRAMES].map(|_| self.r.u(self.sequence.order_hint_bits)));
        let ref_frame_idx = if frame_type.is_intra() { RefFrameIdx::None } else { self.ref_frame_idx() };
        HeaderStart::Frame(FrameStart {
            frame_type,
            show_frame,
            showable_frame,
            error_resilient_mode,
            disable_cdf_update,
            allow_screen_content_tools,
            force_integer_mv: force_integer_mv || frame_type.is_intra(),
            frame_size_override_flag,
            order_hint,
            primary_ref_frame,
            refresh_frame_flags,
            ref_order_hint,
            ref_frame_idx,
        })
    }

    fn slot(&mut self) -> u8 {
        self.r.u(3) as u8
    }

    fn show_existing_frame(&mut self) -> HeaderStart {
        let frame_to_show_map_idx = self.slot();
        self.temporal_point_info();
        self.r.skip(self.sequence.frame_ids.map_or(0, |ids| ids.length as usize)); // display_frame_id
        HeaderStart::ShowExisting(usize::from(frame_to_show_map_idx))
    }

    /// `temporal_point_info` (5.9.31), where there is one.
    fn temporal_point_info(&mut self) {
        match self.sequence.decoder_model {
            Some(model) if !self.sequence.equal_picture_interval => {
                self.r.skip(model.frame_presentation_time_length as usize);
            }
            _ => {}
        }
    }

    /// `allow_screen_content_tools` and `force_integer_mv`.
    fn screen_content(&mut self) -> (bool, bool) {
        let sequence = self.sequence;
        let allow_screen_content_tools = sequence.seq_force_screen_content_tools.unwrap_or_else(|| self.r.flag());
        let force_integer_mv =
            allow_screen_content_tools && sequence.seq_force_integer_mv.unwrap_or_else(|| self.r.flag());
        (allow_screen_content_tools, force_integer_mv)
    }

    fn buffer_removal_times(&mut self) {
        let Some(model) = self.sequence.decoder_model else { return };
        if self.r.flag() {
            let points = self.sequence.operating_points.iter();
            let count = points.filter(|point| point.decoder_model_present && point.includes(self.layer)).count();
            self.r.skip(count * model.buffer_removal_time_length as usize);
        }
    }

    fn ref_frame_idx(&mut self) -> RefFrameIdx {
        let delta_frame_id_length = self.sequence.frame_ids.map_or(0, |ids| ids.delta_length as usize);
        let frame_refs_short_signaling = self.sequence.enable_order_hint && self.r.flag();
        if frame_refs_short_signaling {
            let (last_frame_idx, gold_frame_idx) = (self.slot(), self.slot());
            self.r.skip(REFS_PER_FRAME * delta_frame_id_length);
            return RefFrameIdx::Short { last_frame_idx, gold_frame_idx };
        }
        RefFrameIdx::Explicit([0; REFS_PER_FRAME].map(|_| {
            let slot = self.slot();
            self.r.skip(delta_frame_id_length);
            slot
        }))
    }
}
