//! The symbol decoder (8.2): adaptive arithmetic coding of multi-symbol alphabets.

use crate::error::{Error, Result};

const EC_PROB_SHIFT: u32 = 6;
const EC_MIN_PROB: u32 = 4;

/// Bits of `SymbolValue` that are read before the first symbol.
const START_BITS: usize = 15;

/// Reads one tile's symbols. The cost of a symbol is the number of bits that its renormalisation shifts in, so that
/// all costs of a tile add up to the position of its trailing one bit: `exit_symbol` proves it.
#[derive(Debug, Clone)]
pub struct SymbolDecoder<'a> {
    bytes: &'a [u8],
    /// The next byte to load.
    next: usize,
    /// `SymbolValue` in the upper 16 bits, and below them the bits that will be shifted in, each inverted.
    window: u64,
    /// `SymbolRange`.
    range: u32,
    /// Bits of the window that are loaded and not yet part of `SymbolValue`; below 0, what is missing.
    available: i32,
    /// Of `disable_cdf_update`.
    adapts: bool,
}

impl<'a> SymbolDecoder<'a> {
    /// `init_symbol` (8.2.2); the tile's CDFs adapt unless `disable_cdf_update`.
    pub fn init_symbol(bytes: &'a [u8], disable_cdf_update: bool) -> Result<Self> {
        if bytes.is_empty() {
            return Err(Error::corrupt("a tile has no bytes", 0));
        }
        let available = -(START_BITS as i32);
        let mut decoder = Self { bytes, next: 0, window: 0, range: 1 << 15, available, adapts: !disable_cdf_update };
        decoder.refill();
        Ok(decoder)
    }

    /// Bits spent so far: those that renormalisations have shifted in.
    #[inline(always)]
    pub fn tell(&self) -> usize {
        self.next * 8 - START_BITS - self.available as usize
    }

    /// `SymbolRange`, which tells fractions of a bit.
    #[inline(always)]
    pub fn range(&self) -> u32 {
        self.range
    }

    /// Fills the window with whole bytes; zeros follow the last.
    #[inline(always)]
    fn refill(&mut self) {
        while self.available <= 40 {
            let byte = self.bytes.get(self.next).copied().unwrap_or(0);
            // `SymbolValue` and what is available take the upper 16 + `available` bits.
            self.window |= u64::from(!byte) << (40 - self.available);
            self.next += 1;
            self.available += 8;
        }
    }

    /// `read_symbol` (8.2.6) of an alphabet of `cdf.len() - 1` symbols.
    #[inline(always)]
    pub fn read_symbol<const LENGTH: usize>(&mut self, cdf: &mut [u16; LENGTH]) -> usize {
        let n = LENGTH - 1;
        let value = (self.window >> 48) as u32;
        let mut cur = self.range;
        let mut prev = cur;
        let mut symbol = 0;
        for (i, &entry) in cdf[..n].iter().enumerate() {
            symbol = i;
            prev = cur;
            let f = (1 << 15) - u32::from(entry);
            cur =
                (((self.range >> 8) * (f >> EC_PROB_SHIFT)) >> (7 - EC_PROB_SHIFT)) + EC_MIN_PROB * (n - i - 1) as u32;
            if value >= cur {
                break;
            }
        }
        self.renormalize(prev - cur, cur);
        if self.adapts {
            adapt(cdf, symbol);
        }
        symbol
    }

    /// A symbol of an alphabet of two, as a flag.
    #[inline(always)]
    pub fn read_flag(&mut self, cdf: &mut [u16; 3]) -> bool {
        self.read_symbol(cdf) != 0
    }

    /// `read_bool` (8.2.3).
    #[inline(always)]
    pub fn read_bool(&mut self) -> bool {
        let cur = (((self.range >> 8) * (1 << 14 >> EC_PROB_SHIFT)) >> (7 - EC_PROB_SHIFT)) + EC_MIN_PROB;
        if ((self.window >> 48) as u32) < cur {
            self.renormalize(cur, 0);
            true
        } else {
            self.renormalize(self.range - cur, cur);
            false
        }
    }

    /// `read_literal` (8.2.5), of up to 32 bits.
    #[inline(always)]
    pub fn read_literal(&mut self, n: u32) -> u32 {
        (0..n).fold(0, |x, _| x << 1 | u32::from(self.read_bool()))
    }

    #[inline(always)]
    fn renormalize(&mut self, range: u32, below: u32) {
        let bits = range.leading_zeros() - 16;
        self.range = range << bits;
        self.window = (self.window - (u64::from(below) << 48)) << bits;
        self.available -= bits as i32;
        if self.available < 0 {
            self.refill();
        }
    }

    /// Fails once more was read than there is.
    #[inline]
    pub fn check(&self) -> Result<()> {
        if self.tell() >= self.bytes.len() * 8 {
            return Err(Error::corrupt("a tile's symbols run past its end", self.bytes.len() * 8));
        }
        Ok(())
    }

    /// `exit_symbol` (8.2.4): the next bit must be a one and all that are left zeros. Gives how many these are.
    pub fn exit_symbol(&self) -> Result<usize> {
        self.check()?;
        let position = self.tell();
        let rest = &self.bytes[position / 8..];
        let first = rest[0] << (position % 8);
        if first != 0x80 || rest[1..].iter().any(|&byte| byte != 0) {
            return Err(Error::corrupt("a tile's symbols do not end at its trailing bits", position));
        }
        Ok(self.bytes.len() * 8 - position)
    }
}

/// Moves a CDF towards the symbol that was read; its last entry counts the symbols.
#[inline(always)]
fn adapt<const LENGTH: usize>(cdf: &mut [u16; LENGTH], symbol: usize) {
    let n = LENGTH - 1;
    let count = cdf[n];
    let rate = 3 + u32::from(count > 15) + u32::from(count > 31) + n.ilog2().min(2);
    for (i, entry) in cdf[..n - 1].iter_mut().enumerate() {
        if i < symbol {
            *entry -= *entry >> rate;
        } else {
            *entry += ((1 << 15) - *entry) >> rate;
        }
    }
    cdf[n] = count + u16::from(count < 32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// The decoder exactly as the specification writes it, one bit at a time.
    struct Reference<'a> {
        bytes: &'a [u8],
        position: usize,
        value: u32,
        range: u32,
    }

    impl Reference<'_> {
        fn new(bytes: &[u8]) -> Reference<'_> {
            let mut r = Reference { bytes, position: 0, value: 0, range: 1 << 15 };
            let buf = (0..15).fold(0, |x, _| x << 1 | r.bit());
            r.value = ((1 << 15) - 1) ^ buf;
            r
        }

        fn bit(&mut self) -> u32 {
            let byte = self.bytes.get(self.position / 8).copied().unwrap_or(0);
            let bit = byte >> (7 - self.position % 8) & 1;
            self.position += 1;
            u32::from(bit)
        }

        fn read_symbol(&mut self, cdf: &mut [u16]) -> usize {
            let n = cdf.len() - 1;
            let mut cur = self.range;
            let mut symbol = 0;
            let mut prev;
            loop {
                prev = cur;
                let f = (1 << 15) - u32::from(cdf[symbol]);
                cur = (((self.range >> 8) * (f >> EC_PROB_SHIFT)) >> (7 - EC_PROB_SHIFT))
                    + EC_MIN_PROB * (n - symbol - 1) as u32;
                if self.value >= cur {
                    break;
                }
                symbol += 1;
            }
            self.range = prev - cur;
            self.value -= cur;
            while self.range < 1 << 15 {
                self.range <<= 1;
                self.value = self.bit() ^ (((self.value + 1) << 1) - 1);
            }
            let rate = 3 + usize::from(cdf[n] > 15) + usize::from(cdf[n] > 31) + (n.ilog2() as usize).min(2);
            for (i, entry) in cdf[..n - 1].iter_mut().enumerate() {
                let tmp = if i >= symbol { 1 << 15 } else { 0 };
                if tmp < *entry {
                    *entry -= (*entry - tmp) >> rate;
                } else {
                    *entry += (tmp - *entry) >> rate;
                }
            }
            cdf[n] += u16::from(cdf[n] < 32);
            symbol
        }
    }

    #[test]
    fn every_symbol_and_position_equals_the_specification() {
        let mut random = Random::new(1);
        for _ in 0..50 {
            let bytes = random.bytes(150);
            let mut reference = Reference::new(&bytes);
            let mut decoder = SymbolDecoder::init_symbol(&bytes, false).unwrap();
            let (mut three, mut eight) = ([9000, 20000, 32768, 0], [1, 2, 3000, 3001, 9000, 20000, 32767, 32768, 0]);
            let (mut three_too, mut eight_too) = (three, eight);
            for choice in random.bytes(900) {
                assert_eq!(decoder.tell() + 15, reference.position);
                assert_eq!(decoder.range(), reference.range);
                assert_eq!(decoder.check().is_ok(), decoder.tell() < bytes.len() * 8);
                match choice % 3 {
                    0 => assert_eq!(decoder.read_symbol(&mut three), reference.read_symbol(&mut three_too)),
                    1 => assert_eq!(decoder.read_symbol(&mut eight), reference.read_symbol(&mut eight_too)),
                    _ => {
                        let bit = reference.read_symbol(&mut [1 << 14, 1 << 15, 0]);
                        assert_eq!(usize::from(decoder.read_bool()), bit);
                    }
                }
                assert_eq!((three, eight), (three_too, eight_too));
            }
        }
    }

    #[test]
    fn cdfs_stay_as_they_are_where_they_do_not_adapt() {
        let mut cdf = [9000, 20000, 32768, 0];
        let mut decoder = SymbolDecoder::init_symbol(&[0x5a; 20], true).unwrap();
        for _ in 0..50 {
            decoder.read_symbol(&mut cdf);
        }
        assert_eq!(cdf, [9000, 20000, 32768, 0]);
    }

    #[test]
    fn a_one_and_zeros_must_follow_the_last_symbol() {
        let bytes = [0x12, 0x34, 0x50, 0];
        let mut decoder = SymbolDecoder::init_symbol(&bytes, false).unwrap();
        while decoder.tell() < 19 {
            assert!(decoder.exit_symbol().is_err());
            decoder.read_literal(1);
        }
        assert_eq!(decoder.tell(), 19);
        assert_eq!(decoder.exit_symbol(), Ok(13));
        while decoder.tell() < 32 {
            decoder.read_literal(1);
            assert!(decoder.exit_symbol().is_err());
        }
        assert!(SymbolDecoder::init_symbol(&[], false).is_err());
    }
}
