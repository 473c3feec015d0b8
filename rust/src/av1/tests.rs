//! Streams made by hand, of headers alone.

use super::Scanner;
use super::obu::obu_type;
use crate::bits::written::BitWriter;
use crate::map::PictureType;
use crate::packet::{Dependencies, PacketHeader};

/// How a sequence header differs from the plainest one.
#[derive(Clone, Copy, Default)]
struct Sequence {
    has_decoder_model: bool,
    has_frame_ids: bool,
    operating_point_idc: u32,
}

const PLAIN: Sequence = Sequence { has_decoder_model: false, has_frame_ids: false, operating_point_idc: 0 };

fn bits() -> BitWriter {
    BitWriter::default()
}

fn unit(obu_type: u8, layer: Option<u8>, payload: &BitWriter) -> Vec<u8> {
    let payload = payload.bytes();
    let mut unit = vec![obu_type << 3 | u8::from(layer.is_some()) << 2 | 2];
    unit.extend(layer);
    unit.push(payload.len() as u8);
    unit.extend(payload);
    unit
}

impl Sequence {
    fn unit(self) -> Vec<u8> {
        let mut header = bits().u(3 + 1 + 1, 0);
        if self.has_decoder_model {
            // Lengths of 10, 5 and 7 bits; num_ticks_per_picture_minus_1 is left out.
            header = header.u(1, 1).u(32, 1).u(32, 30).u(1, 0);
            header = header.u(1, 1).u(5, 9).u(32, 1).u(5, 4).u(5, 6);
        } else {
            header = header.u(1, 0);
        }
        header = header.u(1, 0).u(5, 0).u(12, self.operating_point_idc).u(5, 8).u(1, 0);
        if self.has_decoder_model {
            header = header.u(1, 1).u(10, 0).u(10, 0).u(1, 0);
        }
        header = header.u(4, 7).u(4, 6).u(8, 175).u(7, 127);
        header = header.u(1, u32::from(self.has_frame_ids));
        if self.has_frame_ids {
            header = header.u(4, 3).u(3, 2); // deltas of 5 bits, numbers of 8
        }
        // Order hints of 7 bits; every frame tells of its screen content tools and integer motion vectors.
        header = header.u(3, 0).u(4, 0).u(1, 1).u(2, 0).u(1, 1).u(1, 1).u(3, 6);
        // Neither super-resolution nor filters; 8 bits, 4:2:0, no film grain.
        header = header.u(3, 0).u(1, 0).u(1, 0).u(1, 0).u(1, 0).u(2, 0).u(1, 0).u(1, 0);
        unit(obu_type::SEQUENCE_HEADER, None, &header)
    }

    /// From `disable_cdf_update` to `refresh_frame_flags`.
    fn middle(self, frame: BitWriter, has_primary: bool, refresh_frame_flags: Option<u32>) -> BitWriter {
        let mut frame = frame.u(1, 0).u(1, 1).u(1, 0);
        if self.has_frame_ids {
            frame = frame.u(8, 1);
        }
        frame = frame.u(1, 0).u(7, 5);
        if has_primary {
            frame = frame.u(3, 0);
        }
        if self.has_decoder_model {
            frame = frame.u(1, 1).u(5, 3);
        }
        refresh_frame_flags.map_or(frame.clone(), |flags| frame.u(8, flags))
    }

    /// A shown key frame, with the sequence header before it.
    fn key(self) -> Vec<u8> {
        let frame = self.middle(self.shown(bits().u(1, 0).u(2, 0).u(1, 1)), false, None);
        [self.unit(), unit(obu_type::FRAME, None, &frame)].concat()
    }

    fn shown(self, frame: BitWriter) -> BitWriter {
        if self.has_decoder_model { frame.u(7, 1) } else { frame }
    }

    fn inter(self, show_frame: bool, refresh_frame_flags: u32, ref_frame_idx: [u32; 7]) -> Vec<u8> {
        let mut frame = bits().u(1, 0).u(2, 1).u(1, u32::from(show_frame));
        frame = if show_frame { self.shown(frame) } else { frame.u(1, 1) };
        frame = self.middle(frame.u(1, 0), true, Some(refresh_frame_flags)).u(1, 0);
        for slot in ref_frame_idx {
            frame = frame.u(3, slot);
            if self.has_frame_ids {
                frame = frame.u(5, 0);
            }
        }
        unit(obu_type::FRAME, None, &frame)
    }
}

fn show_existing(slot: u32) -> Vec<u8> {
    unit(obu_type::FRAME_HEADER, None, &bits().u(1, 1).u(3, slot))
}

fn scan(packets: &[Vec<u8>]) -> Vec<PacketHeader> {
    let mut scanner = Scanner::new(&[]);
    packets.iter().map(|packet| scanner.scan(packet)).collect()
}

fn dependencies(packets: &[Vec<u8>]) -> Vec<Dependencies> {
    scan(packets).iter().map(|row| row.depends_on).collect()
}

fn at(distances: &[usize]) -> Dependencies {
    distances.iter().fold(Dependencies::NONE, |all, &distance| all | Dependencies::at(distance))
}

#[test]
fn frames_depend_on_the_slots_they_name_whatever_else_headers_hold() {
    for has_decoder_model in [false, true] {
        for has_frame_ids in [false, true] {
            let s = Sequence { has_decoder_model, has_frame_ids, ..PLAIN };
            let packets = [
                s.key(),
                s.inter(true, 0b0000_0010, [0; 7]),
                s.inter(true, 0b1000_0000, [1, 1, 1, 1, 1, 1, 0]),
                s.inter(true, 0, [7; 7]),
                s.inter(true, 1, [3; 7]),
                s.key(),
                s.inter(true, 0, [1; 7]),
            ];
            let expected = [at(&[]), at(&[1]), at(&[1, 2]), at(&[1]), at(&[4]), at(&[]), at(&[1])];
            assert_eq!(dependencies(&packets), expected);
            let rows = scan(&packets);
            assert_eq!(
                rows.iter().map(|row| row.is_referenced).collect::<Vec<_>>(),
                [true, true, true, false, true, true, false]
            );
            assert_eq!(
                rows.iter().map(|row| row.is_idr).collect::<Vec<_>>(),
                [true, false, false, false, false, true, false]
            );
        }
    }
}

#[test]
fn hidden_frames_belong_to_the_packet_that_brings_them_and_existing_ones_to_the_first() {
    let both = [PLAIN.inter(false, 0b100, [0; 7]), PLAIN.inter(true, 0, [2, 2, 2, 2, 2, 2, 0])].concat();
    let rows = scan(&[PLAIN.key(), both, show_existing(2), PLAIN.inter(false, 0b1000, [2; 7])]);
    let dependencies: Vec<_> = rows.iter().map(|row| row.depends_on).collect();
    assert_eq!(dependencies, [at(&[]), at(&[1]), at(&[1]), at(&[2])]);
    assert_eq!(rows.iter().map(|row| row.is_hidden).collect::<Vec<_>>(), [false, false, false, true]);
    assert_eq!(rows.iter().map(|row| row.poc).collect::<Vec<_>>(), [1, 2, 3, 3]);
    assert_eq!(rows[2].picture_type, Some(PictureType::P));
    assert!(!rows[2].is_referenced);
}

#[test]
fn a_key_frame_that_is_shown_later_takes_all_slots_then() {
    // frame_type 0 that is not shown: refresh_frame_flags are coded, and order hints where it is error resilient.
    let hidden_key = PLAIN.middle(bits().u(1, 0).u(2, 0).u(1, 0).u(1, 1).u(1, 0), false, Some(0b10));
    let rows = scan(&[
        PLAIN.key(),
        unit(obu_type::FRAME, None, &hidden_key),
        PLAIN.inter(true, 0, [0; 7]),
        show_existing(1),
        PLAIN.inter(true, 0, [5; 7]),
    ]);
    let dependencies: Vec<_> = rows.iter().map(|row| row.depends_on).collect();
    assert_eq!(dependencies, [at(&[]), at(&[]), at(&[2]), at(&[2]), at(&[1])]);
    assert!(rows[3].is_referenced);
    assert!(!rows[1].is_idr && !rows[3].is_idr);
}

#[test]
fn short_signaling_depends_on_all_slots() {
    let frame = bits().u(1, 0).u(2, 1).u(1, 1).u(1, 0);
    let short = PLAIN.middle(frame, true, Some(0)).u(1, 1).u(3, 0).u(3, 1);
    let packets = [PLAIN.key(), PLAIN.inter(true, 1, [0; 7]), unit(obu_type::FRAME, None, &short)];
    assert_eq!(dependencies(&packets)[2], at(&[1, 2]));
}

#[test]
fn layers_that_are_not_decoded_do_not_count() {
    let s = Sequence { operating_point_idc: 0x101, ..PLAIN };
    let inter = s.inter(true, 1, [0; 7]);
    let in_layer = |layer: u8| {
        let mut unit = inter.clone();
        unit[0] |= 4;
        unit.insert(1, layer);
        unit
    };
    let rows = scan(&[s.key(), in_layer(0x20), in_layer(0x00)]);
    assert_eq!(rows[1].picture_type, None);
    assert_eq!(rows[2].depends_on, at(&[2]));
}

#[test]
fn damage_and_a_new_sequence_make_everything_depend_on_everything_up_to_a_key_frame() {
    let mut cut = PLAIN.inter(true, 1, [0; 7]);
    cut.pop();
    let other = Sequence { has_frame_ids: true, ..PLAIN };
    let packets = [
        PLAIN.inter(true, 1, [0; 7]),
        PLAIN.key(),
        cut,
        PLAIN.inter(true, 1, [0; 7]),
        PLAIN.key(),
        [other.unit(), other.inter(true, 1, [0; 7])].concat(),
        other.key(),
        other.inter(true, 1, [0; 7]),
    ];
    let all = Dependencies::ALL;
    // The first packet cannot be read without a sequence header, and says nothing.
    assert_eq!(dependencies(&packets), [at(&[]), at(&[]), all, all, at(&[]), all, at(&[]), at(&[1])]);
}

#[test]
fn the_container_may_bring_the_sequence_header() {
    let frame = PLAIN.key().split_off(PLAIN.unit().len());
    let record = [vec![0x81, 0, 0, 0], PLAIN.unit()].concat();
    for extradata in [record, PLAIN.unit()] {
        assert!(Scanner::new(&extradata).scan(&frame).is_idr);
    }
    assert_eq!(Scanner::new(&[]).scan(&frame), PacketHeader::default());
}
