//! `residual` (6.4.21 on): which coefficients there are; their values only as far as their bits go.

use super::mode_info::ModeInfo;
use super::scan::{ScanEntry, ScanOrder, scan};
use super::tables::{CAT_PROBS, CAT6_PROBS, PARETO};
use super::tile::{Place, SUPERBLOCK, Tile};
use crate::bool_decoder::BoolDecoder;

/// A plane's part of a block, in units of 4x4 samples of the plane.
struct PlaneBlock {
    plane: usize,
    tx_size: u8,
    /// Where it starts within its superblock.
    x: usize,
    y: usize,
    /// How much of it lies within the picture.
    width: usize,
    height: usize,
    /// How much of it there is in all.
    full_width: usize,
    full_height: usize,
    subsampling: (u8, u8),
}

impl<const ADAPT: bool> Tile<'_, ADAPT> {
    /// `residual` (6.4.21). Gives the bits of luma and chroma; a block without coefficients becomes a skipped one.
    pub(super) fn residual(&mut self, place: &Place, mode: &mut ModeInfo) -> [u32; 2] {
        let mut bits = [0; 2];
        let mut has_coefs = false;
        for plane in 0..3 {
            let block = self.plane_block(place, mode.tx_size, plane);
            if mode.skip {
                self.clear_nonzero(place, &block);
                continue;
            }
            let start = self.d.tell();
            has_coefs |= self.plane_residual(place, mode, &block);
            bits[plane.min(1)] += (self.d.tell() - start) as u32;
        }
        // Later blocks see it like this.
        mode.skip |= mode.refs.is_inter() && !place.size.is_sub8x8() && !has_coefs;
        bits
    }

    #[inline]
    fn plane_block(&self, place: &Place, tx_size: u8, plane: usize) -> PlaneBlock {
        let color = &self.frame.header.color;
        let (sx, sy) = if plane == 0 { (0, 0) } else { (color.subsampling_x, color.subsampling_y) };
        PlaneBlock {
            plane,
            tx_size: if plane == 0 { tx_size } else { place.size.uv_tx_size(tx_size, sx, sy) },
            x: (place.col % SUPERBLOCK * 2) >> sx,
            y: (place.row % SUPERBLOCK * 2) >> sy,
            width: (place.cols * 2) >> sx,
            height: (place.rows * 2) >> sy,
            full_width: (place.size.width8() * 2) >> sx,
            full_height: (place.size.height8() * 2) >> sy,
            subsampling: (sx, sy),
        }
    }

    fn clear_nonzero(&mut self, place: &Place, block: &PlaneBlock) {
        let above = &mut self.state.above_nonzero[place.col / SUPERBLOCK][block.plane];
        *above &= !(ones(block.full_width) << block.x);
        self.left_nonzero[block.plane] &= !(ones(block.full_height) << block.y);
    }

    /// All transform blocks of one plane. Tells whether any has coefficients.
    #[inline(never)]
    fn plane_residual(&mut self, place: &Place, mode: &ModeInfo, block: &PlaneBlock) -> bool {
        let (plane, tx_size) = (block.plane, usize::from(block.tx_size & 3));
        let is_inter = usize::from(mode.refs.is_inter());
        let probs = self.frame.probs.coef[tx_size][plane.min(1)][is_inter].as_flattened();
        let counts = self.state.counts.coef[tx_size][plane.min(1)][is_inter].as_flattened_mut();
        let mut coefs = Coefs::<ADAPT> {
            probs,
            counts,
            cat6: &CAT6_PROBS[usize::from(12 - self.frame.header.color.bit_depth)..],
            token_cache: &mut self.token_cache,
        };
        let superblock = place.col / SUPERBLOCK;
        let (mut above, mut left) = (self.state.above_nonzero[superblock][plane], self.left_nonzero[plane]);
        // A copy that the compiler can keep in registers.
        let mut d = self.d.clone();
        let step = 1 << tx_size;
        let mask = ones(step);
        let mut has_coefs = false;
        let mut y = 0;
        while y < block.height {
            let mut x = 0;
            while x < block.width {
                let (at_x, at_y) = (block.x + x, block.y + y);
                let ctx = usize::from(above >> at_x & mask != 0) + usize::from(left >> at_y & mask != 0);
                let start = d.tell();
                // Beyond the picture's edge nothing is coded.
                above &= !(mask << at_x);
                left &= !(mask << at_y);
                if coefs.more_coefs(&mut d, ctx) {
                    let order = scan_order(place, mode, block, self.frame.header.lossless, x, y);
                    coefs.tokens(&mut d, scan(block.tx_size, order), ctx);
                    above |= ones(step.min(block.width - x)) << at_x;
                    left |= ones(step.min(block.height - y)) << at_y;
                    has_coefs = true;
                }
                let bits = (d.tell() - start) as u32;
                if bits > 0 {
                    let (sx, sy) = block.subsampling;
                    let (row, col) = (2 * place.row + (y << sy), 2 * place.col + (x << sx));
                    self.map.cells.spread(row, col, step << sy, step << sx, bits);
                }
                x += step;
            }
            y += step;
        }
        self.d = d;
        self.state.above_nonzero[superblock][plane] = above;
        self.left_nonzero[plane] = left;
        has_coefs
    }
}

/// `get_scan` (6.4.25), from the transform type: only luma of intra blocks has others than the DCT.
#[inline(always)]
fn scan_order(place: &Place, mode: &ModeInfo, block: &PlaneBlock, lossless: bool, x: usize, y: usize) -> ScanOrder {
    if block.plane > 0 || mode.refs.is_inter() || lossless {
        return ScanOrder::Default;
    }
    let sub_block = if place.size.is_sub8x8() { (y & 1) * 2 + (x & 1) } else { 3 };
    ScanOrder::OF_INTRA_MODE[usize::from(mode.sub_modes[sub_block]) % 10]
}

/// What the coefficients of a plane's transform blocks are read with. Probabilities and counts are by `6 * band + ctx`.
struct Coefs<'a, const ADAPT: bool> {
    probs: &'a [[u8; 3]],
    counts: &'a mut [[u32; 5]],
    /// Probabilities of the extra bits of category 6.
    cat6: &'a [u8],
    token_cache: &'a mut [u8; 1024],
}

impl<const ADAPT: bool> Coefs<'_, ADAPT> {
    #[inline(always)]
    fn count(&mut self, at: usize, value: usize) {
        if ADAPT {
            self.counts[at][value] += 1;
        }
    }

    /// `more_coefs`, at a place where it is coded.
    #[inline(always)]
    fn more_coefs(&mut self, d: &mut BoolDecoder, at: usize) -> bool {
        self.count(at, 4);
        let more_coefs = d.decide(self.probs[at][0]);
        if !more_coefs {
            self.count(at, 3);
        }
        more_coefs
    }

    /// `tokens` (6.4.24) of one transform block, behind its first `more_coefs`.
    #[inline(always)]
    fn tokens(&mut self, d: &mut BoolDecoder, entries: &[ScanEntry], ctx: usize) {
        let mut at = ctx;
        let mut check_eob = false;
        for (i, entry) in entries.iter().enumerate() {
            if i > 0 {
                let [a, b] = entry.neighbors.map(|position| self.token_cache[usize::from(position) & 1023]);
                at = usize::from(entry.band) * 6 + (usize::from(1 + a + b) >> 1);
            }
            if check_eob && !self.more_coefs(d, at) {
                break;
            }
            let probs = self.probs[at];
            let energy = if !d.decide(probs[1]) {
                self.count(at, 0);
                0
            } else if !d.decide(probs[2]) {
                self.count(at, 1);
                d.read(128); // sign_bit
                1
            } else {
                self.count(at, 2);
                large_token(d, &PARETO[usize::from(probs[2]).saturating_sub(1)], self.cat6)
            };
            self.token_cache[usize::from(entry.position) & 1023] = energy;
            check_eob = energy > 0;
        }
    }
}

/// A token above one, with its extra bits and sign. Gives its `energy_class`.
#[inline(always)]
fn large_token(d: &mut BoolDecoder, probs: &[u8; 8], cat6: &[u8]) -> u8 {
    let energy = if !d.decide(probs[0]) {
        if !d.read(probs[1]) {
            2
        } else {
            d.read(probs[2]);
            3
        }
    } else if !d.read(probs[3]) {
        let category = usize::from(d.read(probs[4]));
        extra_bits(d, CAT_PROBS[category]);
        4
    } else {
        if !d.read(probs[5]) {
            let category = 2 + usize::from(d.read(probs[6]));
            extra_bits(d, CAT_PROBS[category]);
        } else if !d.read(probs[7]) {
            extra_bits(d, CAT_PROBS[4]);
        } else {
            extra_bits(d, cat6);
        }
        5
    };
    d.read(128); // sign_bit
    energy
}

#[inline(always)]
fn extra_bits(d: &mut BoolDecoder, probs: &[u8]) {
    for &prob in probs {
        d.read(prob);
    }
}

/// The `n` lowest bits, n up to 16.
#[inline(always)]
fn ones(n: usize) -> u16 {
    ((1u32 << n) - 1) as u16
}
