//! Frames that take over from the ones before them (VP9, AV1), parsed in decoding order.

use std::sync::Arc;

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

impl Frame {
    /// An earlier frame that is shown by so many bytes.
    pub fn existing(mut map: Arc<FrameMap>, bytes: usize) -> Self {
        add_overhead(&mut map, bytes);
        Self { map, is_shown: true, is_existing: true }
    }
}

/// What of a frame must be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Only what its headers say without those of others is needed.
    Nothing,
    /// The probabilities that its headers code are needed, too (VP9).
    Probabilities,
    /// What its blocks leave for later frames is needed, too.
    Blocks,
    /// Its map is needed, too.
    Map,
}

/// A codec whose frames form chains: what is kept from frame to frame.
pub trait Chain: Clone + Default {
    /// Keeps what headers take over from earlier ones.
    type Headers: Clone;
    /// The headers of one frame, and where it lies in its packet.
    type Unit;

    /// Reads the headers of a packet's frames. Where that fails, nothing is known of the slots any more.
    fn read_units(headers: &mut Self::Headers, packet: &[u8]) -> Result<Vec<Self::Unit>>;

    /// The work on each frame of each packet. Frames of damaged packets have none.
    fn plan(packets: &[Result<Vec<Self::Unit>>], wanted: &[bool]) -> Vec<Vec<Work>>;

    /// Bytes of a frame.
    fn bytes(unit: &Self::Unit) -> usize;

    /// Does the work on a frame; gives it if its map is wanted.
    fn decode(&mut self, packet: &[u8], unit: &Self::Unit, work: Work) -> Result<Option<Frame>>;
}

/// The work on each frame of each packet, where `before` tells that on a frame from what the later ones need, and moves
/// those needs before it. Frames of damaged packets have none, and nothing is needed of what lies before them.
pub fn work_backwards<'a, Unit, Needs: Default>(
    packets: &'a [Result<Vec<Unit>>],
    wanted: &[bool],
    before: impl Fn(&mut Needs, &'a Unit, bool) -> Work,
) -> Vec<Vec<Work>> {
    let mut work: Vec<Vec<Work>> = Vec::with_capacity(packets.len());
    let mut needs = Needs::default();
    for (i, packet) in packets.iter().enumerate().rev() {
        let Ok(units) = packet else {
            needs = Needs::default();
            work.push(vec![]);
            continue;
        };
        let is_wanted = wanted.get(i).copied().unwrap_or(false);
        let mut of_packet: Vec<_> = units.iter().rev().map(|unit| before(&mut needs, unit, is_wanted)).collect();
        of_packet.reverse();
        work.push(of_packet);
    }
    work.reverse();
    work
}

/// The parser of a chain of frames. Feed it packets in decoding order, beginning with one that resets the decoder
/// (`PacketHeader::is_recovery_point`), or with a stream's first. A clone is a checkpoint, from which parsing can go
/// on later; it shares all that is large.
#[derive(Debug, Clone)]
pub struct ChainParser<C: Chain> {
    headers: C::Headers,
    decoder: C,
}

/// Checkpoints lie this many packets apart.
const CHECKPOINT_DISTANCE: usize = 32;

/// What came of parsing no more than the wanted packets depend on.
pub struct Wanted<C: Chain> {
    /// For every packet; those of packets that are not wanted have no frames.
    pub frames: Vec<Result<Vec<Frame>>>,
    /// Parsers that can go on behind so many of the packets, the last one behind all of them unless some are damaged.
    /// A frame that needs what was passed over is an error to them.
    pub checkpoints: Vec<(usize, ChainParser<C>)>,
}

impl<C: Chain> ChainParser<C> {
    /// With what is known before the first packet.
    pub fn new(headers: C::Headers) -> Self {
        Self { headers, decoder: C::default() }
    }

    /// Parses the frames of the next packet. After an error everything fails until a frame resets the probabilities.
    pub fn parse(&mut self, packet: &[u8]) -> Result<Vec<Frame>> {
        let units = C::read_units(&mut self.headers, packet);
        self.decode(packet, units, |_| Work::Map)
    }

    /// Parses the frames of the `wanted` ones among the next packets, and of the others only what these depend on.
    pub fn parse_wanted(mut self, packets: &[&[u8]], wanted: &[bool]) -> Wanted<C> {
        let mut states = vec![];
        let units: Vec<_> = packets
            .iter()
            .map(|packet| {
                let units = C::read_units(&mut self.headers, packet);
                states.push(self.headers.clone());
                units
            })
            .collect();
        let work = C::plan(&units, wanted);
        let mut result = Wanted { frames: Vec::with_capacity(packets.len()), checkpoints: vec![] };
        let mut is_sound = true;
        for (i, ((packet, units), headers)) in packets.iter().zip(units).zip(states).enumerate() {
            let frames = self.decode(packet, units, |frame| work[i][frame]);
            is_sound &= frames.is_ok();
            let count = i + 1;
            if is_sound && (count % CHECKPOINT_DISTANCE == 0 || count == packets.len()) {
                result.checkpoints.push((count, Self { headers, decoder: self.decoder.clone() }));
            }
            result.frames.push(frames.map(|frames| if wanted[i] { frames } else { vec![] }));
        }
        result
    }

    fn decode(
        &mut self,
        packet: &[u8],
        units: Result<Vec<C::Unit>>,
        work: impl Fn(usize) -> Work,
    ) -> Result<Vec<Frame>> {
        units.and_then(|units| self.decode_frames(packet, &units, work)).inspect_err(|_| self.decoder = C::default())
    }

    fn decode_frames(&mut self, packet: &[u8], units: &[C::Unit], work: impl Fn(usize) -> Work) -> Result<Vec<Frame>> {
        let mut outside = packet.len();
        let mut frames = Vec::with_capacity(units.len());
        for (i, unit) in units.iter().enumerate() {
            outside -= C::bytes(unit);
            frames.extend(self.decoder.decode(packet, unit, work(i))?);
        }
        let shown = frames.iter().rposition(|frame| frame.is_shown).unwrap_or(frames.len().saturating_sub(1));
        if let (Some(frame), 1..) = (frames.get_mut(shown), outside) {
            // What a reference slot keeps has only the frame's own bytes: this one is a copy.
            add_overhead(&mut frame.map, outside);
        }
        Ok(frames)
    }
}

/// Bytes that code no block.
fn add_overhead(map: &mut Arc<FrameMap>, bytes: usize) {
    let map = Arc::make_mut(map);
    map.overhead_bits += 8 * bytes as u64;
    map.packet_bits += 8 * bytes as u64;
}
