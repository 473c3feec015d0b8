//! Context variables (9.3.2.2): where each syntax element's lie, and their initial values.

use super::slice_header::SliceType;
use crate::cabac::{Context, context_from_pre_ctx_state};

/// All context variables of a slice segment, with room behind them so that no index needs a check.
#[derive(Debug, Clone)]
pub struct Contexts([Context; 256]);

impl Contexts {
    #[inline(always)]
    pub fn all(&mut self) -> &mut [Context; 256] {
        &mut self.0
    }

    #[inline(always)]
    pub fn at(&mut self, ctx_idx: usize) -> &mut Context {
        &mut self.0[ctx_idx & 255]
    }
}

/// Starts the context variables of a slice (9.3.2.2), for `SliceQpY`.
pub fn initial(slice_type: SliceType, cabac_init_flag: bool, slice_qp_y: i32) -> Contexts {
    let init_type = match (slice_type, cabac_init_flag) {
        (SliceType::I, _) => 0,
        (SliceType::P, false) | (SliceType::B, true) => 1,
        (SliceType::P, true) | (SliceType::B, false) => 2,
    };
    let qp = slice_qp_y.clamp(0, 51);
    let mut contexts = [0; 256];
    for (context, init_value) in contexts.iter_mut().zip(INIT_VALUES[init_type]) {
        let (slope_idx, offset_idx) = (i32::from(init_value >> 4), i32::from(init_value & 15));
        let (m, n) = (slope_idx * 5 - 45, (offset_idx << 3) - 16);
        *context = context_from_pre_ctx_state(((m * qp) >> 4) + n);
    }
    Contexts(contexts)
}

/// `sao_merge_left_flag`, `sao_merge_up_flag`
pub const SAO_MERGE_FLAG: usize = 0;
/// `sao_type_idx_luma`, `sao_type_idx_chroma`
pub const SAO_TYPE_IDX: usize = 1;
pub const SPLIT_CU_FLAG: usize = 2;
pub const CU_TRANSQUANT_BYPASS_FLAG: usize = 5;
pub const CU_SKIP_FLAG: usize = 6;
pub const PALETTE_MODE_FLAG: usize = 9;
pub const PRED_MODE_FLAG: usize = 10;
pub const PART_MODE: usize = 11;
pub const PREV_INTRA_LUMA_PRED_FLAG: usize = 15;
pub const INTRA_CHROMA_PRED_MODE: usize = 16;
pub const MERGE_FLAG: usize = 17;
pub const MERGE_IDX: usize = 18;
pub const INTER_PRED_IDC: usize = 19;
/// `ref_idx_l0`, `ref_idx_l1`
pub const REF_IDX: usize = 24;
pub const ABS_MVD_GREATER0_FLAG: usize = 26;
pub const ABS_MVD_GREATER1_FLAG: usize = 27;
/// `mvp_l0_flag`, `mvp_l1_flag`
pub const MVP_FLAG: usize = 28;
pub const RQT_ROOT_CBF: usize = 29;
pub const SPLIT_TRANSFORM_FLAG: usize = 30;
pub const CBF_LUMA: usize = 33;
/// `cbf_cb`, `cbf_cr`
pub const CBF_CHROMA: usize = 35;
pub const CU_QP_DELTA_ABS: usize = 40;
pub const CU_CHROMA_QP_OFFSET_FLAG: usize = 42;
pub const CU_CHROMA_QP_OFFSET_IDX: usize = 43;
/// luma, chroma
pub const TRANSFORM_SKIP_FLAG: usize = 44;
/// luma, chroma
pub const EXPLICIT_RDPCM_FLAG: usize = 46;
/// luma, chroma
pub const EXPLICIT_RDPCM_DIR_FLAG: usize = 48;
/// 15 for luma, 3 for chroma
pub const LAST_SIG_COEFF_X_PREFIX: usize = 50;
pub const LAST_SIG_COEFF_Y_PREFIX: usize = 68;
/// luma, chroma
pub const CODED_SUB_BLOCK_FLAG: usize = 86;
/// 27 for luma, 15 for chroma, one each for blocks without a transform
pub const SIG_COEFF_FLAG: usize = 90;
/// 16 for luma, 8 for chroma
pub const COEFF_ABS_LEVEL_GREATER1_FLAG: usize = 134;
/// 4 for luma, 2 for chroma
pub const COEFF_ABS_LEVEL_GREATER2_FLAG: usize = 158;
/// `log2_res_scale_abs_plus1`
pub const LOG2_RES_SCALE_ABS: usize = 164;
pub const RES_SCALE_SIGN_FLAG: usize = 172;
pub const TU_RESIDUAL_ACT_FLAG: usize = 174;
pub const PALETTE_RUN_PREFIX: usize = 175;
/// `copy_above_palette_indices_flag`, `copy_above_indices_for_final_run_flag`
pub const COPY_ABOVE_PALETTE_INDICES_FLAG: usize = 183;
pub const PALETTE_TRANSPOSE_FLAG: usize = 184;
const COUNT: usize = 185;

/// Tables 9-5 to 9-37, `initValue` by `initType`; 154 where the element does not occur.
#[rustfmt::skip]
static INIT_VALUES: [[u8; COUNT]; 3] = [
    [
        153, // SAO_MERGE_FLAG
        200, // SAO_TYPE_IDX
        139, 141, 157, // SPLIT_CU_FLAG
        154, // CU_TRANSQUANT_BYPASS_FLAG
        154, 154, 154, // CU_SKIP_FLAG
        154, // PALETTE_MODE_FLAG
        154, // PRED_MODE_FLAG
        184, 154, 154, 154, // PART_MODE
        184, // PREV_INTRA_LUMA_PRED_FLAG
        63, // INTRA_CHROMA_PRED_MODE
        154, // MERGE_FLAG
        154, // MERGE_IDX
        154, 154, 154, 154, 154, // INTER_PRED_IDC
        154, 154, // REF_IDX
        154, // ABS_MVD_GREATER0_FLAG
        154, // ABS_MVD_GREATER1_FLAG
        154, // MVP_FLAG
        154, // RQT_ROOT_CBF
        153, 138, 138, // SPLIT_TRANSFORM_FLAG
        111, 141, // CBF_LUMA
        94, 138, 182, 154, 154, // CBF_CHROMA
        154, 154, // CU_QP_DELTA_ABS
        154, // CU_CHROMA_QP_OFFSET_FLAG
        154, // CU_CHROMA_QP_OFFSET_IDX
        139, 139, // TRANSFORM_SKIP_FLAG
        139, 139, // EXPLICIT_RDPCM_FLAG
        139, 139, // EXPLICIT_RDPCM_DIR_FLAG
        110, 110, 124, 125, 140, 153, 125, 127, 140, 109, 111, 143, 127, 111, 79, 108, 123, 63, // LAST_SIG_COEFF_X_PREFIX
        110, 110, 124, 125, 140, 153, 125, 127, 140, 109, 111, 143, 127, 111, 79, 108, 123, 63, // LAST_SIG_COEFF_Y_PREFIX
        91, 171, 134, 141, // CODED_SUB_BLOCK_FLAG
        111, 111, 125, 110, 110, 94, 124, 108, 124, 107, 125, 141, 179, 153, 125, 107, 125, 141, 179, 153, 125, 107,
        125, 141, 179, 153, 125, 140, 139, 182, 182, 152, 136, 152, 136, 153, 136, 139, 111, 136, 139, 111, 141, 111, // SIG_COEFF_FLAG
        140, 92, 137, 138, 140, 152, 138, 139, 153, 74, 149, 92, 139, 107, 122, 152, 140, 179, 166, 182, 140, 227,
        122, 197, // COEFF_ABS_LEVEL_GREATER1_FLAG
        138, 153, 136, 167, 152, 152, // COEFF_ABS_LEVEL_GREATER2_FLAG
        154, 154, 154, 154, 154, 154, 154, 154, // LOG2_RES_SCALE_ABS
        154, 154, // RES_SCALE_SIGN_FLAG
        154, // TU_RESIDUAL_ACT_FLAG
        154, 154, 154, 154, 154, 154, 154, 154, // PALETTE_RUN_PREFIX
        154, // COPY_ABOVE_PALETTE_INDICES_FLAG
        154, // PALETTE_TRANSPOSE_FLAG
    ],
    [
        153, // SAO_MERGE_FLAG
        185, // SAO_TYPE_IDX
        107, 139, 126, // SPLIT_CU_FLAG
        154, // CU_TRANSQUANT_BYPASS_FLAG
        197, 185, 201, // CU_SKIP_FLAG
        154, // PALETTE_MODE_FLAG
        149, // PRED_MODE_FLAG
        154, 139, 154, 154, // PART_MODE
        154, // PREV_INTRA_LUMA_PRED_FLAG
        152, // INTRA_CHROMA_PRED_MODE
        110, // MERGE_FLAG
        122, // MERGE_IDX
        95, 79, 63, 31, 31, // INTER_PRED_IDC
        153, 153, // REF_IDX
        140, // ABS_MVD_GREATER0_FLAG
        198, // ABS_MVD_GREATER1_FLAG
        168, // MVP_FLAG
        79, // RQT_ROOT_CBF
        124, 138, 94, // SPLIT_TRANSFORM_FLAG
        153, 111, // CBF_LUMA
        149, 107, 167, 154, 154, // CBF_CHROMA
        154, 154, // CU_QP_DELTA_ABS
        154, // CU_CHROMA_QP_OFFSET_FLAG
        154, // CU_CHROMA_QP_OFFSET_IDX
        139, 139, // TRANSFORM_SKIP_FLAG
        139, 139, // EXPLICIT_RDPCM_FLAG
        139, 139, // EXPLICIT_RDPCM_DIR_FLAG
        125, 110, 94, 110, 95, 79, 125, 111, 110, 78, 110, 111, 111, 95, 94, 108, 123, 108, // LAST_SIG_COEFF_X_PREFIX
        125, 110, 94, 110, 95, 79, 125, 111, 110, 78, 110, 111, 111, 95, 94, 108, 123, 108, // LAST_SIG_COEFF_Y_PREFIX
        121, 140, 61, 154, // CODED_SUB_BLOCK_FLAG
        155, 154, 139, 153, 139, 123, 123, 63, 153, 166, 183, 140, 136, 153, 154, 166, 183, 140, 136, 153, 154, 166,
        183, 140, 136, 153, 154, 170, 153, 123, 123, 107, 121, 107, 121, 167, 151, 183, 140, 151, 183, 140, 140, 140, // SIG_COEFF_FLAG
        154, 196, 196, 167, 154, 152, 167, 182, 182, 134, 149, 136, 153, 121, 136, 137, 169, 194, 166, 167, 154, 167,
        137, 182, // COEFF_ABS_LEVEL_GREATER1_FLAG
        107, 167, 91, 122, 107, 167, // COEFF_ABS_LEVEL_GREATER2_FLAG
        154, 154, 154, 154, 154, 154, 154, 154, // LOG2_RES_SCALE_ABS
        154, 154, // RES_SCALE_SIGN_FLAG
        154, // TU_RESIDUAL_ACT_FLAG
        154, 154, 154, 154, 154, 154, 154, 154, // PALETTE_RUN_PREFIX
        154, // COPY_ABOVE_PALETTE_INDICES_FLAG
        154, // PALETTE_TRANSPOSE_FLAG
    ],
    [
        153, // SAO_MERGE_FLAG
        160, // SAO_TYPE_IDX
        107, 139, 126, // SPLIT_CU_FLAG
        154, // CU_TRANSQUANT_BYPASS_FLAG
        197, 185, 201, // CU_SKIP_FLAG
        154, // PALETTE_MODE_FLAG
        134, // PRED_MODE_FLAG
        154, 139, 154, 154, // PART_MODE
        183, // PREV_INTRA_LUMA_PRED_FLAG
        152, // INTRA_CHROMA_PRED_MODE
        154, // MERGE_FLAG
        137, // MERGE_IDX
        95, 79, 63, 31, 31, // INTER_PRED_IDC
        153, 153, // REF_IDX
        169, // ABS_MVD_GREATER0_FLAG
        198, // ABS_MVD_GREATER1_FLAG
        168, // MVP_FLAG
        79, // RQT_ROOT_CBF
        224, 167, 122, // SPLIT_TRANSFORM_FLAG
        153, 111, // CBF_LUMA
        149, 92, 167, 154, 154, // CBF_CHROMA
        154, 154, // CU_QP_DELTA_ABS
        154, // CU_CHROMA_QP_OFFSET_FLAG
        154, // CU_CHROMA_QP_OFFSET_IDX
        139, 139, // TRANSFORM_SKIP_FLAG
        139, 139, // EXPLICIT_RDPCM_FLAG
        139, 139, // EXPLICIT_RDPCM_DIR_FLAG
        125, 110, 124, 110, 95, 94, 125, 111, 111, 79, 125, 126, 111, 111, 79, 108, 123, 93, // LAST_SIG_COEFF_X_PREFIX
        125, 110, 124, 110, 95, 94, 125, 111, 111, 79, 125, 126, 111, 111, 79, 108, 123, 93, // LAST_SIG_COEFF_Y_PREFIX
        121, 140, 61, 154, // CODED_SUB_BLOCK_FLAG
        170, 154, 139, 153, 139, 123, 123, 63, 124, 166, 183, 140, 136, 153, 154, 166, 183, 140, 136, 153, 154, 166,
        183, 140, 136, 153, 154, 170, 153, 138, 138, 122, 121, 122, 121, 167, 151, 183, 140, 151, 183, 140, 140, 140, // SIG_COEFF_FLAG
        154, 196, 167, 167, 154, 152, 167, 182, 182, 134, 149, 136, 153, 121, 136, 122, 169, 208, 166, 167, 154, 152,
        167, 182, // COEFF_ABS_LEVEL_GREATER1_FLAG
        107, 167, 91, 107, 107, 167, // COEFF_ABS_LEVEL_GREATER2_FLAG
        154, 154, 154, 154, 154, 154, 154, 154, // LOG2_RES_SCALE_ABS
        154, 154, // RES_SCALE_SIGN_FLAG
        154, // TU_RESIDUAL_ACT_FLAG
        154, 154, 154, 154, 154, 154, 154, 154, // PALETTE_RUN_PREFIX
        154, // COPY_ABOVE_PALETTE_INDICES_FLAG
        154, // PALETTE_TRANSPOSE_FLAG
    ],
];
