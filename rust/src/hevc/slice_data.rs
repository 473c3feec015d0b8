//! Slice segment data (7.3.8.1): the walk over coding tree units, and the substreams they are cut into.

use super::coding_tree::{Area, CodingTree};
use super::contexts;
use super::picture::{NOT_CODED, Picture, Stored};
use super::slice_header::{SegmentStart, SliceSegmentHeader};
use crate::bits::Rbsp;
use crate::cabac::{Cabac, START_UP_BITS};
use crate::error::{Error, Result};

/// Parses all CTUs of a slice segment into the picture's map.
pub fn parse_slice_segment(
    picture: &mut Picture,
    rbsp: &Rbsp,
    header: &SliceSegmentHeader,
    start: &SegmentStart,
) -> Result<()> {
    let mut substreams = Substreams::new(rbsp, header)?;
    let mut ctb_addr_ts = picture.scan.rs_to_ts(start.slice_segment_address);
    let state = if start.dependent_slice_segment_flag { picture.stored_ds.take() } else { None };
    let (sps, pps) = (picture.sps.clone(), picture.pps.clone());
    let mut tree = CodingTree::new(picture, &sps, &pps, &header.slice, rbsp.padded(), header.data_start)?;
    tree.restore(state);
    loop {
        let ctb_addr_rs = tree.picture.scan.ts_to_rs(ctb_addr_ts);
        if tree.picture.slice_addr_rs[ctb_addr_rs] != NOT_CODED {
            return Err(Error::corrupt("coding tree unit is coded twice", tree.engine.tell()));
        }
        tree.picture.slice_addr_rs[ctb_addr_rs] = header.slice.slice_addr_rs as u32;
        begin_ctu(&mut tree, ctb_addr_rs, start);
        tree.coding_tree_unit(ctb_addr_rs)?;
        let end_of_slice_segment_flag = tree.engine.terminate();
        tree.finish_ctu(ctb_addr_rs, substreams.end * 8)?;
        store_wpp(&mut tree, ctb_addr_rs);
        ctb_addr_ts += 1;
        if end_of_slice_segment_flag {
            break;
        }
        if ctb_addr_ts == tree.picture.scan.len() {
            return Err(Error::corrupt("slice segment runs past the picture's end", tree.engine.tell()));
        }
        let next_rs = tree.picture.scan.ts_to_rs(ctb_addr_ts);
        if starts_substream(&tree, next_rs) {
            substreams.go_on(&mut tree)?;
        }
    }
    tree.picture.stored_ds = Some(tree.state());
    substreams.finish(&mut tree)
}

/// Where the substreams of a slice segment end in its RBSP, in bytes.
struct Substreams {
    /// End of the one at hand; of all data where entry points are not listed.
    end: usize,
    later_ends: std::vec::IntoIter<usize>,
    is_listed: bool,
}

impl Substreams {
    /// From the entry points (7.4.7.1), which count emulation prevention bytes, and the end of the data.
    fn new(rbsp: &Rbsp, header: &SliceSegmentHeader) -> Result<Self> {
        let mut ends = Vec::with_capacity(header.entry_point_offsets.len() + 1);
        let nal_len = rbsp.payload().len() + rbsp.removed_bytes();
        let mut position = rbsp.ebsp_position(header.data_start);
        for &offset in &header.entry_point_offsets {
            position = position.saturating_add(offset);
            if position > nal_len {
                return Err(Error::corrupt("entry point lies past the slice segment's end", header.data_start * 8));
            }
            if position == nal_len {
                // Some encoders list the substreams of the dependent slice segments that follow as well.
                break;
            }
            ends.push(rbsp.rbsp_position(position));
        }
        ends.push(rbsp.payload().len());
        let mut ends = ends.into_iter();
        let end = ends.next().unwrap_or_default();
        Ok(Self { end, later_ends: ends, is_listed: !header.entry_point_offsets.is_empty() })
    }

    /// Ends the substream at hand (`end_of_subset_one_bit`, `byte_alignment()`) and starts the next.
    fn go_on(&mut self, tree: &mut CodingTree) -> Result<()> {
        let end_of_subset_one_bit = tree.engine.terminate();
        let position = tree.engine.tell();
        if !end_of_subset_one_bit {
            return Err(Error::corrupt("substream does not end where it must", position));
        }
        // Where no entry points are listed, each substream follows the one before all the same.
        let end = if self.is_listed { self.end } else { position.div_ceil(8) };
        if position.div_ceil(8) != end || !is_last_one_bit(tree, position, end) {
            return Err(Error::corrupt("substream does not end at its entry point", position));
        }
        tree.picture.map.overhead_bits += (START_UP_BITS + 8 * end - position) as u64;
        tree.engine = Cabac::new(tree.bytes, end)?;
        tree.mark = tree.engine.tell();
        if self.is_listed {
            self.end = self.later_ends.next().ok_or(Error::corrupt("fewer entry points than substreams", position))?;
        }
        Ok(())
    }

    /// `rbsp_slice_segment_trailing_bits()` (7.3.2.11), `cabac_zero_words` included.
    fn finish(mut self, tree: &mut CodingTree) -> Result<()> {
        let position = tree.engine.tell();
        if self.later_ends.next().is_some() {
            return Err(Error::corrupt("more entry points than substreams", position));
        }
        if position > 8 * self.end || !is_last_one_bit(tree, position, self.end) {
            return Err(Error::corrupt("slice segment does not end where it must", position));
        }
        tree.picture.map.overhead_bits += (START_UP_BITS + 8 * self.end - position) as u64;
        Ok(())
    }
}

/// After a terminating bin the last bit read is a 1, and only zeros follow up to byte `end`.
fn is_last_one_bit(tree: &CodingTree, position: usize, end: usize) -> bool {
    let last = position - 1;
    match tree.bytes.get(last / 8..end) {
        Some([first, rest @ ..]) => first << (last % 8) == 0x80 && rest.iter().all(|&b| b == 0),
        _ => false,
    }
}

/// A new substream begins with each tile, and with each row of CTUs under wavefront parallel processing.
fn starts_substream(tree: &CodingTree, rs: usize) -> bool {
    let scan = &tree.picture.scan;
    (tree.pps.tiles.is_some() && scan.starts_tile(rs))
        || (tree.pps.entropy_coding_sync_enabled_flag && scan.starts_row(rs))
}

/// Initialization of context variables (9.3.1) and of the predicted QP (8.6.1) where a CTU asks for it.
fn begin_ctu(tree: &mut CodingTree, rs: usize, start: &SegmentStart) {
    let (slice, scan) = (tree.slice, &tree.picture.scan);
    let starts_tile = scan.starts_tile(rs);
    let is_wpp_row = tree.pps.entropy_coding_sync_enabled_flag && scan.starts_row(rs);
    let starts_segment = rs == start.slice_segment_address;
    if starts_tile || is_wpp_row {
        tree.picture.qp_y_prev = slice.slice_qp_y;
    }
    if starts_tile {
        tree.initialize();
    } else if is_wpp_row {
        // The CTB above to the right, (x0 + CtbSizeY, y0 - CtbSizeY), must be there and in this slice and tile.
        let is_available = (rs + 1).checked_sub(scan.width).is_some_and(|above_right| {
            (rs + 1) % scan.width != 0
                && tree.picture.slice_addr_rs[above_right] == slice.slice_addr_rs as u32
                && scan.is_same_tile(rs, above_right)
        });
        tree.initialize();
        if is_available {
            let stored = tree.picture.stored_wpp.clone();
            tree.restore(stored);
        }
    } else if starts_segment && !start.dependent_slice_segment_flag {
        tree.initialize();
    }
}

/// Storage process for context variables behind the second CTB of a row in its tile (9.3.2.4).
fn store_wpp(tree: &mut CodingTree, rs: usize) {
    let scan = &tree.picture.scan;
    if tree.pps.entropy_coding_sync_enabled_flag && rs > 0 && !scan.starts_row(rs) && scan.starts_row(rs - 1) {
        tree.picture.stored_wpp = Some(tree.state());
    }
}

impl CodingTree<'_> {
    fn initialize(&mut self) {
        let slice = self.slice;
        self.contexts = contexts::initial(slice.slice_type, slice.cabac_init_flag, slice.slice_qp_y);
        self.stat_coeff = Default::default();
        self.palette_predictor_size = self.initial_palette_predictor_size();
    }

    fn state(&self) -> Stored {
        Stored {
            contexts: self.contexts.clone(),
            stat_coeff: self.stat_coeff,
            palette_predictor_size: self.palette_predictor_size,
        }
    }

    fn restore(&mut self, stored: Option<Stored>) {
        if let Some(stored) = stored {
            self.contexts = stored.contexts;
            self.stat_coeff = stored.stat_coeff;
            self.palette_predictor_size = stored.palette_predictor_size;
        }
    }

    /// Charges what is left of a CTU's syntax to it, once its `end_of_slice_segment_flag` is read.
    fn finish_ctu(&mut self, rs: usize, end_bit: usize) -> Result<()> {
        self.engine.check(end_bit)?;
        let (x, y) = self.ctb_origin(rs);
        let share = self.charge_unit(x, y);
        let size = 1 << self.sps.ctb_log2_size_y;
        let width = size.min(self.sps.pic_width_in_luma_samples - x);
        let height = size.min(self.sps.pic_height_in_luma_samples - y);
        self.spread(Area { x, y, width, height }, share);
        self.write_unit(rs);
        Ok(())
    }
}
