//! The arithmetic decoder that H.264 (9.3) and HEVC (9.3.4.3) share, counting exactly the bits that it consumes.
//!
//! A bin's cost is what renormalisation shifts in, a bypass bin's one bit: `tell` tells their sum plus the 9 bits
//! of start-up, that is, how far the specification's decoder has read.

use std::sync::LazyLock;

use crate::error::{Error, Result};

/// Bits that the decoder reads before its first bin (9.3.1.2; 9.3.2.5 of HEVC).
pub const START_UP_BITS: usize = 9;

/// Table 9-44 of H.264 (9-46 of HEVC): `rangeTabLPS[pStateIdx][qCodIRangeIdx]`.
#[rustfmt::skip]
pub const RANGE_TAB_LPS: [[u8; 4]; 64] = [
    [128, 176, 208, 240], [128, 167, 197, 227], [128, 158, 187, 216], [123, 150, 178, 205],
    [116, 142, 169, 195], [111, 135, 160, 185], [105, 128, 152, 175], [100, 122, 144, 166],
    [95, 116, 137, 158], [90, 110, 130, 150], [85, 104, 123, 142], [81, 99, 117, 135],
    [77, 94, 111, 128], [73, 89, 105, 122], [69, 85, 100, 116], [66, 80, 95, 110],
    [62, 76, 90, 104], [59, 72, 86, 99], [56, 69, 81, 94], [53, 65, 77, 89],
    [51, 62, 73, 85], [48, 59, 69, 80], [46, 56, 66, 76], [43, 53, 63, 72],
    [41, 50, 59, 69], [39, 48, 56, 65], [37, 45, 54, 62], [35, 43, 51, 59],
    [33, 41, 48, 56], [32, 39, 46, 53], [30, 37, 43, 50], [29, 35, 41, 48],
    [27, 33, 39, 45], [26, 31, 37, 43], [24, 30, 35, 41], [23, 28, 33, 39],
    [22, 27, 32, 37], [21, 26, 30, 35], [20, 24, 29, 33], [19, 23, 27, 31],
    [18, 22, 26, 30], [17, 21, 25, 28], [16, 20, 23, 27], [15, 19, 22, 25],
    [14, 18, 21, 24], [14, 17, 20, 23], [13, 16, 19, 22], [12, 15, 18, 21],
    [12, 14, 17, 20], [11, 14, 16, 19], [11, 13, 15, 18], [10, 12, 15, 17],
    [10, 12, 14, 16], [9, 11, 13, 15], [9, 11, 12, 14], [8, 10, 12, 14],
    [8, 9, 11, 13], [7, 9, 11, 12], [7, 9, 10, 12], [7, 8, 10, 11],
    [6, 8, 9, 11], [6, 7, 9, 10], [6, 7, 8, 9], [2, 2, 2, 2],
];

/// Table 9-45 of H.264 (9-47 of HEVC).
#[rustfmt::skip]
const TRANS_IDX_LPS: [u8; 64] = [
    0, 0, 1, 2, 2, 4, 4, 5, 6, 7, 8, 9, 9, 11, 11, 12,
    13, 13, 15, 15, 16, 16, 18, 18, 19, 19, 21, 21, 22, 22, 23, 24,
    24, 25, 26, 26, 27, 27, 28, 29, 29, 30, 30, 30, 31, 32, 32, 33,
    33, 33, 34, 34, 35, 35, 35, 36, 36, 36, 37, 37, 37, 38, 38, 63,
];

/// A context variable: `pStateIdx << 1 | valMPS`.
pub type Context = u8;

/// `RANGE_TAB_LPS` indexed by bits 6 and 7 of the range, moved up by two, and by context. Contexts are below 128; the
/// other half of this table and those below spares a check.
static RANGE_LPS: [u8; 1024] = {
    let mut table = [0; 1024];
    let mut i = 0;
    while i < 512 {
        table[(i >> 7) << 8 | i & 127] = RANGE_TAB_LPS[(i & 127) >> 1][i >> 7];
        i += 1;
    }
    table
};

/// Next context after the most (`[0]`) and the least (`[1]`) probable symbol.
static NEXT: [[Context; 256]; 2] = next_contexts();

const fn next_contexts() -> [[Context; 256]; 2] {
    let mut table = [[0; 256]; 2];
    let mut i = 0;
    while i < 128 {
        let (state, mps) = (i as u8 >> 1, i as u8 & 1);
        let up = if state < 62 { state + 1 } else { state };
        table[0][i] = up << 1 | mps;
        let flipped = if state == 0 { 1 - mps } else { mps };
        table[1][i] = TRANS_IDX_LPS[state as usize] << 1 | flipped;
        i += 1;
    }
    table
}

/// The context after a bin that was the least probable symbol, or was not.
pub fn next_context(context: Context, is_lps: bool) -> Context {
    NEXT[usize::from(is_lps)][usize::from(context)]
}

/// For each value of bits 6 and 7 of the range, from the lowest bits up: the range of the less probable symbol, and
/// by how many bits renormalisation then shifts it, 8 bits each.
type LpsRow = u64;

const fn lps_row(context: Context) -> LpsRow {
    let mut row = 0;
    let mut i = 0;
    while i < 4 {
        let range = RANGE_TAB_LPS[context as usize >> 1][i];
        let shift = range.leading_zeros() as u64 + 1;
        row |= (range as u64 | shift << 8) << (16 * i);
        i += 1;
    }
    row
}

/// What `decisions` looks up of a context: its own row, and context and row after the more probable symbol, each
/// with the bits that the less probable one flips. So both outcomes are loaded before it is known which one comes.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Prospect {
    row: LpsRow,
    next_row: LpsRow,
    next_row_flip: LpsRow,
    next_context: Context,
    next_context_flip: Context,
}

static PROSPECTS: [Prospect; 256] = {
    let next = next_contexts();
    let mut table = [Prospect { row: 0, next_row: 0, next_row_flip: 0, next_context: 0, next_context_flip: 0 }; 256];
    let mut i = 0;
    while i < 128 {
        let (mps, lps) = (next[0][i], next[1][i]);
        table[i] = Prospect {
            row: lps_row(i as Context),
            next_row: lps_row(mps),
            next_row_flip: lps_row(mps) ^ lps_row(lps),
            next_context: mps,
            next_context_flip: mps ^ lps,
        };
        i += 1;
    }
    table
};

/// `pStateIdx` and `valMPS` from `preCtxState` (9-5 of H.264, 9-6 of HEVC), which is clipped to 1..=126.
pub fn context_from_pre_ctx_state(pre_ctx_state: i32) -> Context {
    let pre = pre_ctx_state.clamp(1, 126) as u8;
    if pre <= 63 { (63 - pre) << 1 } else { (pre - 64) << 1 | 1 }
}

/// `-log2(range / 512)` of ranges from 256 to 511.
static UNSPENT: LazyLock<[f32; 256]> = LazyLock::new(|| std::array::from_fn(|i| 1.0 - (1.0 + i as f32 / 256.0).log2()));

/// Bits that `offset` keeps in hand below the 9 of the specification's register; a bin takes at most 8.
const LOW_WATER: u32 = 16;

/// Bypass bins that can be told at once: what `offset` has in hand at its lowest.
pub const WINDOW: u32 = LOW_WATER;

/// Dividends have 9 + `WINDOW` bits and divisors 9, so that quotients are exact from 34 bits of reciprocal on.
const RECIPROCAL_SHIFT: u32 = 36;

/// `2^RECIPROCAL_SHIFT / range`, rounded up, for each range from 256 to 511.
static RECIPROCAL: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = (1u64 << RECIPROCAL_SHIFT).div_ceil(256 + i as u64) as u32;
        i += 1;
    }
    table
};

/// Bits of `offset` below the register. One bit above it stays free for bypass bins.
const BELOW: u32 = 54;

/// The decoding engine. `offset` holds `codIOffset` and, below it, `bits` more bits of the stream.
#[derive(Debug, Clone)]
pub struct Cabac<'a> {
    bytes: &'a [u8],
    next: usize,
    offset: u64,
    range: u32,
    bits: u32,
}

impl<'a> Cabac<'a> {
    /// Starts at a byte of `bytes` (9.3.1.2); reading past the end gives zeros, which `check` catches.
    pub fn new(bytes: &'a [u8], start: usize) -> Result<Self> {
        let mut engine = Self { bytes, next: start, offset: 0, range: 510, bits: 0 };
        engine.offset = u64::from(engine.load()) << 31;
        engine.bits = 32 - START_UP_BITS as u32;
        if engine.offset >> BELOW >= 510 {
            return Err(Error::corrupt("arithmetic decoder starts out of range", start * 8));
        }
        Ok(engine)
    }

    #[inline(always)]
    fn load(&mut self) -> u32 {
        let at = self.next;
        self.next += 4;
        match self.bytes.get(at..at + 4) {
            Some(b) => u32::from_be_bytes([b[0], b[1], b[2], b[3]]),
            None => load_at_end(self.bytes, at),
        }
    }

    /// Shifts `n` bits, at most `LOW_WATER`, into the register.
    #[inline(always)]
    fn shift(&mut self, n: u32) {
        self.offset <<= n;
        self.bits -= n;
        if self.bits < LOW_WATER {
            self.offset |= u64::from(self.load()) << (BELOW - 32 - self.bits);
            self.bits += 32;
        }
    }

    /// Position of the next bit that the specification's decoder would read, from the start of `bytes`.
    #[inline(always)]
    pub fn tell(&self) -> usize {
        self.next * 8 - self.bits as usize
    }

    /// `-log2(codIRange / 512)`, in bits: grows by what a bin costs beyond the whole bits that it consumes.
    #[inline]
    pub fn unspent(&self) -> f32 {
        UNSPENT[(self.range & 255) as usize]
    }

    /// `DecodeDecision` (9.3.3.2.1). The more probable symbol is guessed by a branch: a bin mostly steers what is
    /// parsed next, where the wrong guess would be made anyway.
    #[inline(always)]
    pub fn decision(&mut self, context: &mut Context) -> bool {
        let state = usize::from(*context);
        let lps_range = u32::from(RANGE_LPS[(self.range as usize & 0xc0) << 2 | state]);
        let mps_range = self.range - lps_range;
        let scaled = u64::from(mps_range) << BELOW;
        if self.offset < scaled {
            *context = NEXT[0][state];
            // At most one bit, for it is never below 128.
            let shift = (mps_range >> 8) ^ 1;
            self.range = mps_range << shift;
            self.shift(shift);
            return state & 1 == 1;
        }
        less_probable();
        *context = NEXT[1][state];
        self.offset -= scaled;
        let shift = lps_range.leading_zeros() - 23;
        self.range = lps_range << shift;
        self.shift(shift);
        state & 1 == 0
    }

    /// A run of bins whose contexts are known beforehand, bin `count - 1` first and bin 0 last, each at the place of
    /// its number in the result. `index` tells where a bin's context is.
    ///
    /// Nothing depends on the single bin here, so that none is guessed: both outcomes are worked out and one picked.
    /// What that has to wait for is a context that comes twice in a row, hence the prospects.
    #[inline(always)]
    pub fn decisions(&mut self, contexts: &mut [Context; 256], count: usize, index: impl Fn(usize) -> u8) -> u32 {
        let mut bins = 0;
        let mut place = None;
        let (mut context, mut row) = (0, 0);
        for n in (0..count).rev() {
            let index = index(n);
            if place != Some(index) {
                place = Some(index);
                context = contexts[usize::from(index)];
                row = PROSPECTS[usize::from(context)].row;
            }
            let prospect = &PROSPECTS[usize::from(context)];
            let is_lps = self.decision_without_guess(row);
            bins = bins << 1 | u32::from((context & 1) ^ u8::from(is_lps));
            context = prospect.next_context ^ (prospect.next_context_flip & u8::from(is_lps).wrapping_neg());
            row = prospect.next_row ^ (prospect.next_row_flip & u64::from(is_lps).wrapping_neg());
            contexts[usize::from(index)] = context;
        }
        bins
    }

    /// Tells whether the less probable symbol came.
    #[inline(always)]
    fn decision_without_guess(&mut self, row: LpsRow) -> bool {
        let lps = row >> ((self.range >> 2) & 0x30);
        let (lps_range, lps_shift) = (lps as u32 & 255, (lps >> 8) as u32 & 255);
        let mps_range = self.range - lps_range;
        let mps_shift = (mps_range >> 8) ^ 1;
        let scaled = u64::from(mps_range) << BELOW;
        let is_lps = self.offset >= scaled;
        let mask = u32::from(is_lps).wrapping_neg();
        let (mps_renormalised, lps_renormalised) = (mps_range << mps_shift, lps_range << (lps_shift & 31));
        self.range = mps_renormalised ^ ((mps_renormalised ^ lps_renormalised) & mask);
        self.offset -= scaled & u64::from(is_lps).wrapping_neg();
        self.shift(mps_shift ^ ((mps_shift ^ lps_shift) & mask));
        is_lps
    }

    /// `DecodeBypass` (9.3.3.2.3).
    #[inline(always)]
    pub fn bypass(&mut self) -> bool {
        self.shift(1);
        let scaled = u64::from(self.range) << BELOW;
        let one = self.offset >= scaled;
        self.offset -= scaled & u64::from(one).wrapping_neg();
        one
    }

    /// The next `WINDOW` bypass bins as a number, first bin most significant, without consuming them.
    ///
    /// Bypass bins are the binary digits of `offset / range`, so that one multiplication gives many of them.
    #[inline(always)]
    pub fn peek_bypass(&self) -> u32 {
        let dividend = self.offset >> (BELOW - WINDOW);
        ((dividend * u64::from(RECIPROCAL[(self.range & 255) as usize])) >> RECIPROCAL_SHIFT) as u32
    }

    /// Consumes the first `n` (0 to `WINDOW`) of the bins that `peek_bypass` gave, and tells them.
    #[inline(always)]
    pub fn take_bypass(&mut self, peeked: u32, n: u32) -> u32 {
        let value = peeked >> (WINDOW - n);
        self.offset -= (u64::from(value) * u64::from(self.range)) << (BELOW - n);
        self.shift(n);
        value
    }

    /// `n` bypass bins (0 to 32) as a number, first bin most significant.
    #[inline(always)]
    pub fn bypass_bits(&mut self, n: u32) -> u32 {
        if n <= WINDOW {
            return self.take_bypass(self.peek_bypass(), n);
        }
        let high = self.take_bypass(self.peek_bypass(), WINDOW);
        high << (n - WINDOW) | self.take_bypass(self.peek_bypass(), n - WINDOW)
    }

    /// The alignment before aligned bypass bins (9.3.4.3.6 of HEVC).
    #[inline]
    pub fn align_bypass(&mut self) {
        self.range = 256;
    }

    /// `DecodeTerminate` (9.3.3.2.2.3). After a 1 the engine is done: `tell() - 1` is the last bit it used.
    #[inline(always)]
    pub fn terminate(&mut self) -> bool {
        self.range -= 2;
        if self.offset >= u64::from(self.range) << BELOW {
            return true;
        }
        let shift = (self.range >> 8) ^ 1;
        self.range <<= shift;
        self.shift(shift);
        false
    }

    /// Fails once the engine has read past `end`, a bit position in `bytes`.
    #[inline]
    pub fn check(&self, end: usize) -> Result<()> {
        if self.tell() > end {
            return Err(Error::corrupt("arithmetic-coded data runs past its end", end));
        }
        Ok(())
    }
}

/// Marks the path that the compiler should not expect.
#[cold]
fn less_probable() {}

#[cold]
fn load_at_end(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0u8; 4];
    let rest = bytes.get(at..).unwrap_or(&[]);
    word[..rest.len()].copy_from_slice(rest);
    u32::from_be_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// The decoder exactly as the specification writes it, one bit at a time.
    struct Reference<'a> {
        bytes: &'a [u8],
        pos: usize,
        range: u32,
        offset: u32,
    }

    impl Reference<'_> {
        fn new(bytes: &[u8]) -> Reference<'_> {
            let mut r = Reference { bytes, pos: 0, range: 510, offset: 0 };
            for _ in 0..9 {
                r.offset = r.offset << 1 | r.bit();
            }
            r
        }

        fn bit(&mut self) -> u32 {
            let byte = self.bytes.get(self.pos / 8).copied().unwrap_or(0);
            let bit = byte >> (7 - self.pos % 8) & 1;
            self.pos += 1;
            u32::from(bit)
        }

        fn decision(&mut self, state: &mut u8, mps: &mut bool) -> bool {
            let lps = u32::from(RANGE_TAB_LPS[usize::from(*state)][(self.range >> 6 & 3) as usize]);
            self.range -= lps;
            let bin = if self.offset >= self.range {
                self.offset -= self.range;
                self.range = lps;
                let bin = !*mps;
                if *state == 0 {
                    *mps = !*mps;
                }
                *state = TRANS_IDX_LPS[usize::from(*state)];
                bin
            } else {
                *state = if *state < 62 { *state + 1 } else { *state };
                *mps
            };
            while self.range < 256 {
                self.range <<= 1;
                self.offset = self.offset << 1 | self.bit();
            }
            bin
        }

        fn bypass(&mut self) -> bool {
            self.offset = self.offset << 1 | self.bit();
            let one = self.offset >= self.range;
            if one {
                self.offset -= self.range;
            }
            one
        }
    }

    #[test]
    fn every_bin_and_position_equals_the_specification() {
        let mut numbers = Random::new(1);
        let mut random = move || numbers.next() >> 16;
        for _ in 0..50 {
            let mut bytes: Vec<u8> = (0..200).map(|_| random() as u8).collect();
            bytes[0] &= 0x7f;
            let mut reference = Reference::new(&bytes);
            let mut engine = Cabac::new(&bytes, 0).unwrap();
            let mut states = [(0u8, false); 8];
            let mut contexts = [0u8; 256];
            for _ in 0..1200 {
                assert_eq!(engine.tell(), reference.pos);
                assert_eq!(engine.range, reference.range);
                assert!((engine.unspent() + (reference.range as f32 / 512.0).log2()).abs() < 1e-6);
                match random() % 10 {
                    9 => assert_eq!(engine.bypass(), reference.bypass()),
                    7 => {
                        let places: Vec<u8> = (0..random() % 16).map(|_| random() as u8 % 3).collect();
                        let bins = engine.decisions(&mut contexts, places.len(), |n| places[n]);
                        for (n, &place) in places.iter().enumerate().rev() {
                            let (state, mps) = &mut states[usize::from(place)];
                            assert_eq!(bins >> n & 1 == 1, reference.decision(state, mps));
                        }
                    }
                    8 => {
                        let n = random() % 33;
                        let bits = (0..n).fold(0, |value, _| value << 1 | u32::from(reference.bypass()));
                        assert_eq!(engine.bypass_bits(n), bits);
                    }
                    n => {
                        let i = n as usize % 8;
                        let (state, mps) = &mut states[i];
                        assert_eq!(engine.decision(&mut contexts[i]), reference.decision(state, mps));
                        assert_eq!(contexts[i], *state << 1 | u8::from(*mps));
                    }
                }
                if reference.pos > 1500 {
                    break;
                }
            }
        }
    }

    #[test]
    fn reciprocals_divide_exactly() {
        for range in 256..=510u64 {
            let reciprocal = u64::from(RECIPROCAL[range as usize & 255]);
            for quotient in (0..1 << WINDOW).step_by(13).chain([(1 << WINDOW) - 1]) {
                for dividend in [quotient * range, quotient * range + range - 1] {
                    assert_eq!((dividend * reciprocal) >> RECIPROCAL_SHIFT, quotient);
                }
            }
        }
    }

    #[test]
    fn reading_past_the_end_is_noticed() {
        let mut engine = Cabac::new(&[0x12, 0x34], 0).unwrap();
        assert!(engine.check(16).is_ok());
        (0..9).for_each(|_| _ = engine.bypass());
        assert!(engine.check(16).is_err());
    }
}
