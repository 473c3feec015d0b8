//! Picture parameter set (7.3.2.3): what of it the slice syntax depends on.

use super::sps::{MAX_PALETTE_PREDICTOR_SIZE, skip_scaling_list_data, ue_up_to};
use crate::bits::{BitReader, Rbsp};
use crate::error::{Error, Result};

/// More tile columns or rows than any level allows (A.4.2: 20 columns, 22 rows), up to what the syntax can say.
const MAX_TILES_A_SIDE: u32 = 1 << 12;

#[derive(Debug, Clone, Default)]
pub struct Pps {
    pub pps_seq_parameter_set_id: u8,
    pub dependent_slice_segments_enabled_flag: bool,
    pub output_flag_present_flag: bool,
    pub num_extra_slice_header_bits: u32,
    pub sign_data_hiding_enabled_flag: bool,
    pub cabac_init_present_flag: bool,
    pub num_ref_idx_default_active: [u32; 2],
    pub init_qp: i32,
    pub transform_skip_enabled_flag: bool,
    pub cu_qp_delta_enabled_flag: bool,
    pub diff_cu_qp_delta_depth: u32,
    pub pps_slice_chroma_qp_offsets_present_flag: bool,
    pub weighted_pred_flag: bool,
    pub weighted_bipred_flag: bool,
    pub transquant_bypass_enabled_flag: bool,
    pub tiles: Option<Tiles>,
    pub entropy_coding_sync_enabled_flag: bool,
    pub pps_loop_filter_across_slices_enabled_flag: bool,
    pub deblocking_filter_override_enabled_flag: bool,
    pub pps_deblocking_filter_disabled_flag: bool,
    pub lists_modification_present_flag: bool,
    pub slice_segment_header_extension_present_flag: bool,
    pub log2_max_transform_skip_size: u32,
    pub cross_component_prediction_enabled_flag: bool,
    pub chroma_qp_offset_list_enabled_flag: bool,
    pub diff_cu_chroma_qp_offset_depth: u32,
    pub chroma_qp_offset_list_len_minus1: u32,
    pub scc: PpsSccExtension,
}

#[derive(Debug, Clone)]
pub struct Tiles {
    pub num_tile_columns: usize,
    pub num_tile_rows: usize,
    /// Sizes in CTBs of all but the last column and row; `None` where they are spaced uniformly.
    pub explicit: Option<(Vec<u32>, Vec<u32>)>,
}

/// `pps_scc_extension()` (7.3.2.3.3).
#[derive(Debug, Clone, Default)]
pub struct PpsSccExtension {
    pub pps_curr_pic_ref_enabled_flag: bool,
    pub residual_adaptive_colour_transform_enabled_flag: bool,
    pub pps_slice_act_qp_offsets_present_flag: bool,
    /// In place of the SPS's initializers, where present.
    pub num_palette_predictor_initializers: Option<usize>,
}

impl Pps {
    pub fn parse(rbsp: &Rbsp) -> Result<Self> {
        let mut r = rbsp.reader();
        r.skip(16);
        // pps_pic_parameter_set_id
        r.ue()?;
        let mut pps = Self {
            pps_seq_parameter_set_id: ue_up_to(&mut r, 15, "pps_seq_parameter_set_id out of range")? as u8,
            dependent_slice_segments_enabled_flag: r.flag(),
            output_flag_present_flag: r.flag(),
            num_extra_slice_header_bits: r.u(3),
            sign_data_hiding_enabled_flag: r.flag(),
            cabac_init_present_flag: r.flag(),
            log2_max_transform_skip_size: 2,
            ..Self::default()
        };
        for active in &mut pps.num_ref_idx_default_active {
            *active = 1 + ue_up_to(&mut r, 14, "num_ref_idx_default_active_minus1 out of range")?;
        }
        pps.parse_quantisation(&mut r)?;
        pps.parse_tools(&mut r)?;
        pps.parse_extensions(&mut r)?;
        r.check()?;
        Ok(pps)
    }

    /// `pps_pic_parameter_set_id` alone, for sets that cannot be parsed to their end.
    pub fn read_id(rbsp: &Rbsp) -> Result<usize> {
        let mut r = rbsp.reader();
        r.skip(16);
        r.ue().map(|id| id as usize)
    }

    fn parse_quantisation(&mut self, r: &mut BitReader) -> Result<()> {
        let start = r.pos();
        let init_qp_minus26 = r.se()?;
        if !(-(26 + 6 * 8)..=25).contains(&init_qp_minus26) {
            return Err(Error::corrupt("init_qp_minus26 out of range", start));
        }
        self.init_qp = 26 + init_qp_minus26;
        // constrained_intra_pred_flag
        r.skip(1);
        self.transform_skip_enabled_flag = r.flag();
        self.cu_qp_delta_enabled_flag = r.flag();
        if self.cu_qp_delta_enabled_flag {
            self.diff_cu_qp_delta_depth = ue_up_to(r, 3, "diff_cu_qp_delta_depth out of range")?;
        }
        // pps_cb_qp_offset, pps_cr_qp_offset
        r.se()?;
        r.se()?;
        self.pps_slice_chroma_qp_offsets_present_flag = r.flag();
        Ok(())
    }

    fn parse_tools(&mut self, r: &mut BitReader) -> Result<()> {
        self.weighted_pred_flag = r.flag();
        self.weighted_bipred_flag = r.flag();
        self.transquant_bypass_enabled_flag = r.flag();
        let tiles_enabled_flag = r.flag();
        self.entropy_coding_sync_enabled_flag = r.flag();
        if tiles_enabled_flag {
            self.tiles = Some(Tiles::parse(r)?);
        }
        self.pps_loop_filter_across_slices_enabled_flag = r.flag();
        let deblocking_filter_control_present_flag = r.flag();
        if deblocking_filter_control_present_flag {
            self.deblocking_filter_override_enabled_flag = r.flag();
            self.pps_deblocking_filter_disabled_flag = r.flag();
            if !self.pps_deblocking_filter_disabled_flag {
                // pps_beta_offset_div2, pps_tc_offset_div2
                r.se()?;
                r.se()?;
            }
        }
        let pps_scaling_list_data_present_flag = r.flag();
        if pps_scaling_list_data_present_flag {
            skip_scaling_list_data(r)?;
        }
        self.lists_modification_present_flag = r.flag();
        // log2_parallel_merge_level_minus2
        r.ue()?;
        self.slice_segment_header_extension_present_flag = r.flag();
        Ok(())
    }

    fn parse_extensions(&mut self, r: &mut BitReader) -> Result<()> {
        let pps_extension_present_flag = r.flag();
        if !pps_extension_present_flag {
            return Ok(());
        }
        let pps_range_extension_flag = r.flag();
        let pps_multilayer_extension_flag = r.flag();
        let pps_3d_extension_flag = r.flag();
        let pps_scc_extension_flag = r.flag();
        // pps_extension_4bits: data of extensions yet to be defined, which decoders ignore.
        r.skip(4);
        if pps_range_extension_flag {
            self.parse_range_extension(r)?;
        }
        if pps_scc_extension_flag {
            if pps_multilayer_extension_flag || pps_3d_extension_flag {
                return Err(Error::unsupported("screen content together with multilayer extensions", r.pos()));
            }
            self.parse_scc_extension(r)?;
        }
        Ok(())
    }

    /// `pps_range_extension()` (7.3.2.3.2).
    fn parse_range_extension(&mut self, r: &mut BitReader) -> Result<()> {
        if self.transform_skip_enabled_flag {
            let minus2 = ue_up_to(r, 3, "log2_max_transform_skip_block_size_minus2 out of range")?;
            self.log2_max_transform_skip_size = 2 + minus2;
        }
        self.cross_component_prediction_enabled_flag = r.flag();
        self.chroma_qp_offset_list_enabled_flag = r.flag();
        if self.chroma_qp_offset_list_enabled_flag {
            self.diff_cu_chroma_qp_offset_depth = ue_up_to(r, 3, "diff_cu_chroma_qp_offset_depth out of range")?;
            self.chroma_qp_offset_list_len_minus1 = ue_up_to(r, 5, "chroma_qp_offset_list_len_minus1 out of range")?;
            for _ in 0..=self.chroma_qp_offset_list_len_minus1 {
                // cb_qp_offset_list, cr_qp_offset_list
                r.se()?;
                r.se()?;
            }
        }
        // log2_sao_offset_scale_luma, log2_sao_offset_scale_chroma
        r.ue()?;
        r.ue()?;
        Ok(())
    }

    fn parse_scc_extension(&mut self, r: &mut BitReader) -> Result<()> {
        let scc = &mut self.scc;
        scc.pps_curr_pic_ref_enabled_flag = r.flag();
        scc.residual_adaptive_colour_transform_enabled_flag = r.flag();
        if scc.residual_adaptive_colour_transform_enabled_flag {
            scc.pps_slice_act_qp_offsets_present_flag = r.flag();
            // pps_act_y_qp_offset_plus5, pps_act_cb_qp_offset_plus5, pps_act_cr_qp_offset_plus3
            for _ in 0..3 {
                r.se()?;
            }
        }
        let pps_palette_predictor_initializers_present_flag = r.flag();
        if pps_palette_predictor_initializers_present_flag {
            const OUT_OF_RANGE: &str = "pps_num_palette_predictor_initializers out of range";
            let count = ue_up_to(r, MAX_PALETTE_PREDICTOR_SIZE as u32, OUT_OF_RANGE)? as usize;
            scc.num_palette_predictor_initializers = Some(count);
            if count > 0 {
                let monochrome_palette_flag = r.flag();
                let luma_bits = 8 + ue_up_to(r, 8, "luma_bit_depth_entry_minus8 out of range")? as usize;
                let mut bits = luma_bits;
                if !monochrome_palette_flag {
                    bits += 2 * (8 + ue_up_to(r, 8, "chroma_bit_depth_entry_minus8 out of range")? as usize);
                }
                r.skip(count * bits);
            }
        }
        Ok(())
    }
}

impl Tiles {
    fn parse(r: &mut BitReader) -> Result<Self> {
        let num_tile_columns = 1 + ue_up_to(r, MAX_TILES_A_SIDE - 1, "num_tile_columns_minus1 out of range")?;
        let num_tile_rows = 1 + ue_up_to(r, MAX_TILES_A_SIDE - 1, "num_tile_rows_minus1 out of range")?;
        let uniform_spacing_flag = r.flag();
        let explicit = if uniform_spacing_flag {
            None
        } else {
            let mut sizes = |count: u32| -> Result<Vec<u32>> {
                (1..count).map(|_| Ok(ue_up_to(r, u32::from(u16::MAX), "tile size out of range")? + 1)).collect()
            };
            Some((sizes(num_tile_columns)?, sizes(num_tile_rows)?))
        };
        // loop_filter_across_tiles_enabled_flag
        r.skip(1);
        r.check()?;
        Ok(Self { num_tile_columns: num_tile_columns as usize, num_tile_rows: num_tile_rows as usize, explicit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::written::ue_codes;

    #[test]
    fn tiles_may_be_as_many_as_the_limit_and_no_more() {
        let parse = |columns: u32, rows: u32| {
            let codes = ue_codes(&[columns - 1, rows - 1, 0, 0]); // the last two are flags
            Tiles::parse(&mut BitReader::new(&codes)).is_ok()
        };
        assert!(parse(MAX_TILES_A_SIDE, MAX_TILES_A_SIDE));
        assert!(!parse(MAX_TILES_A_SIDE + 1, 1) && !parse(1, MAX_TILES_A_SIDE + 1));
    }
}
