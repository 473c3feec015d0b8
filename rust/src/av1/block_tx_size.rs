//! Transform sizes of blocks (5.11.15 to 5.11.17).

use super::block_size::{BLOCK_4X4, BlockSize};
use super::frame_header::TxMode;
use super::mode_grid::ModeInfo;
use super::tile::{Block, Tile};
use super::tx_size::{TX_4X4, TxSize};

const MAX_VARTX_DEPTH: u32 = 2;
/// The number of the largest square transform, `TX_64X64`.
const LARGEST_SQR: usize = 4;

impl Tile<'_> {
    /// `read_block_tx_size` (5.11.16).
    pub(super) fn read_block_tx_size(&mut self, b: &mut Block) {
        let size = b.mode.mi_size;
        let is_select = self.frame.header.tx_mode == TxMode::Select;
        if is_select && size > BLOCK_4X4 && b.mode.is_inter && !b.mode.skip && !b.lossless {
            let max_tx_size = size.max_tx_size_rect();
            for row in (b.mi_row..b.mi_row + size.height4()).step_by(max_tx_size.height4()) {
                for col in (b.mi_col..b.mi_col + size.width4()).step_by(max_tx_size.width4()) {
                    self.read_var_tx_size(b, row, col, max_tx_size, 0);
                }
            }
        } else {
            b.mode.tx_size = self.read_tx_size(b, is_select && (!b.mode.skip || !b.mode.is_inter));
            let (width, height) = (size.width4(), size.height4());
            self.residual_contexts.set_inter_tx_size(b.mi_row, b.mi_col, width, height, b.mode.tx_size);
        }
    }

    /// `read_tx_size` (5.11.15).
    fn read_tx_size(&mut self, b: &Block, allow_select: bool) -> TxSize {
        if b.lossless {
            return TX_4X4;
        }
        let size = b.mode.mi_size;
        let max_rect_tx_size = size.max_tx_size_rect();
        if size <= BLOCK_4X4 || !allow_select {
            return max_rect_tx_size;
        }
        let ctx = self.tx_depth_ctx(b, max_rect_tx_size);
        let (d, cdfs) = (&mut self.d, &mut self.cdfs);
        let tx_depth = match size.max_tx_depth() {
            4 => d.read_symbol(&mut cdfs.tx_64x64[ctx]),
            3 => d.read_symbol(&mut cdfs.tx_32x32[ctx]),
            2 => d.read_symbol(&mut cdfs.tx_16x16[ctx]),
            _ => d.read_symbol(&mut cdfs.tx_8x8[ctx]),
        };
        (0..tx_depth).fold(max_rect_tx_size, |tx_size, _| tx_size.split())
    }

    /// The context of `tx_depth` (8.3.2).
    fn tx_depth_ctx(&self, b: &Block, max_rect_tx_size: TxSize) -> usize {
        let inter_size = |block: &Option<ModeInfo>| block.filter(|block| block.is_inter).map(|block| block.mi_size);
        let above = match inter_size(&b.above) {
            Some(size) => size.width4(),
            None if b.avail_u => self.above_tx_width4(b, b.mi_row, b.mi_col),
            None => 0,
        };
        let left = match inter_size(&b.left) {
            Some(size) => size.height4(),
            None if b.avail_l => self.left_tx_height4(b, b.mi_row, b.mi_col),
            None => 0,
        };
        usize::from(above >= max_rect_tx_size.width4()) + usize::from(left >= max_rect_tx_size.height4())
    }

    /// `read_var_tx_size` (5.11.17).
    fn read_var_tx_size(&mut self, b: &mut Block, row: usize, col: usize, tx_size: TxSize, depth: u32) {
        if row >= self.frame.mi_rows || col >= self.frame.mi_cols {
            return;
        }
        if tx_size != TX_4X4 && depth < MAX_VARTX_DEPTH && self.txfm_split(b, row, col, tx_size) {
            let sub_tx_size = tx_size.split();
            for row in (row..row + tx_size.height4()).step_by(sub_tx_size.height4()) {
                for col in (col..col + tx_size.width4()).step_by(sub_tx_size.width4()) {
                    self.read_var_tx_size(b, row, col, sub_tx_size, depth + 1);
                }
            }
        } else {
            self.residual_contexts.set_inter_tx_size(row, col, tx_size.width4(), tx_size.height4(), tx_size);
            b.mode.tx_size = tx_size;
        }
    }

    /// `txfm_split`, with its context (8.3.2).
    fn txfm_split(&mut self, b: &Block, row: usize, col: usize, tx_size: TxSize) -> bool {
        let above = self.above_tx_width4(b, row, col) < tx_size.width4();
        let left = self.left_tx_height4(b, row, col) < tx_size.height4();
        let size = b.mode.mi_size;
        let max_tx_sz = (size.width4_log2().max(size.height4_log2()) as usize).min(LARGEST_SQR);
        let is_smaller = tx_size.sqr_up() != max_tx_sz;
        let ctx = usize::from(is_smaller) * 3 + (LARGEST_SQR - max_tx_sz) * 6 + usize::from(above) + usize::from(left);
        self.d.read_flag(&mut self.cdfs.txfm_split[ctx])
    }

    /// `get_above_tx_width` (8.3.2), in units of 4 samples.
    fn above_tx_width4(&self, b: &Block, row: usize, col: usize) -> usize {
        if row == b.mi_row {
            if !b.avail_u {
                return 16;
            }
            if let Some(size) = self.skipped_inter_size(row - 1, col) {
                return size.width4();
            }
        }
        self.residual_contexts.inter_tx_size(row - 1, col).width4()
    }

    /// `get_left_tx_height` (8.3.2), in units of 4 samples.
    fn left_tx_height4(&self, b: &Block, row: usize, col: usize) -> usize {
        if col == b.mi_col {
            if !b.avail_l {
                return 16;
            }
            if let Some(size) = self.skipped_inter_size(row, col - 1) {
                return size.height4();
            }
        }
        self.residual_contexts.inter_tx_size(row, col - 1).height4()
    }

    fn skipped_inter_size(&self, row: usize, col: usize) -> Option<BlockSize> {
        let block = self.state.modes.at(row, col);
        (block.skip && block.is_inter).then_some(block.mi_size)
    }
}
