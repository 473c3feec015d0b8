//! Which earlier packets a decoder must have been fed to decode a picture, and which of them it is predicted from.

use std::collections::VecDeque;
use std::ops::BitOr;
use std::sync::Arc;

use super::frame_numbers::{FrameNumbers, Step};
use super::parameter_sets::{PocType, Sps};
use super::slice_header::{PicNumOperation, SliceHeader};
use super::stand_in::has_stand_in;
use crate::map::PictureType;
use crate::packet::Dependencies;

/// Dependencies reach this far back one by one, so older pictures need not be kept apart.
const REACH: usize = 64;

/// The reference frames in the buffer, and what else a decoder must have seen to have the same ones in it.
///
/// A decoder that meets a gap in `frame_num` puts frames of its own in the place of those that are missing (8.2.5.2),
/// which no slice may refer to, and goes on. What that leaves right, and what not:
///
/// - P slices list frames by `frame_num`, the latest first. A frame that no slice names can be missing: it stands
///   behind all that are named, or every entry before it is named by a command.
/// - B slices list frames by picture order count, which the frames in a gap have none of. FFmpeg gives them one, at
///   which they get in between the others. So a B slice depends on all frames in the buffer, whichever it names.
/// - Frames leave the buffer by the sliding window in any case, but at a command only if its picture is fed.
///
/// A decoder that is fed stand-ins for the reference pictures it is not fed has the same buffer as if it were. To it
/// only those frames matter that the lists of the slices name, of P and B slices alike.
///
/// Fields, long-term references and the other rare commands are not followed: until the next IDR picture everything
/// depends on everything then.
///
/// Frames that the stream lacks are told by a gap in `frame_num`. From there on everything depends on everything, and the
/// buffer is followed for another reason: to tell which pictures hang on what is missing. What was in the buffer before
/// a gap may be there or not, for nobody knows the commands of the missing pictures; only a slice that names such a
/// frame by its number is sure to have it.
#[derive(Debug, Default)]
pub struct References {
    /// Number of the current packet, from 1.
    packet: usize,
    /// The sequence parameter set that holds; `None` where the buffer is not followed.
    sps: Option<Arc<Sps>>,
    /// All reference frames have been followed since an IDR picture.
    is_whole: bool,
    /// There was a picture.
    has_begun: bool,
    numbers: FrameNumbers,
    /// The packet before which the latest of those are missing that pictures may hang on.
    gap: Option<usize>,
    /// Short-term reference frames, the latest first.
    buffer: VecDeque<Frame>,
    /// Reference frames since the IDR picture that order counts may be derived from, the latest last.
    anchors: VecDeque<Frame>,
    /// Whether `anchors` has all of them.
    has_all_anchors: bool,
    /// The last packet that no later picture can do without.
    milestone: Option<usize>,
    /// Frames were taken out of the buffer by commands.
    has_commands: bool,
    /// The picture before is no reference.
    follows_non_reference: bool,
}

/// How a picture hangs together with those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Links {
    /// What a decoder must have been fed, nothing being put in the place of the rest.
    pub depends_on: Dependencies,
    /// What its slices name; all other reference pictures have been fed to the decoder, or stand-ins for them.
    pub predicted_from: Dependencies,
    /// There may be a stand-in for the picture itself.
    pub has_stand_in: bool,
    /// How many packets back the latest are missing that the picture hangs on, at any remove; 0: right before it.
    pub missing: Option<usize>,
}

impl Links {
    /// Of a picture of which no more is known than what it depends on.
    fn unknown(depends_on: Dependencies) -> Self {
        Self { depends_on, predicted_from: depends_on, has_stand_in: false, missing: None }
    }
}

/// What lists of references name.
#[derive(Debug, Clone, Copy)]
struct Named {
    packets: Dependencies,
    /// The latest gap that one of them hangs on.
    gap: Option<usize>,
}

impl Named {
    const NOTHING: Self = Self { packets: Dependencies::NONE, gap: None };

    /// It is not known what.
    fn anything(gap: Option<usize>) -> Self {
        Self { packets: Dependencies::ALL, gap }
    }
}

impl BitOr for Named {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self { packets: self.packets | other.packets, gap: self.gap.max(other.gap) }
    }
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Of a frame that is missing: the one before the gap.
    packet: usize,
    /// The latest gap that it hangs on.
    gap: Option<usize>,
    is_missing: bool,
    frame_num: u32,
    /// `PicOrderCnt`.
    poc: i32,
    /// `TopFieldOrderCnt`.
    top: i32,
}

impl References {
    pub fn next_packet(&mut self) {
        self.packet += 1;
    }

    /// Something could not be read: until the next IDR picture everything depends on everything.
    pub fn lose_track(&mut self) {
        self.numbers = FrameNumbers::default();
        self.has_begun = true;
        self.sps = None;
    }

    /// The links of the next picture, of these slices. Marks the frames in the buffer as it says, and puts it in.
    pub fn next(&mut self, slices: &[SliceHeader], poc: i32) -> Links {
        let Some(first) = slices.first() else { return Links::unknown(Dependencies::ALL) };
        let step = self.numbers.next(slices);
        if first.nal.is_idr() {
            self.begin_sequence(&first.sps);
        } else if !self.has_begun {
            (self.has_begun, self.sps) = (true, Some(Arc::clone(&first.sps)));
        }
        if let Step::Gap(missing) = step {
            self.leave_gap(first, missing);
        }
        if !self.can_follow(slices, step) {
            self.sps = None;
        }
        if self.sps.is_none() {
            return self.not_followed(slices);
        }
        let (mut named, mut depends_on) = (Named::NOTHING, Dependencies::NONE);
        for slice in slices {
            let by_slice = self.named(slice, poc);
            named = named | by_slice;
            let is_b = slice.slice_type.picture_type() == PictureType::B;
            depends_on |= if is_b { self.on_all() } else { by_slice.packets };
        }
        let top = poc.wrapping_sub(first.delta_pic_order_cnt_bottom.min(0));
        let frame =
            Frame { packet: self.packet, gap: named.gap, is_missing: false, frame_num: first.frame_num, poc, top };
        let mut links = Links { missing: self.back_to(named.gap), ..Links::unknown(Dependencies::ALL) };
        if self.is_whole {
            depends_on |= self.milestone.map_or(Dependencies::NONE, |packet| self.on(packet));
            links.depends_on = depends_on | self.of_order(depends_on, first, top);
            links.predicted_from = named.packets;
            // The macroblocks of a stand-in need some frame to be copied from.
            links.has_stand_in = has_stand_in(first) && !self.buffer.is_empty();
        }
        if first.nal.nal_ref_idc != 0 {
            links.depends_on |= self.mark(first);
            self.push(frame);
        }
        self.follows_non_reference = first.nal.nal_ref_idc == 0;
        links
    }

    /// The links of a picture of these slices, the frames in the buffer not being known.
    fn not_followed(&mut self, slices: &[SliceHeader]) -> Links {
        let is_intra = slices.iter().all(|slice| slice.slice_type.is_intra());
        let gap = self.gap.filter(|_| !is_intra);
        if slices.iter().any(|slice| slice.marking.resets_order) {
            self.gap = gap; // later pictures refer to nothing before this one
        }
        let is_idr = slices[0].nal.is_idr();
        let depends_on = if is_idr { Dependencies::NONE } else { Dependencies::ALL };
        Links { missing: self.back_to(gap), ..Links::unknown(depends_on) }
    }

    fn begin_sequence(&mut self, sps: &Arc<Sps>) {
        *self = Self {
            packet: self.packet,
            numbers: std::mem::take(&mut self.numbers),
            sps: Some(Arc::clone(sps)),
            has_begun: true,
            is_whole: true,
            has_all_anchors: true,
            ..Self::default()
        };
    }

    /// 8.2.5.2: so many frames that are not there take their places in the buffer.
    fn leave_gap(&mut self, slice: &SliceHeader, missing: u32) {
        self.is_whole = false;
        if !slice.sps.gaps_in_frame_num_value_allowed_flag {
            self.gap = Some(self.packet);
        }
        let max_frame_num = 1 << slice.sps.log2_max_frame_num;
        let most = most_references(&slice.sps);
        for back in (1..=missing.min(most as u32)).rev() {
            let frame_num = (slice.frame_num + max_frame_num - back) % max_frame_num;
            self.buffer.truncate(most - 1);
            let (packet, gap) = (self.packet - 1, Some(self.packet));
            self.buffer.push_front(Frame { packet, gap, is_missing: true, frame_num, poc: 0, top: 0 });
        }
    }

    /// Whether the slices are of one frame, the next by its number, with nothing in their headers that is not followed.
    fn can_follow(&self, slices: &[SliceHeader], step: Step) -> bool {
        let first = &slices[0];
        !first.is_field()
            && !first.marking.has_others
            && self.sps.as_ref() == Some(&first.sps)
            && step != Step::Same
            && slices.iter().all(|slice| !slice.starts_new_picture(first))
    }

    fn back_to(&self, gap: Option<usize>) -> Option<usize> {
        gap.map(|gap| self.packet - gap)
    }

    fn on(&self, packet: usize) -> Dependencies {
        Dependencies::at(self.packet - packet)
    }

    fn on_all(&self) -> Dependencies {
        self.buffer.iter().fold(Dependencies::NONE, |all, frame| all | self.on(frame.packet))
    }

    /// The frames in the lists of a slice.
    fn named(&self, slice: &SliceHeader, poc: i32) -> Named {
        match slice.slice_type.picture_type() {
            PictureType::I => Named::NOTHING,
            // 8.2.4.2.1: in descending order of `PicNum`.
            PictureType::P => self.of_list(slice, 0, self.buffer.iter().collect()),
            PictureType::B => {
                let Some([list_0, list_1]) = self.lists_of_b(poc) else { return Named::anything(self.gap) };
                self.of_list(slice, 0, list_0) | self.of_list(slice, 1, list_1)
            }
        }
    }

    /// It was in the buffer before packets went missing, or is one of them: it is not known whether it still is in it.
    fn is_in_doubt(&self, frame: &Frame) -> bool {
        self.gap.is_some_and(|gap| frame.packet < gap)
    }

    /// 8.2.4.2.3: what is shown before the picture, the latest first, and what is shown after it; and the reverse.
    fn lists_of_b(&self, poc: i32) -> Option<[Vec<&Frame>; 2]> {
        let mut sorted: Vec<&Frame> = self.buffer.iter().filter(|frame| !frame.is_missing).collect();
        sorted.sort_by_key(|frame| frame.poc);
        if sorted.windows(2).any(|pair| pair[0].poc == pair[1].poc) || sorted.iter().any(|frame| frame.poc == poc) {
            return None;
        }
        let (mut before, after): (Vec<_>, Vec<_>) = sorted.into_iter().partition(|frame| frame.poc < poc);
        before.reverse();
        let list_0 = [&before[..], &after[..]].concat();
        let mut list_1 = [&after[..], &before[..]].concat();
        if list_1.len() > 1 && (before.is_empty() || after.is_empty()) {
            list_1.swap(0, 1);
        }
        Some([list_0, list_1])
    }

    /// The frames in `RefPicList0` or `RefPicList1` of a slice, begun as `initial`.
    fn of_list(&self, slice: &SliceHeader, number: usize, initial: Vec<&Frame>) -> Named {
        let length = slice.num_ref_idx_active[number] as usize;
        let max_frame_num = 1i64 << slice.sps.log2_max_frame_num;
        // 8.2.4.3.1: of frames, `PicNum` is `FrameNumWrap`, which is `frame_num` modulo `MaxFrameNum`.
        let mut pic_num = i64::from(slice.frame_num);
        let mut list: Vec<&Frame> = vec![];
        for &operation in &slice.list_operations[number] {
            let PicNumOperation::Step(step) = operation else { return Named::anything(self.gap) };
            pic_num = (pic_num + step).rem_euclid(max_frame_num);
            let Some(frame) = self.buffer.iter().find(|frame| i64::from(frame.frame_num) == pic_num) else {
                // Where all frames are known it is one that the stream lacks.
                return Named::anything(if self.is_whole { Some(self.packet) } else { self.gap });
            };
            list.push(frame);
        }
        let by_number = list.iter().take(length).map(|frame| self.of_frame(frame, frame.gap));
        let mut named = by_number.fold(Named::NOTHING, |all, frame| all | frame);
        // The order counts of missing frames, by which those of B slices are sorted, are not known.
        let is_mixed = slice.slice_type.picture_type() == PictureType::B
            && list.len() < length
            && self.buffer.iter().any(|frame| self.is_in_doubt(frame));
        named.gap = named.gap.max(self.gap.filter(|_| is_mixed));
        let rest = initial.into_iter().filter(|frame| list.iter().all(|other| other.frame_num != frame.frame_num));
        for frame in rest.take(length.saturating_sub(list.len())) {
            // What the stream may leave out stands in lists, too, and is not used.
            let gap = if self.is_in_doubt(frame) { self.gap } else { frame.gap.filter(|_| !frame.is_missing) };
            named = named | self.of_frame(frame, gap);
        }
        named
    }

    fn of_frame(&self, frame: &Frame, gap: Option<usize>) -> Named {
        Named { packets: self.on(frame.packet), gap }
    }

    /// What the picture's order count depends on. A decoder derives it from that of the last reference picture that it
    /// was fed (8.2.1.1), which does as well as the one before the picture if it is no further than half the range of
    /// what is coded. The other types of order count need no other picture but where `frame_num` wraps around.
    fn of_order(&self, depends_on: Dependencies, slice: &SliceHeader, top: i32) -> Dependencies {
        let PocType::Lsb { log2_max_pic_order_cnt_lsb } = slice.sps.poc else { return Dependencies::NONE };
        let Some(latest) = self.anchors.back() else { return Dependencies::NONE };
        for anchor in self.anchors.iter().rev() {
            if top.abs_diff(anchor.top) >= 1 << (log2_max_pic_order_cnt_lsb - 1) {
                return self.on(latest.packet);
            }
            if depends_on | self.on(anchor.packet) == depends_on {
                return Dependencies::NONE; // a decoder has been fed this one, if not a later one
            }
        }
        if self.has_all_anchors { Dependencies::NONE } else { self.on(latest.packet) }
    }

    /// Marking of the frames in the buffer by a reference picture (8.2.5), and what it depends on for that.
    fn mark(&mut self, slice: &SliceHeader) -> Dependencies {
        let commands = &slice.marking.unused;
        let max_frame_num = 1i64 << slice.sps.log2_max_frame_num;
        for difference in commands {
            let pic_num = (i64::from(slice.frame_num) - difference).rem_euclid(max_frame_num);
            self.buffer.retain(|frame| i64::from(frame.frame_num) != pic_num);
        }
        self.buffer.truncate(most_references(&slice.sps) - 1);
        let begins_commands = !commands.is_empty() && !self.has_commands;
        self.has_commands |= begins_commands;
        let wraps = slice.frame_num == 0 && !slice.nal.is_idr() && !matches!(slice.sps.poc, PocType::Lsb { .. });
        // A picture that is no reference hides that the next one, of the same number, is missing.
        if wraps || !commands.is_empty() || (self.has_commands && self.follows_non_reference) {
            self.milestone = Some(self.packet);
        }
        if begins_commands { Dependencies::ALL } else { Dependencies::NONE }
    }

    fn push(&mut self, frame: Frame) {
        self.buffer.push_front(frame);
        if self.anchors.len() == REACH {
            self.anchors.pop_front();
            self.has_all_anchors = false;
        }
        self.anchors.push_back(frame);
    }
}

/// Reference frames that the buffer has room for.
fn most_references(sps: &Sps) -> usize {
    sps.max_num_ref_frames.clamp(1, 16) as usize
}

#[cfg(test)]
mod tests;
