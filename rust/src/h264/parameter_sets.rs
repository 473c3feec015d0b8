//! Sequence and picture parameter sets (7.3.2.1, 7.3.2.2), and the sets in force at one picture.

use std::sync::Arc;

use crate::bits::{BitReader, Rbsp};
use crate::error::{Error, Result};
use crate::map::{Buffers, Crop};
use crate::nal::Framing;
use crate::picture_format::{Colour, PictureFormat, subsampling};

/// Widest and tallest picture that we allocate maps for, in luma samples.
pub const MAX_DIMENSION: u32 = 16_384;
/// Largest picture in macroblocks; level 6.2 ends at 139,264.
pub const MAX_MACROBLOCKS: u32 = 1 << 18;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sps {
    pub chroma_format_idc: u8,
    pub separate_colour_plane_flag: bool,
    pub bit_depth_luma: u8,
    pub bit_depth_chroma: u8,
    pub qpprime_y_zero_transform_bypass_flag: bool,
    pub log2_max_frame_num: u32,
    pub poc: PocType,
    pub max_num_ref_frames: u32,
    pub gaps_in_frame_num_value_allowed_flag: bool,
    pub pic_width_in_mbs: u32,
    pub pic_height_in_map_units: u32,
    pub frame_mbs_only_flag: bool,
    pub mb_adaptive_frame_field_flag: bool,
    pub direct_8x8_inference_flag: bool,
    pub crop: Crop,
    pub colour: Colour,
}

/// `pic_order_cnt_type` and what comes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PocType {
    Lsb { log2_max_pic_order_cnt_lsb: u32 },
    Cycle(PocCycle),
    DecodingOrder,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PocCycle {
    pub delta_pic_order_always_zero_flag: bool,
    pub offset_for_non_ref_pic: i32,
    pub offset_for_top_to_bottom_field: i32,
    pub offset_for_ref_frame: Vec<i32>,
}

impl Sps {
    pub fn pic_height_in_mbs(&self) -> u32 {
        self.pic_height_in_map_units * if self.frame_mbs_only_flag { 1 } else { 2 }
    }

    /// `ChromaArrayType`: 0 where the three planes are coded apart.
    pub fn chroma_array_type(&self) -> u8 {
        if self.separate_colour_plane_flag { 0 } else { self.chroma_format_idc }
    }

    pub fn picture_format(&self) -> PictureFormat {
        PictureFormat {
            crop: self.crop,
            bit_depth: (self.bit_depth_luma, self.bit_depth_chroma),
            subsampling: subsampling(self.chroma_format_idc),
            colour: self.colour,
        }
    }

    /// Parses the RBSP of `seq_parameter_set_data`; the identifier comes first in the answer.
    pub fn parse(rbsp: &Rbsp) -> Result<(usize, Self)> {
        let mut r = rbsp.reader();
        let profile_idc = r.u(8);
        r.skip(16); // constraint flags, level_idc
        let id = r.ue()?;
        if id > 31 {
            return Err(Error::corrupt("seq_parameter_set_id above 31", r.pos()));
        }
        let mut sps = Self {
            chroma_format_idc: 1,
            separate_colour_plane_flag: false,
            bit_depth_luma: 8,
            bit_depth_chroma: 8,
            qpprime_y_zero_transform_bypass_flag: false,
            log2_max_frame_num: 4,
            poc: PocType::DecodingOrder,
            max_num_ref_frames: 0,
            gaps_in_frame_num_value_allowed_flag: false,
            pic_width_in_mbs: 0,
            pic_height_in_map_units: 0,
            frame_mbs_only_flag: true,
            mb_adaptive_frame_field_flag: false,
            direct_8x8_inference_flag: false,
            crop: Crop::default(),
            colour: Colour::default(),
        };
        if matches!(profile_idc, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
            sps.parse_high_profile_fields(&mut r)?;
        }
        sps.log2_max_frame_num = log2_minus4(&mut r, "log2_max_frame_num_minus4 above 12")?;
        sps.poc = parse_poc_type(&mut r)?;
        sps.max_num_ref_frames = r.ue()?;
        sps.gaps_in_frame_num_value_allowed_flag = r.flag();
        sps.parse_size(&mut r)?;
        r.check()?;
        let vui_parameters_present_flag = r.flag();
        if vui_parameters_present_flag {
            let colour = Colour::parse(&mut r);
            sps.colour = r.check().map_or(Colour::default(), |()| colour);
        }
        Ok((id as usize, sps))
    }

    fn parse_high_profile_fields(&mut self, r: &mut BitReader) -> Result<()> {
        let chroma_format_idc = r.ue()?;
        if chroma_format_idc > 3 {
            return Err(Error::corrupt("chroma_format_idc above 3", r.pos()));
        }
        self.chroma_format_idc = chroma_format_idc as u8;
        self.separate_colour_plane_flag = chroma_format_idc == 3 && r.flag();
        let (luma, chroma) = (r.ue()?, r.ue()?);
        if luma > 6 || chroma > 6 {
            return Err(Error::corrupt("bit depth above 14", r.pos()));
        }
        self.bit_depth_luma = 8 + luma as u8;
        self.bit_depth_chroma = 8 + chroma as u8;
        self.qpprime_y_zero_transform_bypass_flag = r.flag();
        if r.flag() {
            let lists = if chroma_format_idc == 3 { 12 } else { 8 };
            for i in 0..lists {
                if r.flag() {
                    skip_scaling_list(r, if i < 6 { 16 } else { 64 })?;
                }
            }
        }
        Ok(())
    }

    fn parse_size(&mut self, r: &mut BitReader) -> Result<()> {
        let (width, height) = (u64::from(r.ue()?) + 1, u64::from(r.ue()?) + 1);
        self.frame_mbs_only_flag = r.flag();
        let height_in_mbs = height * if self.frame_mbs_only_flag { 1 } else { 2 };
        for side in [width * 16, height_in_mbs * 16] {
            if side > u64::from(MAX_DIMENSION) {
                return Err(Error::limit("picture side in luma samples", side, MAX_DIMENSION.into()));
            }
        }
        if width * height_in_mbs > u64::from(MAX_MACROBLOCKS) {
            return Err(Error::limit("macroblocks of a picture", width * height_in_mbs, MAX_MACROBLOCKS.into()));
        }
        self.pic_width_in_mbs = width as u32;
        self.pic_height_in_map_units = height as u32;
        self.mb_adaptive_frame_field_flag = !self.frame_mbs_only_flag && r.flag();
        self.direct_8x8_inference_flag = r.flag();
        self.crop = self.parse_cropping(r)?;
        Ok(())
    }

    /// Cropping in luma samples; offsets that leave nothing are ignored, as decoders do.
    fn parse_cropping(&self, r: &mut BitReader) -> Result<Crop> {
        let (width, height) = (self.pic_width_in_mbs * 16, self.pic_height_in_mbs() * 16);
        let full = Crop { left: 0, top: 0, width, height };
        if !r.flag() {
            return Ok(full);
        }
        let [left, right, top, bottom] = [r.ue()?, r.ue()?, r.ue()?, r.ue()?].map(u64::from);
        let unit_x = if matches!(self.chroma_array_type(), 1 | 2) { 2 } else { 1 };
        let sub_height = if self.chroma_array_type() == 1 { 2 } else { 1 };
        let unit_y = sub_height * if self.frame_mbs_only_flag { 1 } else { 2 };
        let (lost_x, lost_y) = ((left + right) * unit_x, (top + bottom) * unit_y);
        if lost_x >= u64::from(width) || lost_y >= u64::from(height) {
            return Ok(full);
        }
        Ok(Crop {
            left: (left * unit_x) as u32,
            top: (top * unit_y) as u32,
            width: width - lost_x as u32,
            height: height - lost_y as u32,
        })
    }
}

fn log2_minus4(r: &mut BitReader, what: &'static str) -> Result<u32> {
    let value = r.ue()?;
    if value > 12 {
        return Err(Error::corrupt(what, r.pos()));
    }
    Ok(value + 4)
}

fn parse_poc_type(r: &mut BitReader) -> Result<PocType> {
    match r.ue()? {
        0 => Ok(PocType::Lsb {
            log2_max_pic_order_cnt_lsb: log2_minus4(r, "log2_max_pic_order_cnt_lsb_minus4 above 12")?,
        }),
        1 => {
            let delta_pic_order_always_zero_flag = r.flag();
            let offset_for_non_ref_pic = r.se()?;
            let offset_for_top_to_bottom_field = r.se()?;
            let count = r.ue()?;
            if count > 255 {
                return Err(Error::corrupt("num_ref_frames_in_pic_order_cnt_cycle above 255", r.pos()));
            }
            let offset_for_ref_frame = (0..count).map(|_| r.se()).collect::<Result<_>>()?;
            Ok(PocType::Cycle(PocCycle {
                delta_pic_order_always_zero_flag,
                offset_for_non_ref_pic,
                offset_for_top_to_bottom_field,
                offset_for_ref_frame,
            }))
        }
        2 => Ok(PocType::DecodingOrder),
        _ => Err(Error::corrupt("pic_order_cnt_type above 2", r.pos())),
    }
}

/// 7.3.2.1.1.1; only its length matters here.
fn skip_scaling_list(r: &mut BitReader, size: usize) -> Result<()> {
    let (mut last_scale, mut next_scale) = (8i32, 8i32);
    for _ in 0..size {
        if next_scale != 0 {
            let delta_scale = r.se()?;
            next_scale = last_scale.wrapping_add(delta_scale).rem_euclid(256);
        }
        last_scale = if next_scale == 0 { last_scale } else { next_scale };
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pps {
    pub seq_parameter_set_id: usize,
    pub entropy_coding_mode_flag: bool,
    pub bottom_field_pic_order_in_frame_present_flag: bool,
    pub has_slice_groups: bool,
    pub num_ref_idx_default_active: [u32; 2],
    pub weighted_pred_flag: bool,
    pub weighted_bipred_idc: u32,
    pub pic_init_qp: i32,
    pub deblocking_filter_control_present_flag: bool,
    pub redundant_pic_cnt_present_flag: bool,
    pub transform_8x8_mode_flag: bool,
}

impl Pps {
    /// Parses up to `transform_8x8_mode_flag`: what comes after (scaling matrices, the chroma QP offset) does not
    /// touch the bits, and could not be read without the SPS, which may come later.
    pub fn parse(rbsp: &Rbsp) -> Result<(usize, Self)> {
        let mut r = rbsp.reader();
        let id = r.ue()?;
        let seq_parameter_set_id = r.ue()?;
        if id > 255 || seq_parameter_set_id > 31 {
            return Err(Error::corrupt("parameter set identifier out of range", r.pos()));
        }
        let entropy_coding_mode_flag = r.flag();
        let bottom_field_pic_order_in_frame_present_flag = r.flag();
        let has_slice_groups = r.ue()? > 0;
        let mut pps = Self {
            seq_parameter_set_id: seq_parameter_set_id as usize,
            entropy_coding_mode_flag,
            bottom_field_pic_order_in_frame_present_flag,
            has_slice_groups,
            num_ref_idx_default_active: [1; 2],
            weighted_pred_flag: false,
            weighted_bipred_idc: 0,
            pic_init_qp: 26,
            deblocking_filter_control_present_flag: false,
            redundant_pic_cnt_present_flag: false,
            transform_8x8_mode_flag: false,
        };
        if has_slice_groups {
            // Kept, so that a slice that refers to it is told apart from one whose set is missing.
            return Ok((id as usize, pps));
        }
        for count in &mut pps.num_ref_idx_default_active {
            *count = r.ue()?.saturating_add(1);
        }
        pps.weighted_pred_flag = r.flag();
        pps.weighted_bipred_idc = r.u(2);
        pps.pic_init_qp = r.se()?.saturating_add(26);
        r.se()?; // pic_init_qs_minus26
        r.se()?; // chroma_qp_index_offset
        pps.deblocking_filter_control_present_flag = r.flag();
        r.skip(1); // constrained_intra_pred_flag matters to data partitions alone
        pps.redundant_pic_cnt_present_flag = r.flag();
        r.check()?;
        pps.transform_8x8_mode_flag = r.more_rbsp_data() && r.flag();
        Ok((id as usize, pps))
    }
}

/// The parameter sets in force at one picture, and how its packets are framed. Cheap to clone, never changed once
/// handed out: parameter sets that come mid-stream make a new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSets {
    pub framing: Framing,
    /// Build of x264 that its SEI message names; builds before 151 coded 4:4:4 with a context of their own.
    pub x264_build: Option<u32>,
    sps: [Option<Arc<Sps>>; 32],
    pps: Vec<Option<Arc<Pps>>>,
}

impl Default for ParameterSets {
    fn default() -> Self {
        Self { framing: Framing::AnnexB, x264_build: None, sps: std::array::from_fn(|_| None), pps: vec![None; 256] }
    }
}

impl ParameterSets {
    /// Sets from the container: an `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15) or Annex B units.
    pub fn from_extradata(extradata: &[u8]) -> Self {
        let mut sets = Self::default();
        sets.replace_extradata(extradata);
        sets
    }

    /// Damaged sets are left out: a slice that needs one will say so.
    pub fn replace_extradata(&mut self, extradata: &[u8]) {
        if extradata.first() == Some(&1) && extradata.len() >= 7 {
            self.framing = Framing::LengthPrefixed(usize::from(extradata[4] & 3) + 1);
            let mut rest = &extradata[5..];
            for mask in [0x1f, 0xff] {
                let Some((&count, after)) = rest.split_first() else { return };
                rest = after;
                for _ in 0..count & mask {
                    let Some(nal) = take_sized(&mut rest) else { return };
                    let _ = self.add(nal);
                }
            }
        } else {
            self.framing = Framing::AnnexB;
            for range in Framing::AnnexB.split(extradata).unwrap_or_default() {
                let _ = self.add(&extradata[range]);
            }
        }
    }

    /// Takes in a NAL unit if it is a parameter set or names the encoder; tells whether anything changed.
    pub fn add(&mut self, nal: &[u8]) -> Result<bool> {
        let Some((&header, ebsp)) = nal.split_first() else { return Ok(false) };
        match header & 31 {
            6 => Ok(self.add_sei(ebsp)),
            7 => {
                let (id, sps) = Sps::parse(&Rbsp::from_ebsp(ebsp))?;
                Ok(replace(&mut self.sps[id], sps))
            }
            8 => {
                let (id, pps) = Pps::parse(&Rbsp::from_ebsp(ebsp))?;
                Ok(replace(&mut self.pps[id], pps))
            }
            _ => Ok(false),
        }
    }

    /// Whether some picture may be a field of its own (`frame_mbs_only_flag` equal to 0).
    pub fn may_code_fields(&self) -> bool {
        self.sps.iter().flatten().any(|sps| !sps.frame_mbs_only_flag)
    }

    /// Memory for a map of the pictures that the first set describes.
    pub fn buffers(&self) -> Buffers {
        match self.sps.iter().flatten().next() {
            Some(sps) => Buffers::for_picture(16, sps.pic_width_in_mbs * 16, sps.pic_height_in_mbs() * 16),
            None => Buffers::default(),
        }
    }

    /// Whether pictures are surely shown in decoding order (`pic_order_cnt_type` equal to 2).
    pub fn is_shown_as_decoded(&self) -> bool {
        let mut known = self.sps.iter().flatten().peekable();
        known.peek().is_some() && known.all(|sps| sps.poc == PocType::DecodingOrder)
    }

    fn add_sei(&mut self, ebsp: &[u8]) -> bool {
        const MARK: &[u8] = b"x264 - core ";
        let Some(at) = ebsp.windows(MARK.len()).position(|window| window == MARK) else { return false };
        let digits = ebsp[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit()).take(6);
        let build = digits.fold(0, |n, &digit| n * 10 + u32::from(digit - b'0'));
        let changed = self.x264_build != Some(build);
        self.x264_build = Some(build);
        changed
    }

    /// The sets that a slice refers to.
    pub fn of_slice(&self, pic_parameter_set_id: u32, bit: usize) -> Result<(&Arc<Sps>, &Arc<Pps>)> {
        let pps = self.pps.get(pic_parameter_set_id as usize).and_then(Option::as_ref);
        let pps = pps.ok_or_else(|| Error::corrupt("the slice's picture parameter set is missing", bit))?;
        let sps = self.sps[pps.seq_parameter_set_id].as_ref();
        let sps = sps.ok_or_else(|| Error::corrupt("the slice's sequence parameter set is missing", bit))?;
        Ok((sps, pps))
    }
}

fn replace<T: PartialEq>(slot: &mut Option<Arc<T>>, new: T) -> bool {
    if slot.as_deref() == Some(&new) {
        return false;
    }
    *slot = Some(Arc::new(new));
    true
}

/// A unit behind its 16-bit length.
fn take_sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
    let unit = rest.get(2..2 + length)?;
    *rest = &rest[2 + length..];
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::written::ue_codes;
    use crate::error::ErrorKind;

    #[test]
    fn pictures_may_be_as_large_as_the_limits_and_no_larger() {
        let parse = |width_in_mbs: u32, height_in_mbs: u32| {
            let mut sps = vec![66, 0, 40]; // Baseline; poc type 2, and flags that are set, make up the rest
            sps.extend(ue_codes(&[0, 0, 2, 0, 0, width_in_mbs - 1, height_in_mbs - 1, 0]));
            Sps::parse(&Rbsp::from_ebsp(&sps)).map(|(_, sps)| (sps.pic_width_in_mbs, sps.pic_height_in_mbs()))
        };
        let longest = MAX_DIMENSION / 16;
        let other = MAX_MACROBLOCKS / longest;
        assert_eq!(parse(longest, other), Ok((longest, other)));
        assert_eq!(parse(other, longest), Ok((other, longest)));
        for (width, height) in [(longest + 1, 1), (1, longest + 1), (longest, other + 1), (longest - 1, other + 1)] {
            let error = parse(width, height).unwrap_err();
            assert!(matches!(error.kind, ErrorKind::Limit { .. }), "{width}x{height}: {error}");
        }
    }
}
