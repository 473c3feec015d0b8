//! What the macroblock layer asks of an entropy decoder: one element of 7.3.5 at a time, with the context
//! increments that only CABAC looks at.

use super::mb_type::{MbType, SubMbType};
use crate::error::Result;

/// A residual block's place and kind.
#[derive(Debug, Clone, Copy)]
pub struct BlockContext {
    /// `ctxBlockCat` (table 9-42).
    pub category: usize,
    pub max_coefficients: u32,
    /// Of the blocks to the left and above: `total_coeff`, or `UNAVAILABLE` (CAVLC); `coded_block_flag`, 0 for not
    /// coded (CABAC).
    pub a: u8,
    pub b: u8,
}

/// `total_coeff` of a block that is not available: more than any block has, so that sums tell it.
pub const UNAVAILABLE: u8 = 64;

pub const CAT_CHROMA_DC: usize = 3;
pub const CAT_CHROMA_AC: usize = 4;

pub trait MacroblockSyntax {
    const IS_CABAC: bool;

    /// Tells which kind the next macroblock is: its residual has contexts of its own.
    fn begin_macroblock(&mut self, is_field: bool);

    /// Bits consumed, start-up of an arithmetic decoder included.
    fn tell(&self) -> usize;

    /// Part of a bit that was consumed but not spent yet, or, if negative, spent in advance: 0 without arithmetic
    /// coding. Bits consumed plus the change of this are information.
    fn unspent(&self) -> f32;

    /// Fails if more was read than there is.
    fn check(&self) -> Result<()>;

    /// `ctx_idx_inc` counts neighbours that are not I_NxN, or not direct in B slices.
    fn mb_type_i(&mut self, ctx_idx_inc: usize) -> Result<MbType>;
    fn mb_type_p(&mut self) -> Result<MbType>;
    fn mb_type_b(&mut self, ctx_idx_inc: usize) -> Result<MbType>;
    fn mb_type_si(&mut self) -> Result<MbType>;
    fn sub_mb_type_p(&mut self) -> Result<SubMbType>;
    fn sub_mb_type_b(&mut self) -> Result<SubMbType>;
    fn mb_field_decoding_flag(&mut self, ctx_idx_inc: usize) -> bool;
    fn transform_size_8x8_flag(&mut self, ctx_idx_inc: usize) -> bool;
    /// `prev_intra_pred_mode_flag` and, where it is 0, `rem_intra_pred_mode`.
    fn intra_pred_mode(&mut self);
    /// Whether `intra_chroma_pred_mode` is not 0.
    fn intra_chroma_pred_mode(&mut self, ctx_idx_inc: usize) -> Result<bool>;
    /// `a`, `b`: bits tell which 8x8 neighbours are *not* coded (luma), and the neighbours' chroma patterns.
    fn coded_block_pattern(&mut self, neighbours: PatternNeighbours, is_intra: bool, has_chroma: bool) -> Result<u8>;
    fn mb_qp_delta(&mut self, previous_was_nonzero: bool) -> Result<i32>;
    fn ref_idx(&mut self, num_ref_idx_active: u32, ctx_idx_inc: usize) -> Result<u8>;
    /// Absolute value, at most `MVD_MAX`, of one component (0 horizontal) given the neighbours' sum.
    fn mvd(&mut self, component: usize, neighbours_sum: u32) -> Result<u8>;
    /// A residual block; `total_coeff` (CAVLC) or `coded_block_flag` (CABAC).
    fn residual_block(&mut self, block: BlockContext) -> Result<u8>;
    /// CABAC's 8x8 block without a `coded_block_flag` of its own.
    fn residual_block_8x8(&mut self, category: usize) -> Result<()>;
    /// Skips alignment and `bits` of samples; tells the overhead: alignment, and start-up of the decoder anew.
    fn pcm_samples(&mut self, bits: usize) -> Result<usize>;
}

/// Coded block patterns around a macroblock (9.3.3.1.1.4).
#[derive(Debug, Clone, Copy)]
pub struct PatternNeighbours {
    /// Luma: is the 8x8 block left of row 0 and 1, above column 0 and 1, not coded.
    pub left_not_coded: [bool; 2],
    pub above_not_coded: [bool; 2],
    /// `CodedBlockPatternChroma` of A and B.
    pub chroma: [u8; 2],
}
