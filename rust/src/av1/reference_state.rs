//! What frames leave in the slots for later ones (7.20), beside their headers' own contents.

use std::sync::Arc;

use super::cdfs::Cdfs;
use super::frame_header::FrameHeader;
use super::frame_start::{FrameType, NUM_REF_FRAMES};
use super::motion_field::SavedMotion;
use crate::error::{Error, Result};
use crate::map::FrameMap;

const NOT_THERE: Error = Error::corrupt("a frame builds on one that is not there", 0);

/// A frame in a slot. What was passed over is `None`.
#[derive(Debug)]
pub struct Reference {
    pub header: Arc<FrameHeader>,
    /// As a frame begins with them: their counters are 0.
    pub cdfs: Option<Arc<Cdfs>>,
    pub blocks: Option<SavedBlocks>,
    /// The frame's map, for `show_existing_frame`.
    pub map: Option<Arc<FrameMap>>,
}

/// What a frame's blocks leave.
#[derive(Debug)]
pub struct SavedBlocks {
    /// `None` for intra frames.
    pub motion: Option<SavedMotion>,
    /// `SavedSegmentIds`, by units of 4x4 samples; empty if they are all 0.
    pub segment_ids: Arc<Vec<u8>>,
}

#[derive(Debug, Clone, Default)]
pub struct ReferenceState {
    slots: [Option<Arc<Reference>>; NUM_REF_FRAMES],
}

impl ReferenceState {
    /// The frame in a slot.
    pub fn slot(&self, slot: usize) -> Result<&Reference> {
        self.slots[slot].as_deref().ok_or(NOT_THERE)
    }

    /// What the frame in a slot left, if it was not passed over.
    pub fn blocks(&self, slot: usize) -> Result<&SavedBlocks> {
        self.slot(slot)?.blocks.as_ref().ok_or(NOT_THERE)
    }

    /// `init_non_coeff_cdfs` and `init_coeff_cdfs`, or `load_cdfs` (7.20); `None` if they were passed over.
    pub fn first_cdfs(&self, header: &FrameHeader) -> Option<Arc<Cdfs>> {
        match header.primary_slot() {
            None => Some(Arc::new(Cdfs::init(header.quantization.base_q_idx))),
            Some(slot) => self.slots[slot].as_ref()?.cdfs.clone(),
        }
    }

    /// `load_previous_segment_ids` (7.20): empty if they are all 0.
    pub fn prev_segment_ids(&self, header: &FrameHeader) -> Result<Arc<Vec<u8>>> {
        match header.primary_slot() {
            Some(slot) if header.segmentation.takes_map() => {
                let size = |header: &FrameHeader| (header.size.mi_rows(), header.size.mi_cols());
                let is_same_size = size(&self.slot(slot)?.header) == size(header);
                Ok(if is_same_size { Arc::clone(&self.blocks(slot)?.segment_ids) } else { Arc::default() })
            }
            _ => Ok(Arc::default()),
        }
    }

    /// The reference frame update process (7.20).
    pub fn update(&mut self, reference: Reference) {
        let refresh_frame_flags = reference.header.start.refresh_frame_flags;
        let reference = Arc::new(reference);
        for (i, slot) in self.slots.iter_mut().enumerate() {
            if refresh_frame_flags >> i & 1 == 1 {
                *slot = Some(Arc::clone(&reference));
            }
        }
    }

    /// `show_existing_frame`: a key frame takes all slots (the reference frame loading process, 7.21).
    pub fn show_existing(&mut self, slot: usize) {
        if let Some(reference) = self.slots[slot].clone() {
            if reference.header.start.frame_type == FrameType::Key {
                self.slots = std::array::from_fn(|_| Some(Arc::clone(&reference)));
            }
        }
    }
}
