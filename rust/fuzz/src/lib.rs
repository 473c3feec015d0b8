//! Damaged streams for the parsers of `mediaref-native`, and what must hold of every answer.
//!
//! An input is a whole stream: what the container says of its codec, and a few packets. It is damaged where it hurts:
//! within the slice data of sound units, in headers bit by bit, unit by unit, packet by packet.

mod check;
mod index;
mod input;
mod mutate;
mod random;

pub use check::{Tally, check};
pub use index::{check_index, split_codec};
pub use input::{Codec, Input};
pub use mutate::mutate;
pub use random::Random;

/// Checks the stream that `bytes` hold.
pub fn check_bytes(codec: Codec, bytes: &[u8]) {
    check(codec, &Input::from_bytes(bytes), &mut Tally::default());
}

/// libFuzzer's custom mutator: mostly ours, now and then its own (`plain`), which knows what comparisons failed.
pub fn mutate_bytes(
    codec: Codec,
    bytes: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    plain: impl Fn(&mut [u8], usize, usize) -> usize,
) -> usize {
    let mut random = Random::new(seed.into());
    if random.one_in(4) {
        return plain(bytes, size, max_size);
    }
    let mut input = Input::from_bytes(&bytes[..size]);
    mutate(codec, &mut input, &mut random);
    let mutated = input.to_bytes();
    if mutated.len() > max_size {
        return plain(bytes, size, max_size);
    }
    bytes[..mutated.len()].copy_from_slice(&mutated);
    mutated.len()
}
