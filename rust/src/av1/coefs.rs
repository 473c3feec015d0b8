//! `coeffs` behind `all_zero` (5.11.39): where the coefficients are and how large, as far as bits and contexts go.

use super::cdfs::CoeffCdfs;
use super::scan::{Scan, ScanEntry, TxClass, get_scan};
use super::symbol_decoder::SymbolDecoder;
use super::tx_size::TxSize;
use crate::error::{Error, Result};

const NUM_BASE_LEVELS: u8 = 2;
const COEFF_BASE_RANGE: u8 = 12;
const BR_CDF_SIZE: usize = 4;

/// Levels by position, none above what is read without `golomb_length_bit`. A power of two, so that no index needs a
/// check; the largest block takes 36 times 36.
const LEVELS: usize = 2048;
pub type Levels = [u8; LEVELS];
pub const NO_LEVELS: Levels = [0; LEVELS];

/// What a transform block leaves for the contexts of those below and to the right: `culLevel`, and above it
/// `dcCategory`.
pub type Context = u8;
pub const CUL_LEVEL: Context = 63;

/// `dcCategory` of a context: 0, 1 for negative, 2 for positive.
#[inline(always)]
pub fn dc_category(context: Context) -> u8 {
    context >> 6
}

/// What a transform block is read with.
pub struct CoefReader<'a, 'b> {
    pub d: &'a mut SymbolDecoder<'b>,
    pub cdfs: &'a mut CoeffCdfs,
    /// All zero between blocks.
    pub levels: &'a mut Levels,
}

impl CoefReader<'_, '_> {
    /// Reads a block that is not all zero, of a plane of type `ptype`; `dc_sign_ctx` is the context of `dc_sign`.
    #[inline]
    pub fn read(&mut self, tx_size: TxSize, class: TxClass, ptype: usize, dc_sign_ctx: usize) -> Result<Context> {
        let tx_sz_ctx = (tx_size.sqr() + tx_size.sqr_up() + 1) >> 1;
        let scan = get_scan(tx_size, class);
        let eob = self.eob(tx_size, class, tx_sz_ctx, ptype);
        match class {
            TxClass::TwoD => self.read_levels::<{ TxClass::TwoD as usize }>(&scan, eob, tx_sz_ctx, ptype),
            TxClass::Horiz => self.read_levels::<{ TxClass::Horiz as usize }>(&scan, eob, tx_sz_ctx, ptype),
            TxClass::Vert => self.read_levels::<{ TxClass::Vert as usize }>(&scan, eob, tx_sz_ctx, ptype),
        }
        let context = self.read_signs(&scan.entries[..eob], ptype, dc_sign_ctx);
        self.levels[..scan.length].fill(0);
        context
    }

    /// `eob`: how many coefficients the scan goes through.
    #[inline(always)]
    fn eob(&mut self, tx_size: TxSize, class: TxClass, tx_sz_ctx: usize, ptype: usize) -> usize {
        let eob_multisize = tx_size.width4_log2().min(3) + tx_size.height4_log2().min(3);
        let ctx = usize::from(class != TxClass::TwoD);
        let (d, cdfs) = (&mut *self.d, &mut *self.cdfs);
        let eob_pt = 1 + match eob_multisize {
            0 => d.read_symbol(&mut cdfs.eob_pt_16[ptype][ctx]),
            1 => d.read_symbol(&mut cdfs.eob_pt_32[ptype][ctx]),
            2 => d.read_symbol(&mut cdfs.eob_pt_64[ptype][ctx]),
            3 => d.read_symbol(&mut cdfs.eob_pt_128[ptype][ctx]),
            4 => d.read_symbol(&mut cdfs.eob_pt_256[ptype][ctx]),
            5 => d.read_symbol(&mut cdfs.eob_pt_512[ptype]),
            _ => d.read_symbol(&mut cdfs.eob_pt_1024[ptype]),
        };
        if eob_pt < 3 {
            return eob_pt;
        }
        let extra_bits = eob_pt - 2;
        let eob_extra = d.read_symbol(&mut cdfs.eob_extra[tx_sz_ctx][ptype][extra_bits - 1]);
        let eob_extra_bits = d.read_literal(extra_bits as u32 - 1) as usize;
        (1 << extra_bits) + 1 + (eob_extra << (extra_bits - 1)) + eob_extra_bits
    }

    /// `coeff_base_eob`, `coeff_base` and `coeff_br` of all coefficients, from the last to the first.
    #[inline(always)]
    fn read_levels<const CLASS: usize>(&mut self, scan: &Scan, eob: usize, tx_sz_ctx: usize, ptype: usize) {
        // A copy that the compiler can keep in registers.
        let mut d = self.d.clone();
        let levels = &mut *self.levels;
        let coeff_base = &mut self.cdfs.coeff_base[tx_sz_ctx][ptype];
        let coeff_br = &mut self.cdfs.coeff_br[tx_sz_ctx.min(3)][ptype];
        let Some((last, entries)) = scan.entries[..eob].split_last() else { return };
        let eob_ctx = match entries.len() {
            0 => 0,
            c if c <= scan.entries.len() / 8 => 1,
            c if c <= scan.entries.len() / 4 => 2,
            _ => 3,
        };
        let coeff_base_eob = &mut self.cdfs.coeff_base_eob[tx_sz_ctx][ptype][eob_ctx];
        let mut level = 1 + d.read_symbol(coeff_base_eob) as u8;
        if level > NUM_BASE_LEVELS {
            let ctx = br_ctx::<CLASS>(levels, last, scan.stride);
            level += read_br(&mut d, &mut coeff_br[ctx]);
        }
        levels[usize::from(last.position) % LEVELS] = level;
        for entry in entries.iter().rev() {
            let ctx = base_ctx::<CLASS>(levels, entry, scan.stride);
            let mut level = d.read_symbol(&mut coeff_base[ctx]) as u8;
            if level > NUM_BASE_LEVELS {
                let ctx = br_ctx::<CLASS>(levels, entry, scan.stride);
                level += read_br(&mut d, &mut coeff_br[ctx]);
            }
            levels[usize::from(entry.position) % LEVELS] = level;
        }
        *self.d = d;
    }

    /// Signs, and what is beyond the levels of contexts, from the first to the last.
    #[inline(always)]
    fn read_signs(&mut self, entries: &[ScanEntry], ptype: usize, dc_sign_ctx: usize) -> Result<Context> {
        let mut cul_level = 0;
        let mut dc_category = 0;
        for (c, entry) in entries.iter().enumerate() {
            let level = self.levels[usize::from(entry.position) % LEVELS];
            if level == 0 {
                continue;
            }
            let sign = match c {
                0 => self.d.read_flag(&mut self.cdfs.dc_sign[ptype][dc_sign_ctx]),
                _ => self.d.read_bool(),
            };
            let mut quant = u32::from(level);
            if level > NUM_BASE_LEVELS + COEFF_BASE_RANGE {
                quant = (self.golomb()? + u32::from(NUM_BASE_LEVELS + COEFF_BASE_RANGE)) & 0xf_ffff;
            }
            if c == 0 && quant > 0 {
                dc_category = if sign { 1 } else { 2 };
            }
            cul_level += quant;
        }
        Ok(cul_level.min(u32::from(CUL_LEVEL)) as u8 | dc_category << 6)
    }

    /// `golomb_length_bit` and `golomb_data_bit`: by how much a coefficient is above the largest without them.
    #[cold]
    fn golomb(&mut self) -> Result<u32> {
        let mut length = 1;
        while !self.d.read_bool() {
            length += 1;
            if length > 20 {
                return Err(Error::corrupt("a coefficient has more than 20 bits", self.d.tell()));
            }
        }
        Ok(1 << (length - 1) | self.d.read_literal(length - 1))
    }
}

/// `coeff_br`, repeated while it is as large as can be.
#[inline(always)]
fn read_br(d: &mut SymbolDecoder, cdf: &mut [u16; BR_CDF_SIZE + 1]) -> u8 {
    let mut level = 0;
    for _ in 0..usize::from(COEFF_BASE_RANGE) / (BR_CDF_SIZE - 1) {
        let coeff_br = d.read_symbol(cdf);
        level += coeff_br as u8;
        if coeff_br < BR_CDF_SIZE - 1 {
            break;
        }
    }
    level
}

/// `get_coeff_base_ctx` (8.3.2) of a coefficient that is not the last.
#[inline(always)]
fn base_ctx<const CLASS: usize>(levels: &Levels, entry: &ScanEntry, stride: usize) -> usize {
    if CLASS == TxClass::TwoD as usize && entry.position == 0 {
        return 0;
    }
    // Sig_Ref_Diff_Offset
    let offsets = match CLASS {
        0 => [1, stride, stride + 1, 2, 2 * stride],
        1 => [1, stride, 2, 3, 4],
        _ => [1, stride, 2 * stride, 3 * stride, 4 * stride],
    };
    let mag: u8 = offsets.iter().map(|offset| levels[(usize::from(entry.position) + offset) % LEVELS].min(3)).sum();
    usize::from(((mag + 1) >> 1).min(4) + entry.base_offset)
}

/// The context of `coeff_br` (8.3.2).
#[inline(always)]
fn br_ctx<const CLASS: usize>(levels: &Levels, entry: &ScanEntry, stride: usize) -> usize {
    // Mag_Ref_Offset_With_Tx_Class
    let offsets = match CLASS {
        0 => [1, stride, stride + 1],
        1 => [1, stride, 2],
        _ => [1, stride, 2 * stride],
    };
    let mag: u8 = offsets.iter().map(|offset| levels[(usize::from(entry.position) + offset) % LEVELS]).sum();
    usize::from(((mag + 1) >> 1).min(6) + entry.br_offset)
}

#[cfg(test)]
mod tests {
    use super::super::cdfs::Cdfs;
    use super::super::scan::PADDING;
    use super::super::tx_size::*;
    use super::*;
    use crate::random::Random;

    const COEFF_BASE_CTX_OFFSET: [[[usize; 5]; 5]; 3] = [
        [[0, 1, 6, 6, 21], [1, 6, 6, 21, 21], [6, 6, 21, 21, 21], [6, 21, 21, 21, 21], [21; 5]],
        [[0, 11, 11, 11, 11], [11; 5], [6, 6, 21, 21, 21], [6, 21, 21, 21, 21], [21; 5]],
        [[0, 16, 6, 6, 21], [16, 16, 6, 21, 21], [16, 16, 21, 21, 21], [16, 16, 21, 21, 21], [16, 16, 21, 21, 21]],
    ];
    const SIG_REF_DIFF_OFFSET: [[(usize, usize); 5]; 3] = [
        [(0, 1), (1, 0), (1, 1), (0, 2), (2, 0)],
        [(0, 1), (1, 0), (0, 2), (0, 3), (0, 4)],
        [(0, 1), (1, 0), (2, 0), (3, 0), (4, 0)],
    ];
    const MAG_REF_OFFSET_WITH_TX_CLASS: [[(usize, usize); 3]; 3] =
        [[(0, 1), (1, 0), (1, 1)], [(0, 1), (1, 0), (0, 2)], [(0, 1), (1, 0), (2, 0)]];

    /// A block's coefficients as the specification reads them, one by one in an array without padding.
    struct Specified<'a, 'b> {
        d: &'a mut SymbolDecoder<'b>,
        cdfs: &'a mut CoeffCdfs,
        tx_size: TxSize,
        tx_class: usize,
        width: usize,
        height: usize,
        quant: Vec<usize>,
    }

    impl Specified<'_, '_> {
        fn sum(&self, row: usize, col: usize, offsets: &[(usize, usize)], most: usize) -> usize {
            let places = offsets.iter().map(|&(down, right)| (row + down, col + right));
            let inside = places.filter(|&(row, col)| row < self.height && col < self.width);
            inside.map(|(row, col)| self.quant[row * self.width + col].min(most)).sum()
        }

        fn base_ctx(&self, row: usize, col: usize) -> usize {
            let mag = self.sum(row, col, &SIG_REF_DIFF_OFFSET[self.tx_class], 3);
            let ctx = mag.div_ceil(2).min(4);
            if self.tx_class > 0 {
                return ctx + 26 + 5 * (if self.tx_class == 2 { row } else { col }).min(2);
            }
            let shape = match self.tx_size.width4().cmp(&self.tx_size.height4()) {
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Less => 1,
                std::cmp::Ordering::Greater => 2,
            };
            if row + col == 0 { 0 } else { ctx + COEFF_BASE_CTX_OFFSET[shape][row.min(4)][col.min(4)] }
        }

        fn br_ctx(&self, row: usize, col: usize) -> usize {
            let mag = self.sum(row, col, &MAG_REF_OFFSET_WITH_TX_CLASS[self.tx_class], 15).div_ceil(2).min(6);
            let is_near = [row < 2 && col < 2, col == 0, row == 0][self.tx_class];
            mag + if row + col == 0 { 0 } else { [14, 7][usize::from(is_near)] }
        }

        fn read(&mut self, scan: &[(usize, usize)], ptype: usize, dc_sign_ctx: usize) -> (u32, u8) {
            let tx_sz_ctx = (self.tx_size.sqr() + self.tx_size.sqr_up()).div_ceil(2);
            let ctx = usize::from(self.tx_class > 0);
            let (d, cdfs) = (&mut *self.d, &mut *self.cdfs);
            let eob_pt = 1 + match scan.len() {
                16 => d.read_symbol(&mut cdfs.eob_pt_16[ptype][ctx]),
                32 => d.read_symbol(&mut cdfs.eob_pt_32[ptype][ctx]),
                64 => d.read_symbol(&mut cdfs.eob_pt_64[ptype][ctx]),
                128 => d.read_symbol(&mut cdfs.eob_pt_128[ptype][ctx]),
                256 => d.read_symbol(&mut cdfs.eob_pt_256[ptype][ctx]),
                512 => d.read_symbol(&mut cdfs.eob_pt_512[ptype]),
                _ => d.read_symbol(&mut cdfs.eob_pt_1024[ptype]),
            };
            let mut eob = if eob_pt < 2 { eob_pt } else { (1 << (eob_pt - 2)) + 1 };
            if eob_pt >= 3 {
                let eob_extra = d.read_flag(&mut cdfs.eob_extra[tx_sz_ctx][ptype][eob_pt - 3]);
                eob += usize::from(eob_extra) << (eob_pt - 3);
                for i in 1..eob_pt - 2 {
                    eob += usize::from(d.read_bool()) << (eob_pt - 3 - i);
                }
            }
            for c in (0..eob).rev() {
                let (row, col) = scan[c];
                let mut level = if c == eob - 1 {
                    let area = scan.len();
                    let ctx = usize::from(c > 0) + usize::from(c > area / 8) + usize::from(c > area / 4);
                    1 + self.d.read_symbol(&mut self.cdfs.coeff_base_eob[tx_sz_ctx][ptype][ctx])
                } else {
                    let ctx = self.base_ctx(row, col);
                    self.d.read_symbol(&mut self.cdfs.coeff_base[tx_sz_ctx][ptype][ctx])
                };
                for _ in 0..if level > 2 { 4 } else { 0 } {
                    let ctx = self.br_ctx(row, col);
                    let coeff_br = self.d.read_symbol(&mut self.cdfs.coeff_br[tx_sz_ctx.min(3)][ptype][ctx]);
                    level += coeff_br;
                    if coeff_br < 3 {
                        break;
                    }
                }
                self.quant[row * self.width + col] = level;
            }
            let (mut cul_level, mut dc_category) = (0, 0);
            for (c, &(row, col)) in scan[..eob].iter().enumerate() {
                let mut level = self.quant[row * self.width + col];
                if level == 0 {
                    continue;
                }
                let sign = match c {
                    0 => self.d.read_flag(&mut self.cdfs.dc_sign[ptype][dc_sign_ctx]),
                    _ => self.d.read_bool(),
                };
                if level > 14 {
                    let length = 1 + (0..19).take_while(|_| !self.d.read_bool()).count();
                    level = 14 + (1..length).fold(1, |x, _| 2 * x + usize::from(self.d.read_bool()));
                }
                if c == 0 {
                    dc_category = 2 - u8::from(sign);
                }
                cul_level += level;
            }
            (cul_level.min(63) as u32, dc_category)
        }
    }

    #[test]
    fn every_symbol_and_context_equals_the_specification() {
        let mut numbers = Random::new(1);
        let mut random = move || numbers.next() >> 16;
        let sizes = (0..5).flat_map(|width| (0..5).filter_map(move |height| TxSize::find(width, height)));
        for tx_size in sizes.collect::<Vec<_>>().repeat(6) {
            let classes = [TxClass::TwoD, TxClass::Horiz, TxClass::Vert];
            let is_1d = tx_size.sqr_up() <= TX_16X16.sqr_up();
            let bytes: Vec<u8> = (0..20_000).map(|_| random() as u8).collect();
            let (mut d, mut cdfs) = (SymbolDecoder::init_symbol(&bytes, false).unwrap(), Cdfs::init(100).coeff);
            let (mut specified_d, mut specified_cdfs) = (d.clone(), cdfs.clone());
            let mut levels = NO_LEVELS;
            for class in classes.into_iter().take(if is_1d { 3 } else { 1 }) {
                let (ptype, dc_sign_ctx) = (random() as usize % 2, random() as usize % 3);
                let scan = get_scan(tx_size, class);
                let place = |entry: &ScanEntry| usize::from(entry.position);
                let places = scan.entries.iter().map(|e| (place(e) / scan.stride, place(e) % scan.stride));
                let mut specified = Specified {
                    d: &mut specified_d,
                    cdfs: &mut specified_cdfs,
                    tx_size,
                    tx_class: class as usize,
                    width: scan.stride - PADDING,
                    height: scan.length / scan.stride - PADDING,
                    quant: vec![0; scan.entries.len()],
                };
                let (cul_level, category) = specified.read(&places.collect::<Vec<_>>(), ptype, dc_sign_ctx);
                let mut reader = CoefReader { d: &mut d, cdfs: &mut cdfs, levels: &mut levels };
                let context = reader.read(tx_size, class, ptype, dc_sign_ctx).unwrap();
                assert_eq!((u32::from(context & CUL_LEVEL), dc_category(context)), (cul_level, category));
                assert_eq!((d.tell(), d.range()), (specified_d.tell(), specified_d.range()));
                assert!(cdfs == specified_cdfs, "contexts of {tx_size:?}, {class:?}");
                assert_eq!(levels, NO_LEVELS);
            }
        }
    }
}
