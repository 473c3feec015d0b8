//! Headers of a stream's packets (temporal units) in decoding order, and which earlier ones each depends on.

use std::sync::Arc;

use super::frame_header::HeaderState;
use super::frame_start::{FrameStart, FrameType, HeaderStart, NUM_REF_FRAMES};
use super::obu::{Obu, obu_type};
use super::sequence_header::SequenceHeader;
use crate::bits::BitReader;
use crate::error::Result;
use crate::map::PictureType;
use crate::packet::{Dependencies, PacketHeader};
use crate::picture_format::PictureFormat;

/// Length of the `AV1CodecConfigurationRecord` before its units, in bytes.
const CONFIGURATION_BYTES: usize = 4;

/// What a decoder keeps of a frame lies in the slots that the frame refreshes (7.20): samples, probabilities, motion
/// vectors, segments, loop filter deltas, film grain. All that a frame takes over it takes from the slots that its
/// `ref_frame_idx` names, `primary_ref_frame` being an index into these. The motion vectors that a slot keeps tell
/// what they point to by order hints, kept beside them (7.9). So a frame depends on the frames in these slots alone,
/// and on what they depend on.
#[derive(Debug, Default)]
pub struct Scanner {
    /// The container's sequence header.
    first: Option<Arc<SequenceHeader>>,
    sequence: Option<Arc<SequenceHeader>>,
    /// Number of the current packet, from 1.
    packet: usize,
    slots: [Slot; NUM_REF_FRAMES],
    /// All that happened since the last key frame could be read.
    is_tracked: bool,
    /// Frames shown so far: AV1 shows frames in the order of its packets.
    shown: i32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    packet: usize,
    frame_type: Option<FrameType>,
}

impl Scanner {
    pub fn new(extradata: &[u8]) -> Self {
        let mut scanner = Self::default();
        scanner.set_extradata(extradata);
        scanner
    }

    /// Sequence header from the container.
    pub fn set_extradata(&mut self, extradata: &[u8]) {
        // Marker and version of the record; units alone begin with the type of a sequence header.
        let start = if extradata.first() == Some(&0x81) { CONFIGURATION_BYTES } else { 0 };
        let mut rest = extradata.get(start..).unwrap_or_default();
        while let Ok(obu) = Obu::take(&mut rest) {
            if obu.obu_type == obu_type::SEQUENCE_HEADER {
                self.first = SequenceHeader::parse(obu.payload).ok().map(Arc::new);
                self.sequence = self.first.clone();
            }
        }
    }

    /// What a chain of the stream's frames begins with.
    pub fn first_headers(&self) -> HeaderState {
        HeaderState::new(self.first.clone())
    }

    /// Reads the next packet's headers. Its row tells of the frame that it shows, or else of its last one; what is
    /// damaged counts as absent.
    pub fn scan(&mut self, packet: &[u8]) -> PacketHeader {
        let mut row = PacketHeader::default();
        self.packet += 1;
        let (mut rest, mut is_first) = (packet, true);
        while !rest.is_empty() {
            if self.scan_unit(&mut rest, &mut is_first, &mut row).is_err() {
                // From here on everything depends on everything, up to the next key frame.
                self.is_tracked = false;
                row.depends_on = Dependencies::ALL;
                break;
            }
        }
        row
    }

    fn scan_unit(&mut self, rest: &mut &[u8], is_first: &mut bool, row: &mut PacketHeader) -> Result<()> {
        let obu = Obu::take(rest)?;
        if obu.obu_type == obu_type::SEQUENCE_HEADER {
            let header = SequenceHeader::parse(obu.payload)?;
            // A new one takes a key frame to begin with (7.5).
            self.is_tracked &= self.sequence.as_deref() == Some(&header);
            self.sequence = Some(Arc::new(header));
        }
        if !matches!(obu.obu_type, obu_type::FRAME_HEADER | obu_type::FRAME) {
            return Ok(());
        }
        let Some(sequence) = &self.sequence else { return Ok(()) };
        if obu.is_dropped(sequence) {
            return Ok(());
        }
        let mut r = BitReader::new(obu.payload);
        let start = HeaderStart::parse(&mut r, sequence, obu.layer.unwrap_or_default());
        r.check()?;
        match start {
            HeaderStart::ShowExisting(slot) => self.show_existing(slot, row),
            HeaderStart::Frame(frame) => {
                row.is_idr |= *is_first && frame.resets_decoder();
                row.is_recovery_point = row.is_idr;
                let format = if frame.frame_size_override_flag { None } else { sequence.picture_format() };
                self.coded_frame(&frame, format, row);
            }
        }
        *is_first = false;
        Ok(())
    }

    fn show_existing(&mut self, slot: usize, row: &mut PacketHeader) {
        let Some(frame_type) = self.slots[slot].frame_type else { return };
        row.depends_on |= self.of_slots(1 << slot);
        self.fill(row, frame_type, None, true);
        if frame_type == FrameType::Key {
            // 7.21: it is loaded, and takes all slots.
            self.slots = [Slot { packet: self.packet, frame_type: Some(frame_type) }; NUM_REF_FRAMES];
            row.is_referenced = true;
        }
    }

    fn coded_frame(&mut self, frame: &FrameStart, format: Option<PictureFormat>, row: &mut PacketHeader) {
        self.is_tracked |= frame.resets_decoder();
        row.depends_on |= if frame.resets_decoder() { Dependencies::NONE } else { self.of_slots(frame.refers_to()) };
        row.is_referenced |= frame.refresh_frame_flags != 0;
        for (i, slot) in self.slots.iter_mut().enumerate() {
            if frame.refresh_frame_flags >> i & 1 == 1 {
                *slot = Slot { packet: self.packet, frame_type: Some(frame.frame_type) };
            }
        }
        self.fill(row, frame.frame_type, format, frame.show_frame);
    }

    /// What taking over from some slots, bit i for slot i, depends on.
    fn of_slots(&self, slots: u8) -> Dependencies {
        if !self.is_tracked {
            return Dependencies::ALL;
        }
        let named = self.slots.iter().enumerate().filter(|(i, _)| slots >> i & 1 == 1);
        named.fold(Dependencies::NONE, |all, (_, slot)| all | Dependencies::at(self.packet - slot.packet))
    }

    fn fill(&mut self, row: &mut PacketHeader, frame_type: FrameType, format: Option<PictureFormat>, is_shown: bool) {
        if is_shown {
            self.shown = self.shown.saturating_add(1);
        } else if row.picture_type.is_some() && !row.is_hidden {
            return;
        }
        row.picture_type = Some(if frame_type.is_intra() { PictureType::I } else { PictureType::P });
        row.is_hidden = !is_shown;
        row.format = format;
        row.poc = self.shown;
    }
}
