//! Open bitstream units (5.3) of a packet.

use super::sequence_header::SequenceHeader;
use crate::error::{Error, Result};

/// `obu_type` (6.2.2) of what is read here.
pub mod obu_type {
    pub const SEQUENCE_HEADER: u8 = 1;
    pub const TEMPORAL_DELIMITER: u8 = 2;
    pub const FRAME_HEADER: u8 = 3;
    pub const TILE_GROUP: u8 = 4;
    pub const FRAME: u8 = 6;
    pub const REDUNDANT_FRAME_HEADER: u8 = 7;
    pub const TILE_LIST: u8 = 8;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obu<'a> {
    pub obu_type: u8,
    /// `temporal_id` and `spatial_id`, where the header is an extended one.
    pub layer: Option<(u32, u32)>,
    pub payload: &'a [u8],
}

impl<'a> Obu<'a> {
    /// Takes the next unit off `rest` (the low-overhead format, 5.2), up to its size or to the end.
    pub fn take(rest: &mut &'a [u8]) -> Result<Self> {
        let cut = || Error::corrupt("OBU reaches past the end of the packet", 0);
        let mut next = || {
            let (&byte, after) = rest.split_first().ok_or_else(cut)?;
            *rest = after;
            Ok(byte)
        };
        let header = next()?;
        let layer = match header >> 2 & 1 {
            1 => next().map(|byte| Some((u32::from(byte >> 5), u32::from(byte >> 3 & 3))))?,
            _ => None,
        };
        let mut size = rest.len();
        if header >> 1 & 1 == 1 {
            size = leb128(rest).ok_or_else(cut)?;
        }
        let (payload, after) = rest.split_at_checked(size).ok_or_else(cut)?;
        *rest = after;
        Ok(Self { obu_type: header >> 3 & 15, layer, payload })
    }

    /// Whether decoders leave it out (`drop_obu`, 5.3.1): they decode the first operating point.
    pub fn is_dropped(&self, sequence: &SequenceHeader) -> bool {
        let is_layered = !matches!(self.obu_type, obu_type::SEQUENCE_HEADER | obu_type::TEMPORAL_DELIMITER);
        let point = sequence.operating_points.first();
        is_layered && self.layer.is_some_and(|layer| point.is_some_and(|point| !point.includes(layer)))
    }
}

/// `leb128()` (4.10.5).
fn leb128(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0u64;
    for i in 0..8 {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}
