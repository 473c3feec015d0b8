//! Reference picture sets: which pictures stay in the buffer, and which of them a picture may refer to.

use super::short_term_ref_pic_set::{MAX_REF_PICS, ShortTermRefPicSet};
use super::sps::{Sps, ceil_log2, ue_up_to};
use crate::bits::BitReader;
use crate::error::{Error, Result};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hevc::short_term_ref_pic_set::ShortTermRef;

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
}
