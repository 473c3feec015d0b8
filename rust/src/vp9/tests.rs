//! Streams made by hand. Boolean-coded data of nothing but zeros is valid: every symbol takes its first value.

use super::{HeaderState, MAX_PICTURE_SAMPLES, Scanner, Vp9Parser};
use crate::error::{ErrorKind, Result};
use crate::map::{Kind, PictureType};
use crate::packet::Dependencies;
use crate::random::Random;

/// Writes bits, most significant first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, n: u32) -> &mut Self {
        self.0.extend((0..n).rev().map(|i| value >> i & 1 == 1));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| bits.iter().enumerate().fold(0, |byte, (i, &bit)| byte | u8::from(bit) << (7 - i));
        self.0.chunks(8).map(byte).collect()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Type {
    Key,
    /// The bits of `reset_frame_context`.
    IntraOnly(u32),
    Inter,
}

/// A frame to be written.
#[derive(Clone, Copy)]
struct Spec {
    frame_type: Type,
    show_frame: bool,
    error_resilient: bool,
    frame_parallel: bool,
    refresh_frame_flags: u32,
    width: u32,
    height: u32,
    base_q_idx: u32,
    tile_rows_log2: u32,
}

const KEY: Spec = Spec {
    frame_type: Type::Key,
    show_frame: true,
    error_resilient: false,
    frame_parallel: false,
    refresh_frame_flags: 0xff,
    width: 100,
    height: 70,
    base_q_idx: 60,
    tile_rows_log2: 0,
};
const INTER: Spec = Spec { frame_type: Type::Inter, refresh_frame_flags: 1, ..KEY };

const COMPRESSED_HEADER_BYTES: usize = 12;
const TILE_BYTES: usize = 200;

impl Spec {
    fn header(&self) -> Vec<u8> {
        let mut b = Bits::default();
        b.put(2, 2).put(0, 2).put(0, 1); // frame_marker, profile, show_existing_frame
        b.put(u32::from(self.frame_type != Type::Key), 1);
        b.put(self.show_frame.into(), 1).put(self.error_resilient.into(), 1);
        match self.frame_type {
            Type::Key => {
                b.put(0x49_83_42, 24).put(1, 3).put(0, 1); // sync code, color_space, color_range
                self.put_size(&mut b);
            }
            Type::IntraOnly(reset_frame_context) => {
                assert!(!self.show_frame && !self.error_resilient);
                b.put(1, 1).put(reset_frame_context, 2).put(0x49_83_42, 24).put(self.refresh_frame_flags, 8);
                self.put_size(&mut b);
            }
            Type::Inter => {
                b.put(0, if self.show_frame { 0 } else { 1 }).put(0, if self.error_resilient { 0 } else { 2 });
                b.put(self.refresh_frame_flags, 8).put(0, 3 * 4); // slot 0 for all references
                b.put(1, 1).put(0, 1).put(1, 1).put(1, 1); // found_ref, render_size, high precision, switchable
            }
        }
        if !self.error_resilient {
            b.put(1, 1).put(self.frame_parallel.into(), 1); // refresh_frame_context
        }
        b.put(0, 2); // frame_context_idx
        b.put(0, 6 + 3 + 1); // loop filter
        b.put(self.base_q_idx, 8).put(0, 3).put(0, 1); // deltas, segmentation_enabled
        b.put(u32::from(self.tile_rows_log2 > 0), 1);
        if self.tile_rows_log2 > 0 {
            b.put(self.tile_rows_log2 - 1, 1);
        }
        b.put(COMPRESSED_HEADER_BYTES as u32, 16);
        b.bytes()
    }

    fn put_size(&self, b: &mut Bits) {
        b.put(self.width - 1, 16).put(self.height - 1, 16).put(0, 1);
    }

    fn frame(&self) -> Vec<u8> {
        let mut frame = self.header();
        frame.extend([0; COMPRESSED_HEADER_BYTES]);
        for _ in 1..1 << self.tile_rows_log2 {
            frame.extend((TILE_BYTES as u32).to_be_bytes());
            frame.extend([0; TILE_BYTES]);
        }
        frame.extend([0; TILE_BYTES]);
        frame
    }
}

fn show_existing(slot: u32) -> Vec<u8> {
    Bits::default().put(2, 2).put(0, 2).put(1, 1).put(slot, 3).bytes()
}

fn superframe(frames: &[Vec<u8>]) -> Vec<u8> {
    let marker = 0b1100_1000 | (frames.len() - 1) as u8;
    let sizes = frames.iter().flat_map(|frame| (frame.len() as u16).to_le_bytes());
    frames.concat().into_iter().chain([marker]).chain(sizes).chain([marker]).collect()
}

fn error_of<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_key_frame_is_accounted_for() {
    let packet = KEY.frame();
    let frames = Vp9Parser::new(HeaderState::default()).parse(&packet).unwrap();
    let [frame] = &frames[..] else { panic!() };
    let map = &frame.map;
    assert!(frame.is_shown && !frame.is_existing);
    assert_eq!((map.rows, map.cols, map.unit), (2, 2, 64));
    assert_eq!((map.crop.width, map.crop.height, map.coded_width, map.coded_height), (100, 70, 104, 72));
    assert_eq!(map.packet_bits, 8 * packet.len() as u64);
    assert!(map.accounts_for_every_bit());
    assert_eq!(map.picture_type, PictureType::I);
    assert_eq!(map.qp, [60; 4]);
    assert_eq!(map.kind, [Kind::Intra as u8; 4]);
    let bits: u32 = map.bits.iter().sum();
    let information: f32 = map.information.iter().sum();
    assert!(bits > 0 && (information - bits as f32).abs() <= 2.0);
    assert!((map.cells.bits.iter().sum::<f32>() - bits as f32).abs() < 0.01);
    assert!(map.overhead_bits >= 8 * (KEY.header().len() + COMPRESSED_HEADER_BYTES) as u64 + 8);
}

#[test]
fn lossless_frames_are_raw() {
    let frames = Vp9Parser::new(HeaderState::default()).parse(&Spec { base_q_idx: 0, ..KEY }.frame()).unwrap();
    assert_eq!(frames[0].map.kind, [Kind::Raw as u8; 4]);
}

#[test]
fn tiles_are_parsed_one_after_the_other() {
    let spec = Spec { tile_rows_log2: 1, ..KEY };
    let mut packet = spec.frame();
    assert!(Vp9Parser::new(HeaderState::default()).parse(&packet).is_ok());
    let tile_size = spec.header().len() + COMPRESSED_HEADER_BYTES;
    packet[tile_size + 1] = 1;
    let error = Vp9Parser::new(HeaderState::default()).parse(&packet).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt("a tile ends behind its frame"));
    assert_eq!(error.bit, 8 * tile_size as u64);
}

#[test]
fn a_superframe_gives_each_frame_its_own_bytes() {
    let hidden = Spec { show_frame: false, ..INTER };
    let packet = superframe(&[hidden.frame(), INTER.frame()]);
    let mut parser = Vp9Parser::new(HeaderState::default());
    parser.parse(&KEY.frame()).unwrap();
    let frames = parser.parse(&packet).unwrap();
    assert_eq!(frames.iter().map(|frame| frame.is_shown).collect::<Vec<_>>(), [false, true]);
    let bits: Vec<u64> = frames.iter().map(|frame| frame.map.packet_bits).collect();
    let index_bytes = 2 + 2 * 2;
    assert_eq!(bits, [hidden.frame().len(), INTER.frame().len() + index_bytes].map(|bytes| 8 * bytes as u64));
    assert!(frames.iter().all(|frame| frame.map.accounts_for_every_bit()));
    assert_eq!(frames[0].map.picture_type, PictureType::P);
}

#[test]
fn an_existing_frame_has_its_map_and_the_bytes_of_both() {
    let mut parser = Vp9Parser::new(HeaderState::default());
    parser.parse(&KEY.frame()).unwrap();
    let hidden = parser.parse(&Spec { show_frame: false, refresh_frame_flags: 4, ..INTER }.frame()).unwrap();
    parser.parse(&INTER.frame()).unwrap();
    let shown = parser.parse(&show_existing(2)).unwrap();
    assert!(shown[0].is_shown && shown[0].is_existing);
    assert_eq!(shown[0].map.bits, hidden[0].map.bits);
    assert_eq!(shown[0].map.packet_bits, hidden[0].map.packet_bits + 8);
    assert!(shown[0].map.accounts_for_every_bit());
}

#[test]
fn a_stream_begins_where_the_decoder_is_reset() {
    let mut parser = Vp9Parser::new(HeaderState::default());
    assert!(error_of(parser.parse(&INTER.frame())).contains("refers to one that is not there"));
    assert!(error_of(parser.parse(&show_existing(0))).contains("not there"));
    let intra_only = |reset| Spec { frame_type: Type::IntraOnly(reset), show_frame: false, ..KEY }.frame();
    assert!(error_of(parser.parse(&intra_only(0))).contains("builds on one that is not there"));
    assert!(parser.parse(&intra_only(3)).is_ok());
    assert!(parser.parse(&INTER.frame()).is_ok());
}

#[test]
fn damage_is_told_and_what_is_sound_behind_it_is_served() {
    let mut parser = Vp9Parser::new(HeaderState::default());
    parser.parse(&KEY.frame()).unwrap();
    let tiles = INTER.header().len() + COMPRESSED_HEADER_BYTES;
    let mut damaged = INTER.frame();
    *damaged.last_mut().unwrap() = 1;
    assert!(error_of(parser.clone().parse(&damaged)).contains("ends before its size"));
    let mut truncated = INTER.frame();
    truncated.truncate(tiles + 1);
    assert!(error_of(parser.clone().parse(&truncated)).contains("runs past its end"));
    truncated.truncate(tiles - 1);
    assert!(error_of(parser.clone().parse(&truncated)).contains("ends behind its frame"));
    truncated.truncate(3);
    assert!(parser.clone().parse(&truncated).is_err());
    assert!(parser.clone().parse(&[]).is_err());

    assert!(parser.parse(&damaged).is_err());
    assert!(error_of(parser.parse(&INTER.frame())).contains("builds on one that is not there"));
    // Sizes are still known, and this frame resets the probabilities.
    assert!(parser.parse(&Spec { error_resilient: true, ..INTER }.frame()).is_ok());
    assert!(parser.parse(&INTER.frame()).is_ok());
}

#[test]
fn absurd_dimensions_are_refused() {
    let error =
        Vp9Parser::new(HeaderState::default()).parse(&Spec { width: 65536, height: 65536, ..KEY }.frame()).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Limit { value: 0x1_0000_0000, .. }));
}

#[test]
fn pictures_may_be_as_large_as_the_limit_and_no_larger() {
    let is_read = |width, height| Scanner::new().scan(&Spec { width, height, ..KEY }.frame()).format.is_some();
    let height = (MAX_PICTURE_SAMPLES / 8192) as u32;
    assert_eq!([is_read(8192, height), is_read(8192, height + 1), is_read(8193, height)], [true, false, false]);
}

#[test]
fn whatever_tiles_hold_every_bit_is_accounted_for_or_told_wrong() {
    let mut numbers = Random::new(1);
    let mut random = || (numbers.next() >> 16) as usize;
    let mut sound = 0;
    for _ in 0..400 {
        let mut parser = Vp9Parser::new(HeaderState::default());
        parser.parse(&KEY.frame()).unwrap();
        let mut packet = Spec { show_frame: random() % 2 == 0, ..INTER }.frame();
        let tiles = INTER.header().len() + COMPRESSED_HEADER_BYTES;
        // Bytes near the tile's beginning, which its symbols surely reach.
        for _ in 0..1 + random() % 4 {
            packet[tiles + random() % 6] = random() as u8;
        }
        if let Ok(frames) = parser.parse(&packet) {
            assert!(frames[0].map.accounts_for_every_bit());
            sound += 1;
        }
    }
    assert!(sound > 50, "only {sound} of 400 were sound");
}

#[test]
fn only_what_is_depended_on_is_parsed() {
    let parallel = Spec { frame_parallel: true, ..INTER };
    let hidden = Spec { show_frame: false, ..parallel };
    let adapted_last = INTER;
    let specs = [KEY, parallel, hidden, parallel, parallel, adapted_last, hidden, parallel];
    let packets: Vec<Vec<u8>> = specs.iter().map(Spec::frame).collect();
    let mut parser = Vp9Parser::new(HeaderState::default());
    let all: Vec<_> = packets.iter().map(|packet| parser.parse(packet).unwrap()).collect();
    // Vectors come from the frame before if it was shown, probabilities from the last one that adapted them.
    let needs: [&[usize]; 8] =
        [&[0], &[0, 1], &[0, 1, 2], &[0, 3], &[0, 3, 4], &[0, 3, 4, 5], &[0, 3, 4, 5, 6], &[0, 3, 4, 5, 7]];
    for (i, is_needed) in needs.into_iter().enumerate() {
        // Whatever the frame does not depend on may as well be damaged.
        let mut damaged = packets.clone();
        for (j, packet) in damaged.iter_mut().enumerate() {
            if !is_needed.contains(&j) {
                *packet.last_mut().unwrap() = 1;
            }
        }
        let damaged: Vec<&[u8]> = damaged.iter().map(Vec::as_slice).collect();
        let wanted: Vec<bool> = (0..packets.len()).map(|j| j == i).collect();
        let results = Vp9Parser::new(HeaderState::default()).parse_wanted(&damaged, &wanted).frames;
        assert_eq!(results[i].as_ref().unwrap()[0].map.syntax, all[i][0].map.syntax);
        for &needed in is_needed {
            let mut damaged = damaged.clone();
            let mut packet = packets[needed].clone();
            *packet.last_mut().unwrap() = 1;
            damaged[needed] = &packet;
            assert!(
                Vp9Parser::new(HeaderState::default()).parse_wanted(&damaged, &wanted).frames[i].is_err(),
                "{i} needs {needed}"
            );
        }
    }
}

#[test]
fn a_frame_that_is_passed_through_has_a_map_only_where_it_is_shown_again() {
    let packets = [KEY.frame(), Spec { show_frame: false, refresh_frame_flags: 4, ..INTER }.frame(), INTER.frame()];
    let again = show_existing(2);
    let packets: Vec<&[u8]> = packets.iter().chain([&again]).map(Vec::as_slice).collect();
    let mut parser = Vp9Parser::new(HeaderState::default());
    let all: Vec<_> = packets.iter().map(|packet| parser.parse(packet).unwrap()).collect();
    let parse_wanted = |packets, wanted: &[bool]| Vp9Parser::new(HeaderState::default()).parse_wanted(packets, wanted);
    let shown = parse_wanted(&packets, &[false, false, false, true]).frames;
    assert_eq!(shown[3].as_ref().unwrap()[0].map, all[3][0].map);
    let last = parse_wanted(&packets[..3], &[false, false, true]);
    assert_eq!(last.frames[2].as_ref().unwrap()[0].map, all[2][0].map);
    let (_, mut parser) = last.checkpoints.into_iter().next_back().unwrap();
    assert!(error_of(parser.parse(&again)).contains("not there"));
}

#[test]
fn the_scanner_tells_what_a_packet_shows() {
    let mut scanner = Scanner::new();
    let key = scanner.scan(&KEY.frame());
    assert!(key.is_idr && key.is_recovery_point && key.is_referenced && !key.is_hidden);
    assert_eq!(key.picture_type, Some(PictureType::I));
    let format = key.format.unwrap();
    assert_eq!((format.crop.width, format.crop.height, format.bit_depth), (100, 70, (8, 8)));
    let hidden = Spec { show_frame: false, ..INTER };
    let alone = scanner.scan(&hidden.frame());
    assert!(alone.is_hidden && !alone.is_idr && !alone.is_recovery_point);
    let both = scanner.scan(&superframe(&[hidden.frame(), INTER.frame()]));
    assert!(!both.is_hidden);
    assert_eq!((both.picture_type, both.poc), (Some(PictureType::P), key.poc + 1));
    let again = scanner.scan(&show_existing(1));
    assert_eq!((again.picture_type, again.poc), (Some(PictureType::I), both.poc + 1));
    assert!(!again.is_referenced);
    assert_eq!(scanner.scan(&[0, 1, 2]).picture_type, None);
}

#[test]
fn frames_depend_on_what_they_refer_to_and_on_what_was_adapted_since_the_last_reset() {
    let mut scanner = Scanner::new();
    let mut depends_on = |packet: &[u8]| scanner.scan(packet).depends_on;
    let resilient = Spec { error_resilient: true, ..INTER };
    let leaf = Spec { refresh_frame_flags: 0, ..resilient };
    assert_eq!(depends_on(&KEY.frame()), Dependencies::NONE);
    assert_eq!(depends_on(&leaf.frame()), Dependencies::at(1));
    assert_eq!(depends_on(&resilient.frame()), Dependencies::at(2));
    assert_eq!(depends_on(&leaf.frame()), Dependencies::at(1));
    assert_eq!(depends_on(&leaf.frame()), Dependencies::at(2));
    // The last reset was just before it, and slot 0 is of the packet two before that.
    assert_eq!(depends_on(&INTER.frame()), Dependencies::at(1) | Dependencies::at(3));
    assert_eq!(depends_on(&INTER.frame()), Dependencies::latest(2));
    assert_eq!(depends_on(&show_existing(0)), Dependencies::at(1));
    // Within one packet there is nothing to wait for.
    assert_eq!(depends_on(&superframe(&[resilient.frame(), INTER.frame()])), Dependencies::at(2));
    assert_eq!(depends_on(&[0]), Dependencies::ALL);
    assert_eq!(depends_on(&leaf.frame()), Dependencies::ALL);
    assert_eq!(depends_on(&KEY.frame()), Dependencies::NONE);
}
