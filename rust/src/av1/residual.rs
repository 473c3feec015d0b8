//! `residual` (5.11.34): which transform blocks a block has, and the contexts that they leave for each other.

use super::block_size::{BLOCK_64X64, BlockSize};
use super::coefs::{CUL_LEVEL, CoefReader, Context, dc_category};
use super::tile::{Block, Tile};
use super::tile_area::MOST_MI;
use super::transform_type::*;
use super::tx_size::*;
use crate::error::Result;

/// Units of 4 samples along what is coded plane after plane: 64x64 luma samples.
const CHUNK: usize = 16;

/// A plane, as a transform block in it sees it.
#[derive(Clone, Copy)]
struct Plane {
    index: usize,
    subsampling_x: usize,
    subsampling_y: usize,
    /// The block's size in this plane.
    size: BlockSize,
}

impl Tile<'_> {
    /// `reset_block_context` (5.11.5) of a block that is skipped.
    pub(super) fn reset_block_context(&mut self, b: &Block) {
        let color = self.frame.sequence.color;
        for plane in 0..if b.has_chroma { 3 } else { 1 } {
            let (sx, sy) =
                if plane > 0 { (color.subsampling_x.into(), color.subsampling_y.into()) } else { (0usize, 0usize) };
            let range = |at: usize, length4: usize, shift: usize| at >> shift..(at + length4) >> shift;
            let cols = range(b.mi_col - self.area.mi_col_start, b.mode.mi_size.width4(), sx);
            let rows = range(b.mi_row % MOST_MI, b.mode.mi_size.height4(), sy);
            self.residual_contexts.above[plane][cols].fill(0);
            self.residual_contexts.left[plane][rows].fill(0);
        }
    }

    /// `residual` (5.11.34).
    pub(super) fn residual(&mut self, b: &Block) -> Result<()> {
        if b.mode.skip {
            return Ok(());
        }
        let size = b.mode.mi_size;
        let chunk = if size.width4().max(size.height4()) > CHUNK { BLOCK_64X64 } else { size };
        for row in (b.mi_row..b.mi_row + size.height4()).step_by(chunk.height4()) {
            for col in (b.mi_col..b.mi_col + size.width4()).step_by(chunk.width4()) {
                self.residual_chunk(b, row, col, chunk)?;
            }
        }
        Ok(())
    }

    /// All planes of a part of the block.
    fn residual_chunk(&mut self, b: &Block, mi_row: usize, mi_col: usize, chunk: BlockSize) -> Result<()> {
        let color = self.frame.sequence.color;
        for index in 0..if b.has_chroma { 3 } else { 1 } {
            let start = self.d.tell();
            let (sx, sy) = (index > 0 && color.subsampling_x, index > 0 && color.subsampling_y);
            let subsampled = |size: BlockSize| size.subsampled(sx, sy).unwrap_or(size);
            let size = subsampled(b.mode.mi_size);
            let plane = Plane { index, subsampling_x: sx.into(), subsampling_y: sy.into(), size };
            let part = subsampled(chunk);
            let (x4, y4) = (mi_col >> plane.subsampling_x, mi_row >> plane.subsampling_y);
            if b.mode.is_inter && !b.lossless && index == 0 {
                self.transform_tree(b, &plane, x4, y4, part.width4_log2(), part.height4_log2())?;
            } else {
                let tx_size = if b.lossless {
                    TX_4X4
                } else if index == 0 {
                    b.mode.tx_size
                } else {
                    uv_tx_size(size)
                };
                for y in (y4..y4 + part.height4()).step_by(tx_size.height4()) {
                    for x in (x4..x4 + part.width4()).step_by(tx_size.width4()) {
                        self.transform_block(b, &plane, x, y, tx_size)?;
                    }
                }
            }
            let bits = (self.d.tell() - start) as u32;
            *if index == 0 { &mut self.luma_bits } else { &mut self.chroma_bits } += bits;
        }
        Ok(())
    }

    /// `transform_tree` (5.11.36).
    fn transform_tree(&mut self, b: &Block, plane: &Plane, x4: usize, y4: usize, w: u32, h: u32) -> Result<()> {
        if x4 >= self.frame.mi_cols || y4 >= self.frame.mi_rows {
            return Ok(());
        }
        let luma_tx_size = self.residual_contexts.inter_tx_size(y4, x4);
        if w <= luma_tx_size.width4_log2() && h <= luma_tx_size.height4_log2() {
            let tx_size = TxSize::find(w, h).unwrap_or(luma_tx_size);
            return self.transform_block(b, plane, x4, y4, tx_size);
        }
        let (sub_w, sub_h) = (w - u32::from(w >= h), h - u32::from(h >= w));
        for y in (y4..y4 + (1 << h)).step_by(1 << sub_h) {
            for x in (x4..x4 + (1 << w)).step_by(1 << sub_w) {
                self.transform_tree(b, plane, x, y, sub_w, sub_h)?;
            }
        }
        Ok(())
    }

    /// `transform_block` (5.11.35), at a place in units of 4 samples of the plane.
    fn transform_block(&mut self, b: &Block, plane: &Plane, x4: usize, y4: usize, tx_size: TxSize) -> Result<()> {
        let (sx, sy) = (plane.subsampling_x, plane.subsampling_y);
        let (max_x4, max_y4) = (self.frame.mi_cols >> sx, self.frame.mi_rows >> sy);
        if x4 >= max_x4 || y4 >= max_y4 {
            return Ok(());
        }
        let start = self.d.tell();
        let context = self.coeffs(b, plane, x4, y4, tx_size)?;
        let (width4, height4) = (tx_size.width4(), tx_size.height4());
        let contexts = &mut self.residual_contexts;
        let column = x4 - (contexts.mi_col_start >> sx);
        contexts.above[plane.index][column..][..width4.min(max_x4 - x4)].fill(context);
        contexts.left[plane.index][y4 % (MOST_MI >> sy)..][..height4.min(max_y4 - y4)].fill(context);
        let bits = (self.d.tell() - start) as u32;
        self.map.cells.spread(y4 << sy, x4 << sx, height4 << sy, width4 << sx, bits);
        Ok(())
    }

    /// `coeffs` (5.11.39). Gives what the block leaves for contexts.
    fn coeffs(&mut self, b: &Block, plane: &Plane, x4: usize, y4: usize, tx_size: TxSize) -> Result<Context> {
        let contexts = &self.residual_contexts;
        let column = x4 - (contexts.mi_col_start >> plane.subsampling_x);
        let above = &contexts.above[plane.index][column..][..tx_size.width4()];
        let left = &contexts.left[plane.index][y4 % (MOST_MI >> plane.subsampling_y)..][..tx_size.height4()];
        let tx_sz_ctx = (tx_size.sqr() + tx_size.sqr_up() + 1) >> 1;
        let all_zero_ctx = all_zero_ctx(plane, tx_size, above, left);
        let dc_sign_ctx = dc_sign_ctx(above, left);
        let all_zero = self.d.read_flag(&mut self.cdfs.coeff.txb_skip[tx_sz_ctx][all_zero_ctx]);
        let mut tx_type = DCT_DCT;
        if plane.index == 0 {
            if !all_zero {
                tx_type = self.transform_type(b, tx_size);
            }
            if b.mode.is_inter {
                let (row, col) = (y4 % MOST_MI, x4 % MOST_MI);
                let rows = &mut self.residual_contexts.tx_types[row..][..tx_size.height4()];
                rows.iter_mut().for_each(|line| line[col..][..tx_size.width4()].fill(tx_type));
            }
        }
        if all_zero {
            return Ok(0);
        }
        if plane.index > 0 {
            tx_type = self.uv_tx_type(b, plane, x4, y4, tx_size);
        }
        let mut reader =
            CoefReader { d: &mut self.d, cdfs: &mut self.cdfs.coeff, levels: &mut self.residual_contexts.levels };
        reader.read(tx_size, get_tx_class(tx_type), plane.index.min(1), dc_sign_ctx)
    }

    /// `transform_type` (5.11.47).
    fn transform_type(&mut self, b: &Block, tx_size: TxSize) -> TxType {
        let header = self.frame.header;
        let set = TxSet::of(tx_size, b.mode.is_inter, header.reduced_tx_set);
        if set == TxSet::DctOnly || header.qindex(b.mode.segment_id, header.quantization.base_q_idx) == 0 {
            return DCT_DCT;
        }
        let sqr = tx_size.sqr();
        let intra_dir = if b.use_filter_intra {
            usize::from(FILTER_INTRA_MODE_TO_INTRA_DIR[usize::from(b.filter_intra_mode)])
        } else {
            usize::from(b.mode.y_mode)
        };
        let (d, cdfs) = (&mut self.d, &mut self.cdfs);
        match set {
            TxSet::DctOnly => DCT_DCT,
            TxSet::Intra1 => TX_TYPE_INTRA_INV_SET1[d.read_symbol(&mut cdfs.intra_tx_type_set1[sqr][intra_dir])],
            TxSet::Intra2 => TX_TYPE_INTRA_INV_SET2[d.read_symbol(&mut cdfs.intra_tx_type_set2[sqr][intra_dir])],
            TxSet::Inter1 => TX_TYPE_INTER_INV_SET1[d.read_symbol(&mut cdfs.inter_tx_type_set1[sqr])],
            TxSet::Inter2 => TX_TYPE_INTER_INV_SET2[d.read_symbol(&mut cdfs.inter_tx_type_set2)],
            TxSet::Inter3 => TX_TYPE_INTER_INV_SET3[d.read_symbol(&mut cdfs.inter_tx_type_set3[sqr])],
        }
    }

    /// `compute_tx_type` (5.11.40) in chroma.
    fn uv_tx_type(&self, b: &Block, plane: &Plane, x4: usize, y4: usize, tx_size: TxSize) -> TxType {
        if b.lossless {
            return DCT_DCT;
        }
        let tx_type = if b.mode.is_inter {
            let row = b.mi_row.max(y4 << plane.subsampling_y);
            let col = b.mi_col.max(x4 << plane.subsampling_x);
            self.residual_contexts.tx_types[row % MOST_MI][col % MOST_MI]
        } else {
            MODE_TO_TXFM[usize::from(b.mode.uv_mode)]
        };
        let set = TxSet::of(tx_size, b.mode.is_inter, self.frame.header.reduced_tx_set);
        if set.includes(tx_type) { tx_type } else { DCT_DCT }
    }
}

/// `get_tx_size` (5.11.37) of chroma, for the block's size there: no side is above 32.
fn uv_tx_size(size: BlockSize) -> TxSize {
    match size.max_tx_size_rect() {
        TX_16X64 => TX_16X32,
        TX_64X16 => TX_32X16,
        tx_size if tx_size.sqr_up() == TX_64X64.sqr_up() => TX_32X32,
        tx_size => tx_size,
    }
}

/// The context of `all_zero` (8.3.2).
fn all_zero_ctx(plane: &Plane, tx_size: TxSize, above: &[Context], left: &[Context]) -> usize {
    let size = (plane.size.width4_log2(), plane.size.height4_log2());
    let is_whole = size == (tx_size.width4_log2(), tx_size.height4_log2());
    if plane.index > 0 {
        let is_nonzero = |contexts: &[Context]| usize::from(contexts.iter().any(|&context| context != 0));
        let is_larger = size.0 + size.1 > tx_size.width4_log2() + tx_size.height4_log2();
        return 7 + is_nonzero(above) + is_nonzero(left) + if is_larger { 3 } else { 0 };
    }
    if is_whole {
        return 0;
    }
    let level = |contexts: &[Context]| contexts.iter().map(|context| context & CUL_LEVEL).max().unwrap_or(0);
    let (top, left) = (level(above), level(left));
    match (top.min(left), top.max(left)) {
        (0, 0) => 1,
        (0, 1..=3) => 2,
        (0, _) => 3,
        (_, 1..=3) => 4,
        (1..=3, _) => 5,
        _ => 6,
    }
}

/// The context of `dc_sign` (8.3.2).
fn dc_sign_ctx(above: &[Context], left: &[Context]) -> usize {
    let sign = |&context: &Context| match dc_category(context) {
        1 => -1,
        2 => 1,
        _ => 0,
    };
    match above.iter().chain(left).map(sign).sum::<i32>() {
        ..0 => 1,
        0 => 0,
        _ => 2,
    }
}
