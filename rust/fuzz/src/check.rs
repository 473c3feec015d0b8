//! What must hold of every answer, whatever the bytes were.

use mediaref_native::error::{Error, ErrorKind};
use mediaref_native::map::FrameMap;
use mediaref_native::stream::{Scratch, Stream, StreamChain};

use crate::index::check_index;
use crate::input::{Codec, Input};

/// What the parsers said, counted.
#[derive(Debug, Default)]
pub struct Tally {
    pub pictures: u64,
    pub corrupt: u64,
    pub unsupported: u64,
    pub over_limit: u64,
    scratch: Scratch,
}

impl Tally {
    /// After a panic the buffers may hold anything.
    pub fn renew_buffers(&mut self) {
        self.scratch = Scratch::default();
    }

    fn count<T>(&mut self, result: &Result<T, Error>) {
        *match result.as_ref().map_err(|error| &error.kind) {
            Ok(_) => &mut self.pictures,
            Err(ErrorKind::Corrupt(_)) => &mut self.corrupt,
            Err(ErrorKind::Unsupported(_)) => &mut self.unsupported,
            Err(ErrorKind::Limit { .. }) => &mut self.over_limit,
        } += 1;
    }
}

/// Reads headers and costs of a stream. Panics where an answer breaks a promise.
pub fn check(codec: Codec, input: &Input, tally: &mut Tally) {
    check_index(codec, input);
    let Some(mut stream) = Stream::new(codec.name(), &input.extradata) else { return };
    let scanned: Vec<_> = input.packets.iter().map(|packet| stream.scan(packet)).collect();
    if let Some(chain) = stream.chain() {
        return check_chain(chain, &input.packets, tally);
    }
    for (i, (handle, header)) in scanned.iter().enumerate() {
        let (first, packets) = match (header.is_second_field, i.checked_sub(1)) {
            (true, Some(before)) => (scanned[before].0, &input.packets[before..=i]),
            _ => (*handle, &input.packets[i..=i]),
        };
        if header.has_stand_in {
            check_stand_in(&stream, *handle, &input.packets[i]);
        }
        let packets: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
        let state = stream.state(first).expect("every packet was scanned");
        let result = state.frame_map(&packets, &mut tally.scratch);
        tally.count(&result);
        match &result {
            Ok(map) => {
                check_map(map);
                let told = header
                    .format
                    .map_or((map.crop.width, map.crop.height), |format| (format.crop.width, format.crop.height));
                assert_eq!(told, (map.crop.width, map.crop.height), "what the index tells");
            }
            Err(error) => check_position(error, &packets),
        }
        if i == 0 && tally.pictures & 7 == 0 {
            // What an earlier stream left in the buffers must not show.
            assert!(result == state.frame_map(&packets, &mut Scratch::default()));
        }
    }
}

/// What is fed in the place of a packet is a whole picture of skipped blocks.
fn check_stand_in(stream: &Stream, handle: usize, packet: &[u8]) {
    let Some(stand_in) = stream.stand_in(handle, packet) else { return };
    let state = stream.state(handle).expect("the packet was scanned");
    let map = state.frame_map(&[&stand_in], &mut Scratch::default()).expect("a stand-in can be read");
    check_map(&map);
    assert!(map.kind.iter().all(|&kind| kind == 0), "a stand-in has skipped blocks alone");
}

/// A chain gives the same maps if only some frames are asked for.
fn check_chain(mut chain: StreamChain, packets: &[Vec<u8>], tally: &mut Tally) {
    let begin = chain.clone();
    let results: Vec<_> = packets.iter().map(|packet| chain.parse(packet)).collect();
    for (packet, result) in packets.iter().zip(&results) {
        tally.count(result);
        match result {
            Ok(frames) => frames.iter().for_each(|frame| check_map(&frame.map)),
            Err(error) => check_position(error, &[packet]),
        }
    }
    if results.iter().any(Result::is_err) {
        return; // frames that nobody asks for are passed over, and the damage in them with them
    }
    let packets: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
    let wanted: Vec<bool> = (0..packets.len()).map(|i| i % 3 == 2).collect();
    let (some, _) = begin.parse_wanted(&packets, &wanted);
    for ((all, some), wanted) in results.into_iter().zip(some).zip(wanted) {
        let (all, some) = (all.unwrap(), some.expect("a frame that can be read in a row can be read by itself"));
        let maps = if wanted { all.len() } else { 0 };
        assert_eq!(some.len(), maps);
        assert!(all.iter().zip(&some).all(|(a, b)| a.map == b.map));
    }
}

fn check_map(map: &FrameMap) {
    assert!(map.accounts_for_every_bit());
    let units = map.rows * map.cols;
    assert!(map.syntax.iter().all(|bits| bits.len() == units));
    assert!([map.information.len(), map.qp.len(), map.kind.len()].iter().all(|&len| len == units));
    assert_eq!(map.cells.bits.len(), map.cells.rows * map.cells.cols);
    assert!(map.crop.left + map.crop.width <= map.coded_width && map.crop.top + map.crop.height <= map.coded_height);
    assert!(map.crop.width > 0 && map.crop.height > 0);
    let bits: f64 = map.bits.iter().map(|&bits| f64::from(bits)).sum();
    let cells: f64 = map.cells.bits.iter().map(|&bits| f64::from(bits)).sum();
    assert!((bits - cells).abs() <= 1e-3 * bits + 0.5, "{bits} bits of blocks, {cells} of cells");
    assert!(map.information.iter().all(|bits| bits.is_finite() && *bits > -2.0));
}

/// An error lies within the bytes that it is about.
fn check_position(error: &Error, packets: &[&[u8]]) {
    let bits = 8 * packets.iter().map(|packet| packet.len() as u64).sum::<u64>();
    assert!(error.bit <= bits, "{error} of {bits} bits");
}
