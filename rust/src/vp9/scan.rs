//! Scan orders with what a coefficient's context needs (9.3.2): its band and the two neighbours that it looks at.

use super::scan_tables::*;

/// One coefficient in coding order.
#[derive(Debug, Clone, Copy)]
pub struct ScanEntry {
    pub position: u16,
    /// Positions of two coefficients that come earlier; the first coefficient has none.
    pub neighbors: [u16; 2],
    /// 6 times its band: where the contexts of the band begin.
    pub contexts: u16,
}

/// The transform type's part in it: which way the coefficients are scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanOrder {
    Default = 0,
    Row = 1,
    Col = 2,
}

impl ScanOrder {
    /// By `mode2txfm_map`: an intra mode that predicts from above alone leaves vertical structure, and so on.
    pub const OF_INTRA_MODE: [Self; 10] = [
        Self::Default, // DC_PRED
        Self::Row,     // V_PRED
        Self::Col,     // H_PRED
        Self::Default, // D45_PRED
        Self::Default, // D135_PRED
        Self::Row,     // D117_PRED
        Self::Col,     // D153_PRED
        Self::Col,     // D207_PRED
        Self::Row,     // D63_PRED
        Self::Default, // TM_PRED
    ];
}

/// The scan of a transform of 4 << `tx_size` samples.
#[inline]
pub fn scan(tx_size: u8, order: ScanOrder) -> &'static [ScanEntry] {
    match (tx_size, order) {
        (0, ScanOrder::Default) => &DEFAULT_4X4,
        (0, ScanOrder::Row) => &ROW_4X4,
        (0, ScanOrder::Col) => &COL_4X4,
        (1, ScanOrder::Default) => &DEFAULT_8X8,
        (1, ScanOrder::Row) => &ROW_8X8,
        (1, ScanOrder::Col) => &COL_8X8,
        (2, ScanOrder::Default) => &DEFAULT_16X16,
        (2, ScanOrder::Row) => &ROW_16X16,
        (2, ScanOrder::Col) => &COL_16X16,
        _ => &DEFAULT_32X32,
    }
}

static DEFAULT_4X4: [ScanEntry; 16] = entries(&DEFAULT_SCAN_4X4, 4, ScanOrder::Default);
static ROW_4X4: [ScanEntry; 16] = entries(&ROW_SCAN_4X4, 4, ScanOrder::Row);
static COL_4X4: [ScanEntry; 16] = entries(&COL_SCAN_4X4, 4, ScanOrder::Col);
static DEFAULT_8X8: [ScanEntry; 64] = entries(&DEFAULT_SCAN_8X8, 8, ScanOrder::Default);
static ROW_8X8: [ScanEntry; 64] = entries(&ROW_SCAN_8X8, 8, ScanOrder::Row);
static COL_8X8: [ScanEntry; 64] = entries(&COL_SCAN_8X8, 8, ScanOrder::Col);
static DEFAULT_16X16: [ScanEntry; 256] = entries(&DEFAULT_SCAN_16X16, 16, ScanOrder::Default);
static ROW_16X16: [ScanEntry; 256] = entries(&ROW_SCAN_16X16, 16, ScanOrder::Row);
static COL_16X16: [ScanEntry; 256] = entries(&COL_SCAN_16X16, 16, ScanOrder::Col);
static DEFAULT_32X32: [ScanEntry; 1024] = entries(&DEFAULT_SCAN_32X32, 32, ScanOrder::Default);

const fn entries<const N: usize>(positions: &[u16; N], width: u16, order: ScanOrder) -> [ScanEntry; N] {
    let mut out = [ScanEntry { position: 0, neighbors: [0; 2], contexts: 0 }; N];
    let mut i = 0;
    while i < N {
        out[i] = ScanEntry {
            position: positions[i],
            neighbors: neighbors(positions[i], width, order),
            contexts: 6 * band(i, width == 4),
        };
        i += 1;
    }
    out
}

/// The coefficients above and to the left; only one of them, twice, at the edges and in scans along rows or columns.
const fn neighbors(position: u16, width: u16, order: ScanOrder) -> [u16; 2] {
    let (row, col) = (position / width, position % width);
    if row == 0 && col == 0 {
        return [0, 0];
    }
    let above = position.wrapping_sub(width);
    let left = position.wrapping_sub(1);
    if row == 0 {
        return [left, left];
    }
    if col == 0 {
        return [above, above];
    }
    match order {
        ScanOrder::Default => [above, left],
        ScanOrder::Row => [left, left],
        ScanOrder::Col => [above, above],
    }
}

/// `coefband_4x4` and `coefband_8x8plus`.
const fn band(index: usize, is_4x4: bool) -> u16 {
    match index {
        0 => 0,
        1..3 => 1,
        3..6 => 2,
        6..10 => 3,
        10..13 => 4,
        13..21 if !is_4x4 => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbors_come_earlier_in_every_scan() {
        for tx_size in 0..4 {
            for order in [ScanOrder::Default, ScanOrder::Row, ScanOrder::Col] {
                let entries = scan(tx_size, order);
                assert_eq!(entries.len(), 16 << (2 * tx_size));
                let mut seen = vec![false; entries.len()];
                for (i, entry) in entries.iter().enumerate() {
                    assert!(i == 0 || entry.neighbors.iter().all(|&n| seen[usize::from(n)]));
                    assert!(!std::mem::replace(&mut seen[usize::from(entry.position)], true));
                }
            }
        }
    }
}
