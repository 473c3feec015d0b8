//! One picture's map, from the NAL units of its own packets.

use std::borrow::Cow;
use std::mem::take;
use std::sync::Arc;

use super::contexts::Contexts;
use super::nal::NalUnit;
use super::parameter_sets::ParameterSets;
use super::pps::Pps;
use super::residual::StatCoeff;
use super::slice_data;
use super::slice_header::{SegmentStart, SliceHeader, SliceSegmentHeader};
use super::sps::Sps;
use super::tiles::CtbScan;
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
        slice_data::parse_slice_segment(picture, rbsp, &header, &start)
    }
}

/// Moves an error's position from the RBSP of a NAL unit to its packet.
fn place_in_packet(mut error: Error, rbsp: &Rbsp, nal_start: usize) -> Error {
    let byte = (error.bit / 8) as usize;
    error.bit = 8 * ebsp_position(rbsp, byte) as u64 + error.bit % 8;
    error.moved_by(nal_start * 8)
}

/// Where byte `position` of an RBSP lies in its NAL unit.
pub fn ebsp_position(rbsp: &Rbsp, position: usize) -> usize {
    let removed = rbsp.removed_positions().iter().enumerate();
    let before = removed.take_while(|&(k, &at)| at as usize - k <= position).count();
    position + before
}

/// Where byte `position` of a NAL unit lies in its RBSP.
pub fn rbsp_position(rbsp: &Rbsp, position: usize) -> usize {
    position - rbsp.removed_positions().partition_point(|&removed| (removed as usize) < position)
}

/// State that a later slice segment, tile or row of CTUs takes over (9.3.2.4).
#[derive(Debug, Clone)]
pub struct Stored {
    pub contexts: Contexts,
    pub stat_coeff: StatCoeff,
    pub palette_predictor_size: usize,
}

/// What outlives a slice segment.
pub struct Picture {
    pub sps: Arc<Sps>,
    pub pps: Arc<Pps>,
    slice_pic_parameter_set_id: u32,
    slice: Option<SliceHeader>,
    pub scan: CtbScan,
    /// `SliceAddrRs` of the slice that each CTB lies in, `NOT_CODED` before it is parsed.
    pub slice_addr_rs: Vec<u32>,
    /// Depth and skip flag of the coding blocks along the lower edge of what is parsed, every 8 samples.
    pub above: Vec<u8>,
    /// At the end of the slice segment before (`TableStateIdxDs`).
    pub stored_ds: Option<Stored>,
    /// Behind the second CTB of the row above (`TableStateIdxWpp`).
    pub stored_wpp: Option<Stored>,
    /// `QpY` of the last coding unit, which a dependent slice segment goes on from.
    pub qp_y_prev: i32,
    pub map: FrameMap,
}

pub const NOT_CODED: u32 = u32::MAX;

impl Picture {
    fn new(start: &SegmentStart, buffers: Buffers) -> Result<Self> {
        let (sps, pps) = (start.sps.clone(), start.pps.clone());
        let scan = CtbScan::new(&sps, &pps)?;
        let (width, height) = (sps.pic_width_in_luma_samples, sps.pic_height_in_luma_samples);
        Ok(Self {
            slice_pic_parameter_set_id: start.slice_pic_parameter_set_id,
            slice: None,
            slice_addr_rs: vec![NOT_CODED; scan.len()],
            above: vec![0; scan.width << (sps.ctb_log2_size_y - 3)],
            stored_ds: None,
            stored_wpp: None,
            qp_y_prev: 0,
            map: FrameMap::within(buffers, 1 << sps.ctb_log2_size_y, width, height, sps.crop),
            scan,
            sps,
            pps,
        })
    }

    fn begin_slice(&mut self, slice: &SliceHeader, is_dependent: bool) {
        if !is_dependent {
            self.qp_y_prev = slice.slice_qp_y;
        }
        self.map.picture_type = self.map.picture_type.or(slice.slice_type.picture_type());
        self.slice = Some(*slice);
    }

    fn into_map(self) -> Result<FrameMap> {
        if self.slice_addr_rs.contains(&NOT_CODED) {
            return Err(Error::corrupt("coding tree units are missing from the picture", 0));
        }
        Ok(self.map)
    }
}
