//! How AV1's frames form chains.

use super::frame_header::HeaderState;
use super::plan::plan;
use super::reference_state::ReferenceState;
use super::temporal_unit::{Unit, read_units};
use crate::chain::{Chain, ChainParser, Frame, Work};
use crate::error::{Error, Result};

/// The parser of a chain of AV1 frames.
pub type Av1Parser = ChainParser<ReferenceState>;

impl Chain for ReferenceState {
    type Headers = HeaderState;
    type Unit = Unit;

    fn read_units(headers: &mut HeaderState, packet: &[u8]) -> Result<Vec<Unit>> {
        read_units(headers, packet).inspect_err(|_| headers.forget_frames())
    }

    fn plan(packets: &[Result<Vec<Unit>>], wanted: &[bool]) -> Vec<Vec<Work>> {
        plan(packets, wanted)
    }

    fn bytes(unit: &Unit) -> usize {
        match unit {
            Unit::ShowExisting { bytes, .. } => *bytes,
            Unit::Frame(frame) => frame.bytes,
        }
    }

    fn decode(&mut self, packet: &[u8], unit: &Unit, work: Work) -> Result<Option<Frame>> {
        match (unit, work) {
            (Unit::ShowExisting { slot, bytes, .. }, _) => {
                let map = self.slot(*slot).ok().and_then(|reference| reference.map.clone());
                self.show_existing(*slot);
                match (map, work) {
                    (Some(map), Work::Map) => Ok(Some(Frame::existing(map, *bytes))),
                    (None, Work::Map) => Err(Error::corrupt("a frame is to be shown that is not there", 0)),
                    _ => Ok(None),
                }
            }
            (Unit::Frame(frame), Work::Map | Work::Blocks) => {
                let map = self.decode(packet, frame).map_err(|error| error.within(packet.len() * 8))?;
                let is_shown = frame.header.start.show_frame;
                Ok((work == Work::Map).then_some(Frame { map, is_shown, is_existing: false }))
            }
            (Unit::Frame(frame), _) => {
                self.pass_over(&frame.header);
                Ok(None)
            }
        }
    }
}
