//! What of each frame must be parsed for the maps of some of them.
//!
//! A frame's blocks are needed for its map, and for what a needed frame takes over from them: the segment map and, if
//! they were adapted, the probabilities of the frame that `primary_ref_frame` names; the motion vectors of those whose
//! motion is projected. All other frames can be passed over.

use super::frame::PROJECTED;
use super::frame_header::FrameHeader;
use super::frame_start::FrameType;
use super::temporal_unit::Unit;
use crate::chain::{Work, work_backwards};
use crate::error::Result;

/// The work on each frame of each packet. Frames of damaged packets have none.
pub fn plan(packets: &[Result<Vec<Unit>>], wanted: &[bool]) -> Vec<Vec<Work>> {
    work_backwards(packets, wanted, Needs::before)
}

/// What the frames behind a point in the stream need of the frames in the slots: bit i for slot i.
#[derive(Debug, Default)]
struct Needs {
    cdfs: u8,
    /// Motion vectors or segments.
    blocks: u8,
    map: u8,
}

impl Needs {
    /// Tells the work on a frame, and moves the point before it.
    fn before(&mut self, unit: &Unit, is_wanted: bool) -> Work {
        match unit {
            Unit::ShowExisting { slot, frame_type, .. } => self.before_existing(*slot, *frame_type, is_wanted),
            Unit::Frame(frame) => self.before_coded_frame(&frame.header, is_wanted),
        }
    }

    fn before_existing(&mut self, slot: usize, frame_type: FrameType, is_wanted: bool) -> Work {
        let bit = 1 << slot;
        if frame_type == FrameType::Key {
            // It takes all slots: whatever is needed of any is needed of it.
            for needs in [&mut self.cdfs, &mut self.blocks, &mut self.map] {
                *needs = if *needs != 0 { bit } else { 0 };
            }
        }
        if is_wanted {
            self.map |= bit;
            return Work::Map;
        }
        Work::Nothing
    }

    fn before_coded_frame(&mut self, header: &FrameHeader, is_wanted: bool) -> Work {
        let refreshed = header.start.refresh_frame_flags;
        let is_map_needed = is_wanted || self.map & refreshed != 0;
        let are_cdfs_needed = self.cdfs & refreshed != 0;
        let are_blocks_needed = self.blocks & refreshed != 0 || (are_cdfs_needed && header.adapts());
        for needs in [&mut self.cdfs, &mut self.blocks, &mut self.map] {
            *needs &= !refreshed;
        }
        let work = match (is_map_needed, are_blocks_needed) {
            (true, _) => Work::Map,
            (false, true) => Work::Blocks,
            (false, false) => Work::Nothing,
        };
        let primary = header.primary_slot().map_or(0, |slot| 1 << slot);
        if work != Work::Nothing || are_cdfs_needed {
            self.cdfs |= primary;
        }
        if work != Work::Nothing {
            self.blocks |= blocks_taken(header, primary);
        }
        work
    }
}

/// The slots whose frames' blocks a frame takes something from.
fn blocks_taken(header: &FrameHeader, primary: u8) -> u8 {
    let mut slots = if header.segmentation.takes_map() { primary } else { 0 };
    if header.use_ref_frame_mvs {
        slots |= PROJECTED.iter().fold(0, |slots, &frame| slots | 1 << header.ref_frame_idx[frame as usize - 1]);
    }
    slots
}
