//! HEVC (Rec. ITU-T H.265): bit costs of any picture from its own packet, and what its headers say.
//!
//! - `nal`, `parameter_sets`, `sps`, `pps`, `vui`, `ref_pic_set`, `slice_header`: headers (7.3.1 to 7.3.7).
//! - `slice_data`, `tiles`: substreams and the order of coding tree units (7.3.8.1, 6.5.1).
//! - `coding_tree`, `coding_unit`, `prediction_unit`, `transform_tree`, `residual`, `palette`: their syntax (7.3.8).
//! - `contexts`, `scan`: tables.
//! - `picture`, `scanner`: what the rest of the library asks for.

mod coding_tree;
mod coding_unit;
mod contexts;
mod nal;
mod palette;
mod parameter_sets;
mod picture;
mod pps;
mod prediction_unit;
mod ref_pic_set;
mod residual;
mod scan;
mod scanner;
mod slice_data;
mod slice_header;
mod sps;
mod tiles;
mod transform_tree;
mod vui;

pub use parameter_sets::ParameterSets;
pub use picture::{Scratch, frame_map};
pub use scanner::Scanner;
