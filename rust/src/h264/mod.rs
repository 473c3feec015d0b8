//! H.264 / AVC (ITU-T Rec. H.264): bits per macroblock, read without reconstructing a sample.
//!
//! | syntax | where | state |
//! |---|---|---|
//! | SPS, PPS | `parameter_sets` | all that slices need; VUI and scaling matrices do not touch the bits |
//! | slice header | `slice_header` | all, MVC and SVC layers counted as overhead |
//! | picture order count, field pairs | `scanner` | types 0, 1, 2; memory management operation 5 |
//! | gaps in `frame_num` | `frame_numbers` | all |
//! | reference picture lists | `references` | frames; operation 1, the sliding window, and what the stream lacks |
//! | stand-ins for pictures | `stand_in` | frames of sequences without fields; written, not read |
//! | slice data | `slice_data` | frame, field and MBAFF; arbitrary slice order; no FMO, no data partitions |
//! | macroblock layer | `macroblock`, `mb_type`, `neighbours` | all types, 8x8 transform, lossless, I_PCM |
//! | CABAC, CAVLC elements | `cabac_syntax`, `cavlc_syntax` | 4:0:0 to 4:4:4 and separate planes |

mod cabac_syntax;
mod cavlc_syntax;
mod context_tables;
mod frame;
mod frame_numbers;
mod inter_pred;
mod macroblock;
mod macroblock_layer;
mod mb_type;
mod neighbours;
mod parameter_sets;
mod references;
mod residual;
mod scanner;
mod slice_data;
mod slice_header;
mod stand_in;
mod syntax;
mod vlc_tables;

pub use frame::{Scratch, frame_map};
pub use parameter_sets::ParameterSets;
pub use scanner::Scanner;
pub use stand_in::stand_in;
