//! The probabilities that a frame's symbols are coded with (10), and the counts that they are adapted by.

/// `coef_probs` of one transform size: by plane type, reference type, band and context.
pub type CoefProbs = [[[[[u8; 3]; 6]; 6]; 2]; 2];

/// One probability context.
#[derive(Debug, Clone)]
pub struct Probabilities {
    /// `tx_probs_8x8` and so on, by context.
    pub tx_8x8: [[u8; 1]; 2],
    pub tx_16x16: [[u8; 2]; 2],
    pub tx_32x32: [[u8; 3]; 2],
    pub coef: [CoefProbs; 4],
    pub skip: [u8; 3],
    pub inter_mode: [[u8; 3]; 7],
    pub interp_filter: [[u8; 2]; 4],
    pub is_inter: [u8; 4],
    pub comp_mode: [u8; 5],
    pub single_ref: [[u8; 2]; 5],
    pub comp_ref: [u8; 5],
    pub y_mode: [[u8; 9]; 4],
    pub uv_mode: [[u8; 9]; 10],
    pub partition: [[u8; 3]; 16],
    pub mv_joint: [u8; 3],
    /// Vertical, horizontal.
    pub mv: [MvProbabilities; 2],
}

/// Probabilities of one motion vector component.
#[derive(Debug, Clone)]
pub struct MvProbabilities {
    pub sign: u8,
    pub classes: [u8; 10],
    pub class0_bit: [u8; 1],
    pub bits: [u8; 10],
    pub class0_fr: [[u8; 3]; 2],
    pub fr: [u8; 3],
    pub class0_hp: u8,
    pub hp: u8,
}

/// Zero, one, more than one; no more coefficients; how often the last of these was asked.
pub type CoefCounts = [[[[[u32; 5]; 6]; 6]; 2]; 2];

/// How often each value of each syntax element was decoded (9.3.4), indexed like its probabilities.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    pub tx_8x8: [[u32; 2]; 2],
    pub tx_16x16: [[u32; 3]; 2],
    pub tx_32x32: [[u32; 4]; 2],
    pub coef: [CoefCounts; 4],
    pub skip: [[u32; 2]; 3],
    pub inter_mode: [[u32; 4]; 7],
    pub interp_filter: [[u32; 3]; 4],
    pub is_inter: [[u32; 2]; 4],
    pub comp_mode: [[u32; 2]; 5],
    pub single_ref: [[[u32; 2]; 2]; 5],
    pub comp_ref: [[u32; 2]; 5],
    pub y_mode: [[u32; 10]; 4],
    pub uv_mode: [[u32; 10]; 10],
    pub partition: [[u32; 4]; 16],
    pub mv_joint: [u32; 4],
    pub mv: [MvCounts; 2],
}

#[derive(Debug, Clone, Default)]
pub struct MvCounts {
    pub sign: [u32; 2],
    pub classes: [u32; 11],
    pub class0_bit: [u32; 2],
    pub bits: [[u32; 2]; 10],
    pub class0_fr: [[u32; 4]; 2],
    pub fr: [u32; 4],
    pub class0_hp: [u32; 2],
    pub hp: [u32; 2],
}
