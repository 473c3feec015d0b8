//! Tiles (6.4.2 on): partitions, blocks, and the account of every bit that they take.

use super::block::{BlockSize, Edge, Motion, Partition};
use super::compressed_header::CompressedHeader;
use super::default_probabilities::KF_PARTITION_PROBS;
use super::frame_header::FrameHeader;
use super::probabilities::{Counts, Probabilities};
use super::tables::PARTITION_TREE;
use crate::bool_decoder::BoolDecoder;
use crate::error::{Error, Result};
use crate::map::{FrameMap, Kind, Syntax};

/// Units of 8 samples along a superblock.
pub const SUPERBLOCK: usize = 8;

/// What all tiles of a frame read.
pub struct FrameContext<'a> {
    pub header: &'a FrameHeader,
    pub compressed: CompressedHeader,
    pub probs: &'a Probabilities,
    pub mi_rows: usize,
    pub mi_cols: usize,
    /// `PrevMvs` and `PrevRefFrames`, if `UsePrevFrameMvs`.
    pub prev_motion: Option<&'a [Motion]>,
    /// `PrevSegmentIds`.
    pub prev_segment_ids: &'a [u8],
}

/// What the tiles of a frame leave for each other and for later frames; everything by units of 8 samples.
pub struct FrameState {
    pub above: Vec<Edge>,
    /// `AbovePartitionContext`, a bit for each block size that the block above is narrower than.
    pub above_partition: Vec<u8>,
    /// `AboveNonzeroContext`: a bit for each 4x4 column of a superblock, by superblock and plane.
    pub above_nonzero: Vec<[u16; 3]>,
    /// Empty in intra frames, whose vectors nobody looks up.
    pub motion: Vec<Motion>,
    /// Empty without segmentation.
    pub segment_ids: Vec<u8>,
    pub counts: Box<Counts>,
    /// The superblocks that were parsed.
    pub covered: Vec<bool>,
}

impl FrameState {
    pub fn new(frame: &FrameContext) -> Self {
        let units = frame.mi_rows * frame.mi_cols;
        Self {
            above: vec![Edge::default(); frame.mi_cols],
            above_partition: vec![0; frame.mi_cols],
            above_nonzero: vec![[0; 3]; frame.mi_cols.div_ceil(SUPERBLOCK)],
            motion: vec![Motion::default(); if frame.header.frame_is_intra() { 0 } else { units }],
            segment_ids: vec![0; if frame.header.segmentation.enabled { units } else { 0 }],
            counts: Box::default(),
            covered: vec![false; frame.mi_rows.div_ceil(SUPERBLOCK) * frame.mi_cols.div_ceil(SUPERBLOCK)],
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

/// A block's place, in units of 8 samples; `rows` and `cols` are what lies within the picture.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub row: usize,
    pub col: usize,
    pub size: BlockSize,
    pub rows: usize,
    pub cols: usize,
}

/// A superblock's account.
#[derive(Default)]
struct Account {
    /// By class of syntax.
    bits: [u32; 4],
    /// Units of 8x8 samples that blocks covered, and the sum of their quantizer indices.
    units: u32,
    qidx_sum: u32,
    kind: u8,
}

/// One tile's parser. `ADAPT`: symbols are counted for the adaptation of the probabilities.
pub struct Tile<'a, const ADAPT: bool> {
    pub(super) frame: &'a FrameContext<'a>,
    pub(super) state: &'a mut FrameState,
    pub(super) map: &'a mut FrameMap,
    pub(super) area: TileArea,
    pub(super) d: BoolDecoder<'a>,
    pub(super) left: [Edge; SUPERBLOCK],
    left_partition: [u8; SUPERBLOCK],
    /// `LeftNonzeroContext`: a bit for each 4x4 row of the superblock, by plane.
    pub(super) left_nonzero: [u16; 3],
    /// `TokenCache` by position within the transform block.
    pub(super) token_cache: [u8; 1024],
    account: Account,
    /// Bits of the current block that its vectors and reference frames took, and those already spread over cells.
    pub(super) motion_bits: u32,
    pub(super) spread_bits: u32,
}

impl<'a, const ADAPT: bool> Tile<'a, ADAPT> {
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
            left: [Edge::default(); SUPERBLOCK],
            left_partition: [0; SUPERBLOCK],
            left_nonzero: [0; 3],
            token_cache: [0; 1024],
            account: Account::default(),
            motion_bits: 0,
            spread_bits: 0,
        };
        tile.map.overhead_bits += tile.d.tell() as u64;
        for row in (area.row_start..area.row_end).step_by(SUPERBLOCK) {
            tile.clear_left_context();
            for col in (area.col_start..area.col_end).step_by(SUPERBLOCK) {
                tile.superblock(row, col)?;
            }
        }
        tile.map.overhead_bits += tile.d.finish()? as u64;
        Ok(())
    }

    fn clear_left_context(&mut self) {
        self.left = [Edge::default(); SUPERBLOCK];
        self.left_partition = [0; SUPERBLOCK];
        self.left_nonzero = [0; 3];
    }

    fn superblock(&mut self, row: usize, col: usize) -> Result<()> {
        let start = self.d.tell();
        let range = self.d.range();
        self.account = Account::default();
        self.partition(row, col, 3, 0.0)?;
        self.d.check()?;
        let rows = SUPERBLOCK.min(self.frame.mi_rows - row);
        let cols = SUPERBLOCK.min(self.frame.mi_cols - col);
        let units = (rows * cols) as u32;
        let account = &self.account;
        let unit = row / SUPERBLOCK * self.map.cols + col / SUPERBLOCK;
        let is_covered = std::mem::replace(&mut self.state.covered[unit], true);
        if account.units != units || is_covered {
            return Err(Error::corrupt("a superblock is not covered exactly once", start));
        }
        for (class, &bits) in self.map.syntax.iter_mut().zip(&account.bits) {
            class[unit] = bits;
        }
        // A range's loss is the fraction of a bit that is spent but not yet shifted in.
        let fraction = (range as f32 / self.d.range() as f32).log2();
        self.map.information[unit] = (self.d.tell() - start) as f32 + fraction;
        self.map.qp[unit] = ((account.qidx_sum + units / 2) / units) as i16;
        self.map.kind[unit] = account.kind;
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
        if bits > 0 {
            let rows = units.min(self.frame.mi_rows - row);
            let cols = units.min(self.frame.mi_cols - col);
            share += bits as f32 / (4 * rows * cols) as f32;
            self.account.bits[Syntax::Mode as usize] += bits;
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
        let right = (col + units).min(self.frame.mi_cols);
        self.state.above_partition[col..right].fill(15 << size.width4_log2() & 15);
        let top = row % SUPERBLOCK;
        self.left_partition[top..top + units].fill(15 << size.height4_log2() & 15);
        Ok(())
    }

    fn read_partition(&mut self, row: usize, col: usize, log2: u32, has_rows: bool, has_cols: bool) -> Partition {
        let above = self.state.above_partition[col] >> log2 & 1;
        let left = self.left_partition[row % SUPERBLOCK] >> log2 & 1;
        let ctx = usize::from(left * 2 + above) + log2 as usize * 4;
        let probs = if self.frame.header.frame_is_intra() { &KF_PARTITION_PROBS } else { &self.frame.probs.partition };
        let probs = &probs[ctx];
        let partition = match (has_rows, has_cols) {
            (true, true) => [Partition::None, Partition::Horizontal, Partition::Vertical, Partition::Split]
                [self.d.tree(&PARTITION_TREE, probs)],
            (false, true) if !self.d.read(probs[1]) => Partition::Horizontal,
            (true, false) if !self.d.read(probs[2]) => Partition::Vertical,
            _ => Partition::Split,
        };
        if ADAPT {
            self.state.counts.partition[ctx][partition as usize] += 1;
        }
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
        let mut mode = if self.frame.header.frame_is_intra() {
            self.intra_frame_mode_info(&place)
        } else {
            self.inter_frame_mode_info(&place)?
        };
        let mode_bits = (self.d.tell() - start) as u32;
        let cells = (4 * place.rows * place.cols) as f32;
        let share = share + (mode_bits - self.spread_bits) as f32 / cells;
        self.map.cells.add(2 * row, 2 * col, 2 * place.rows, 2 * place.cols, share);
        let [luma, chroma] = self.residual(&place, &mut mode);
        let account = &mut self.account;
        account.bits[Syntax::Mode as usize] += mode_bits - self.motion_bits;
        account.bits[Syntax::Motion as usize] += self.motion_bits;
        account.bits[Syntax::Luma as usize] += luma;
        account.bits[Syntax::Chroma as usize] += chroma;
        let units = (place.rows * place.cols) as u32;
        account.units += units;
        account.qidx_sum += units * u32::from(self.frame.header.qidx[usize::from(mode.segment_id)]);
        let kind = if self.frame.header.lossless { Kind::Raw } else { mode.kind };
        account.kind = account.kind.max(kind as u8);
        self.remember(&place, &mode);
        Ok(())
    }
}
