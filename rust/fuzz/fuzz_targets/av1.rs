#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use mediaref_fuzz::{Codec, check_bytes, mutate_bytes};

fuzz_target!(|bytes: &[u8]| {
    check_bytes(Codec::Av1, bytes);
});

fuzz_mutator!(|bytes: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_bytes(Codec::Av1, bytes, size, max_size, seed, libfuzzer_sys::fuzzer_mutate)
});
