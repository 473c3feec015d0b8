//! `residual` (6.4.21 on): which coefficients there are; their values only as far as their bits go.

use std::ops::Range;

use super::account::Account;
use super::block::ModeInfo;
use super::place::{Place, SUPERBLOCK};
use super::scan::{ScanEntry, ScanOrder, scan};
use super::tables::{CAT_PROBS, CAT6_PROBS, PARETO};
use super::tile::Tile;
use crate::bool_decoder::BoolDecoder;

/// A block's part in a plane, in units of 4x4 samples of the plane.
struct PlaneBlock {
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

impl PlaneBlock {
    #[inline(always)]
    fn new(place: &Place, tx_size: u8, subsampling: (u8, u8)) -> Self {
        let (sx, sy) = subsampling;
        Self {
            tx_size,
            x: (place.col % SUPERBLOCK * 2) >> sx,
            y: (place.row % SUPERBLOCK * 2) >> sy,
            width: (place.cols * 2) >> sx,
            height: (place.rows * 2) >> sy,
            full_width: (place.size.width8() * 2) >> sx,
            full_height: (place.size.height8() * 2) >> sy,
            subsampling,
        }
    }
}

impl<const COSTS: bool> Tile<'_, COSTS> {
    /// `residual` (6.4.21). Gives the bits of luma and chroma; a block without coefficients becomes a skipped one.
    pub(super) fn residual(&mut self, place: &Place, mode: &mut ModeInfo) -> [u32; 2] {
        let color = &self.frame.header.color;
        let subsampling = (color.subsampling_x, color.subsampling_y);
        let uv_tx_size = place.size.uv_tx_size(mode.tx_size, subsampling.0, subsampling.1);
        let luma = PlaneBlock::new(place, mode.tx_size, (0, 0));
        let chroma = PlaneBlock::new(place, uv_tx_size, subsampling);
        if mode.skip {
            self.clear_nonzero(place, &luma, 0..1);
            self.clear_nonzero(place, &chroma, 1..3);
            return [0; 2];
        }
        // A copy that the compiler can keep in registers.
        let mut d = self.d.clone();
        let start = d.tell();
        let mut behind_luma = start;
        let mut has_coefs = false;
        for plane in 0..3 {
            has_coefs |= self.plane_residual(&mut d, place, mode, if plane == 0 { &luma } else { &chroma }, plane);
            if plane == 0 {
                behind_luma = d.tell();
            }
        }
        let bits = [behind_luma - start, d.tell() - behind_luma].map(|bits| bits as u32);
        self.d = d;
        // Later blocks see it like this.
        mode.skip = mode.refs.is_inter() && !place.size.is_sub8x8() && !has_coefs;
        bits
    }

    #[inline(always)]
    fn clear_nonzero(&mut self, place: &Place, block: &PlaneBlock, planes: Range<usize>) {
        let above = !(ones(block.full_width) << block.x);
        let left = !(ones(block.full_height) << block.y);
        for plane in planes {
            self.state.above_nonzero[place.col / SUPERBLOCK][plane] &= above;
            self.left_nonzero[plane] &= left;
        }
    }

    /// All transform blocks of one plane. Tells whether any has coefficients.
    #[inline(always)]
    fn plane_residual(
        &mut self,
        d: &mut BoolDecoder,
        place: &Place,
        mode: &ModeInfo,
        block: &PlaneBlock,
        plane: usize,
    ) -> bool {
        let tx_size = usize::from(block.tx_size & 3);
        let is_inter = usize::from(mode.refs.is_inter());
        let mut coefs = Coefs {
            probs: &self.frame.probs.coef[tx_size][plane.min(1)][is_inter],
            counts: &mut self.state.counts.coef[tx_size][plane.min(1)][is_inter],
            cat6: &CAT6_PROBS[usize::from(12 - self.frame.header.color.bit_depth)..],
            token_cache: &mut self.token_cache,
        };
        let superblock = place.col / SUPERBLOCK;
        let (mut above, mut left) = (self.state.above_nonzero[superblock][plane], self.left_nonzero[plane]);
        let step = 1 << tx_size;
        let mask = ones(step);
        let mut has_coefs = false;
        let mut position = d.tell();
        let mut y = 0;
        while y < block.height {
            let mut x = 0;
            while x < block.width {
                let (at_x, at_y) = (block.x + x, block.y + y);
                let ctx = usize::from(above >> at_x & mask != 0) + usize::from(left >> at_y & mask != 0);
                // Beyond the picture's edge nothing is coded.
                above &= !(mask << at_x);
                left &= !(mask << at_y);
                if coefs.more_coefs(d, ctx) {
                    let is_luma = plane == 0;
                    let order = scan_order(place, mode, is_luma && !self.frame.header.lossless, x, y);
                    coefs.tokens(d, scan(block.tx_size, order), ctx);
                    above |= ones(step.min(block.width - x)) << at_x;
                    left |= ones(step.min(block.height - y)) << at_y;
                    has_coefs = true;
                }
                let start = std::mem::replace(&mut position, d.tell());
                if COSTS && position > start {
                    spread(&mut self.account, place, block, x, y, (position - start) as u32);
                }
                x += step;
            }
            y += step;
        }
        self.state.above_nonzero[superblock][plane] = above;
        self.left_nonzero[plane] = left;
        has_coefs
    }
}

/// Spreads a transform block's bits over its cells.
#[inline(never)]
fn spread(account: &mut Account, place: &Place, block: &PlaneBlock, x: usize, y: usize, bits: u32) {
    let (sx, sy) = block.subsampling;
    let step = 1 << block.tx_size;
    let cells = place.cells_at(y << sy, x << sx, step << sy, step << sx);
    account.add_to_cells(&cells, cells.share(bits));
}

/// `get_scan` (6.4.25), from the transform type, which only luma of intra blocks has others of than the DCT.
#[inline(always)]
fn scan_order(place: &Place, mode: &ModeInfo, may_differ: bool, x: usize, y: usize) -> ScanOrder {
    if !may_differ || mode.refs.is_inter() {
        return ScanOrder::Default;
    }
    let sub_block = if place.size.is_sub8x8() { (y & 1) * 2 + (x & 1) } else { 3 };
    ScanOrder::OF_INTRA_MODE[usize::from(mode.sub_modes[sub_block]) % 10]
}

/// What the coefficients of a plane's transform blocks are read with. Probabilities and counts are by band and context.
struct Coefs<'a> {
    probs: &'a [[[u8; 3]; 6]; 6],
    counts: &'a mut [[[u32; 5]; 6]; 6],
    /// Probabilities of the extra bits of category 6.
    cat6: &'a [u8],
    token_cache: &'a mut [u8; 1024],
}

impl Coefs<'_> {
    /// The first `more_coefs` of a transform block.
    #[inline(always)]
    fn more_coefs(&mut self, d: &mut BoolDecoder, ctx: usize) -> bool {
        more_coefs(d, &self.probs.as_flattened()[ctx], &mut self.counts.as_flattened_mut()[ctx])
    }

    /// `tokens` (6.4.24) of one transform block, behind its first `more_coefs`.
    #[inline(always)]
    fn tokens(&mut self, d: &mut BoolDecoder, entries: &[ScanEntry], ctx: usize) {
        let mut entries = entries.iter();
        let mut at = ctx;
        let mut next_entry = || entries.next();
        let Some(mut entry) = next_entry() else { return };
        loop {
            let (probs, counts) = (&self.probs.as_flattened()[at], &mut self.counts.as_flattened_mut()[at]);
            let is_zero = !d.decide(probs[1]);
            let energy = if is_zero {
                counts[0] += 1;
                0
            } else if !d.decide(probs[2]) {
                counts[1] += 1;
                d.read(128); // sign_bit
                1
            } else {
                counts[2] += 1;
                large_token(d, &PARETO[usize::from(probs[2]).saturating_sub(1)], self.cat6)
            };
            self.token_cache[usize::from(entry.position) & 1023] = energy;
            let Some(next) = next_entry() else { return };
            entry = next;
            let [a, b] = entry.neighbors.map(|position| self.token_cache[usize::from(position) & 1023]);
            at = usize::from(entry.contexts) + (usize::from(1 + a + b) >> 1);
            if !is_zero && !self.more_coefs(d, at) {
                return;
            }
        }
    }
}

/// `more_coefs`, at a place where it is coded.
#[inline(always)]
fn more_coefs(d: &mut BoolDecoder, probs: &[u8; 3], counts: &mut [u32; 5]) -> bool {
    counts[4] += 1;
    let more_coefs = d.decide(probs[0]);
    if !more_coefs {
        counts[3] += 1;
    }
    more_coefs
}

/// A token above one, with its extra bits and sign. Gives its `energy_class`.
#[inline(always)]
fn large_token(d: &mut BoolDecoder, probs: &[u8; 8], cat6: &[u8]) -> u8 {
    let energy = if !d.decide(probs[0]) {
        if !d.decide(probs[1]) {
            2
        } else {
            d.read(probs[2]);
            3
        }
    } else if !d.decide(probs[3]) {
        let category = usize::from(d.read(probs[4]));
        extra_bits(d, CAT_PROBS[category]);
        4
    } else {
        if !d.decide(probs[5]) {
            let category = 2 + usize::from(d.read(probs[6]));
            extra_bits(d, CAT_PROBS[category]);
        } else if !d.decide(probs[7]) {
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
