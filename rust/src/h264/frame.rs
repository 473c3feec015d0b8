//! One frame from its packets: slices told apart, pictures and fields put into one map, every bit accounted for.

use std::borrow::Cow;
use std::ops::Range;

use super::neighbours::MbStore;
use super::parameter_sets::ParameterSets;
use super::slice_data::slice_data;
use super::slice_header::{NalHeader, SliceHeader};
use crate::bits::Rbsp;
use crate::error::{Error, Result};
use crate::map::{Buffers, FrameMap};

/// More slices than any level allows in a picture.
const MAX_SLICES: u32 = 1 << 18;

/// The last build of x264 that coded 8x8 blocks of 4:4:4 in its own way was the one before this.
const X264_BUILD_WITH_444_FIXED: u32 = 151;

/// Buffers that are used again from frame to frame.
#[derive(Debug, Default)]
pub struct Scratch {
    /// For the map of the next frame.
    pub buffers: Buffers,
    /// One for each colour plane; only the first is used unless the planes are coded apart.
    stores: [MbStore; 3],
    rbsp: Rbsp,
}

/// The costs of one frame. `sets` are those in force before it, `packets` its one packet, or one for each field.
pub fn frame_map(sets: &ParameterSets, packets: &[&[u8]], scratch: &mut Scratch) -> Result<FrameMap> {
    let mut frame = Frame::new(sets, false, scratch);
    let result = frame.parse(packets);
    if result.is_err() && frame.depends_on_x264_build() {
        // Cut files have lost the message that names the build; what adds up to the last bit tells it as well.
        return Frame::new(sets, true, scratch).parse(packets).or(result);
    }
    result
}

struct Frame<'a> {
    sets: Cow<'a, ParameterSets>,
    /// The encoder is taken for an old x264, whatever the stream says.
    assume_old_x264: bool,
    map: Option<FrameMap>,
    previous: Option<SliceHeader>,
    /// Colour planes in the current picture that are coded apart, or 1.
    planes: usize,
    slices: u32,
    /// Why the first slice with an unreadable header was left out.
    dropped_slice: Option<Error>,
    /// Where the current NAL unit begins, in bits from the start of the frame's packets.
    unit_start: usize,
    overhead: u64,
    scratch: &'a mut Scratch,
}

impl<'a> Frame<'a> {
    fn new(sets: &'a ParameterSets, assume_old_x264: bool, scratch: &'a mut Scratch) -> Self {
        Self {
            sets: Cow::Borrowed(sets),
            assume_old_x264,
            map: None,
            previous: None,
            planes: 0,
            slices: 0,
            dropped_slice: None,
            unit_start: 0,
            overhead: 0,
            scratch,
        }
    }

    fn parse(&mut self, packets: &[&[u8]]) -> Result<FrameMap> {
        let mut before = 0;
        for packet in packets {
            self.packet(packet, before).map_err(|error| error.within(packet.len() * 8).moved_by(before))?;
            before += packet.len() * 8;
        }
        self.finish(before as u64).map_err(|error| error.within(before))
    }

    /// Whether the coding of 8x8 blocks is in doubt: 4:4:4 of an encoder that nothing names.
    fn depends_on_x264_build(&self) -> bool {
        self.sets.x264_build.is_none()
            && self.previous.as_ref().is_some_and(|header| {
                header.sps.chroma_array_type() == 3
                    && header.pps.entropy_coding_mode_flag
                    && header.pps.transform_8x8_mode_flag
            })
    }
    fn packet(&mut self, packet: &[u8], start: usize) -> Result<()> {
        let units = self.sets.framing.split(packet)?;
        // Start codes, lengths and zeros between units.
        let framing = packet.len() - units.iter().map(Range::len).sum::<usize>();
        self.overhead += 8 * framing as u64;
        for unit in units {
            let nal = &packet[unit.clone()];
            self.unit_start = start + 8 * unit.start;
            let header = NalHeader::parse(nal[0]);
            match header.nal_unit_type {
                1 | 5 => self.slice(header, nal).map_err(|error| error.moved_by(8 * unit.start))?,
                2..=4 => return Err(Error::unsupported("data partitioning", 8 * unit.start)),
                _ => {
                    if matches!(header.nal_unit_type, 6..=8) {
                        // A damaged set is no harm until a slice refers to it.
                        let _ = self.sets.to_mut().add(nal);
                    }
                    self.overhead += 8 * nal.len() as u64;
                }
            }
        }
        Ok(())
    }

    fn slice(&mut self, nal_header: NalHeader, nal: &[u8]) -> Result<()> {
        let mut rbsp = std::mem::take(&mut self.scratch.rbsp);
        rbsp.assign(&nal[1..]);
        let result = self.slice_of_rbsp(nal_header, &rbsp);
        let result = result.map_err(|error| in_nal_unit(error, &rbsp));
        // nal_unit_header and emulation prevention.
        self.overhead += 8 + 8 * rbsp.removed_bytes() as u64;
        self.scratch.rbsp = rbsp;
        result
    }

    fn slice_of_rbsp(&mut self, nal_header: NalHeader, rbsp: &Rbsp) -> Result<()> {
        let header = match SliceHeader::parse(nal_header, rbsp, &self.sets) {
            Ok(header) => header,
            Err(error) => {
                // What only calls itself a slice does no harm as long as the others make up the picture.
                let start = self.unit_start;
                self.dropped_slice.get_or_insert_with(|| in_nal_unit(error, rbsp).moved_by(start));
                self.overhead += rbsp.bit_len() as u64;
                return Ok(());
            }
        };
        if header.redundant_pic_cnt > 0 {
            self.overhead += rbsp.bit_len() as u64;
            return Ok(());
        }
        self.begin_picture_if_new(&header)?;
        self.slices += 1;
        if self.slices > MAX_SLICES {
            return Err(Error::limit("slices of a picture", self.slices.into(), MAX_SLICES.into()));
        }
        let sps = &header.sps;
        let map = self.map.get_or_insert_with(|| {
            let buffers = std::mem::take(&mut self.scratch.buffers);
            FrameMap::within(buffers, 16, sps.pic_width_in_mbs * 16, sps.pic_height_in_mbs() * 16, sps.crop)
        });
        map.picture_type = map.picture_type.or(header.slice_type.picture_type());
        let build_is_old = self.sets.x264_build.is_some_and(|build| build < X264_BUILD_WITH_444_FIXED);
        let old_x264 = self.assume_old_x264 || build_is_old;
        let store = &mut self.scratch.stores[usize::from(header.colour_plane_id)];
        let header = self.previous.insert(header);
        self.overhead += slice_data(header, rbsp, self.slices, old_x264, store, map)? as u64;
        Ok(())
    }

    /// Clears what contexts remember where a picture begins; the second one can only be the other field.
    fn begin_picture_if_new(&mut self, header: &SliceHeader) -> Result<()> {
        if let Some(previous) = &self.previous {
            if !header.starts_new_picture(previous) {
                return Ok(());
            }
            let is_other_field = header.is_field()
                && previous.is_field()
                && header.structure != previous.structure
                && header.sps == previous.sps;
            if !is_other_field {
                return Err(Error::corrupt("the packet holds slices of more than one frame", 0));
            }
            self.check_coverage()?;
        }
        self.slices = 0;
        let width = header.sps.pic_width_in_mbs as usize;
        let count = width * header.pic_height_in_mbs() as usize;
        self.planes = if header.sps.separate_colour_plane_flag { 3 } else { 1 };
        self.scratch.stores[..self.planes].iter_mut().for_each(|store| store.reset(width, count));
        Ok(())
    }

    fn check_coverage(&self) -> Result<()> {
        if self.scratch.stores[..self.planes].iter().any(|store| store.missing() > 0) {
            return Err(Error::corrupt("slices are missing: not every macroblock is coded", 0));
        }
        Ok(())
    }

    fn finish(&mut self, packet_bits: u64) -> Result<FrameMap> {
        let covered = self.check_coverage();
        let complete = covered.and(self.map.take().ok_or_else(|| Error::corrupt("the packet holds no slice", 0)));
        // What is missing may be the slice that was left out: why it was says more.
        let mut map = complete.map_err(|error| self.dropped_slice.take().unwrap_or(error))?;
        map.overhead_bits = self.overhead;
        map.packet_bits = packet_bits;
        if !map.add_up() {
            return Err(Error::corrupt("block and overhead bits do not add up to the packet", 0));
        }
        Ok(map)
    }
}

/// A position in an RBSP as one in its NAL unit: the header byte and emulation prevention come before it.
fn in_nal_unit(error: Error, rbsp: &Rbsp) -> Error {
    let byte = (error.bit / 8) as usize;
    let removed = rbsp.ebsp_position(byte) - byte;
    error.moved_by(8 * (1 + removed))
}
