//! CTB raster and tile scans (6.5.1).

use super::pps::{Pps, Tiles};
use super::sps::Sps;
use crate::error::{Error, Result};

/// The order in which a picture's CTBs are coded. Without tiles it is raster order.
#[derive(Debug)]
pub struct CtbScan {
    pub width: usize,
    pub height: usize,
    /// `None` where the two scans are the same.
    tiles: Option<TileScan>,
}

#[derive(Debug)]
struct TileScan {
    ctb_addr_rs_to_ts: Vec<u32>,
    ctb_addr_ts_to_rs: Vec<u32>,
    /// `TileId`, but by raster address.
    tile_id_rs: Vec<u32>,
}

impl CtbScan {
    pub fn new(sps: &Sps, pps: &Pps) -> Result<Self> {
        let (width, height) = (sps.pic_width_in_ctbs_y(), sps.pic_height_in_ctbs_y());
        let tiles = match &pps.tiles {
            Some(tiles) => Some(TileScan::new(tiles, width, height)?),
            None => None,
        };
        Ok(Self { width, height, tiles })
    }

    pub fn len(&self) -> usize {
        self.width * self.height
    }

    pub fn rs_to_ts(&self, rs: usize) -> usize {
        self.tiles.as_ref().map_or(rs, |t| t.ctb_addr_rs_to_ts[rs] as usize)
    }

    pub fn ts_to_rs(&self, ts: usize) -> usize {
        self.tiles.as_ref().map_or(ts, |t| t.ctb_addr_ts_to_rs[ts] as usize)
    }

    pub fn is_same_tile(&self, rs_a: usize, rs_b: usize) -> bool {
        self.tiles.as_ref().is_none_or(|t| t.tile_id_rs[rs_a] == t.tile_id_rs[rs_b])
    }

    /// The CTB is the first one of its tile.
    pub fn starts_tile(&self, rs: usize) -> bool {
        let ts = self.rs_to_ts(rs);
        ts == 0 || !self.is_same_tile(rs, self.ts_to_rs(ts - 1))
    }

    /// The CTB is the first one of a row within its tile.
    pub fn starts_row(&self, rs: usize) -> bool {
        rs % self.width == 0 || !self.is_same_tile(rs, rs - 1)
    }
}

impl TileScan {
    fn new(tiles: &Tiles, width: usize, height: usize) -> Result<Self> {
        let explicit = tiles.explicit.as_ref();
        let columns = boundaries(tiles.num_tile_columns, width, explicit.map(|e| &e.0[..]))?;
        let rows = boundaries(tiles.num_tile_rows, height, explicit.map(|e| &e.1[..]))?;
        let mut scan = Self {
            ctb_addr_rs_to_ts: vec![0; width * height],
            ctb_addr_ts_to_rs: Vec::with_capacity(width * height),
            tile_id_rs: vec![0; width * height],
        };
        let mut tile_id = 0;
        for row in rows.windows(2) {
            for column in columns.windows(2) {
                for y in row[0]..row[1] {
                    for x in column[0]..column[1] {
                        let rs = y * width + x;
                        scan.ctb_addr_rs_to_ts[rs] = scan.ctb_addr_ts_to_rs.len() as u32;
                        scan.ctb_addr_ts_to_rs.push(rs as u32);
                        scan.tile_id_rs[rs] = tile_id;
                    }
                }
                tile_id += 1;
            }
        }
        Ok(scan)
    }
}

/// `colBd` or `rowBd` (6-5, 6-6), with the picture's own end behind them.
fn boundaries(count: usize, size: usize, explicit: Option<&[u32]>) -> Result<Vec<usize>> {
    let mut bounds: Vec<usize> = match explicit {
        None => (0..count).map(|i| i * size / count).collect(),
        Some(sizes) => {
            let ends = sizes.iter().scan(0, |end, &size| {
                *end += size as usize;
                Some(*end)
            });
            std::iter::once(0).chain(ends).collect()
        }
    };
    bounds.push(size);
    if !bounds.is_sorted_by(|a, b| a < b) {
        return Err(Error::corrupt("tiles do not fit the picture", 0));
    }
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(width: usize, height: usize, tiles: Tiles) -> Result<CtbScan> {
        Ok(CtbScan { width, height, tiles: Some(TileScan::new(&tiles, width, height)?) })
    }

    #[test]
    fn tiles_are_walked_one_after_another() {
        let tiles = Tiles { num_tile_columns: 2, num_tile_rows: 2, explicit: None };
        let scan = scan(5, 3, tiles).unwrap();
        let order: Vec<_> = (0..scan.len()).map(|ts| scan.ts_to_rs(ts)).collect();
        assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 10, 11, 7, 8, 9, 12, 13, 14]);
        assert!((0..15).all(|rs| scan.ts_to_rs(scan.rs_to_ts(rs)) == rs));
        assert!(scan.starts_tile(7) && scan.starts_row(12) && !scan.starts_tile(12) && !scan.starts_row(13));
    }

    #[test]
    fn tiles_larger_than_the_picture_are_an_error() {
        let tiles = Tiles { num_tile_columns: 2, num_tile_rows: 1, explicit: Some((vec![5], vec![])) };
        assert!(scan(5, 3, tiles).is_err());
        assert!(scan(3, 3, Tiles { num_tile_columns: 4, num_tile_rows: 1, explicit: None }).is_err());
    }
}
