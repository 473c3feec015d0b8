//! One macroblock while it is parsed, and what of its slice it is parsed with.

use super::mb_type::MbType;
use super::neighbours::{MbFlags, MbInfo, Neighbours};
use super::slice_header::SliceHeader;
use crate::map::Kind;

/// Side of the 4x4 blocks of a macroblock with a border above and to the left.
pub const STRIDE: usize = 5;
/// Position of the first block behind the border.
pub const ORIGIN: usize = STRIDE + 1;
/// The same for 8x8 blocks.
pub const STRIDE_8X8: usize = 3;
pub const ORIGIN_8X8: usize = STRIDE_8X8 + 1;

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
    /// By list, with border.
    pub ref_idx: [[u8; STRIDE_8X8 * STRIDE_8X8]; 2],
    pub mvd: [[[u8; 2]; STRIDE * STRIDE]; 2],
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
    pub fn clear_blocks(&mut self, with_motion: bool) {
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

/// What a macroblock is, for `BitCost.kind`.
pub fn kind_of(mb: &Macroblock) -> Kind {
    match mb.mb_type {
        None => Kind::Skip,
        Some(_) if mb.cost.is_raw => Kind::Raw,
        Some(_) if mb.is_intra => Kind::Intra,
        Some(_) => Kind::Inter,
    }
}
