//! Residual coding (7.3.8.11): walks the coefficients of a transform block, keeping only what the parse depends on.

use super::contexts::{self as ctx, Contexts};
use super::scan::{DIAGONAL, PATTERN_4X4, PLACE_IN_SUB_BLOCK, PLACE_OF_SUB_BLOCK, SIG_CTX, SUB_BLOCKS, VERTICAL};
use super::sps::SpsRangeExtension;
use crate::cabac::{Cabac, WINDOW};
use crate::error::{Error, Result};

/// What holds for all blocks of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Tools {
    pub sign_data_hiding_enabled_flag: bool,
    /// `Log2MaxTransformSkipSize`, 0 where transform skip is off.
    pub log2_max_transform_skip_size: u32,
    pub range: SpsRangeExtension,
    /// `log2TransformRange` of luma and chroma (9.3.3.11), which bounds prefixes with extended precision.
    pub log2_transform_range: [u32; 2],
}

/// One transform block.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    pub log2_trafo_size: u32,
    pub scan_idx: usize,
    pub cu_transquant_bypass_flag: bool,
    pub is_intra: bool,
    /// `predModeIntra` is horizontal (10) or vertical (26), which implies RDPCM where that is enabled.
    pub is_pure_direction: bool,
}

/// `StatCoeff` (9.3.4.2.6): what persists of Rice parameters from block to block.
pub type StatCoeff = [u8; 4];

/// The decoder's state that residuals use and change.
pub struct Coder<'c, 'a> {
    pub engine: &'c mut Cabac<'a>,
    pub contexts: &'c mut Contexts,
    pub stat_coeff: &'c mut StatCoeff,
}

/// What the range extensions' tools make of a block's syntax; all off, and known to be, without them.
#[derive(Default, Clone, Copy)]
struct Variant {
    /// No transform: one `sig_coeff_flag` context for all positions.
    has_single_sig_ctx: bool,
    hides_no_sign: bool,
    sb_type: usize,
}

/// `residual_coding()`. `EXTENDED` has the range extensions and lossless blocks, and is only slower without them.
#[inline(never)]
pub fn residual_coding<const CHROMA: bool, const EXTENDED: bool>(
    coder: Coder,
    tools: &Tools,
    block: Block,
) -> Result<()> {
    // A local copy stays in registers.
    let mut engine = coder.engine.clone();
    let contexts = coder.contexts;
    let log2_size = block.log2_trafo_size;
    let chroma = usize::from(CHROMA);

    let mut transform_skip_flag = false;
    if log2_size <= tools.log2_max_transform_skip_size && !(EXTENDED && block.cu_transquant_bypass_flag) {
        transform_skip_flag = engine.decision(contexts.at(ctx::TRANSFORM_SKIP_FLAG + chroma));
    }
    let variant = if EXTENDED {
        let (changed, variant) = parse_variant::<CHROMA>(engine, contexts, tools, &block, transform_skip_flag);
        engine = changed;
        variant
    } else {
        Variant::default()
    };

    let (last_x, last_y) = parse_last_sig_coeff::<CHROMA>(&mut engine, contexts, &block);
    let (size_idx, scan_idx) = (log2_size as usize - 2, block.scan_idx);
    let last_sub_block = usize::from(PLACE_OF_SUB_BLOCK[size_idx & 3][scan_idx][(last_y >> 2 << 3 | last_x >> 2) & 63]);
    let last_place = u32::from(PLACE_IN_SUB_BLOCK[scan_idx][(last_y & 3) << 3 | last_x & 3]);
    let sub_blocks = &SUB_BLOCKS[size_idx & 3][scan_idx];

    // `coded_sub_block_flag` by position, eight to a row.
    let mut coded_sub_blocks = 0u64;
    // `lastGreater1Ctx == 0` of 9.3.4.2.6: the sub-block before ended in a level above 1.
    let mut ended_above_one = false;
    for i in (0..=last_sub_block).rev() {
        const FIRST_COLUMN: u64 = 0x0101_0101_0101_0101;
        let position = sub_blocks[i & 63] & 63;
        let right = ((coded_sub_blocks & !FIRST_COLUMN) >> position) >> 1 & 1;
        let below = (coded_sub_blocks >> position) >> 8 & 1;
        let is_inferred = i == last_sub_block || i == 0;
        if !is_inferred {
            let inc = ctx::CODED_SUB_BLOCK_FLAG + 2 * chroma + (right | below) as usize;
            if !engine.decision(contexts.at(inc)) {
                continue;
            }
        }
        coded_sub_blocks |= 1 << position;

        let pattern = if log2_size == 2 { PATTERN_4X4 } else { (right | below << 1) as usize };
        let significant = SubBlock {
            sig_ctx: &SIG_CTX[pattern][scan_idx],
            sig_ctx_base: sig_ctx_base::<CHROMA>(log2_size, block.scan_idx, i),
            is_first: i == 0,
            last_place: if i == last_sub_block { Some(last_place) } else { None },
            infers_dc: !is_inferred,
        }
        .parse_significance::<CHROMA, EXTENDED>(&mut engine, contexts, &variant);
        if significant == 0 {
            continue;
        }
        let ctx_set = 2 * usize::from(i > 0 && !CHROMA) + usize::from(ended_above_one);
        let stat_coeff = &mut coder.stat_coeff[variant.sb_type & 3];
        let mut levels = Levels::parse_flags::<CHROMA>(&mut engine, contexts, significant.count_ones(), ctx_set);
        ended_above_one = levels.ended_above_one;
        levels.hides_sign = tools.sign_data_hiding_enabled_flag
            && 31 - significant.leading_zeros() - significant.trailing_zeros() > 3
            && !(EXTENDED && variant.hides_no_sign);
        levels.parse_bypass::<CHROMA, EXTENDED>(&mut engine, tools, stat_coeff)?;
    }
    *coder.engine = engine;
    Ok(())
}

/// `explicit_rdpcm_flag` and what else the range extensions derive for a block.
#[inline(never)]
fn parse_variant<'a, const CHROMA: bool>(
    mut engine: Cabac<'a>,
    contexts: &mut Contexts,
    tools: &Tools,
    block: &Block,
    transform_skip_flag: bool,
) -> (Cabac<'a>, Variant) {
    let chroma = usize::from(CHROMA);
    let has_no_transform = transform_skip_flag || block.cu_transquant_bypass_flag;
    let mut explicit_rdpcm_flag = false;
    if !block.is_intra && tools.range.explicit_rdpcm_enabled_flag && has_no_transform {
        explicit_rdpcm_flag = engine.decision(contexts.at(ctx::EXPLICIT_RDPCM_FLAG + chroma));
        if explicit_rdpcm_flag {
            // explicit_rdpcm_dir_flag
            engine.decision(contexts.at(ctx::EXPLICIT_RDPCM_DIR_FLAG + chroma));
        }
    }
    let has_implicit_rdpcm =
        block.is_intra && tools.range.implicit_rdpcm_enabled_flag && transform_skip_flag && block.is_pure_direction;
    let variant = Variant {
        has_single_sig_ctx: tools.range.transform_skip_context_enabled_flag && has_no_transform,
        hides_no_sign: block.cu_transquant_bypass_flag || has_implicit_rdpcm || explicit_rdpcm_flag,
        sb_type: if CHROMA { 0 } else { 2 } + usize::from(has_no_transform),
    };
    (engine, variant)
}

/// `LastSignificantCoeffX` and `LastSignificantCoeffY` (7.4.9.11).
#[inline(always)]
fn parse_last_sig_coeff<const CHROMA: bool>(
    engine: &mut Cabac,
    contexts: &mut Contexts,
    block: &Block,
) -> (usize, usize) {
    let log2_size = block.log2_trafo_size;
    // 9.3.4.2.3
    let (offset, shift) =
        if CHROMA { (15, log2_size - 2) } else { (3 * (log2_size - 2) + ((log2_size - 1) >> 2), (log2_size + 1) >> 2) };
    let c_max = (log2_size << 1) - 1;
    let mut prefixes = [0; 2];
    for (prefix, first) in prefixes.iter_mut().zip([ctx::LAST_SIG_COEFF_X_PREFIX, ctx::LAST_SIG_COEFF_Y_PREFIX]) {
        while *prefix < c_max && engine.decision(contexts.at(first + (offset + (*prefix >> shift)) as usize)) {
            *prefix += 1;
        }
    }
    let [x_prefix, y_prefix] = prefixes;
    let mut position = |prefix: u32| -> usize {
        if prefix <= 3 {
            return prefix as usize;
        }
        let suffix_len = (prefix >> 1) - 1;
        let suffix = engine.take_bypass(engine.peek_bypass(), suffix_len);
        (((2 + (prefix & 1)) << suffix_len) + suffix) as usize
    };
    let (x, y) = (position(x_prefix), position(y_prefix));
    if block.scan_idx == VERTICAL { (y, x) } else { (x, y) }
}

/// The offset of 9.3.4.2.5 that depends on the block's size, scan and component only.
#[inline(always)]
fn sig_ctx_base<const CHROMA: bool>(log2_size: u32, scan_idx: usize, i: usize) -> usize {
    ctx::SIG_COEFF_FLAG
        + match (log2_size, CHROMA) {
            (2, false) => 0,
            (2, true) => 27,
            (3, true) => 27 + 9,
            (_, true) => 27 + 12,
            (3, false) if scan_idx == DIAGONAL => 9 + if i > 0 { 3 } else { 0 },
            (3, false) => 15 + if i > 0 { 3 } else { 0 },
            (_, false) => 21 + if i > 0 { 3 } else { 0 },
        }
}

struct SubBlock {
    sig_ctx: &'static [u8; 16],
    sig_ctx_base: usize,
    is_first: bool,
    /// Place of the block's last coefficient, which is known to be there.
    last_place: Option<u32>,
    infers_dc: bool,
}

impl SubBlock {
    /// The `sig_coeff_flag`s of a sub-block, bit n for the n-th place in its scan.
    #[inline(always)]
    fn parse_significance<const CHROMA: bool, const EXTENDED: bool>(
        &self,
        engine: &mut Cabac,
        contexts: &mut Contexts,
        variant: &Variant,
    ) -> u32 {
        let single = ctx::SIG_COEFF_FLAG + if CHROMA { 43 } else { 42 };
        let is_single = EXTENDED && variant.has_single_sig_ctx;
        let (mut significant, count) = match self.last_place {
            Some(place) => (1u32 << place, place as usize),
            None => (0, 16),
        };
        if count > 1 {
            let bins = if is_single {
                engine.decisions(contexts.all(), count - 1, |_| single as u8)
            } else {
                let base = self.sig_ctx_base as u8;
                engine.decisions(contexts.all(), count - 1, |n| base.wrapping_add(self.sig_ctx[(n + 1) & 15]))
            };
            significant |= bins << 1;
        }
        if count > 0 {
            // Place 0: the sub-block's own DC, inferred where it must be the only one.
            if self.infers_dc && significant == 0 {
                return 1;
            }
            let inc = match self.is_first {
                _ if is_single => single,
                true => ctx::SIG_COEFF_FLAG + if CHROMA { 27 } else { 0 },
                false => self.sig_ctx_base + usize::from(self.sig_ctx[0]),
            };
            significant |= u32::from(engine.decision(contexts.at(inc)));
        }
        significant
    }
}

/// Levels of a sub-block's coefficients as far as their flags tell; bit m for the m-th in decoding order.
struct Levels {
    count: u32,
    /// Those that `coeff_abs_level_remaining` follows for (`escapeDataPresent` where there are any).
    remaining: u32,
    /// The one that had a `coeff_abs_level_greater2_flag`.
    greater2: u32,
    ended_above_one: bool,
    hides_sign: bool,
}

impl Levels {
    /// `coeff_abs_level_greater1_flag` and `coeff_abs_level_greater2_flag`.
    #[inline(always)]
    fn parse_flags<const CHROMA: bool>(
        engine: &mut Cabac,
        contexts: &mut Contexts,
        count: u32,
        ctx_set: usize,
    ) -> Self {
        const MAX_GREATER1_FLAGS: u32 = 8;
        let base = ctx::COEFF_ABS_LEVEL_GREATER1_FLAG + if CHROMA { 16 } else { 0 } + 4 * ctx_set;
        let mut greater1_ctx = 1;
        let mut greater1 = 0u32;
        for m in 0..count.min(MAX_GREATER1_FLAGS) {
            let flag = engine.decision(contexts.at(base + greater1_ctx));
            greater1 |= u32::from(flag) << m;
            // 9.3.4.2.6: 0 from the first level above 1 on, else counting up to 3.
            greater1_ctx = match greater1_ctx {
                _ if flag => 0,
                0 => 0,
                n => 3.min(n + 1),
            };
        }
        let first = greater1 & greater1.wrapping_neg();
        let mut remaining = greater1 ^ first;
        if first != 0 {
            let inc = ctx::COEFF_ABS_LEVEL_GREATER2_FLAG + if CHROMA { 4 } else { 0 } + ctx_set;
            if engine.decision(contexts.at(inc)) {
                remaining |= first;
            }
        }
        // Those past the eighth have no flags at all.
        remaining |= ((1 << count) - 1) & !((1 << MAX_GREATER1_FLAGS) - 1);
        Self { count, remaining, greater2: first, ended_above_one: greater1_ctx == 0, hides_sign: false }
    }

    /// `coeff_sign_flag` and `coeff_abs_level_remaining`.
    #[inline(always)]
    fn parse_bypass<const CHROMA: bool, const EXTENDED: bool>(
        &self,
        engine: &mut Cabac,
        tools: &Tools,
        stat_coeff: &mut u8,
    ) -> Result<()> {
        if EXTENDED && tools.range.cabac_bypass_alignment_enabled_flag && self.remaining != 0 {
            engine.align_bypass();
        }
        engine.take_bypass(engine.peek_bypass(), self.count - u32::from(self.hides_sign));
        if self.remaining == 0 {
            return Ok(());
        }
        if !EXTENDED {
            return self.parse_remaining(engine, None, None);
        }
        let stat_coeff = tools.range.persistent_rice_adaptation_enabled_flag.then_some(stat_coeff);
        let limit =
            tools.range.extended_precision_processing_flag.then_some(tools.log2_transform_range[usize::from(CHROMA)]);
        self.parse_remaining(engine, stat_coeff, limit)
    }

    /// Each `coeff_abs_level_remaining`, for what it does to the Rice parameter of the next (9.3.3.11).
    #[inline(always)]
    fn parse_remaining(&self, engine: &mut Cabac, mut stat_coeff: Option<&mut u8>, limit: Option<u32>) -> Result<()> {
        let (mut rice_param, max_rice_param) = match &stat_coeff {
            None => (0, 4),
            Some(stat) => (u32::from(**stat) / 4, u32::MAX),
        };
        let mut rest = self.remaining;
        while rest != 0 {
            let bit = rest & rest.wrapping_neg();
            rest ^= bit;
            let value = coeff_abs_level_remaining(engine, rice_param, limit)?;
            if let Some(stat) = stat_coeff.take() {
                adapt_stat_coeff(stat, value);
            }
            let base_level = if bit > 0x80 { 1 } else { 2 + u64::from(bit == self.greater2) };
            if base_level + value > 3 << rice_param {
                rice_param = max_rice_param.min(rice_param + 1);
            }
        }
        Ok(())
    }
}

/// 9.3.4.2.6: the statistics follow the first remaining level of each sub-block.
fn adapt_stat_coeff(stat: &mut u8, value: u64) {
    let k = u32::from(*stat) / 4;
    if value >= 3 << k {
        *stat += 1;
    } else if 2 * value < 1 << k && *stat > 0 {
        *stat -= 1;
    }
}

/// `coeff_abs_level_remaining` (9.3.3.11); `limit` is `log2TransformRange` where it bounds the prefix.
#[inline(always)]
fn coeff_abs_level_remaining(engine: &mut Cabac, rice_param: u32, limit: Option<u32>) -> Result<u64> {
    let peeked = engine.peek_bypass();
    let prefix = (!peeked << (32 - WINDOW)).leading_zeros();
    if prefix <= 3 && prefix + 1 + rice_param <= WINDOW {
        let bins = engine.take_bypass(peeked, prefix + 1 + rice_param);
        let suffix = bins & ((1 << rice_param) - 1);
        return Ok(u64::from((prefix << rice_param) + suffix));
    }
    let suffix_len = prefix.saturating_sub(3) + rice_param;
    let len = prefix + 1 + suffix_len;
    if prefix > 3 && len <= WINDOW && limit.is_none() {
        let bins = engine.take_bypass(peeked, len);
        let suffix = bins & ((1 << suffix_len) - 1);
        return Ok(u64::from((((1 << (prefix - 3)) + 2) << rice_param) + suffix));
    }
    let (value, after) = long_coeff_abs_level_remaining(engine.clone(), rice_param, limit)?;
    *engine = after;
    Ok(value)
}

/// Bin by bin, for values that do not fit one look ahead. The engine goes by value, or it would not stay in registers.
#[cold]
#[inline(never)]
fn long_coeff_abs_level_remaining(mut engine: Cabac, rice_param: u32, limit: Option<u32>) -> Result<(u64, Cabac)> {
    // Levels have at most 23 bits (extended precision of 16-bit samples), so that no prefix is longer than this.
    const MAX_PREFIX: u32 = 32;
    let max_prefix = limit.map_or(MAX_PREFIX, |log2_transform_range| 32 - log2_transform_range);
    let mut prefix = 0;
    while prefix < max_prefix && engine.bypass() {
        prefix += 1;
    }
    let suffix_len = match limit {
        _ if prefix <= 3 => rice_param,
        Some(log2_transform_range) if prefix == max_prefix => log2_transform_range,
        _ => prefix - 3 + rice_param,
    };
    if prefix >= MAX_PREFIX || suffix_len > 32 {
        return Err(Error::corrupt("coeff_abs_level_remaining out of range", engine.tell()));
    }
    let suffix = u64::from(engine.bypass_bits(suffix_len));
    if prefix <= 3 {
        return Ok(((u64::from(prefix) << rice_param) + suffix, engine));
    }
    Ok(((((1u64 << (prefix - 3)) + 2) << rice_param) + suffix, engine))
}
