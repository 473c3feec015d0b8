//! AV1 (the section numbers are those of the "AV1 Bitstream & Decoding Process Specification", version 1.0.0 with
//! errata 1).
//!
//! A frame's symbols are coded with probabilities, motion vectors and segments that come from the frames in the slots
//! that it names, so frames are parsed in a chain ([`Av1Parser`]) from the last key frame that is shown.
//!
//! Read are all three profiles: 8, 10 and 12 bits, every chroma format, both sizes of superblocks, tiles and tile
//! groups, palettes, intra block copy, segmentation, quantizer and loop filter deltas, loop restoration,
//! super-resolution, references of other sizes, compound prediction and motion fields, global and warped motion,
//! lossless coding, layers, switch frames, hidden frames and existing ones that are shown. Tile lists (large scale tile
//! decoding) are not. What proves it, on every frame: each tile's symbols end at its trailing bits, and all bits of the
//! frame are accounted for, each where it was met.

mod block_size;
mod block_tx_size;
mod cdfs;
mod chain;
mod coefs;
mod default_cdfs;
mod descriptors;
mod film_grain;
mod filters;
mod frame;
mod frame_header;
mod frame_refs;
mod frame_start;
mod global_motion;
mod inter_mode_info;
mod intra_mode_info;
mod loop_restoration;
mod mode_grid;
mod mode_info;
mod motion_field;
mod mv_prediction;
mod mv_stack;
mod obu;
mod palette;
mod plan;
mod quantization;
mod ref_frames;
mod reference_state;
mod residual;
mod residual_contexts;
mod scan;
mod scanner;
mod segment_id;
mod segmentation;
mod sequence_header;
mod symbol_decoder;
mod temporal_unit;
#[cfg(test)]
mod tests;
mod tile;
mod tile_area;
mod tile_group;
mod tile_info;
mod transform_type;
mod tx_size;
mod warp_samples;

pub use chain::Av1Parser;
pub use frame_header::HeaderState;
pub use scanner::Scanner;
