//! Headers of a stream's packets in decoding order: parameter sets as they change, and picture order.

use std::sync::Arc;

use super::nal::{self, NAL_HEADER_BYTES, NalUnit, nal_unit_type};
use super::parameter_sets::ParameterSets;
use super::references::{CurrentPicture, References};
use super::slice_header::{PicturePart, SegmentStart};
use crate::bits::Rbsp;
use crate::nal::{DISPLAY_ORIENTATION, sei_messages};
use crate::packet::PacketHeader;

/// Bytes of a slice NAL unit that the part of its header surely fits in that is read here.
const HEADER_BYTES: usize = 1024;

#[derive(Debug, Default)]
pub struct Scanner {
    sets: Arc<ParameterSets>,
    order: PictureOrder,
    references: References,
    sequence: i32,
    /// The next IRAP picture begins a coded video sequence: the first of the stream or behind an end of sequence.
    awaits_irap: bool,
    /// `NoRaslOutputFlag` of the last IRAP picture (8.1.3): RASL pictures refer to what is not there.
    no_rasl_output_flag: bool,
    rbsp: Rbsp,
}

impl Scanner {
    pub fn new(extradata: &[u8]) -> Self {
        Self { sets: Arc::new(ParameterSets::new(extradata)), awaits_irap: true, ..Self::default() }
    }

    /// New parameter sets from the container, beside those that are known.
    pub fn set_extradata(&mut self, extradata: &[u8]) {
        Arc::make_mut(&mut self.sets).set_extradata(extradata);
    }

    /// The sets in force before the next packet.
    pub fn parameter_sets(&self) -> Arc<ParameterSets> {
        Arc::clone(&self.sets)
    }

    /// Reads the next packet's headers. What is damaged counts as absent: the row tells what could be read.
    ///
    /// `is_hidden` marks pictures that a decoder of this stream never outputs: those with `pic_output_flag` 0, those
    /// before any IRAP picture, and RASL pictures whose IRAP picture begins the sequence.
    pub fn scan(&mut self, packet: &[u8]) -> PacketHeader {
        let mut row = PacketHeader::default();
        let mut is_told_by_sets = true;
        self.references.next_packet();
        for range in self.sets.framing().split(packet).unwrap_or_default() {
            let Some(nal) = NalUnit::new(&packet[range.clone()], range.start) else { continue };
            if nal.is_base_slice() {
                self.scan_slice(&nal, &mut row);
            } else if nal.is_parameter_set() && self.sets.is_changed_by(&nal) {
                Arc::make_mut(&mut self.sets).apply(&nal);
            } else if matches!(nal.nal_unit_type, nal_unit_type::EOS | nal_unit_type::EOB) && nal.nuh_layer_id == 0 {
                self.awaits_irap = true;
                self.references.end_sequence();
            }
            is_told_by_sets &= nal.nuh_layer_id == 0 && !tells_orientation(&nal);
        }
        row.format = row.format.filter(|_| is_told_by_sets);
        row
    }

    fn scan_slice(&mut self, nal: &NalUnit, row: &mut PacketHeader) -> Option<()> {
        self.rbsp.assign(&nal.bytes[..nal.bytes.len().min(HEADER_BYTES)]);
        let mut r = self.rbsp.reader();
        let start = SegmentStart::parse(&mut r, nal, &self.sets).ok()?;
        if start.dependent_slice_segment_flag {
            return None;
        }
        let picture = PicturePart::parse(&mut r, nal, &start.sps, &start.pps).ok()?;
        let picture_type = picture.slice_type.picture_type();
        if let Some(other) = row.picture_type {
            row.picture_type = Some(other.or(picture_type));
            return None;
        }
        self.begin_sequence_if_new(nal);
        let is_highest_sub_layer = nal.temporal_id >= start.sps.sps_max_sub_layers_minus1;
        let is_undecodable = self.awaits_irap || (nal::is_rasl(nal.nal_unit_type) && self.no_rasl_output_flag);
        let poc = self.order.next(nal, picture.slice_pic_order_cnt_lsb, &start, self.no_rasl_output_flag);
        let depends_on = self.references.next(&CurrentPicture {
            set: &picture.ref_pic_set,
            poc,
            max_lsb: 1 << start.sps.log2_max_pic_order_cnt_lsb,
            is_irap: nal.is_irap(),
            is_anchor: nal.may_be_prev_tid0_pic(),
        });
        *row = PacketHeader {
            picture_type: Some(picture_type),
            is_second_field: false,
            is_hidden: !picture.pic_output_flag || is_undecodable,
            is_idr: nal.is_irap() && self.no_rasl_output_flag,
            is_recovery_point: nal.is_irap(),
            recovery_frames: 0,
            // Pictures of higher sub-layers may refer to any picture below them.
            is_referenced: !(nal::is_sub_layer_non_reference(nal.nal_unit_type) && is_highest_sub_layer),
            depends_on,
            poc,
            sequence: self.sequence,
            format: Some(start.sps.picture_format()),
            ..PacketHeader::default()
        };
        Some(())
    }

    /// 8.1.3: IDR and BLA pictures, and any IRAP picture that comes first, for then decoding starts with it.
    fn begin_sequence_if_new(&mut self, nal: &NalUnit) {
        if nal.is_irap() {
            let kind = nal.nal_unit_type;
            self.no_rasl_output_flag = self.awaits_irap || nal::is_idr(kind) || nal::is_bla(kind);
            self.sequence = self.sequence.saturating_add(i32::from(self.no_rasl_output_flag));
            self.awaits_irap = false;
            if self.no_rasl_output_flag {
                self.references.begin_sequence();
            }
        }
    }
}

fn tells_orientation(nal: &NalUnit) -> bool {
    nal.nal_unit_type == nal_unit_type::PREFIX_SEI
        && sei_messages(Rbsp::from_ebsp(&nal.bytes[NAL_HEADER_BYTES..]).payload())
            .any(|(payload_type, _)| payload_type == DISPLAY_ORIENTATION)
}

/// Decoding of picture order count (8.3.1): what must be kept from picture to picture.
#[derive(Debug, Default)]
struct PictureOrder {
    prev_tid0_pic_order_cnt: i32,
}

impl PictureOrder {
    /// `PicOrderCntVal`.
    fn next(&mut self, nal: &NalUnit, lsb: u32, start: &SegmentStart, no_rasl_output_flag: bool) -> i32 {
        let max_lsb = 1i32 << start.sps.log2_max_pic_order_cnt_lsb;
        let lsb = lsb as i32;
        let previous = self.prev_tid0_pic_order_cnt;
        let previous_lsb = previous & (max_lsb - 1);
        let previous_msb = previous - previous_lsb;
        let msb = if nal.is_irap() && no_rasl_output_flag {
            0
        } else if lsb < previous_lsb && previous_lsb - lsb >= max_lsb / 2 {
            previous_msb.wrapping_add(max_lsb)
        } else if lsb > previous_lsb && lsb - previous_lsb > max_lsb / 2 {
            previous_msb.wrapping_sub(max_lsb)
        } else {
            previous_msb
        };
        let poc = msb.wrapping_add(lsb);
        if nal.may_be_prev_tid0_pic() {
            self.prev_tid0_pic_order_cnt = poc;
        }
        poc
    }
}
