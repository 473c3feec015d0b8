//! A packet (a temporal unit, 7.5): the frames in it, and where each one's tiles lie.

use std::ops::Range;
use std::sync::Arc;

use super::frame_header::{FrameHeader, Header, HeaderState};
use super::frame_start::FrameType;
use super::obu::{Obu, obu_type};
use super::sequence_header::SequenceHeader;
use super::tile_group::read_tile_group;
use crate::bits::BitReader;
use crate::error::{Error, Result};

/// Most frames that a packet may hold: a temporal unit shows one for each layer, of which there are four in space, and
/// brings those on which a pyramid of frames is built.
const MAX_FRAMES: usize = 32;

#[derive(Debug, Clone)]
pub enum Unit {
    /// `show_existing_frame`, of this slot, told in so many bytes.
    ShowExisting {
        slot: usize,
        frame_type: FrameType,
        bytes: usize,
    },
    Frame(CodedFrame),
}

#[derive(Debug, Clone)]
pub struct CodedFrame {
    pub header: Arc<FrameHeader>,
    /// Where its tiles lie in the packet.
    pub tiles: Vec<Range<usize>>,
    /// Bytes of all the units that belong to it.
    pub bytes: usize,
}

impl CodedFrame {
    fn is_complete(&self) -> bool {
        self.tiles.len() == self.header.tile_info.num_tiles()
    }
}

/// Reads the headers of a packet's frames.
pub fn read_units(headers: &mut HeaderState, packet: &[u8]) -> Result<Vec<Unit>> {
    let mut reader = Reader { headers, units: vec![], open: None };
    let mut rest = packet;
    while !rest.is_empty() {
        let start = packet.len() - rest.len();
        let obu = Obu::take(&mut rest).map_err(|error| error.moved_by(start * 8))?;
        let end = packet.len() - rest.len();
        let place = Place { payload_start: end - obu.payload.len(), bytes: end - start };
        reader.read(&obu, &place).map_err(|error| error.moved_by(place.payload_start * 8))?;
    }
    match reader.open {
        Some(_) => Err(Error::corrupt("a frame's last tiles are missing", packet.len() * 8)),
        None => Ok(reader.units),
    }
}

/// Where a unit lies in its packet.
struct Place {
    payload_start: usize,
    /// With the unit's own header.
    bytes: usize,
}

struct Reader<'a> {
    headers: &'a mut HeaderState,
    units: Vec<Unit>,
    /// The frame whose header was read, until its tiles are complete (`SeenFrameHeader`).
    open: Option<CodedFrame>,
}

impl Reader<'_> {
    fn read(&mut self, obu: &Obu, place: &Place) -> Result<()> {
        if self.headers.sequence.as_ref().is_some_and(|sequence| obu.is_dropped(sequence)) {
            return Ok(());
        }
        match obu.obu_type {
            obu_type::SEQUENCE_HEADER => self.headers.set_sequence(SequenceHeader::parse(obu.payload)?),
            obu_type::FRAME_HEADER | obu_type::REDUNDANT_FRAME_HEADER => {
                if let Some(frame) = &mut self.open {
                    frame.bytes += place.bytes; // frame_header_copy
                } else {
                    let mut r = BitReader::new(obu.payload);
                    self.frame_header(&mut r, obu, place)?;
                    trailing_bits(&mut r)?;
                }
            }
            obu_type::FRAME if self.open.is_some() => {
                return Err(Error::corrupt("a frame begins before the one before it is complete", 0));
            }
            obu_type::FRAME => {
                let mut r = BitReader::new(obu.payload);
                self.frame_header(&mut r, obu, place)?;
                byte_alignment(&mut r)?;
                self.tile_group(obu, place.payload_start, r.pos() / 8)?;
            }
            obu_type::TILE_GROUP => {
                if let Some(frame) = &mut self.open {
                    frame.bytes += place.bytes;
                }
                self.tile_group(obu, place.payload_start, 0)?;
            }
            obu_type::TILE_LIST => return Err(Error::unsupported("an AV1 tile list", 0)),
            _ => {}
        }
        Ok(())
    }

    fn frame_header(&mut self, r: &mut BitReader, obu: &Obu, place: &Place) -> Result<()> {
        let bytes = place.bytes;
        if self.units.len() == MAX_FRAMES {
            let limit = MAX_FRAMES as u64;
            return Err(Error::limit("the number of frames in a packet", limit + 1, limit));
        }
        match self.headers.parse(r, obu.layer.unwrap_or_default())? {
            Header::ShowExisting(..) if obu.obu_type == obu_type::FRAME => {
                return Err(Error::corrupt("a unit with tiles shows an existing frame", 0));
            }
            Header::ShowExisting(slot, frame_type) => self.units.push(Unit::ShowExisting { slot, frame_type, bytes }),
            Header::Frame(header) => self.open = Some(CodedFrame { header, tiles: vec![], bytes }),
        }
        Ok(())
    }

    /// Tiles from `start` on in the unit's payload.
    fn tile_group(&mut self, obu: &Obu, payload_start: usize, start: usize) -> Result<()> {
        let mut frame = self.open.take().ok_or(Error::corrupt("tiles come without a frame's header", 0))?;
        let first = frame.tiles.len();
        read_tile_group(obu.payload, start, &frame.header.tile_info, &mut frame.tiles)?;
        for tile in &mut frame.tiles[first..] {
            *tile = tile.start + payload_start..tile.end + payload_start;
        }
        if frame.is_complete() {
            self.units.push(Unit::Frame(frame));
        } else {
            self.open = Some(frame);
        }
        Ok(())
    }
}

/// `byte_alignment` (5.3.5): zeros up to the next byte.
fn byte_alignment(r: &mut BitReader) -> Result<()> {
    let bits = (r.pos().next_multiple_of(8) - r.pos()) as u32;
    if r.u(bits) != 0 {
        return Err(Error::corrupt("a frame's header does not end where its tiles begin", r.pos()));
    }
    Ok(())
}

/// `trailing_bits` (5.3.4): a one, and zeros up to the unit's end.
fn trailing_bits(r: &mut BitReader) -> Result<()> {
    if r.last_one_bit() != Some(r.pos()) {
        return Err(Error::corrupt("a frame's header does not end at its trailing bits", r.pos()));
    }
    Ok(())
}
