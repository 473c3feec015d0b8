//! How VP9's frames form chains.

use std::ops::Range;

use super::frame::DecoderState;
use super::frame_header::{Header, HeaderState, Unit};
use super::plan::plan;
use super::superframe;
use crate::chain::{Chain, ChainParser, Frame, Work};
use crate::error::Result;

/// The parser of a chain of VP9 frames.
pub type Vp9Parser = ChainParser<DecoderState>;

impl Chain for DecoderState {
    type Headers = HeaderState;
    type Unit = Unit;

    fn read_units(headers: &mut HeaderState, packet: &[u8]) -> Result<Vec<Unit>> {
        let units = superframe::split(packet)
            .and_then(|ranges| ranges.into_iter().map(|range| read_header(headers, packet, range)).collect());
        units.inspect_err(|_| *headers = HeaderState::default())
    }

    fn plan(packets: &[Result<Vec<Unit>>], wanted: &[bool]) -> Vec<Vec<Work>> {
        plan(packets, wanted)
    }

    fn bytes((range, _): &Unit) -> usize {
        range.len()
    }

    fn decode(&mut self, packet: &[u8], (range, header): &Unit, work: Work) -> Result<Option<Frame>> {
        let frame = decode_frame(self, &packet[range.clone()], header, work);
        frame.map_err(|error| error.within(range.len() * 8).moved_by(range.start * 8))
    }
}

fn read_header(headers: &mut HeaderState, packet: &[u8], range: Range<usize>) -> Result<Unit> {
    let header = headers.parse(&packet[range.clone()]).map_err(|error| error.moved_by(range.start * 8))?;
    if let Header::Frame(header) = &header {
        headers.refresh(header);
    }
    Ok((range, header))
}

fn decode_frame(decoder: &mut DecoderState, frame: &[u8], header: &Header, work: Work) -> Result<Option<Frame>> {
    match (header, work) {
        (Header::ShowExisting(slot), Work::Map) => Ok(Some(Frame::existing(decoder.shown_again(*slot)?, frame.len()))),
        (Header::ShowExisting(_), _) => Ok(None),
        (Header::Frame(header), Work::Map | Work::Blocks) => {
            let map = decoder.decode(frame, header, work == Work::Map)?;
            Ok(map.map(|map| Frame { map, is_shown: header.show_frame, is_existing: false }))
        }
        (Header::Frame(header), _) => {
            decoder.pass_over(frame, header, work == Work::Probabilities)?;
            Ok(None)
        }
    }
}
