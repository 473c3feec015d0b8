//! `uncompressed_header` (6.2, 7.2) and what it takes over from the frames before it.

use std::ops::Range;
use std::sync::Arc;

use crate::bits::BitReader;
use crate::error::{Error, Result};
use crate::map::Crop;
use crate::picture_format::{Colour, PictureFormat};

/// Luma samples of the largest picture that we are willing to parse (level 6.2 ends at 2^25.1).
pub const MAX_PICTURE_SAMPLES: u64 = 1 << 27;

pub const MAX_SEGMENTS: usize = 8;

const FRAME_MARKER: u32 = 2;
const SYNC_CODE: u32 = 0x49_83_42;
const CS_RGB: u32 = 7;
const MIN_TILE_WIDTH_B64: u32 = 4;
const MAX_TILE_WIDTH_B64: u32 = 64;

/// `interpolation_filter`, 0 to 2 in the order of `interp_filter_tree`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterpolationFilter {
    Fixed(u8),
    Switchable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameSize {
    pub width: u32,
    pub height: u32,
}

impl FrameSize {
    /// `MiCols`.
    pub fn mi_cols(self) -> usize {
        self.width.div_ceil(8) as usize
    }

    /// `MiRows`.
    pub fn mi_rows(self) -> usize {
        self.height.div_ceil(8) as usize
    }

    fn sb64_cols(self) -> u32 {
        self.width.div_ceil(64)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColorConfig {
    pub bit_depth: u8,
    pub subsampling_x: u8,
    pub subsampling_y: u8,
    pub is_rgb: bool,
}

impl Default for ColorConfig {
    /// What an intra-only frame of profile 0 has, which does not tell.
    fn default() -> Self {
        Self { bit_depth: 8, subsampling_x: 1, subsampling_y: 1, is_rgb: false }
    }
}

/// `segmentation_params` (6.2.11), which stay in force until they are coded anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Segmentation {
    pub enabled: bool,
    pub update_map: bool,
    pub temporal_update: bool,
    pub tree_probs: [u8; 7],
    pub pred_probs: [u8; 3],
    abs_delta_update: bool,
    /// `FeatureData` where `FeatureEnabled`: quantizer, loop filter, reference frame, skip.
    features: [[Option<i16>; 4]; MAX_SEGMENTS],
}

const SEG_LVL_ALT_Q: usize = 0;
const SEG_LVL_REF_FRAME: usize = 2;
const SEG_LVL_SKIP: usize = 3;
const SEGMENTATION_FEATURE_BITS: [u32; 4] = [8, 6, 2, 0];
const SEGMENTATION_FEATURE_SIGNED: [bool; 4] = [true, true, false, false];

impl Segmentation {
    fn feature(&self, segment_id: u8, feature: usize) -> Option<i16> {
        if self.enabled { self.features[usize::from(segment_id) % MAX_SEGMENTS][feature] } else { None }
    }

    /// The reference frame that all of a segment's blocks have.
    pub fn ref_frame(&self, segment_id: u8) -> Option<i8> {
        self.feature(segment_id, SEG_LVL_REF_FRAME).map(|frame| frame as i8)
    }

    /// Whether the frame takes over segments from the map before it.
    pub fn takes_map(&self) -> bool {
        self.enabled && (self.temporal_update || !self.update_map)
    }

    /// Whether a segment's blocks are all skipped.
    pub fn skip(&self, segment_id: u8) -> bool {
        self.feature(segment_id, SEG_LVL_SKIP).is_some()
    }

    /// `get_qidx` (8.6.1).
    fn qidx(&self, segment_id: u8, base_q_idx: u8) -> u8 {
        let Some(data) = self.feature(segment_id, SEG_LVL_ALT_Q) else { return base_q_idx };
        let base = if self.abs_delta_update { 0 } else { i16::from(base_q_idx) };
        (base + data).clamp(0, 255) as u8
    }

    fn parse(&mut self, r: &mut BitReader) {
        self.update_map = false;
        self.enabled = r.flag();
        if !self.enabled {
            return;
        }
        self.update_map = r.flag();
        if self.update_map {
            self.tree_probs = std::array::from_fn(|_| read_prob(r));
            self.temporal_update = r.flag();
            self.pred_probs = std::array::from_fn(|_| if self.temporal_update { read_prob(r) } else { 255 });
        }
        if r.flag() {
            self.abs_delta_update = r.flag();
            for segment in &mut self.features {
                for (feature, value) in segment.iter_mut().enumerate() {
                    *value = r.flag().then(|| {
                        let magnitude = r.u(SEGMENTATION_FEATURE_BITS[feature]) as i16;
                        if SEGMENTATION_FEATURE_SIGNED[feature] && r.flag() { -magnitude } else { magnitude }
                    });
                }
            }
        }
    }
}

/// `read_prob` (6.2.12).
fn read_prob(r: &mut BitReader) -> u8 {
    if r.flag() { r.u(8) as u8 } else { 255 }
}

/// A frame's `uncompressed_header`.
#[derive(Debug, Clone)]
pub struct FrameHeader {
    pub is_key: bool,
    pub show_frame: bool,
    pub error_resilient_mode: bool,
    pub intra_only: bool,
    pub reset_frame_context: u8,
    pub color: ColorConfig,
    pub size: FrameSize,
    pub refresh_frame_flags: u8,
    /// Slots of the last, golden and alternate frame; of no meaning for intra frames.
    pub ref_frame_idx: [usize; 3],
    /// By reference frame: intra, last, golden, alternate.
    pub sign_bias: [bool; 4],
    pub allow_high_precision_mv: bool,
    pub interpolation_filter: InterpolationFilter,
    pub refresh_frame_context: bool,
    pub frame_parallel_decoding_mode: bool,
    /// As coded; see `context`.
    pub frame_context_idx: u8,
    pub lossless: bool,
    pub segmentation: Segmentation,
    /// Quantizer index by segment.
    pub qidx: [u8; MAX_SEGMENTS],
    pub tile_cols_log2: u8,
    pub tile_rows_log2: u8,
    /// Bytes of this header, and of the compressed one behind it.
    pub uncompressed_size: usize,
    pub compressed_size: usize,
}

impl FrameHeader {
    pub fn frame_is_intra(&self) -> bool {
        self.is_key || self.intra_only
    }

    pub fn picture_format(&self) -> PictureFormat {
        let ColorConfig { bit_depth, subsampling_x, subsampling_y, is_rgb } = self.color;
        PictureFormat {
            crop: Crop { left: 0, top: 0, width: self.size.width, height: self.size.height },
            bit_depth: (bit_depth, bit_depth),
            subsampling: Some((subsampling_x, subsampling_y)),
            colour: Colour { is_rgb: Some(is_rgb), is_full_range: None },
        }
    }

    /// Whether `setup_past_independence` (7.2) is invoked.
    pub fn resets_past(&self) -> bool {
        self.frame_is_intra() || self.error_resilient_mode
    }

    /// Whether every probability context is set to its default.
    pub fn resets_all_contexts(&self) -> bool {
        self.is_key || self.error_resilient_mode || (self.intra_only && self.reset_frame_context == 3)
    }

    /// Whether the probability context `frame_context_idx` alone is.
    pub fn resets_one_context(&self) -> bool {
        self.intra_only && self.reset_frame_context == 2
    }

    /// The probability context that the frame is coded with, and may refresh.
    pub fn context(&self) -> usize {
        if self.resets_past() { 0 } else { usize::from(self.frame_context_idx) }
    }

    /// `UsePrevFrameMvs` (7.2), where there are vectors: whether blocks look up those of the frame decoded before.
    pub fn takes_motion_from(&self, previous: &Self) -> bool {
        !self.resets_past() && previous.size == self.size && previous.show_frame && !previous.frame_is_intra()
    }

    /// Whether the probabilities are adapted to what the frame's symbols were.
    pub fn adapts(&self) -> bool {
        !self.error_resilient_mode && !self.frame_parallel_decoding_mode
    }
}

#[derive(Debug, Clone)]
pub enum Header {
    /// `show_existing_frame`: the frame in this slot is displayed, nothing is coded.
    ShowExisting(usize),
    Frame(Arc<FrameHeader>),
}

/// The headers of one frame, and where it lies in its packet.
pub type Unit = (Range<usize>, Header);

/// What headers take over from earlier ones.
#[derive(Debug, Clone, Default)]
pub struct HeaderState {
    color: ColorConfig,
    segmentation: Segmentation,
    /// Sizes of the frames in the reference slots.
    pub slots: [Option<FrameSize>; 8],
}

impl HeaderState {
    /// Reads one frame's header. Nothing of the state changes where it fails.
    pub fn parse(&mut self, frame: &[u8]) -> Result<Header> {
        let mut next = self.clone();
        let mut r = BitReader::new(frame);
        let header = next.uncompressed_header(&mut r);
        // What is read past the end is zeros: that it ended there says more than what they seem to mean.
        r.check()?;
        let header = header?;
        *self = next;
        Ok(header)
    }

    fn uncompressed_header(&mut self, r: &mut BitReader) -> Result<Header> {
        if r.u(2) != FRAME_MARKER {
            return Err(Error::corrupt("a frame does not begin with the frame marker", 0));
        }
        let profile = r.u(1) | r.u(1) << 1;
        if profile == 3 && r.flag() {
            return Err(Error::unsupported("a VP9 profile above 3", r.pos()));
        }
        if r.flag() {
            return Ok(Header::ShowExisting(r.u(3) as usize));
        }
        let mut h = FrameHeader::new();
        h.is_key = !r.flag();
        h.show_frame = r.flag();
        h.error_resilient_mode = r.flag();
        if h.is_key {
            sync_code(r)?;
            self.color = color_config(r, profile)?;
            h.refresh_frame_flags = 0xff;
            h.size = frame_size(r)?;
            render_size(r);
        } else {
            h.intra_only = !h.show_frame && r.flag();
            h.reset_frame_context = if h.error_resilient_mode { 0 } else { r.u(2) as u8 };
            if h.intra_only {
                sync_code(r)?;
                self.color = if profile > 0 { color_config(r, profile)? } else { ColorConfig::default() };
                h.refresh_frame_flags = r.u(8) as u8;
                h.size = frame_size(r)?;
                render_size(r);
            } else {
                self.inter_header(r, &mut h)?;
            }
        }
        h.color = self.color;
        self.finish_header(r, &mut h)?;
        Ok(Header::Frame(Arc::new(h)))
    }

    fn inter_header(&self, r: &mut BitReader, h: &mut FrameHeader) -> Result<()> {
        h.refresh_frame_flags = r.u(8) as u8;
        for (slot, sign_bias) in h.ref_frame_idx.iter_mut().zip(&mut h.sign_bias[1..]) {
            *slot = r.u(3) as usize;
            // Resetting the past resets these, too.
            *sign_bias = r.flag() && !h.error_resilient_mode;
        }
        if h.ref_frame_idx.iter().any(|&slot| self.slots[slot].is_none()) {
            return Err(Error::corrupt("a frame refers to one that is not there", r.pos()));
        }
        // frame_size_with_refs (6.2.5)
        let found = h.ref_frame_idx.into_iter().find(|_| r.flag());
        h.size = match found.and_then(|slot| self.slots[slot]) {
            Some(size) => size,
            None => frame_size(r)?,
        };
        render_size(r);
        h.allow_high_precision_mv = r.flag();
        h.interpolation_filter = if r.flag() {
            InterpolationFilter::Switchable
        } else {
            // literal_to_type: smooth is 1 in the tree, regular 0; bilinear has no place in it.
            InterpolationFilter::Fixed([1, 0, 2, 3][r.u(2) as usize])
        };
        Ok(())
    }

    /// All that follows the part that differs by the kind of frame.
    fn finish_header(&mut self, r: &mut BitReader, h: &mut FrameHeader) -> Result<()> {
        if h.error_resilient_mode {
            h.frame_parallel_decoding_mode = true;
        } else {
            h.refresh_frame_context = r.flag();
            h.frame_parallel_decoding_mode = r.flag();
        }
        h.frame_context_idx = r.u(2) as u8;
        if h.resets_past() {
            self.segmentation = Segmentation::default();
        }
        loop_filter_params(r);
        let base_q_idx = quantization_params(r, h);
        self.segmentation.parse(r);
        h.segmentation = self.segmentation;
        h.qidx = std::array::from_fn(|i| h.segmentation.qidx(i as u8, base_q_idx));
        tile_info(r, h);
        h.compressed_size = r.u(16) as usize;
        h.uncompressed_size = r.pos().div_ceil(8);
        if h.compressed_size == 0 {
            return Err(Error::corrupt("header_size_in_bytes is 0", r.pos()));
        }
        Ok(())
    }

    /// The reference frame update process (8.10), as far as sizes go.
    pub fn refresh(&mut self, header: &FrameHeader) {
        for (i, slot) in self.slots.iter_mut().enumerate() {
            if header.refresh_frame_flags >> i & 1 == 1 {
                *slot = Some(header.size);
            }
        }
    }
}

impl FrameHeader {
    fn new() -> Self {
        Self {
            is_key: false,
            show_frame: false,
            error_resilient_mode: false,
            intra_only: false,
            reset_frame_context: 0,
            color: ColorConfig::default(),
            size: FrameSize::default(),
            refresh_frame_flags: 0,
            ref_frame_idx: [0; 3],
            sign_bias: [false; 4],
            allow_high_precision_mv: false,
            interpolation_filter: InterpolationFilter::Switchable,
            refresh_frame_context: false,
            frame_parallel_decoding_mode: false,
            frame_context_idx: 0,
            lossless: false,
            segmentation: Segmentation::default(),
            qidx: [0; MAX_SEGMENTS],
            tile_cols_log2: 0,
            tile_rows_log2: 0,
            uncompressed_size: 0,
            compressed_size: 0,
        }
    }
}

/// `frame_sync_code` (6.2.1).
fn sync_code(r: &mut BitReader) -> Result<()> {
    if r.u(24) != SYNC_CODE {
        return Err(Error::corrupt("the frame sync code is wrong", r.pos() - 24));
    }
    Ok(())
}

/// `color_config` (6.2.2).
fn color_config(r: &mut BitReader, profile: u32) -> Result<ColorConfig> {
    let bit_depth = if profile < 2 {
        8
    } else if r.flag() {
        12
    } else {
        10
    };
    let color_space = r.u(3);
    let (mut subsampling_x, mut subsampling_y) = (1, 1);
    if color_space == CS_RGB {
        if profile & 1 == 0 {
            return Err(Error::corrupt("RGB in a profile without it", r.pos()));
        }
        (subsampling_x, subsampling_y) = (0, 0);
        r.skip(1); // reserved_zero
    } else {
        r.skip(1); // color_range
        if profile & 1 == 1 {
            (subsampling_x, subsampling_y) = (r.u(1) as u8, r.u(1) as u8);
            r.skip(1); // reserved_zero
        }
    }
    Ok(ColorConfig { bit_depth, subsampling_x, subsampling_y, is_rgb: color_space == CS_RGB })
}

/// `frame_size` (6.2.3).
fn frame_size(r: &mut BitReader) -> Result<FrameSize> {
    let size = FrameSize { width: r.u(16) + 1, height: r.u(16) + 1 };
    let samples = u64::from(size.width) * u64::from(size.height);
    if samples > MAX_PICTURE_SAMPLES {
        return Err(Error::limit("the picture's number of luma samples", samples, MAX_PICTURE_SAMPLES));
    }
    Ok(size)
}

/// `render_size` (6.2.4): a hint for display, which decoders do not act upon.
fn render_size(r: &mut BitReader) {
    if r.flag() {
        r.skip(32);
    }
}

/// `loop_filter_params` (6.2.8): pixels only.
fn loop_filter_params(r: &mut BitReader) {
    r.skip(6 + 3); // loop_filter_level, loop_filter_sharpness
    let delta_enabled = r.flag();
    if delta_enabled && r.flag() {
        for _ in 0..4 + 2 {
            if r.flag() {
                r.skip(7);
            }
        }
    }
}

/// `quantization_params` (6.2.9). Gives `base_q_idx`.
fn quantization_params(r: &mut BitReader, h: &mut FrameHeader) -> u8 {
    let base_q_idx = r.u(8) as u8;
    h.lossless = base_q_idx == 0;
    for _ in 0..3 {
        // read_delta_q; -0 is 0
        if r.flag() {
            h.lossless &= r.u(5) >> 1 == 0;
        }
    }
    base_q_idx
}

/// `tile_info` (6.2.13).
fn tile_info(r: &mut BitReader, h: &mut FrameHeader) {
    let sb64_cols = h.size.sb64_cols();
    let mut min_log2 = 0;
    while MAX_TILE_WIDTH_B64 << min_log2 < sb64_cols {
        min_log2 += 1;
    }
    let mut max_log2 = 1;
    while sb64_cols >> max_log2 >= MIN_TILE_WIDTH_B64 {
        max_log2 += 1;
    }
    max_log2 -= 1;
    h.tile_cols_log2 = min_log2;
    while h.tile_cols_log2 < max_log2 && r.flag() {
        h.tile_cols_log2 += 1;
    }
    h.tile_rows_log2 = r.u(1) as u8;
    if h.tile_rows_log2 == 1 {
        h.tile_rows_log2 += r.u(1) as u8;
    }
}
