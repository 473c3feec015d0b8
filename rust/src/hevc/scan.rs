//! Scan orders of coefficients (6.5.3 to 6.5.5) and what follows from them for contexts.

/// `scanIdx`: up-right diagonal, horizontal, vertical (and traverse, which only palettes use).
pub const DIAGONAL: usize = 0;
pub const HORIZONTAL: usize = 1;
pub const VERTICAL: usize = 2;

/// A position within a grid of at most 8x8, `y << 3 | x`.
type Position = u8;

/// Fills the first `side * side` entries with a scan of a square grid.
const fn scan<const N: usize>(scan_idx: usize, side: usize) -> [Position; N] {
    let mut order = [0; N];
    let mut n = 0;
    // Diagonals run from bottom left to top right; x + y is constant along one.
    let mut line = 0;
    while line < 2 * side - 1 {
        let mut k = 0;
        while k < side {
            let (x, y) = match scan_idx {
                HORIZONTAL => (k, line),
                VERTICAL => (line, k),
                _ => (k, line.wrapping_sub(k)),
            };
            if x < side && y < side {
                order[n] = (y << 3 | x) as Position;
                n += 1;
            }
            k += 1;
        }
        line += 1;
    }
    order
}

const fn scans<const N: usize>(side: usize) -> [[Position; N]; 3] {
    [scan(DIAGONAL, side), scan(HORIZONTAL, side), scan(VERTICAL, side)]
}

/// Positions of coefficients within a sub-block: `[scanIdx][n]`.
pub static IN_SUB_BLOCK: [[Position; 16]; 3] = scans(4);

/// Positions of sub-blocks within a transform block: `[log2TrafoSize - 2][scanIdx][i]`.
pub static SUB_BLOCKS: [[[Position; 64]; 3]; 4] = [scans(1), scans(2), scans(4), scans(8)];

/// `ScanOrder` turned round: `[scanIdx][position]` is the place of a position in its scan.
const fn inverse<const N: usize>(order: &[[Position; N]; 3]) -> [[u8; 64]; 3] {
    let mut place = [[0; 64]; 3];
    let mut scan_idx = 0;
    while scan_idx < 3 {
        // Backwards, so that the zeros behind the end of a short scan do not count.
        let mut n = N;
        while n > 0 {
            n -= 1;
            place[scan_idx][order[scan_idx][n] as usize] = n as u8;
        }
        scan_idx += 1;
    }
    place
}

pub static PLACE_IN_SUB_BLOCK: [[u8; 64]; 3] = inverse(&IN_SUB_BLOCK);

pub static PLACE_OF_SUB_BLOCK: [[[u8; 64]; 3]; 4] =
    [inverse(&SUB_BLOCKS[0]), inverse(&SUB_BLOCKS[1]), inverse(&SUB_BLOCKS[2]), inverse(&SUB_BLOCKS[3])];

/// Pattern of `SIG_CTX` for transform blocks of 4x4.
pub const PATTERN_4X4: usize = 4;

/// `sigCtx` (9.3.4.2.5) without the offsets of its block: `[prevCsbf or PATTERN_4X4][scanIdx][n]`.
pub static SIG_CTX: [[[u8; 16]; 3]; 5] = {
    const CTX_IDX_MAP: [u8; 16] = [0, 1, 4, 5, 2, 3, 4, 5, 6, 6, 8, 8, 7, 7, 8, 8];
    let mut table = [[[0; 16]; 3]; 5];
    let mut at = 0;
    while at < 5 * 3 * 16 {
        let (pattern, scan_idx, n) = (at / 48, at / 16 % 3, at % 16);
        let position = IN_SUB_BLOCK[scan_idx][n] as usize;
        let (x, y) = (position & 7, position >> 3);
        table[pattern][scan_idx][n] = match pattern {
            0 if x + y == 0 => 2,
            0 if x + y < 3 => 1,
            0 => 0,
            1 => 2usize.saturating_sub(y) as u8,
            2 => 2usize.saturating_sub(x) as u8,
            3 => 2,
            _ => CTX_IDX_MAP[y << 2 | x],
        };
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_follow_the_specification() {
        let as_pairs = |order: &[u8]| order.iter().map(|p| (p & 7, p >> 3)).collect::<Vec<_>>();
        assert_eq!(as_pairs(&IN_SUB_BLOCK[DIAGONAL][..6]), [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0)]);
        assert_eq!(as_pairs(&IN_SUB_BLOCK[HORIZONTAL][3..6]), [(3, 0), (0, 1), (1, 1)]);
        assert_eq!(as_pairs(&IN_SUB_BLOCK[VERTICAL][3..6]), [(0, 3), (1, 0), (1, 1)]);
        assert_eq!(as_pairs(&SUB_BLOCKS[3][DIAGONAL][61..]), [(6, 7), (7, 6), (7, 7)]);
    }

    #[test]
    fn places_turn_scans_round() {
        for (size, scans) in SUB_BLOCKS.iter().enumerate() {
            for (scan_idx, order) in scans.iter().enumerate() {
                for (i, &position) in order[..1 << (2 * size)].iter().enumerate() {
                    assert_eq!(usize::from(PLACE_OF_SUB_BLOCK[size][scan_idx][usize::from(position)]), i);
                }
            }
        }
    }
}
