//! Frames in decoding order: what each takes over from the ones before it, and its map.

use std::ops::Range;
use std::sync::Arc;

use super::adaptation::{Adapted, Rate, adapt_coef_probs, adapt_noncoef_probs};
use super::block::Motion;
use super::compressed_header::CompressedHeader;
use super::frame_header::{FrameHeader, FrameSize, Header, HeaderState, InterpolationFilter};
use super::probabilities::Probabilities;
use super::superframe;
use super::tile::{FrameContext, FrameState, SUPERBLOCK, Tile, TileArea};
use crate::error::{Error, Result};
use crate::map::{Crop, FrameMap, PictureType};

/// `tile_size` before every tile but the last.
const TILE_SIZE_BYTES: usize = 4;

/// One frame of a packet.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The frame's map. `packet_bits` are the frame's own bytes; those of a packet that belong to no frame, such as a
    /// superframe's index, count for the one that is shown.
    pub map: Arc<FrameMap>,
    pub is_shown: bool,
    /// `show_existing_frame`: the map of an earlier frame, with the bytes of both.
    pub is_existing: bool,
}

/// The parser of a chain of frames. Feed it packets in decoding order, beginning with one that resets the decoder
/// (`PacketHeader::is_recovery_point`), or with a stream's first. A clone is a checkpoint, from which parsing can go
/// on later; it shares all that is large.
#[derive(Debug, Clone, Default)]
pub struct ChainParser {
    headers: HeaderState,
    /// The saved probability contexts, as far as they were set.
    contexts: [Option<Arc<Probabilities>>; 4],
    /// Maps of the frames in the reference slots, for `show_existing_frame`.
    slots: [Option<Arc<FrameMap>>; 8],
    previous: Option<Previous>,
    /// `PrevSegmentIds`.
    segment_ids: Arc<Vec<u8>>,
}

/// The frame decoded before.
#[derive(Debug, Clone)]
struct Previous {
    size: FrameSize,
    is_key: bool,
    /// Motion that the next frame may look up: `None` after intra frames and hidden ones.
    motion: Option<Arc<Vec<Motion>>>,
}

impl ChainParser {
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses the frames of the next packet. After an error everything fails until a frame resets the decoder.
    pub fn parse(&mut self, packet: &[u8]) -> Result<Vec<Frame>> {
        self.parse_packet(packet).inspect_err(|_| *self = Self::default())
    }

    fn parse_packet(&mut self, packet: &[u8]) -> Result<Vec<Frame>> {
        let ranges = superframe::split(packet)?;
        let coded: usize = ranges.iter().map(Range::len).sum();
        let mut frames = Vec::with_capacity(ranges.len());
        for range in ranges {
            let start = range.start * 8;
            frames.push(self.frame(&packet[range]).map_err(|error| error.moved_by(start))?);
        }
        let outside = 8 * (packet.len() - coded) as u64;
        let shown = frames.iter().rposition(|frame| frame.is_shown).unwrap_or(frames.len().saturating_sub(1));
        if let (Some(frame), 1..) = (frames.get_mut(shown), outside) {
            // What a reference slot keeps has only the frame's own bytes: this one is a copy.
            add_overhead(Arc::make_mut(&mut frame.map), outside);
        }
        Ok(frames)
    }

    fn frame(&mut self, frame: &[u8]) -> Result<Frame> {
        match self.headers.parse(frame)? {
            Header::ShowExisting(slot) => {
                let Some(map) = &self.slots[slot] else {
                    return Err(Error::corrupt("a frame is to be shown that is not there", 0));
                };
                let mut map = FrameMap::clone(map);
                add_overhead(&mut map, 8 * frame.len() as u64);
                Ok(Frame { map: Arc::new(map), is_shown: true, is_existing: true })
            }
            Header::Frame(header) => {
                let map = Arc::new(self.coded_frame(frame, &header)?);
                for (i, slot) in self.slots.iter_mut().enumerate() {
                    if header.refresh_frame_flags >> i & 1 == 1 {
                        *slot = Some(Arc::clone(&map));
                    }
                }
                self.headers.refresh(&header);
                Ok(Frame { map, is_shown: header.show_frame, is_existing: false })
            }
        }
    }

    fn coded_frame(&mut self, frame: &[u8], header: &FrameHeader) -> Result<FrameMap> {
        self.reset_past(header);
        let context = if header.resets_past() { 0 } else { usize::from(header.frame_context_idx) };
        let Some(saved) = self.contexts[context].clone() else {
            return Err(Error::corrupt("a frame builds on one that is not there", 0));
        };
        let mut probs = Probabilities::clone(&saved);
        let compressed_bytes = header.uncompressed_size..header.uncompressed_size + header.compressed_size;
        let Some(bytes) = frame.get(compressed_bytes.clone()) else {
            return Err(Error::corrupt("the compressed header ends behind its frame", frame.len() * 8));
        };
        let compressed = CompressedHeader::parse(bytes, header, &mut probs)
            .map_err(|error| error.moved_by(compressed_bytes.start * 8))?;
        let previous = self.previous.take();
        let prev_motion = previous
            .as_ref()
            .filter(|previous| previous.size == header.size && !header.error_resilient_mode)
            .and_then(|previous| previous.motion.as_ref());
        let context_of_frame = FrameContext {
            header,
            compressed,
            probs: &probs,
            mi_rows: header.size.mi_rows(),
            mi_cols: header.size.mi_cols(),
            prev_motion: prev_motion.map(|motion| motion.as_slice()),
            prev_segment_ids: &self.segment_ids,
        };
        let mut state = FrameState::new(&context_of_frame);
        let mut map = new_map(header);
        map.packet_bits = 8 * frame.len() as u64;
        map.overhead_bits = 8 * compressed_bytes.end as u64;
        decode_tiles(frame, compressed_bytes.end, &context_of_frame, &mut state, &mut map)?;
        if state.covered.contains(&false) {
            return Err(Error::corrupt("a superblock is missing", frame.len() * 8));
        }
        if !map.accounts_for_every_bit() {
            return Err(Error::corrupt("not every bit of the frame is accounted for", frame.len() * 8));
        }

        if header.adapts() {
            let last_is_key = previous.is_some_and(|previous| previous.is_key);
            adapt(&mut probs, &saved, &state, header, compressed.tx_mode_select, last_is_key);
        }
        if header.refresh_frame_context {
            self.contexts[context] = Some(Arc::new(probs));
        }
        if header.segmentation.enabled {
            self.segment_ids = Arc::new(state.segment_ids);
        }
        let is_looked_up = header.show_frame && !header.frame_is_intra();
        self.previous = Some(Previous {
            size: header.size,
            is_key: header.is_key,
            motion: is_looked_up.then(|| Arc::new(state.motion)),
        });
        Ok(map)
    }

    /// `setup_past_independence` and `reset_frame_context` (7.2), and the segment map of a picture of another size.
    fn reset_past(&mut self, header: &FrameHeader) {
        let is_resized = self.previous.as_ref().is_none_or(|previous| previous.size != header.size);
        if header.resets_past() || is_resized {
            self.segment_ids = Arc::new(vec![0; header.size.mi_rows() * header.size.mi_cols()]);
        }
        if header.resets_all_contexts() {
            let default = Arc::new(Probabilities::default());
            self.contexts = std::array::from_fn(|_| Some(Arc::clone(&default)));
        } else if header.intra_only && header.reset_frame_context == 2 {
            self.contexts[usize::from(header.frame_context_idx)] = Some(Arc::default());
        }
    }
}

fn add_overhead(map: &mut FrameMap, bits: u64) {
    map.overhead_bits += bits;
    map.packet_bits += bits;
}

/// The picture as coded is in whole units of 8 samples; what is displayed is its upper left part.
fn new_map(header: &FrameHeader) -> FrameMap {
    let FrameSize { width, height } = header.size;
    let crop = Crop { left: 0, top: 0, width, height };
    let mut map = FrameMap::new(64, width.next_multiple_of(8), height.next_multiple_of(8), crop);
    map.picture_type = if header.frame_is_intra() { PictureType::I } else { PictureType::P };
    map
}

/// `decode_tiles` (6.4.1) of the tiles that begin at byte `start`.
fn decode_tiles(
    frame: &[u8],
    mut start: usize,
    context: &FrameContext,
    state: &mut FrameState,
    map: &mut FrameMap,
) -> Result<()> {
    let header = context.header;
    let (tile_rows, tile_cols) = (1 << header.tile_rows_log2, 1 << header.tile_cols_log2);
    for tile_row in 0..tile_rows {
        for tile_col in 0..tile_cols {
            let is_last = tile_row + 1 == tile_rows && tile_col + 1 == tile_cols;
            let bytes = tile_bytes(frame, &mut start, is_last, map)?;
            let area = TileArea {
                row_start: tile_offset(tile_row, context.mi_rows, header.tile_rows_log2),
                row_end: tile_offset(tile_row + 1, context.mi_rows, header.tile_rows_log2),
                col_start: tile_offset(tile_col, context.mi_cols, header.tile_cols_log2),
                col_end: tile_offset(tile_col + 1, context.mi_cols, header.tile_cols_log2),
            };
            let parsed = if header.adapts() {
                Tile::<true>::parse(bytes, context, state, map, area)
            } else {
                Tile::<false>::parse(bytes, context, state, map, area)
            };
            parsed.map_err(|error| error.moved_by(start * 8))?;
            start += bytes.len();
        }
    }
    Ok(())
}

/// The next tile's bytes, behind its size; `start` moves to their beginning.
fn tile_bytes<'a>(frame: &'a [u8], start: &mut usize, is_last: bool, map: &mut FrameMap) -> Result<&'a [u8]> {
    let rest = &frame[*start..];
    if is_last {
        return Ok(rest);
    }
    let Some((size, rest)) = rest.split_first_chunk::<TILE_SIZE_BYTES>() else {
        return Err(Error::corrupt("a tile's size is missing", frame.len() * 8));
    };
    map.overhead_bits += 8 * TILE_SIZE_BYTES as u64;
    let Some(bytes) = rest.get(..u32::from_be_bytes(*size) as usize) else {
        return Err(Error::corrupt("a tile ends behind its frame", *start * 8));
    };
    *start += TILE_SIZE_BYTES;
    Ok(bytes)
}

/// `get_tile_offset` (6.4.2), in units of 8 samples.
fn tile_offset(tile: usize, mi_size: usize, tile_size_log2: u8) -> usize {
    let superblocks = mi_size.div_ceil(SUPERBLOCK);
    (((tile * superblocks) >> tile_size_log2) * SUPERBLOCK).min(mi_size)
}

/// `refresh_probs` (6.1.2), the adaptation in it.
fn adapt(
    probs: &mut Probabilities,
    saved: &Probabilities,
    state: &FrameState,
    header: &FrameHeader,
    tx_mode_select: bool,
    last_frame_is_key: bool,
) {
    let rate = Rate::of_coefficients(header.frame_is_intra(), last_frame_is_key);
    adapt_coef_probs(probs, saved, &state.counts, rate);
    if !header.frame_is_intra() {
        let adapted = Adapted {
            interp_filter: header.interpolation_filter == InterpolationFilter::Switchable,
            tx: tx_mode_select,
            high_precision_mv: header.allow_high_precision_mv,
        };
        adapt_noncoef_probs(probs, saved, &state.counts, adapted);
    }
}
