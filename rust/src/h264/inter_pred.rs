//! Reference indices and motion vectors of inter macroblocks (7.3.5.1, 7.3.5.2).

use super::macroblock::{Macroblock, ORIGIN, ORIGIN_8X8, STRIDE, STRIDE_8X8, SliceContext};
use super::mb_type::{Lists, Shape, SubMbType};
use super::neighbours::{MbInfo, MbStore};
use super::slice_header::SliceType;
use super::syntax::MacroblockSyntax;
use crate::error::Result;

/// A part of a macroblock in 4x4 blocks.
#[derive(Clone, Copy)]
struct Part {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

fn parts_of(shape: Shape, x: usize, y: usize, side: usize) -> ([Part; 4], usize) {
    let half = side / 2;
    let part = |dx, dy, width, height| Part { x: x + dx, y: y + dy, width, height };
    let whole = part(0, 0, side, side);
    match shape {
        Shape::Whole => ([whole; 4], 1),
        Shape::Rows => ([part(0, 0, side, half), part(0, half, side, half), whole, whole], 2),
        Shape::Columns => ([part(0, 0, half, side), part(half, 0, half, side), whole, whole], 2),
        Shape::Quarters => ([(0, 0), (half, 0), (0, half), (half, half)].map(|(dx, dy)| part(dx, dy, half, half)), 4),
    }
}

/// The inter part of `mb_pred` (7.3.5.1).
#[inline(always)]
pub fn inter_pred<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    store: &MbStore,
    mb: &mut Macroblock,
    shape: Shape,
    lists: [Lists; 2],
) -> Result<()> {
    if E::IS_CABAC {
        load_motion_border(slice, store, mb);
    }
    let (parts, count) = parts_of(shape, 0, 0, 4);
    for list in 0..2 {
        for (part, lists) in parts[..count].iter().zip(lists) {
            if lists >> list & 1 != 0 {
                ref_idx(e, slice, mb, list, *part)?;
            }
        }
    }
    for list in 0..2 {
        for (part, lists) in parts[..count].iter().zip(lists) {
            if lists >> list & 1 != 0 {
                mvd(e, mb, list, *part)?;
            }
        }
    }
    Ok(())
}

/// 7.3.5.2; tells `noSubMbPartSizeLessThan8x8Flag`.
pub fn sub_mb_pred<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    store: &MbStore,
    mb: &mut Macroblock,
    ref_idx_coded: bool,
) -> Result<bool> {
    let is_b = slice.header.slice_type == SliceType::B;
    let mut sub_mbs = [SubMbType::DIRECT; 4];
    for sub in &mut sub_mbs {
        *sub = if is_b { e.sub_mb_type_b()? } else { e.sub_mb_type_p()? };
    }
    if E::IS_CABAC {
        load_motion_border(slice, store, mb);
    }
    let (quarters, _) = parts_of(Shape::Quarters, 0, 0, 4);
    for list in 0..2 {
        for (part, sub) in quarters.iter().zip(&sub_mbs) {
            if ref_idx_coded && sub.lists >> list & 1 != 0 {
                ref_idx(e, slice, mb, list, *part)?;
            }
        }
    }
    for list in 0..2 {
        for (quarter, sub) in quarters.iter().zip(&sub_mbs) {
            if sub.lists >> list & 1 != 0 {
                let (parts, count) = parts_of(sub.shape, quarter.x, quarter.y, 2);
                for part in &parts[..count] {
                    mvd(e, mb, list, *part)?;
                }
            }
        }
    }
    let inference = slice.header.sps.direct_8x8_inference_flag;
    Ok(sub_mbs.iter().all(|sub| if sub.is_direct() { inference } else { sub.shape == Shape::Whole }))
}

/// Puts the neighbours' reference indices and differences around the macroblock.
fn load_motion_border(slice: &SliceContext, store: &MbStore, mb: &mut Macroblock) {
    if slice.is_mbaff {
        return load_motion_border_mbaff(store, mb);
    }
    let (left, above) = (store.get(mb.neighbours.a), store.get(mb.neighbours.b));
    for list in 0..2 {
        mb.mvd[list][1..5].copy_from_slice(&above.bottom.mvd[list]);
        mb.ref_idx[list][1..3].copy_from_slice(&above.bottom.ref_idx[list]);
        for y in 0..4 {
            mb.mvd[list][STRIDE * (y + 1)] = left.right.mvd[list][y];
        }
        for y in 0..2 {
            mb.ref_idx[list][STRIDE_8X8 * (y + 1)] = left.right.ref_idx[list][y];
        }
    }
}

/// The same where neighbours may be of the other kind, frame or field: they are counted as if of the macroblock's own
/// (9.3.3.1.1.6, 9.3.3.1.1.7).
fn load_motion_border_mbaff(store: &MbStore, mb: &mut Macroblock) {
    let is_field = mb.is_field;
    let scaled = |[x, y]: [u8; 2], other: &MbInfo| match (is_field, other.flags.is_field) {
        (false, true) => [x, y * 2],
        (true, false) => [x, y / 2],
        _ => [x, y],
    };
    // A frame macroblock sees two field references as one frame.
    let counted = |ref_idx: u8, other: &MbInfo| ref_idx >> u8::from(!is_field && other.flags.is_field);
    let above = store.get(mb.neighbours.b);
    for list in 0..2 {
        for i in 0..4 {
            let (position, row) = mb.neighbours.left(i);
            let left = store.get(position);
            mb.mvd[list][1 + i] = scaled(above.bottom.mvd[list][i], above);
            mb.mvd[list][STRIDE * (i + 1)] = scaled(left.right.mvd[list][row], left);
        }
        for i in 0..2 {
            let (position, row) = mb.neighbours.left(2 * i);
            let left = store.get(position);
            mb.ref_idx[list][1 + i] = counted(above.bottom.ref_idx[list][i], above);
            mb.ref_idx[list][STRIDE_8X8 * (i + 1)] = counted(left.right.ref_idx[list][row / 2], left);
        }
    }
}

fn ref_idx<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    mb: &mut Macroblock,
    list: usize,
    part: Part,
) -> Result<()> {
    let field_in_frame = slice.is_mbaff && mb.is_field;
    let active = slice.header.num_ref_idx_active[list] << u32::from(field_in_frame);
    if active == 1 {
        return Ok(());
    }
    let start = e.tell();
    let at = ORIGIN_8X8 + STRIDE_8X8 * (part.y / 2) + part.x / 2;
    let grid = &mut mb.ref_idx[list];
    let ctx_idx_inc = usize::from(grid[at - 1] > 0) + 2 * usize::from(grid[at - STRIDE_8X8] > 0);
    let value = e.ref_idx(active, ctx_idx_inc)?;
    for row in 0..part.height.div_ceil(2) {
        for column in 0..part.width.div_ceil(2) {
            grid[at + STRIDE_8X8 * row + column] = value;
        }
    }
    add_motion(mb, part, e.tell() - start);
    Ok(())
}

#[inline(always)]
fn mvd<E: MacroblockSyntax>(e: &mut E, mb: &mut Macroblock, list: usize, part: Part) -> Result<()> {
    let start = e.tell();
    let at = ORIGIN + STRIDE * part.y + part.x;
    let grid = &mut mb.mvd[list];
    let (left, above) = (grid[at - 1], grid[at - STRIDE]);
    let mut value = [0; 2];
    for component in 0..2 {
        let sum = u32::from(left[component]) + u32::from(above[component]);
        value[component] = e.mvd(component, sum)?;
    }
    if E::IS_CABAC {
        for row in 0..part.height {
            grid[at + STRIDE * row..][..part.width].fill(value);
        }
    }
    add_motion(mb, part, e.tell() - start);
    Ok(())
}

fn add_motion(mb: &mut Macroblock, part: Part, bits: usize) {
    mb.cost.motion += bits as u32;
    mb.cost.spread(part.x, part.y, part.width, part.height, bits as u32);
}
