//! Frames in decoding order: each takes over from the ones before it.

use std::ops::Range;
use std::sync::Arc;

use super::frame::DecoderState;
use super::frame_header::{Header, HeaderState, PacketHeaders};
use super::plan::{Work, plan};
use super::superframe;
use crate::error::Result;
use crate::map::FrameMap;

/// One frame of a packet.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The frame's map. `packet_bits` are the frame's own bytes; those of a packet that belong to no frame, such as a
    /// superframe's index, count for the one that is shown.
    pub map: Arc<FrameMap>,
    pub is_shown: bool,
    /// `show_existing_frame`: the map of an earlier frame, with the bytes of both.
    pub is_existing: bool,
}

/// The parser of a chain of frames. Feed it packets in decoding order, beginning with one that resets the decoder
/// (`PacketHeader::is_recovery_point`), or with a stream's first. A clone is a checkpoint, from which parsing can go
/// on later; it shares all that is large.
#[derive(Debug, Clone, Default)]
pub struct ChainParser {
    headers: HeaderState,
    decoder: DecoderState,
}

/// Checkpoints lie this many packets apart.
const CHECKPOINT_DISTANCE: usize = 32;

/// What came of parsing no more than the wanted packets depend on.
#[derive(Debug)]
pub struct Wanted {
    /// For every packet; those of packets that are not wanted have no frames.
    pub frames: Vec<Result<Vec<Frame>>>,
    /// Parsers that can go on behind so many of the packets, the last one behind all of them unless some are damaged.
    /// A frame that needs what was passed over is an error to them.
    pub checkpoints: Vec<(usize, ChainParser)>,
}

impl ChainParser {
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses the frames of the next packet. After an error everything fails until a frame resets the probabilities.
    pub fn parse(&mut self, packet: &[u8]) -> Result<Vec<Frame>> {
        let headers = self.read_headers(packet);
        self.decode(packet, headers, |_| Work::Map)
    }

    /// Parses the frames of the `wanted` ones among the next packets, and of the others only what these depend on.
    pub fn parse_wanted(mut self, packets: &[&[u8]], wanted: &[bool]) -> Wanted {
        let mut states = vec![];
        let headers: Vec<_> = packets
            .iter()
            .map(|packet| {
                let headers = self.read_headers(packet);
                states.push(self.headers.clone());
                headers
            })
            .collect();
        let work = plan(&headers, wanted);
        let mut result = Wanted { frames: Vec::with_capacity(packets.len()), checkpoints: vec![] };
        let mut is_sound = true;
        for (i, ((packet, headers), state)) in packets.iter().zip(headers).zip(states).enumerate() {
            let frames = self.decode(packet, headers, |frame| work[i][frame]);
            is_sound &= frames.is_ok();
            let count = i + 1;
            if is_sound && (count % CHECKPOINT_DISTANCE == 0 || count == packets.len()) {
                result.checkpoints.push((count, Self { headers: state, decoder: self.decoder.clone() }));
            }
            result.frames.push(frames.map(|frames| if wanted[i] { frames } else { vec![] }));
        }
        result
    }

    /// Reads a packet's headers. Where that fails, no slot's size is known any more.
    fn read_headers(&mut self, packet: &[u8]) -> Result<PacketHeaders> {
        let headers = superframe::split(packet)
            .and_then(|ranges| ranges.into_iter().map(|range| self.read_header(packet, range)).collect());
        headers.inspect_err(|_| self.headers = HeaderState::default())
    }

    fn read_header(&mut self, packet: &[u8], range: Range<usize>) -> Result<(Range<usize>, Header)> {
        let header = self.headers.parse(&packet[range.clone()]).map_err(|error| error.moved_by(range.start * 8))?;
        if let Header::Frame(header) = &header {
            self.headers.refresh(header);
        }
        Ok((range, header))
    }

    fn decode(
        &mut self,
        packet: &[u8],
        headers: Result<PacketHeaders>,
        work: impl Fn(usize) -> Work,
    ) -> Result<Vec<Frame>> {
        headers
            .and_then(|headers| self.decode_frames(packet, headers, work))
            .inspect_err(|_| self.decoder = DecoderState::default())
    }

    fn decode_frames(
        &mut self,
        packet: &[u8],
        headers: PacketHeaders,
        work: impl Fn(usize) -> Work,
    ) -> Result<Vec<Frame>> {
        let mut outside = packet.len();
        let mut frames = Vec::with_capacity(headers.len());
        for (i, (range, header)) in headers.into_iter().enumerate() {
            let (start, bits) = (range.start * 8, range.len() * 8);
            outside -= range.len();
            let frame = self.decode_frame(&packet[range], &header, work(i));
            frames.extend(frame.map_err(|error| error.within(bits).moved_by(start))?);
        }
        let shown = frames.iter().rposition(|frame| frame.is_shown).unwrap_or(frames.len().saturating_sub(1));
        if let (Some(frame), 1..) = (frames.get_mut(shown), outside) {
            // What a reference slot keeps has only the frame's own bytes: this one is a copy.
            add_overhead(&mut frame.map, outside);
        }
        Ok(frames)
    }

    fn decode_frame(&mut self, frame: &[u8], header: &Header, work: Work) -> Result<Option<Frame>> {
        match (header, work) {
            (Header::ShowExisting(slot), Work::Map) => {
                let mut map = self.decoder.shown_again(*slot)?;
                add_overhead(&mut map, frame.len());
                Ok(Some(Frame { map, is_shown: true, is_existing: true }))
            }
            (Header::ShowExisting(_), _) => Ok(None),
            (Header::Frame(header), Work::Map | Work::Blocks) => {
                let map = self.decoder.decode(frame, header, work == Work::Map)?;
                Ok(map.map(|map| Frame { map, is_shown: header.show_frame, is_existing: false }))
            }
            (Header::Frame(header), _) => {
                self.decoder.pass_over(frame, header, work == Work::Probabilities)?;
                Ok(None)
            }
        }
    }
}

/// Bytes that code no block.
fn add_overhead(map: &mut Arc<FrameMap>, bytes: usize) {
    let map = Arc::make_mut(map);
    map.overhead_bits += 8 * bytes as u64;
    map.packet_bits += 8 * bytes as u64;
}
