//! `tile_group_obu` (5.11.1): where its tiles lie.

use std::ops::Range;

use super::tile_info::TileInfo;
use crate::bits::BitReader;
use crate::error::{Error, Result};

/// Appends to `tiles`, the tiles of the groups before, where those of `payload[start..]` lie in `payload`.
pub fn read_tile_group(payload: &[u8], start: usize, info: &TileInfo, tiles: &mut Vec<Range<usize>>) -> Result<()> {
    let end = payload.len();
    let mut r = BitReader::new(payload);
    r.skip(start * 8);
    let last = info.num_tiles() - 1;
    let (mut tg_start, mut tg_end) = (0, last);
    let tile_start_and_end_present_flag = info.num_tiles() > 1 && r.flag();
    if tile_start_and_end_present_flag {
        let tile_bits = info.tile_cols_log2 + info.tile_rows_log2;
        (tg_start, tg_end) = (r.u(tile_bits) as usize, r.u(tile_bits) as usize);
    }
    r.check()?;
    if tg_start != tiles.len() || !(tg_start..=last).contains(&tg_end) {
        return Err(Error::corrupt("a tile group does not go on where the one before it ended", r.pos()));
    }
    let mut at = r.pos().div_ceil(8);
    for _ in tg_start..tg_end {
        let size = payload.get(at..at + info.tile_size_bytes);
        let size = size.ok_or(Error::corrupt("a tile's size is missing", end * 8))?;
        at += info.tile_size_bytes;
        let tile_size_minus_1 = size.iter().rev().fold(0, |value, &byte| value << 8 | usize::from(byte));
        if tile_size_minus_1 >= end - at {
            return Err(Error::corrupt("a tile ends behind its group", at * 8));
        }
        tiles.push(at..at + tile_size_minus_1 + 1);
        at += tile_size_minus_1 + 1;
    }
    tiles.push(at..end);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_tiles() -> TileInfo {
        TileInfo {
            mi_col_starts: vec![0, 16, 32, 48],
            mi_row_starts: vec![0, 16],
            tile_cols_log2: 2,
            tile_rows_log2: 0,
            context_update_tile_id: 0,
            tile_size_bytes: 2,
        }
    }

    fn read(groups: &[&[u8]]) -> Result<Vec<Range<usize>>> {
        let mut tiles = vec![];
        groups.iter().try_for_each(|group| read_tile_group(group, 1, &three_tiles(), &mut tiles))?;
        Ok(tiles)
    }

    #[test]
    fn each_tile_but_the_last_of_a_group_has_its_size_before_it() {
        let all = [0xff, 0, 1, 0, 10, 11, 0, 0, 20, 30, 31, 32];
        assert_eq!(read(&[&all]).unwrap(), [4..6, 8..9, 9..12]);
        // Tiles 0 and 1, and tile 2 alone.
        let (first, second) = ([0xff, 0b1000_1000, 0, 0, 10, 20, 21], [0xff, 0b1101_0000, 30]);
        assert_eq!(read(&[&first, &second]).unwrap(), [4..5, 5..7, 2..3]);
    }

    #[test]
    fn groups_that_leave_out_or_repeat_tiles_are_an_error() {
        let (first, second) = ([0xff, 0b1000_1000, 0, 0, 10, 20, 21], [0xff, 0b1101_0000, 30]);
        assert!(read(&[&second]).is_err());
        assert!(read(&[&first, &first]).is_err());
        assert!(read(&[&[0xff, 0b1001_1000, 0, 0, 10]]).is_err()); // up to tile 3, which is not there
        assert!(read(&[&[0xff, 0, 9, 0, 10, 11]]).is_err());
        assert!(read(&[&[0xff, 0, 9]]).is_err());
    }
}
