//! AV1 (the section numbers are those of the "AV1 Bitstream & Decoding Process Specification", version 1.0.0 with
//! errata 1): frame headers, as far as they tell which frames a frame depends on. Its bits are not read.

mod frame_header;
mod obu;
mod scanner;
mod sequence_header;
#[cfg(test)]
mod tests;

pub use scanner::Scanner;
