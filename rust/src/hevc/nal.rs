//! NAL units of a packet (7.3.1, Annex B, and the length-prefixed form of ISO/IEC 14496-15).

use crate::error::{Error, Result};

/// Length of `nal_unit_header()` in bytes.
pub const NAL_HEADER_BYTES: usize = 2;

/// `nal_unit_type` (Table 7-1), the ones told apart here.
pub mod nal_unit_type {
    pub const RADL_N: u8 = 6;
    pub const RADL_R: u8 = 7;
    pub const RASL_N: u8 = 8;
    pub const RASL_R: u8 = 9;
    pub const RSV_VCL_R15: u8 = 15;
    pub const BLA_W_LP: u8 = 16;
    pub const BLA_N_LP: u8 = 18;
    pub const IDR_W_RADL: u8 = 19;
    pub const IDR_N_LP: u8 = 20;
    pub const CRA: u8 = 21;
    pub const RSV_IRAP_VCL23: u8 = 23;
    pub const SPS: u8 = 33;
    pub const PPS: u8 = 34;
    pub const EOS: u8 = 36;
    pub const EOB: u8 = 37;
}

/// How a stream's packets are cut into NAL units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    #[default]
    AnnexB,
    /// Each NAL unit behind its length in this many bytes (1 to 4).
    LengthPrefixed(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NalUnit<'a> {
    pub nal_unit_type: u8,
    pub nuh_layer_id: u8,
    pub temporal_id: u8,
    /// Header and payload, emulation prevention bytes included.
    pub bytes: &'a [u8],
    /// Position of `bytes` in the packet.
    pub start: usize,
}

impl<'a> NalUnit<'a> {
    /// `None` where the header (7.3.1.2) is cut off or of no meaning; decoders ignore such units.
    pub fn new(bytes: &'a [u8], start: usize) -> Option<Self> {
        let &[high, low, ..] = bytes else { return None };
        let temporal_id = (low & 7).checked_sub(1)?;
        let forbidden_zero_bit = high >> 7;
        (forbidden_zero_bit == 0).then_some(Self {
            nal_unit_type: high >> 1 & 63,
            nuh_layer_id: (high & 1) << 5 | low >> 3,
            temporal_id,
            bytes,
            start,
        })
    }

    /// A slice segment of the base layer; other layers belong to other pictures.
    pub fn is_base_slice(&self) -> bool {
        let kind = self.nal_unit_type;
        let is_slice = kind <= nal_unit_type::RASL_R || (nal_unit_type::BLA_W_LP..=nal_unit_type::CRA).contains(&kind);
        is_slice && self.nuh_layer_id == 0
    }

    pub fn is_irap(&self) -> bool {
        is_irap(self.nal_unit_type)
    }
}

pub fn is_irap(kind: u8) -> bool {
    (nal_unit_type::BLA_W_LP..=nal_unit_type::RSV_IRAP_VCL23).contains(&kind)
}

pub fn is_idr(kind: u8) -> bool {
    matches!(kind, nal_unit_type::IDR_W_RADL | nal_unit_type::IDR_N_LP)
}

pub fn is_bla(kind: u8) -> bool {
    (nal_unit_type::BLA_W_LP..=nal_unit_type::BLA_N_LP).contains(&kind)
}

pub fn is_rasl(kind: u8) -> bool {
    matches!(kind, nal_unit_type::RASL_N | nal_unit_type::RASL_R)
}

pub fn is_radl(kind: u8) -> bool {
    matches!(kind, nal_unit_type::RADL_N | nal_unit_type::RADL_R)
}

/// `SLNR`: no picture of the same temporal sub-layer refers to it.
pub fn is_sub_layer_non_reference(kind: u8) -> bool {
    kind < nal_unit_type::RSV_VCL_R15 && kind & 1 == 0
}

/// Walks the NAL units of a packet and counts the bytes between them.
pub struct NalUnits<'a> {
    packet: &'a [u8],
    framing: Framing,
    pos: usize,
    framing_bytes: usize,
}

impl<'a> NalUnits<'a> {
    pub fn new(packet: &'a [u8], framing: Framing) -> Self {
        Self { packet, framing, pos: 0, framing_bytes: 0 }
    }

    /// Bytes met so far that belong to no NAL unit: start codes, zeros between units, length fields.
    pub fn framing_bytes(&self) -> usize {
        self.framing_bytes
    }

    /// The next NAL unit's bytes and their position; empty units are passed over.
    pub fn next_bytes(&mut self) -> Result<Option<(&'a [u8], usize)>> {
        match self.framing {
            Framing::AnnexB => Ok(self.next_after_start_code()),
            Framing::LengthPrefixed(size) => self.next_after_length(size),
        }
    }

    fn next_after_start_code(&mut self) -> Option<(&'a [u8], usize)> {
        loop {
            let before = self.pos;
            let Some(code) = find_start_code(self.packet, before) else {
                // Nothing but zeros or junk without a start code is left.
                self.framing_bytes += self.packet.len() - before;
                self.pos = self.packet.len();
                return None;
            };
            let start = code + 3;
            let next = find_start_code(self.packet, start).unwrap_or(self.packet.len());
            // A NAL unit never ends in a zero byte (7.4.1): these are trailing_zero_8bits.
            let end = self.packet[start..next].iter().rposition(|&b| b != 0).map_or(start, |last| start + last + 1);
            self.pos = end;
            self.framing_bytes += start - before;
            if end > start {
                return Some((&self.packet[start..end], start));
            }
        }
    }

    fn next_after_length(&mut self, size: usize) -> Result<Option<(&'a [u8], usize)>> {
        loop {
            let rest = &self.packet[self.pos..];
            if rest.is_empty() {
                return Ok(None);
            }
            let Some((prefix, body)) = rest.split_at_checked(size) else {
                return Err(Error::corrupt("NAL unit length is cut off", self.pos * 8));
            };
            let len = prefix.iter().fold(0usize, |len, &b| len << 8 | usize::from(b));
            let Some(bytes) = body.get(..len) else {
                return Err(Error::corrupt("NAL unit is longer than its packet", self.pos * 8));
            };
            let start = self.pos + size;
            self.pos = start + len;
            self.framing_bytes += size;
            if len > 0 {
                return Ok(Some((bytes, start)));
            }
        }
    }
}

/// Position of the next 00 00 01 at or after `from`.
fn find_start_code(bytes: &[u8], from: usize) -> Option<usize> {
    let mut i = from + 2;
    while i < bytes.len() {
        match bytes[i] {
            // A byte above 1 is no part of a start code: the next one begins behind it.
            2.. => i += 3,
            1 if bytes[i - 1] == 0 && bytes[i - 2] == 0 => return Some(i - 2),
            1 => i += 3,
            0 => i += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(packet: &[u8], framing: Framing) -> (Vec<(Vec<u8>, usize)>, usize) {
        let mut walk = NalUnits::new(packet, framing);
        let mut found = vec![];
        while let Some((bytes, start)) = walk.next_bytes().unwrap() {
            found.push((bytes.to_vec(), start));
        }
        (found, walk.framing_bytes())
    }

    #[test]
    fn start_codes_and_zeros_are_framing() {
        let packet = [0, 0, 0, 1, 0x40, 1, 7, 0, 0, 0, 0, 1, 0x42, 1, 0, 0, 1, 0, 0];
        let (found, framing) = units(&packet, Framing::AnnexB);
        assert_eq!(found, [(vec![0x40, 1, 7], 4), (vec![0x42, 1], 12)]);
        assert_eq!(framing + 5, packet.len());
    }

    #[test]
    fn lengths_are_framing_and_must_fit() {
        let packet = [0, 2, 0x40, 1, 0, 0, 0, 1, 9];
        let (found, framing) = units(&packet, Framing::LengthPrefixed(2));
        assert_eq!(found, [(vec![0x40, 1], 2), (vec![9], 8)]);
        assert_eq!(framing, 6);
        let mut walk = NalUnits::new(&[0, 3, 1], Framing::LengthPrefixed(2));
        assert!(walk.next_bytes().is_err());
        assert!(NalUnits::new(&[0], Framing::LengthPrefixed(2)).next_bytes().is_err());
    }

    #[test]
    fn headers_of_no_meaning_give_no_unit() {
        assert_eq!(NalUnit::new(&[0x42], 0), None);
        assert_eq!(NalUnit::new(&[0xc2, 1], 0), None);
        assert_eq!(NalUnit::new(&[0x42, 0], 0), None);
        let unit = NalUnit::new(&[0x43, 0x0a], 5).unwrap();
        assert_eq!((unit.nal_unit_type, unit.nuh_layer_id, unit.temporal_id), (33, 33, 1));
    }
}
