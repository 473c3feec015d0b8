//! Per-block accumulators of one picture: bits by unit and kind of syntax, and their spread over 4x4 cells.

/// The classes of syntax that a unit's bits are told apart by; they add up to its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// Block types, prediction modes, coded block patterns, flags.
    Mode = 0,
    /// Reference indices and motion vector differences.
    Motion = 1,
    Luma = 2,
    Chroma = 3,
}

/// What a unit is; the highest kind among its blocks where they differ (HEVC, VP9, AV1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Skip = 0,
    Inter = 1,
    Intra = 2,
    /// PCM, or coded without loss.
    Raw = 3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureType {
    I,
    P,
    B,
}

impl PictureType {
    pub fn letter(self) -> char {
        match self {
            Self::I => 'I',
            Self::P => 'P',
            Self::B => 'B',
        }
    }

    /// The more general of two: a picture of I and P slices is a P picture.
    pub fn or(self, other: Self) -> Self {
        if other as u8 > self as u8 { other } else { self }
    }
}

/// The displayed rectangle within the coded picture, in luma samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crop {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

/// One frame's costs. `bits`, `syntax`, `information`, `qp` and `kind` are `rows * cols`, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameMap {
    pub picture_type: PictureType,
    pub unit: u32,
    pub coded_width: u32,
    pub coded_height: u32,
    pub crop: Crop,
    pub rows: usize,
    pub cols: usize,
    /// Bits of each unit, the sum of its classes of syntax: see `add_up`.
    pub bits: Vec<u32>,
    pub syntax: [Vec<u32>; 4],
    pub information: Vec<f32>,
    /// Luma QP; the quantizer index, 0 to 255, for VP9 and AV1.
    pub qp: Vec<i16>,
    pub kind: Vec<u8>,
    pub cells: CellGrid,
    /// Bits of the packets that no block spent, each counted where it was met.
    pub overhead_bits: u64,
    /// 8 times the bytes of the frame's packets.
    pub packet_bits: u64,
}

/// Memory for a map, set aside on another thread than the one that parses: on the one that will let go of it. Where a
/// parser's thread made it, the allocator would have to fetch it from the system anew for each call.
#[derive(Debug, Default)]
pub struct Buffers {
    bits: Vec<u32>,
    syntax: [Vec<u32>; 4],
    information: Vec<f32>,
    qp: Vec<i16>,
    kind: Vec<u8>,
    cells: Vec<f32>,
}

impl Buffers {
    /// Larger pictures get none: a damaged header may promise any size.
    const MOST_CELLS: usize = 1 << 20;

    /// For the map of a picture of this size; one that turns out to be larger has its memory made after all.
    pub fn for_picture(unit: u32, coded_width: u32, coded_height: u32) -> Self {
        let count = |side: u32| coded_width.div_ceil(side) as usize * coded_height.div_ceil(side) as usize;
        let (units, cells) = (count(unit), count(4));
        if cells > Self::MOST_CELLS {
            return Self::default();
        }
        Self {
            bits: Vec::with_capacity(units),
            syntax: std::array::from_fn(|_| Vec::with_capacity(units)),
            information: Vec::with_capacity(units),
            qp: Vec::with_capacity(units),
            kind: Vec::with_capacity(units),
            cells: Vec::with_capacity(cells),
        }
    }
}

/// `n` zeros, in `buffer` if they fit.
fn zeros<T: Clone + Default>(mut buffer: Vec<T>, n: usize) -> Vec<T> {
    if buffer.capacity() < n {
        return vec![T::default(); n];
    }
    buffer.clear();
    buffer.resize(n, T::default());
    buffer
}

impl FrameMap {
    pub fn new(unit: u32, coded_width: u32, coded_height: u32, crop: Crop) -> Self {
        Self::within(Buffers::default(), unit, coded_width, coded_height, crop)
    }

    /// An empty map in the memory that was set aside for it.
    pub fn within(buffers: Buffers, unit: u32, coded_width: u32, coded_height: u32, crop: Crop) -> Self {
        let rows = coded_height.div_ceil(unit) as usize;
        let cols = coded_width.div_ceil(unit) as usize;
        let n = rows * cols;
        Self {
            picture_type: PictureType::I,
            unit,
            coded_width,
            coded_height,
            crop,
            rows,
            cols,
            bits: zeros(buffers.bits, n),
            syntax: buffers.syntax.map(|buffer| zeros(buffer, n)),
            information: zeros(buffers.information, n),
            qp: zeros(buffers.qp, n),
            kind: zeros(buffers.kind, n),
            cells: CellGrid::within(buffers.cells, coded_width, coded_height),
            overhead_bits: 0,
            packet_bits: 0,
        }
    }

    /// Adds up each unit's bits, once all of them are parsed; tells whether every bit is accounted for.
    #[must_use]
    pub fn add_up(&mut self) -> bool {
        let [mode, motion, luma, chroma] = &self.syntax;
        let classes = mode.iter().zip(motion).zip(luma).zip(chroma);
        for (bits, (((mode, motion), luma), chroma)) in self.bits.iter_mut().zip(classes) {
            *bits = mode + motion + luma + chroma;
        }
        self.accounts_for_every_bit()
    }

    /// `bits.sum() + overhead_bits == packet_bits`: every bit of the packets was met exactly once.
    pub fn accounts_for_every_bit(&self) -> bool {
        let blocks: u64 = self.bits.iter().map(|&bits| u64::from(bits)).sum();
        blocks + self.overhead_bits == self.packet_bits
    }
}

/// Bits spread over cells of 4x4 luma samples.
#[derive(Debug, Clone, PartialEq)]
pub struct CellGrid {
    pub rows: usize,
    pub cols: usize,
    pub bits: Vec<f32>,
}

impl CellGrid {
    fn within(buffer: Vec<f32>, width: u32, height: u32) -> Self {
        let rows = height.div_ceil(4) as usize;
        let cols = width.div_ceil(4) as usize;
        Self { rows, cols, bits: zeros(buffer, rows * cols) }
    }

    /// Spreads `bits` evenly over a rectangle of cells; what lies outside the picture is left out of the share.
    #[inline]
    pub fn spread(&mut self, row: usize, col: usize, height: usize, width: usize, bits: u32) {
        let bottom = (row + height).min(self.rows);
        let right = (col + width).min(self.cols);
        if bits == 0 || bottom <= row || right <= col {
            return;
        }
        let share = bits as f32 / ((bottom - row) * (right - col)) as f32;
        self.add(row, col, bottom - row, right - col, share);
    }

    /// Adds `share` to every cell of a rectangle, all of which must lie within the picture.
    #[inline]
    pub fn add(&mut self, row: usize, col: usize, height: usize, width: usize, share: f32) {
        let start = row * self.cols + col;
        match width {
            1 => self.add_lines::<1>(start, height, share),
            2 => self.add_lines::<2>(start, height, share),
            4 => self.add_lines::<4>(start, height, share),
            8 => self.add_lines::<8>(start, height, share),
            16 => self.add_lines::<16>(start, height, share),
            _ => {
                for line in row..row + height {
                    let start = line * self.cols + col;
                    self.bits[start..start + width].iter_mut().for_each(|cell| *cell += share);
                }
            }
        }
    }

    /// The widths of nearly all blocks, known to the compiler: it writes a line of cells without a loop.
    #[inline(always)]
    fn add_lines<const WIDTH: usize>(&mut self, mut start: usize, height: usize, share: f32) {
        for _ in 0..height {
            self.bits[start..start + WIDTH].iter_mut().for_each(|cell| *cell += share);
            start += self.cols;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_set_aside_is_used_where_the_map_fits() {
        for (height, fits) in [(64, true), (80, false)] {
            let buffers = Buffers::for_picture(16, 128, 64);
            let place = buffers.cells.as_ptr();
            let map = FrameMap::within(buffers, 16, 128, height, Crop::default());
            assert_eq!(map, FrameMap::new(16, 128, height, Crop::default()));
            assert_eq!(map.cells.bits.as_ptr() == place, fits);
        }
        assert_eq!(Buffers::for_picture(16, 1 << 16, 1 << 16).cells.capacity(), 0);
    }

    #[test]
    fn spreading_keeps_the_sum_at_the_picture_edge() {
        let mut grid = CellGrid::within(vec![], 20, 12);
        grid.spread(0, 0, 4, 4, 7);
        grid.spread(2, 4, 4, 4, 9);
        grid.spread(9, 9, 4, 4, 5);
        assert_eq!((grid.rows, grid.cols), (3, 5));
        assert!((grid.bits.iter().sum::<f32>() - 16.0).abs() < 1e-5);
    }
}
