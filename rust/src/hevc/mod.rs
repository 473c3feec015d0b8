//! HEVC (Rec. ITU-T H.265): bit costs of any picture from its own packet, and what its headers say.
//!
//! | syntax | where | state |
//! |---|---|---|
//! | NAL units, parameter sets, slice headers (7.3.1 to 7.3.7) | `nal`, `parameter_sets`, `sps`, `pps`, `vui`, `ref_pic_set`, `slice_header` | all of the base layer, range and screen content extensions included; other layers are overhead |
//! | picture order, leading pictures, what depends on what (8.1.3, 8.3.1, 8.3.2) | `scanner`, `references` | all |
//! | slices, tiles, wavefronts, entry points (7.3.8.1, 6.5.1) | `slice_data`, `tiles` | all; entry points are checked, not needed |
//! | coding tree to prediction units (7.3.8.2 to 7.3.8.9) | `coding_tree`, `coding_unit`, `prediction_unit` | all, PCM and lossless included |
//! | transform units, residuals (7.3.8.8 to 7.3.8.12) | `transform_tree`, `residual` | all range extensions, 4:0:0 to 4:4:4, 8 to 16 bits |
//! | palettes (7.3.8.13) | `palette` | all |
//! | context variables, scans | `contexts`, `scan` | tables |

mod coding_tree;
mod coding_unit;
mod contexts;
mod frame;
mod nal;
mod palette;
mod parameter_sets;
mod picture;
mod pps;
mod prediction_unit;
mod ref_pic_set;
mod references;
mod residual;
mod scan;
mod scanner;
mod short_term_ref_pic_set;
mod slice_data;
mod slice_header;
mod sps;
#[cfg(test)]
mod tests;
mod tiles;
mod transform_tree;
mod vui;

pub use frame::{Scratch, frame_map};
pub use parameter_sets::ParameterSets;

pub use scanner::Scanner;
