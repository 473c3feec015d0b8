//! `uncompressed_header` (5.9.2) and what it takes over from the frames before it.

use std::sync::Arc;

use super::film_grain::skip_film_grain_params;
use super::filters::{Restoration, cdef_params, lr_params, skip_loop_filter_params};
use super::frame_refs::{set_frame_refs, skip_mode_frames};
use super::frame_start::{FrameStart, FrameType, HeaderStart, NUM_REF_FRAMES, REFS_PER_FRAME, RefFrameIdx};
use super::global_motion::{GlobalMotions, global_motion_params};
use super::quantization::{Deltas, Quantization};
use super::segmentation::{MAX_SEGMENTS, Segmentation};
use super::sequence_header::{MAX_PICTURE_SAMPLES, SequenceHeader};
use super::tile_info::TileInfo;
use crate::bits::BitReader;
use crate::error::{Error, Result};

/// Numerator of what super-resolution scales by; `superres_denom` where it does not.
pub const SUPERRES_NUM: u32 = 8;
const SUPERRES_DENOM_MIN: u32 = 9;
const SUPERRES_DENOM_BITS: u32 = 3;

/// Largest and smallest size of a reference frame, beside the frame's own (6.8.6).
const LARGEST_REFERENCE: u32 = 2;
const SMALLEST_REFERENCE: u32 = 16;

/// `interpolation_filter` (6.8.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterpolationFilter {
    Fixed(u8),
    Switchable,
}

/// `TxMode` (6.8.21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxMode {
    Only4x4,
    Largest,
    Select,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameSize {
    /// `FrameWidth`: of the samples that are coded.
    pub width: u32,
    pub height: u32,
    /// `UpscaledWidth`: what super-resolution makes of them.
    pub upscaled_width: u32,
    /// `SuperresDenom`.
    pub superres_denom: u32,
}

impl FrameSize {
    /// `MiCols`.
    pub fn mi_cols(self) -> usize {
        2 * self.width.div_ceil(8) as usize
    }

    /// `MiRows`.
    pub fn mi_rows(self) -> usize {
        2 * self.height.div_ceil(8) as usize
    }
}

/// A frame's header, under the specification's names. What is indexed by reference frame has `INTRA_FRAME` at 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameHeader {
    pub sequence: Arc<SequenceHeader>,
    pub start: FrameStart,
    pub size: FrameSize,
    pub allow_intrabc: bool,
    pub ref_frame_idx: [usize; REFS_PER_FRAME],
    /// `OrderHints`.
    pub order_hints: [u32; 1 + REFS_PER_FRAME],
    pub ref_frame_sign_bias: [bool; 1 + REFS_PER_FRAME],
    pub allow_high_precision_mv: bool,
    pub interpolation_filter: InterpolationFilter,
    pub is_motion_mode_switchable: bool,
    pub use_ref_frame_mvs: bool,
    pub disable_frame_end_update_cdf: bool,
    pub tile_info: TileInfo,
    pub quantization: Quantization,
    pub segmentation: Segmentation,
    pub deltas: Deltas,
    pub lossless_array: [bool; MAX_SEGMENTS],
    pub coded_lossless: bool,
    /// `None` where nothing of CDEF is coded in the frame.
    pub cdef_bits: Option<u32>,
    /// Loop restoration, by plane.
    pub restoration: [Restoration; 3],
    pub tx_mode: TxMode,
    pub reference_select: bool,
    /// `SkipModeFrame` (reference frames), where `skip_mode_present`.
    pub skip_mode_frames: Option<[i8; 2]>,
    pub allow_warped_motion: bool,
    pub reduced_tx_set: bool,
    pub global_motion: GlobalMotions,
}

impl FrameHeader {
    /// `FrameIsIntra`.
    pub fn frame_is_intra(&self) -> bool {
        self.start.frame_is_intra()
    }

    /// The slot that probabilities and all else that persists are taken from.
    pub fn primary_slot(&self) -> Option<usize> {
        self.start.primary_ref_frame.map(|index| self.ref_frame_idx[index])
    }

    /// `get_qindex` (7.12.2) of a block, whose superblock has `current_q_index`.
    pub fn qindex(&self, segment_id: u8, current_q_index: u8) -> u8 {
        Quantization::qindex(&self.segmentation, segment_id, current_q_index)
    }

    /// Whether the frame's blocks leave other probabilities than it began with.
    pub fn adapts(&self) -> bool {
        !self.disable_frame_end_update_cdf
    }
}

#[derive(Debug, Clone)]
pub enum Header {
    /// `show_existing_frame`, of this slot.
    ShowExisting(usize, FrameType),
    Frame(Arc<FrameHeader>),
}

/// What headers take over from earlier ones.
#[derive(Debug, Clone, Default)]
pub struct HeaderState {
    pub sequence: Option<Arc<SequenceHeader>>,
    /// Headers of the frames in the slots.
    slots: [Option<Arc<FrameHeader>>; NUM_REF_FRAMES],
}

impl HeaderState {
    /// Of a stream whose container brings a sequence header.
    pub fn new(sequence: Option<Arc<SequenceHeader>>) -> Self {
        Self { sequence, slots: Default::default() }
    }

    /// Empties the slots.
    pub fn forget_frames(&mut self) {
        self.slots = Default::default();
    }

    /// A sequence header; another one than before begins a new coded video sequence, which refers to nothing (7.5).
    pub fn set_sequence(&mut self, sequence: SequenceHeader) {
        if self.sequence.as_deref() != Some(&sequence) {
            *self = Self::new(Some(Arc::new(sequence)));
        }
    }

    /// Reads the header of a frame in `layer` (temporal, spatial), and does to the slots what it says (7.20, 7.21).
    pub fn parse(&mut self, r: &mut BitReader, layer: (u32, u32)) -> Result<Header> {
        let sequence = self.sequence.clone();
        let sequence = sequence.ok_or(Error::corrupt("a frame comes before any sequence header", 0))?;
        let start = HeaderStart::parse(r, &sequence, layer);
        r.check()?;
        let start = match start {
            HeaderStart::ShowExisting(slot) => {
                let header = self.slots[slot].clone();
                let header = header.ok_or(Error::corrupt("a frame is to be shown that is not there", r.pos()))?;
                let frame_type = header.start.frame_type;
                if frame_type == FrameType::Key {
                    self.slots = std::array::from_fn(|_| Some(Arc::clone(&header)));
                }
                return Ok(Header::ShowExisting(slot, frame_type));
            }
            HeaderStart::Frame(start) => start,
        };
        self.forget_lost(&start);
        let header = Parser { r, sequence: &sequence, slots: &self.slots, start }.uncompressed_header();
        // What is read past the end is zeros: that it ended there says more than what they seem to mean.
        r.check()?;
        let header = Arc::new(header?);
        for (i, slot) in self.slots.iter_mut().enumerate() {
            if start.refresh_frame_flags >> i & 1 == 1 {
                *slot = Some(Arc::clone(&header));
            }
        }
        Ok(Header::Frame(header))
    }

    /// Empties the slots that hold other frames than the encoder's did (`RefValid`).
    fn forget_lost(&mut self, start: &FrameStart) {
        for (slot, hint) in self.slots.iter_mut().zip(start.ref_order_hint.iter().flatten()) {
            slot.take_if(|header| header.start.order_hint != *hint);
        }
    }
}

struct Parser<'a, 'b> {
    r: &'a mut BitReader<'b>,
    sequence: &'a Arc<SequenceHeader>,
    slots: &'a [Option<Arc<FrameHeader>>; NUM_REF_FRAMES],
    start: FrameStart,
}

/// What an intra frame does not say.
struct InterFields {
    size: FrameSize,
    allow_intrabc: bool,
    ref_frame_idx: [usize; REFS_PER_FRAME],
    order_hints: [u32; REFS_PER_FRAME],
    allow_high_precision_mv: bool,
    interpolation_filter: InterpolationFilter,
    is_motion_mode_switchable: bool,
    use_ref_frame_mvs: bool,
}

impl<'a> Parser<'a, '_> {
    /// From behind `HeaderStart` on.
    fn uncompressed_header(&mut self) -> Result<FrameHeader> {
        let (sequence, start) = (self.sequence, self.start);
        let frame_is_intra = start.frame_is_intra();
        let inter = if frame_is_intra { self.intra_fields()? } else { self.inter_fields()? };
        let can_update = !sequence.reduced_still_picture_header && !start.disable_cdf_update;
        let disable_frame_end_update_cdf = !can_update || self.r.flag();
        let (mi_rows, mi_cols) = (inter.size.mi_rows() as u32, inter.size.mi_cols() as u32);
        let tile_info = TileInfo::parse(self.r, sequence, mi_rows, mi_cols)?;
        let quantization = Quantization::parse(self.r, sequence.color);
        let previous = start.primary_ref_frame.map(|index| self.reference(inter.ref_frame_idx, index)).transpose()?;
        let segmentation = Segmentation::parse(self.r, previous.map(|previous| &previous.segmentation));
        let deltas = Deltas::parse(self.r, quantization.base_q_idx, inter.allow_intrabc);
        let lossless_array = std::array::from_fn(|i| quantization.is_lossless(&segmentation, i as u8));
        let coded_lossless = lossless_array.iter().all(|&is_lossless| is_lossless);
        let (cdef_bits, restoration) = self.filters(&inter, coded_lossless);
        let tx_mode = match coded_lossless {
            true => TxMode::Only4x4,
            false if self.r.flag() => TxMode::Select,
            false => TxMode::Largest,
        };
        let reference_select = !frame_is_intra && self.r.flag();
        let skip_mode_frames = self.skip_mode_params(reference_select, &inter.order_hints);
        let allow_warped_motion =
            !frame_is_intra && !start.error_resilient_mode && sequence.enable_warped_motion && self.r.flag();
        let reduced_tx_set = self.r.flag();
        let global_motion = if frame_is_intra {
            GlobalMotions::default()
        } else {
            let previous = previous.map(|previous| &previous.global_motion);
            global_motion_params(self.r, previous, inter.allow_high_precision_mv)
        };
        if sequence.film_grain_params_present && (start.show_frame || start.showable_frame) {
            skip_film_grain_params(self.r, sequence.color, start.frame_type == FrameType::Inter);
        }
        Ok(FrameHeader {
            sequence: Arc::clone(sequence),
            start,
            size: inter.size,
            allow_intrabc: inter.allow_intrabc,
            ref_frame_idx: inter.ref_frame_idx,
            order_hints: by_ref_frame(inter.order_hints),
            ref_frame_sign_bias: by_ref_frame(
                inter.order_hints.map(|hint| sequence.get_relative_dist(hint, start.order_hint) > 0),
            ),
            allow_high_precision_mv: inter.allow_high_precision_mv,
            interpolation_filter: inter.interpolation_filter,
            is_motion_mode_switchable: inter.is_motion_mode_switchable,
            use_ref_frame_mvs: inter.use_ref_frame_mvs,
            disable_frame_end_update_cdf,
            tile_info,
            quantization,
            segmentation,
            deltas,
            lossless_array,
            coded_lossless,
            cdef_bits,
            restoration,
            tx_mode,
            reference_select,
            skip_mode_frames,
            allow_warped_motion,
            reduced_tx_set,
            global_motion,
        })
    }

    /// The frame in the slot of a reference.
    fn reference(&self, ref_frame_idx: [usize; REFS_PER_FRAME], index: usize) -> Result<&'a FrameHeader> {
        let slot = &self.slots[ref_frame_idx[index]];
        slot.as_deref().ok_or(Error::corrupt("a frame refers to one that is not there", self.r.pos()))
    }

    fn intra_fields(&mut self) -> Result<InterFields> {
        let size = self.frame_size()?;
        self.render_size();
        let is_upscaled = size.upscaled_width != size.width;
        Ok(InterFields {
            size,
            allow_intrabc: self.start.allow_screen_content_tools && !is_upscaled && self.r.flag(),
            ref_frame_idx: [0; REFS_PER_FRAME],
            order_hints: [0; REFS_PER_FRAME],
            allow_high_precision_mv: false,
            interpolation_filter: InterpolationFilter::Fixed(0),
            is_motion_mode_switchable: false,
            use_ref_frame_mvs: false,
        })
    }

    fn inter_fields(&mut self) -> Result<InterFields> {
        let (sequence, start) = (self.sequence, self.start);
        let ref_frame_idx = self.ref_frame_idx();
        let mut references = [None; REFS_PER_FRAME];
        for (i, reference) in references.iter_mut().enumerate() {
            *reference = Some(self.reference(ref_frame_idx, i)?);
        }
        let size = if start.frame_size_override_flag && !start.error_resilient_mode {
            self.frame_size_with_refs(references)?
        } else {
            let size = self.frame_size()?;
            self.render_size();
            size
        };
        for reference in references.into_iter().flatten() {
            self.check_reference(reference, size)?;
        }
        let allow_high_precision_mv = !start.force_integer_mv && self.r.flag();
        let is_filter_switchable = self.r.flag();
        let interpolation_filter = if is_filter_switchable {
            InterpolationFilter::Switchable
        } else {
            InterpolationFilter::Fixed(self.r.u(2) as u8)
        };
        Ok(InterFields {
            size,
            allow_intrabc: false,
            ref_frame_idx,
            order_hints: references.map(|reference| reference.map_or(0, |reference| reference.start.order_hint)),
            allow_high_precision_mv,
            interpolation_filter,
            is_motion_mode_switchable: self.r.flag(),
            use_ref_frame_mvs: !start.error_resilient_mode && sequence.enable_ref_frame_mvs && self.r.flag(),
        })
    }

    fn ref_frame_idx(&self) -> [usize; REFS_PER_FRAME] {
        match self.start.ref_frame_idx {
            RefFrameIdx::None => [0; REFS_PER_FRAME],
            RefFrameIdx::Explicit(slots) => slots.map(usize::from),
            RefFrameIdx::Short { last_frame_idx, gold_frame_idx } => {
                let hint = |slot: &Option<Arc<FrameHeader>>| slot.as_ref().map_or(0, |header| header.start.order_hint);
                let ref_order_hint = std::array::from_fn(|i| hint(&self.slots[i]));
                let (last, gold) = (usize::from(last_frame_idx), usize::from(gold_frame_idx));
                set_frame_refs(self.sequence, &ref_order_hint, self.start.order_hint, last, gold)
            }
        }
    }

    /// Requirements on the references (6.8.2, 6.8.6).
    fn check_reference(&self, reference: &FrameHeader, size: FrameSize) -> Result<()> {
        let FrameSize { upscaled_width, height, .. } = reference.size;
        let is_in_range = |own: u32, other: u32| LARGEST_REFERENCE * own >= other && own <= SMALLEST_REFERENCE * other;
        if !is_in_range(size.width, upscaled_width) || !is_in_range(size.height, height) {
            return Err(Error::corrupt("a frame refers to one that is too large or too small for it", self.r.pos()));
        }
        let (own, other) = (self.sequence.color, reference.sequence.color);
        let format = |color: super::sequence_header::ColorConfig| {
            (color.bit_depth, color.mono_chrome, color.subsampling_x, color.subsampling_y)
        };
        if format(own) != format(other) {
            return Err(Error::corrupt("a frame refers to one of another sample format", self.r.pos()));
        }
        Ok(())
    }

    /// `frame_size` (5.9.5).
    fn frame_size(&mut self) -> Result<FrameSize> {
        let sequence = self.sequence;
        let (mut width, mut height) = (sequence.max_frame_width, sequence.max_frame_height);
        if self.start.frame_size_override_flag {
            width = self.r.u(sequence.frame_width_bits) + 1;
            height = self.r.u(sequence.frame_height_bits) + 1;
        }
        self.superres_params(width, height)
    }

    /// `render_size` (5.9.6): a hint for display.
    fn render_size(&mut self) {
        let render_and_frame_size_different = self.r.flag();
        if render_and_frame_size_different {
            self.r.skip(16 + 16);
        }
    }

    /// `frame_size_with_refs` (5.9.7).
    fn frame_size_with_refs(&mut self, references: [Option<&FrameHeader>; REFS_PER_FRAME]) -> Result<FrameSize> {
        let found = references.into_iter().flatten().find(|_| self.r.flag());
        match found {
            Some(reference) => self.superres_params(reference.size.upscaled_width, reference.size.height),
            None => {
                let size = self.frame_size()?;
                self.render_size();
                Ok(size)
            }
        }
    }

    /// `superres_params` (5.9.8), for a frame that is to be of that size.
    fn superres_params(&mut self, upscaled_width: u32, height: u32) -> Result<FrameSize> {
        let samples = u64::from(upscaled_width) * u64::from(height);
        if samples > MAX_PICTURE_SAMPLES {
            return Err(Error::limit("the picture's number of luma samples", samples, MAX_PICTURE_SAMPLES));
        }
        let use_superres = self.sequence.enable_superres && self.r.flag();
        let superres_denom =
            if use_superres { self.r.u(SUPERRES_DENOM_BITS) + SUPERRES_DENOM_MIN } else { SUPERRES_NUM };
        let width = (upscaled_width * SUPERRES_NUM + superres_denom / 2) / superres_denom;
        Ok(FrameSize { width, height, upscaled_width, superres_denom })
    }

    /// `loop_filter_params`, `cdef_params` and `lr_params`.
    fn filters(&mut self, inter: &InterFields, coded_lossless: bool) -> (Option<u32>, [Restoration; 3]) {
        let sequence = self.sequence;
        let has_filters = !coded_lossless && !inter.allow_intrabc;
        if has_filters {
            skip_loop_filter_params(self.r, sequence.color);
        }
        let cdef_bits = (has_filters && sequence.enable_cdef).then(|| cdef_params(self.r, sequence.color));
        let all_lossless = coded_lossless && inter.size.width == inter.size.upscaled_width;
        let has_restoration = !all_lossless && !inter.allow_intrabc && sequence.enable_restoration;
        let restoration = if has_restoration { lr_params(self.r, sequence) } else { Default::default() };
        (cdef_bits, restoration)
    }

    /// `skip_mode_params` (5.9.22).
    fn skip_mode_params(&mut self, reference_select: bool, order_hints: &[u32; REFS_PER_FRAME]) -> Option<[i8; 2]> {
        if !reference_select || !self.sequence.enable_order_hint {
            return None;
        }
        let frames = skip_mode_frames(self.sequence, order_hints, self.start.order_hint)?;
        let skip_mode_present = self.r.flag();
        skip_mode_present.then(|| frames.map(|frame| frame as i8 + 1))
    }
}

/// Indexed by reference frame instead of from `LAST_FRAME` on.
fn by_ref_frame<T: Copy + Default>(references: [T; REFS_PER_FRAME]) -> [T; 1 + REFS_PER_FRAME] {
    std::array::from_fn(|i| if i == 0 { T::default() } else { references[i - 1] })
}
