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
    fn new(poc_type: u32) -> Self {
        Self::with(poc_type, false)
    }

    /// `frame_num` and order counts of 4 bits.
    fn with(poc_type: u32, are_gaps_allowed: bool) -> Self {
        let sps = BitWriter::default().u(8, 66).u(16, 30).ue(&[0, 0, poc_type]);
        let sps = if poc_type == 0 { sps.ue(&[0]) } else { sps };
        let sps =
            sps.ue(&[MAX_NUM_REF_FRAMES]).u(1, are_gaps_allowed.into()).ue(&[1, 1]).u(1, 1).u(1, 1).u(1, 0).u(1, 0);
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

    fn next_is_missing(&mut self, slice: Slice) -> Option<usize> {
        let packet = self.slice(slice, false);
        self.scanner.scan(&packet).missing
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

#[test]
fn what_lists_a_missing_frame_hangs_on_it_at_any_remove() {
    let mut stream = Stream::new(0);
    stream.idr();
    assert_eq!(stream.next_is_missing(P.at(1, 1)), None);
    assert_eq!(stream.next_is_missing(P.at(3, 3)), Some(0));
    assert_eq!(stream.next_is_missing(P.at(4, 4)), Some(1));
    assert_eq!(stream.next_is_missing(I.at(5, 5)), None);
    assert_eq!(stream.next_is_missing(P.at(6, 6)), None);
    assert_eq!(stream.next_is_missing(Slice { num_ref_idx: 3, ..P }.at(7, 7)), Some(4));
    assert_eq!(stream.next_is_missing(Slice { num_ref_idx: 2, list: &[0, 1], ..P }.at(8, 8)), Some(5));
    assert_eq!(stream.next_is_missing(P.at(10, 10)), Some(0));
    stream.idr();
    assert_eq!(stream.next_is_missing(P.at(1, 1)), None);
}

#[test]
fn frames_from_before_a_gap_are_known_by_their_numbers_alone() {
    let mut stream = Stream::new(0);
    stream.idr();
    stream.next(P.at(1, 1));
    // Number 1, where 2 is missing; and number 1 behind a command that takes 2 out of the buffer.
    assert_eq!(stream.next_is_missing(Slice { list: &[0, 1], marking: &[1, 0], ..P }.at(3, 3)), None);
    assert_eq!(stream.next_is_missing(Slice { list: &[0, 2], ..P }.at(4, 4)), None);
    assert_eq!(stream.next_is_missing(Slice { num_ref_idx: 3, ..P }.at(5, 5)), Some(2));
}

#[test]
fn b_slices_hang_on_a_gap_as_long_as_the_buffer_holds_frames_from_before() {
    let mut stream = Stream::new(0);
    stream.idr();
    stream.next(P.at(1, 4));
    assert_eq!(stream.next_is_missing(B.at(3, 6)), Some(0));
    stream.next(I.at(3, 8));
    stream.next(P.at(4, 10));
    assert_eq!(stream.next_is_missing(B.at(5, 9)), Some(3));
    stream.next(P.at(5, 12));
    assert_eq!(stream.next_is_missing(B.at(6, 11)), None);
}

#[test]
fn where_gaps_are_allowed_only_what_is_named_by_its_number_is_missing() {
    let mut stream = Stream::with(0, true);
    stream.idr();
    assert_eq!(stream.next_is_missing(Slice { num_ref_idx: 3, ..P }.at(3, 3)), None);
    assert_eq!(stream.next_is_missing(Slice { list: &[0, 1], ..P }.at(4, 4)), Some(1));
}

#[test]
fn a_number_that_comes_twice_is_a_gap_unless_it_is_always_0() {
    let mut stream = Stream::new(0);
    stream.idr();
    assert_eq!(stream.next_is_missing(P.at(0, 1)), None);
    assert_eq!(stream.next_is_missing(P.at(0, 2)), None);
    stream.idr();
    stream.next(P.at(1, 1));
    assert_eq!(stream.next_is_missing(P.at(1, 2)), Some(0));
    assert_eq!(stream.next_is_missing(P.at(2, 3)), Some(1));
}

#[test]
fn a_frame_that_is_named_and_was_never_there_is_missing_unless_the_stream_began_without_it() {
    let named = Slice { list: &[0, 7], ..P };
    let mut stream = Stream::new(0);
    assert_eq!(stream.next_is_missing(named.at(9, 1)), None);
    assert_eq!(stream.next_is_missing(Slice { num_ref_idx: 3, ..P }.at(10, 2)), None);
    assert_eq!(stream.next_is_missing(P.at(12, 4)), Some(0));
    stream.idr();
    assert_eq!(stream.next_is_missing(named.at(1, 1)), Some(0));
}

#[test]
fn where_the_buffer_is_not_followed_all_but_intra_pictures_hang_on_a_gap() {
    let mut stream = Stream::new(0);
    stream.idr();
    assert_eq!(stream.next_is_missing(Slice { marking: &[4, 1], ..P }.at(1, 1)), None);
    assert_eq!(stream.next_is_missing(P.at(2, 2)), None);
    assert_eq!(stream.next_is_missing(P.at(4, 4)), Some(0));
    assert_eq!(stream.next_is_missing(I.at(5, 5)), None);
    assert_eq!(stream.next_is_missing(P.at(6, 6)), Some(2));
    assert_eq!(stream.next_is_missing(Slice { marking: &[5], ..I }.at(7, 7)), None); // begins anew
    assert_eq!(stream.next_is_missing(P.at(1, 1)), None);
}

#[test]
fn a_packet_that_cannot_be_read_is_none_that_is_missing() {
    let mut stream = Stream::new(0);
    stream.idr();
    stream.scanner.scan(&[0, 0, 1, 0x21, 0]);
    assert_eq!(stream.next_is_missing(P.at(2, 2)), None);
    assert_eq!(stream.next_is_missing(P.at(3, 3)), None);
    assert_eq!(stream.next_is_missing(P.at(5, 5)), Some(0));
}
