//! One picture's map, from the NAL units of its own packets.

use std::borrow::Cow;
use std::mem::take;

use super::nal::NalUnit;
use super::parameter_sets::ParameterSets;
use super::picture::Picture;
use super::slice_data::parse_slice_segment;
use super::slice_header::{SegmentStart, SliceSegmentHeader};
use crate::bits::Rbsp;
use crate::error::{Error, Result};
use crate::map::{Buffers, FrameMap};

/// Buffers that are used again from frame to frame.
#[derive(Debug, Default)]
pub struct Scratch {
    /// For the map of the next frame.
    pub buffers: Buffers,
    rbsp: Rbsp,
}

/// The bit costs of one frame: `packets` are all that the container gives to it, `sets` what holds before them.
///
/// Parameter sets within the packets apply from where they stand. Layers above the base layer are overhead.
pub fn frame_map(sets: &ParameterSets, packets: &[&[u8]], scratch: &mut Scratch) -> Result<FrameMap> {
    let mut frame = Frame { sets: Cow::Borrowed(sets), picture: None, overhead_bits: 0, scratch };
    let mut packet_start = 0;
    for packet in packets {
        frame.parse_packet(packet).map_err(|error| error.within(packet.len() * 8).moved_by(packet_start * 8))?;
        packet_start += packet.len();
    }
    let mut map = match frame.picture {
        Some(picture) => picture.into_map()?,
        None => return Err(Error::corrupt("no picture in the packet", 0)),
    };
    map.overhead_bits += frame.overhead_bits;
    map.packet_bits = 8 * packet_start as u64;
    if !map.add_up() {
        return Err(Error::corrupt("bits of the packet are unaccounted for", 0));
    }
    Ok(map)
}

struct Frame<'a> {
    sets: Cow<'a, ParameterSets>,
    picture: Option<Picture>,
    overhead_bits: u64,
    scratch: &'a mut Scratch,
}

impl Frame<'_> {
    fn parse_packet(&mut self, packet: &[u8]) -> Result<()> {
        let mut end = 0;
        for range in self.sets.framing().split(packet)? {
            // Start codes, lengths and zeros between units.
            self.overhead_bits += 8 * (range.start - end) as u64;
            end = range.end;
            let bytes = &packet[range.clone()];
            match NalUnit::new(bytes, range.start) {
                Some(nal) if nal.is_base_slice() => {
                    self.scratch.rbsp.assign(nal.bytes);
                    self.parse_slice(&nal).map_err(|error| place_in_packet(error, &self.scratch.rbsp, range.start))?;
                }
                nal => {
                    self.overhead_bits += 8 * bytes.len() as u64;
                    if let Some(nal) = nal.filter(NalUnit::is_parameter_set) {
                        self.sets.to_mut().apply(&nal);
                    }
                }
            }
        }
        self.overhead_bits += 8 * (packet.len() - end) as u64;
        Ok(())
    }

    fn parse_slice(&mut self, nal: &NalUnit) -> Result<()> {
        let Scratch { rbsp, buffers } = &mut *self.scratch;
        let mut r = rbsp.reader();
        let start = SegmentStart::parse(&mut r, nal, &self.sets)?;
        let picture = match &mut self.picture {
            None => self.picture.insert(Picture::new(&start, take(buffers))?),
            Some(_) if start.first_slice_segment_in_pic_flag => {
                return Err(Error::corrupt("a second picture in one frame's packets", r.pos()));
            }
            Some(picture) if picture.slice_pic_parameter_set_id != start.slice_pic_parameter_set_id => {
                return Err(Error::corrupt("slices of one picture name different parameter sets", r.pos()));
            }
            Some(picture) => picture,
        };
        // The sets of the picture's first slice hold to its end, whatever comes between.
        let start = SegmentStart { sps: picture.sps.clone(), pps: picture.pps.clone(), ..start };
        let header = SliceSegmentHeader::parse(&mut r, nal, &start, picture.slice.as_ref())?;
        picture.begin_slice(&header.slice, start.dependent_slice_segment_flag);
        picture.map.overhead_bits += 8 * (header.data_start + rbsp.removed_bytes()) as u64;
        parse_slice_segment(picture, rbsp, &header, &start)
    }
}

/// Moves an error's position from the RBSP of a NAL unit to its packet.
fn place_in_packet(mut error: Error, rbsp: &Rbsp, nal_start: usize) -> Error {
    let byte = (error.bit / 8) as usize;
    error.bit = 8 * rbsp.ebsp_position(byte) as u64 + error.bit % 8;
    error.moved_by(nal_start * 8)
}
