//! The account of a superblock: every bit that its blocks take, by class of syntax and spread over cells.

use super::place::{CELLS, CellRectangle};
use crate::map::{FrameMap, Kind, Syntax};

#[derive(Default)]
pub struct Account {
    /// By class of syntax.
    bits: [u32; 4],
    /// Units of 8x8 samples that blocks covered, and the sum of their quantizer indices.
    units: u32,
    qidx_sum: u32,
    kind: u8,
    /// Also beyond the picture's edge, so that blocks are filled without a look at it.
    cells: [[f32; CELLS]; CELLS],
}

impl Account {
    #[inline(always)]
    pub fn add(&mut self, class: Syntax, bits: u32) {
        self.bits[class as usize] += bits;
    }

    /// Adds `share` to each cell.
    #[inline(always)]
    pub fn add_to_cells(&mut self, area: &CellRectangle, share: f32) {
        let lines = &mut self.cells[area.row..][..area.rows];
        // Of constant width each, so that filling a line takes no loop.
        match area.cols {
            1 => add_to_lines::<1>(lines, area.col, share),
            2 => add_to_lines::<2>(lines, area.col, share),
            4 => add_to_lines::<4>(lines, area.col, share),
            8 => add_to_lines::<8>(lines, area.col, share),
            _ => add_to_lines::<16>(lines, area.col, share),
        }
    }

    #[inline(always)]
    pub fn add_units(&mut self, units: u32, qidx: u8, kind: Kind) {
        self.units += units;
        self.qidx_sum += units * u32::from(qidx);
        self.kind = self.kind.max(kind as u8);
    }

    /// Writes it into the map of the frame, whose superblocks are each written once, and begins anew. `row` and `col`
    /// are the superblock's place among them.
    pub fn close(&mut self, map: &mut FrameMap, row: usize, col: usize, information: f32) {
        let unit = row * map.cols + col;
        for (class, &bits) in map.syntax.iter_mut().zip(&self.bits) {
            class[unit] = bits;
        }
        map.information[unit] = information;
        map.qp[unit] = ((self.qidx_sum + self.units / 2) / self.units.max(1)) as i16;
        map.kind[unit] = self.kind;
        let (top, left) = (row * CELLS, col * CELLS);
        let lines = map.cells.bits.chunks_exact_mut(map.cells.cols).skip(top);
        for (line, cells) in lines.zip(&self.cells) {
            let line = &mut line[left..];
            match line.first_chunk_mut() {
                Some(all) => *all = *cells,
                None => line.copy_from_slice(&cells[..line.len()]),
            }
        }
        *self = Self::default();
    }
}

#[inline(always)]
fn add_to_lines<const WIDTH: usize>(lines: &mut [[f32; CELLS]], col: usize, share: f32) {
    for line in lines {
        line[col..][..WIDTH].iter_mut().for_each(|cell| *cell += share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Crop;

    #[test]
    fn a_superblocks_account_ends_at_the_pictures_edge_and_begins_anew() {
        let mut map = FrameMap::new(64, 88, 72, Crop::default());
        let mut account = Account::default();
        for (row, col, rows_inside, cols_inside) in [(0, 0, 16, 16), (0, 1, 16, 6), (1, 0, 2, 16), (1, 1, 2, 6)] {
            let whole = CellRectangle { row: 0, col: 0, rows: 16, cols: 16, rows_inside, cols_inside };
            let corner = CellRectangle { row: 1, col: 5, rows: 2, cols: 1, rows_inside: 1, cols_inside: 1 };
            account.add_to_cells(&whole, whole.share(96));
            account.add_to_cells(&corner, 0.5);
            account.add(Syntax::Luma, 97);
            account.add_units(3, 10, Kind::Intra);
            account.add_units(1, 16, Kind::Skip);
            account.close(&mut map, row, col, 96.5);
        }
        assert_eq!(map.syntax[Syntax::Luma as usize], [97; 4]);
        assert_eq!((map.qp, map.kind, map.information), (vec![12; 4], vec![Kind::Intra as u8; 4], vec![96.5; 4]));
        let cell = |row: usize, col: usize| map.cells.bits[row * map.cells.cols + col];
        assert_eq!((cell(0, 0), cell(1, 5), cell(2, 5), cell(3, 5)), (0.375, 0.875, 0.875, 0.375));
        assert_eq!((cell(17, 21), cell(17, 20), cell(16, 21)), (8.5, 8.0, 8.0));
    }
}
