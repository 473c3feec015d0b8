//! Palette mode (7.3.8.13): colours by index. Only counts and indices matter to the parse, never the colours.

use super::coding_tree::CodingTree;
use super::coding_unit::CodingUnit;
use super::contexts as ctx;
use crate::error::{Error, Result};
use crate::map::Syntax;

/// Coding units in palette mode are at most as large as the largest transform block.
const MAX_SAMPLES: usize = 32 * 32;

/// A coding unit's index map while it is filled, in traverse scan order (6.5.6).
struct IndexMap {
    indices: [u8; MAX_SAMPLES],
    log2_size: u32,
    max_palette_index: u32,
}

impl CodingTree<'_> {
    /// `PredictorPaletteSize` where context variables start anew (9.3.2.3).
    pub fn initial_palette_predictor_size(&self) -> usize {
        let from_pps = self.pps.scc.num_palette_predictor_initializers;
        let size = from_pps.unwrap_or(self.sps.scc.num_palette_predictor_initializers);
        size.min(self.sps.scc.palette_max_predictor_size)
    }

    /// `palette_syntax()`.
    pub fn palette_syntax(&mut self, cu: &CodingUnit, mut share: f32) -> Result<()> {
        share += self.charge(Syntax::Mode, cu.log2_cb_size);
        let palette_size = self.palette_entries()?;
        let palette_escape_val_present_flag = palette_size == 0 || self.engine.bypass();
        let escape = u32::from(palette_escape_val_present_flag);
        let Some(max_palette_index) = (palette_size as u32 + escape).checked_sub(1) else {
            return Err(Error::corrupt("palette without entries", self.engine.tell()));
        };
        let mut map = IndexMap { indices: [0; MAX_SAMPLES], log2_size: cu.log2_cb_size, max_palette_index };
        let mut coded = CodedIndices::default();
        let mut palette_transpose_flag = false;
        if max_palette_index > 0 {
            coded = self.palette_indices(&map)?;
            palette_transpose_flag = self.bin(ctx::PALETTE_TRANSPOSE_FLAG);
        }
        if palette_escape_val_present_flag {
            self.delta_qp()?;
            self.chroma_qp_offset(cu.cu_transquant_bypass_flag);
        }
        if max_palette_index > 0 {
            self.palette_runs(&mut map, &coded)?;
        }
        share += self.charge(Syntax::Luma, cu.log2_cb_size);
        if palette_escape_val_present_flag {
            share += self.palette_escapes(cu, &map, palette_transpose_flag)?;
        }
        self.spread(cu.area(), share);
        Ok(())
    }

    /// The palette itself: entries taken over from the predictor, and new ones. Gives its size.
    fn palette_entries(&mut self) -> Result<usize> {
        let scc = &self.sps.scc;
        let mut num_predicted = 0;
        let mut predictor_entry_idx = 0;
        while predictor_entry_idx < self.palette_predictor_size && num_predicted < scc.palette_max_size {
            let palette_predictor_run = self.exp_golomb(0)? as usize;
            if palette_predictor_run == 1 {
                break;
            }
            predictor_entry_idx += palette_predictor_run.saturating_sub(1);
            if predictor_entry_idx >= self.palette_predictor_size {
                return Err(Error::corrupt("palette_predictor_run out of range", self.engine.tell()));
            }
            num_predicted += 1;
            predictor_entry_idx += 1;
        }
        let mut num_signalled = 0;
        if num_predicted < scc.palette_max_size {
            num_signalled = self.exp_golomb(0)? as usize;
        }
        let size = num_predicted + num_signalled;
        if size > scc.palette_max_size {
            return Err(Error::corrupt("num_signalled_palette_entries out of range", self.engine.tell()));
        }
        let chroma_bits = if self.chroma_array_type == 0 { 0 } else { 2 * self.sps.bit_depth_chroma };
        for _ in 0..num_signalled {
            // new_palette_entries
            self.engine.bypass_bits(self.sps.bit_depth_luma);
            self.engine.bypass_bits(chroma_bits);
        }
        // 8.4.4.2.7: entries that were not taken over follow the new palette, as far as there is room.
        let unused = self.palette_predictor_size - num_predicted;
        self.palette_predictor_size = (size + unused).min(scc.palette_max_predictor_size);
        Ok(size)
    }

    /// `num_palette_indices_minus1`, each `palette_idx_idc` and `copy_above_indices_for_final_run_flag`.
    fn palette_indices(&mut self, map: &IndexMap) -> Result<CodedIndices> {
        let count = self.num_palette_indices(map.max_palette_index)?;
        if count > map.len() {
            return Err(Error::corrupt("num_palette_indices_minus1 out of range", self.engine.tell()));
        }
        let mut palette_idx_idc = vec![0; count];
        for (i, idx_idc) in palette_idx_idc.iter_mut().enumerate() {
            let c_max = map.max_palette_index - u32::from(i > 0);
            *idx_idc = if c_max > 0 { self.truncated_binary(c_max) } else { 0 };
        }
        // It shares the context variable of copy_above_palette_indices_flag.
        let copy_above_for_final_run = self.bin(ctx::COPY_ABOVE_PALETTE_INDICES_FLAG);
        Ok(CodedIndices { palette_idx_idc, copy_above_for_final_run })
    }

    /// `num_palette_indices_minus1 + 1` (9.3.3.14).
    fn num_palette_indices(&mut self, max_palette_index: u32) -> Result<usize> {
        let rice_param = 3 + ((max_palette_index + 1) >> 3);
        let mut prefix = 0;
        while prefix < 4 && self.engine.bypass() {
            prefix += 1;
        }
        if prefix < 4 {
            let suffix = self.long_bypass(rice_param)?;
            return Ok(((prefix << rice_param) + suffix) as usize + 1);
        }
        if rice_param + 1 > 24 {
            return Err(Error::corrupt("num_palette_indices_minus1 out of range", self.engine.tell()));
        }
        let suffix = self.exp_golomb(rice_param + 1)?;
        Ok(((4 << rice_param) + suffix) as usize + 1)
    }

    fn long_bypass(&mut self, n: u32) -> Result<u32> {
        if n > 24 {
            return Err(Error::corrupt("palette value out of range", self.engine.tell()));
        }
        Ok(self.engine.bypass_bits(n))
    }

    /// A truncated binary code of bypass bins (9.3.3.6).
    fn truncated_binary(&mut self, c_max: u32) -> u32 {
        let n = c_max + 1;
        let k = n.ilog2();
        let u = (1 << (k + 1)) - n;
        let value = self.engine.bypass_bits(k);
        if value < u { value } else { (value << 1 | u32::from(self.engine.bypass())) - u }
    }

    /// The runs of copied and equal indices, until the map is full.
    fn palette_runs(&mut self, map: &mut IndexMap, coded: &CodedIndices) -> Result<()> {
        let (len, width) = (map.len(), 1 << map.log2_size);
        let final_copy = usize::from(coded.copy_above_for_final_run);
        let mut indices = coded.palette_idx_idc.iter().copied();
        let mut scan_pos = 0;
        let mut previous_copied = false;
        while scan_pos < len {
            let mut copy_above = false;
            if scan_pos >= width && !previous_copied {
                copy_above = match indices.len() {
                    0 => true,
                    _ if scan_pos == len - 1 => false,
                    _ => self.bin(ctx::COPY_ABOVE_PALETTE_INDICES_FLAG),
                };
            }
            let idx_idc = if copy_above { 0 } else { indices.next().unwrap_or(0) };
            let remaining = indices.len();
            let left = len - scan_pos;
            let mut run = left;
            if remaining > 0 || copy_above != coded.copy_above_for_final_run {
                let Some(max_run_minus1) = left.checked_sub(1 + remaining + final_copy) else {
                    return Err(Error::corrupt("palette runs do not fit their block", self.engine.tell()));
                };
                run = 1 + self.palette_run_minus1(max_run_minus1 as u32, copy_above, idx_idc)? as usize;
            }
            if run > left {
                return Err(Error::corrupt("palette runs do not fit their block", self.engine.tell()));
            }
            let index = if copy_above { 0 } else { map.adjusted_index(scan_pos, idx_idc, previous_copied) };
            for at in scan_pos..scan_pos + run {
                map.indices[at] = if copy_above { map.indices[map.above(at)] } else { index };
            }
            scan_pos += run;
            previous_copied = copy_above;
        }
        Ok(())
    }

    /// `PaletteRunMinus1` from `palette_run_prefix` and `palette_run_suffix` (7.4.9.13).
    fn palette_run_minus1(&mut self, max: u32, copy_above: bool, idx_idc: u32) -> Result<u32> {
        if max == 0 {
            return Ok(0);
        }
        // Table 9-4x: by position of the bin; the first one of an index run by the index.
        let first = match idx_idc {
            0 => 0,
            1 | 2 => 1,
            _ => 2,
        };
        let incs = if copy_above { [5, 6, 6, 7, 7] } else { [first, 3, 3, 4, 4] };
        let c_max = max.ilog2() + 1;
        let mut prefix = self.unary(c_max.min(5), |bin_idx| ctx::PALETTE_RUN_PREFIX + incs[bin_idx as usize % 5]);
        if prefix == 5 {
            while prefix < c_max && self.engine.bypass() {
                prefix += 1;
            }
        }
        if prefix <= 1 {
            return Ok(prefix);
        }
        let prefix_offset = 1 << (prefix - 1);
        if max == prefix_offset {
            return Ok(prefix_offset);
        }
        let c_max = if prefix_offset << 1 > max { max - prefix_offset } else { prefix_offset - 1 };
        Ok(prefix_offset + self.truncated_binary(c_max))
    }

    /// `palette_escape_val` of each component, at the samples that it has. Gives their bits per cell.
    fn palette_escapes(&mut self, cu: &CodingUnit, map: &IndexMap, palette_transpose_flag: bool) -> Result<f32> {
        let mut share = 0.0;
        let components = if self.chroma_array_type == 0 { 1 } else { 3 };
        for c_idx in 0..components {
            for at in 0..map.len() {
                let (x, y) = map.position(at);
                let has_sample = match self.chroma_array_type {
                    _ if c_idx == 0 => true,
                    1 => x % 2 == 0 && y % 2 == 0,
                    2 if palette_transpose_flag => y % 2 == 0,
                    2 => x % 2 == 0,
                    _ => true,
                };
                if has_sample && u32::from(map.indices[at]) == map.max_palette_index {
                    self.palette_escape_val(cu, c_idx)?;
                }
            }
            let syntax = if c_idx == 0 { Syntax::Luma } else { Syntax::Chroma };
            share += self.charge(syntax, cu.log2_cb_size);
        }
        Ok(share)
    }

    /// `palette_escape_val`: the sample itself in lossless units, else a quantised value.
    fn palette_escape_val(&mut self, cu: &CodingUnit, c_idx: usize) -> Result<()> {
        if cu.cu_transquant_bypass_flag {
            let bit_depth = if c_idx == 0 { self.sps.bit_depth_luma } else { self.sps.bit_depth_chroma };
            self.engine.bypass_bits(bit_depth);
        } else {
            self.exp_golomb(3)?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct CodedIndices {
    palette_idx_idc: Vec<u32>,
    copy_above_for_final_run: bool,
}

impl IndexMap {
    fn len(&self) -> usize {
        1 << (2 * self.log2_size)
    }

    /// Traverse scan: rows from left to right and back in turn.
    fn position(&self, at: usize) -> (usize, usize) {
        let width = 1 << self.log2_size;
        let (x, y) = (at % width, at / width);
        (if y % 2 == 0 { x } else { width - 1 - x }, y)
    }

    /// Where the sample above lies in the scan.
    fn above(&self, at: usize) -> usize {
        let width = 1 << self.log2_size;
        let row_start = at - at % width;
        (row_start - 1) - at % width
    }

    /// `CurrPaletteIndex`: an index never repeats the one that a run before it has just ended with (7.4.9.13).
    fn adjusted_index(&self, scan_pos: usize, idx_idc: u32, previous_copied: bool) -> u8 {
        let Some(previous) = scan_pos.checked_sub(1) else { return idx_idc as u8 };
        let reference = if previous_copied { self.indices[self.above(scan_pos)] } else { self.indices[previous] };
        idx_idc as u8 + u8::from(idx_idc >= u32::from(reference))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_above_is_found_in_traverse_order() {
        let map = IndexMap { indices: [0; MAX_SAMPLES], log2_size: 3, max_palette_index: 1 };
        for at in 8..64 {
            let (x, y) = map.position(at);
            assert_eq!(map.position(map.above(at)), (x, y - 1));
        }
    }
}
