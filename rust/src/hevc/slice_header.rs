//! Slice segment header (7.3.6).

use std::sync::Arc;

use super::nal::{self, NAL_HEADER_BYTES, NalUnit};
use super::parameter_sets::ParameterSets;
use super::pps::Pps;
use super::ref_pic_set::RefPicSet;
use super::short_term_ref_pic_set::MAX_REF_PICS;
use super::sps::{Sps, ceil_log2, ue_up_to};
use crate::bits::BitReader;
use crate::error::{Error, Result};
use crate::map::PictureType;

/// `slice_type` (Table 7-7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceType {
    B = 0,
    P = 1,
    I = 2,
}

impl SliceType {
    pub fn picture_type(self) -> PictureType {
        match self {
            Self::I => PictureType::I,
            Self::P => PictureType::P,
            Self::B => PictureType::B,
        }
    }
}

/// The part of a slice segment header that comes before what dependent slice segments leave out.
#[derive(Debug, Clone)]
pub struct SegmentStart {
    pub first_slice_segment_in_pic_flag: bool,
    pub dependent_slice_segment_flag: bool,
    pub slice_pic_parameter_set_id: u32,
    pub slice_segment_address: usize,
    pub sps: Arc<Sps>,
    pub pps: Arc<Pps>,
}

impl SegmentStart {
    /// `r` stands at the NAL unit header.
    pub fn parse(r: &mut BitReader, nal: &NalUnit, sets: &ParameterSets) -> Result<Self> {
        r.skip(NAL_HEADER_BYTES * 8);
        let first_slice_segment_in_pic_flag = r.flag();
        if nal.is_irap() {
            // no_output_of_prior_pics_flag
            r.skip(1);
        }
        let start = r.pos();
        let slice_pic_parameter_set_id = r.ue()?;
        let (sps, pps) = sets.active(slice_pic_parameter_set_id, start)?;
        let mut dependent_slice_segment_flag = false;
        let mut slice_segment_address = 0;
        if !first_slice_segment_in_pic_flag {
            dependent_slice_segment_flag = pps.dependent_slice_segments_enabled_flag && r.flag();
            let start = r.pos();
            slice_segment_address = r.u(ceil_log2(sps.pic_size_in_ctbs_y())) as usize;
            if slice_segment_address >= sps.pic_size_in_ctbs_y() {
                return Err(Error::corrupt("slice_segment_address out of range", start));
            }
        }
        r.check()?;
        Ok(Self {
            first_slice_segment_in_pic_flag,
            dependent_slice_segment_flag,
            slice_pic_parameter_set_id,
            slice_segment_address,
            sps,
            pps,
        })
    }
}

/// What a slice says of its picture: its place in output order and the pictures that are kept for it.
#[derive(Debug, Clone, Copy)]
pub struct PicturePart {
    pub slice_type: SliceType,
    pub pic_output_flag: bool,
    pub slice_pic_order_cnt_lsb: u32,
    pub ref_pic_set: RefPicSet,
    slice_temporal_mvp_enabled_flag: bool,
    /// `NumPicTotalCurr` (7-55).
    num_pic_total_curr: usize,
}

impl PicturePart {
    pub fn parse(r: &mut BitReader, nal: &NalUnit, sps: &Sps, pps: &Pps) -> Result<Self> {
        // slice_reserved_flag
        r.skip(pps.num_extra_slice_header_bits as usize);
        let start = r.pos();
        let slice_type = match r.ue()? {
            0 => SliceType::B,
            1 => SliceType::P,
            2 => SliceType::I,
            _ => return Err(Error::corrupt("slice_type out of range", start)),
        };
        let mut part = Self {
            slice_type,
            pic_output_flag: !pps.output_flag_present_flag || r.flag(),
            slice_pic_order_cnt_lsb: 0,
            ref_pic_set: RefPicSet::default(),
            slice_temporal_mvp_enabled_flag: false,
            num_pic_total_curr: usize::from(pps.scc.pps_curr_pic_ref_enabled_flag),
        };
        if sps.separate_colour_plane_flag {
            // colour_plane_id
            r.skip(2);
        }
        if !nal::is_idr(nal.nal_unit_type) {
            part.slice_pic_order_cnt_lsb = r.u(sps.log2_max_pic_order_cnt_lsb);
            part.ref_pic_set = RefPicSet::parse(r, sps)?;
            part.num_pic_total_curr += part.ref_pic_set.num_used_by_curr_pic();
            part.slice_temporal_mvp_enabled_flag = sps.sps_temporal_mvp_enabled_flag && r.flag();
        }
        r.check()?;
        Ok(part)
    }
}

/// What the slice data's syntax depends on; dependent slice segments take it from the segment before them.
#[derive(Debug, Clone, Copy)]
pub struct SliceHeader {
    /// `SliceAddrRs` (7.4.7.1).
    pub slice_addr_rs: usize,
    pub slice_type: SliceType,
    pub slice_sao_luma_flag: bool,
    pub slice_sao_chroma_flag: bool,
    pub num_ref_idx_active: [u32; 2],
    pub mvd_l1_zero_flag: bool,
    pub cabac_init_flag: bool,
    pub max_num_merge_cand: u32,
    /// `SliceQpY` (7-54).
    pub slice_qp_y: i32,
    pub cu_chroma_qp_offset_enabled_flag: bool,
}

#[derive(Debug, Clone)]
pub struct SliceSegmentHeader {
    pub slice: SliceHeader,
    /// `entry_point_offset_minus1 + 1` of each substream but the last, emulation prevention bytes included.
    pub entry_point_offsets: Vec<usize>,
    /// Where the slice segment data begin in the RBSP, in bytes.
    pub data_start: usize,
}

impl SliceSegmentHeader {
    /// Continues behind `start`; `previous` is the slice that a dependent segment belongs to.
    pub fn parse(
        r: &mut BitReader,
        nal: &NalUnit,
        start: &SegmentStart,
        previous: Option<&SliceHeader>,
    ) -> Result<Self> {
        let (sps, pps) = (&*start.sps, &*start.pps);
        let slice = if start.dependent_slice_segment_flag {
            *previous.ok_or(Error::corrupt("dependent slice segment without a slice before it", r.pos()))?
        } else {
            let picture = PicturePart::parse(r, nal, sps, pps)?;
            SliceHeader::parse(r, sps, pps, &picture, start.slice_segment_address)?
        };
        let entry_point_offsets = parse_entry_points(r, sps, pps)?;
        if pps.slice_segment_header_extension_present_flag {
            let len = ue_up_to(r, 256, "slice_segment_header_extension_length out of range")?;
            r.skip(8 * len as usize);
        }
        r.check()?;
        let at = r.pos();
        let alignment_bit_equal_to_one = r.flag();
        if !alignment_bit_equal_to_one {
            return Err(Error::corrupt("slice segment header does not end where it must", at));
        }
        Ok(Self { slice, entry_point_offsets, data_start: r.pos().div_ceil(8) })
    }
}

impl SliceHeader {
    fn parse(r: &mut BitReader, sps: &Sps, pps: &Pps, picture: &PicturePart, slice_addr_rs: usize) -> Result<Self> {
        let mut slice = Self {
            slice_addr_rs,
            slice_type: picture.slice_type,
            slice_sao_luma_flag: sps.sample_adaptive_offset_enabled_flag && r.flag(),
            slice_sao_chroma_flag: false,
            num_ref_idx_active: pps.num_ref_idx_default_active,
            mvd_l1_zero_flag: false,
            cabac_init_flag: false,
            max_num_merge_cand: 0,
            slice_qp_y: 0,
            cu_chroma_qp_offset_enabled_flag: false,
        };
        if sps.sample_adaptive_offset_enabled_flag && sps.chroma_array_type() != 0 {
            slice.slice_sao_chroma_flag = r.flag();
        }
        if slice.slice_type != SliceType::I {
            slice.parse_inter(r, sps, pps, picture)?;
        }
        slice.parse_quantisation(r, sps, pps)?;
        slice.parse_filters(r, pps)?;
        r.check()?;
        Ok(slice)
    }

    fn parse_inter(&mut self, r: &mut BitReader, sps: &Sps, pps: &Pps, picture: &PicturePart) -> Result<()> {
        let is_b = self.slice_type == SliceType::B;
        let num_ref_idx_active_override_flag = r.flag();
        if num_ref_idx_active_override_flag {
            for active in self.num_ref_idx_active.iter_mut().take(if is_b { 2 } else { 1 }) {
                *active = 1 + ue_up_to(r, 14, "num_ref_idx_active_minus1 out of range")?;
            }
        }
        if !is_b {
            self.num_ref_idx_active[1] = 0;
        }
        let lists = RefPicLists::parse(r, pps, picture, self.num_ref_idx_active);
        self.mvd_l1_zero_flag = is_b && r.flag();
        self.cabac_init_flag = pps.cabac_init_present_flag && r.flag();
        if picture.slice_temporal_mvp_enabled_flag {
            let collocated_from_l0_flag = !is_b || r.flag();
            if self.num_ref_idx_active[usize::from(!collocated_from_l0_flag)] > 1 {
                // collocated_ref_idx
                r.ue()?;
            }
        }
        if if is_b { pps.weighted_bipred_flag } else { pps.weighted_pred_flag } {
            skip_pred_weight_table(r, sps, &lists)?;
        }
        self.max_num_merge_cand = 5 - ue_up_to(r, 4, "five_minus_max_num_merge_cand out of range")?;
        if sps.scc.motion_vector_resolution_control_idc == 2 {
            // use_integer_mv_flag
            r.skip(1);
        }
        Ok(())
    }

    fn parse_quantisation(&mut self, r: &mut BitReader, sps: &Sps, pps: &Pps) -> Result<()> {
        let start = r.pos();
        let slice_qp_delta = r.se()?;
        let qp_bd_offset_y = 6 * (sps.bit_depth_luma as i32 - 8);
        self.slice_qp_y = pps.init_qp.saturating_add(slice_qp_delta);
        if !(-qp_bd_offset_y..=51).contains(&self.slice_qp_y) {
            return Err(Error::corrupt("slice_qp_delta out of range", start));
        }
        if pps.pps_slice_chroma_qp_offsets_present_flag {
            r.se()?;
            r.se()?;
        }
        if pps.scc.pps_slice_act_qp_offsets_present_flag {
            for _ in 0..3 {
                r.se()?;
            }
        }
        self.cu_chroma_qp_offset_enabled_flag = pps.chroma_qp_offset_list_enabled_flag && r.flag();
        Ok(())
    }

    fn parse_filters(&self, r: &mut BitReader, pps: &Pps) -> Result<()> {
        let deblocking_filter_override_flag = pps.deblocking_filter_override_enabled_flag && r.flag();
        let mut slice_deblocking_filter_disabled_flag = pps.pps_deblocking_filter_disabled_flag;
        if deblocking_filter_override_flag {
            slice_deblocking_filter_disabled_flag = r.flag();
            if !slice_deblocking_filter_disabled_flag {
                // slice_beta_offset_div2, slice_tc_offset_div2
                r.se()?;
                r.se()?;
            }
        }
        let filters = self.slice_sao_luma_flag || self.slice_sao_chroma_flag || !slice_deblocking_filter_disabled_flag;
        if pps.pps_loop_filter_across_slices_enabled_flag && filters {
            // slice_loop_filter_across_slices_enabled_flag
            r.skip(1);
        }
        Ok(())
    }
}

/// Which entries of the reference picture lists are the current picture itself (`pps_curr_pic_ref_enabled_flag`).
struct RefPicLists {
    lens: [usize; 2],
    is_current: [[bool; MAX_REF_PICS]; 2],
}

impl RefPicLists {
    /// `ref_pic_lists_modification()` (7.3.6.2) and the part of 8.3.4 that says where the current picture goes.
    fn parse(r: &mut BitReader, pps: &Pps, picture: &PicturePart, num_ref_idx_active: [u32; 2]) -> Self {
        let total = picture.num_pic_total_curr;
        let lens = num_ref_idx_active.map(|len| len as usize);
        let mut is_current = [[false; MAX_REF_PICS]; 2];
        for (x, list) in is_current.iter_mut().enumerate() {
            let list = &mut list[..lens[x]];
            let is_coded = pps.lists_modification_present_flag && total > 1 && !list.is_empty();
            let ref_pic_list_modification_flag = is_coded && r.flag();
            for (i, entry) in list.iter_mut().enumerate() {
                let list_entry = if ref_pic_list_modification_flag { r.u(ceil_log2(total)) as usize } else { i };
                // The current picture is the last of those that the initial list repeats.
                *entry = pps.scc.pps_curr_pic_ref_enabled_flag && list_entry % total == total - 1;
            }
            if pps.scc.pps_curr_pic_ref_enabled_flag && x == 0 && !ref_pic_list_modification_flag && total > list.len()
            {
                list.iter_mut().last().into_iter().for_each(|last| *last = true);
            }
        }
        Self { lens, is_current }
    }
}

/// `pred_weight_table()` (7.3.6.3).
fn skip_pred_weight_table(r: &mut BitReader, sps: &Sps, lists: &RefPicLists) -> Result<()> {
    let has_chroma = sps.chroma_array_type() != 0;
    // luma_log2_weight_denom
    r.ue()?;
    if has_chroma {
        // delta_chroma_log2_weight_denom
        r.se()?;
    }
    for (&len, is_current) in lists.lens.iter().zip(&lists.is_current) {
        // The current picture is never weighted against itself.
        let mut flags = |is_coded: bool| -> [bool; MAX_REF_PICS] {
            std::array::from_fn(|i| is_coded && i < len && !is_current[i] && r.flag())
        };
        let luma_weight_flags = flags(true);
        let chroma_weight_flags = flags(has_chroma);
        for i in 0..len {
            let values = 2 * usize::from(luma_weight_flags[i]) + 4 * usize::from(chroma_weight_flags[i]);
            for _ in 0..values {
                r.se()?;
            }
        }
    }
    r.check()
}

fn parse_entry_points(r: &mut BitReader, sps: &Sps, pps: &Pps) -> Result<Vec<usize>> {
    if pps.tiles.is_none() && !pps.entropy_coding_sync_enabled_flag {
        return Ok(vec![]);
    }
    let max = sps.pic_size_in_ctbs_y() as u32 - 1;
    let num_entry_point_offsets = ue_up_to(r, max, "num_entry_point_offsets out of range")?;
    if num_entry_point_offsets == 0 {
        return Ok(vec![]);
    }
    let offset_len = 1 + ue_up_to(r, 31, "offset_len_minus1 out of range")?;
    let mut offsets = vec![];
    for _ in 0..num_entry_point_offsets {
        let entry_point_offset_minus1 = r.u(offset_len);
        r.check()?;
        offsets.push(entry_point_offset_minus1 as usize + 1);
    }
    Ok(offsets)
}
