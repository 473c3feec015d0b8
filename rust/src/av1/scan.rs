//! The order of coefficients (5.11.41), with each one's part in its contexts (8.3.2).

use super::tx_size::*;

/// `get_tx_class` (8.3.2): which directions are transformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxClass {
    TwoD = 0,
    Horiz = 1,
    Vert = 2,
}

/// Columns and rows behind the transform block that contexts look at; they stay zero.
pub const PADDING: usize = 4;

/// One coefficient's place.
#[derive(Debug, Clone, Copy)]
pub struct ScanEntry {
    /// In an array whose rows are the block's width and `PADDING` long.
    pub position: u16,
    /// What `coeff_base` and `coeff_br` add to the context that its neighbours make.
    pub base_offset: u8,
    pub br_offset: u8,
}

/// A transform block's scan.
pub struct Scan {
    pub entries: &'static [ScanEntry],
    /// The distance of rows.
    pub stride: usize,
    /// The array's length.
    pub length: usize,
}

/// `SIG_COEF_CONTEXTS_2D`.
const SIG_COEF_CONTEXTS_2D: usize = 26;

/// `Coeff_Base_Ctx_Offset` and `Coeff_Base_Pos_Ctx_Offset`.
const fn base_offset(class: TxClass, width: usize, height: usize, row: usize, col: usize) -> u8 {
    match class {
        TxClass::Horiz => (SIG_COEF_CONTEXTS_2D + 5 * if col < 2 { col } else { 2 }) as u8,
        TxClass::Vert => (SIG_COEF_CONTEXTS_2D + 5 * if row < 2 { row } else { 2 }) as u8,
        TxClass::TwoD if row + col == 0 => 0,
        TxClass::TwoD if width < height && row < 2 => 11,
        TxClass::TwoD if width > height && col < 2 => 16,
        TxClass::TwoD if width == height && row + col < 2 => 1,
        TxClass::TwoD if row + col < 4 => 6,
        TxClass::TwoD => 21,
    }
}

const fn br_offset(class: TxClass, row: usize, col: usize) -> u8 {
    let is_near = match class {
        TxClass::TwoD => row < 2 && col < 2,
        TxClass::Horiz => col == 0,
        TxClass::Vert => row == 0,
    };
    if row + col == 0 {
        0
    } else if is_near {
        7
    } else {
        14
    }
}

/// Of sides of 64 only the first 32 are coded (`Adjusted_Tx_Size`).
const fn coded(side: usize) -> usize {
    if side < 32 { side } else { 32 }
}

const fn entry(class: TxClass, width: usize, height: usize, row: usize, col: usize) -> ScanEntry {
    ScanEntry {
        position: (row * (coded(width) + PADDING) + col) as u16,
        base_offset: base_offset(class, width, height, row, col),
        br_offset: br_offset(class, row, col),
    }
}

/// `Default_Scan_*`: along diagonals, downwards where the block is high, upwards where it is wide, else in turns.
const fn default_scan<const N: usize>(width: usize, height: usize) -> [ScanEntry; N] {
    let mut entries = [entry(TxClass::TwoD, width, height, 0, 0); N];
    let (coded_width, coded_height) = (coded(width), coded(height));
    let (mut at, mut diagonal) = (0, 0);
    while diagonal < coded_width + coded_height - 1 {
        let is_square = coded_width == coded_height;
        let down = if is_square { diagonal % 2 == 1 } else { coded_width < coded_height };
        let mut i = 0;
        while i <= diagonal {
            let row = if down { i } else { diagonal - i };
            let col = diagonal - row;
            if row < coded_height && col < coded_width {
                entries[at] = entry(TxClass::TwoD, width, height, row, col);
                at += 1;
            }
            i += 1;
        }
        diagonal += 1;
    }
    entries
}

/// `Mrow_Scan_*`.
const fn mrow_scan<const N: usize>(width: usize, height: usize) -> [ScanEntry; N] {
    let mut entries = [entry(TxClass::Vert, width, height, 0, 0); N];
    let mut at = 0;
    while at < N {
        entries[at] = entry(TxClass::Vert, width, height, at / width, at % width);
        at += 1;
    }
    entries
}

/// `Mcol_Scan_*`.
const fn mcol_scan<const N: usize>(width: usize, height: usize) -> [ScanEntry; N] {
    let mut entries = [entry(TxClass::Horiz, width, height, 0, 0); N];
    let mut at = 0;
    while at < N {
        entries[at] = entry(TxClass::Horiz, width, height, at % height, at / height);
        at += 1;
    }
    entries
}

macro_rules! scans {
    ($($make:ident $name:ident $width:literal $height:literal;)*) => {
        $(static $name: [ScanEntry; coded($width) * coded($height)] = $make($width, $height);)*
    };
}

scans! {
    default_scan DEFAULT_4X4 4 4;
    default_scan DEFAULT_4X8 4 8;
    default_scan DEFAULT_8X4 8 4;
    default_scan DEFAULT_8X8 8 8;
    default_scan DEFAULT_8X16 8 16;
    default_scan DEFAULT_16X8 16 8;
    default_scan DEFAULT_16X16 16 16;
    default_scan DEFAULT_16X32 16 32;
    default_scan DEFAULT_32X16 32 16;
    default_scan DEFAULT_32X32 32 32;
    default_scan DEFAULT_32X64 32 64;
    default_scan DEFAULT_64X32 64 32;
    default_scan DEFAULT_4X16 4 16;
    default_scan DEFAULT_16X4 16 4;
    default_scan DEFAULT_8X32 8 32;
    default_scan DEFAULT_32X8 32 8;
    mrow_scan MROW_4X4 4 4;
    mrow_scan MROW_4X8 4 8;
    mrow_scan MROW_8X4 8 4;
    mrow_scan MROW_8X8 8 8;
    mrow_scan MROW_8X16 8 16;
    mrow_scan MROW_16X8 16 8;
    mrow_scan MROW_16X16 16 16;
    mrow_scan MROW_4X16 4 16;
    mrow_scan MROW_16X4 16 4;
    mcol_scan MCOL_4X4 4 4;
    mcol_scan MCOL_4X8 4 8;
    mcol_scan MCOL_8X4 8 4;
    mcol_scan MCOL_8X8 8 8;
    mcol_scan MCOL_8X16 8 16;
    mcol_scan MCOL_16X8 16 8;
    mcol_scan MCOL_16X16 16 16;
    mcol_scan MCOL_4X16 4 16;
    mcol_scan MCOL_16X4 16 4;
}

/// `get_scan`.
#[inline]
pub fn get_scan(tx_size: TxSize, class: TxClass) -> Scan {
    let entries: &'static [ScanEntry] = match (class, tx_size) {
        (TxClass::Vert, TX_4X4) => &MROW_4X4,
        (TxClass::Vert, TX_4X8) => &MROW_4X8,
        (TxClass::Vert, TX_8X4) => &MROW_8X4,
        (TxClass::Vert, TX_8X8) => &MROW_8X8,
        (TxClass::Vert, TX_8X16) => &MROW_8X16,
        (TxClass::Vert, TX_16X8) => &MROW_16X8,
        (TxClass::Vert, TX_16X16) => &MROW_16X16,
        (TxClass::Vert, TX_4X16) => &MROW_4X16,
        (TxClass::Vert, TX_16X4) => &MROW_16X4,
        (TxClass::Horiz, TX_4X4) => &MCOL_4X4,
        (TxClass::Horiz, TX_4X8) => &MCOL_4X8,
        (TxClass::Horiz, TX_8X4) => &MCOL_8X4,
        (TxClass::Horiz, TX_8X8) => &MCOL_8X8,
        (TxClass::Horiz, TX_8X16) => &MCOL_8X16,
        (TxClass::Horiz, TX_16X8) => &MCOL_16X8,
        (TxClass::Horiz, TX_16X16) => &MCOL_16X16,
        (TxClass::Horiz, TX_4X16) => &MCOL_4X16,
        (TxClass::Horiz, TX_16X4) => &MCOL_16X4,
        (_, TX_4X4) => &DEFAULT_4X4,
        (_, TX_4X8) => &DEFAULT_4X8,
        (_, TX_8X4) => &DEFAULT_8X4,
        (_, TX_8X8) => &DEFAULT_8X8,
        (_, TX_8X16) => &DEFAULT_8X16,
        (_, TX_16X8) => &DEFAULT_16X8,
        (_, TX_16X16) => &DEFAULT_16X16,
        (_, TX_16X32 | TX_16X64) => &DEFAULT_16X32,
        (_, TX_32X16 | TX_64X16) => &DEFAULT_32X16,
        (_, TX_32X64) => &DEFAULT_32X64,
        (_, TX_64X32) => &DEFAULT_64X32,
        (_, TX_4X16) => &DEFAULT_4X16,
        (_, TX_16X4) => &DEFAULT_16X4,
        (_, TX_8X32) => &DEFAULT_8X32,
        (_, TX_32X8) => &DEFAULT_32X8,
        _ => &DEFAULT_32X32,
    };
    let stride = (4 << tx_size.width4_log2().min(3)) + PADDING;
    let height = 4 << tx_size.height4_log2().min(3);
    Scan { entries, stride, length: stride * (height + PADDING) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(tx_size: TxSize, class: TxClass) -> Vec<usize> {
        let scan = get_scan(tx_size, class);
        let width = scan.stride - PADDING;
        let place =
            |entry: &ScanEntry| (usize::from(entry.position) / scan.stride, usize::from(entry.position) % scan.stride);
        scan.entries.iter().map(place).map(|(row, col)| row * width + col).collect()
    }

    #[test]
    fn scans_begin_as_the_tables_of_the_specification() {
        assert_eq!(positions(TX_4X4, TxClass::TwoD)[..8], [0, 1, 4, 8, 5, 2, 3, 6][..]);
        assert_eq!(positions(TX_64X64, TxClass::TwoD)[..8], [0, 1, 32, 64, 33, 2, 3, 34][..]);
        assert_eq!(positions(TX_4X16, TxClass::TwoD)[..8], [0, 1, 4, 2, 5, 8, 3, 6][..]);
        assert_eq!(positions(TX_64X16, TxClass::TwoD)[..8], [0, 32, 1, 64, 33, 2, 96, 65][..]);
        assert_eq!(positions(TX_16X8, TxClass::Vert), (0..128).collect::<Vec<_>>());
        assert_eq!(positions(TX_16X8, TxClass::Horiz)[..10], [0, 16, 32, 48, 64, 80, 96, 112, 1, 17][..]);
    }

    #[test]
    fn scans_reach_every_coefficient_once() {
        for (width, height) in (0..5).flat_map(|width| (0..5).map(move |height| (width, height))) {
            let Some(tx_size) = TxSize::find(width, height) else { continue };
            for class in [TxClass::TwoD, TxClass::Horiz, TxClass::Vert] {
                let mut found = positions(tx_size, class);
                found.sort_unstable();
                assert_eq!(found, (0..16 << width.min(3) << height.min(3)).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn context_offsets_follow_the_shape_of_the_block() {
        let offsets = |tx_size, class| -> Vec<(u8, u8)> {
            get_scan(tx_size, class).entries[..6].iter().map(|entry| (entry.base_offset, entry.br_offset)).collect()
        };
        assert_eq!(offsets(TX_8X8, TxClass::TwoD), [(0, 0), (1, 7), (1, 7), (6, 14), (6, 7), (6, 14)]);
        assert_eq!(offsets(TX_8X16, TxClass::TwoD), [(0, 0), (11, 7), (11, 7), (11, 14), (11, 7), (6, 14)]);
        assert_eq!(offsets(TX_16X8, TxClass::TwoD), [(0, 0), (16, 7), (16, 7), (16, 14), (16, 7), (6, 14)]);
        assert_eq!(offsets(TX_64X64, TxClass::TwoD), offsets(TX_8X8, TxClass::TwoD));
        assert_eq!(offsets(TX_32X64, TxClass::TwoD), [(0, 0), (11, 7), (11, 7), (6, 14), (11, 7), (11, 14)]);
        assert_eq!(offsets(TX_64X32, TxClass::TwoD), [(0, 0), (16, 7), (16, 7), (16, 14), (16, 7), (6, 14)]);
        assert_eq!(offsets(TX_4X4, TxClass::Horiz), [(26, 0), (26, 7), (26, 7), (26, 7), (31, 14), (31, 14)]);
        assert_eq!(offsets(TX_4X4, TxClass::Vert), [(26, 0), (26, 7), (26, 7), (26, 7), (31, 14), (31, 14)]);
    }
}
