//! Damage that keeps a stream's structure, so that it reaches the depth of the parser instead of its front door.

use std::ops::Range;

use mediaref_native::nal::Framing;

use crate::input::{Codec, Input};
use crate::random::Random;

/// Headers of packets, units and frames lie within so many bytes; each of their bits is worth a try.
const HEADER_BYTES: usize = 24;

/// Changes a stream in one to eight places.
pub fn mutate(codec: Codec, input: &mut Input, random: &mut Random) {
    let changes = 1 << random.below(4);
    for _ in 0..changes {
        match random.below(16) {
            0 => packets(input, random),
            1 => damage(&mut input.extradata, random),
            2 => any_bytes(input, random),
            3 | 4 if codec.has_nal_units() => units(input, random),
            _ => within_a_unit(codec, input, random),
        }
    }
}

/// Drops, repeats, swaps or moves packets.
fn packets(input: &mut Input, random: &mut Random) {
    let (a, b) = (random.below(input.packets.len()), random.below(input.packets.len()));
    if input.packets.is_empty() {
        return;
    }
    match random.below(4) {
        0 => drop(input.packets.remove(a)),
        1 => input.packets.insert(b, input.packets[a].clone()),
        2 => input.packets.swap(a, b),
        _ => {
            let packet = input.packets[a].clone();
            input.packets[b].extend(packet);
        }
    }
}

/// Overwrites, inserts or cuts bytes wherever they are, framing included.
fn any_bytes(input: &mut Input, random: &mut Random) {
    let chosen = random.below(input.packets.len());
    let Some(packet) = input.packets.get_mut(chosen) else { return };
    let at = random.below(packet.len());
    match random.below(4) {
        0 => packet.truncate(at),
        1 => drop(packet.drain(at..(at + random.below(16)).min(packet.len()))),
        2 => {
            let inserted: Vec<u8> = (0..random.below(8)).map(|_| random.byte()).collect();
            drop(packet.splice(at..at, inserted));
        }
        _ => damage(packet, random),
    }
}

/// Drops, repeats or moves whole units, also from one packet to another.
fn units(input: &mut Input, random: &mut Random) {
    let framing = framing(&input.extradata);
    let (from, to) = (random.below(input.packets.len()), random.below(input.packets.len()));
    let Some(packet) = input.packets.get(from) else { return };
    let ranges = framing.split(packet).unwrap_or_default();
    let Some(range) = random.pick(&ranges) else { return };
    let unit = framed(framing, &packet[range.clone()]);
    let all = |packet: &[u8]| -> Vec<Vec<u8>> {
        let ranges = framing.split(packet).unwrap_or_default();
        ranges.into_iter().map(|range| framed(framing, &packet[range])).collect()
    };
    let mut target = all(&input.packets[to]);
    let place = random.below(target.len() + 1);
    if random.one_in(3) && place < target.len() {
        target.remove(place);
    } else {
        target.insert(place, unit);
    }
    input.packets[to] = target.concat();
}

fn framed(framing: Framing, unit: &[u8]) -> Vec<u8> {
    let mut bytes = match framing {
        Framing::AnnexB => vec![0, 0, 1],
        Framing::LengthPrefixed(size) => unit.len().to_be_bytes()[8 - size..].to_vec(),
    };
    bytes.extend(unit);
    bytes
}

/// As the parsers see it in the containers' records.
fn framing(extradata: &[u8]) -> Framing {
    match extradata {
        [1, _, _, _, size, ..] if extradata.len() < 23 || extradata[5] >> 5 == 7 => {
            Framing::LengthPrefixed(usize::from(size & 3) + 1)
        }
        [1, ..] if extradata.len() >= 23 => Framing::LengthPrefixed(usize::from(extradata[21] & 3) + 1),
        _ => Framing::AnnexB,
    }
}

/// Damages one unit and leaves the framing around it whole.
fn within_a_unit(codec: Codec, input: &mut Input, random: &mut Random) {
    let framing = framing(&input.extradata);
    let mut chosen = random.below(input.packets.len());
    if matches!(codec, Codec::Vp9 | Codec::Av1) && chosen == 0 {
        // After a damaged key frame the others are all refused.
        chosen = random.below(input.packets.len());
    }
    let Some(packet) = input.packets.get_mut(chosen) else { return };
    let ranges = match codec {
        Codec::Vp9 => vp9_frames(packet),
        Codec::Av1 => std::iter::once(0..packet.len()).collect(),
        Codec::H264 | Codec::Hevc => framing.split(packet).unwrap_or_default(),
    };
    if let Some(range) = random.pick(&ranges) {
        damage(&mut packet[range.clone()], random);
    }
}

/// The frames that a superframe's index tells of, or the whole packet.
fn vp9_frames(packet: &[u8]) -> Vec<Range<usize>> {
    let index = packet.last().filter(|&&marker| marker >> 5 == 0b110).and_then(|&marker| {
        let (bytes, frames) = (usize::from(marker >> 3 & 3) + 1, usize::from(marker & 7) + 1);
        packet.get(packet.len().checked_sub(1 + bytes * frames)?..packet.len() - 1)?.chunks_exact(bytes).into()
    });
    let mut start = 0;
    let frames: Vec<_> = index
        .into_iter()
        .flatten()
        .map(|size| {
            let begin = start;
            start += size.iter().rev().fold(0, |value, &byte| value << 8 | usize::from(byte));
            begin..start
        })
        .collect();
    let is_sound = !frames.is_empty() && start <= packet.len();
    if is_sound { frames } else { std::iter::once(0..packet.len()).collect() }
}

/// Changes bits or bytes in place.
fn damage(bytes: &mut [u8], random: &mut Random) {
    let reach = if random.one_in(3) { bytes.len().min(HEADER_BYTES) } else { bytes.len() };
    if reach == 0 {
        return;
    }
    let at = random.below(reach);
    match random.below(8) {
        0 => bytes[at] = random.byte(),
        1 => bytes[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff]).unwrap_or(&0),
        2 => shift_bits(&mut bytes[at..reach], random),
        3 => {
            let end = (at + 1 + random.below(8)).min(bytes.len());
            bytes[at..end].iter_mut().for_each(|byte| *byte = random.byte());
        }
        4 => {
            let end = (at + 1 + random.below(4)).min(bytes.len());
            let value = *random.pick(&[0, 0xff]).unwrap_or(&0);
            bytes[at..end].fill(value);
        }
        _ => bytes[at] ^= 1 << random.below(8),
    }
}

/// Takes a bit out, or puts one in: everything behind it moves, as where a code has another length.
fn shift_bits(bytes: &mut [u8], random: &mut Random) {
    let bit = random.below(8);
    let is_left = random.one_in(2);
    let mut carry = u8::from(random.one_in(2));
    let (head, keep) = (bytes[0], !(0xffu8 >> bit));
    if is_left {
        for byte in bytes.iter_mut().rev() {
            (*byte, carry) = (*byte << 1 | carry, *byte >> 7);
        }
    } else {
        for byte in bytes.iter_mut() {
            (*byte, carry) = (*byte >> 1 | carry << 7, *byte & 1);
        }
    }
    bytes[0] = head & keep | bytes[0] & !keep;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_keep_their_framing_and_frames_their_index() {
        let extradata = [1, 0, 0, 0, 0xff, 0xe0, 0];
        assert_eq!(framing(&extradata), Framing::LengthPrefixed(4));
        assert_eq!(framed(Framing::LengthPrefixed(2), &[7, 8]), [0, 2, 7, 8]);
        let marker = 0b1100_0001;
        assert_eq!(vp9_frames(&[1, 2, 3, marker, 2, 1, marker]), [0..2, 2..3]);
        assert!(vp9_frames(&[1, 2, 3]).into_iter().eq([0..3; 1]));
    }

    #[test]
    fn the_same_number_gives_the_same_damage() {
        let sound = Input { extradata: vec![], packets: vec![vec![0, 0, 1, 0x65, 1, 2, 3, 4, 5, 6, 7, 8]; 3] };
        let damaged = |seed| {
            let mut input = sound.clone();
            mutate(Codec::H264, &mut input, &mut Random::new(seed));
            input
        };
        assert_eq!(damaged(5), damaged(5));
        assert!((0..100).filter(|&seed| damaged(seed) != sound).count() > 80);
    }
}
