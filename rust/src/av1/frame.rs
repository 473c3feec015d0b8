//! One frame's decoding as far as its bits go.

use std::sync::Arc;

use super::cdfs::Cdfs;
use super::frame_header::{FrameHeader, FrameSize};
use super::mode_grid::ref_frame;
use super::motion_field::{Estimation, MotionField, SavedMotion};
use super::reference_state::{Reference, ReferenceState, SavedBlocks};
use super::temporal_unit::CodedFrame;
use super::tile::{FrameContext, FrameState, Tile};
use super::tile_area::TileArea;
use crate::error::{Error, Result};
use crate::map::{Crop, FrameMap, PictureType};

/// References whose motion is projected into a frame's motion field (7.9.1).
pub const PROJECTED: [i8; 5] = [
    ref_frame::LAST_FRAME,
    ref_frame::LAST2_FRAME,
    ref_frame::BWDREF_FRAME,
    ref_frame::ALTREF2_FRAME,
    ref_frame::ALTREF_FRAME,
];

impl ReferenceState {
    /// Parses a frame; gives its map.
    pub fn decode(&mut self, packet: &[u8], frame: &CodedFrame) -> Result<Arc<FrameMap>> {
        let header = &*frame.header;
        let cdfs = self.first_cdfs(header).ok_or(Error::corrupt("a frame builds on one that is not there", 0))?;
        let motion_field = self.motion_field(header)?;
        let prev_segment_ids = self.prev_segment_ids(header)?;
        let context = FrameContext {
            sequence: &header.sequence,
            header,
            cdfs: &cdfs,
            mi_rows: header.size.mi_rows(),
            mi_cols: header.size.mi_cols(),
            prev_segment_ids: &prev_segment_ids,
            is_scaled: self.is_scaled(header)?,
            motion_field: motion_field.as_ref(),
        };
        let mut state = FrameState::new(&context);
        let mut map = empty_map(frame);
        let last_cdfs = decode_tiles(packet, frame, &context, &mut state, &mut map)?;
        if !map.add_up() {
            return Err(Error::corrupt("not every bit of the frame is accounted for", packet.len() * 8));
        }
        let keeps_segments = header.segmentation.enabled && !header.segmentation.update_map;
        let segment_ids = if keeps_segments { prev_segment_ids } else { Arc::new(state.segment_ids) };
        let motion = (!header.frame_is_intra()).then(|| {
            let (sequence, order_hint) = (&header.sequence, header.start.order_hint);
            SavedMotion::store(&state.modes, sequence, order_hint, &header.order_hints)
        });
        let map = Arc::new(map);
        self.update(Reference {
            header: Arc::clone(&frame.header),
            cdfs: Some(last_cdfs.map_or(cdfs, Arc::new)),
            blocks: Some(SavedBlocks { motion, segment_ids }),
            map: Some(Arc::clone(&map)),
        });
        Ok(map)
    }

    /// Passes over a frame whose blocks nobody asks for. What only these could tell is then missing.
    pub fn pass_over(&mut self, header: &Arc<FrameHeader>) {
        let cdfs = if header.adapts() { None } else { self.first_cdfs(header) };
        self.update(Reference { header: Arc::clone(header), cdfs, blocks: None, map: None });
    }

    fn motion_field(&self, header: &FrameHeader) -> Result<Option<MotionField>> {
        if !header.use_ref_frame_mvs {
            return Ok(None);
        }
        let mut references = [None; 8];
        for reference in PROJECTED.map(|frame| frame as usize) {
            let slot = header.ref_frame_idx[reference - 1];
            references[reference] = self.blocks(slot)?.motion.as_ref();
        }
        let estimation = Estimation {
            sequence: &header.sequence,
            mi_rows: header.size.mi_rows(),
            mi_cols: header.size.mi_cols(),
            order_hint: header.start.order_hint,
            order_hints: &header.order_hints,
            references,
        };
        Ok(Some(estimation.run()))
    }

    /// `is_scaled` (5.11.27), by reference frame.
    fn is_scaled(&self, header: &FrameHeader) -> Result<[bool; 8]> {
        let mut is_scaled = [false; 8];
        if header.frame_is_intra() {
            return Ok(is_scaled);
        }
        for (is_scaled, &slot) in is_scaled[1..].iter_mut().zip(&header.ref_frame_idx) {
            let FrameSize { upscaled_width, height, .. } = self.slot(slot)?.header.size;
            *is_scaled = scale(upscaled_width, header.size.width) != 1 << REF_SCALE_SHIFT
                || scale(height, header.size.height) != 1 << REF_SCALE_SHIFT;
        }
        Ok(is_scaled)
    }
}

const REF_SCALE_SHIFT: u32 = 14;

/// `xScale` and `yScale` (7.11.3.3).
fn scale(reference: u32, own: u32) -> u64 {
    ((u64::from(reference) << REF_SCALE_SHIFT) + u64::from(own / 2)) / u64::from(own)
}

/// The frame's map, with the bits of headers and tile sizes.
fn empty_map(frame: &CodedFrame) -> FrameMap {
    let header = &*frame.header;
    let FrameSize { width, height, .. } = header.size;
    let crop = Crop { left: 0, top: 0, width, height };
    let unit = if header.sequence.use_128x128_superblock { 128 } else { 64 };
    // The picture as coded is in whole units of 8 samples; what is displayed is its upper left part.
    let mut map = FrameMap::new(unit, width.next_multiple_of(8), height.next_multiple_of(8), crop);
    map.picture_type = if header.frame_is_intra() { PictureType::I } else { PictureType::P };
    let in_tiles: usize = frame.tiles.iter().map(|tile| tile.len()).sum();
    map.packet_bits = 8 * frame.bytes as u64;
    map.overhead_bits = 8 * (frame.bytes - in_tiles) as u64;
    map
}

/// Parses all tiles; gives the probabilities that the frame leaves, if they are not those it began with.
fn decode_tiles(
    packet: &[u8],
    frame: &CodedFrame,
    context: &FrameContext,
    state: &mut FrameState,
    map: &mut FrameMap,
) -> Result<Option<Cdfs>> {
    let info = &context.header.tile_info;
    let mut last_cdfs = None;
    for (tile_num, bytes) in frame.tiles.iter().enumerate() {
        let (row, col) = (tile_num / info.tile_cols(), tile_num % info.tile_cols());
        let area = TileArea {
            mi_row_start: info.mi_row_starts[row],
            mi_row_end: info.mi_row_starts[row + 1],
            mi_col_start: info.mi_col_starts[col],
            mi_col_end: info.mi_col_starts[col + 1],
        };
        let cdfs = Tile::parse(&packet[bytes.clone()], context, state, map, area)
            .map_err(|error| error.moved_by(bytes.start * 8))?;
        if tile_num == info.context_update_tile_id && context.header.adapts() {
            last_cdfs = Some(cdfs.without_counts());
        }
    }
    Ok(last_cdfs)
}
