//! VP9's boolean decoder (9.2), counting exactly the bits that it consumes.
//!
//! A boolean's cost is what renormalisation shifts in: `tell` tells the sum plus the 8 bits of start-up, that is,
//! how far the specification's decoder has read.

use crate::error::{Error, Result};

/// `value` holds `BoolValue` in its top 8 bits, with `count` more bits of the stream behind it.
#[derive(Debug, Clone)]
pub struct BoolDecoder<'a> {
    bytes: &'a [u8],
    next: usize,
    value: u64,
    range: u32,
    count: i32,
}

/// Bits that one refill brings in; with the at most 7 empty places above them they fit below `BoolValue`.
const REFILL_BITS: i32 = 48;

impl<'a> BoolDecoder<'a> {
    /// `init_bool` (9.2.1) over all of `bytes`, its marker included. Reading past the end gives zeros, which `check`
    /// and `finish` catch.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let mut decoder = Self { bytes, next: 0, value: 0, range: 255, count: -8 };
        decoder.refill();
        if bytes.is_empty() {
            return Err(Error::corrupt("no bytes for the boolean decoder", 0));
        }
        if decoder.read(128) {
            return Err(Error::corrupt("the boolean decoder's marker is set", 0));
        }
        Ok(decoder)
    }

    #[inline(always)]
    fn refill(&mut self) {
        let at = self.next;
        let word = match self.bytes.get(at..at + 8) {
            Some(b) => u64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
            None => load_at_end(self.bytes, at),
        };
        self.value |= word >> (64 - REFILL_BITS) << (8 - self.count);
        self.next = at + REFILL_BITS as usize / 8;
        self.count += REFILL_BITS;
    }

    /// `read_bool(p)` (9.2.2).
    #[inline(always)]
    pub fn read(&mut self, p: u8) -> bool {
        let split = self.split(p);
        let scaled = u64::from(split) << 56;
        let bit = self.value >= scaled;
        self.range = if bit { self.range - split } else { split };
        self.value -= if bit { scaled } else { 0 };
        bit
    }

    /// `read_bool(p)` where the result decides what comes next: the processor then guesses it and goes on, while `read`
    /// waits for it. Better for results that can be guessed.
    #[inline(always)]
    pub fn decide(&mut self, p: u8) -> bool {
        let split = self.split(p);
        let scaled = u64::from(split) << 56;
        if self.value >= scaled {
            self.value -= scaled;
            self.range -= split;
            true
        } else {
            self.range = split;
            false
        }
    }

    /// Renormalises, and gives where the range is to be split: 1 + (((BoolRange - 1) * p) >> 8).
    ///
    /// Each symbol waits for the one before it, so the product is made while it is not yet known how far to shift.
    #[inline(always)]
    fn split(&mut self, p: u8) -> u32 {
        let p = u32::from(p);
        let shift = self.pending_shift();
        let split = (((self.range * p) << shift) + 256 - p) >> 8;
        self.range <<= shift;
        self.value <<= shift;
        self.count -= shift as i32;
        if self.count < 0 {
            self.refill();
        }
        split
    }

    /// How far the range is from 128 to 255.
    #[inline(always)]
    fn pending_shift(&self) -> u32 {
        // `| 1` tells the compiler that there is a highest bit.
        (self.range | 1).ilog2() ^ 7
    }

    /// `read_literal(n)` (9.2.4), n from 0 to 32.
    #[inline]
    pub fn literal(&mut self, n: u32) -> u32 {
        (0..n).fold(0, |value, _| value << 1 | u32::from(self.read(128)))
    }

    /// A tree coded syntax element (9.3.3) whose tree is a unary code: the number of ones before the first zero.
    #[inline(always)]
    pub fn unary<const N: usize>(&mut self, probs: &[u8; N]) -> usize {
        for (i, &p) in probs.iter().enumerate() {
            if !self.decide(p) {
                return i;
            }
        }
        N
    }

    /// A tree coded syntax element (9.3.3): positive entries lead on, the others are a negated value.
    #[inline(always)]
    pub fn tree(&mut self, tree: &[i8], probs: &[u8]) -> usize {
        let mut node = 0;
        loop {
            let next = if self.decide(probs[node >> 1]) { tree[node + 1] } else { tree[node] };
            if next <= 0 {
                return usize::from(next.unsigned_abs());
            }
            node = next as usize;
        }
    }

    /// Position of the next bit that the specification's decoder would read, from the start of its bytes.
    #[inline(always)]
    pub fn tell(&self) -> usize {
        (self.next * 8).wrapping_sub(self.count as usize) + self.pending_shift() as usize
    }

    /// `BoolRange`, 128 to 255 between symbols.
    #[inline(always)]
    pub fn range(&self) -> u32 {
        self.range << self.pending_shift()
    }

    /// Fails once more was read than there is.
    #[inline]
    pub fn check(&self) -> Result<()> {
        let end = self.bytes.len() * 8;
        if self.tell() > end {
            return Err(Error::corrupt("boolean-coded data runs past its end", end));
        }
        Ok(())
    }

    /// `exit_bool` (9.2.3): all that is left must be zeros. Gives their number of bits.
    pub fn finish(&self) -> Result<usize> {
        self.check()?;
        let position = self.tell();
        let rest = &self.bytes[position / 8..];
        let is_padding = |(i, &byte): (usize, &u8)| {
            let mask = if i == 0 { 0xff >> (position % 8) } else { 0xff };
            byte & mask == 0
        };
        if !rest.iter().enumerate().all(is_padding) {
            return Err(Error::corrupt("boolean-coded data ends before its size", position));
        }
        Ok(self.bytes.len() * 8 - position)
    }
}

#[cold]
fn load_at_end(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0u8; 8];
    let rest = bytes.get(at..).unwrap_or(&[]);
    word[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// The decoder exactly as the specification writes it, one bit at a time.
    struct Reference<'a> {
        bytes: &'a [u8],
        pos: usize,
        value: u32,
        range: u32,
    }

    impl Reference<'_> {
        fn new(bytes: &[u8]) -> Reference<'_> {
            let mut r = Reference { bytes, pos: 8, value: u32::from(bytes[0]), range: 255 };
            assert!(!r.read(128));
            r
        }

        fn read(&mut self, p: u8) -> bool {
            let split = 1 + (((self.range - 1) * u32::from(p)) >> 8);
            let bit = self.value >= split;
            if bit {
                self.range -= split;
                self.value -= split;
            } else {
                self.range = split;
            }
            while self.range < 128 {
                let byte = self.bytes.get(self.pos / 8).copied().unwrap_or(0);
                self.value = self.value << 1 | u32::from(byte >> (7 - self.pos % 8) & 1);
                self.range <<= 1;
                self.pos += 1;
            }
            bit
        }
    }

    #[test]
    fn every_symbol_and_position_equals_the_specification() {
        let mut random = Random::new(1);
        for _ in 0..50 {
            let mut bytes = random.bytes(150);
            bytes[0] &= 0x7f;
            let mut reference = Reference::new(&bytes);
            let mut decoder = BoolDecoder::new(&bytes).unwrap();
            for p in random.bytes(1500) {
                assert_eq!(decoder.tell(), reference.pos);
                assert_eq!(decoder.range(), reference.range);
                assert_eq!(decoder.check().is_ok(), reference.pos <= bytes.len() * 8);
                let bit = if p % 2 == 0 { decoder.read(p.max(1)) } else { decoder.decide(p) };
                assert_eq!(bit, reference.read(p.max(1)));
            }
        }
    }

    #[test]
    fn a_unary_code_is_read_as_its_tree_is() {
        let mut random = Random::new(5);
        let mut bytes = random.bytes(400);
        bytes[0] &= 0x7f;
        let mut decoders = [BoolDecoder::new(&bytes).unwrap(), BoolDecoder::new(&bytes).unwrap()];
        for _ in 0..700 {
            let probs = [100, 60, 30].map(|p: u8| p + random.bytes(1)[0] / 2);
            let [unary, tree] = &mut decoders;
            assert_eq!(unary.unary(&probs), tree.tree(&[0, 2, -1, 4, -2, -3], &probs));
            assert_eq!(unary.tell(), tree.tell());
        }
    }

    #[test]
    fn only_zeros_may_follow_the_last_symbol() {
        let mut decoder = BoolDecoder::new(&[0x12, 0x34, 0x50, 0]).unwrap();
        assert!(decoder.finish().is_err());
        while decoder.tell() < 21 {
            decoder.read(128);
        }
        assert_eq!(decoder.finish().unwrap(), 11);
        while decoder.tell() <= 32 {
            decoder.read(128);
        }
        assert!(decoder.finish().is_err());
        assert!(BoolDecoder::new(&[]).is_err());
        assert!(BoolDecoder::new(&[0xff]).is_err());
    }
}
