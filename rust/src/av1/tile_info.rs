//! `tile_info` (5.9.15): how a frame is cut into tiles.

use super::descriptors::ns;
use super::sequence_header::SequenceHeader;
use crate::bits::BitReader;
use crate::error::{Error, Result};

const MAX_TILE_WIDTH: u32 = 4096;
const MAX_TILE_AREA: u32 = 4096 * 2304;
const MAX_TILE_ROWS: u32 = 64;
const MAX_TILE_COLS: u32 = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileInfo {
    /// `MiColStarts`, in units of 4 samples: where each tile begins, and where the last one ends.
    pub mi_col_starts: Vec<usize>,
    pub mi_row_starts: Vec<usize>,
    /// `TileColsLog2`.
    pub tile_cols_log2: u32,
    pub tile_rows_log2: u32,
    pub context_update_tile_id: usize,
    /// `TileSizeBytes`.
    pub tile_size_bytes: usize,
}

impl TileInfo {
    pub fn tile_cols(&self) -> usize {
        self.mi_col_starts.len() - 1
    }

    pub fn tile_rows(&self) -> usize {
        self.mi_row_starts.len() - 1
    }

    /// `NumTiles`.
    pub fn num_tiles(&self) -> usize {
        self.tile_rows() * self.tile_cols()
    }

    pub fn parse(r: &mut BitReader, sequence: &SequenceHeader, mi_rows: u32, mi_cols: u32) -> Result<Self> {
        let frame = Superblocks::new(sequence, mi_rows, mi_cols);
        let uniform_tile_spacing_flag = r.flag();
        let (col_starts, row_starts) = if uniform_tile_spacing_flag { frame.uniform(r) } else { frame.coded(r) };
        let (tile_cols, tile_rows) = (col_starts.tiles(), row_starts.tiles());
        if tile_cols > MAX_TILE_COLS || tile_rows > MAX_TILE_ROWS {
            return Err(Error::corrupt("a frame has more than 64 rows or columns of tiles", r.pos()));
        }
        let mut info = Self {
            mi_col_starts: col_starts.in_mi(frame.shift, mi_cols),
            mi_row_starts: row_starts.in_mi(frame.shift, mi_rows),
            tile_cols_log2: col_starts.log2,
            tile_rows_log2: row_starts.log2,
            context_update_tile_id: 0,
            tile_size_bytes: 0,
        };
        if info.tile_cols_log2 > 0 || info.tile_rows_log2 > 0 {
            info.context_update_tile_id = r.u(info.tile_rows_log2 + info.tile_cols_log2) as usize;
            info.tile_size_bytes = r.u(2) as usize + 1;
            if info.context_update_tile_id >= info.num_tiles() {
                return Err(Error::corrupt("context_update_tile_id names a tile that is not there", r.pos()));
            }
        }
        Ok(info)
    }
}

/// Where tiles begin along one side, in superblocks.
struct Starts {
    at: Vec<u32>,
    log2: u32,
}

impl Starts {
    fn tiles(&self) -> u32 {
        self.at.len() as u32
    }

    fn in_mi(&self, shift: u32, end: u32) -> Vec<usize> {
        self.at.iter().map(|start| (start << shift) as usize).chain([end as usize]).collect()
    }

    fn uniform(r: &mut BitReader, size: u32, min_log2: u32, max_log2: u32) -> Self {
        let mut log2 = min_log2;
        while log2 < max_log2 && r.flag() {
            log2 += 1;
        }
        let tile_size = size.div_ceil(1 << log2).max(1);
        Self { at: (0..size).step_by(tile_size as usize).collect(), log2 }
    }

    /// Gives the size of the largest one, too.
    fn coded(r: &mut BitReader, size: u32, max_tile_size: u32) -> (Self, u32) {
        let (mut at, mut start, mut largest) = (vec![], 0, 0);
        while start < size {
            at.push(start);
            let tile_size = ns(r, max_tile_size.min(size - start)) + 1;
            largest = largest.max(tile_size);
            start += tile_size;
        }
        let log2 = tile_log2(1, at.len() as u32);
        (Self { at, log2 }, largest)
    }
}

/// A frame's size in superblocks, and what follows from it.
struct Superblocks {
    rows: u32,
    cols: u32,
    /// `sbShift`.
    shift: u32,
    max_tile_width: u32,
    min_log2_tiles: u32,
    min_log2_tile_cols: u32,
}

impl Superblocks {
    fn new(sequence: &SequenceHeader, mi_rows: u32, mi_cols: u32) -> Self {
        let shift = if sequence.use_128x128_superblock { 5 } else { 4 };
        let (rows, cols) = (mi_rows.div_ceil(1 << shift), mi_cols.div_ceil(1 << shift));
        let sb_size = shift + 2;
        let max_tile_width = MAX_TILE_WIDTH >> sb_size;
        let min_log2_tile_cols = tile_log2(max_tile_width, cols);
        let min_log2_tiles = min_log2_tile_cols.max(tile_log2(MAX_TILE_AREA >> (2 * sb_size), rows * cols));
        Self { rows, cols, shift, max_tile_width, min_log2_tiles, min_log2_tile_cols }
    }

    fn uniform(&self, r: &mut BitReader) -> (Starts, Starts) {
        let max_log2_tile_cols = tile_log2(1, self.cols.min(MAX_TILE_COLS));
        let max_log2_tile_rows = tile_log2(1, self.rows.min(MAX_TILE_ROWS));
        let cols = Starts::uniform(r, self.cols, self.min_log2_tile_cols, max_log2_tile_cols);
        let min_log2_tile_rows = self.min_log2_tiles.saturating_sub(cols.log2);
        let rows = Starts::uniform(r, self.rows, min_log2_tile_rows, max_log2_tile_rows);
        (cols, rows)
    }

    fn coded(&self, r: &mut BitReader) -> (Starts, Starts) {
        let (cols, widest) = Starts::coded(r, self.cols, self.max_tile_width);
        let mut max_tile_area = self.rows * self.cols;
        if self.min_log2_tiles > 0 {
            max_tile_area >>= self.min_log2_tiles + 1;
        }
        let max_tile_height = (max_tile_area / widest).max(1);
        let (rows, _) = Starts::coded(r, self.rows, max_tile_height);
        (cols, rows)
    }
}

/// `tile_log2` (5.9.16): the smallest k for which `blk_size << k` reaches `target`.
fn tile_log2(blk_size: u32, target: u32) -> u32 {
    (0..).find(|k| blk_size << k >= target).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::written::BitWriter;

    fn parse(bits: BitWriter, width: u32, height: u32) -> Result<TileInfo> {
        TileInfo::parse(&mut BitReader::new(&bits.bytes()), &SequenceHeader::default(), height / 4, width / 4)
    }

    #[test]
    fn tiles_of_one_size_are_counted_from_the_rounded_up_size() {
        // Five columns of superblocks in four tiles: two each, so that the fourth has none.
        let info = parse(BitWriter::default().u(1, 1).u(3, 0b110).u(2, 2).u(2, 1), 320, 64).unwrap();
        assert_eq!(info.mi_col_starts, [0, 32, 64, 80]);
        assert_eq!((info.mi_row_starts.as_slice(), info.tile_cols_log2), ([0, 16].as_slice(), 2));
        assert_eq!((info.context_update_tile_id, info.tile_size_bytes), (2, 2));
    }

    #[test]
    fn a_frame_that_is_too_wide_for_a_tile_has_two_without_a_word() {
        let info = parse(BitWriter::default().u(1, 1).u(8, 0), 4160, 64).unwrap();
        assert_eq!(info.mi_col_starts, [0, 33 * 16, 1040]);
    }

    #[test]
    fn tiles_of_coded_sizes_fill_the_frame() {
        // Widths 2, 1 and 2 of 5 superblocks: ns(5), ns(3), ns(2); heights 1 of 1.
        let info = parse(BitWriter::default().u(1, 0).u(2, 1).u(1, 0).u(1, 1).u(2, 0).u(2, 3), 320, 64).unwrap();
        assert_eq!(info.mi_col_starts, [0, 32, 48, 80]);
        assert_eq!(info.tile_size_bytes, 4);
    }

    #[test]
    fn a_tile_that_is_not_there_cannot_give_the_probabilities() {
        assert!(parse(BitWriter::default().u(1, 1).u(3, 0b110).u(2, 3).u(2, 1), 320, 64).is_err());
    }
}
