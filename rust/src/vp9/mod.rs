//! VP9 (the section numbers are those of the "VP9 Bitstream & Decoding Process Specification", version 0.6).
//!
//! A frame's symbols are coded with probabilities, motion vector candidates and a segment map that come from the
//! frames before it, so frames are parsed in a chain ([`Vp9Parser`]) from the last one that resets all of these.
//!
//! Read are all four profiles: 8, 10 and 12 bits, every chroma format, lossless coding, tiles, segmentation, compound
//! prediction, references of other sizes, intra-only and error-resilient frames, superframes, hidden frames and
//! existing ones that are shown. What proves it, on every frame: each tile's symbols end within its size with nothing
//! but zeros behind them, and all bits of the frame are accounted for, each where it was met.

mod account;
mod adaptation;
mod block;
mod block_map;
mod chain;
mod compressed_header;
mod default_probabilities;
mod frame;
mod frame_header;
mod inter_mode_info;
mod mode_info;
mod mv_prediction;
mod place;
mod plan;
mod probabilities;
mod reference_contexts;
mod references;
mod residual;
mod scan;
mod scan_tables;
mod scanner;
mod superframe;
mod tables;
#[cfg(test)]
mod tests;
mod tile;

pub use chain::Vp9Parser;
pub use frame_header::{HeaderState, MAX_PICTURE_SAMPLES};
pub use scanner::Scanner;
