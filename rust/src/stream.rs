//! One video stream of any codec: which parser it takes, and the parameter sets it had at each packet.

use std::mem::take;
use std::sync::Arc;

use crate::chain::{self, Chain, ChainParser, Frame};
use crate::error::{Error, Result};
use crate::map::{Buffers, FrameMap};
use crate::packet::PacketHeader;
use crate::{av1, h264, hevc, vp9};

/// Most states of the parameter sets that are kept: each takes a few kilobytes, and a packet of a few bytes makes one.
pub const MAX_STATES: usize = 1 << 15;

/// Reads headers in decoding order, and the costs of any frame whose headers it has read.
#[derive(Debug)]
pub struct Stream {
    scanner: Scanner,
    /// Every state of the parameter sets met so far; handles are positions in it.
    states: Vec<State>,
}

#[derive(Debug)]
enum Scanner {
    H264(Box<h264::Scanner>),
    Hevc(Box<hevc::Scanner>),
    Vp9(Box<vp9::Scanner>),
    Av1(Box<av1::Scanner>),
}

/// What a frame's packets are read with.
#[derive(Debug, Clone)]
pub enum State {
    H264(Arc<h264::ParameterSets>),
    Hevc(Arc<hevc::ParameterSets>),
    /// A frame cannot be read without the ones before it: `Stream::chain` does that.
    Chain,
    /// The parameter sets had changed `MAX_STATES` times before.
    TooMany,
}

impl State {
    /// The costs of the frame in `packets`: its only one, or one for each field. The state is that of the first.
    pub fn frame_map(&self, packets: &[&[u8]], scratch: &mut Scratch) -> Result<FrameMap> {
        match self {
            Self::H264(sets) => {
                scratch.h264.buffers = take(&mut scratch.buffers);
                h264::frame_map(sets, packets, &mut scratch.h264)
            }
            Self::Hevc(sets) => {
                scratch.hevc.buffers = take(&mut scratch.buffers);
                hevc::frame_map(sets, packets, &mut scratch.hevc)
            }
            Self::Chain => Err(Error::unsupported("reading a VP9 or AV1 frame without the ones before it", 0)),
            Self::TooMany => {
                let limit = MAX_STATES as u64;
                Err(Error::limit("the number of changes of the parameter sets before the packet", limit + 1, limit))
            }
        }
    }

    /// Memory for the map of a frame.
    pub fn buffers(&self) -> Buffers {
        match self {
            Self::H264(sets) => sets.buffers(),
            Self::Hevc(sets) => sets.buffers(),
            Self::Chain | Self::TooMany => Buffers::default(),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::H264(a), Self::H264(b)) => Arc::ptr_eq(a, b),
            (Self::Hevc(a), Self::Hevc(b)) => Arc::ptr_eq(a, b),
            (Self::Chain, Self::Chain) => true,
            _ => false,
        }
    }
}

/// The parser of a chain of frames of any codec that has them.
#[derive(Debug, Clone)]
pub enum StreamChain {
    Vp9(Box<vp9::Vp9Parser>),
    Av1(Box<av1::Av1Parser>),
}

/// As `chain::Wanted`: the frames of each packet, and parsers that can go on behind so many of the packets.
pub type Wanted = (Vec<Result<Vec<Frame>>>, Vec<(usize, StreamChain)>);

impl StreamChain {
    /// As `ChainParser::parse`.
    pub fn parse(&mut self, packet: &[u8]) -> Result<Vec<Frame>> {
        match self {
            Self::Vp9(parser) => parser.parse(packet),
            Self::Av1(parser) => parser.parse(packet),
        }
    }

    /// As `ChainParser::parse_wanted`.
    pub fn parse_wanted(self, packets: &[&[u8]], wanted: &[bool]) -> Wanted {
        fn with<C: Chain>(wanted: chain::Wanted<C>, chain: fn(Box<ChainParser<C>>) -> StreamChain) -> Wanted {
            let checkpoints = wanted.checkpoints.into_iter().map(|(count, parser)| (count, chain(Box::new(parser))));
            (wanted.frames, checkpoints.collect())
        }
        match self {
            Self::Vp9(parser) => with(parser.parse_wanted(packets, wanted), Self::Vp9),
            Self::Av1(parser) => with(parser.parse_wanted(packets, wanted), Self::Av1),
        }
    }
}

/// Buffers that are used again from frame to frame.
#[derive(Debug, Default)]
pub struct Scratch {
    /// For the map of the next frame, where they are set aside.
    pub buffers: Buffers,
    h264: h264::Scratch,
    hevc: hevc::Scratch,
}

impl Stream {
    /// `codec` by FFmpeg's name; `None` if there is no parser for it.
    pub fn new(codec: &str, extradata: &[u8]) -> Option<Self> {
        let scanner = match codec {
            "h264" => Scanner::H264(Box::new(h264::Scanner::new(extradata))),
            "hevc" => Scanner::Hevc(Box::new(hevc::Scanner::new(extradata))),
            "vp9" => Scanner::Vp9(Box::new(vp9::Scanner::new())),
            "av1" => Scanner::Av1(Box::new(av1::Scanner::new(extradata))),
            _ => return None,
        };
        Some(Self { scanner, states: vec![] })
    }

    /// Whether every frame's costs can be read from its own packets.
    pub fn has_packet_access(&self) -> bool {
        matches!(self.scanner, Scanner::H264(_) | Scanner::Hevc(_))
    }

    /// A parser of the stream's frames in chains, for codecs whose frames take over from the ones before them. It
    /// begins with what the container says.
    pub fn chain(&self) -> Option<StreamChain> {
        match &self.scanner {
            Scanner::Vp9(_) => Some(StreamChain::Vp9(Box::new(ChainParser::new(vp9::HeaderState::default())))),
            Scanner::Av1(scanner) => Some(StreamChain::Av1(Box::new(ChainParser::new(scanner.first_headers())))),
            Scanner::H264(_) | Scanner::Hevc(_) => None,
        }
    }

    /// Whether the parameter sets known so far allow pictures that are fields.
    pub fn may_code_fields(&self) -> bool {
        matches!(&self.scanner, Scanner::H264(scanner) if scanner.parameter_sets().may_code_fields())
    }

    /// Whether the codec, or the parameter sets known so far, leave no room for showing pictures in another order than
    /// that of decoding.
    pub fn is_shown_as_decoded(&self) -> bool {
        match &self.scanner {
            Scanner::H264(scanner) => scanner.parameter_sets().is_shown_as_decoded(),
            Scanner::Hevc(_) => false,
            Scanner::Vp9(_) | Scanner::Av1(_) => true,
        }
    }

    /// Parameter sets from the container that hold from the next scanned packet on.
    pub fn set_extradata(&mut self, extradata: &[u8]) {
        match &mut self.scanner {
            Scanner::H264(scanner) => scanner.set_extradata(extradata),
            Scanner::Hevc(scanner) => scanner.set_extradata(extradata),
            Scanner::Vp9(_) => {}
            Scanner::Av1(scanner) => scanner.set_extradata(extradata),
        }
    }

    /// Reads the next packet's headers; gives the handle of the parameter sets in force before it, too.
    pub fn scan(&mut self, packet: &[u8]) -> (usize, PacketHeader) {
        let handle = self.handle();
        let header = match &mut self.scanner {
            Scanner::H264(scanner) => scanner.scan(packet),
            Scanner::Hevc(scanner) => scanner.scan(packet),
            Scanner::Vp9(scanner) => scanner.scan(packet),
            Scanner::Av1(scanner) => scanner.scan(packet),
        };
        (handle, header)
    }

    fn handle(&mut self) -> usize {
        let now = match &self.scanner {
            Scanner::H264(scanner) => State::H264(scanner.parameter_sets()),
            Scanner::Hevc(scanner) => State::Hevc(scanner.parameter_sets()),
            Scanner::Vp9(_) | Scanner::Av1(_) => State::Chain,
        };
        if self.states.len() <= MAX_STATES && self.states.last().is_none_or(|last| !last.is_same(&now)) {
            self.states.push(if self.states.len() < MAX_STATES { now } else { State::TooMany });
        }
        self.states.len() - 1
    }

    /// What to feed a decoder in the place of a packet whose header has one: see `PacketHeader::has_stand_in`. `handle`
    /// is that of the parameter sets in force before it.
    pub fn stand_in(&self, handle: usize, packet: &[u8]) -> Option<Vec<u8>> {
        match self.state(handle)? {
            State::H264(sets) => h264::stand_in(sets, packet),
            _ => None,
        }
    }

    pub fn state(&self, handle: usize) -> Option<&State> {
        self.states.get(handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn endless_changes_of_parameter_sets_reach_a_limit() {
        let mut stream = Stream::new("h264", &[]).unwrap();
        // A picture parameter set with CAVLC, and the same one with CABAC.
        let sets = [[0, 0, 1, 0x68, 0xce, 0x38, 0x80], [0, 0, 1, 0x68, 0xee, 0x38, 0x80]];
        let handles: Vec<_> = (0..MAX_STATES + 5).map(|i| stream.scan(&sets[i % 2]).0).collect();
        assert_eq!(
            handles[MAX_STATES - 1..],
            [MAX_STATES - 1, MAX_STATES, MAX_STATES, MAX_STATES, MAX_STATES, MAX_STATES]
        );
        let error = |handle: usize| stream.state(handle).unwrap().frame_map(&[], &mut Scratch::default()).unwrap_err();
        assert!(matches!(error(MAX_STATES - 1).kind, ErrorKind::Corrupt(_)));
        assert!(matches!(error(MAX_STATES).kind, ErrorKind::Limit { .. }));
    }
}
