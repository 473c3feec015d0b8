//! Slice data (7.3.4): the walk over a slice's macroblocks, and what each of them adds to the map.

use super::cabac_syntax::CabacSyntax;
use super::cavlc_syntax::CavlcSyntax;
use super::macroblock::{Macroblock, RunningState, SliceContext, kind_of};
use super::macroblock_layer::macroblock_layer;
use super::mb_type::MbType;
use super::neighbours::{MbStore, Neighbours};
use super::slice_header::{PictureStructure, SliceHeader, SliceType};
use super::syntax::MacroblockSyntax;
use crate::bits::Rbsp;
use crate::error::{Error, Result};
use crate::map::{FrameMap, Syntax};

/// Parses one slice into the map; tells the bits of its RBSP that no macroblock spent.
///
/// `slice` numbers the slices of a picture from 1. Macroblock addresses are those of `store`, which is the picture's.
pub fn slice_data(
    header: &SliceHeader,
    rbsp: &Rbsp,
    slice: u32,
    old_x264: bool,
    store: &mut MbStore,
    map: &mut FrameMap,
) -> Result<usize> {
    let is_mbaff = header.is_mbaff();
    let mut walk = Walk {
        context: SliceContext {
            header,
            slice,
            is_mbaff,
            chroma_array_type: header.sps.chroma_array_type(),
            old_x264,
            has_motion_contexts: header.pps.entropy_coding_mode_flag && !header.slice_type.is_intra(),
        },
        width: header.sps.pic_width_in_mbs as usize,
        mb_count: (header.sps.pic_width_in_mbs * header.pic_height_in_mbs()) as usize,
        mb_addr: (header.first_mb_in_slice as usize).saturating_mul(if is_mbaff { 2 } else { 1 }),
        column: header.first_mb_in_slice as usize % header.sps.pic_width_in_mbs as usize,
        row: header.first_mb_in_slice as usize / header.sps.pic_width_in_mbs as usize,
        state: RunningState { qp: header.slice_qp, last_qp_delta_nonzero: false },
        pair_is_field: false,
        overhead: header.bits,
        mb: Macroblock::default(),
        store,
        map,
    };
    if header.pps.entropy_coding_mode_flag {
        walk.cabac(rbsp)?;
    } else {
        walk.cavlc(rbsp)?;
    }
    Ok(walk.overhead)
}

struct Walk<'a> {
    context: SliceContext<'a>,
    width: usize,
    mb_count: usize,
    mb_addr: usize,
    /// Where the macroblock, or in MBAFF the pair, lies; kept beside the address to be spared divisions.
    column: usize,
    row: usize,
    state: RunningState,
    /// MBAFF: whether the current pair is of field macroblocks.
    pair_is_field: bool,
    overhead: usize,
    mb: Macroblock,
    store: &'a mut MbStore,
    map: &'a mut FrameMap,
}

/// Where a macroblock's syntax began.
#[derive(Clone, Copy)]
struct Start {
    bit: usize,
    unspent: f32,
}

impl Start {
    fn of(e: &impl MacroblockSyntax) -> Self {
        Self { bit: e.tell(), unspent: e.unspent() }
    }
}

impl Walk<'_> {
    fn cabac(&mut self, rbsp: &Rbsp) -> Result<()> {
        let header = self.context.header;
        let mut e = CabacSyntax::new(rbsp.padded(), header.bits.div_ceil(8), rbsp.bit_len(), header)?;
        // cabac_alignment_one_bit, and the 9 bits of start-up.
        self.overhead += e.tell() - header.bits;
        let may_skip = !header.slice_type.is_intra();
        let is_mbaff = self.context.is_mbaff;
        let mut prev_mb_skipped = false;
        loop {
            self.begin_macroblock(e.tell())?;
            let start = Start::of(&e);
            let is_top = self.mb_addr % 2 == 0;
            let mut neighbours = self.neighbours();
            let skipped = may_skip && self.mb_skip_flag(&mut e, &neighbours);
            if is_mbaff && !skipped && (is_top || prev_mb_skipped) {
                self.mb_field_decoding_flag(&mut e);
                neighbours = self.neighbours();
            }
            self.macroblock(&mut e, neighbours, skipped)?;
            prev_mb_skipped = skipped;
            // A pair of macroblocks is not split between slices.
            let end_of_slice = !(is_mbaff && is_top) && e.end_of_slice_flag();
            self.end_macroblock(&e, start)?;
            if end_of_slice {
                return self.end_slice(rbsp, e.tell(), e.tell() - 1);
            }
        }
    }

    #[inline(always)]
    fn mb_skip_flag(&self, e: &mut CabacSyntax, neighbours: &Neighbours) -> bool {
        let not_skipped = |position| usize::from(self.store.get(position).flags.not_skipped);
        let ctx_idx_inc = not_skipped(neighbours.a) + not_skipped(neighbours.b);
        e.mb_skip_flag(self.context.header.slice_type == SliceType::B, ctx_idx_inc)
    }

    fn cavlc(&mut self, rbsp: &Rbsp) -> Result<()> {
        let header = self.context.header;
        let mut reader = rbsp.reader();
        reader.skip(header.bits);
        let stop = reader.last_one_bit().unwrap_or(0);
        let mut e = CavlcSyntax::new(reader);
        let may_skip = !header.slice_type.is_intra();
        // Macroblocks that `mb_skip_run` still announces; `None` where the next one is to be read.
        let mut mb_skip_run: Option<u32> = None;
        let mut prev_mb_skipped = false;
        loop {
            self.begin_macroblock(e.tell())?;
            let start = Start::of(&e);
            let is_top = self.mb_addr % 2 == 0;
            if may_skip && mb_skip_run.is_none() {
                mb_skip_run = Some(e.reader().ue()?);
            }
            let skipped = mb_skip_run.is_some_and(|run| run > 0);
            if self.context.is_mbaff && !skipped && (is_top || prev_mb_skipped) {
                self.mb_field_decoding_flag(&mut e);
            }
            self.macroblock(&mut e, self.neighbours(), skipped)?;
            prev_mb_skipped = skipped;
            mb_skip_run = if skipped { mb_skip_run.map(|run| run - 1) } else { None };
            self.end_macroblock(&e, start)?;
            let run_goes_on = mb_skip_run.is_some_and(|run| run > 0);
            // Some writers put bits behind the stop bit: the picture's last macroblock ends the slice all the same.
            if !run_goes_on && (e.tell() >= stop || self.mb_addr == self.mb_count) {
                return self.end_slice(rbsp, e.tell(), e.tell());
            }
        }
    }

    /// Checks that there is a macroblock at the current address that nobody has coded yet.
    #[inline(always)]
    fn begin_macroblock(&mut self, bit: usize) -> Result<()> {
        if self.mb_addr >= self.mb_count {
            return Err(Error::corrupt("slice data goes on past the picture's last macroblock", bit));
        }
        if self.store.at(self.mb_addr).slice != 0 {
            return Err(Error::corrupt("two slices hold the same macroblock", bit));
        }
        if self.context.is_mbaff && self.mb_addr % 2 == 0 {
            self.pair_is_field = self.store.inferred_field(self.mb_addr, self.column, self.context.slice);
        }
        Ok(())
    }

    fn mb_field_decoding_flag(&mut self, e: &mut impl MacroblockSyntax) {
        let (a, b) = self.store.field_pairs(self.mb_addr, self.column, self.context.slice);
        self.pair_is_field = e.mb_field_decoding_flag(usize::from(a) + usize::from(b));
        if self.mb_addr % 2 == 1 {
            // The top macroblock was skipped before its kind was known.
            self.store.at_mut(self.mb_addr - 1).flags.is_field = self.pair_is_field;
        }
    }

    #[inline(always)]
    fn neighbours(&self) -> Neighbours {
        let slice = self.context.slice;
        if self.context.is_mbaff {
            self.store.neighbours_mbaff(self.mb_addr, self.column, slice, self.pair_is_field)
        } else {
            self.store.neighbours(self.mb_addr, self.column, slice)
        }
    }

    #[inline(always)]
    fn is_field_macroblock(&self) -> bool {
        self.pair_is_field || self.context.header.is_field()
    }

    #[inline(always)]
    fn macroblock<E: MacroblockSyntax>(&mut self, e: &mut E, neighbours: Neighbours, skipped: bool) -> Result<()> {
        self.mb.begin(neighbours, self.is_field_macroblock());
        if skipped {
            self.state.last_qp_delta_nonzero = false;
        } else {
            e.begin_macroblock(self.mb.is_field);
            macroblock_layer(e, &self.context, self.store, &mut self.state, &mut self.mb)?;
        }
        self.mb.store(&self.context, self.store.at_mut(self.mb_addr));
        Ok(())
    }

    /// Books a macroblock's bits, and goes on to the next address.
    #[inline(always)]
    fn end_macroblock<E: MacroblockSyntax>(&mut self, e: &E, start: Start) -> Result<()> {
        e.check()?;
        let cost = &self.mb.cost;
        self.overhead += cost.overhead as usize;
        let (row, col) = self.unit();
        let unit = row * self.map.cols + col;
        let bits = (e.tell() - start.bit) as u32 - cost.overhead;
        let mode = bits - cost.motion - cost.luma - cost.chroma;
        // The engine starts anew behind I_PCM samples, which cost whole bits.
        let is_pcm = self.mb.mb_type == Some(MbType::IPcm);
        let fraction = if is_pcm { 0.0 } else { e.unspent() - start.unspent };
        self.map.syntax[Syntax::Mode as usize][unit] += mode;
        self.map.information[unit] += bits as f32 + fraction;
        let is_first_plane = self.context.header.colour_plane_id == 0;
        if is_first_plane {
            self.map.qp[unit] = if is_pcm { 0 } else { self.state.qp as i16 };
        }
        if self.mb.mb_type.is_some() {
            // Planes coded apart add up in one unit; only the first of them is luma.
            let (luma, chroma) = if is_first_plane { (cost.luma, cost.chroma) } else { (0, cost.luma) };
            self.map.syntax[Syntax::Motion as usize][unit] += cost.motion;
            self.map.syntax[Syntax::Luma as usize][unit] += luma;
            self.map.syntax[Syntax::Chroma as usize][unit] += chroma;
            // Of planes coded apart, the highest kind: a unit is skipped if all of them are.
            let kind = &mut self.map.kind[unit];
            *kind = (*kind).max(kind_of(&self.mb) as u8);
        }
        if bits > 0 {
            self.spread_cells(row, col, mode);
        }
        self.advance();
        Ok(())
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.mb_addr += 1;
        if self.context.is_mbaff && self.mb_addr % 2 == 1 {
            return;
        }
        self.column += 1;
        if self.column == self.width {
            self.column = 0;
            self.row += 1;
        }
    }

    /// Row and column of the current macroblock in the map of the frame. Field macroblocks lie where those of a frame
    /// pair would: the top field's above the bottom field's.
    #[inline(always)]
    fn unit(&self) -> (usize, usize) {
        let row = match self.context.header.structure {
            PictureStructure::Frame if self.context.is_mbaff => 2 * self.row + self.mb_addr % 2,
            PictureStructure::Frame => self.row,
            PictureStructure::TopField => 2 * self.row,
            PictureStructure::BottomField => 2 * self.row + 1,
        };
        (row, self.column)
    }

    /// Adds the macroblock's 4x4 blocks to the cells; a field macroblock's rows are every other line of 32.
    fn spread_cells(&mut self, row: usize, col: usize, mode: u32) {
        let share = mode as f32 / 16.0;
        let cells = &mut self.map.cells;
        let mut add = |cell_row: usize, values: &[f32], weight: f32| {
            let at = cell_row * cells.cols + 4 * col;
            let line = &mut cells.bits[at..at + 4];
            line.iter_mut().zip(values).for_each(|(cell, value)| *cell += (value + share) * weight);
        };
        for (y, values) in self.mb.cost.cells.chunks_exact(4).enumerate() {
            if self.pair_is_field || self.context.header.is_field() {
                let top = row / 2 * 8 + 2 * y;
                add(top, values, 0.5);
                add(top + 1, values, 0.5);
            } else {
                add(4 * row + y, values, 1.0);
            }
        }
    }

    /// `end`: the first bit that no macroblock used; `stop`: where the `rbsp_stop_one_bit` must be.
    fn end_slice(&mut self, rbsp: &Rbsp, end: usize, stop: usize) -> Result<()> {
        let is_one = rbsp.payload().get(stop / 8).is_some_and(|byte| byte >> (7 - stop % 8) & 1 == 1);
        if !is_one {
            return Err(Error::corrupt("slice data does not end at its stop bit", stop));
        }
        self.overhead += rbsp.bit_len() - end;
        Ok(())
    }
}
