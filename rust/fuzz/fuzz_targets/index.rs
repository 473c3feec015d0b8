#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use mediaref_fuzz::{Input, check_index, mutate_bytes, split_codec};

fuzz_target!(|bytes: &[u8]| {
    if let Some((codec, stream)) = split_codec(bytes) {
        check_index(codec, &Input::from_bytes(stream));
    }
});

fuzz_mutator!(|bytes: &mut [u8], size: usize, max_size: usize, seed: u32| {
    match split_codec(&bytes[..size]) {
        Some((codec, _)) if max_size > 1 => {
            1 + mutate_bytes(codec, &mut bytes[1..], size - 1, max_size - 1, seed, libfuzzer_sys::fuzzer_mutate)
        }
        _ => libfuzzer_sys::fuzzer_mutate(bytes, size, max_size),
    }
});
