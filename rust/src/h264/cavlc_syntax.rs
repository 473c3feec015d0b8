//! Macroblock syntax elements in Exp-Golomb codes and CAVLC (9.1, 9.2).

use super::mb_type::{MbType, SubMbType};
use super::syntax::{BlockContext, CAT_CHROMA_DC, MacroblockSyntax, PatternNeighbours, UNAVAILABLE};
use super::vlc_tables as tables;
use super::vlc_tables::Code;
use crate::bits::BitReader;
use crate::error::{Error, Result};

/// Table 9-4: `coded_block_pattern` of `codeNum` where chroma is coded with it, for inter and intra prediction.
#[rustfmt::skip]
const CODED_BLOCK_PATTERN: [[u8; 48]; 2] = [
    [ 0, 16,  1,  2,  4,  8, 32,  3,  5, 10, 12, 15, 47,  7, 11, 13, 14,  6,  9, 31, 35, 37, 42, 44,
     33, 34, 36, 40, 39, 43, 45, 46, 17, 18, 20, 24, 19, 21, 26, 28, 23, 27, 29, 30, 22, 25, 38, 41],
    [47, 31, 15,  0, 23, 27, 29, 30,  7, 11, 13, 14, 39, 43, 45, 46, 16,  3,  5, 10, 12, 19, 21, 26,
     28, 35, 37, 42, 44,  1,  2,  4,  8, 17, 18, 20, 24,  6,  9, 22, 25, 32, 33, 34, 36, 40, 38, 41],
];
/// Table 9-4 for 4:0:0 and 4:4:4.
#[rustfmt::skip]
const CODED_BLOCK_PATTERN_LUMA: [[u8; 16]; 2] = [
    [ 0, 1, 2, 4, 8, 3, 5, 10, 12, 15, 7, 11, 13, 14, 6, 9],
    [15, 0, 7, 11, 13, 14, 3, 5, 10, 12, 1, 2, 4, 8, 6, 9],
];

/// A code found by its leading zeros and the bits behind the first one: its length and its position in the table.
#[derive(Clone, Copy)]
struct Entry {
    length: u8,
    symbol: u8,
}

/// Bits of a code that matter behind its first one.
const TAIL_BITS: u32 = 3;

type Lookup = [[Entry; 1 << TAIL_BITS]; 17];

/// Entries of length 0 stand for no code.
const fn lookup(codes: &[Code]) -> Lookup {
    let mut table = [[Entry { length: 0, symbol: 0 }; 1 << TAIL_BITS]; 17];
    let mut symbol = 0;
    while symbol < codes.len() {
        let (length, value) = codes[symbol];
        let entry = Entry { length, symbol: symbol as u8 };
        if length > 0 && value == 0 {
            // Nothing but zeros: whatever follows, there are at least as many.
            let mut zeros = length as usize;
            while zeros < 17 {
                table[zeros] = [entry; 1 << TAIL_BITS];
                zeros += 1;
            }
        } else if length > 0 {
            let significant = 8 - value.leading_zeros();
            let tail = significant - 1;
            assert!(tail <= TAIL_BITS);
            let zeros = length as u32 - significant;
            let first = (value as usize & ((1 << tail) - 1)) << (TAIL_BITS - tail);
            let mut i = 0;
            while i < 1 << (TAIL_BITS - tail) {
                table[zeros as usize][first + i] = entry;
                i += 1;
            }
        }
        symbol += 1;
    }
    table
}

const fn lookups<const N: usize>(codes: [&[Code]; N]) -> [Lookup; N] {
    let mut all = [[[Entry { length: 0, symbol: 0 }; 1 << TAIL_BITS]; 17]; N];
    let mut i = 0;
    while i < N {
        all[i] = lookup(codes[i]);
        i += 1;
    }
    all
}

static COEFF_TOKEN: [Lookup; 3] =
    lookups([&tables::COEFF_TOKEN_NC_0, &tables::COEFF_TOKEN_NC_2, &tables::COEFF_TOKEN_NC_4]);
static COEFF_TOKEN_CHROMA_DC: [Lookup; 2] =
    lookups([&tables::COEFF_TOKEN_CHROMA_DC_420, &tables::COEFF_TOKEN_CHROMA_DC_422]);
static TOTAL_ZEROS_4X4: [Lookup; 15] = lookups(tables::TOTAL_ZEROS_4X4);
static TOTAL_ZEROS_CHROMA_DC_420: [Lookup; 3] = lookups(tables::TOTAL_ZEROS_CHROMA_DC_420);
static TOTAL_ZEROS_CHROMA_DC_422: [Lookup; 7] = lookups(tables::TOTAL_ZEROS_CHROMA_DC_422);
static RUN_BEFORE: [Lookup; 7] = lookups(tables::RUN_BEFORE);

pub struct CavlcSyntax<'a> {
    reader: BitReader<'a>,
}

impl<'a> CavlcSyntax<'a> {
    /// `reader` stands where slice data begins.
    pub fn new(reader: BitReader<'a>) -> Self {
        Self { reader }
    }

    pub fn reader(&mut self) -> &mut BitReader<'a> {
        &mut self.reader
    }

    fn corrupt(&self, what: &'static str) -> Error {
        Error::corrupt(what, self.reader.pos())
    }

    #[inline(always)]
    fn code(&mut self, table: &Lookup) -> Result<u32> {
        let bits = self.reader.peek(20);
        let zeros = (bits << 12 | 1 << 15).leading_zeros();
        let tail = bits << (zeros + 13) >> (32 - TAIL_BITS);
        let entry = table[zeros as usize][tail as usize];
        if entry.length == 0 {
            return Err(self.corrupt("no such CAVLC code"));
        }
        self.reader.skip(usize::from(entry.length));
        Ok(u32::from(entry.symbol))
    }

    /// `TotalCoeff` and `TrailingOnes` (9.2.1).
    #[inline(always)]
    fn coeff_token(&mut self, block: BlockContext) -> Result<(u32, u32)> {
        let symbol = if block.category == CAT_CHROMA_DC {
            self.code(&COEFF_TOKEN_CHROMA_DC[usize::from(block.max_coefficients == 8)])?
        } else {
            match n_c(block.a, block.b) {
                0 | 1 => self.code(&COEFF_TOKEN[0])?,
                2 | 3 => self.code(&COEFF_TOKEN[1])?,
                4..=7 => self.code(&COEFF_TOKEN[2])?,
                // Six bits: TotalCoeff - 1 and TrailingOnes; 3 stands for no coefficient.
                _ => match self.reader.u(6) {
                    3 => 0,
                    bits => bits + 4,
                },
            }
        };
        let (total_coeff, trailing_ones) = (symbol >> 2, symbol & 3);
        if total_coeff > block.max_coefficients || trailing_ones > total_coeff {
            return Err(self.corrupt("coeff_token announces more coefficients than the block has"));
        }
        Ok((total_coeff, trailing_ones))
    }

    // 9.2.2
    #[inline(always)]
    fn levels(&mut self, total_coeff: u32, trailing_ones: u32) -> Result<()> {
        self.reader.skip(trailing_ones as usize);
        let mut suffix_length = u32::from(total_coeff > 10 && trailing_ones < 3);
        for i in trailing_ones..total_coeff {
            let window = self.reader.peek(32);
            let level_prefix = window.leading_zeros();
            if level_prefix > 25 {
                return Err(self.corrupt("level_prefix above 25"));
            }
            self.reader.skip(level_prefix as usize + 1);
            // 7.4.5.3.2: levelSuffixSize
            let suffix_size = match (level_prefix, suffix_length) {
                (14, 0) => 4,
                (15.., _) => level_prefix - 3,
                _ => suffix_length,
            };
            let level_suffix = self.reader.u(suffix_size);
            let mut level_code = (level_prefix.min(15) << suffix_length) + level_suffix;
            if level_prefix >= 15 && suffix_length == 0 {
                level_code += 15;
            }
            if level_prefix >= 16 {
                level_code += (1 << (level_prefix - 3)) - 4096;
            }
            if i == trailing_ones && trailing_ones < 3 {
                level_code += 2;
            }
            suffix_length = suffix_length.max(1);
            let magnitude = (level_code + 2) >> 1;
            if magnitude > 3 << (suffix_length - 1) && suffix_length < 6 {
                suffix_length += 1;
            }
        }
        Ok(())
    }

    // 9.2.3
    #[inline(always)]
    fn runs(&mut self, total_coeff: u32, block: BlockContext) -> Result<()> {
        if total_coeff == block.max_coefficients {
            return Ok(());
        }
        let index = total_coeff as usize - 1;
        let mut zeros_left = match (block.category, block.max_coefficients) {
            (CAT_CHROMA_DC, 4) => self.code(&TOTAL_ZEROS_CHROMA_DC_420[index])?,
            (CAT_CHROMA_DC, _) => self.code(&TOTAL_ZEROS_CHROMA_DC_422[index])?,
            _ => self.code(&TOTAL_ZEROS_4X4[index])?,
        };
        if zeros_left + total_coeff > block.max_coefficients {
            return Err(self.corrupt("total_zeros beyond the block"));
        }
        for _ in 1..total_coeff {
            if zeros_left == 0 {
                break;
            }
            let run_before = self.code(&RUN_BEFORE[zeros_left.min(7) as usize - 1])?;
            zeros_left = zeros_left
                .checked_sub(run_before)
                .ok_or_else(|| self.corrupt("run_before beyond the zeros that are left"))?;
        }
        Ok(())
    }
}

/// `nC` (9.2.1).
#[inline(always)]
fn n_c(a: u8, b: u8) -> u8 {
    let sum = a + b;
    // At most 16 each: a sum of UNAVAILABLE and above is one neighbour's own number, or none.
    if sum < UNAVAILABLE { (sum + 1) >> 1 } else { sum & (UNAVAILABLE - 1) }
}

impl MacroblockSyntax for CavlcSyntax<'_> {
    const IS_CABAC: bool = false;

    fn begin_macroblock(&mut self, _is_field: bool) {}

    #[inline(always)]
    fn tell(&self) -> usize {
        self.reader.pos()
    }

    fn unspent(&self) -> f32 {
        0.0
    }

    fn check(&self) -> Result<()> {
        self.reader.check()
    }

    fn mb_type_i(&mut self, _: usize) -> Result<MbType> {
        let mb_type = self.reader.ue()?;
        MbType::intra(mb_type).ok_or_else(|| self.corrupt("mb_type out of range"))
    }

    fn mb_type_p(&mut self) -> Result<MbType> {
        let mb_type = self.reader.ue()?;
        MbType::p(mb_type).ok_or_else(|| self.corrupt("mb_type out of range"))
    }

    fn mb_type_b(&mut self, _: usize) -> Result<MbType> {
        let mb_type = self.reader.ue()?;
        MbType::b(mb_type).ok_or_else(|| self.corrupt("mb_type out of range"))
    }

    fn mb_type_si(&mut self) -> Result<MbType> {
        match self.reader.ue()? {
            0 => Ok(MbType::Si),
            mb_type => MbType::intra(mb_type - 1).ok_or_else(|| self.corrupt("mb_type out of range")),
        }
    }

    fn sub_mb_type_p(&mut self) -> Result<SubMbType> {
        let sub_mb_type = self.reader.ue()?;
        SubMbType::p(sub_mb_type).ok_or_else(|| self.corrupt("sub_mb_type out of range"))
    }

    fn sub_mb_type_b(&mut self) -> Result<SubMbType> {
        let sub_mb_type = self.reader.ue()?;
        SubMbType::b(sub_mb_type).ok_or_else(|| self.corrupt("sub_mb_type out of range"))
    }

    fn mb_field_decoding_flag(&mut self, _: usize) -> bool {
        self.reader.flag()
    }

    fn transform_size_8x8_flag(&mut self, _: usize) -> bool {
        self.reader.flag()
    }

    fn intra_pred_mode(&mut self) {
        if !self.reader.flag() {
            self.reader.skip(3);
        }
    }

    fn intra_chroma_pred_mode(&mut self, _: usize) -> Result<bool> {
        let mode = self.reader.ue()?;
        if mode > 3 {
            return Err(self.corrupt("intra_chroma_pred_mode above 3"));
        }
        Ok(mode != 0)
    }

    fn coded_block_pattern(&mut self, _: PatternNeighbours, is_intra: bool, has_chroma: bool) -> Result<u8> {
        let code_num = self.reader.ue()? as usize;
        let intra = usize::from(is_intra);
        let pattern = match has_chroma {
            true => CODED_BLOCK_PATTERN[intra].get(code_num),
            false => CODED_BLOCK_PATTERN_LUMA[intra].get(code_num),
        };
        pattern.copied().ok_or_else(|| self.corrupt("coded_block_pattern out of range"))
    }

    fn mb_qp_delta(&mut self, _: bool) -> Result<i32> {
        self.reader.se()
    }

    fn ref_idx(&mut self, num_ref_idx_active: u32, _: usize) -> Result<u8> {
        let value = self.reader.te(num_ref_idx_active - 1)?;
        if value >= num_ref_idx_active {
            return Err(self.corrupt("ref_idx beyond the active references"));
        }
        Ok(value as u8)
    }

    fn mvd(&mut self, _: usize, _: u32) -> Result<u8> {
        self.reader.se()?;
        Ok(0)
    }

    fn residual_block(&mut self, block: BlockContext) -> Result<u8> {
        let (total_coeff, trailing_ones) = self.coeff_token(block)?;
        if total_coeff > 0 {
            self.levels(total_coeff, trailing_ones)?;
            self.runs(total_coeff, block)?;
        }
        Ok(total_coeff as u8)
    }

    fn residual_block_8x8(&mut self, _: usize) -> Result<()> {
        Err(self.corrupt("CAVLC has no 8x8 blocks"))
    }

    fn pcm_samples(&mut self, bits: usize) -> Result<usize> {
        let alignment = self.reader.pos().next_multiple_of(8) - self.reader.pos();
        self.reader.skip(alignment + bits);
        self.reader.check()?;
        Ok(alignment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_every_code_is_found(codes: &[Code], table: &Lookup) {
        for (symbol, &(length, value)) in codes.iter().enumerate().filter(|(_, code)| code.0 > 0) {
            // Whatever follows the code must not matter.
            for after in [0, u64::MAX] {
                let word = u64::from(value) << (64 - length) | after >> length;
                let bytes = word.to_be_bytes();
                let mut syntax = CavlcSyntax::new(BitReader::new(&bytes));
                assert_eq!(syntax.code(table).unwrap() as usize, symbol);
                assert_eq!(syntax.tell(), usize::from(length));
            }
        }
    }

    #[test]
    fn every_code_of_every_table_is_found() {
        assert_every_code_is_found(&tables::COEFF_TOKEN_NC_0, &COEFF_TOKEN[0]);
        assert_every_code_is_found(&tables::COEFF_TOKEN_NC_2, &COEFF_TOKEN[1]);
        assert_every_code_is_found(&tables::COEFF_TOKEN_NC_4, &COEFF_TOKEN[2]);
        assert_every_code_is_found(&tables::COEFF_TOKEN_CHROMA_DC_420, &COEFF_TOKEN_CHROMA_DC[0]);
        assert_every_code_is_found(&tables::COEFF_TOKEN_CHROMA_DC_422, &COEFF_TOKEN_CHROMA_DC[1]);
        let all = [
            (&tables::TOTAL_ZEROS_4X4[..], &TOTAL_ZEROS_4X4[..]),
            (&tables::TOTAL_ZEROS_CHROMA_DC_420[..], &TOTAL_ZEROS_CHROMA_DC_420[..]),
            (&tables::TOTAL_ZEROS_CHROMA_DC_422[..], &TOTAL_ZEROS_CHROMA_DC_422[..]),
            (&tables::RUN_BEFORE[..], &RUN_BEFORE[..]),
        ];
        for (codes, lookups) in all {
            codes.iter().zip(lookups).for_each(|(codes, table)| assert_every_code_is_found(codes, table));
        }
    }

    #[test]
    fn coded_block_patterns_are_permutations() {
        for patterns in CODED_BLOCK_PATTERN {
            let mut sorted = patterns;
            sorted.sort_unstable();
            assert!(sorted.iter().zip(0..).all(|(&pattern, i)| pattern == i));
        }
    }
}
