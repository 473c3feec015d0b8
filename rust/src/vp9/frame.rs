//! One frame's decoding as far as its bits go, and the state that it leaves for the next.

use std::sync::Arc;

use super::adaptation::{Adapted, Rate, adapt_coef_probs, adapt_noncoef_probs};
use super::block_map::BlockMap;
use super::compressed_header::CompressedHeader;
use super::frame_header::{FrameHeader, FrameSize, InterpolationFilter};
use super::place::SUPERBLOCK;
use super::probabilities::Probabilities;
use super::tile::{FrameContext, FrameState, Tile, TileArea};
use crate::error::{Error, Result};
use crate::map::{Crop, FrameMap, PictureType};

/// `tile_size` before every tile but the last.
const TILE_SIZE_BYTES: usize = 4;

const NOT_THERE: Error = Error::corrupt("a frame builds on one that is not there", 0);

/// What frames take over from the ones before them, beside what their headers do.
#[derive(Debug, Clone, Default)]
pub struct DecoderState {
    /// The saved probability contexts, as far as they were set.
    contexts: [Option<Arc<Probabilities>>; 4],
    /// Maps of the frames in the reference slots, for `show_existing_frame`.
    slots: [Option<Arc<FrameMap>>; 8],
    previous: Option<Previous>,
    /// `PrevSegmentIds`; `None` behind a frame that was passed over and had its own.
    segment_ids: Option<Arc<Vec<u8>>>,
}

/// The frame decoded before.
#[derive(Debug, Clone)]
struct Previous {
    header: Arc<FrameHeader>,
    /// Those with `PrevMvs` and `PrevRefFrames`; `None` if the frame was passed over.
    blocks: Option<Arc<BlockMap>>,
}

impl DecoderState {
    /// The map of the frame in a slot.
    pub fn shown_again(&self, slot: usize) -> Result<Arc<FrameMap>> {
        self.slots[slot].clone().ok_or(Error::corrupt("a frame is to be shown that is not there", 0))
    }

    /// Parses a frame; gives its map if it is wanted.
    pub fn decode(
        &mut self,
        frame: &[u8],
        header: &Arc<FrameHeader>,
        is_map_wanted: bool,
    ) -> Result<Option<Arc<FrameMap>>> {
        self.reset_past(header);
        let (saved, mut probs, compressed) = self.probabilities(frame, header)?;
        let previous = self.previous.take();
        let prev_blocks = match &previous {
            Some(previous) if header.takes_motion_from(&previous.header) => {
                Some(previous.blocks.as_deref().ok_or(NOT_THERE)?)
            }
            _ => None,
        };
        let no_segment_ids = vec![];
        let prev_segment_ids = match &self.segment_ids {
            Some(ids) => ids,
            None if header.segmentation.takes_map() => return Err(NOT_THERE),
            None => &no_segment_ids,
        };
        let context = FrameContext {
            header,
            compressed,
            probs: &probs,
            mi_rows: header.size.mi_rows(),
            mi_cols: header.size.mi_cols(),
            prev_blocks,
            prev_segment_ids,
        };
        let mut state = FrameState::new(&context);
        let map = if is_map_wanted {
            Some(Arc::new(parse_map(frame, &context, &mut state)?))
        } else {
            let mut no_map = FrameMap::new(64, 0, 0, Crop::default());
            decode_tiles::<false>(frame, &context, &mut state, &mut no_map)?;
            None
        };
        if header.adapts() {
            let last_is_key = previous.is_some_and(|previous| previous.header.is_key);
            adapt(&mut probs, &saved, &state, header, compressed.tx_mode_select, last_is_key);
        }
        self.save_probabilities(header, probs);
        if header.segmentation.enabled {
            self.segment_ids = Some(Arc::new(state.segment_ids));
        }
        self.previous = Some(Previous { header: Arc::clone(header), blocks: Some(Arc::new(state.blocks)) });
        self.refresh_slots(header, map.as_ref());
        Ok(map)
    }

    /// Passes over a frame whose blocks nobody asks for; with `keep_probabilities`, its headers' changes to the
    /// probabilities are kept. What only its blocks could tell is then missing.
    pub fn pass_over(&mut self, frame: &[u8], header: &Arc<FrameHeader>, keep_probabilities: bool) -> Result<()> {
        self.reset_past(header);
        if keep_probabilities {
            let (_, probs, _) = self.probabilities(frame, header)?;
            self.save_probabilities(header, probs);
        } else if header.refresh_frame_context {
            self.contexts[header.context()] = None;
        }
        if header.segmentation.enabled {
            self.segment_ids = None;
        }
        self.previous = Some(Previous { header: Arc::clone(header), blocks: None });
        self.refresh_slots(header, None);
        Ok(())
    }

    /// The context that the frame builds on, the probabilities that its headers make of it, and what else they say.
    fn probabilities(
        &self,
        frame: &[u8],
        header: &FrameHeader,
    ) -> Result<(Arc<Probabilities>, Probabilities, CompressedHeader)> {
        let Some(saved) = self.contexts[header.context()].clone() else {
            return Err(NOT_THERE);
        };
        let mut probs = Probabilities::clone(&saved);
        let start = header.uncompressed_size;
        let Some(bytes) = frame.get(start..start + header.compressed_size) else {
            return Err(Error::corrupt("the compressed header ends behind its frame", frame.len() * 8));
        };
        let compressed =
            CompressedHeader::parse(bytes, header, &mut probs).map_err(|error| error.moved_by(start * 8))?;
        Ok((saved, probs, compressed))
    }

    /// `refresh_frame_context` (7.2).
    fn save_probabilities(&mut self, header: &FrameHeader, probs: Probabilities) {
        if header.refresh_frame_context {
            self.contexts[header.context()] = Some(Arc::new(probs));
        }
    }

    /// The reference frame update process (8.10), as far as maps go.
    fn refresh_slots(&mut self, header: &FrameHeader, map: Option<&Arc<FrameMap>>) {
        for (i, slot) in self.slots.iter_mut().enumerate() {
            if header.refresh_frame_flags >> i & 1 == 1 {
                *slot = map.cloned();
            }
        }
    }

    /// `setup_past_independence` and `reset_frame_context` (7.2), and the segment map of a picture of another size.
    fn reset_past(&mut self, header: &FrameHeader) {
        let is_resized = self.previous.as_ref().is_none_or(|previous| previous.header.size != header.size);
        if header.resets_past() || is_resized {
            self.segment_ids = Some(Arc::new(vec![0; header.size.mi_rows() * header.size.mi_cols()]));
        }
        if header.resets_all_contexts() {
            let default = Arc::new(Probabilities::default());
            self.contexts = std::array::from_fn(|_| Some(Arc::clone(&default)));
        } else if header.resets_one_context() {
            self.contexts[usize::from(header.frame_context_idx)] = Some(Arc::default());
        }
    }
}

/// Parses all tiles, and accounts for every bit of the frame.
fn parse_map(frame: &[u8], context: &FrameContext, state: &mut FrameState) -> Result<FrameMap> {
    let header = context.header;
    let FrameSize { width, height } = header.size;
    let crop = Crop { left: 0, top: 0, width, height };
    // The picture as coded is in whole units of 8 samples; what is displayed is its upper left part.
    let mut map = FrameMap::new(64, width.next_multiple_of(8), height.next_multiple_of(8), crop);
    map.picture_type = if header.frame_is_intra() { PictureType::I } else { PictureType::P };
    map.packet_bits = 8 * frame.len() as u64;
    map.overhead_bits = 8 * (header.uncompressed_size + header.compressed_size) as u64;
    decode_tiles::<true>(frame, context, state, &mut map)?;
    if !map.add_up() {
        return Err(Error::corrupt("not every bit of the frame is accounted for", frame.len() * 8));
    }
    Ok(map)
}

/// `decode_tiles` (6.4). Without `COSTS`, `map` is left as it is.
fn decode_tiles<const COSTS: bool>(
    frame: &[u8],
    context: &FrameContext,
    state: &mut FrameState,
    map: &mut FrameMap,
) -> Result<()> {
    let header = context.header;
    let mut start = header.uncompressed_size + header.compressed_size;
    let (tile_rows, tile_cols) = (1 << header.tile_rows_log2, 1 << header.tile_cols_log2);
    for tile_row in 0..tile_rows {
        for tile_col in 0..tile_cols {
            let is_last = tile_row + 1 == tile_rows && tile_col + 1 == tile_cols;
            let bytes = tile_bytes(frame, &mut start, is_last)?;
            let area = TileArea {
                row_start: tile_offset(tile_row, context.mi_rows, header.tile_rows_log2),
                row_end: tile_offset(tile_row + 1, context.mi_rows, header.tile_rows_log2),
                col_start: tile_offset(tile_col, context.mi_cols, header.tile_cols_log2),
                col_end: tile_offset(tile_col + 1, context.mi_cols, header.tile_cols_log2),
            };
            Tile::<COSTS>::parse(bytes, context, state, map, area).map_err(|error| error.moved_by(start * 8))?;
            start += bytes.len();
        }
    }
    if COSTS {
        map.overhead_bits += 8 * (TILE_SIZE_BYTES * (tile_rows * tile_cols - 1)) as u64;
    }
    if state.covered.contains(&false) {
        return Err(Error::corrupt("a superblock is missing", frame.len() * 8));
    }
    Ok(())
}

/// The next tile's bytes, behind its size; `start` moves to their beginning.
fn tile_bytes<'a>(frame: &'a [u8], start: &mut usize, is_last: bool) -> Result<&'a [u8]> {
    let rest = &frame[*start..];
    if is_last {
        return Ok(rest);
    }
    let Some((size, rest)) = rest.split_first_chunk::<TILE_SIZE_BYTES>() else {
        return Err(Error::corrupt("a tile's size is missing", frame.len() * 8));
    };
    let Some(bytes) = rest.get(..u32::from_be_bytes(*size) as usize) else {
        return Err(Error::corrupt("a tile ends behind its frame", *start * 8));
    };
    *start += TILE_SIZE_BYTES;
    Ok(bytes)
}

/// `get_tile_offset` (6.4.1), in units of 8 samples.
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
