//! Which earlier packets a decoder must have been fed to decode a frame.

use super::frame_header::FrameHeader;
use crate::packet::Dependencies;

/// Beside the frames that it refers to, a frame takes over probabilities, motion vectors, segments and loop filter
/// deltas: it depends on every packet since all of these were reset, unless it resets them itself.
#[derive(Debug, Default)]
pub struct References {
    /// Number of the current packet, from 1.
    packet: usize,
    /// Packets whose frames are in the slots.
    slots: [usize; 8],
    /// Packet of the last frame that reset everything but the slots; `None` where that is not known.
    reset: Option<usize>,
    /// Decoders keep a segment map over resets in their own ways: where there is one, only a key frame counts.
    has_segments: bool,
}

impl References {
    pub fn next_packet(&mut self) {
        self.packet += 1;
    }

    /// A frame could not be read: from here on everything depends on everything, up to the next key frame.
    pub fn lose_track(&mut self) {
        self.reset = None;
    }

    /// What showing the frame in a slot depends on.
    pub fn of_slot(&self, slot: usize) -> Dependencies {
        if self.reset.is_none() { Dependencies::ALL } else { Dependencies::at(self.packet - self.slots[slot]) }
    }

    /// What the next coded frame depends on.
    pub fn of_frame(&mut self, header: &FrameHeader) -> Dependencies {
        if header.is_key {
            self.has_segments = false;
        }
        self.has_segments |= header.segmentation.enabled;
        let depends_on = self.dependencies(header);
        let is_tracked = self.reset.is_some() && !self.has_segments;
        if header.is_key || (header.resets_all_contexts() && is_tracked) {
            self.reset = Some(self.packet);
        }
        for (i, slot) in self.slots.iter_mut().enumerate() {
            if header.refresh_frame_flags >> i & 1 == 1 {
                *slot = self.packet;
            }
        }
        depends_on
    }

    fn dependencies(&self, header: &FrameHeader) -> Dependencies {
        if header.is_key {
            return Dependencies::NONE;
        }
        let Some(reset) = self.reset else { return Dependencies::ALL };
        let mut depends_on = Dependencies::NONE;
        if !header.resets_all_contexts() || self.has_segments {
            depends_on |= Dependencies::latest(self.packet - reset);
        }
        if !header.intra_only {
            for slot in header.ref_frame_idx {
                depends_on |= self.of_slot(slot);
            }
        }
        depends_on
    }
}
