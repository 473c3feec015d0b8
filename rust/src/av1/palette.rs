//! Palettes: the cache that colours are predicted from (5.11.46) and the indices of samples (5.11.49, 5.11.50).

use super::loop_restoration::read_ns;
use super::mode_grid::ModeInfo;
use super::tile::{Block, Tile};

/// The largest block with a palette, in samples.
const MOST_SAMPLES: usize = 64;

type ColorMap = [[u8; MOST_SAMPLES]; MOST_SAMPLES];

/// `PaletteCache`, and how many colours it has.
pub type PaletteCache = ([u16; 16], usize);

impl Tile<'_> {
    /// `get_palette_cache` (5.11.46): the colours above and to the left, in ascending order and each once.
    pub(super) fn get_palette_cache(&self, b: &Block, plane: usize) -> PaletteCache {
        let colors = |block: &Option<ModeInfo>| -> &[u16] {
            match block {
                Some(block) if block.palette_size[plane] > 0 => {
                    let size = usize::from(block.palette_size[plane]);
                    &self.state.modes.palette_colors(block)[plane][..size]
                }
                _ => &[],
            }
        };
        let above = if b.mi_row % 16 > 0 { colors(&b.above) } else { &[] };
        let left = colors(&b.left);
        let mut cache = [0; 16];
        cache[..above.len()].copy_from_slice(above);
        cache[above.len()..][..left.len()].copy_from_slice(left);
        let all = &mut cache[..above.len() + left.len()];
        all.sort_unstable();
        let mut n = 0;
        for i in 0..all.len() {
            if n == 0 || all[i] != all[n - 1] {
                all[n] = all[i];
                n += 1;
            }
        }
        (cache, n)
    }

    /// `palette_tokens` (5.11.49).
    pub(super) fn palette_tokens(&mut self, b: &Block) {
        let size = b.mode.mi_size;
        let onscreen_height4 = size.height4().min(self.frame.mi_rows - b.mi_row);
        let onscreen_width4 = size.width4().min(self.frame.mi_cols - b.mi_col);
        let [palette_size_y, palette_size_uv] = b.mode.palette_size.map(usize::from);
        if palette_size_y > 0 {
            let bits = self.color_indices(0, palette_size_y, 4 * onscreen_height4, 4 * onscreen_width4);
            self.luma_bits += bits;
            self.map.cells.spread(b.mi_row, b.mi_col, size.height4(), size.width4(), bits);
        }
        if palette_size_uv > 0 {
            let color = self.frame.sequence.color;
            // Chroma is at least 4 samples long and high.
            let samples = |onscreen4: usize, length4: usize, is_subsampled: bool| {
                let too_short = is_subsampled && length4 == 1;
                ((4 * onscreen4) >> usize::from(is_subsampled)) + if too_short { 2 } else { 0 }
            };
            let height = samples(onscreen_height4, size.height4(), color.subsampling_y);
            let width = samples(onscreen_width4, size.width4(), color.subsampling_x);
            let bits = self.color_indices(1, palette_size_uv, height, width);
            self.chroma_bits += bits;
            self.map.cells.spread(b.mi_row, b.mi_col, size.height4(), size.width4(), bits);
        }
    }

    /// `color_index_map_y`, `palette_color_idx_y` and those of chroma (`plane_type` 1). Gives their bits.
    fn color_indices(&mut self, plane_type: usize, n: usize, height: usize, width: usize) -> u32 {
        let start = self.d.tell();
        let (d, cdfs) = (&mut self.d, &mut self.cdfs);
        let mut color_map: ColorMap = [[0; MOST_SAMPLES]; MOST_SAMPLES];
        color_map[0][0] = read_ns(d, n as u32) as u8;
        for i in 1..height + width - 1 {
            for j in ((i + 1).saturating_sub(height)..=i.min(width - 1)).rev() {
                let context = ColorContext::new(&color_map, i - j, j);
                let ctx = context.ctx;
                let palette_color_idx = match n {
                    2 => d.read_symbol(&mut cdfs.palette_size_2_color[plane_type][ctx]),
                    3 => d.read_symbol(&mut cdfs.palette_size_3_color[plane_type][ctx]),
                    4 => d.read_symbol(&mut cdfs.palette_size_4_color[plane_type][ctx]),
                    5 => d.read_symbol(&mut cdfs.palette_size_5_color[plane_type][ctx]),
                    6 => d.read_symbol(&mut cdfs.palette_size_6_color[plane_type][ctx]),
                    7 => d.read_symbol(&mut cdfs.palette_size_7_color[plane_type][ctx]),
                    _ => d.read_symbol(&mut cdfs.palette_size_8_color[plane_type][ctx]),
                };
                color_map[i - j][j] = context.color(palette_color_idx as u8);
            }
        }
        (self.d.tell() - start) as u32
    }
}

/// What `get_palette_color_context` (5.11.50) makes of the samples to the left and above.
#[derive(Debug, PartialEq, Eq)]
struct ColorContext {
    /// `Palette_Color_Context` of `ColorContextHash`.
    ctx: usize,
    /// The beginning of `ColorOrder`: the colours of those samples.
    first: [u8; 3],
    count: usize,
}

impl ColorContext {
    fn new(color_map: &ColorMap, row: usize, col: usize) -> Self {
        let (ctx, first, count) = if row == 0 {
            (0, [color_map[row][col - 1], 0, 0], 1)
        } else if col == 0 {
            (0, [color_map[row - 1][col], 0, 0], 1)
        } else {
            let left = color_map[row][col - 1];
            let corner = color_map[row - 1][col - 1];
            let above = color_map[row - 1][col];
            // By falling score, and those of the same score by colour.
            match (left == above, left == corner, above == corner) {
                (true, true, _) => (4, [left, 0, 0], 1),
                (true, false, _) => (3, [left, corner, 0], 2),
                (false, true, _) => (2, [left, above, 0], 2),
                (false, false, true) => (2, [above, left, 0], 2),
                (false, false, false) => (1, [left.min(above), left.max(above), corner], 3),
            }
        };
        Self { ctx, first, count }
    }

    /// `ColorOrder`: behind the first are all others by colour.
    fn color(&self, idx: u8) -> u8 {
        if usize::from(idx) < self.count {
            return self.first[usize::from(idx)];
        }
        let mut first = self.first;
        let first = &mut first[..self.count];
        first.sort_unstable();
        first.iter().fold(idx - self.count as u8, |color, &taken| if taken <= color { color + 1 } else { color })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `get_palette_color_context` as the specification writes it: the context's hash and `ColorOrder`.
    fn specified(color_map: &ColorMap, r: usize, c: usize, n: usize) -> (usize, [u8; 8]) {
        let mut scores = [0; 8];
        let mut color_order = [0, 1, 2, 3, 4, 5, 6, 7];
        if c > 0 {
            scores[usize::from(color_map[r][c - 1])] += 2;
        }
        if r > 0 && c > 0 {
            scores[usize::from(color_map[r - 1][c - 1])] += 1;
        }
        if r > 0 {
            scores[usize::from(color_map[r - 1][c])] += 2;
        }
        for i in 0..3 {
            let mut max_idx = i;
            for j in i + 1..n {
                if scores[j] > scores[max_idx] {
                    max_idx = j;
                }
            }
            scores[i..=max_idx].rotate_right(1);
            color_order[i..=max_idx].rotate_right(1);
        }
        (scores[0] + 2 * scores[1] + 2 * scores[2], color_order)
    }

    #[test]
    fn contexts_and_orders_of_colours_equal_the_specification() {
        const CONTEXTS: [usize; 9] = [9, 9, 0, 9, 9, 4, 3, 2, 1];
        let mut color_map = [[0; MOST_SAMPLES]; MOST_SAMPLES];
        for n in 2..=8 {
            for colors in 0..n * n * n {
                (color_map[1][0], color_map[0][0], color_map[0][1]) =
                    ((colors % n) as u8, (colors / n % n) as u8, (colors / n / n) as u8);
                for (r, c) in [(1, 1), (0, 1), (1, 0)] {
                    let context = ColorContext::new(&color_map, r, c);
                    let (hash, color_order) = specified(&color_map, r, c, n);
                    assert_eq!(context.ctx, CONTEXTS[hash]);
                    assert!((0..n as u8).all(|idx| context.color(idx) == color_order[usize::from(idx)]));
                }
            }
        }
    }
}
