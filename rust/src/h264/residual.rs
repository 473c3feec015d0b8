//! Residual data (7.3.5.3): which blocks are coded, their contexts, and what each costs.

use super::macroblock::{Macroblock, ORIGIN, STRIDE, SliceContext};
use super::neighbours::MbStore;
use super::syntax::{BlockContext, CAT_CHROMA_AC, CAT_CHROMA_DC, MacroblockSyntax, UNAVAILABLE};
use crate::error::Result;

/// `ctxBlockCat` of Intra16x16 DC, Intra16x16 AC, 4x4 and 8x8 blocks of Y, Cb and Cr (table 9-42).
const CATEGORIES: [[usize; 4]; 3] = [[0, 1, 2, 5], [6, 7, 8, 9], [10, 11, 12, 13]];

/// `residual( 0, 15 )`
pub fn residual<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    store: &MbStore,
    mb: &mut Macroblock,
    is_i16x16: bool,
) -> Result<()> {
    let start = e.tell();
    residual_luma(e, slice, store, mb, 0, is_i16x16)?;
    let chroma_start = e.tell();
    mb.cost.luma = (chroma_start - start) as u32;
    match slice.chroma_array_type {
        1 | 2 => residual_chroma(e, slice, store, mb)?,
        3 => {
            residual_luma(e, slice, store, mb, 1, is_i16x16)?;
            residual_luma(e, slice, store, mb, 2, is_i16x16)?;
        }
        _ => {}
    }
    mb.cost.chroma = (e.tell() - chroma_start) as u32;
    Ok(())
}

/// Height of a plane's part of a macroblock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PlaneLines {
    Eight,
    Sixteen,
}

/// Puts the neighbours' blocks around those of a plane. A CABAC border block that is not available counts as coded
/// for an intra macroblock and as not coded for others (9.3.3.1.1.9).
fn load_border<E: MacroblockSyntax>(store: &MbStore, mb: &mut Macroblock, plane: usize, lines: PlaneLines) {
    let unavailable = match (E::IS_CABAC, mb.is_intra) {
        (false, _) => UNAVAILABLE,
        (true, is_intra) => u8::from(is_intra),
    };
    let grid = &mut mb.coefficients[plane];
    let above = store.get(mb.neighbours.b);
    let row = if above.flags.available { above.bottom.coefficients[plane] } else { [unavailable; 4] };
    grid[1..5].copy_from_slice(&row);
    let is_available = store.get(mb.neighbours.a).flags.available;
    let rows = if lines == PlaneLines::Eight { 2 } else { 4 };
    for y in 0..rows {
        let (position, row) = match lines {
            PlaneLines::Eight => mb.neighbours.left_of_8_lines(y),
            PlaneLines::Sixteen => mb.neighbours.left(y),
        };
        let coefficients = &store.get(position).right.coefficients[plane];
        grid[STRIDE * (y + 1)] = if is_available { coefficients[row] } else { unavailable };
    }
}

fn block_context(grid: &[u8], at: usize, category: usize, max_coefficients: u32) -> BlockContext {
    BlockContext { category, max_coefficients, a: grid[at - 1], b: grid[at - STRIDE] }
}

/// `residual_luma( )` of Y, or of Cb and Cr coded like it (4:4:4).
fn residual_luma<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    store: &MbStore,
    mb: &mut Macroblock,
    plane: usize,
    is_i16x16: bool,
) -> Result<()> {
    let [dc, ac, block_4x4, _] = CATEGORIES[plane];
    load_border::<E>(store, mb, plane, PlaneLines::Sixteen);
    if is_i16x16 {
        residual_dc(e, store, mb, plane, dc)?;
    }
    let (category, max_coefficients) = if is_i16x16 { (ac, 15) } else { (block_4x4, 16) };
    for block_8x8 in 0..4 {
        let (x, y) = (block_8x8 % 2 * 2, block_8x8 / 2 * 2);
        if mb.coded_block_pattern >> block_8x8 & 1 == 0 {
            continue;
        }
        if mb.transform_size_8x8 {
            let start = e.tell();
            if E::IS_CABAC {
                residual_8x8(e, slice, store, mb, plane, (x, y))?;
            } else {
                residual_4x4s(e, mb, plane, (x, y), BlockShape { category, max_coefficients }, false)?;
            }
            mb.cost.spread(x, y, 2, 2, (e.tell() - start) as u32);
        } else {
            residual_4x4s(e, mb, plane, (x, y), BlockShape { category, max_coefficients }, true)?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct BlockShape {
    category: usize,
    max_coefficients: u32,
}

/// The four 4x4 blocks of an 8x8 block; `spread` where each codes its own samples.
#[inline]
fn residual_4x4s<E: MacroblockSyntax>(
    e: &mut E,
    mb: &mut Macroblock,
    plane: usize,
    (x, y): (usize, usize),
    shape: BlockShape,
    spread: bool,
) -> Result<()> {
    for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let at = ORIGIN + STRIDE * (y + dy) + x + dx;
        let start = e.tell();
        let grid = &mut mb.coefficients[plane];
        grid[at] = e.residual_block(block_context(grid, at, shape.category, shape.max_coefficients))?;
        if spread {
            mb.cost.cells[4 * (y + dy) + x + dx] += (e.tell() - start) as f32;
        }
    }
    Ok(())
}

fn residual_8x8<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    store: &MbStore,
    mb: &mut Macroblock,
    plane: usize,
    (x, y): (usize, usize),
) -> Result<()> {
    let category = CATEGORIES[plane][3];
    let at = ORIGIN + STRIDE * y + x;
    let coded = if slice.chroma_array_type == 3 {
        let context = BlockContext {
            category,
            max_coefficients: 64,
            a: neighbour_8x8_coded(slice, store, mb, plane, at, false),
            b: neighbour_8x8_coded(slice, store, mb, plane, at, true),
        };
        e.residual_block(context)?
    } else {
        // Its `coded_block_flag` is not coded but inferred to be 1 (7.4.5.3.3).
        e.residual_block_8x8(category)?;
        1
    };
    for block in [at, at + 1, at + STRIDE, at + STRIDE + 1] {
        mb.coefficients[plane][block] = coded;
    }
    Ok(())
}

/// `coded_block_flag` beside or above an 8x8 block with one of its own: outside the macroblock, only 8x8 blocks and
/// I_PCM count (9.3.3.1.1.9).
fn neighbour_8x8_coded(
    slice: &SliceContext,
    store: &MbStore,
    mb: &Macroblock,
    plane: usize,
    at: usize,
    is_above: bool,
) -> u8 {
    let (position, neighbour, is_border) = if is_above {
        (at - STRIDE, mb.neighbours.b, at < 2 * STRIDE)
    } else {
        (at - 1, mb.neighbours.left(at / STRIDE - 1).0, at % STRIDE == 1)
    };
    let flags = store.get(neighbour).flags;
    if is_border && flags.available && !flags.transform_size_8x8 {
        return u8::from(if slice.old_x264 { mb.is_intra } else { flags.is_pcm });
    }
    u8::from(mb.coefficients[plane][position] != 0)
}

/// Intra16x16 DC; its flag's neighbours are DC blocks (CABAC) or the blocks around block 0 (CAVLC).
fn residual_dc<E: MacroblockSyntax>(
    e: &mut E,
    store: &MbStore,
    mb: &mut Macroblock,
    plane: usize,
    category: usize,
) -> Result<()> {
    let start = e.tell();
    let context = if E::IS_CABAC {
        dc_context(store, mb, plane, category, 16)
    } else {
        block_context(&mb.coefficients[plane], ORIGIN, category, 16)
    };
    if e.residual_block(context)? != 0 {
        mb.dc_coded |= 1 << plane;
    }
    mb.cost.spread(0, 0, 4, 4, (e.tell() - start) as u32);
    Ok(())
}

fn dc_context(store: &MbStore, mb: &Macroblock, plane: usize, category: usize, max_coefficients: u32) -> BlockContext {
    let coded = |position: usize| {
        let other = store.get(position);
        if other.flags.available { other.dc_coded >> plane & 1 } else { u8::from(mb.is_intra) }
    };
    BlockContext { category, max_coefficients, a: coded(mb.neighbours.a), b: coded(mb.neighbours.b) }
}

/// Chroma of 4:2:0 and 4:2:2: DC of both planes, then their AC blocks.
fn residual_chroma<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    store: &MbStore,
    mb: &mut Macroblock,
) -> Result<()> {
    let pattern = mb.coded_block_pattern >> 4;
    if pattern == 0 {
        return Ok(());
    }
    let (rows, lines) = match slice.chroma_array_type {
        1 => (2, PlaneLines::Eight),
        _ => (4, PlaneLines::Sixteen),
    };
    let start = e.tell();
    for plane in 1..3 {
        let context = dc_context(store, mb, plane, CAT_CHROMA_DC, 2 * rows as u32);
        if e.residual_block(context)? != 0 {
            mb.dc_coded |= 1 << plane;
        }
    }
    mb.cost.spread(0, 0, 4, 4, (e.tell() - start) as u32);
    if pattern & 2 == 0 {
        return Ok(());
    }
    for plane in 1..3 {
        load_border::<E>(store, mb, plane, lines);
        for block in 0..2 * rows {
            let (x, y) = (block % 2, block / 2);
            let at = ORIGIN + STRIDE * y + x;
            let start = e.tell();
            let grid = &mut mb.coefficients[plane];
            grid[at] = e.residual_block(block_context(grid, at, CAT_CHROMA_AC, 15))?;
            let height = 4 / rows;
            mb.cost.spread(2 * x, height * y, 2, height, (e.tell() - start) as u32);
        }
    }
    Ok(())
}
