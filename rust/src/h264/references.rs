//! Which earlier packets a decoder must have been fed to decode a picture, and which of them it is predicted from.

use std::collections::VecDeque;
use std::sync::Arc;

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
#[derive(Debug, Default)]
pub struct References {
    /// Number of the current packet, from 1.
    packet: usize,
    /// The sequence parameter set since the IDR picture; `None` where the buffer is not known.
    sps: Option<Arc<Sps>>,
    /// Short-term reference frames, the latest first.
    buffer: VecDeque<Frame>,
    /// Reference frames since the IDR picture that order counts may be derived from, the latest last.
    anchors: VecDeque<Frame>,
    /// Whether `anchors` has all of them.
    has_all_anchors: bool,
    /// `PrevRefFrameNum`.
    prev_ref_frame_num: u32,
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
}

impl Links {
    /// Of a picture of which no more is known than what it depends on.
    fn unknown(depends_on: Dependencies) -> Self {
        Self { depends_on, predicted_from: depends_on, has_stand_in: false }
    }
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    packet: usize,
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

    /// Something could not be read or is not followed: until the next IDR picture everything depends on everything.
    pub fn lose_track(&mut self) {
        self.sps = None;
    }

    /// The links of the next picture, of these slices. Marks the frames in the buffer as it says, and puts it in.
    pub fn next(&mut self, slices: &[SliceHeader], poc: i32) -> Links {
        let Some(first) = slices.first() else { return Links::unknown(Dependencies::ALL) };
        if first.nal.is_idr() {
            self.begin_sequence(&first.sps);
        } else if self.sps.is_none() {
            return Links::unknown(Dependencies::ALL);
        }
        if !self.can_follow(slices) {
            self.lose_track();
            return Links::unknown(if first.nal.is_idr() { Dependencies::NONE } else { Dependencies::ALL });
        }
        let (mut depends_on, mut predicted_from) = (Dependencies::NONE, Dependencies::NONE);
        for slice in slices {
            let named = self.named(slice, poc).unwrap_or(Dependencies::ALL);
            predicted_from |= named;
            depends_on |= if slice.slice_type.picture_type() == PictureType::B { self.on_all() } else { named };
        }
        depends_on |= self.milestone.map_or(Dependencies::NONE, |packet| self.on(packet));
        let top = poc.wrapping_sub(first.delta_pic_order_cnt_bottom.min(0));
        depends_on |= self.of_order(depends_on, first, top);
        // The macroblocks of a stand-in need some frame to be copied from.
        let has_stand_in = has_stand_in(first) && !self.buffer.is_empty();
        if first.nal.nal_ref_idc != 0 {
            depends_on |= self.mark(first);
            self.push(Frame { packet: self.packet, frame_num: first.frame_num, poc, top });
        }
        self.follows_non_reference = first.nal.nal_ref_idc == 0;
        Links { depends_on, predicted_from, has_stand_in }
    }

    fn begin_sequence(&mut self, sps: &Arc<Sps>) {
        *self = Self { packet: self.packet, sps: Some(Arc::clone(sps)), has_all_anchors: true, ..Self::default() };
    }

    /// Whether the slices are of one frame, the next by its number, with nothing in their headers that is not followed.
    fn can_follow(&self, slices: &[SliceHeader]) -> bool {
        let first = &slices[0];
        let next = (self.prev_ref_frame_num + 1) % (1 << first.sps.log2_max_frame_num);
        !first.is_field()
            && !first.marking.has_others
            && self.sps.as_ref() == Some(&first.sps)
            && (first.nal.is_idr() || first.frame_num == next)
            && slices.iter().all(|slice| !slice.starts_new_picture(first))
    }

    fn on(&self, packet: usize) -> Dependencies {
        Dependencies::at(self.packet - packet)
    }

    fn on_all(&self) -> Dependencies {
        self.buffer.iter().fold(Dependencies::NONE, |all, frame| all | self.on(frame.packet))
    }

    /// The frames in the lists of a slice; `None` if they are not known.
    fn named(&self, slice: &SliceHeader, poc: i32) -> Option<Dependencies> {
        match slice.slice_type.picture_type() {
            PictureType::I => Some(Dependencies::NONE),
            // 8.2.4.2.1: in descending order of `PicNum`.
            PictureType::P => self.of_list(slice, 0, self.buffer.iter().collect()),
            PictureType::B => {
                let [list_0, list_1] = self.lists_of_b(poc)?;
                Some(self.of_list(slice, 0, list_0)? | self.of_list(slice, 1, list_1)?)
            }
        }
    }

    /// 8.2.4.2.3: what is shown before the picture, the latest first, and what is shown after it; and the reverse.
    fn lists_of_b(&self, poc: i32) -> Option<[Vec<&Frame>; 2]> {
        let mut sorted: Vec<&Frame> = self.buffer.iter().collect();
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

    /// The frames in `RefPicList0` or `RefPicList1` of a slice, begun as `initial`; `None` if there is one in it that
    /// is not in the buffer.
    fn of_list(&self, slice: &SliceHeader, number: usize, initial: Vec<&Frame>) -> Option<Dependencies> {
        let length = slice.num_ref_idx_active[number] as usize;
        let max_frame_num = 1i64 << slice.sps.log2_max_frame_num;
        // 8.2.4.3.1: of frames, `PicNum` is `FrameNumWrap`, which is `frame_num` modulo `MaxFrameNum`.
        let mut pic_num = i64::from(slice.frame_num);
        let mut list = vec![];
        for &operation in &slice.list_operations[number] {
            let PicNumOperation::Step(step) = operation else { return None };
            pic_num = (pic_num + step).rem_euclid(max_frame_num);
            list.push(self.buffer.iter().find(|frame| i64::from(frame.frame_num) == pic_num)?.packet);
        }
        let rest = initial.iter().map(|frame| frame.packet).filter(|packet| !list.contains(packet));
        let in_list = list.iter().copied().chain(rest).take(length);
        Some(in_list.fold(Dependencies::NONE, |all, packet| all | self.on(packet)))
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
        let most = slice.sps.max_num_ref_frames.clamp(1, 16) as usize;
        self.buffer.truncate(most - 1);
        let begins_commands = !commands.is_empty() && !self.has_commands;
        self.has_commands |= begins_commands;
        let wraps = slice.frame_num < self.prev_ref_frame_num && !matches!(slice.sps.poc, PocType::Lsb { .. });
        // A picture that is no reference hides that the next one, of the same number, is missing.
        if wraps || !commands.is_empty() || (self.has_commands && self.follows_non_reference) {
            self.milestone = Some(self.packet);
        }
        if begins_commands { Dependencies::ALL } else { Dependencies::NONE }
    }

    fn push(&mut self, frame: Frame) {
        self.prev_ref_frame_num = frame.frame_num;
        self.buffer.push_front(frame);
        if self.anchors.len() == REACH {
            self.anchors.pop_front();
            self.has_all_anchors = false;
        }
        self.anchors.push_back(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::written::BitWriter;
    use crate::h264::Scanner;

    const MAX_NUM_REF_FRAMES: u32 = 3;

    /// A stream of frames, in packets of one slice each.
    struct Stream {
        scanner: Scanner,
        poc_type: u32,
    }

    /// What a slice header says: `slice_type`, `nal_ref_idc`, `frame_num`, order count, references, and the commands
    /// of its list and for marking.
    #[derive(Clone, Copy)]
    struct Slice<'a> {
        slice_type: u32,
        is_reference: bool,
        frame_num: u32,
        lsb: u32,
        num_ref_idx: u32,
        list: &'a [u32],
        marking: &'a [u32],
    }

    const P: Slice =
        Slice { slice_type: 0, is_reference: true, frame_num: 0, lsb: 0, num_ref_idx: 1, list: &[], marking: &[] };
    const B: Slice = Slice { slice_type: 1, is_reference: false, ..P };
    const I: Slice = Slice { slice_type: 2, ..P };

    impl Slice<'_> {
        fn at(self, frame_num: u32, lsb: u32) -> Self {
            Self { frame_num, lsb, ..self }
        }
    }

    fn unit(header: u8, bits: &BitWriter) -> Vec<u8> {
        let mut unit = vec![0, 0, 1, header];
        for byte in bits.bytes() {
            if byte <= 3 && unit.ends_with(&[0, 0]) {
                unit.push(3);
            }
            unit.push(byte);
        }
        unit
    }

    impl Stream {
        /// `frame_num` and order counts of 4 bits.
        fn new(poc_type: u32) -> Self {
            let sps = BitWriter::default().u(8, 66).u(16, 30).ue(&[0, 0, poc_type]);
            let sps = if poc_type == 0 { sps.ue(&[0]) } else { sps };
            let sps = sps.ue(&[MAX_NUM_REF_FRAMES]).u(1, 0).ue(&[1, 1]).u(1, 1).u(1, 1).u(1, 0).u(1, 0);
            let pps = BitWriter::default().ue(&[0, 0]).u(1, 0).u(1, 0).ue(&[0, 0, 0]).u(3, 0).ue(&[0, 0, 0]).u(3, 0);
            Self { scanner: Scanner::new(&[unit(0x67, &sps), unit(0x68, &pps)].concat()), poc_type }
        }

        fn slice(&self, slice: Slice, is_idr: bool) -> Vec<u8> {
            let mut bits = BitWriter::default().ue(&[0, slice.slice_type, 0]).u(4, slice.frame_num);
            if is_idr {
                bits = bits.ue(&[0]);
            }
            if self.poc_type == 0 {
                bits = bits.u(4, slice.lsb);
            }
            if slice.slice_type == 1 {
                bits = bits.u(1, 1);
            }
            for list in 0..[1, 2, 0][slice.slice_type as usize] {
                if list == 0 {
                    bits = bits.u(1, 1).ue(&[slice.num_ref_idx - 1]);
                    bits = if slice.slice_type == 1 { bits.ue(&[0]) } else { bits };
                }
                bits = bits.u(1, u32::from(list == 0 && !slice.list.is_empty()));
                if list == 0 && !slice.list.is_empty() {
                    bits = bits.ue(slice.list).ue(&[3]);
                }
            }
            if is_idr {
                bits = bits.u(2, 0);
            } else if slice.is_reference {
                bits = bits.u(1, u32::from(!slice.marking.is_empty()));
                bits = if slice.marking.is_empty() { bits } else { bits.ue(slice.marking).ue(&[0]) };
            }
            bits = bits.ue(&[0]); // slice_qp_delta
            unit(u8::from(slice.is_reference) << 5 | if is_idr { 5 } else { 1 }, &bits)
        }

        fn idr(&mut self) -> Dependencies {
            self.next_packet(&self.slice(I, true))
        }

        fn next(&mut self, slice: Slice) -> Dependencies {
            self.next_packet(&self.slice(slice, false))
        }

        fn next_packet(&mut self, packet: &[u8]) -> Dependencies {
            let row = self.scanner.scan(packet);
            assert!(row.picture_type.is_some());
            row.depends_on
        }

        fn next_is_predicted_from(&mut self, slice: Slice) -> Dependencies {
            let packet = self.slice(slice, false);
            self.scanner.scan(&packet).predicted_from
        }
    }

    fn at(distances: &[usize]) -> Dependencies {
        distances.iter().fold(Dependencies::NONE, |all, &distance| all | Dependencies::at(distance))
    }

    #[test]
    fn p_slices_depend_on_the_frames_that_they_list() {
        let mut stream = Stream::new(0);
        assert_eq!(stream.idr(), at(&[]));
        assert_eq!(stream.next(P.at(1, 1)), at(&[1]));
        assert_eq!(stream.next(Slice { num_ref_idx: 2, ..P }.at(2, 2)), at(&[1, 2]));
        assert_eq!(stream.next(Slice { num_ref_idx: 9, ..P }.at(3, 3)), at(&[1, 2, 3]));
        // The window holds three frames: the IDR picture has left it.
        assert_eq!(stream.next(Slice { num_ref_idx: 9, ..P }.at(4, 4)), at(&[1, 2, 3]));
        assert_eq!(stream.next(I.at(5, 5)), at(&[]));
        assert_eq!(stream.next(P.at(6, 6)), at(&[1]));
    }

    #[test]
    fn commands_choose_other_frames_than_the_latest() {
        let mut stream = Stream::new(0);
        stream.idr();
        stream.next(P.at(1, 2));
        stream.next(P.at(2, 4));
        // abs_diff_pic_num_minus1 = 2 from frame_num 3: number 0; the rest of the list begins with the latest.
        assert_eq!(stream.next(Slice { list: &[0, 2], ..P }.at(3, 6)), at(&[3]));
        assert_eq!(stream.next(Slice { list: &[0, 2], num_ref_idx: 2, ..P }.at(4, 8)), at(&[1, 3]));
        // The same frame twice, as for weighted prediction; then two steps, there and back.
        assert_eq!(stream.next(Slice { list: &[0, 1, 0, 15], num_ref_idx: 2, ..P }.at(5, 10)), at(&[2]));
        assert_eq!(stream.next(Slice { list: &[0, 2, 1, 1], num_ref_idx: 2, ..P }.at(6, 12)), at(&[1, 3]));
        // A frame that is not there, and a long-term one.
        assert_eq!(stream.next(Slice { list: &[0, 7], ..P }.at(7, 14)), Dependencies::ALL);
        assert_eq!(stream.next(Slice { list: &[2, 0], ..P }.at(8, 0)), Dependencies::ALL);
        assert_eq!(stream.next(P.at(9, 2)), at(&[1]));
    }

    #[test]
    fn b_slices_depend_on_all_frames_in_the_buffer() {
        let mut stream = Stream::new(0);
        stream.idr();
        stream.next(P.at(1, 4));
        assert_eq!(stream.next(B.at(2, 2)), at(&[1, 2]));
        assert_eq!(stream.next(P.at(2, 6)), at(&[2]));
        assert_eq!(stream.next(P.at(3, 8)), at(&[1]));
        assert_eq!(stream.next(B.at(4, 7)), at(&[1, 2, 4]));
    }

    #[test]
    fn b_slices_are_predicted_from_the_frames_that_their_lists_name() {
        let mut stream = Stream::new(0);
        stream.idr();
        stream.next(P.at(1, 4));
        stream.next(P.at(2, 6));
        // The latest shown before, and the first shown after: 0 and 4.
        assert_eq!(stream.next_is_predicted_from(B.at(3, 2)), at(&[2, 3]));
        assert_eq!(stream.next_is_predicted_from(B.at(3, 5)), at(&[2, 3]));
        assert_eq!(stream.next_is_predicted_from(Slice { num_ref_idx: 3, ..B }.at(3, 2)), at(&[3, 4, 5]));
        // Both lists begin with 6, so the second one is turned round.
        assert_eq!(stream.next_is_predicted_from(B.at(3, 7)), at(&[4, 5]));
        // The first list begins with number 0 by a command, the second with 6.
        assert_eq!(stream.next_is_predicted_from(Slice { list: &[0, 2], ..B }.at(3, 5)), at(&[5, 7]));
        // An order count that another frame has: nobody knows.
        assert_eq!(stream.next_is_predicted_from(B.at(3, 4)), Dependencies::ALL);
    }

    #[test]
    fn a_picture_with_commands_for_the_buffer_is_needed_by_all_later_ones() {
        let mut stream = Stream::new(0);
        stream.idr();
        stream.next(P.at(1, 2));
        // Number 1 goes, and 0 is the latest but one.
        assert_eq!(stream.next(Slice { marking: &[1, 0], ..P }.at(2, 4)), Dependencies::ALL);
        assert_eq!(stream.next(Slice { num_ref_idx: 3, ..P }.at(3, 6)), at(&[1, 3]));
        assert_eq!(stream.next(P.at(4, 8)), at(&[1, 2]));
        assert_eq!(stream.next(P.at(5, 10)), at(&[1, 3]));
        // Behind a picture that is no reference a missing one is not noticed.
        assert_eq!(stream.next(Slice { is_reference: false, ..P }.at(6, 12)), at(&[1, 4]));
        assert_eq!(stream.next(P.at(6, 14)), at(&[2, 5]));
        assert_eq!(stream.next(P.at(7, 0)), at(&[1]));
    }

    #[test]
    fn long_term_references_and_gaps_make_everything_depend_on_everything_up_to_an_idr_picture() {
        for lost in [Slice { marking: &[4, 1], ..P }.at(1, 2), Slice { marking: &[5], ..P }.at(1, 2), P.at(2, 4)] {
            let mut stream = Stream::new(0);
            stream.idr();
            assert_eq!(stream.next(lost), Dependencies::ALL);
            assert_eq!(stream.next(P.at(lost.frame_num + 1, 6)), Dependencies::ALL);
            assert_eq!(stream.idr(), at(&[]));
            assert_eq!(stream.next(P.at(1, 2)), at(&[1]));
        }
    }

    #[test]
    fn two_pictures_in_a_packet_are_not_followed() {
        let mut stream = Stream::new(0);
        stream.idr();
        let both = [stream.slice(P.at(1, 2), false), stream.slice(P.at(2, 4), false)].concat();
        assert_eq!(stream.next_packet(&both), Dependencies::ALL);
    }

    #[test]
    fn the_picture_that_the_order_is_counted_from_is_fed_where_others_would_mislead() {
        let mut stream = Stream::new(0);
        stream.idr();
        stream.next(P.at(1, 2));
        stream.next(P.at(2, 4));
        // From 0 on, 8 could be -8.
        assert_eq!(stream.next(Slice { list: &[0, 2], ..P }.at(3, 6)), at(&[3]));
        assert_eq!(stream.next(I.at(4, 8)), at(&[1]));
    }

    #[test]
    fn a_frame_number_that_wraps_around_must_be_seen_where_order_is_counted_by_it() {
        for (poc_type, expected) in [(0, at(&[1])), (2, at(&[1, 2]))] {
            let mut stream = Stream::new(poc_type);
            stream.idr();
            for number in 1..18 {
                stream.next(P.at(number % 16, 2 * number % 16));
            }
            assert_eq!(stream.next(P.at(2, 4)), expected);
        }
    }
}
