//! Where the NAL units of a packet begin and end, in both framings of H.264 and HEVC.

use std::ops::Range;

use crate::error::{Error, Result};

/// How NAL units are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// Start codes (annex B of both specifications).
    #[default]
    AnnexB,
    /// A big-endian length of 1 to 4 bytes before each unit (ISO/IEC 14496-15).
    LengthPrefixed(usize),
}

impl Framing {
    /// Byte ranges of the NAL units of `packet`, framing and trailing zeros left out; empty units are dropped.
    pub fn split(self, packet: &[u8]) -> Result<Vec<Range<usize>>> {
        match self {
            Self::AnnexB => Ok(split_annex_b(packet)),
            // A few writers put start codes where lengths are announced: 1 is no length that a first unit has.
            Self::LengthPrefixed(4) if starts_with_start_code(packet) => Ok(split_annex_b(packet)),
            Self::LengthPrefixed(size) => split_length_prefixed(packet, size),
        }
    }
}

fn starts_with_start_code(packet: &[u8]) -> bool {
    packet.starts_with(&[0, 0, 0, 1])
}

fn split_annex_b(packet: &[u8]) -> Vec<Range<usize>> {
    let mut units = vec![];
    split_at_start_codes(&mut units, packet, 0..packet.len(), None);
    units
}

/// Adds the units of `range`; `start` is where the first one begins if no start code says so.
fn split_at_start_codes(units: &mut Vec<Range<usize>>, packet: &[u8], range: Range<usize>, mut start: Option<usize>) {
    let mut i = range.start;
    while i + 2 < range.end {
        if packet[i + 2] > 1 {
            i += 3;
        } else if packet[i + 2] == 1 && packet[i] == 0 && packet[i + 1] == 0 {
            if let Some(start) = start {
                push_trimmed(units, packet, start..i);
            }
            start = Some(i + 3);
            i += 3;
        } else {
            i += 1;
        }
    }
    if let Some(start) = start {
        push_trimmed(units, packet, start..range.end);
    }
}

/// Type of the SEI message that tells how to turn pictures for display (H.264 D.1.27, HEVC D.2.15).
pub const DISPLAY_ORIENTATION: usize = 47;

/// The messages of an SEI NAL unit's payload, as far as they are whole: type and content (H.264 7.3.2.3.1, HEVC 7.3.5).
pub fn sei_messages(mut rest: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    std::iter::from_fn(move || {
        let (payload_type, size) = (sei_number(&mut rest)?, sei_number(&mut rest)?);
        let (content, after) = rest.split_at_checked(size)?;
        rest = after;
        Some((payload_type, content))
    })
}

/// `payloadType` or `payloadSize`.
fn sei_number(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    loop {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value += usize::from(byte);
        if byte != 255 {
            return Some(value);
        }
    }
}

/// `trailing_zero_8bits` and the `zero_byte` of the next start code are no part of the unit.
fn push_trimmed(units: &mut Vec<Range<usize>>, packet: &[u8], range: Range<usize>) {
    let last = packet[range.clone()].iter().rposition(|&byte| byte != 0);
    if let Some(last) = last {
        units.push(range.start..range.start + last + 1);
    }
}

fn split_length_prefixed(packet: &[u8], size: usize) -> Result<Vec<Range<usize>>> {
    let mut units = vec![];
    let mut at = 0;
    while packet.len() - at >= size {
        let length = packet[at..at + size].iter().fold(0usize, |n, &byte| n << 8 | usize::from(byte));
        let start = at + size;
        if length > packet.len() - start {
            return Err(Error::corrupt("NAL unit length reaches past the end of the packet", at * 8));
        }
        // No unit holds a start code; a few writers put several units behind one length.
        split_at_start_codes(&mut units, packet, start..start + length, Some(start));
        at = start + length;
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_of_three_and_four_bytes_and_trailing_zeros() {
        let packet = [0, 0, 0, 1, 9, 0, 0, 0, 1, 7, 7, 0, 0, 1, 5, 1, 0, 0];
        assert_eq!(Framing::AnnexB.split(&packet).unwrap(), [4..5, 9..11, 14..16]);
        assert!(Framing::AnnexB.split(&[1, 2, 3]).unwrap().is_empty());
    }

    #[test]
    fn lengths_of_every_size_and_one_that_lies() {
        assert_eq!(Framing::LengthPrefixed(1).split(&[1, 5, 2, 6, 7]).unwrap(), [1..2, 3..5]);
        assert_eq!(Framing::LengthPrefixed(2).split(&[0, 2, 6, 7, 0, 1, 9]).unwrap(), [2..4, 6..7]);
        assert_eq!(Framing::LengthPrefixed(1).split(&[7, 9, 0, 0, 1, 5, 0, 6]).unwrap(), [1..2, 5..8]);
        assert!(Framing::LengthPrefixed(4).split(&[0, 0, 0, 9, 1]).is_err());
    }
}
