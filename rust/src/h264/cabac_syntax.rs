//! Macroblock syntax elements in CABAC (9.3): binarisations and context indices.

use super::context_tables::CONTEXT_INIT;
use super::mb_type::{MbType, SubMbType};
use super::neighbours::MVD_MAX;
use super::slice_header::SliceHeader;
use super::syntax::{BlockContext, CAT_CHROMA_DC, MacroblockSyntax, PatternNeighbours};
use crate::cabac::{Cabac, Context, context_from_pre_ctx_state};
use crate::error::{Error, Result};

/// ctxIdx where the bins of each residual element begin, for `ctxBlockCat` 0 to 13 (tables 9-34 and 9-40).
#[rustfmt::skip]
const CODED_BLOCK_FLAG: [usize; 14] = [85, 89, 93, 97, 101, 1012, 460, 464, 468, 1016, 472, 476, 480, 1020];
/// In frame macroblocks, and in field macroblocks.
#[rustfmt::skip]
const SIGNIFICANT_COEFF_FLAG: [[usize; 14]; 2] = [
    [105, 120, 134, 149, 152, 402, 484, 499, 513, 660, 528, 543, 557, 718],
    [277, 292, 306, 321, 324, 436, 776, 791, 805, 675, 820, 835, 849, 733],
];
#[rustfmt::skip]
const LAST_SIGNIFICANT_COEFF_FLAG: [[usize; 14]; 2] = [
    [166, 181, 195, 210, 213, 417, 572, 587, 601, 690, 616, 631, 645, 748],
    [338, 353, 367, 382, 385, 451, 864, 879, 893, 699, 908, 923, 937, 757],
];
#[rustfmt::skip]
const COEFF_ABS_LEVEL_MINUS1: [usize; 14] =
    [227, 237, 247, 257, 266, 426, 952, 962, 972, 708, 982, 992, 1002, 766];

/// Table 9-43: ctxIdxInc of `significant_coeff_flag` in 8x8 blocks, of frame and field macroblocks.
#[rustfmt::skip]
const SIGNIFICANT_8X8: [[u8; 63]; 2] = [
    [ 0,  1,  2,  3,  4,  5,  5,  4,  4,  3,  3,  4,  4,  4,  5,  5,  4,  4,  4,  4,  3,
      3,  6,  7,  7,  7,  8,  9, 10,  9,  8,  7,  7,  6, 11, 12, 13, 11,  6,  7,  8,  9,
     14, 10,  9,  8,  6, 11, 12, 13, 11,  6,  9, 14, 10,  9, 11, 12, 13, 11, 14, 10, 12],
    [ 0,  1,  1,  2,  2,  3,  3,  4,  5,  6,  7,  7,  7,  8,  4,  5,  6,  9, 10, 10,  8,
     11, 12, 11,  9,  9, 10, 10,  8, 11, 12, 11,  9,  9, 10, 10,  8, 11, 12, 11,  9,  9,
     10, 10,  8, 13, 13,  9,  9, 10, 10,  8, 13, 13,  9,  9, 10, 10, 14, 14, 14, 14, 14],
];
/// Table 9-43: ctxIdxInc of `last_significant_coeff_flag` in 8x8 blocks.
#[rustfmt::skip]
const LAST_8X8: [u8; 63] = [
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4,
    4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8,
];

/// Keeps context indices within their table without a branch; none is above it.
const CONTEXT_MASK: usize = 1023;

/// Largest prefix of Exp-Golomb suffixes: values of more bits than any conforming stream has.
const MAX_SUFFIX_BITS: u32 = 24;

/// Contexts of the residual blocks of one `ctxBlockCat`, apart from the others so that they stay close together.
#[derive(Clone, Copy, Default)]
struct ResidualContexts {
    /// Of frame macroblocks, and of field macroblocks.
    maps: [SignificanceContexts; 2],
    levels: [Context; 16],
}

#[derive(Clone, Copy, Default)]
struct SignificanceContexts {
    significant: [Context; 16],
    last: [Context; 16],
}

impl ResidualContexts {
    fn new(contexts: &[Context; 1024], category: usize) -> Self {
        // Tables of 10 to 15 contexts: what a copy of 16 has too many is never used.
        let at = |ctx_idx: usize| std::array::from_fn(|i| contexts[(ctx_idx + i).min(1023)]);
        Self {
            maps: std::array::from_fn(|field| SignificanceContexts {
                significant: at(SIGNIFICANT_COEFF_FLAG[field][category]),
                last: at(LAST_SIGNIFICANT_COEFF_FLAG[field][category]),
            }),
            levels: at(COEFF_ABS_LEVEL_MINUS1[category]),
        }
    }
}

pub struct CabacSyntax<'a> {
    engine: Cabac<'a>,
    /// By ctxIdx; those of significance maps and levels live in `residual`.
    contexts: [Context; 1024],
    residual: [ResidualContexts; 14],
    /// 1 in field macroblocks.
    field: usize,
    bytes: &'a [u8],
    end: usize,
}

impl<'a> CabacSyntax<'a> {
    /// Starts at byte `start` of padded slice data that ends at bit `end`.
    pub fn new(bytes: &'a [u8], start: usize, end: usize, header: &SliceHeader) -> Result<Self> {
        let engine = Cabac::new(bytes, start)?;
        engine.check(end)?;
        let contexts = init_contexts(header);
        let residual = std::array::from_fn(|category| ResidualContexts::new(&contexts, category));
        Ok(Self { engine, contexts, residual, field: 0, bytes, end })
    }

    /// `mb_skip_flag`; `ctx_idx_inc` counts neighbours that are not skipped.
    pub fn mb_skip_flag(&mut self, is_b: bool, ctx_idx_inc: usize) -> bool {
        self.decision(if is_b { 24 } else { 11 } + ctx_idx_inc)
    }

    pub fn end_of_slice_flag(&mut self) -> bool {
        self.engine.terminate()
    }

    #[inline(always)]
    fn decision(&mut self, ctx_idx: usize) -> bool {
        self.engine.decision(&mut self.contexts[ctx_idx & CONTEXT_MASK])
    }

    #[inline(always)]
    fn bit(&mut self, ctx_idx: usize) -> u32 {
        u32::from(self.decision(ctx_idx))
    }

    fn corrupt(&self, what: &'static str) -> Error {
        Error::corrupt(what, self.engine.tell())
    }

    /// Bins of an intra type behind its first (table 9-36); in I slices contexts are told apart further.
    fn intra_mb_type(&mut self, ctx_idx: usize, in_i_slice: bool) -> u32 {
        if self.engine.terminate() {
            return 25;
        }
        let step = usize::from(in_i_slice);
        let mut mb_type = 1 + 12 * self.bit(ctx_idx);
        if self.decision(ctx_idx + 1) {
            mb_type += 4 + 4 * self.bit(ctx_idx + 1 + step);
        }
        mb_type += 2 * self.bit(ctx_idx + 2 + step);
        mb_type + self.bit(ctx_idx + 2 + 2 * step)
    }

    /// Intra types in P and B slices: prefix and suffix share what table 9-34 puts at `ctx_idx`.
    fn intra_in_inter_slice(&mut self, ctx_idx: usize) -> Option<MbType> {
        if !self.decision(ctx_idx) {
            return Some(MbType::INxN);
        }
        MbType::intra(self.intra_mb_type(ctx_idx + 1, false))
    }

    /// Coefficients of a block whose `coded_block_flag` is 1: significance map, then levels (7.3.5.3.3).
    /// `increments` are the ctxIdxInc of both flags for every coefficient but the last.
    #[inline(always)]
    fn coefficients(&mut self, category: usize, increments: impl Iterator<Item = (usize, usize)>) -> Result<()> {
        let contexts = &mut self.residual[category];
        let map = &mut contexts.maps[self.field];
        // A copy that the compiler keeps in registers.
        let mut engine = self.engine.clone();
        let mut count = 0;
        let mut ended = false;
        for (significant_inc, last_inc) in increments {
            if engine.decision(&mut map.significant[significant_inc & 15]) {
                count += 1;
                if engine.decision(&mut map.last[last_inc & 15]) {
                    ended = true;
                    break;
                }
            }
        }
        // The last coefficient is significant if no other one was said to be the last.
        count += u32::from(!ended);
        let most_greater = if category == CAT_CHROMA_DC { 3 } else { 4 };
        self.engine = levels(engine, &mut contexts.levels, most_greater, count)?;
        Ok(())
    }
}

/// `coeff_abs_level_minus1` and `coeff_sign_flag` of `count` coefficients (9.3.3.1.3).
#[inline(always)]
fn levels<'a>(
    mut engine: Cabac<'a>,
    contexts: &mut [Context; 16],
    most_greater: usize,
    count: u32,
) -> Result<Cabac<'a>> {
    let (mut equal_1, mut greater_1) = (0, 0);
    for _ in 0..count {
        let first = if greater_1 > 0 { 0 } else { 4.min(1 + equal_1) };
        if !engine.decision(&mut contexts[first & 15]) {
            equal_1 += 1;
        } else {
            let context = &mut contexts[(5 + most_greater.min(greater_1)) & 15];
            let mut prefix = 1;
            while prefix < 14 && engine.decision(context) {
                prefix += 1;
            }
            greater_1 += 1;
            if prefix == 14 {
                exp_golomb_suffix(&mut engine, 0)?;
            }
        }
        engine.bypass();
    }
    Ok(engine)
}

/// A suffix of UEGk binarisation (9.3.2.3), in bypass.
fn exp_golomb_suffix(engine: &mut Cabac, mut k: u32) -> Result<u32> {
    let mut value = 0;
    while engine.bypass() {
        value += 1 << k;
        k += 1;
        if k > MAX_SUFFIX_BITS {
            return Err(Error::corrupt("escape code without an end", engine.tell()));
        }
    }
    Ok(value + engine.bypass_bits(k))
}

fn init_contexts(header: &SliceHeader) -> [Context; 1024] {
    let table = if header.slice_type.is_intra() { 0 } else { 1 + header.cabac_init_idc };
    CONTEXT_INIT[table].map(|values| context_of(values, header.slice_qp))
}

/// The context of a `ctxIdx` where a slice begins, by one of the tables of `CONTEXT_INIT`.
pub fn initial_context(table: usize, ctx_idx: usize, slice_qp: i32) -> Context {
    context_of(CONTEXT_INIT[table][ctx_idx], slice_qp)
}

// 9-5
fn context_of((m, n): (i8, i8), slice_qp: i32) -> Context {
    context_from_pre_ctx_state(((i32::from(m) * slice_qp.clamp(0, 51)) >> 4) + i32::from(n))
}

impl MacroblockSyntax for CabacSyntax<'_> {
    const IS_CABAC: bool = true;

    fn begin_macroblock(&mut self, is_field: bool) {
        self.field = usize::from(is_field);
    }

    #[inline(always)]
    fn tell(&self) -> usize {
        self.engine.tell()
    }

    #[inline]
    fn unspent(&self) -> f32 {
        self.engine.unspent()
    }

    fn check(&self) -> Result<()> {
        self.engine.check(self.end)
    }

    fn mb_type_i(&mut self, ctx_idx_inc: usize) -> Result<MbType> {
        if !self.decision(3 + ctx_idx_inc) {
            return Ok(MbType::INxN);
        }
        let mb_type = self.intra_mb_type(3 + 3, true);
        MbType::intra(mb_type).ok_or_else(|| self.corrupt("mb_type out of range"))
    }

    fn mb_type_p(&mut self) -> Result<MbType> {
        let mb_type = if self.decision(14) {
            self.intra_in_inter_slice(17)
        } else if self.decision(15) {
            MbType::p(2 - self.bit(17))
        } else {
            MbType::p(3 * self.bit(16))
        };
        mb_type.ok_or_else(|| self.corrupt("mb_type out of range"))
    }

    // Table 9-37 (b)
    fn mb_type_b(&mut self, ctx_idx_inc: usize) -> Result<MbType> {
        if !self.decision(27 + ctx_idx_inc) {
            return Ok(MbType::BDirect16x16);
        }
        let mb_type = if !self.decision(27 + 3) {
            MbType::b(1 + self.bit(27 + 5))
        } else {
            let mut bins = self.bit(27 + 4);
            for _ in 0..3 {
                bins = bins << 1 | self.bit(27 + 5);
            }
            match bins {
                0..=7 => MbType::b(3 + bins),
                13 => self.intra_in_inter_slice(32),
                14 => MbType::b(11),
                15 => MbType::b(22),
                _ => MbType::b((bins << 1 | self.bit(27 + 5)) - 4),
            }
        };
        mb_type.ok_or_else(|| self.corrupt("mb_type out of range"))
    }

    fn mb_type_si(&mut self) -> Result<MbType> {
        Err(Error::unsupported("SI slices in CABAC (no profile has them)", self.engine.tell()))
    }

    fn sub_mb_type_p(&mut self) -> Result<SubMbType> {
        let sub_mb_type = if self.decision(21) {
            0
        } else if !self.decision(22) {
            1
        } else if self.decision(23) {
            2
        } else {
            3
        };
        SubMbType::p(sub_mb_type).ok_or_else(|| self.corrupt("sub_mb_type out of range"))
    }

    fn sub_mb_type_b(&mut self) -> Result<SubMbType> {
        if !self.decision(36) {
            return Ok(SubMbType::DIRECT);
        }
        let sub_mb_type = if !self.decision(37) {
            1 + self.bit(39)
        } else if !self.decision(38) {
            3 + 2 * self.bit(39) + self.bit(39)
        } else if self.decision(39) {
            11 + self.bit(39)
        } else {
            7 + 2 * self.bit(39) + self.bit(39)
        };
        SubMbType::b(sub_mb_type).ok_or_else(|| self.corrupt("sub_mb_type out of range"))
    }

    fn mb_field_decoding_flag(&mut self, ctx_idx_inc: usize) -> bool {
        self.decision(70 + ctx_idx_inc)
    }

    fn transform_size_8x8_flag(&mut self, ctx_idx_inc: usize) -> bool {
        self.decision(399 + ctx_idx_inc)
    }

    fn intra_pred_mode(&mut self) {
        if !self.decision(68) {
            (0..3).for_each(|_| _ = self.decision(69));
        }
    }

    fn intra_chroma_pred_mode(&mut self, ctx_idx_inc: usize) -> Result<bool> {
        let nonzero = self.decision(64 + ctx_idx_inc);
        if nonzero && self.decision(64 + 3) {
            self.decision(64 + 3);
        }
        Ok(nonzero)
    }

    // 9.3.3.1.1.4
    fn coded_block_pattern(&mut self, around: PatternNeighbours, _is_intra: bool, has_chroma: bool) -> Result<u8> {
        let inc = |a: bool, b: bool| 73 + usize::from(a) + 2 * usize::from(b);
        let [left, above] = [around.left_not_coded, around.above_not_coded];
        let b0 = self.decision(inc(left[0], above[0]));
        let b1 = self.decision(inc(!b0, above[1]));
        let b2 = self.decision(inc(left[1], !b0));
        let b3 = self.decision(inc(!b2, !b1));
        let luma = [b0, b1, b2, b3].iter().rev().fold(0, |pattern, &bit| pattern << 1 | u8::from(bit));
        if !has_chroma {
            return Ok(luma);
        }
        let [a, b] = around.chroma;
        let inc = |of: fn(u8) -> bool| usize::from(of(a)) + 2 * usize::from(of(b));
        if !self.decision(77 + inc(|chroma| chroma != 0)) {
            return Ok(luma);
        }
        let chroma = 1 + u8::from(self.decision(77 + 4 + inc(|chroma| chroma == 2)));
        Ok(luma | chroma << 4)
    }

    fn mb_qp_delta(&mut self, previous_was_nonzero: bool) -> Result<i32> {
        if !self.decision(60 + usize::from(previous_was_nonzero)) {
            return Ok(0);
        }
        let mut mapped = 1;
        let mut ctx_idx = 60 + 2;
        while self.decision(ctx_idx) {
            ctx_idx = 60 + 3;
            mapped += 1;
            if mapped > 2 * 52 {
                return Err(self.corrupt("mb_qp_delta out of range"));
            }
        }
        // Table 9-3
        Ok(if mapped & 1 == 1 { (mapped + 1) / 2 } else { -(mapped / 2) })
    }

    fn ref_idx(&mut self, num_ref_idx_active: u32, ctx_idx_inc: usize) -> Result<u8> {
        let mut value = 0;
        let mut ctx_idx = 54 + ctx_idx_inc;
        while self.decision(ctx_idx) {
            value += 1;
            ctx_idx = if value == 1 { 54 + 4 } else { 54 + 5 };
            if value >= num_ref_idx_active {
                return Err(self.corrupt("ref_idx beyond the active references"));
            }
        }
        Ok(value as u8)
    }

    fn mvd(&mut self, component: usize, neighbours_sum: u32) -> Result<u8> {
        let base = if component == 0 { 40 } else { 47 };
        let inc = usize::from(neighbours_sum > 2) + usize::from(neighbours_sum > 32);
        if !self.decision(base + inc) {
            return Ok(0);
        }
        let mut value = 1;
        while value < 9 && self.decision(base + (2 + value as usize).min(6)) {
            value += 1;
        }
        if value == 9 {
            value += exp_golomb_suffix(&mut self.engine, 3)?;
        }
        self.engine.bypass();
        Ok(value.min(MVD_MAX) as u8)
    }

    fn residual_block(&mut self, block: BlockContext) -> Result<u8> {
        let ctx_idx_inc = usize::from(block.a != 0) + 2 * usize::from(block.b != 0);
        let ctx_idx = CODED_BLOCK_FLAG[block.category] + ctx_idx_inc;
        if !self.decision(ctx_idx) {
            return Ok(0);
        }
        match (block.category, block.max_coefficients) {
            (_, 64) => self.residual_block_8x8(block.category)?,
            // 9.3.3.1.3: numDecod / NumC8x8, at most 2; 4:2:2 has 8 coefficients, 4:2:0 has 4.
            (CAT_CHROMA_DC, 8) => {
                self.coefficients(CAT_CHROMA_DC, (0..7).map(|i: usize| ((i / 2).min(2), (i / 2).min(2))))?
            }
            (CAT_CHROMA_DC, _) => self.coefficients(CAT_CHROMA_DC, (0..3).map(|i| (i, i)))?,
            (category, max) => self.coefficients(category, (0..max as usize - 1).map(|i| (i, i)))?,
        }
        Ok(1)
    }

    fn residual_block_8x8(&mut self, category: usize) -> Result<()> {
        let increments = SIGNIFICANT_8X8[self.field].iter().zip(&LAST_8X8);
        self.coefficients(category, increments.map(|(&s, &l)| (usize::from(s), usize::from(l))))
    }

    fn pcm_samples(&mut self, bits: usize) -> Result<usize> {
        let used = self.engine.tell();
        let start = used.div_ceil(8);
        let after = start + bits / 8;
        if after * 8 > self.end || bits % 8 != 0 {
            return Err(self.corrupt("I_PCM samples run past the end of the slice"));
        }
        self.engine = Cabac::new(self.bytes, after)?;
        Ok(start * 8 - used + self.engine.tell() - after * 8)
    }
}
