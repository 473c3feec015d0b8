//! The arithmetic encoder of H.264 (9.3.4.2), a bit at a time, as the specification writes it.

use crate::bit_writer::BitWriter;
use crate::cabac::{Context, RANGE_TAB_LPS, next_context};

pub struct CabacEncoder {
    /// `codILow`, `codIRange`.
    low: u32,
    range: u32,
    /// `bitsOutstanding`.
    outstanding: u32,
    /// `firstBitFlag`.
    is_first: bool,
    bits: BitWriter,
}

impl Default for CabacEncoder {
    /// The initialisation of 9.3.4.1.
    fn default() -> Self {
        Self { low: 0, range: 510, outstanding: 0, is_first: true, bits: BitWriter::default() }
    }
}

impl CabacEncoder {
    /// `EncodeDecision` (9.3.4.2).
    pub fn decision(&mut self, context: &mut Context, bin: bool) {
        let lps_range = u32::from(RANGE_TAB_LPS[usize::from(*context >> 1)][(self.range >> 6 & 3) as usize]);
        self.range -= lps_range;
        let is_lps = bin != (*context & 1 == 1);
        if is_lps {
            self.low += self.range;
            self.range = lps_range;
        }
        *context = next_context(*context, is_lps);
        self.renormalise();
    }

    /// `EncodeTerminate` (9.3.4.5) of a bin that is 0.
    pub fn go_on(&mut self) {
        self.range -= 2;
        self.renormalise();
    }

    /// `EncodeTerminate` of a bin that is 1, and `EncodeFlush`: all bits but the last, which is the `rbsp_stop_one_bit`.
    pub fn finish(mut self) -> BitWriter {
        self.low += self.range - 2;
        self.range = 2;
        self.renormalise();
        self.put(self.low >> 9 & 1 == 1);
        self.bits.push(self.low >> 8 & 1 == 1);
        self.bits
    }

    /// `RenormE` (9.3.4.3).
    fn renormalise(&mut self) {
        while self.range < 256 {
            if self.low < 256 {
                self.put(false);
            } else if self.low >= 512 {
                self.low -= 512;
                self.put(true);
            } else {
                self.low -= 256;
                self.outstanding += 1;
            }
            self.range <<= 1;
            self.low <<= 1;
        }
    }

    /// `PutBit` (9.3.4.4).
    fn put(&mut self, bit: bool) {
        if self.is_first {
            self.is_first = false;
        } else {
            self.bits.push(bit);
        }
        for _ in 0..std::mem::take(&mut self.outstanding) {
            self.bits.push(!bit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cabac::Cabac;
    use crate::random::Random;

    #[test]
    fn the_decoder_reads_back_any_bins() {
        let mut random = Random::new(1);
        for probability in [2, 7, 250] {
            let bins: Vec<(usize, bool)> = (0..2000)
                .map(|_| {
                    let number = random.next();
                    ((number >> 8) as usize % 5, (number >> 16) % 256 < probability)
                })
                .collect();
            let mut encoder = CabacEncoder::default();
            let mut contexts = [0, 21, 60, 91, 124];
            for &(context, bin) in &bins {
                encoder.decision(&mut contexts[context], bin);
                encoder.go_on();
            }
            let bits = encoder.finish();
            let bytes = bits.bytes();
            let mut decoder = Cabac::new(&bytes, 0).unwrap();
            let mut contexts = [0, 21, 60, 91, 124];
            for &(context, bin) in &bins {
                assert_eq!(decoder.decision(&mut contexts[context]), bin);
                assert!(!decoder.terminate());
            }
            assert!(decoder.terminate());
        }
    }
}
