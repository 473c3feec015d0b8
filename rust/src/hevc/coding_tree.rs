//! Coding tree units (7.3.8.2 to 7.3.8.4), the quantisation groups in them, and where their bits are charged to.

use super::contexts::{self, self as ctx, Contexts};
use super::picture::Picture;
use super::pps::Pps;
use super::residual::{StatCoeff, Tools};
use super::slice_header::SliceHeader;
use super::sps::Sps;
use crate::cabac::Cabac;
use crate::error::Result;
use crate::map::{Kind, Syntax};

/// A rectangle of luma samples.
#[derive(Debug, Clone, Copy)]
pub struct Area {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

impl Area {
    pub fn square(x: u32, y: u32, log2_size: u32) -> Self {
        Self { x, y, width: 1 << log2_size, height: 1 << log2_size }
    }
}

/// `INTRA_DC` (Table 8-1), which also stands for all blocks without an intra mode of their own (8.4.2).
pub const INTRA_DC: u8 = 1;

/// `slice::fill` for what is mostly one entry or two, where a call of `memset` would take longer than all the rest.
#[inline(always)]
pub fn fill_short<T: Copy>(line: &mut [T], value: T) {
    match line {
        [a] => *a = value,
        [a, b] => (*a, *b) = (value, value),
        line => line.fill(value),
    }
}

/// One over the number of 4x4 cells in a square block, by the logarithm of its size.
const PER_CELL: [f32; 8] = [0.0, 0.0, 1.0, 0.25, 0.0625, 0.015625, 0.00390625, 0.0];

/// Bit of a neighbour's entry in `above` and `left` that tells `cu_skip_flag`; the rest is `CtDepth`.
pub const SKIPPED: u8 = 1 << 2;

/// The parser of a slice segment's coding tree units.
pub struct CodingTree<'a> {
    pub picture: &'a mut Picture,
    pub sps: &'a Sps,
    pub pps: &'a Pps,
    pub slice: &'a SliceHeader,
    pub bytes: &'a [u8],
    pub engine: Cabac<'a>,
    pub contexts: Contexts,
    pub stat_coeff: StatCoeff,
    pub palette_predictor_size: usize,
    /// Where the bits that are yet to be charged begin.
    pub mark: usize,
    pub tools: Tools,
    pub chroma_array_type: u8,
    /// The range extensions change how residuals are parsed.
    pub has_extended_residuals: bool,
    pub unit: Unit,
    /// Neighbours to the left within the CTU's rows: coding blocks every 8 samples, intra modes every 4.
    pub left: [u8; 8],
    pub left_modes: [u8; 16],
    /// Intra modes above, which count within a CTU only (8.4.2).
    pub above_modes: [u8; 16],
    /// Some of the intra modes around are not DC.
    pub has_modes: bool,
    pub quantisation: Quantisation,
}

/// What one coding tree unit has gathered.
#[derive(Default)]
pub struct Unit {
    pub bits: [u32; 4],
    /// `Cabac::unspent` where the unit began, and what PCM blocks left of it.
    unspent: f32,
    pub kind: Option<Kind>,
    qp_sum: i32,
    qp_weight: i32,
}

/// The quantisation group at hand (7.4.9.14, 8.6.1).
pub struct Quantisation {
    pub is_cu_qp_delta_coded: bool,
    pub is_cu_chroma_qp_offset_coded: bool,
    pub cu_qp_delta_val: i32,
    qp_y_pred: i32,
    /// `QpY` of the coding units to the left and above within the CTU, every 8 samples.
    left: [i8; 8],
    above: [i8; 8],
}

impl<'a> CodingTree<'a> {
    pub fn new(
        picture: &'a mut Picture,
        sps: &'a Sps,
        pps: &'a Pps,
        slice: &'a SliceHeader,
        bytes: &'a [u8],
        data_start: usize,
    ) -> Result<Self> {
        let engine = Cabac::new(bytes, data_start)?;
        let has_precision = sps.range.extended_precision_processing_flag;
        let log2_transform_range = |bit_depth: u32| if has_precision { 15.max(bit_depth + 6) } else { 15 };
        let tools = Tools {
            sign_data_hiding_enabled_flag: pps.sign_data_hiding_enabled_flag,
            log2_max_transform_skip_size: if pps.transform_skip_enabled_flag {
                pps.log2_max_transform_skip_size
            } else {
                0
            },
            range: sps.range,
            log2_transform_range: [sps.bit_depth_luma, sps.bit_depth_chroma].map(log2_transform_range),
        };
        Ok(Self {
            picture,
            sps,
            pps,
            slice,
            bytes,
            mark: engine.tell(),
            engine,
            contexts: contexts::initial(slice.slice_type, slice.cabac_init_flag, slice.slice_qp_y),
            stat_coeff: StatCoeff::default(),
            palette_predictor_size: 0,
            tools,
            chroma_array_type: sps.chroma_array_type(),
            has_extended_residuals: sps.range.changes_residuals(),
            unit: Unit::default(),
            left: [0; 8],
            left_modes: [INTRA_DC; 16],
            above_modes: [INTRA_DC; 16],
            has_modes: false,
            quantisation: Quantisation {
                is_cu_qp_delta_coded: false,
                is_cu_chroma_qp_offset_coded: false,
                cu_qp_delta_val: 0,
                qp_y_pred: slice.slice_qp_y,
                left: [0; 8],
                above: [0; 8],
            },
        })
    }

    /// A context-coded bin.
    #[inline(always)]
    pub fn bin(&mut self, ctx_idx: usize) -> bool {
        self.engine.decision(self.contexts.at(ctx_idx))
    }

    /// A truncated unary value of context-coded bins, `ctx_idx` for each from its index.
    #[inline(always)]
    pub fn unary(&mut self, c_max: u32, ctx_idx: impl Fn(u32) -> usize) -> u32 {
        let mut value = 0;
        while value < c_max && self.bin(ctx_idx(value)) {
            value += 1;
        }
        value
    }

    /// Charges the bits consumed since the last call to a kind of syntax; gives them per cell of their block.
    #[inline(always)]
    pub fn charge(&mut self, syntax: Syntax, log2_size: u32) -> f32 {
        self.take_bits(syntax) as f32 * PER_CELL[log2_size as usize & 7]
    }

    #[inline(always)]
    pub fn take_bits(&mut self, syntax: Syntax) -> u32 {
        let now = self.engine.tell();
        let bits = (now - self.mark) as u32;
        self.mark = now;
        self.unit.bits[syntax as usize] += bits;
        bits
    }

    /// Adds `share` bits to each cell of an area, which lies within the picture.
    #[inline]
    pub fn spread(&mut self, area: Area, share: f32) {
        if share == 0.0 {
            return;
        }
        let Area { x, y, width, height } = area;
        let [row, column, height, width] = [y, x, height, width].map(|samples| (samples >> 2) as usize);
        self.picture.map.cells.add(row, column, height, width, share);
    }

    pub fn ctb_origin(&self, rs: usize) -> (u32, u32) {
        let size = self.sps.ctb_log2_size_y;
        let width = self.picture.scan.width;
        (((rs % width) as u32) << size, ((rs / width) as u32) << size)
    }

    /// `coding_tree_unit()` (7.3.8.2).
    pub fn coding_tree_unit(&mut self, rs: usize) -> Result<()> {
        let (x, y) = self.ctb_origin(rs);
        let scan = &self.picture.scan;
        let is_available = |other: usize| {
            self.picture.slice_addr_rs[other] == self.slice.slice_addr_rs as u32 && scan.is_same_tile(rs, other)
        };
        let has_left = x > 0 && is_available(rs - 1);
        let has_above = y > 0 && is_available(rs - scan.width);
        self.unit = Unit { unspent: self.engine.unspent(), ..Unit::default() };
        if !has_left {
            // What an unavailable neighbour stands for: depth 0, not skipped, no intra mode.
            self.left = [0; 8];
            self.left_modes = [INTRA_DC; 16];
        }
        if !has_above {
            let columns = 1 << (self.sps.ctb_log2_size_y - 3);
            let first = (x >> 3) as usize;
            self.picture.above[first..first + columns].fill(0);
        }
        self.above_modes = [INTRA_DC; 16];
        self.has_modes = self.left_modes != [INTRA_DC; 16];
        let mut share = 0.0;
        if self.slice.slice_sao_luma_flag || self.slice.slice_sao_chroma_flag {
            self.sao(has_left, has_above);
            share = self.charge_unit(x, y);
        }
        self.coding_quadtree(x, y, self.sps.ctb_log2_size_y, 0, share)
    }

    /// Charges syntax of the whole unit; gives it per cell of what lies within the picture.
    pub fn charge_unit(&mut self, x: u32, y: u32) -> f32 {
        let size = 1 << self.sps.ctb_log2_size_y;
        let width = size.min(self.sps.pic_width_in_luma_samples - x);
        let height = size.min(self.sps.pic_height_in_luma_samples - y);
        self.take_bits(Syntax::Mode) as f32 / ((width >> 2) * (height >> 2)) as f32
    }

    /// `sao()` (7.3.8.3).
    fn sao(&mut self, has_left: bool, has_above: bool) {
        let sao_merge_left_flag = has_left && self.bin(ctx::SAO_MERGE_FLAG);
        if sao_merge_left_flag {
            return;
        }
        let sao_merge_up_flag = has_above && self.bin(ctx::SAO_MERGE_FLAG);
        if sao_merge_up_flag {
            return;
        }
        if self.slice.slice_sao_luma_flag {
            let sao_type_idx_luma = self.sao_type_idx();
            self.sao_offsets(sao_type_idx_luma, self.sps.bit_depth_luma, true);
        }
        if self.slice.slice_sao_chroma_flag {
            let sao_type_idx_chroma = self.sao_type_idx();
            self.sao_offsets(sao_type_idx_chroma, self.sps.bit_depth_chroma, true);
            // Cr shares the type and the edge class of Cb.
            self.sao_offsets(sao_type_idx_chroma, self.sps.bit_depth_chroma, false);
        }
    }

    /// 0: not applied, 1: band offset, 2: edge offset.
    fn sao_type_idx(&mut self) -> u32 {
        if !self.bin(ctx::SAO_TYPE_IDX) { 0 } else { 1 + u32::from(self.engine.bypass()) }
    }

    fn sao_offsets(&mut self, sao_type_idx: u32, bit_depth: u32, has_eo_class: bool) {
        if sao_type_idx == 0 {
            return;
        }
        let c_max = (1 << (bit_depth.min(10) - 5)) - 1;
        let mut num_nonzero = 0;
        for _ in 0..4 {
            let mut sao_offset_abs = 0;
            while sao_offset_abs < c_max && self.engine.bypass() {
                sao_offset_abs += 1;
            }
            num_nonzero += u32::from(sao_offset_abs != 0);
        }
        if sao_type_idx == 1 {
            // sao_offset_sign, sao_band_position
            self.engine.bypass_bits(num_nonzero + 5);
        } else if has_eo_class {
            self.engine.bypass_bits(2);
        }
    }

    /// `coding_quadtree()` (7.3.8.4). `share` is what each cell has been charged by the nodes above.
    fn coding_quadtree(&mut self, x0: u32, y0: u32, log2_cb_size: u32, cqt_depth: u32, mut share: f32) -> Result<()> {
        let size = 1 << log2_cb_size;
        let (width, height) = (self.sps.pic_width_in_luma_samples, self.sps.pic_height_in_luma_samples);
        let can_split = log2_cb_size > self.sps.min_cb_log2_size_y;
        let split_cu_flag = if x0 + size <= width && y0 + size <= height && can_split {
            let split = self.split_cu_flag(x0, y0, cqt_depth);
            share += self.charge(Syntax::Mode, log2_cb_size);
            split
        } else {
            can_split
        };
        self.begin_quantisation_group(x0, y0, log2_cb_size);
        if !split_cu_flag {
            return self.coding_unit(x0, y0, log2_cb_size, cqt_depth, share);
        }
        let half = size >> 1;
        for quarter in 0..4 {
            let (x, y) = (x0 + half * (quarter & 1), y0 + half * (quarter >> 1));
            if x < width && y < height {
                self.coding_quadtree(x, y, log2_cb_size - 1, cqt_depth + 1, share)?;
            }
        }
        Ok(())
    }

    fn split_cu_flag(&mut self, x0: u32, y0: u32, cqt_depth: u32) -> bool {
        let (left, above) = self.neighbours(x0, y0);
        let depth_of = |neighbour: u8| u32::from(neighbour & !SKIPPED);
        let inc = usize::from(depth_of(left) > cqt_depth) + usize::from(depth_of(above) > cqt_depth);
        self.bin(ctx::SPLIT_CU_FLAG + inc)
    }

    /// What is known of the coding blocks to the left and above (`SKIPPED` and `CtDepth`).
    #[inline(always)]
    pub fn neighbours(&self, x0: u32, y0: u32) -> (u8, u8) {
        (self.left[(y0 >> 3) as usize & 7], self.picture.above[(x0 >> 3) as usize])
    }

    /// Starts a quantisation group where the quadtree reaches its size, and predicts its QP (8.6.1).
    #[inline]
    fn begin_quantisation_group(&mut self, x: u32, y: u32, log2_size: u32) {
        let ctb_log2_size = self.sps.ctb_log2_size_y;
        if self.pps.cu_qp_delta_enabled_flag && log2_size + self.pps.diff_cu_qp_delta_depth >= ctb_log2_size {
            let in_ctb = (1 << ctb_log2_size) - 1;
            let prev = self.picture.qp_y_prev;
            let group = &mut self.quantisation;
            group.is_cu_qp_delta_coded = false;
            group.cu_qp_delta_val = 0;
            let (column, row) = ((x >> 3) as usize & 7, (y >> 3) as usize & 7);
            let qp_y_a = if x & in_ctb == 0 { prev } else { i32::from(group.left[row]) };
            let qp_y_b = if y & in_ctb == 0 { prev } else { i32::from(group.above[column]) };
            group.qp_y_pred = (qp_y_a + qp_y_b + 1) >> 1;
        }
        if self.slice.cu_chroma_qp_offset_enabled_flag
            && log2_size + self.pps.diff_cu_chroma_qp_offset_depth >= ctb_log2_size
        {
            self.quantisation.is_cu_chroma_qp_offset_coded = false;
        }
    }

    /// Derives `QpY` of a coding unit (8-283) and weighs it into the unit's mean.
    #[inline(always)]
    pub fn finish_quantisation(&mut self, x0: u32, y0: u32, log2_cb_size: u32) {
        let blocks = 1usize << (log2_cb_size - 3);
        let mut qp_y = self.slice.slice_qp_y;
        if self.pps.cu_qp_delta_enabled_flag {
            let group = &mut self.quantisation;
            let qp_bd_offset_y = 6 * (self.sps.bit_depth_luma as i32 - 8);
            // The remainder of 8-283, of a sum that is less than one divisor away from its range.
            let (lowest, count) = (-qp_bd_offset_y, 52 + qp_bd_offset_y);
            qp_y = match group.qp_y_pred + group.cu_qp_delta_val {
                sum if sum < lowest => sum + count,
                sum if sum >= lowest + count => sum - count,
                sum => sum,
            };
            let (column, row) = ((x0 >> 3) as usize & 7, (y0 >> 3) as usize & 7);
            fill_short(&mut group.left[row..row + blocks], qp_y as i8);
            fill_short(&mut group.above[column..column + blocks], qp_y as i8);
            self.picture.qp_y_prev = qp_y;
        }
        let weight = (blocks * blocks) as i32;
        self.unit.qp_sum += qp_y * weight;
        self.unit.qp_weight += weight;
    }

    /// Starts the arithmetic decoder anew within a unit, at a byte.
    pub fn restart_engine(&mut self, start: usize) -> Result<()> {
        self.unit.unspent -= self.engine.unspent();
        self.engine = Cabac::new(self.bytes, start)?;
        self.unit.unspent += self.engine.unspent();
        self.mark = self.engine.tell();
        Ok(())
    }

    /// Hands a parsed unit over to the map.
    pub fn write_unit(&mut self, rs: usize) {
        let (unit, map) = (&self.unit, &mut self.picture.map);
        let bits: u32 = unit.bits.iter().sum();
        for (plane, &bits) in map.syntax.iter_mut().zip(&unit.bits) {
            plane[rs] = bits;
        }
        map.information[rs] = bits as f32 + self.engine.unspent() - unit.unspent;
        map.kind[rs] = unit.kind.unwrap_or(Kind::Skip) as u8;
        let weight = unit.qp_weight.max(1);
        map.qp[rs] = (2 * unit.qp_sum + weight).div_euclid(2 * weight) as _;
    }
}
