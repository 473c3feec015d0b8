//! Bit reader, Exp-Golomb codes and emulation prevention, as H.264 and HEVC share them.

use crate::error::{Error, Result};

/// Zero bytes behind every RBSP, so that wide loads need no special case at its end.
pub const PADDING: usize = 8;

/// Payload of a NAL unit with emulation prevention bytes taken out (7.3.1), and `PADDING` zeros behind it.
#[derive(Debug, Default, Clone)]
pub struct Rbsp {
    bytes: Vec<u8>,
    len: usize,
    /// Where in the EBSP the bytes were that are taken out, ascending.
    removed: Vec<u32>,
}

impl Rbsp {
    /// Takes each `emulation_prevention_three_byte` out of `ebsp`, reusing the buffers of `self`.
    pub fn assign(&mut self, ebsp: &[u8]) {
        self.bytes.clear();
        self.bytes.reserve(ebsp.len() + PADDING);
        self.removed.clear();
        let mut start = 0;
        let mut i = 2;
        while i < ebsp.len() {
            // A byte above 3 cannot be the third byte of 00 00 0x, nor either zero of the next two.
            if ebsp[i] > 3 {
                i += 3;
            } else if ebsp[i] == 3 && ebsp[i - 1] == 0 && ebsp[i - 2] == 0 {
                self.bytes.extend_from_slice(&ebsp[start..i]);
                self.removed.push(i as u32);
                start = i + 1;
                i += 3;
            } else {
                i += 1;
            }
        }
        self.bytes.extend_from_slice(&ebsp[start..]);
        self.len = self.bytes.len();
        self.bytes.resize(self.len + PADDING, 0);
    }

    pub fn from_ebsp(ebsp: &[u8]) -> Self {
        let mut rbsp = Self::default();
        rbsp.assign(ebsp);
        rbsp
    }

    /// The payload without its padding.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub fn padded(&self) -> &[u8] {
        &self.bytes
    }

    pub fn bit_len(&self) -> usize {
        self.len * 8
    }

    /// Number of emulation prevention bytes taken out.
    pub fn removed_bytes(&self) -> usize {
        self.removed.len()
    }

    /// Where byte `position` of the RBSP lies in the EBSP.
    pub fn ebsp_position(&self, position: usize) -> usize {
        let before = self.removed.iter().enumerate().take_while(|&(k, &at)| at as usize - k <= position).count();
        position + before
    }

    /// Where byte `position` of the EBSP lies in the RBSP.
    pub fn rbsp_position(&self, position: usize) -> usize {
        position - self.removed.partition_point(|&removed| (removed as usize) < position)
    }

    pub fn reader(&self) -> BitReader<'_> {
        BitReader { bytes: &self.bytes, pos: 0, end: self.bit_len() }
    }
}

/// Reads bits, most significant first. Reading past the end gives zeros and is caught by `check`.
#[derive(Debug, Clone)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    pos: usize,
    end: usize,
}

impl<'a> BitReader<'a> {
    /// Reader of all of `bytes`; fastest where `PADDING` more bytes are behind the ones that count.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, pos: 0, end: bytes.len() * 8 }
    }

    /// Bits consumed so far.
    #[inline]
    pub fn pos(&self) -> usize {
        self.pos
    }

    #[inline]
    pub fn end(&self) -> usize {
        self.end
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next 57 bits or more at the top of a word, zeros past the end.
    #[inline(always)]
    fn window(&self) -> u64 {
        let at = self.pos >> 3;
        let word = match self.bytes.get(at..at + 8) {
            Some(b) => u64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
            None => self.window_at_end(at),
        };
        word << (self.pos & 7)
    }

    #[cold]
    fn window_at_end(&self, at: usize) -> u64 {
        let mut word = [0u8; 8];
        let rest = self.bytes.get(at..).unwrap_or(&[]);
        word[..rest.len()].copy_from_slice(rest);
        u64::from_be_bytes(word)
    }

    /// The next `n` bits (1 to 32) without consuming them.
    #[inline(always)]
    pub fn peek(&self, n: u32) -> u32 {
        debug_assert!((1..=32).contains(&n));
        (self.window() >> (64 - n)) as u32
    }

    #[inline(always)]
    pub fn skip(&mut self, n: usize) {
        self.pos += n;
    }

    /// `u(n)`, n from 0 to 32.
    #[inline(always)]
    pub fn u(&mut self, n: u32) -> u32 {
        if n == 0 {
            return 0;
        }
        let value = self.peek(n);
        self.pos += n as usize;
        value
    }

    #[inline(always)]
    pub fn flag(&mut self) -> bool {
        self.u(1) != 0
    }

    /// `ue(v)` (9.1), at most 2^32 - 2: so the magnitude of any `se(v)` fits 31 bits.
    #[inline(always)]
    pub fn ue(&mut self) -> Result<u32> {
        let window = self.window();
        let zeros = window.leading_zeros();
        if zeros <= 24 {
            // 2 * 24 + 1 bits: the whole code lies in the window.
            self.pos += 2 * zeros as usize + 1;
            return Ok((window >> (63 - 2 * zeros)) as u32 - 1);
        }
        self.long_ue()
    }

    #[cold]
    fn long_ue(&mut self) -> Result<u32> {
        let start = self.pos;
        let mut zeros = 0;
        while !self.flag() {
            zeros += 1;
            if zeros > 31 || self.pos > self.end {
                return Err(Error::corrupt("Exp-Golomb code without an end", start));
            }
        }
        Ok((1 << zeros) - 1 + self.u(zeros))
    }

    /// `se(v)` (9.1.1).
    #[inline(always)]
    pub fn se(&mut self) -> Result<i32> {
        let code = self.ue()?;
        let magnitude = (code >> 1) as i32 + (code & 1) as i32;
        Ok(if code & 1 == 1 { magnitude } else { -magnitude })
    }

    /// `te(v)` (9.1): `max` is the largest possible value.
    #[inline(always)]
    pub fn te(&mut self, max: u32) -> Result<u32> {
        if max > 1 { self.ue() } else { Ok(u32::from(!self.flag())) }
    }

    /// Fails once more bits were consumed than there are.
    #[inline]
    pub fn check(&self) -> Result<()> {
        if self.pos > self.end {
            return Err(Error::corrupt("syntax runs past the end of its data", self.end));
        }
        Ok(())
    }

    /// Position of the last 1 bit of the payload, the `rbsp_stop_one_bit` where nothing follows it.
    pub fn last_one_bit(&self) -> Option<usize> {
        let len = self.end / 8;
        let last = self.bytes[..len].iter().rposition(|&b| b != 0)?;
        Some(last * 8 + 7 - self.bytes[last].trailing_zeros() as usize)
    }

    /// `more_rbsp_data()` (7.2).
    pub fn more_rbsp_data(&self) -> bool {
        self.last_one_bit().is_some_and(|stop| self.pos < stop)
    }
}

/// Bits as tests write them.
#[cfg(test)]
pub mod written {
    pub use crate::bit_writer::{BitWriter, pack, put_ue};

    /// `ue(v)` codes, one after the other, and zeros behind them.
    pub fn ue_codes(values: &[u32]) -> Vec<u8> {
        let mut bits = vec![];
        values.iter().for_each(|&value| put_ue(&mut bits, value));
        bits.extend([0; 64]);
        pack(&bits)
    }
}

#[cfg(test)]
mod tests {
    use super::written::{pack, put_ue};
    use super::*;

    #[test]
    fn exp_golomb_codes_of_every_length_round_trip() {
        let values: Vec<u32> = (0..32)
            .flat_map(|n| [(1u64 << n) - 1, 1 << n, (1 << n) + 1])
            .map(|v| v as u32)
            .chain([u32::MAX - 1])
            .collect();
        let mut bits = vec![];
        values.iter().for_each(|&v| put_ue(&mut bits, v));
        let bytes = pack(&bits);
        let mut reader = BitReader::new(&bytes);
        for &v in &values {
            assert_eq!(reader.ue().unwrap(), v);
        }
        assert_eq!(reader.pos(), bits.len());
    }

    #[test]
    fn the_widest_signed_codes_fit_and_wider_ones_are_an_error() {
        let mut bits = vec![];
        [u32::MAX - 2, u32::MAX - 1].iter().for_each(|&code| put_ue(&mut bits, code));
        bits.extend([0; 32].iter().chain(&[1]).chain(&[0; 32]));
        let bytes = pack(&bits);
        let mut reader = BitReader::new(&bytes);
        assert_eq!(reader.se().unwrap(), i32::MAX);
        assert_eq!(reader.se().unwrap(), -i32::MAX);
        assert!(reader.se().is_err());
    }

    #[test]
    fn endless_zeros_are_an_error_not_a_hang() {
        assert!(BitReader::new(&[0; 64]).ue().is_err());
        assert!(BitReader::new(&[]).ue().is_err());
    }

    #[test]
    fn emulation_prevention_bytes_are_taken_out_and_remembered() {
        let ebsp = [1, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3, 7, 0, 0, 3];
        let rbsp = Rbsp::from_ebsp(&ebsp);
        assert_eq!(rbsp.payload(), [1, 0, 0, 1, 0, 0, 0, 0, 3, 7, 0, 0]);
        assert_eq!(rbsp.removed, [3, 7, 10, 15]);
        for (i, &byte) in rbsp.payload().iter().enumerate() {
            assert_eq!(ebsp[rbsp.ebsp_position(i)], byte);
            assert_eq!(rbsp.rbsp_position(rbsp.ebsp_position(i)), i);
        }
    }

    #[test]
    fn more_rbsp_data_stops_at_the_stop_bit() {
        let rbsp = Rbsp::from_ebsp(&[0b1010_0000, 0b1000_0000, 0, 0]);
        let mut reader = rbsp.reader();
        reader.skip(7);
        assert!(reader.more_rbsp_data());
        reader.skip(1);
        assert!(!reader.more_rbsp_data());
    }
}
