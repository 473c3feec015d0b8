//! Modes of intra blocks behind `y_mode`: angles, chroma, palettes, filters (5.11.7, 5.11.22, 5.11.42 on).

use super::block_size::{BLOCK_4X4, BLOCK_8X8};
use super::mode_grid::{ModeInfo, mode};
use super::tile::{Block, Tile};

const CFL_SIGN_ZERO: usize = 0;

impl Tile<'_> {
    /// What `intra_frame_mode_info` and `intra_block_mode_info` have in common.
    pub(super) fn intra_modes_behind_y_mode(&mut self, block: &mut Block) {
        let size = block.mode.mi_size;
        self.intra_angle_info(block, block.mode.y_mode);
        if block.has_chroma {
            self.uv_mode(block);
        }
        let allow_palette = self.frame.header.start.allow_screen_content_tools;
        if allow_palette && size >= BLOCK_8X8 && size.width() <= 64 && size.height() <= 64 {
            self.palette_mode_info(block);
        }
        self.filter_intra_mode_info(block);
    }

    fn uv_mode(&mut self, block: &mut Block) {
        let color = self.frame.sequence.color;
        let size = block.mode.mi_size;
        let cfl_allowed = if block.lossless {
            size.subsampled(color.subsampling_x, color.subsampling_y) == Some(BLOCK_4X4)
        } else {
            size.width().max(size.height()) <= 32
        };
        let y_mode = usize::from(block.mode.y_mode);
        block.mode.uv_mode = if cfl_allowed {
            self.d.read_symbol(&mut self.cdfs.uv_mode_cfl_allowed[y_mode])
        } else {
            self.d.read_symbol(&mut self.cdfs.uv_mode_cfl_not_allowed[y_mode])
        } as u8;
        if block.mode.uv_mode == mode::UV_CFL_PRED {
            self.read_cfl_alphas();
        }
        self.intra_angle_info(block, block.mode.uv_mode);
    }

    /// `intra_angle_info_y` and `intra_angle_info_uv` (5.11.42, 5.11.43).
    fn intra_angle_info(&mut self, block: &Block, intra_mode: u8) {
        let is_directional = (mode::V_PRED..=mode::D67_PRED).contains(&intra_mode);
        if is_directional && block.mode.mi_size >= BLOCK_8X8 {
            self.d.read_symbol(&mut self.cdfs.angle_delta[usize::from(intra_mode - mode::V_PRED)]);
        }
    }

    /// `read_cfl_alphas` (5.11.45).
    fn read_cfl_alphas(&mut self) {
        let cfl_alpha_signs = self.d.read_symbol(&mut self.cdfs.cfl_sign);
        let sign_u = (cfl_alpha_signs + 1) / 3;
        let sign_v = (cfl_alpha_signs + 1) % 3;
        if sign_u != CFL_SIGN_ZERO {
            self.d.read_symbol(&mut self.cdfs.cfl_alpha[(sign_u - 1) * 3 + sign_v]);
        }
        if sign_v != CFL_SIGN_ZERO {
            self.d.read_symbol(&mut self.cdfs.cfl_alpha[(sign_v - 1) * 3 + sign_u]);
        }
    }

    /// `filter_intra_mode_info` (5.11.24).
    fn filter_intra_mode_info(&mut self, block: &mut Block) {
        let size = block.mode.mi_size;
        if !self.frame.sequence.enable_filter_intra
            || block.mode.y_mode != mode::DC_PRED
            || block.mode.palette_size[0] != 0
            || size.width().max(size.height()) > 32
        {
            return;
        }
        block.use_filter_intra = self.d.read_flag(&mut self.cdfs.filter_intra[size.index()]);
        if block.use_filter_intra {
            block.filter_intra_mode = self.d.read_symbol(&mut self.cdfs.filter_intra_mode) as u8;
        }
    }

    /// `palette_mode_info` (5.11.46).
    fn palette_mode_info(&mut self, block: &mut Block) {
        let size = block.mode.mi_size;
        let bsize_ctx = (size.width4_log2() + size.height4_log2() - 2) as usize;
        if block.mode.y_mode == mode::DC_PRED {
            let has_palette =
                |neighbour: Option<ModeInfo>| usize::from(neighbour.is_some_and(|m| m.palette_size[0] > 0));
            let ctx = has_palette(block.above) + has_palette(block.left);
            if self.d.read_flag(&mut self.cdfs.palette_y_mode[bsize_ctx][ctx]) {
                let palette_size = self.d.read_symbol(&mut self.cdfs.palette_y_size[bsize_ctx]) + 2;
                self.read_palette_colors(block, 0, palette_size);
            }
        }
        if block.has_chroma && block.mode.uv_mode == mode::DC_PRED {
            let ctx = usize::from(block.mode.palette_size[0] > 0);
            if self.d.read_flag(&mut self.cdfs.palette_uv_mode[ctx]) {
                let palette_size = self.d.read_symbol(&mut self.cdfs.palette_uv_size[bsize_ctx]) + 2;
                self.read_palette_colors(block, 1, palette_size);
                self.skip_palette_colors_v(palette_size);
            }
        }
    }

    /// `palette_colors_y` or `palette_colors_u`.
    fn read_palette_colors(&mut self, block: &mut Block, plane: usize, palette_size: usize) {
        let bit_depth = u32::from(self.frame.sequence.color.bit_depth);
        let (cache, cache_n) = self.get_palette_cache(block, plane);
        let mut colors = [0; 8];
        let mut idx = 0;
        for &color in &cache[..cache_n] {
            if idx == palette_size {
                break;
            }
            let use_palette_color_cache = self.d.read_bool();
            if use_palette_color_cache {
                colors[idx] = color;
                idx += 1;
            }
        }
        if idx < palette_size {
            colors[idx] = self.d.read_literal(bit_depth) as u16;
            idx += 1;
        }
        if idx < palette_size {
            let mut palette_bits = bit_depth - 3 + self.d.read_literal(2);
            // Colours of luma differ, those of chroma may be the same.
            let least_delta = if plane == 0 { 1 } else { 0 };
            let end = 1u32 << bit_depth;
            while idx < palette_size {
                let palette_delta = self.d.read_literal(palette_bits) + least_delta;
                let color = (u32::from(colors[idx - 1]) + palette_delta).min(end - 1);
                colors[idx] = color as u16;
                palette_bits = palette_bits.min(ceil_log2(end - color - least_delta));
                idx += 1;
            }
        }
        colors[..palette_size].sort_unstable();
        block.mode.palette_size[plane] = palette_size as u8;
        block.palette_colors[plane] = colors;
    }

    /// `palette_colors_v`, which nothing depends on.
    fn skip_palette_colors_v(&mut self, palette_size: usize) {
        let bit_depth = u32::from(self.frame.sequence.color.bit_depth);
        let delta_encode_palette_colors_v = self.d.read_bool();
        if !delta_encode_palette_colors_v {
            for _ in 0..palette_size {
                self.d.read_literal(bit_depth);
            }
            return;
        }
        let palette_bits = bit_depth - 4 + self.d.read_literal(2);
        self.d.read_literal(bit_depth);
        for _ in 1..palette_size {
            let palette_delta_v = self.d.read_literal(palette_bits);
            if palette_delta_v != 0 {
                self.d.read_bool(); // palette_delta_sign_bit_v
            }
        }
    }
}

/// `CeilLog2` (4.7).
fn ceil_log2(x: u32) -> u32 {
    if x < 2 { 0 } else { (x - 1).ilog2() + 1 }
}
