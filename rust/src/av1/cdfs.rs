//! All CDFs that adapt while a tile is parsed, and that frames take over from each other.

use super::default_cdfs::*;

/// `MV_CONTEXTS`: vectors between frames, and within one (`MV_INTRABC_CONTEXT`).
const MV_CONTEXTS: usize = 2;
pub const MV_INTRABC_CONTEXT: usize = 1;

/// The counts of symbols in CDFs, in the last entry of each.
trait Counts {
    fn clear_counts(&mut self);
}

impl<const LENGTH: usize> Counts for [u16; LENGTH] {
    fn clear_counts(&mut self) {
        self[LENGTH - 1] = 0;
    }
}

impl<T: Counts, const LENGTH: usize> Counts for [T; LENGTH] {
    fn clear_counts(&mut self) {
        self.iter_mut().for_each(T::clear_counts);
    }
}

/// A structure of CDFs, named as in the specification, and what they are by default for a coefficient context `idx`.
macro_rules! cdfs {
    ($(#[$attribute:meta])* $name:ident($idx:ident) { $($field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $(pub $field: $type,)*
        }

        impl $name {
            #[allow(unused_variables)]
            fn by_default($idx: usize) -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Counts for $name {
            fn clear_counts(&mut self) {
                $(self.$field.clear_counts();)*
            }
        }
    };
}

cdfs! {
    /// The CDFs of `init_non_coeff_cdfs` (7.3) and, in `coeff`, those of `init_coeff_cdfs`.
    Cdfs(idx) {
        intra_frame_y_mode: [[[u16; 14]; 5]; 5] = INTRA_FRAME_Y_MODE,
        y_mode: [[u16; 14]; 4] = Y_MODE,
        uv_mode_cfl_not_allowed: [[u16; 14]; 13] = UV_MODE_CFL_NOT_ALLOWED,
        uv_mode_cfl_allowed: [[u16; 15]; 13] = UV_MODE_CFL_ALLOWED,
        angle_delta: [[u16; 8]; 8] = ANGLE_DELTA,
        intrabc: [u16; 3] = INTRABC,
        partition_w8: [[u16; 5]; 4] = PARTITION_W8,
        partition_w16: [[u16; 11]; 4] = PARTITION_W16,
        partition_w32: [[u16; 11]; 4] = PARTITION_W32,
        partition_w64: [[u16; 11]; 4] = PARTITION_W64,
        partition_w128: [[u16; 9]; 4] = PARTITION_W128,
        segment_id: [[u16; 9]; 3] = SEGMENT_ID,
        segment_id_predicted: [[u16; 3]; 3] = SEGMENT_ID_PREDICTED,
        tx_8x8: [[u16; 3]; 3] = TX_8X8,
        tx_16x16: [[u16; 4]; 3] = TX_16X16,
        tx_32x32: [[u16; 4]; 3] = TX_32X32,
        tx_64x64: [[u16; 4]; 3] = TX_64X64,
        txfm_split: [[u16; 3]; 21] = TXFM_SPLIT,
        filter_intra_mode: [u16; 6] = FILTER_INTRA_MODE,
        filter_intra: [[u16; 3]; 22] = FILTER_INTRA,
        interp_filter: [[u16; 4]; 16] = INTERP_FILTER,
        motion_mode: [[u16; 4]; 22] = MOTION_MODE,
        new_mv: [[u16; 3]; 6] = NEW_MV,
        zero_mv: [[u16; 3]; 2] = ZERO_MV,
        ref_mv: [[u16; 3]; 6] = REF_MV,
        compound_mode: [[u16; 9]; 8] = COMPOUND_MODE,
        drl_mode: [[u16; 3]; 3] = DRL_MODE,
        is_inter: [[u16; 3]; 4] = IS_INTER,
        comp_mode: [[u16; 3]; 5] = COMP_MODE,
        skip_mode: [[u16; 3]; 3] = SKIP_MODE,
        skip: [[u16; 3]; 3] = SKIP,
        comp_ref: [[[u16; 3]; 3]; 3] = COMP_REF,
        comp_bwd_ref: [[[u16; 3]; 2]; 3] = COMP_BWD_REF,
        single_ref: [[[u16; 3]; 6]; 3] = SINGLE_REF,
        mv: [MvCdfs; MV_CONTEXTS] = [MvCdfs::by_default(idx), MvCdfs::by_default(idx)],
        palette_y_mode: [[[u16; 3]; 3]; 7] = PALETTE_Y_MODE,
        palette_uv_mode: [[u16; 3]; 2] = PALETTE_UV_MODE,
        palette_y_size: [[u16; 8]; 7] = PALETTE_Y_SIZE,
        palette_uv_size: [[u16; 8]; 7] = PALETTE_UV_SIZE,
        palette_size_2_color: [[[u16; 3]; 5]; 2] = [PALETTE_SIZE_2_Y_COLOR, PALETTE_SIZE_2_UV_COLOR],
        palette_size_3_color: [[[u16; 4]; 5]; 2] = [PALETTE_SIZE_3_Y_COLOR, PALETTE_SIZE_3_UV_COLOR],
        palette_size_4_color: [[[u16; 5]; 5]; 2] = [PALETTE_SIZE_4_Y_COLOR, PALETTE_SIZE_4_UV_COLOR],
        palette_size_5_color: [[[u16; 6]; 5]; 2] = [PALETTE_SIZE_5_Y_COLOR, PALETTE_SIZE_5_UV_COLOR],
        palette_size_6_color: [[[u16; 7]; 5]; 2] = [PALETTE_SIZE_6_Y_COLOR, PALETTE_SIZE_6_UV_COLOR],
        palette_size_7_color: [[[u16; 8]; 5]; 2] = [PALETTE_SIZE_7_Y_COLOR, PALETTE_SIZE_7_UV_COLOR],
        palette_size_8_color: [[[u16; 9]; 5]; 2] = [PALETTE_SIZE_8_Y_COLOR, PALETTE_SIZE_8_UV_COLOR],
        delta_q: [u16; 5] = DELTA_Q,
        delta_lf: [u16; 5] = DELTA_LF,
        delta_lf_multi: [[u16; 5]; 4] = [DELTA_LF; 4],
        intra_tx_type_set1: [[[u16; 8]; 13]; 2] = INTRA_TX_TYPE_SET1,
        intra_tx_type_set2: [[[u16; 6]; 13]; 3] = INTRA_TX_TYPE_SET2,
        inter_tx_type_set1: [[u16; 17]; 2] = INTER_TX_TYPE_SET1,
        inter_tx_type_set2: [u16; 13] = INTER_TX_TYPE_SET2,
        inter_tx_type_set3: [[u16; 3]; 4] = INTER_TX_TYPE_SET3,
        use_obmc: [[u16; 3]; 22] = USE_OBMC,
        inter_intra: [[u16; 3]; 3] = INTER_INTRA,
        comp_ref_type: [[u16; 3]; 5] = COMP_REF_TYPE,
        cfl_sign: [u16; 9] = CFL_SIGN,
        uni_comp_ref: [[[u16; 3]; 3]; 3] = UNI_COMP_REF,
        wedge_inter_intra: [[u16; 3]; 22] = WEDGE_INTER_INTRA,
        comp_group_idx: [[u16; 3]; 6] = COMP_GROUP_IDX,
        compound_idx: [[u16; 3]; 6] = COMPOUND_IDX,
        compound_type: [[u16; 3]; 22] = COMPOUND_TYPE,
        inter_intra_mode: [[u16; 5]; 3] = INTER_INTRA_MODE,
        wedge_index: [[u16; 17]; 22] = WEDGE_INDEX,
        cfl_alpha: [[u16; 17]; 6] = CFL_ALPHA,
        use_wiener: [u16; 3] = USE_WIENER,
        use_sgrproj: [u16; 3] = USE_SGRPROJ,
        restoration_type: [u16; 4] = RESTORATION_TYPE,
        coeff: CoeffCdfs = CoeffCdfs::by_default(idx),
    }
}

cdfs! {
    /// Those of vectors, where need be by component: row and column.
    MvCdfs(idx) {
        joint: [u16; 5] = MV_JOINT,
        class: [[u16; 12]; 2] = MV_CLASS,
        class0_bit: [[u16; 3]; 2] = [MV_CLASS0_BIT; 2],
        fr: [[u16; 5]; 2] = MV_FR,
        class0_fr: [[[u16; 5]; 2]; 2] = MV_CLASS0_FR,
        class0_hp: [[u16; 3]; 2] = [MV_CLASS0_HP; 2],
        sign: [[u16; 3]; 2] = [MV_SIGN; 2],
        bit: [[[u16; 3]; 10]; 2] = [MV_BIT; 2],
        hp: [[u16; 3]; 2] = [MV_HP; 2],
    }
}

cdfs! {
    /// Those of `coeffs`.
    CoeffCdfs(idx) {
        txb_skip: [[[u16; 3]; 13]; 5] = TXB_SKIP[idx],
        eob_pt_16: [[[u16; 6]; 2]; 2] = EOB_PT_16[idx],
        eob_pt_32: [[[u16; 7]; 2]; 2] = EOB_PT_32[idx],
        eob_pt_64: [[[u16; 8]; 2]; 2] = EOB_PT_64[idx],
        eob_pt_128: [[[u16; 9]; 2]; 2] = EOB_PT_128[idx],
        eob_pt_256: [[[u16; 10]; 2]; 2] = EOB_PT_256[idx],
        eob_pt_512: [[u16; 11]; 2] = EOB_PT_512[idx],
        eob_pt_1024: [[u16; 12]; 2] = EOB_PT_1024[idx],
        eob_extra: [[[[u16; 3]; 9]; 2]; 5] = EOB_EXTRA[idx],
        dc_sign: [[[u16; 3]; 3]; 2] = DC_SIGN[idx],
        coeff_base_eob: [[[[u16; 4]; 4]; 2]; 5] = COEFF_BASE_EOB[idx],
        coeff_base: [[[[u16; 5]; 42]; 2]; 5] = COEFF_BASE[idx],
        coeff_br: [[[[u16; 5]; 21]; 2]; 5] = COEFF_BR[idx],
    }
}

impl Cdfs {
    /// `init_non_coeff_cdfs` and `init_coeff_cdfs`.
    pub fn init(base_q_idx: u8) -> Self {
        let idx = match base_q_idx {
            0..=20 => 0,
            21..=60 => 1,
            61..=120 => 2,
            _ => 3,
        };
        Self::by_default(idx)
    }

    /// As `load_cdfs` leaves them: with counts of 0.
    pub fn without_counts(mut self) -> Self {
        self.clear_counts();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaded_cdfs_begin_to_count_anew_and_stay_else_as_they_are() {
        let defaults = Cdfs::init(61);
        let mut cdfs = defaults.clone();
        cdfs.mv[1].bit[1][9][2] = 32;
        cdfs.coeff.coeff_base[4][1][41][4] = 7;
        cdfs.intrabc[2] = 1;
        assert_eq!(cdfs.clone().without_counts(), defaults);
        cdfs.intrabc[0] += 1;
        assert_ne!(cdfs.without_counts(), defaults);
    }

    #[test]
    fn coefficients_begin_by_the_quantizer() {
        let indices = [0, 20, 21, 60, 61, 120, 121, 255];
        let cdfs = indices.map(|index| Cdfs::init(index).coeff);
        let equal = |i: usize| cdfs[i] == cdfs[i - 1];
        assert_eq!(std::array::from_fn(|i| equal(i + 1)), [true, false, true, false, true, false, true]);
    }
}
