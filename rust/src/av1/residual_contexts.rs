//! What the transform blocks of a tile leave for those below and to the right of them.

use super::coefs::{Context, Levels, NO_LEVELS};
use super::tile_area::{MOST_MI, TileArea};
use super::transform_type::{DCT_DCT, TxType};
use super::tx_size::{TX_4X4, TxSize};

/// What transform blocks look up of those before them.
pub struct ResidualContexts {
    pub(super) mi_col_start: usize,
    /// `AboveLevelContext` and `AboveDcContext`, by plane and units of 4 samples from the tile's edge on. Beyond the
    /// picture they stay 0.
    pub(super) above: [Vec<Context>; 3],
    /// `LeftLevelContext` and `LeftDcContext`, from the superblock's edge on.
    pub(super) left: [[Context; MOST_MI]; 3],
    /// `InterTxSizes` of the last rows, by column.
    inter_tx_sizes: Vec<[TxSize; MOST_MI]>,
    /// `TxTypes` of the current block, by row and column from the superblock's edge on.
    pub(super) tx_types: [[TxType; MOST_MI]; MOST_MI],
    pub(super) levels: Box<Levels>,
}

impl ResidualContexts {
    pub fn new(area: TileArea) -> Self {
        let width = area.mi_col_end - area.mi_col_start + MOST_MI;
        Self {
            mi_col_start: area.mi_col_start,
            above: [(); 3].map(|()| vec![0; width]),
            left: [[0; MOST_MI]; 3],
            inter_tx_sizes: vec![[TX_4X4; MOST_MI]; width],
            tx_types: [[DCT_DCT; MOST_MI]; MOST_MI],
            levels: Box::new(NO_LEVELS),
        }
    }

    /// `clear_left_context` (5.11.2).
    pub fn clear_left(&mut self) {
        self.left = [[0; MOST_MI]; 3];
    }

    /// `InterTxSizes` at a place that was parsed within the last `MOST_MI` rows.
    #[inline]
    pub fn inter_tx_size(&self, row: usize, col: usize) -> TxSize {
        self.inter_tx_sizes[col - self.mi_col_start][row % MOST_MI]
    }

    /// Sets a rectangle of at most a superblock.
    #[inline]
    pub fn set_inter_tx_size(&mut self, row: usize, col: usize, width4: usize, height4: usize, tx_size: TxSize) {
        let start = col - self.mi_col_start;
        for column in &mut self.inter_tx_sizes[start..start + width4] {
            column[row % MOST_MI..][..height4].fill(tx_size);
        }
    }
}
