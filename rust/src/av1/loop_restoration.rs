//! Loop restoration units (5.11.57, 5.11.58), read past: what they say matters to the filter only.

use super::block_size::BlockSize;
use super::filters::{Restoration, RestorationType};
use super::frame_header::SUPERRES_NUM;
use super::symbol_decoder::SymbolDecoder;
use super::tile::Tile;

const SGRPROJ_PARAMS_BITS: u32 = 4;
const SGRPROJ_PRJ_SUBEXP_K: u32 = 4;

/// How many values each of `Wiener_Taps` has, from its minimum to its maximum, and `Wiener_Taps_K`.
const WIENER_TAPS: [(u32, u32); 3] = [(16, 1), (32, 2), (64, 3)];
/// How many values those of `Sgrproj_Xqd` have.
const SGRPROJ_XQD: u32 = 128;

/// Whether the radii of `Sgr_Params` are 0: those of sets 10 to 13 in the first pass, of 14 and 15 in the second.
fn has_no_radius(lr_sgr_set: u32, pass: usize) -> bool {
    match pass {
        0 => (10..14).contains(&lr_sgr_set),
        _ => lr_sgr_set >= 14,
    }
}

impl Tile<'_> {
    /// `read_lr` (5.11.57).
    pub(super) fn read_lr(&mut self, row: usize, col: usize, size: BlockSize) {
        let header = self.frame.header;
        let color = self.frame.sequence.color;
        for plane in 0..color.num_planes() {
            let Restoration { kind, size: unit_size } = header.restoration[plane];
            if kind == RestorationType::None {
                continue;
            }
            let sub_x = u32::from(plane > 0 && color.subsampling_x);
            let sub_y = u32::from(plane > 0 && color.subsampling_y);
            let unit_rows = count_units_in_frame(unit_size, round2(header.size.height as usize, sub_y));
            let unit_cols = count_units_in_frame(unit_size, round2(header.size.upscaled_width as usize, sub_x));
            let first_row = |row: usize| (row * (4 >> sub_y)).div_ceil(unit_size);
            let numerator = (4 >> sub_x) * header.size.superres_denom as usize;
            let denominator = unit_size * SUPERRES_NUM as usize;
            let first_col = |col: usize| (col * numerator).div_ceil(denominator);
            let rows = first_row(row)..first_row(row + size.height4()).min(unit_rows);
            let cols = first_col(col)..first_col(col + size.width4()).min(unit_cols);
            for _ in 0..rows.len() * cols.len() {
                self.read_lr_unit(plane, kind);
            }
        }
    }

    /// `read_lr_unit` (5.11.58).
    fn read_lr_unit(&mut self, plane: usize, frame_restoration_type: RestorationType) {
        let (d, cdfs) = (&mut self.d, &mut *self.cdfs);
        let is_used = |is_used: bool, kind| if is_used { kind } else { RestorationType::None };
        let restoration_type = match frame_restoration_type {
            RestorationType::Wiener => is_used(d.read_flag(&mut cdfs.use_wiener), RestorationType::Wiener),
            RestorationType::SgrProj => is_used(d.read_flag(&mut cdfs.use_sgrproj), RestorationType::SgrProj),
            _ => [RestorationType::None, RestorationType::Wiener, RestorationType::SgrProj]
                [d.read_symbol(&mut cdfs.restoration_type)],
        };
        match restoration_type {
            RestorationType::Wiener => {
                let first_coeff = usize::from(plane > 0);
                for _pass in 0..2 {
                    WIENER_TAPS[first_coeff..].iter().for_each(|&(num_syms, k)| skip_subexp_bool(d, num_syms, k));
                }
            }
            RestorationType::SgrProj => {
                let lr_sgr_set = d.read_literal(SGRPROJ_PARAMS_BITS);
                for pass in 0..2 {
                    if !has_no_radius(lr_sgr_set, pass) {
                        skip_subexp_bool(d, SGRPROJ_XQD, SGRPROJ_PRJ_SUBEXP_K);
                    }
                }
            }
            _ => {}
        }
    }
}

fn count_units_in_frame(unit_size: usize, frame_size: usize) -> usize {
    ((frame_size + (unit_size >> 1)) / unit_size).max(1)
}

/// `Round2` (4.7) by at most one bit.
fn round2(x: usize, n: u32) -> usize {
    (x + n as usize) >> n
}

/// `decode_subexp_bool` (5.11.58).
fn skip_subexp_bool(d: &mut SymbolDecoder, num_syms: u32, k: u32) {
    let (mut i, mut mk) = (0, 0);
    loop {
        let b2 = if i > 0 { k + i - 1 } else { k };
        let a = 1 << b2;
        if num_syms <= mk + 3 * a {
            read_ns(d, num_syms - mk);
            return;
        }
        let subexp_more_bools = d.read_bool();
        if !subexp_more_bools {
            d.read_literal(b2);
            return;
        }
        i += 1;
        mk += a;
    }
}

/// `NS(n)` (4.10.10).
pub fn read_ns(d: &mut SymbolDecoder, n: u32) -> u32 {
    let w = n.ilog2() + 1;
    let m = (1 << w) - n;
    let v = d.read_literal(w - 1);
    if v < m { v } else { (v << 1) - m + d.read_literal(1) }
}
