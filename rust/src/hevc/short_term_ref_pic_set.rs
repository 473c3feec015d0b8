//! Short-term reference picture sets, as sequence parameter sets list them and slice headers bring them along.

use crate::bits::BitReader;
use crate::error::{Error, Result};

/// `sps_max_dec_pic_buffering_minus1` is at most 15 (A.4.2), and so is each set's number of pictures.
pub const MAX_REF_PICS: usize = 16;

/// A short-term reference picture set, `st_ref_pic_set()` (7.3.7), by distance in picture order count: first the pictures before the current one, nearest first, then those after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShortTermRefPicSet {
    pictures: [ShortTermRef; MAX_REF_PICS],
    num_negative_pics: usize,
    num_delta_pocs: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShortTermRef {
    pub delta_poc: i32,
    pub used_by_curr_pic: bool,
}

impl ShortTermRefPicSet {
    pub fn pictures(&self) -> &[ShortTermRef] {
        &self.pictures[..self.num_delta_pocs]
    }

    pub fn push(&mut self, picture: ShortTermRef, bit: usize) -> Result<()> {
        let Some(slot) = self.pictures.get_mut(self.num_delta_pocs) else {
            return Err(Error::corrupt("too many pictures in a short-term reference picture set", bit));
        };
        *slot = picture;
        self.num_delta_pocs += 1;
        if picture.delta_poc < 0 {
            self.num_negative_pics = self.num_delta_pocs;
        }
        Ok(())
    }

    /// Parses set number `previous.len()`; a slice header's own set follows all those of the SPS.
    pub fn parse(r: &mut BitReader, previous: &[Self], in_slice_header: bool) -> Result<Self> {
        let inter_ref_pic_set_prediction_flag = !previous.is_empty() && r.flag();
        let set = if inter_ref_pic_set_prediction_flag {
            Self::parse_predicted(r, previous, in_slice_header)?
        } else {
            Self::parse_explicit(r)?
        };
        r.check()?;
        Ok(set)
    }

    fn parse_explicit(r: &mut BitReader) -> Result<Self> {
        let start = r.pos();
        let num_negative_pics = r.ue()? as usize;
        let num_positive_pics = r.ue()? as usize;
        if num_negative_pics.saturating_add(num_positive_pics) > MAX_REF_PICS {
            return Err(Error::corrupt("too many pictures in a short-term reference picture set", start));
        }
        let mut set = Self::default();
        for (count, sign) in [(num_negative_pics, -1), (num_positive_pics, 1)] {
            let mut delta_poc = 0i32;
            for _ in 0..count {
                let delta_poc_minus1 = read_delta_poc_minus1(r)?;
                delta_poc += sign * (delta_poc_minus1 + 1);
                let used_by_curr_pic = r.flag();
                set.push(ShortTermRef { delta_poc, used_by_curr_pic }, start)?;
            }
        }
        Ok(set)
    }

    /// (7-61) and (7-62): the pictures of an earlier set, and that set's own picture, moved by `deltaRps`.
    fn parse_predicted(r: &mut BitReader, previous: &[Self], in_slice_header: bool) -> Result<Self> {
        let start = r.pos();
        let delta_idx = if in_slice_header { r.ue()? as usize + 1 } else { 1 };
        let Some(source) = previous.len().checked_sub(delta_idx).map(|idx| &previous[idx]) else {
            return Err(Error::corrupt("delta_idx_minus1 out of range", start));
        };
        let delta_rps_sign = r.flag();
        let abs_delta_rps = read_delta_poc_minus1(r)? + 1;
        let delta_rps = if delta_rps_sign { -abs_delta_rps } else { abs_delta_rps };

        // One more than the source's pictures: the last stands for the picture that the source set belongs to.
        let mut kept = [None; MAX_REF_PICS + 1];
        for (j, slot) in kept.iter_mut().enumerate().take(source.num_delta_pocs + 1) {
            let used_by_curr_pic = r.flag();
            let use_delta = used_by_curr_pic || r.flag();
            let delta_poc = delta_rps + source.pictures().get(j).map_or(0, |p| p.delta_poc);
            *slot = use_delta.then_some(ShortTermRef { delta_poc, used_by_curr_pic });
        }
        let own = source.num_delta_pocs;
        let (before, after) = (0..source.num_negative_pics, source.num_negative_pics..own);
        let mut set = Self::default();
        let negative = after.clone().rev().chain([own]).chain(before.clone());
        for picture in negative.filter_map(|j| kept[j]).filter(|p| p.delta_poc < 0) {
            set.push(picture, start)?;
        }
        let positive = before.rev().chain([own]).chain(after);
        for picture in positive.filter_map(|j| kept[j]).filter(|p| p.delta_poc > 0) {
            set.push(picture, start)?;
        }
        Ok(set)
    }
}

/// `delta_poc_s0_minus1` and its kin: 0 to 2^15 - 1, so that sums of 32 of them stay far inside an `i32`.
fn read_delta_poc_minus1(r: &mut BitReader) -> Result<i32> {
    let start = r.pos();
    match r.ue()? {
        value @ 0..=0x7fff => Ok(value as i32),
        _ => Err(Error::corrupt("picture order count distance out of range", start)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bits: &str) -> Vec<u8> {
        let bits: Vec<u8> = bits.bytes().filter(|b| b.is_ascii_digit()).map(|b| b - b'0').collect();
        bits.chunks(8).map(|c| c.iter().enumerate().fold(0, |b, (i, &v)| b | v << (7 - i))).collect()
    }

    fn deltas(set: &ShortTermRefPicSet) -> Vec<i32> {
        set.pictures().iter().map(|p| p.delta_poc).collect()
    }

    #[test]
    fn explicit_and_predicted_sets() {
        // Two before (-1, -3), one after (+2, not used).
        let bytes = reader("011 010  1 1  010 1  010 0");
        let first = ShortTermRefPicSet::parse(&mut BitReader::new(&bytes), &[], false).unwrap();
        assert_eq!(deltas(&first), [-1, -3, 2]);
        assert!(first.pictures().iter().map(|p| p.used_by_curr_pic).eq([true, true, false]));
        // deltaRps = -2 with all four kept: -1-2, -3-2, 2-2 (gone: that is the current picture), 0-2.
        let bytes = reader("1  1 010  1 1 1 1");
        let second = ShortTermRefPicSet::parse(&mut BitReader::new(&bytes), &[first], false).unwrap();
        assert_eq!(deltas(&second), [-2, -3, -5]);
    }

    #[test]
    fn sets_past_the_limit_are_errors() {
        let bytes = reader("000010001 1 1111111111111111111111111");
        assert!(ShortTermRefPicSet::parse(&mut BitReader::new(&bytes), &[], false).is_err());
    }
}
