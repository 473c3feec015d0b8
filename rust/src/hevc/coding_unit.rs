//! Coding units (7.3.8.5) and their intra prediction modes (8.4.2, 8.4.3).

use super::coding_tree::{Area, CodingTree, INTRA_DC, SKIPPED, fill_short};
use super::contexts as ctx;
use super::slice_header::SliceType;
use crate::cabac::START_UP_BITS;
use crate::error::{Error, Result};
use crate::map::{Kind, Syntax};

/// `PartMode` (Table 7-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub enum PartMode {
    Part2Nx2N,
    Part2NxN,
    PartNx2N,
    PartNxN,
    Part2NxnU,
    Part2NxnD,
    PartnLx2N,
    PartnRx2N,
}

/// What the syntax below a coding unit depends on.
#[derive(Debug, Clone, Copy)]
pub struct CodingUnit {
    pub x0: u32,
    pub y0: u32,
    pub log2_cb_size: u32,
    pub cqt_depth: u32,
    pub is_intra: bool,
    pub cu_transquant_bypass_flag: bool,
    pub part_mode: PartMode,
    /// Of each quarter with `PartNxN`, else four times the same.
    pub intra_pred_mode_y: [u8; 4],
    pub intra_pred_mode_c: [u8; 4],
    /// `intra_chroma_pred_mode == 4`: chroma goes in the direction of luma.
    pub is_chroma_derived: [bool; 4],
}

impl CodingUnit {
    pub fn area(&self) -> Area {
        Area::square(self.x0, self.y0, self.log2_cb_size)
    }

    pub fn intra_split_flag(&self) -> bool {
        self.is_intra && self.part_mode == PartMode::PartNxN
    }
}

impl CodingTree<'_> {
    /// `coding_unit()`.
    pub fn coding_unit(&mut self, x0: u32, y0: u32, log2_cb_size: u32, cqt_depth: u32, mut share: f32) -> Result<()> {
        let cu_transquant_bypass_flag =
            self.pps.transquant_bypass_enabled_flag && self.bin(ctx::CU_TRANSQUANT_BYPASS_FLAG);
        let is_inter_slice = self.slice.slice_type != SliceType::I;
        let cu_skip_flag = is_inter_slice && self.cu_skip_flag(x0, y0);
        if cu_skip_flag {
            share += self.charge(Syntax::Mode, log2_cb_size);
            self.merge_idx();
            share += self.charge(Syntax::Motion, log2_cb_size);
            self.spread(Area::square(x0, y0, log2_cb_size), share);
            self.leave_behind(x0, y0, log2_cb_size, cqt_depth as u8 | SKIPPED, Kind::Skip);
            self.store_modes(x0, y0, 1 << log2_cb_size, INTRA_DC);
            return Ok(());
        }
        let mut cu = CodingUnit {
            x0,
            y0,
            log2_cb_size,
            cqt_depth,
            is_intra: !is_inter_slice || self.bin(ctx::PRED_MODE_FLAG),
            cu_transquant_bypass_flag,
            part_mode: PartMode::Part2Nx2N,
            intra_pred_mode_y: [INTRA_DC; 4],
            intra_pred_mode_c: [INTRA_DC; 4],
            is_chroma_derived: [false; 4],
        };
        let palette_mode_flag = cu.is_intra
            && self.sps.scc.palette_mode_enabled_flag
            && log2_cb_size <= self.sps.max_tb_log2_size_y
            && self.bin(ctx::PALETTE_MODE_FLAG);
        let is_pcm = if palette_mode_flag {
            self.palette_syntax(&cu, share)?;
            false
        } else {
            self.predicted_coding_unit(&mut cu, share)?
        };
        let kind = match cu.is_intra {
            _ if is_pcm || cu_transquant_bypass_flag => Kind::Raw,
            true => Kind::Intra,
            false => Kind::Inter,
        };
        self.leave_behind(x0, y0, log2_cb_size, cqt_depth as u8, kind);
        if cu.intra_pred_mode_y == [INTRA_DC; 4] {
            // Units without intra modes of their own count as DC.
            self.store_modes(x0, y0, 1 << log2_cb_size, INTRA_DC);
        }
        Ok(())
    }

    /// The part from `part_mode` on; tells whether the unit is PCM.
    fn predicted_coding_unit(&mut self, cu: &mut CodingUnit, mut share: f32) -> Result<bool> {
        if !cu.is_intra || cu.log2_cb_size == self.sps.min_cb_log2_size_y {
            cu.part_mode = self.part_mode(cu);
        }
        let mut is_merged_2nx2n = false;
        if cu.is_intra {
            if self.pcm_flag(cu) {
                self.pcm_sample(cu, share)?;
                return Ok(true);
            }
            self.intra_modes(cu);
        } else {
            share += self.charge(Syntax::Mode, cu.log2_cb_size);
            is_merged_2nx2n = self.prediction_units(cu)? && cu.part_mode == PartMode::Part2Nx2N;
        }
        let rqt_root_cbf = cu.is_intra || is_merged_2nx2n || self.bin(ctx::RQT_ROOT_CBF);
        share += self.charge(Syntax::Mode, cu.log2_cb_size);
        if rqt_root_cbf {
            self.transform_tree(cu, share)?;
        } else {
            self.spread(cu.area(), share);
        }
        Ok(false)
    }

    /// Leaves behind what later neighbours look at, intra modes aside; `entry` is that of `neighbours`.
    #[inline]
    fn leave_behind(&mut self, x0: u32, y0: u32, log2_cb_size: u32, entry: u8, kind: Kind) {
        let blocks = 1usize << (log2_cb_size - 3);
        let (row, column) = ((y0 >> 3) as usize & 7, (x0 >> 3) as usize);
        fill_short(&mut self.left[row..row + blocks], entry);
        fill_short(&mut self.picture.above[column..column + blocks], entry);
        self.unit.kind = self.unit.kind.max(Some(kind));
        self.finish_quantisation(x0, y0, log2_cb_size);
    }

    fn cu_skip_flag(&mut self, x0: u32, y0: u32) -> bool {
        let (left, above) = self.neighbours(x0, y0);
        let inc = usize::from(left & SKIPPED != 0) + usize::from(above & SKIPPED != 0);
        self.bin(ctx::CU_SKIP_FLAG + inc)
    }

    /// `part_mode` (9.3.3.7).
    fn part_mode(&mut self, cu: &CodingUnit) -> PartMode {
        if self.bin(ctx::PART_MODE) {
            return PartMode::Part2Nx2N;
        }
        if cu.is_intra {
            return PartMode::PartNxN;
        }
        let is_horizontal = self.bin(ctx::PART_MODE + 1);
        if cu.log2_cb_size == self.sps.min_cb_log2_size_y {
            return match is_horizontal {
                true => PartMode::Part2NxN,
                false if cu.log2_cb_size == 3 || self.bin(ctx::PART_MODE + 2) => PartMode::PartNx2N,
                false => PartMode::PartNxN,
            };
        }
        let is_symmetric = !self.sps.amp_enabled_flag || self.bin(ctx::PART_MODE + 3);
        match (is_horizontal, is_symmetric) {
            (true, true) => PartMode::Part2NxN,
            (false, true) => PartMode::PartNx2N,
            (true, false) if self.engine.bypass() => PartMode::Part2NxnD,
            (true, false) => PartMode::Part2NxnU,
            (false, false) if self.engine.bypass() => PartMode::PartnRx2N,
            (false, false) => PartMode::PartnLx2N,
        }
    }

    fn pcm_flag(&mut self, cu: &CodingUnit) -> bool {
        match self.sps.pcm {
            Some(pcm) if cu.part_mode == PartMode::Part2Nx2N => {
                (pcm.log2_min_cb_size..=pcm.log2_max_cb_size).contains(&cu.log2_cb_size) && self.engine.terminate()
            }
            _ => false,
        }
    }

    /// `pcm_sample()` (7.3.8.7) between alignment bits and a new start of the arithmetic decoder (9.3.2.6).
    fn pcm_sample(&mut self, cu: &CodingUnit, mut share: f32) -> Result<()> {
        let Some(pcm) = self.sps.pcm else { return Ok(()) };
        share += self.charge(Syntax::Mode, cu.log2_cb_size);
        let start = self.engine.tell();
        if self.bytes.get((start - 1) / 8).is_none_or(|byte| byte << ((start - 1) % 8) != 0x80) {
            return Err(Error::corrupt("PCM samples do not begin where they must", start));
        }
        let aligned = start.next_multiple_of(8);
        let luma_samples = 1usize << (2 * cu.log2_cb_size);
        let chroma_samples = match self.chroma_array_type {
            0 => 0,
            1 => luma_samples / 2,
            2 => luma_samples,
            _ => luma_samples * 2,
        };
        let luma_bits = luma_samples * pcm.bit_depth_luma as usize;
        let chroma_bits = chroma_samples * pcm.bit_depth_chroma as usize;
        let end = aligned + luma_bits + chroma_bits;
        if end > self.bytes.len() * 8 {
            return Err(Error::corrupt("PCM samples run past the end of their data", aligned));
        }
        self.unit.bits[Syntax::Luma as usize] += luma_bits as u32;
        self.unit.bits[Syntax::Chroma as usize] += chroma_bits as u32;
        self.spread(cu.area(), share + (luma_bits + chroma_bits) as f32 / (luma_samples / 16) as f32);
        self.picture.map.overhead_bits += (aligned - start + START_UP_BITS) as u64;
        // 64 samples or more of each depth: the end is aligned again.
        self.restart_engine(end / 8)
    }

    /// The intra prediction modes of all parts, luma first.
    fn intra_modes(&mut self, cu: &mut CodingUnit) {
        let parts = if cu.part_mode == PartMode::PartNxN { 4 } else { 1 };
        let mut prev_intra_luma_pred_flag = [false; 4];
        for flag in &mut prev_intra_luma_pred_flag[..parts] {
            *flag = self.bin(ctx::PREV_INTRA_LUMA_PRED_FLAG);
        }
        let part_size = 1 << (cu.log2_cb_size - u32::from(parts == 4));
        for (part, flag) in prev_intra_luma_pred_flag[..parts].iter().enumerate() {
            let (x, y) = (cu.x0 + part_size * (part as u32 & 1), cu.y0 + part_size * (part as u32 >> 1));
            let candidates = self.candidate_modes(x, y);
            let mode = if *flag {
                // mpm_idx
                let first = self.engine.bypass();
                candidates[if first { 1 + usize::from(self.engine.bypass()) } else { 0 }]
            } else {
                let rem_intra_luma_pred_mode = self.engine.bypass_bits(5) as u8;
                remaining_mode(candidates, rem_intra_luma_pred_mode)
            };
            self.store_modes(x, y, part_size, mode);
            cu.intra_pred_mode_y[part] = mode;
        }
        if parts == 1 {
            cu.intra_pred_mode_y = [cu.intra_pred_mode_y[0]; 4];
        }
        self.intra_chroma_modes(cu, parts);
    }

    fn intra_chroma_modes(&mut self, cu: &mut CodingUnit, parts: usize) {
        let chroma_parts = match self.chroma_array_type {
            0 => return,
            3 => parts,
            _ => 1,
        };
        for part in 0..chroma_parts {
            let luma = cu.intra_pred_mode_y[part];
            let is_derived = !self.bin(ctx::INTRA_CHROMA_PRED_MODE);
            let mode = if is_derived { luma } else { chroma_mode(self.engine.bypass_bits(2), luma) };
            cu.intra_pred_mode_c[part] =
                if self.chroma_array_type == 2 { MODE_IDC_422[usize::from(mode)] } else { mode };
            cu.is_chroma_derived[part] = is_derived;
        }
        if chroma_parts == 1 {
            cu.intra_pred_mode_c = [cu.intra_pred_mode_c[0]; 4];
            cu.is_chroma_derived = [cu.is_chroma_derived[0]; 4];
        }
    }

    /// `candModeList` (8.4.2).
    fn candidate_modes(&self, x: u32, y: u32) -> [u8; 3] {
        const PLANAR: u8 = 0;
        const VERTICAL: u8 = 26;
        let a = self.left_modes[(y >> 2) as usize & 15];
        let b = self.above_modes[(x >> 2) as usize & 15];
        match (a, b) {
            _ if a == b && a < 2 => [PLANAR, INTRA_DC, VERTICAL],
            _ if a == b => [a, 2 + (a + 29) % 32, 2 + (a - 2 + 1) % 32],
            _ if a != PLANAR && b != PLANAR => [a, b, PLANAR],
            _ if a != INTRA_DC && b != INTRA_DC => [a, b, INTRA_DC],
            _ => [a, b, VERTICAL],
        }
    }

    #[inline]
    fn store_modes(&mut self, x: u32, y: u32, size: u32, mode: u8) {
        if mode == INTRA_DC && !self.has_modes {
            return;
        }
        self.has_modes = true;
        let (row, column, blocks) = ((y >> 2) as usize & 15, (x >> 2) as usize & 15, (size >> 2) as usize);
        fill_short(&mut self.left_modes[row..row + blocks], mode);
        fill_short(&mut self.above_modes[column..column + blocks], mode);
    }
}

/// The mode that is none of the candidates (8.4.2).
fn remaining_mode(mut candidates: [u8; 3], rem_intra_luma_pred_mode: u8) -> u8 {
    candidates.sort_unstable();
    candidates.iter().fold(rem_intra_luma_pred_mode, |mode, &candidate| mode + u8::from(mode >= candidate))
}

/// `modeIdc` where `intra_chroma_pred_mode` is not 4 (Table 8-2).
fn chroma_mode(intra_chroma_pred_mode: u32, luma: u8) -> u8 {
    const INTRA_ANGULAR34: u8 = 34;
    let mode = [0, 26, 10, INTRA_DC][intra_chroma_pred_mode as usize & 3];
    if mode == luma { INTRA_ANGULAR34 } else { mode }
}

/// `IntraPredModeC` of 4:2:2 pictures by `modeIdc` (Table 8-3).
#[rustfmt::skip]
static MODE_IDC_422: [u8; 35] = [
    0, 1, 2, 2, 2, 2, 3, 5, 7, 8, 10, 11, 13, 15, 16, 18, 19, 20,
    21, 22, 23, 23, 24, 24, 25, 25, 26, 27, 27, 28, 28, 29, 29, 30, 31,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remaining_modes_are_those_that_are_no_candidates() {
        let candidates = [26, 0, 1];
        let mut modes: Vec<u8> = (0..32).map(|rem| remaining_mode(candidates, rem)).collect();
        modes.extend(candidates);
        modes.sort_unstable();
        assert_eq!(modes, (0..35).collect::<Vec<_>>());
    }

    #[test]
    fn chroma_modes_avoid_the_luma_mode() {
        assert_eq!([0, 1, 2, 3].map(|m| chroma_mode(m, 10)), [0, 26, 34, 1]);
    }
}
