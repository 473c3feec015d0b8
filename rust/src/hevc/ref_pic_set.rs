//! Reference picture sets: which pictures stay in the buffer, and which of them a picture may refer to.

use super::sps::{Sps, ceil_log2, ue_up_to};
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

    fn push(&mut self, picture: ShortTermRef, bit: usize) -> Result<()> {
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

/// A long-term reference picture (7.4.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LongTermRef {
    /// `PocLsbLt`.
    pub poc_lsb: u32,
    /// `DeltaPocMsbCycleLt`, where the picture is named by its whole picture order count.
    pub delta_poc_msb_cycle: Option<u32>,
    pub used_by_curr_pic: bool,
}

/// All that a slice header says of the reference pictures of its picture.
#[derive(Debug, Clone, Copy, Default)]
pub struct RefPicSet {
    pub short_term: ShortTermRefPicSet,
    long_term: [LongTermRef; MAX_LONG_TERM],
    num_long_term: usize,
}

/// More than a conforming stream has: `sps_max_dec_pic_buffering_minus1` bounds them, too.
const MAX_LONG_TERM: usize = 2 * MAX_REF_PICS;

impl RefPicSet {
    pub fn long_term(&self) -> &[LongTermRef] {
        &self.long_term[..self.num_long_term]
    }

    /// How many pictures the current one may refer to, itself aside (7-55).
    pub fn num_used_by_curr_pic(&self) -> usize {
        let short_term = self.short_term.pictures().iter().filter(|p| p.used_by_curr_pic).count();
        short_term + self.long_term().iter().filter(|p| p.used_by_curr_pic).count()
    }

    /// From `short_term_ref_pic_set_sps_flag` to `delta_poc_msb_cycle_lt` of a slice segment header (7.3.6.1).
    pub fn parse(r: &mut BitReader, sps: &Sps) -> Result<Self> {
        let mut set = Self { short_term: parse_short_term(r, sps)?, ..Self::default() };
        if sps.long_term_ref_pics_present_flag {
            set.parse_long_term(r, sps)?;
        }
        Ok(set)
    }

    fn parse_long_term(&mut self, r: &mut BitReader, sps: &Sps) -> Result<()> {
        const OUT_OF_RANGE: &str = "too many long-term reference pictures";
        let in_sps = &sps.long_term_ref_pics;
        let start = r.pos();
        let max = MAX_LONG_TERM as u32;
        let num_long_term_sps = if in_sps.is_empty() { 0 } else { ue_up_to(r, max, OUT_OF_RANGE)? as usize };
        let num_long_term_pics = ue_up_to(r, max, OUT_OF_RANGE)? as usize;
        self.num_long_term = num_long_term_sps + num_long_term_pics;
        let Some(pictures) = self.long_term.get_mut(..self.num_long_term) else {
            return Err(Error::corrupt(OUT_OF_RANGE, start));
        };
        let mut delta_poc_msb_cycle = 0u32;
        for (i, picture) in pictures.iter_mut().enumerate() {
            (picture.poc_lsb, picture.used_by_curr_pic) = if i < num_long_term_sps {
                let start = r.pos();
                let lt_idx_sps = r.u(ceil_log2(in_sps.len())) as usize;
                *in_sps.get(lt_idx_sps).ok_or(Error::corrupt("lt_idx_sps out of range", start))?
            } else {
                (r.u(sps.log2_max_pic_order_cnt_lsb), r.flag())
            };
            if i == num_long_term_sps {
                delta_poc_msb_cycle = 0;
            }
            let delta_poc_msb_present_flag = r.flag();
            if delta_poc_msb_present_flag {
                // (7-52)
                delta_poc_msb_cycle = delta_poc_msb_cycle.wrapping_add(r.ue()?);
                picture.delta_poc_msb_cycle = Some(delta_poc_msb_cycle);
            }
        }
        Ok(())
    }
}

fn parse_short_term(r: &mut BitReader, sps: &Sps) -> Result<ShortTermRefPicSet> {
    let sets = &sps.short_term_ref_pic_sets;
    let short_term_ref_pic_set_sps_flag = r.flag();
    if !short_term_ref_pic_set_sps_flag {
        return ShortTermRefPicSet::parse(r, sets, true);
    }
    let start = r.pos();
    let short_term_ref_pic_set_idx = r.u(ceil_log2(sets.len())) as usize;
    sets.get(short_term_ref_pic_set_idx)
        .copied()
        .ok_or(Error::corrupt("short_term_ref_pic_set_idx out of range", start))
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

    impl RefPicSet {
        /// A short-term set of pictures by their order counts, all of them used.
        pub fn of_pocs(poc: i32, kept: &[i32]) -> Self {
            let mut set = Self::default();
            for &other in kept {
                set.short_term.push(ShortTermRef { delta_poc: other - poc, used_by_curr_pic: true }, 0).unwrap();
            }
            set
        }
    }

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
