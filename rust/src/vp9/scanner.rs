//! Headers of a stream's packets in decoding order.

use super::frame_header::{FrameHeader, Header, HeaderState};
use super::references::References;
use super::superframe;
use crate::map::PictureType;
use crate::packet::{Dependencies, PacketHeader};
use crate::picture_format::PictureFormat;

/// Reads headers only. VP9 has no parameter sets: what a header takes over is in the headers before it.
#[derive(Debug, Default)]
pub struct Scanner {
    headers: HeaderState,
    /// Types of the frames in the reference slots.
    slots: [Option<PictureType>; 8],
    references: References,
    /// Frames shown so far: VP9 shows frames in the order of its packets.
    shown: i32,
}

impl Scanner {
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next packet's headers. Its row tells of the frame that it shows, or else of its last one; what is
    /// damaged counts as absent.
    pub fn scan(&mut self, packet: &[u8]) -> PacketHeader {
        let mut row = PacketHeader::default();
        self.references.next_packet();
        for (i, range) in superframe::split(packet).unwrap_or_default().into_iter().enumerate() {
            let Ok(header) = self.headers.parse(&packet[range]) else {
                self.references.lose_track();
                row.depends_on = Dependencies::ALL;
                continue;
            };
            match header {
                Header::ShowExisting(slot) => self.show_existing(slot, &mut row),
                Header::Frame(header) => {
                    row.is_idr |= i == 0 && header.is_key;
                    row.is_recovery_point |= i == 0 && resets_decoder(&header);
                    self.coded_frame(&header, &mut row);
                }
            }
        }
        row
    }

    fn show_existing(&mut self, slot: usize, row: &mut PacketHeader) {
        if let Some(picture_type) = self.slots[slot] {
            row.depends_on |= self.references.of_slot(slot);
            self.fill(row, picture_type, None, true);
        }
    }

    fn coded_frame(&mut self, header: &FrameHeader, row: &mut PacketHeader) {
        let picture_type = if header.frame_is_intra() { PictureType::I } else { PictureType::P };
        for (i, slot) in self.slots.iter_mut().enumerate() {
            if header.refresh_frame_flags >> i & 1 == 1 {
                *slot = Some(picture_type);
            }
        }
        self.headers.refresh(header);
        row.depends_on |= self.references.of_frame(header);
        // Even where it refreshes no slot, the next frame may take over its motion vectors and probabilities.
        row.is_referenced = true;
        self.fill(row, picture_type, Some(header.picture_format()), header.show_frame);
    }

    fn fill(
        &mut self,
        row: &mut PacketHeader,
        picture_type: PictureType,
        format: Option<PictureFormat>,
        is_shown: bool,
    ) {
        if is_shown {
            self.shown = self.shown.saturating_add(1);
        } else if row.picture_type.is_some() && !row.is_hidden {
            return;
        }
        row.picture_type = Some(picture_type);
        row.is_hidden = !is_shown;
        row.poc = self.shown;
        row.format = format;
    }
}

/// Whether nothing from before the frame has any influence on it or later ones.
fn resets_decoder(header: &FrameHeader) -> bool {
    header.is_key || (header.resets_all_contexts() && header.intra_only && header.refresh_frame_flags == 0xff)
}
