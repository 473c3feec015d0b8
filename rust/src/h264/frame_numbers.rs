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
    /// The step to the pictures of a packet: to the first of them, if there is a gap before none.
    pub fn next(&mut self, slices: &[SliceHeader]) -> Step {
        let mut result = None;
        let mut before: Option<&SliceHeader> = None;
        for slice in slices {
            if before.is_none_or(|before| slice.starts_new_picture(before)) {
                let step = self.step(slice);
                if result.is_none() || matches!(step, Step::Gap(_)) {
                    result = Some(step);
                }
            }
            before = Some(slice);
        }
        result.unwrap_or(Step::Next)
    }

    fn step(&mut self, slice: &SliceHeader) -> Step {
        let max_frame_num = 1 << slice.sps.log2_max_frame_num;
        let step = match self.prev_ref_frame_num {
            Some(prev) if !slice.nal.is_idr() => match (max_frame_num + slice.frame_num - prev) % max_frame_num {
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
