//! What of each frame must be parsed for the maps of some of them.
//!
//! A frame's blocks are needed for its map; for the motion vectors, the segment map and, if they are adapted, the
//! probabilities that a needed frame takes over; and for a map that is shown again. Streams made for parallel decoding
//! adapt nothing, and no frame looks up vectors of a hidden one, so that most of their frames can be passed over.

use super::frame_header::{FrameHeader, Header, Unit};
use crate::chain::{Work, work_backwards};
use crate::error::Result;

/// The work on each frame of each packet. Frames of damaged packets have none.
pub fn plan(packets: &[Result<Vec<Unit>>], wanted: &[bool]) -> Vec<Vec<Work>> {
    work_backwards(packets, wanted, |needs: &mut Needs, (_, header), is_wanted| needs.before(header, is_wanted))
}

/// What the frames behind a point in the stream need of those before it.
#[derive(Debug, Default)]
struct Needs<'a> {
    contexts: [bool; 4],
    /// The segment map.
    segment_ids: bool,
    /// Maps of the frames in these slots.
    slots: u8,
    /// Header of the next frame, if its blocks are needed.
    next: Option<&'a FrameHeader>,
}

impl<'a> Needs<'a> {
    /// Tells the work on a frame, and moves the point before it.
    fn before(&mut self, header: &'a Header, is_wanted: bool) -> Work {
        match header {
            Header::ShowExisting(slot) if is_wanted => {
                self.slots |= 1 << slot;
                Work::Map
            }
            Header::ShowExisting(_) => Work::Nothing,
            Header::Frame(header) => self.before_coded_frame(header, is_wanted),
        }
    }

    fn before_coded_frame(&mut self, header: &'a FrameHeader, is_wanted: bool) -> Work {
        let is_map_needed = is_wanted || self.slots & header.refresh_frame_flags != 0;
        self.slots &= !header.refresh_frame_flags;
        let context = header.context();
        let is_context_needed = header.refresh_frame_context && self.contexts[context];
        let is_motion_needed = self.next.is_some_and(|next| next.takes_motion_from(header));
        // A map of another size starts anew; where nothing is known of the next frame, nothing is needed, either.
        let is_segment_map_needed = self.segment_ids && header.segmentation.enabled;
        let work = if is_map_needed {
            Work::Map
        } else if is_motion_needed || is_segment_map_needed || (is_context_needed && header.adapts()) {
            Work::Blocks
        } else if is_context_needed {
            Work::Probabilities
        } else {
            Work::Nothing
        };
        let parses_blocks = matches!(work, Work::Blocks | Work::Map);
        if header.refresh_frame_context {
            self.contexts[context] = false;
        }
        if work != Work::Nothing {
            self.contexts[context] = true;
        }
        if header.resets_all_contexts() {
            self.contexts = [false; 4];
        } else if header.resets_one_context() {
            self.contexts[usize::from(header.frame_context_idx)] = false;
        }
        if parses_blocks && header.segmentation.enabled {
            self.segment_ids = header.segmentation.takes_map();
        }
        if header.resets_past() {
            self.segment_ids = false;
        }
        self.next = parses_blocks.then_some(header);
        work
    }
}
