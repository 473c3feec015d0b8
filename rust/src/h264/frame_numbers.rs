//! `frame_num` from picture to picture (7.4.3): whether reference frames are missing between them.

use super::slice_header::SliceHeader;

#[derive(Debug, Default)]
pub struct FrameNumbers {
    /// `PrevRefFrameNum`; `None` where it is not known.
    prev_ref_frame_num: Option<u32>,
}

/// From the reference picture before to the next picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The next number, or the first of all.
    Next,
    /// The same number: the other field, or a stream that does not count as it should.
    Same,
    /// So many numbers are left out.
    Gap(u32),
}

impl FrameNumbers {
    /// The step to the pictures of a packet: the first that is a gap, or the first.
    pub fn next(&mut self, slices: &[SliceHeader]) -> Step {
        let mut steps = vec![];
        for (at, slice) in slices.iter().enumerate() {
            if at == 0 || slice.starts_new_picture(&slices[at - 1]) {
                steps.push(self.step(slice));
            }
        }
        let gap = steps.iter().find(|step| matches!(step, Step::Gap(_)));
        gap.or(steps.first()).copied().unwrap_or(Step::Next)
    }

    fn step(&mut self, slice: &SliceHeader) -> Step {
        let max_frame_num = 1u32 << slice.sps.log2_max_frame_num;
        let step = match self.prev_ref_frame_num {
            Some(prev) if !slice.nal.is_idr() => match slice.frame_num.wrapping_sub(prev) % max_frame_num {
                // From reference frame to reference frame it is another number, unless the IDR picture between them is
                // missing; but a stream that says 0 all the time does not count.
                0 if starts_frame(slice) && slice.frame_num > 0 => Step::Gap(max_frame_num - 1),
                0 => Step::Same,
                1 => Step::Next,
                difference => Step::Gap(difference - 1),
            },
            _ => Step::Next,
        };
        if slice.marking.resets_order {
            self.prev_ref_frame_num = Some(0);
        } else if slice.nal.nal_ref_idc != 0 {
            self.prev_ref_frame_num = Some(slice.frame_num);
        } else if step != Step::Same {
            // 8.2.5.2: the last of the missing frames has become the reference before.
            self.prev_ref_frame_num = Some((slice.frame_num + max_frame_num - 1) % max_frame_num);
        }
        step
    }
}

/// Whether it is the first slice of a reference frame, if slices are in order.
fn starts_frame(slice: &SliceHeader) -> bool {
    slice.nal.nal_ref_idc != 0 && !slice.is_field() && slice.first_mb_in_slice == 0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::bits::Rbsp;
    use crate::bits::written::BitWriter;
    use crate::h264::parameter_sets::ParameterSets;
    use crate::h264::slice_header::NalHeader;

    fn sets() -> ParameterSets {
        let sps = BitWriter::default().u(8, 66).u(16, 30).ue(&[0, 0, 2, 1]).u(1, 0).ue(&[0, 0]).u(1, 1).u(3, 0).u(1, 1);
        let pps = BitWriter::default().ue(&[0, 0]).u(2, 0).ue(&[0, 0, 0]).u(3, 0).ue(&[0, 0, 0]).u(3, 0).u(1, 1);
        let mut sets = ParameterSets::default();
        for (header, set) in [(0x67, sps), (0x68, pps)] {
            assert_eq!(sets.add(&[&[header], &set.bytes()[..]].concat()), Ok(true));
        }
        sets
    }

    /// An I slice with `frame_num` of 4 bits.
    fn slice(nal_ref_idc: u8, frame_num: u32) -> SliceHeader {
        let bits =
            BitWriter::default().ue(&[0, 2, 0]).u(4, frame_num).u(u32::from(nal_ref_idc > 0), 0).ue(&[0]).u(1, 1);
        let nal = NalHeader { nal_ref_idc, nal_unit_type: 1 };
        SliceHeader::parse(nal, &Rbsp::from_ebsp(&bits.bytes()), &sets()).unwrap()
    }

    #[test]
    fn pictures_that_are_no_reference_take_the_next_number_and_leave_it_to_the_next_reference() {
        let mut numbers = FrameNumbers::default();
        for (nal_ref_idc, frame_num, step) in [
            (1, 14, Step::Next),
            (0, 15, Step::Next),
            (0, 15, Step::Next),
            (1, 15, Step::Next),
            (1, 0, Step::Next),
            (1, 0, Step::Same),
            (0, 3, Step::Gap(2)),
            (1, 3, Step::Next),
            (1, 3, Step::Gap(15)),
            (0, 3, Step::Same),
            (1, 2, Step::Gap(14)),
        ] {
            assert_eq!(numbers.next(&[slice(nal_ref_idc, frame_num)]), step, "{frame_num}");
        }
    }

    #[test]
    fn a_range_that_shrinks_in_mid_stream_is_no_harm() {
        let mut numbers = FrameNumbers::default();
        let mut wide = slice(1, 3);
        Arc::make_mut(&mut wide.sps).log2_max_frame_num = 16;
        wide.frame_num = 65_533;
        assert_eq!(numbers.next(&[wide]), Step::Next);
        assert_eq!(numbers.next(&[slice(1, 14)]), Step::Next);
        assert_eq!(numbers.next(&[slice(1, 1), slice(1, 3)]), Step::Gap(2));
    }
}
