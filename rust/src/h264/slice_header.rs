//! Slice header (7.3.3).

use std::sync::Arc;

use super::parameter_sets::{ParameterSets, PocType, Pps, Sps};
use crate::bits::{BitReader, Rbsp};
use crate::error::{Error, Result};
use crate::map::PictureType;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceType {
    P,
    B,
    I,
    SP,
    SI,
}

impl SliceType {
    fn from_code(code: u32) -> Option<Self> {
        [Self::P, Self::B, Self::I, Self::SP, Self::SI].get(code as usize % 5).copied().filter(|_| code < 10)
    }

    pub fn is_intra(self) -> bool {
        matches!(self, Self::I | Self::SI)
    }

    pub fn picture_type(self) -> PictureType {
        match self {
            Self::I | Self::SI => PictureType::I,
            Self::P | Self::SP => PictureType::P,
            Self::B => PictureType::B,
        }
    }
}

/// Frame, or which of its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureStructure {
    Frame,
    TopField,
    BottomField,
}

/// The first byte of a NAL unit (7.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NalHeader {
    pub nal_ref_idc: u8,
    pub nal_unit_type: u8,
}

impl NalHeader {
    pub fn parse(byte: u8) -> Self {
        Self { nal_ref_idc: byte >> 5 & 3, nal_unit_type: byte & 31 }
    }

    /// `IdrPicFlag`.
    pub fn is_idr(self) -> bool {
        self.nal_unit_type == 5
    }
}

/// A command of `ref_pic_list_modification` (7.3.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PicNumOperation {
    /// `abs_diff_pic_num_minus1 + 1`, to be added to the number before.
    Step(i64),
    /// Of long-term references, or of the multiview extension.
    Other,
}

/// `dec_ref_pic_marking` (7.3.3.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marking {
    /// `difference_of_pic_nums_minus1 + 1` of each short-term picture to be marked as unused (operation 1).
    pub unused: Vec<i64>,
    /// There are other operations, or the picture becomes a long-term reference.
    pub has_others: bool,
    /// Operation 5: the picture resets frame numbers and picture order count.
    pub resets_order: bool,
}

#[derive(Debug, Clone)]
pub struct SliceHeader {
    pub nal: NalHeader,
    pub sps: Arc<Sps>,
    pub pps: Arc<Pps>,
    pub pic_parameter_set_id: u32,
    pub first_mb_in_slice: u32,
    pub slice_type: SliceType,
    pub colour_plane_id: u8,
    pub frame_num: u32,
    pub structure: PictureStructure,
    pub idr_pic_id: u32,
    pub pic_order_cnt_lsb: u32,
    pub delta_pic_order_cnt_bottom: i32,
    pub delta_pic_order_cnt: [i32; 2],
    pub redundant_pic_cnt: u32,
    pub num_ref_idx_active: [u32; 2],
    /// Commands that modify `RefPicList0` and `RefPicList1`.
    pub list_operations: [Vec<PicNumOperation>; 2],
    pub marking: Marking,
    pub cabac_init_idc: usize,
    pub slice_qp: i32,
    /// Where slice data begins in the RBSP.
    pub bits: usize,
}

impl SliceHeader {
    pub fn is_mbaff(&self) -> bool {
        self.sps.mb_adaptive_frame_field_flag && self.structure == PictureStructure::Frame
    }

    pub fn is_field(&self) -> bool {
        self.structure != PictureStructure::Frame
    }

    /// Rows of macroblocks in the picture that the slice belongs to (`PicHeightInMbs`).
    pub fn pic_height_in_mbs(&self) -> u32 {
        self.sps.pic_height_in_mbs() / if self.is_field() { 2 } else { 1 }
    }

    /// `first_mb_in_slice`, `slice_type`: the part that needs no parameter set.
    pub fn peek_slice_type(rbsp: &Rbsp) -> Result<SliceType> {
        let mut r = rbsp.reader();
        r.ue()?;
        slice_type(&mut r)
    }

    pub fn parse(nal: NalHeader, rbsp: &Rbsp, sets: &ParameterSets) -> Result<Self> {
        let mut r = rbsp.reader();
        let first_mb_in_slice = r.ue()?;
        let slice_type = slice_type(&mut r)?;
        let pic_parameter_set_id = r.ue()?;
        let (sps, pps) = sets.of_slice(pic_parameter_set_id, r.pos())?;
        if pps.has_slice_groups {
            return Err(Error::unsupported("flexible macroblock ordering (slice groups)", r.pos()));
        }
        let mut header = Self {
            nal,
            sps: Arc::clone(sps),
            pps: Arc::clone(pps),
            pic_parameter_set_id,
            first_mb_in_slice,
            slice_type,
            colour_plane_id: 0,
            frame_num: 0,
            structure: PictureStructure::Frame,
            idr_pic_id: 0,
            pic_order_cnt_lsb: 0,
            delta_pic_order_cnt_bottom: 0,
            delta_pic_order_cnt: [0; 2],
            redundant_pic_cnt: 0,
            num_ref_idx_active: pps.num_ref_idx_default_active,
            list_operations: [vec![], vec![]],
            marking: Marking::default(),
            cabac_init_idc: 0,
            slice_qp: 0,
            bits: 0,
        };
        header.parse_picture_fields(&mut r)?;
        header.parse_references(&mut r)?;
        header.parse_coding_fields(&mut r)?;
        r.check()?;
        header.bits = r.pos();
        Ok(header)
    }

    /// From `colour_plane_id` to `redundant_pic_cnt`: what tells pictures apart and orders them.
    fn parse_picture_fields(&mut self, r: &mut BitReader) -> Result<()> {
        if self.sps.separate_colour_plane_flag {
            self.colour_plane_id = r.u(2) as u8;
            if self.colour_plane_id > 2 {
                return Err(Error::corrupt("colour_plane_id above 2", r.pos()));
            }
        }
        self.frame_num = r.u(self.sps.log2_max_frame_num);
        if !self.sps.frame_mbs_only_flag && r.flag() {
            self.structure = if r.flag() { PictureStructure::BottomField } else { PictureStructure::TopField };
        }
        if self.nal.is_idr() {
            self.idr_pic_id = r.ue()?;
        }
        let is_frame = self.structure == PictureStructure::Frame;
        let has_bottom = self.pps.bottom_field_pic_order_in_frame_present_flag && is_frame;
        match &self.sps.poc {
            PocType::Lsb { log2_max_pic_order_cnt_lsb } => {
                self.pic_order_cnt_lsb = r.u(*log2_max_pic_order_cnt_lsb);
                if has_bottom {
                    self.delta_pic_order_cnt_bottom = r.se()?;
                }
            }
            PocType::Cycle(cycle) if !cycle.delta_pic_order_always_zero_flag => {
                self.delta_pic_order_cnt[0] = r.se()?;
                if has_bottom {
                    self.delta_pic_order_cnt[1] = r.se()?;
                }
            }
            _ => {}
        }
        if self.pps.redundant_pic_cnt_present_flag {
            self.redundant_pic_cnt = r.ue()?;
        }
        Ok(())
    }

    fn parse_references(&mut self, r: &mut BitReader) -> Result<()> {
        let is_b = self.slice_type == SliceType::B;
        let lists = match self.slice_type.picture_type() {
            PictureType::I => 0,
            PictureType::P => 1,
            PictureType::B => 2,
        };
        if is_b {
            r.skip(1); // direct_spatial_mv_pred_flag
        }
        if lists > 0 && r.flag() {
            for count in &mut self.num_ref_idx_active[..lists] {
                *count = r.ue()?.saturating_add(1);
            }
        }
        if self.num_ref_idx_active[..lists].iter().any(|&count| count > 32) {
            return Err(Error::corrupt("more than 32 active reference indices", r.pos()));
        }
        for operations in &mut self.list_operations[..lists] {
            *operations = parse_ref_pic_list_modification(r)?;
        }
        let explicit_p = self.pps.weighted_pred_flag && lists == 1;
        if explicit_p || (self.pps.weighted_bipred_idc == 1 && is_b) {
            self.skip_pred_weight_table(r, lists)?;
        }
        if self.nal.nal_ref_idc != 0 {
            self.parse_dec_ref_pic_marking(r)?;
        }
        Ok(())
    }

    // 7.3.3.2
    fn skip_pred_weight_table(&self, r: &mut BitReader, lists: usize) -> Result<()> {
        let has_chroma = self.sps.chroma_array_type() != 0;
        r.ue()?; // luma_log2_weight_denom
        if has_chroma {
            r.ue()?; // chroma_log2_weight_denom
        }
        for &count in &self.num_ref_idx_active[..lists] {
            for _ in 0..count {
                if r.flag() {
                    skip_se(r, 2)?;
                }
                if has_chroma && r.flag() {
                    skip_se(r, 4)?;
                }
            }
        }
        Ok(())
    }

    // 7.3.3.3
    fn parse_dec_ref_pic_marking(&mut self, r: &mut BitReader) -> Result<()> {
        if self.nal.is_idr() {
            r.skip(1); // no_output_of_prior_pics_flag
            self.marking.has_others = r.flag(); // long_term_reference_flag
            return Ok(());
        }
        if !r.flag() {
            return Ok(());
        }
        loop {
            let operation = r.ue()?;
            match operation {
                0 => return Ok(()),
                1 => self.marking.unused.push(i64::from(r.ue()?) + 1),
                2 | 4 | 6 => _ = r.ue()?,
                3 => _ = (r.ue()?, r.ue()?),
                5 => self.marking.resets_order = true,
                _ => return Err(Error::corrupt("memory_management_control_operation above 6", r.pos())),
            }
            self.marking.has_others |= operation != 1;
            r.check()?;
        }
    }

    /// From `cabac_init_idc` to the end of the header.
    fn parse_coding_fields(&mut self, r: &mut BitReader) -> Result<()> {
        if self.pps.entropy_coding_mode_flag && !self.slice_type.is_intra() {
            let idc = r.ue()?;
            if idc > 2 {
                return Err(Error::corrupt("cabac_init_idc above 2", r.pos()));
            }
            self.cabac_init_idc = idc as usize;
        }
        let qp = i64::from(self.pps.pic_init_qp) + i64::from(r.se()?);
        let lowest = -6 * (i64::from(self.sps.bit_depth_luma) - 8);
        if !(lowest..=51).contains(&qp) {
            return Err(Error::corrupt("slice quantisation parameter out of range", r.pos()));
        }
        self.slice_qp = qp as i32;
        if matches!(self.slice_type, SliceType::SP | SliceType::SI) {
            if self.slice_type == SliceType::SP {
                r.skip(1); // sp_for_switch_flag
            }
            r.se()?; // slice_qs_delta
        }
        if self.pps.deblocking_filter_control_present_flag && r.ue()? != 1 {
            skip_se(r, 2)?; // slice_alpha_c0_offset_div2, slice_beta_offset_div2
        }
        Ok(())
    }

    /// The first slice of a new primary picture (7.4.1.2.4), `self` coming after `previous`.
    pub fn starts_new_picture(&self, previous: &Self) -> bool {
        let delta = |h: &Self| (h.pic_order_cnt_lsb, h.delta_pic_order_cnt_bottom, h.delta_pic_order_cnt);
        self.frame_num != previous.frame_num
            || self.pic_parameter_set_id != previous.pic_parameter_set_id && self.sps != previous.sps
            || self.structure != previous.structure
            || (self.nal.nal_ref_idc == 0) != (previous.nal.nal_ref_idc == 0)
            || delta(self) != delta(previous)
            || self.nal.is_idr() != previous.nal.is_idr()
            || self.idr_pic_id != previous.idr_pic_id
    }
}

fn slice_type(r: &mut BitReader) -> Result<SliceType> {
    let code = r.ue()?;
    SliceType::from_code(code).ok_or_else(|| Error::corrupt("slice_type above 9", r.pos()))
}

fn skip_se(r: &mut BitReader, count: usize) -> Result<()> {
    (0..count).try_for_each(|_| r.se().map(drop))
}

// 7.3.3.1
fn parse_ref_pic_list_modification(r: &mut BitReader) -> Result<Vec<PicNumOperation>> {
    let mut operations = vec![];
    if !r.flag() {
        return Ok(operations);
    }
    loop {
        operations.push(match r.ue()? {
            0 => PicNumOperation::Step(-i64::from(r.ue()?) - 1),
            1 => PicNumOperation::Step(i64::from(r.ue()?) + 1),
            2 | 4 | 5 => {
                r.ue()?;
                PicNumOperation::Other
            }
            3 => return Ok(operations),
            _ => return Err(Error::corrupt("modification_of_pic_nums_idc above 5", r.pos())),
        });
        r.check()?;
    }
}
