//! Tiles (5.11.2 on): the superblocks, their partitions and blocks, and the account of every bit that they take.

use super::block_size::{BLOCK_64X64, BLOCK_128X128, BlockSize, Partition};
use super::cdfs::Cdfs;
use super::frame_header::FrameHeader;
use super::mode_grid::{ModeGrid, ModeInfo, PaletteColors};
use super::motion_field::MotionField;
use super::residual_contexts::ResidualContexts;
use super::sequence_header::SequenceHeader;
use super::symbol_decoder::SymbolDecoder;
use super::tile_area::{MOST_MI, TileArea};
use crate::error::{Error, Result};
use crate::map::{FrameMap, Kind, Syntax};

/// What all tiles of a frame read.
pub struct FrameContext<'a> {
    pub sequence: &'a SequenceHeader,
    pub header: &'a FrameHeader,
    /// What each tile begins with.
    pub cdfs: &'a Cdfs,
    pub mi_rows: usize,
    pub mi_cols: usize,
    /// `PrevSegmentIds`, by units of 4x4 samples; empty if they are all 0.
    pub prev_segment_ids: &'a [u8],
    /// `is_scaled`, by reference frame.
    pub is_scaled: [bool; 8],
    /// `MotionFieldMvs`, if `use_ref_frame_mvs`.
    pub motion_field: Option<&'a MotionField>,
}

/// What the tiles of a frame leave for later frames.
pub struct FrameState {
    pub modes: ModeGrid,
    /// `SegmentIds`, by units of 4x4 samples; empty without segmentation.
    pub segment_ids: Vec<u8>,
}

impl FrameState {
    pub fn new(frame: &FrameContext) -> Self {
        let units = if frame.header.segmentation.enabled { frame.mi_rows * frame.mi_cols } else { 0 };
        Self { modes: ModeGrid::new(frame.mi_rows, frame.mi_cols), segment_ids: vec![0; units] }
    }
}

/// The block that is being parsed.
#[derive(Debug, Clone, Default)]
pub struct Block {
    pub mi_row: usize,
    pub mi_col: usize,
    pub has_chroma: bool,
    pub avail_u: bool,
    pub avail_l: bool,
    /// The blocks above and to the left, where they are available.
    pub above: Option<ModeInfo>,
    pub left: Option<ModeInfo>,
    /// What the grid keeps of it; `mode.mi_size` is `MiSize`.
    pub mode: ModeInfo,
    pub palette_colors: PaletteColors,
    pub use_intrabc: bool,
    pub lossless: bool,
    pub use_filter_intra: bool,
    pub filter_intra_mode: u8,
}

/// One tile's parser.
pub struct Tile<'a> {
    pub(super) frame: &'a FrameContext<'a>,
    pub(super) state: &'a mut FrameState,
    pub(super) map: &'a mut FrameMap,
    pub(super) area: TileArea,
    pub(super) d: SymbolDecoder<'a>,
    pub(super) cdfs: Box<Cdfs>,
    pub(super) residual_contexts: ResidualContexts,
    /// `AboveSegPredContext` and `LeftSegPredContext`, from the tile's and the superblock's edge on.
    pub(super) above_seg_pred: Vec<bool>,
    pub(super) left_seg_pred: [bool; MOST_MI],
    /// `CurrentQIndex`.
    pub(super) current_q_index: u8,
    /// `ReadDeltas`.
    pub(super) read_deltas: bool,
    /// Whether `cdef_idx` is known, by squares of 64x64 samples of the superblock.
    pub(super) has_cdef_idx: [[bool; 2]; 2],
    /// Bits of the current block that its coefficients and palette indices take, by luma and chroma.
    pub(super) luma_bits: u32,
    pub(super) chroma_bits: u32,
    /// Those that its vectors and reference frames take.
    pub(super) motion_bits: u32,
    account: Account,
}

/// What the blocks of a superblock add up to.
#[derive(Default)]
struct Account {
    /// By class of syntax.
    bits: [u32; 4],
    /// Units of 4x4 samples within the picture that blocks covered, and the sum of their quantizer indices.
    units: u32,
    qidx_sum: u32,
    kind: u8,
}

impl<'a> Tile<'a> {
    /// Parses the tile in `bytes` (`decode_tile`, 5.11.2). Gives its CDFs as they are at its end.
    pub fn parse(
        bytes: &'a [u8],
        frame: &'a FrameContext<'a>,
        state: &'a mut FrameState,
        map: &'a mut FrameMap,
        area: TileArea,
    ) -> Result<Box<Cdfs>> {
        let mut tile = Self {
            frame,
            state,
            map,
            area,
            d: SymbolDecoder::init_symbol(bytes, frame.header.start.disable_cdf_update)?,
            cdfs: Box::new(frame.cdfs.clone()),
            residual_contexts: ResidualContexts::new(area),
            above_seg_pred: vec![false; area.mi_col_end - area.mi_col_start + MOST_MI],
            left_seg_pred: [false; MOST_MI],
            current_q_index: frame.header.quantization.base_q_idx,
            read_deltas: false,
            has_cdef_idx: [[false; 2]; 2],
            luma_bits: 0,
            chroma_bits: 0,
            motion_bits: 0,
            account: Account::default(),
        };
        let superblock = tile.superblock_size().width4();
        for row in (area.mi_row_start..area.mi_row_end).step_by(superblock) {
            tile.residual_contexts.clear_left();
            tile.left_seg_pred = [false; MOST_MI];
            for col in (area.mi_col_start..area.mi_col_end).step_by(superblock) {
                tile.superblock(row, col)?;
            }
        }
        tile.map.overhead_bits += tile.d.exit_symbol()? as u64;
        Ok(tile.cdfs)
    }

    pub(super) fn superblock_size(&self) -> BlockSize {
        if self.frame.sequence.use_128x128_superblock { BLOCK_128X128 } else { BLOCK_64X64 }
    }

    fn superblock(&mut self, row: usize, col: usize) -> Result<()> {
        let (start, range) = (self.d.tell(), self.d.range());
        let size = self.superblock_size();
        self.account = Account::default();
        self.read_deltas = self.frame.header.deltas.delta_q_present;
        self.has_cdef_idx = [[false; 2]; 2];
        self.read_lr(row, col, size);
        self.charge_mode(start, row, col, size.width4());
        self.partition(row, col, size.width4_log2())?;
        self.d.check()?;
        // A range's loss is the fraction of a bit that is spent but not yet shifted in.
        let fraction = (range as f32 / self.d.range() as f32).log2();
        let unit = row / size.width4() * self.map.cols + col / size.width4();
        let account = &self.account;
        for (class, &bits) in self.map.syntax.iter_mut().zip(&account.bits) {
            class[unit] = bits;
        }
        self.map.information[unit] = (self.d.tell() - start) as f32 + fraction;
        self.map.qp[unit] = ((account.qidx_sum + account.units / 2) / account.units.max(1)) as i16;
        self.map.kind[unit] = account.kind;
        Ok(())
    }

    /// Charges a square of `size4` units for the bits read from `start` on, as what concerns all blocks in it.
    fn charge_mode(&mut self, start: usize, row: usize, col: usize, size4: usize) {
        let bits = (self.d.tell() - start) as u32;
        self.account.bits[Syntax::Mode as usize] += bits;
        self.map.cells.spread(row, col, size4, size4, bits);
    }

    /// `decode_partition` (5.11.4) of a square of 4 << `log2` samples.
    fn partition(&mut self, row: usize, col: usize, log2: u32) -> Result<()> {
        if row >= self.frame.mi_rows || col >= self.frame.mi_cols {
            return Ok(());
        }
        let start = self.d.tell();
        let (half, quarter) = (1 << log2 >> 1, 1 << log2 >> 2);
        let has_rows = row + half < self.frame.mi_rows;
        let has_cols = col + half < self.frame.mi_cols;
        let partition = self.read_partition(row, col, log2, has_rows, has_cols);
        self.charge_mode(start, row, col, 1 << log2);
        let invalid = Error::corrupt("a partition leads to no block size", start);
        let size = partition.subsize(log2).ok_or(invalid)?;
        let split_size = Partition::Split.subsize(log2).unwrap_or(size);
        match partition {
            Partition::None => self.block(row, col, size),
            Partition::Horz => {
                self.block(row, col, size)?;
                if has_rows { self.block(row + half, col, size) } else { Ok(()) }
            }
            Partition::Vert => {
                self.block(row, col, size)?;
                if has_cols { self.block(row, col + half, size) } else { Ok(()) }
            }
            Partition::Split => {
                self.partition(row, col, log2 - 1)?;
                self.partition(row, col + half, log2 - 1)?;
                self.partition(row + half, col, log2 - 1)?;
                self.partition(row + half, col + half, log2 - 1)
            }
            Partition::HorzA => {
                self.block(row, col, split_size)?;
                self.block(row, col + half, split_size)?;
                self.block(row + half, col, size)
            }
            Partition::HorzB => {
                self.block(row, col, size)?;
                self.block(row + half, col, split_size)?;
                self.block(row + half, col + half, split_size)
            }
            Partition::VertA => {
                self.block(row, col, split_size)?;
                self.block(row + half, col, split_size)?;
                self.block(row, col + half, size)
            }
            Partition::VertB => {
                self.block(row, col, size)?;
                self.block(row, col + half, split_size)?;
                self.block(row + half, col + half, split_size)
            }
            Partition::Horz4 => (0..4)
                .map(|i| row + i * quarter)
                .take_while(|&row| row < self.frame.mi_rows)
                .try_for_each(|row| self.block(row, col, size)),
            Partition::Vert4 => (0..4)
                .map(|i| col + i * quarter)
                .take_while(|&col| col < self.frame.mi_cols)
                .try_for_each(|col| self.block(row, col, size)),
        }
    }

    /// `partition`, `split_or_horz` or `split_or_vert`.
    fn read_partition(&mut self, row: usize, col: usize, log2: u32, has_rows: bool, has_cols: bool) -> Partition {
        if log2 == 0 {
            return Partition::None;
        }
        if !has_rows && !has_cols {
            return Partition::Split;
        }
        let modes = &self.state.modes;
        let above = row > self.area.mi_row_start && modes.at(row - 1, col).mi_size.width4_log2() < log2;
        let left = col > self.area.mi_col_start && modes.at(row, col - 1).mi_size.height4_log2() < log2;
        let ctx = usize::from(left) * 2 + usize::from(above);
        let (d, cdfs) = (&mut self.d, &mut *self.cdfs);
        if has_rows && has_cols {
            return Partition::ALL[match log2 {
                1 => d.read_symbol(&mut cdfs.partition_w8[ctx]),
                2 => d.read_symbol(&mut cdfs.partition_w16[ctx]),
                3 => d.read_symbol(&mut cdfs.partition_w32[ctx]),
                4 => d.read_symbol(&mut cdfs.partition_w64[ctx]),
                _ => d.read_symbol(&mut cdfs.partition_w128[ctx]),
            }];
        }
        let cdf: &[u16] = match log2 {
            1 => &cdfs.partition_w8[ctx],
            2 => &cdfs.partition_w16[ctx],
            3 => &cdfs.partition_w32[ctx],
            4 => &cdfs.partition_w64[ctx],
            _ => &cdfs.partition_w128[ctx],
        };
        // All that divide the square in the direction that the picture's edge asks for.
        let (unsplit, alike): (_, &[usize]) =
            if has_cols { (Partition::Horz, &[2, 3, 4, 6, 7, 9]) } else { (Partition::Vert, &[1, 3, 4, 5, 6, 8]) };
        // The last entry is a count.
        let symbols = alike.iter().filter(|&&symbol| symbol < cdf.len() - 1);
        let psum = symbols.map(|&symbol| cdf[symbol] - cdf[symbol - 1]).sum::<u16>();
        if d.read_flag(&mut [(1 << 15) - psum, 1 << 15, 0]) { Partition::Split } else { unsplit }
    }

    /// `decode_block` (5.11.5).
    fn block(&mut self, mi_row: usize, mi_col: usize, mi_size: BlockSize) -> Result<()> {
        let start = self.d.tell();
        let mut block = self.new_block(mi_row, mi_col, mi_size)?;
        (self.luma_bits, self.chroma_bits, self.motion_bits) = (0, 0, 0);
        self.mode_info(&mut block)?;
        let modes_end = self.d.tell();
        self.palette_tokens(&block);
        let tokens_end = self.d.tell();
        self.read_block_tx_size(&mut block);
        let mode_bits = (modes_end - start + self.d.tell() - tokens_end) as u32;
        self.map.cells.spread(mi_row, mi_col, mi_size.height4(), mi_size.width4(), mode_bits);
        if block.mode.skip {
            self.reset_block_context(&block);
        }
        self.residual(&block)?;
        self.state.modes.put(mi_row, mi_col, &block.mode, &block.palette_colors);
        let rows = mi_size.height4().min(self.frame.mi_rows - mi_row);
        let cols = mi_size.width4().min(self.frame.mi_cols - mi_col);
        let qidx = self.frame.header.qindex(block.mode.segment_id, self.current_q_index);
        let account = &mut self.account;
        let classes = [mode_bits - self.motion_bits, self.motion_bits, self.luma_bits, self.chroma_bits];
        account.bits.iter_mut().zip(classes).for_each(|(sum, bits)| *sum += bits);
        account.units += (rows * cols) as u32;
        account.qidx_sum += (rows * cols) as u32 * u32::from(qidx);
        account.kind = account.kind.max(kind(&block) as u8);
        Ok(())
    }

    fn new_block(&self, mi_row: usize, mi_col: usize, mi_size: BlockSize) -> Result<Block> {
        let color = self.frame.sequence.color;
        let is_luma_only = (mi_size.height4() == 1 && color.subsampling_y && mi_row & 1 == 0)
            || (mi_size.width4() == 1 && color.subsampling_x && mi_col & 1 == 0);
        let has_chroma = !is_luma_only && color.num_planes() > 1;
        if has_chroma && mi_size.subsampled(color.subsampling_x, color.subsampling_y).is_none() {
            return Err(Error::corrupt("a block has no size in the chroma planes", self.d.tell()));
        }
        let avail_u = mi_row > self.area.mi_row_start;
        let avail_l = mi_col > self.area.mi_col_start;
        let modes = &self.state.modes;
        Ok(Block {
            mi_row,
            mi_col,
            has_chroma,
            avail_u,
            avail_l,
            above: avail_u.then(|| *modes.at(mi_row - 1, mi_col)),
            left: avail_l.then(|| *modes.at(mi_row, mi_col - 1)),
            mode: ModeInfo { mi_size, ..ModeInfo::default() },
            ..Block::default()
        })
    }
}

fn kind(block: &Block) -> Kind {
    if block.lossless {
        Kind::Raw
    } else if block.mode.is_intra() {
        Kind::Intra
    } else if block.mode.skip {
        Kind::Skip
    } else {
        Kind::Inter
    }
}
