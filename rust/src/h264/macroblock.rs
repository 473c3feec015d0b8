//! Macroblock layer (7.3.5): one macroblock from its type to its last coefficient, whatever the entropy coding.

use super::mb_type::{Lists, MbType, Shape, SubMbType};
use super::neighbours::{MbFlags, MbInfo, MbStore, Neighbours};
use super::slice_header::{SliceHeader, SliceType};
use super::syntax::{MacroblockSyntax, PatternNeighbours};
use crate::error::{Error, Result};
use crate::map::Kind;

/// Side of the 4x4 blocks of a macroblock with a border above and to the left.
pub const STRIDE: usize = 5;
/// Position of the first block behind the border.
pub const ORIGIN: usize = STRIDE + 1;
/// The same for 8x8 blocks.
const STRIDE_8X8: usize = 3;
const ORIGIN_8X8: usize = STRIDE_8X8 + 1;

/// What never changes within a slice.
pub struct SliceContext<'a> {
    pub header: &'a SliceHeader,
    /// Number of the slice in its picture, from 1.
    pub slice: u32,
    pub is_mbaff: bool,
    /// 0 where no chroma is coded with the luma.
    pub chroma_array_type: u8,
    /// x264 before build 151 coded 4:4:4 8x8 blocks with a context of its own.
    pub old_x264: bool,
    /// Contexts look at motion: CABAC, P or B slice.
    pub has_motion_contexts: bool,
}

/// The state that runs from macroblock to macroblock.
#[derive(Debug, Clone, Copy)]
pub struct RunningState {
    pub qp: i32,
    pub last_qp_delta_nonzero: bool,
}

/// One macroblock while it is parsed, with its neighbours' edges around it.
pub struct Macroblock {
    pub neighbours: Neighbours,
    pub is_field: bool,
    pub is_intra: bool,
    pub mb_type: Option<MbType>,
    pub transform_size_8x8: bool,
    pub coded_block_pattern: u8,
    pub intra_chroma_pred_mode: bool,
    pub dc_coded: u8,
    /// By plane, with border; see `ORIGIN`.
    pub coefficients: [[u8; STRIDE * STRIDE]; 3],
    ref_idx: [[u8; STRIDE_8X8 * STRIDE_8X8]; 2],
    mvd: [[[u8; 2]; STRIDE * STRIDE]; 2],
    pub cost: Cost,
}

/// Bits of one macroblock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    pub motion: u32,
    pub luma: u32,
    pub chroma: u32,
    pub overhead: u32,
    pub is_raw: bool,
    /// Shares of the 4x4 luma blocks, what is spread over the whole macroblock aside.
    pub cells: [f32; 16],
}

impl Cost {
    /// Spreads bits over a rectangle of 4x4 blocks.
    #[inline]
    pub fn spread(&mut self, x: usize, y: usize, width: usize, height: usize, bits: u32) {
        if bits == 0 {
            return;
        }
        let share = bits as f32 / (width * height) as f32;
        for row in self.cells.chunks_exact_mut(4).skip(y).take(height) {
            row.iter_mut().skip(x).take(width).for_each(|cell| *cell += share);
        }
    }
}

impl Default for Macroblock {
    fn default() -> Self {
        Self {
            neighbours: Neighbours::default(),
            is_field: false,
            is_intra: false,
            mb_type: None,
            transform_size_8x8: false,
            coded_block_pattern: 0,
            intra_chroma_pred_mode: false,
            dc_coded: 0,
            coefficients: [[0; STRIDE * STRIDE]; 3],
            ref_idx: [[0; STRIDE_8X8 * STRIDE_8X8]; 2],
            mvd: [[[0; 2]; STRIDE * STRIDE]; 2],
            cost: Cost::default(),
        }
    }
}

impl Macroblock {
    /// Makes it the next macroblock, skipped until more is parsed.
    #[inline(always)]
    pub fn begin(&mut self, neighbours: Neighbours, is_field: bool) {
        self.neighbours = neighbours;
        self.is_field = is_field;
        self.is_intra = false;
        // A skipped macroblock leaves its costs as they are: none.
        if self.mb_type.take().is_some() {
            self.cost = Cost::default();
        }
        self.transform_size_8x8 = false;
        self.coded_block_pattern = 0;
        self.intra_chroma_pred_mode = false;
        self.dc_coded = 0;
    }

    /// Clears the blocks inside the border, and the border with them.
    fn clear_blocks(&mut self, with_motion: bool) {
        self.coefficients = [[0; STRIDE * STRIDE]; 3];
        if with_motion {
            self.ref_idx = [[0; STRIDE_8X8 * STRIDE_8X8]; 2];
            self.mvd = [[[0; 2]; STRIDE * STRIDE]; 2];
        }
    }

    /// Leaves in `info` what later macroblocks need of this one.
    #[inline(always)]
    pub fn store(&self, slice: &SliceContext, info: &mut MbInfo) {
        let mb_type = self.mb_type;
        info.slice = slice.slice;
        info.flags = MbFlags {
            available: true,
            not_skipped: mb_type.is_some(),
            not_i_nxn: mb_type != Some(MbType::INxN),
            not_direct: !matches!(mb_type, None | Some(MbType::BDirect16x16)),
            is_pcm: mb_type == Some(MbType::IPcm),
            is_field: slice.is_mbaff && self.is_field,
            intra_chroma_pred_mode: self.intra_chroma_pred_mode,
            transform_size_8x8: self.transform_size_8x8,
        };
        info.coded_block_pattern = self.coded_block_pattern;
        info.dc_coded = self.dc_coded;
        // The edges are as the store was reset: zero.
        if mb_type.is_some() {
            self.copy_coefficients(info, slice.chroma_array_type);
            if slice.has_motion_contexts {
                self.copy_motion(info);
            }
        }
    }

    fn copy_coefficients(&self, info: &mut MbInfo, chroma_array_type: u8) {
        for (plane, grid) in self.coefficients.iter().enumerate() {
            // Last column and row of the plane's blocks.
            let (column, row) = match (plane, chroma_array_type) {
                (1 | 2, 1) => (1, 1),
                (1 | 2, 2) => (1, 3),
                _ => (3, 3),
            };
            for i in 0..4 {
                info.right.coefficients[plane][i] = grid[ORIGIN + STRIDE * i + column];
                info.bottom.coefficients[plane][i] = grid[ORIGIN + STRIDE * row + i];
            }
        }
    }

    fn copy_motion(&self, info: &mut MbInfo) {
        for list in 0..2 {
            for i in 0..4 {
                info.right.mvd[list][i] = self.mvd[list][ORIGIN + STRIDE * i + 3];
                info.bottom.mvd[list][i] = self.mvd[list][ORIGIN + STRIDE * 3 + i];
            }
            let last = ORIGIN_8X8 + STRIDE_8X8 + 1;
            info.right.ref_idx[list] = [self.ref_idx[list][last - STRIDE_8X8], self.ref_idx[list][last]];
            info.bottom.ref_idx[list] = [self.ref_idx[list][last - 1], self.ref_idx[list][last]];
        }
    }
}

/// `macroblock_layer()`.
#[inline(never)]
pub fn macroblock_layer<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    store: &MbStore,
    state: &mut RunningState,
    mb: &mut Macroblock,
) -> Result<()> {
    mb.clear_blocks(slice.has_motion_contexts);
    let mb_type = mb_type(e, slice, store, mb)?;
    mb.mb_type = Some(mb_type);
    mb.is_intra = mb_type.is_intra();
    if mb_type == MbType::IPcm {
        return i_pcm(e, slice, state, mb);
    }
    let t8x8_mode = slice.header.pps.transform_8x8_mode_flag;
    let mut may_use_8x8 = t8x8_mode && !mb.is_intra;
    if let MbType::Inter8x8 { ref_idx_coded } = mb_type {
        may_use_8x8 &= sub_mb_pred(e, slice, store, mb, ref_idx_coded)?;
    } else {
        if t8x8_mode && mb_type == MbType::INxN {
            mb.transform_size_8x8 = transform_size_8x8_flag(e, store, mb);
        }
        mb_pred(e, slice, store, mb, mb_type)?;
    }
    if let MbType::I16x16 { coded_block_pattern } = mb_type {
        mb.coded_block_pattern = coded_block_pattern;
    } else {
        let has_chroma = matches!(slice.chroma_array_type, 1 | 2);
        let neighbours = pattern_neighbours(store, mb);
        mb.coded_block_pattern = e.coded_block_pattern(neighbours, mb.is_intra, has_chroma)?;
        may_use_8x8 &= mb_type != MbType::BDirect16x16 || slice.header.sps.direct_8x8_inference_flag;
        if may_use_8x8 && mb.coded_block_pattern & 15 != 0 {
            mb.transform_size_8x8 = transform_size_8x8_flag(e, store, mb);
        }
    }
    let is_i16x16 = matches!(mb_type, MbType::I16x16 { .. });
    if mb.coded_block_pattern == 0 && !is_i16x16 {
        state.last_qp_delta_nonzero = false;
        return Ok(());
    }
    mb_qp_delta(e, slice, state, mb)?;
    super::residual::residual(e, slice, store, mb, is_i16x16)
}

fn mb_type<E: MacroblockSyntax>(e: &mut E, slice: &SliceContext, store: &MbStore, mb: &Macroblock) -> Result<MbType> {
    let (a, b) = (store.get(mb.neighbours.a).flags, store.get(mb.neighbours.b).flags);
    match slice.header.slice_type {
        // 9.3.3.1.1.3
        SliceType::I => e.mb_type_i(usize::from(a.not_i_nxn) + usize::from(b.not_i_nxn)),
        SliceType::SI => e.mb_type_si(),
        SliceType::P | SliceType::SP => e.mb_type_p(),
        SliceType::B => e.mb_type_b(usize::from(a.not_direct) + usize::from(b.not_direct)),
    }
}

/// 9.3.3.1.1.10
fn transform_size_8x8_flag<E: MacroblockSyntax>(e: &mut E, store: &MbStore, mb: &Macroblock) -> bool {
    let is_8x8 = |position| usize::from(store.get(position).flags.transform_size_8x8);
    e.transform_size_8x8_flag(is_8x8(mb.neighbours.a) + is_8x8(mb.neighbours.b))
}

fn i_pcm<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    state: &mut RunningState,
    mb: &mut Macroblock,
) -> Result<()> {
    let sps = &slice.header.sps;
    let chroma_samples = [0, 128, 256, 512][usize::from(slice.chroma_array_type & 3)];
    let luma_bits = 256 * usize::from(sps.bit_depth_luma);
    let chroma_bits = chroma_samples * usize::from(sps.bit_depth_chroma);
    mb.cost.overhead = e.pcm_samples(luma_bits + chroma_bits)? as u32;
    mb.cost.luma = luma_bits as u32;
    mb.cost.chroma = chroma_bits as u32;
    mb.cost.is_raw = true;
    mb.cost.spread(0, 0, 4, 4, (luma_bits + chroma_bits) as u32);
    mb.coded_block_pattern = 0x2f;
    mb.dc_coded = 7;
    // 9.2.1: I_PCM blocks count as 16 coefficients each.
    mb.coefficients = [[16; STRIDE * STRIDE]; 3];
    state.last_qp_delta_nonzero = false;
    Ok(())
}

/// 7.3.5.1
fn mb_pred<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    store: &MbStore,
    mb: &mut Macroblock,
    mb_type: MbType,
) -> Result<()> {
    match mb_type {
        MbType::Inter { shape, lists } => inter_pred(e, slice, store, mb, shape, lists),
        MbType::BDirect16x16 => Ok(()),
        _ => {
            if matches!(mb_type, MbType::INxN | MbType::Si) {
                let blocks = if mb.transform_size_8x8 { 4 } else { 16 };
                (0..blocks).for_each(|_| e.intra_pred_mode());
            }
            if matches!(slice.chroma_array_type, 1 | 2) {
                let mode = |position| usize::from(store.get(position).flags.intra_chroma_pred_mode);
                let ctx_idx_inc = mode(mb.neighbours.a) + mode(mb.neighbours.b);
                mb.intra_chroma_pred_mode = e.intra_chroma_pred_mode(ctx_idx_inc)?;
            }
            Ok(())
        }
    }
}

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

fn inter_pred<E: MacroblockSyntax>(
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
fn sub_mb_pred<E: MacroblockSyntax>(
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

fn pattern_neighbours(store: &MbStore, mb: &Macroblock) -> PatternNeighbours {
    let pattern = |position: usize| store.get(position).coded_block_pattern;
    let left_not_coded = [0, 2].map(|row| {
        let (position, row) = mb.neighbours.left(row);
        pattern(position) >> (row / 2 * 2 + 1) & 1 == 0
    });
    let above = pattern(mb.neighbours.b);
    PatternNeighbours {
        left_not_coded,
        above_not_coded: [2, 3].map(|block| above >> block & 1 == 0),
        chroma: [pattern(mb.neighbours.a) >> 4, above >> 4],
    }
}

/// 7.4.5: `QP_Y` from `mb_qp_delta`.
fn mb_qp_delta<E: MacroblockSyntax>(
    e: &mut E,
    slice: &SliceContext,
    state: &mut RunningState,
    mb: &mut Macroblock,
) -> Result<()> {
    let sps = &slice.header.sps;
    let delta = e.mb_qp_delta(state.last_qp_delta_nonzero)?;
    state.last_qp_delta_nonzero = delta != 0;
    let qp_bd_offset = 6 * (i32::from(sps.bit_depth_luma) - 8);
    if !(-26 - qp_bd_offset / 2..=25 + qp_bd_offset / 2).contains(&delta) {
        return Err(Error::corrupt("mb_qp_delta out of range", e.tell()));
    }
    let range = 52 + qp_bd_offset;
    state.qp = (state.qp + delta + qp_bd_offset + range).rem_euclid(range) - qp_bd_offset;
    mb.cost.is_raw = sps.qpprime_y_zero_transform_bypass_flag && state.qp + qp_bd_offset == 0;
    Ok(())
}

/// What a macroblock is, for `BitCost.kind`.
pub fn kind_of(mb: &Macroblock) -> Kind {
    match mb.mb_type {
        None => Kind::Skip,
        Some(_) if mb.cost.is_raw => Kind::Raw,
        Some(_) if mb.is_intra => Kind::Intra,
        Some(_) => Kind::Inter,
    }
}
