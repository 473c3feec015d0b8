//! Parameters of the filters in the loop: of the loop filter (5.9.11), CDEF (5.9.19) and loop restoration (5.9.20).
//! Kept is only what blocks are coded by.

use super::descriptors::su;
use super::frame_start::REFS_PER_FRAME;
use super::sequence_header::{ColorConfig, SequenceHeader};
use crate::bits::BitReader;

/// `loop_filter_params` (5.9.11), of a frame that has any.
pub fn skip_loop_filter_params(r: &mut BitReader, color: ColorConfig) {
    let (level_0, level_1) = (r.u(6), r.u(6));
    if color.num_planes() > 1 && (level_0 != 0 || level_1 != 0) {
        r.skip(6 + 6); // loop_filter_level[ 2 ], loop_filter_level[ 3 ]
    }
    r.skip(3); // loop_filter_sharpness
    let loop_filter_delta_enabled = r.flag();
    if loop_filter_delta_enabled && r.flag() {
        for _ in 0..1 + REFS_PER_FRAME + 2 {
            let has_delta = r.flag(); // update_ref_delta, update_mode_delta
            if has_delta {
                su(r, 1 + 6);
            }
        }
    }
}

/// `cdef_params` (5.9.19), of a frame that has any. Gives `cdef_bits`.
pub fn cdef_params(r: &mut BitReader, color: ColorConfig) -> u32 {
    r.skip(2); // cdef_damping_minus_3
    let cdef_bits = r.u(2);
    let strength_bits = if color.num_planes() > 1 { 6 + 6 } else { 6 };
    r.skip(strength_bits << cdef_bits);
    cdef_bits
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RestorationType {
    #[default]
    None,
    Wiener,
    SgrProj,
    Switchable,
}

/// Loop restoration of a plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restoration {
    /// `FrameRestorationType`.
    pub kind: RestorationType,
    /// `LoopRestorationSize`.
    pub size: usize,
}

const RESTORATION_TILESIZE_MAX: usize = 256;

/// `lr_params` (5.9.20), of a frame that has any.
pub fn lr_params(r: &mut BitReader, sequence: &SequenceHeader) -> [Restoration; 3] {
    let mut planes = [Restoration::default(); 3];
    let color = sequence.color;
    for plane in &mut planes[..color.num_planes()] {
        // Remap_Lr_Type
        plane.kind = match r.u(2) {
            0 => RestorationType::None,
            1 => RestorationType::Switchable,
            2 => RestorationType::Wiener,
            _ => RestorationType::SgrProj,
        };
    }
    let is_used = |plane: &Restoration| plane.kind != RestorationType::None;
    if !planes.iter().any(is_used) {
        return planes;
    }
    let mut lr_unit_shift = r.u(1);
    if sequence.use_128x128_superblock {
        lr_unit_shift += 1;
    } else if lr_unit_shift == 1 {
        lr_unit_shift += r.u(1); // lr_unit_extra_shift
    }
    let is_chroma_smaller = color.subsampling_x && color.subsampling_y && planes[1..].iter().any(is_used);
    let lr_uv_shift = if is_chroma_smaller { r.u(1) } else { 0 };
    planes[0].size = RESTORATION_TILESIZE_MAX >> (2 - lr_unit_shift);
    planes[1].size = planes[0].size >> lr_uv_shift;
    planes[2].size = planes[1].size;
    planes
}
