//! Tiles (6.4.2 on): partitions, blocks, and the account of every bit that they take.

use super::account::Account;
use super::block::{BlockSize, ModeInfo, Partition};
use super::block_map::BlockMap;
use super::compressed_header::CompressedHeader;
use super::default_probabilities::KF_PARTITION_PROBS;
use super::frame_header::FrameHeader;
use super::place::{Place, SUPERBLOCK};
use super::probabilities::{Counts, Probabilities};
use crate::bool_decoder::BoolDecoder;
use crate::error::{Error, Result};
use crate::map::{FrameMap, Kind, Syntax};

/// What all tiles of a frame read.
pub struct FrameContext<'a> {
    pub header: &'a FrameHeader,
    pub compressed: CompressedHeader,
    pub probs: &'a Probabilities,
    pub mi_rows: usize,
    pub mi_cols: usize,
    /// Those with `PrevMvs` and `PrevRefFrames`, if `UsePrevFrameMvs`.
    pub prev_blocks: Option<&'a BlockMap>,
    /// `PrevSegmentIds`.
    pub prev_segment_ids: &'a [u8],
}

/// What the tiles of a frame leave for each other and for later frames; everything by units of 8 samples.
pub struct FrameState {
    pub blocks: BlockMap,
    /// `AbovePartitionContext` by superblock: of each unit 4 bits, one for each block size that the block above is
    /// narrower than.
    pub above_partition: Vec<u32>,
    /// `AboveNonzeroContext`: a bit for each 4x4 column of a superblock, by superblock and plane.
    pub above_nonzero: Vec<[u16; 3]>,
    /// Empty without segmentation.
    pub segment_ids: Vec<u8>,
    pub counts: Box<Counts>,
    /// The superblocks that were parsed.
    pub covered: Vec<bool>,
}

impl FrameState {
    pub fn new(frame: &FrameContext) -> Self {
        let units = frame.mi_rows * frame.mi_cols;
        let superblocks = frame.mi_cols.div_ceil(SUPERBLOCK);
        Self {
            blocks: BlockMap::new(frame.mi_rows, frame.mi_cols),
            above_partition: vec![0; superblocks],
            above_nonzero: vec![[0; 3]; superblocks],
            segment_ids: vec![0; if frame.header.segmentation.enabled { units } else { 0 }],
            counts: Box::default(),
            covered: vec![false; frame.mi_rows.div_ceil(SUPERBLOCK) * superblocks],
        }
    }
}

/// Where a tile lies, in units of 8 samples.
#[derive(Debug, Clone, Copy)]
pub struct TileArea {
    pub row_start: usize,
    pub row_end: usize,
    pub col_start: usize,
    pub col_end: usize,
}

/// One tile's parser. Without `COSTS` it leaves `map` as it is: it parses for the sake of what later frames take over.
pub struct Tile<'a, const COSTS: bool> {
    pub(super) frame: &'a FrameContext<'a>,
    pub(super) state: &'a mut FrameState,
    pub(super) map: &'a mut FrameMap,
    pub(super) area: TileArea,
    pub(super) d: BoolDecoder<'a>,
    /// `LeftPartitionContext`, as that above.
    left_partition: u32,
    /// `LeftNonzeroContext`: a bit for each 4x4 row of the superblock, by plane.
    pub(super) left_nonzero: [u16; 3],
    /// `TokenCache` by position within the transform block.
    pub(super) token_cache: [u8; 1024],
    pub(super) account: Account,
    /// Units of 8x8 samples that the superblock's blocks covered so far.
    units: u32,
    /// Bits of the current block that its vectors and reference frames took, and those already spread over cells.
    pub(super) motion_bits: u32,
    pub(super) spread_bits: u32,
}

impl<'a, const COSTS: bool> Tile<'a, COSTS> {
    /// Parses the tile in `bytes` (`decode_tile`, 6.4.2).
    pub fn parse(
        bytes: &'a [u8],
        frame: &'a FrameContext<'a>,
        state: &'a mut FrameState,
        map: &'a mut FrameMap,
        area: TileArea,
    ) -> Result<()> {
        let d = BoolDecoder::new(bytes)?;
        let mut tile = Self {
            frame,
            state,
            map,
            area,
            d,
            left_partition: 0,
            left_nonzero: [0; 3],
            token_cache: [0; 1024],
            account: Account::default(),
            units: 0,
            motion_bits: 0,
            spread_bits: 0,
        };
        if COSTS {
            tile.map.overhead_bits += tile.d.tell() as u64;
        }
        for row in (area.row_start..area.row_end).step_by(SUPERBLOCK) {
            tile.clear_left_context();
            for col in (area.col_start..area.col_end).step_by(SUPERBLOCK) {
                tile.superblock(row, col)?;
            }
        }
        let padding = tile.d.finish()?;
        if COSTS {
            tile.map.overhead_bits += padding as u64;
        }
        Ok(())
    }

    fn clear_left_context(&mut self) {
        self.left_partition = 0;
        self.left_nonzero = [0; 3];
    }

    fn superblock(&mut self, row: usize, col: usize) -> Result<()> {
        let start = self.d.tell();
        let range = self.d.range();
        self.units = 0;
        self.partition(row, col, 3, 0.0)?;
        self.d.check()?;
        let units = SUPERBLOCK.min(self.frame.mi_rows - row) * SUPERBLOCK.min(self.frame.mi_cols - col);
        let (row, col) = (row / SUPERBLOCK, col / SUPERBLOCK);
        let covered = &mut self.state.covered[row * self.state.above_nonzero.len() + col];
        if self.units as usize != units || std::mem::replace(covered, true) {
            return Err(Error::corrupt("a superblock is not covered exactly once", start));
        }
        if COSTS {
            // A range's loss is the fraction of a bit that is spent but not yet shifted in.
            let fraction = (range as f32 / self.d.range() as f32).log2();
            self.account.close(self.map, row, col, (self.d.tell() - start) as f32 + fraction);
        }
        Ok(())
    }

    /// `decode_partition` (6.4.3) of a square of 8 << `log2` samples. `share` is what the partitions around it cost
    /// each 4x4 cell.
    fn partition(&mut self, row: usize, col: usize, log2: u32, mut share: f32) -> Result<()> {
        if row >= self.frame.mi_rows || col >= self.frame.mi_cols {
            return Ok(());
        }
        let start = self.d.tell();
        let units = 1usize << log2;
        let half = units >> 1;
        let has_rows = row + half < self.frame.mi_rows;
        let has_cols = col + half < self.frame.mi_cols;
        let partition = self.read_partition(row, col, log2, has_rows, has_cols);
        let bits = (self.d.tell() - start) as u32;
        if COSTS && bits > 0 {
            let rows = units.min(self.frame.mi_rows - row);
            let cols = units.min(self.frame.mi_cols - col);
            share += bits as f32 / (4 * rows * cols) as f32;
            self.account.add(Syntax::Mode, bits);
        }
        let size = BlockSize::of_partition(partition, log2);
        if size.is_sub8x8() || partition == Partition::None {
            self.block(row, col, size, share)?;
        } else {
            match partition {
                Partition::Horizontal => {
                    self.block(row, col, size, share)?;
                    if has_rows {
                        self.block(row + half, col, size, share)?;
                    }
                }
                Partition::Vertical => {
                    self.block(row, col, size, share)?;
                    if has_cols {
                        self.block(row, col + half, size, share)?;
                    }
                }
                _ => {
                    for (r, c) in [(row, col), (row, col + half), (row + half, col), (row + half, col + half)] {
                        self.partition(r, c, log2 - 1, share)?;
                    }
                    return Ok(());
                }
            }
        }
        let above = &mut self.state.above_partition[col / SUPERBLOCK];
        set_partition_context(above, col, units, size.width4_log2());
        set_partition_context(&mut self.left_partition, row, units, size.height4_log2());
        Ok(())
    }

    fn read_partition(&mut self, row: usize, col: usize, log2: u32, has_rows: bool, has_cols: bool) -> Partition {
        let context_bit = |context: u32, unit: usize| (context >> (unit % SUPERBLOCK * 4) >> log2 & 1) as usize;
        let above = context_bit(self.state.above_partition[col / SUPERBLOCK], col);
        let left = context_bit(self.left_partition, row);
        let ctx = left * 2 + above + log2 as usize * 4;
        let probs = if self.frame.header.frame_is_intra() { &KF_PARTITION_PROBS } else { &self.frame.probs.partition };
        let probs = &probs[ctx];
        let partition = match (has_rows, has_cols) {
            (true, true) => {
                [Partition::None, Partition::Horizontal, Partition::Vertical, Partition::Split][self.d.unary(probs)]
            }
            (false, true) if !self.d.read(probs[1]) => Partition::Horizontal,
            (true, false) if !self.d.read(probs[2]) => Partition::Vertical,
            _ => Partition::Split,
        };
        self.state.counts.partition[ctx][partition as usize] += 1;
        partition
    }

    /// `decode_block` (6.4.4).
    fn block(&mut self, row: usize, col: usize, size: BlockSize, share: f32) -> Result<()> {
        let place = Place {
            row,
            col,
            size,
            rows: size.height8().min(self.frame.mi_rows - row),
            cols: size.width8().min(self.frame.mi_cols - col),
        };
        let start = self.d.tell();
        self.motion_bits = 0;
        self.spread_bits = 0;
        let mut mode = ModeInfo::default();
        if self.frame.header.frame_is_intra() {
            self.intra_frame_mode_info(&place, &mut mode);
        } else {
            self.inter_frame_mode_info(&place, &mut mode)?;
        }
        let mode_bits = (self.d.tell() - start) as u32;
        let units = (place.rows * place.cols) as u32;
        self.units += units;
        if COSTS {
            let cells = place.cells();
            self.account.add_to_cells(&cells, share + cells.share(mode_bits - self.spread_bits));
        }
        let [luma, chroma] = self.residual(&place, &mut mode);
        if COSTS {
            self.account.add(Syntax::Mode, mode_bits - self.motion_bits);
            self.account.add(Syntax::Motion, self.motion_bits);
            self.account.add(Syntax::Luma, luma);
            self.account.add(Syntax::Chroma, chroma);
            let header = self.frame.header;
            let kind = if header.lossless { Kind::Raw } else { mode.kind };
            self.account.add_units(units, header.qidx[usize::from(mode.segment_id)], kind);
        }
        self.state.blocks.put(&place, &mode);
        Ok(())
    }
}

/// Notes for `units` units from `start` on that their block is 4 << `size4_log2` samples wide or high.
#[inline(always)]
fn set_partition_context(context: &mut u32, start: usize, units: usize, size4_log2: u32) {
    let mask = (u64::MAX >> (64 - 4 * units)) as u32;
    let sizes = 0x1111_1111 * (15 << size4_log2 & 15);
    let shift = start % SUPERBLOCK * 4;
    *context = *context & !(mask << shift) | (sizes & mask) << shift;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_contexts_are_set_along_a_block_and_not_beside_it() {
        let mut context = 0;
        let mut expected = [0; SUPERBLOCK];
        for (start, units, size4_log2) in [(0, 8, 4), (8, 4, 3), (12, 2, 0), (9, 1, 1), (0, 8, 2), (7, 1, 0)] {
            set_partition_context(&mut context, start, units, size4_log2);
            expected[start % SUPERBLOCK..][..units].fill(15 << size4_log2 & 15);
            assert_eq!(std::array::from_fn(|unit| context >> (4 * unit) & 15), expected);
        }
    }
}
