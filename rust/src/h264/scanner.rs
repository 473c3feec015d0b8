//! Headers of a stream's packets in decoding order: parameter sets as they change, picture order, field pairs.

use std::sync::Arc;

use super::parameter_sets::{ParameterSets, PocCycle, PocType};
use super::references::References;
use super::slice_header::{NalHeader, PictureStructure, SliceHeader};
use super::stand_in::are_replaceable;
use crate::bits::{BitReader, Rbsp};
use crate::map::PictureType;
use crate::nal::{DISPLAY_ORIENTATION, sei_messages};
use crate::packet::PacketHeader;

/// Bytes of a slice NAL unit that its header surely fits in: only the header is read here.
const HEADER_BYTES: usize = 1024;

#[derive(Debug, Default)]
pub struct Scanner {
    sets: Arc<ParameterSets>,
    order: PictureOrder,
    references: References,
    sequence: i32,
    /// The field that waits for its other half: structure, `frame_num`.
    open_field: Option<(PictureStructure, u32)>,
    rbsp: Rbsp,
}

impl Scanner {
    pub fn new(extradata: &[u8]) -> Self {
        Self { sets: Arc::new(ParameterSets::from_extradata(extradata)), ..Self::default() }
    }

    /// New parameter sets from the container, beside those that are known.
    pub fn set_extradata(&mut self, extradata: &[u8]) {
        Arc::make_mut(&mut self.sets).replace_extradata(extradata);
    }

    /// The sets in force before the next packet.
    pub fn parameter_sets(&self) -> Arc<ParameterSets> {
        Arc::clone(&self.sets)
    }

    /// Reads the next packet's headers. What is damaged counts as absent: the row tells what could be read.
    pub fn scan(&mut self, packet: &[u8]) -> PacketHeader {
        let mut row = PacketHeader::default();
        let mut slices: Vec<SliceHeader> = vec![];
        let mut recovery_point: Option<RecoveryPoint> = None;
        let mut is_turned = false;
        self.references.next_packet();
        let units = self.sets.framing.split(packet).unwrap_or_else(|_| {
            self.references.lose_track();
            vec![]
        });
        let is_replaceable = are_replaceable(units.iter().map(|range| NalHeader::parse(packet[range.start])));
        for range in units {
            let nal = &packet[range];
            let header = NalHeader::parse(nal[0]);
            match header.nal_unit_type {
                1 | 2 | 5 => self.scan_slice(header, nal, &mut slices, &mut row),
                6 => {
                    for (payload_type, content) in sei_messages(Rbsp::from_ebsp(&nal[1..]).payload()) {
                        match payload_type {
                            RECOVERY_POINT => recovery_point = recovery_point.or_else(|| RecoveryPoint::parse(content)),
                            DISPLAY_ORIENTATION => is_turned = true,
                            _ => {}
                        }
                    }
                    self.add_parameter_set(nal);
                }
                7 | 8 => self.add_parameter_set(nal),
                _ => {}
            }
        }
        let Some(first) = slices.first() else { return row };
        self.finish_row(first, &mut row);
        row.format = (!is_turned).then(|| first.sps.picture_format());
        let links = self.references.next(&slices, row.poc);
        row.depends_on = links.depends_on;
        row.predicted_from = links.predicted_from;
        row.missing = links.missing;
        let is_intra = row.picture_type == Some(PictureType::I);
        if let Some(point) = recovery_point.filter(|point| is_intra || point.exact_match_flag) {
            row.is_recovery_point = true;
            row.recovery_frames = if row.is_idr { 0 } else { point.recovery_frame_cnt };
        }
        row.has_stand_in = links.has_stand_in && is_replaceable && !row.is_recovery_point;
        row
    }

    fn add_parameter_set(&mut self, nal: &[u8]) {
        let mut sets = ParameterSets::clone(&self.sets);
        if sets.add(nal).unwrap_or(false) {
            self.sets = Arc::new(sets);
        }
    }

    fn scan_slice(&mut self, header: NalHeader, nal: &[u8], slices: &mut Vec<SliceHeader>, row: &mut PacketHeader) {
        self.rbsp.assign(&nal[1..nal.len().min(HEADER_BYTES)]);
        match SliceHeader::parse(header, &self.rbsp, &self.sets) {
            Ok(slice) if slice.redundant_pic_cnt > 0 => {}
            Ok(slice) => {
                let picture_type = slice.slice_type.picture_type();
                row.picture_type = Some(row.picture_type.map_or(picture_type, |t| t.or(picture_type)));
                row.is_referenced |= header.nal_ref_idc != 0;
                slices.push(slice);
            }
            Err(_) => {
                self.references.lose_track();
                if let (Some(picture_type), Ok(other)) = (row.picture_type, SliceHeader::peek_slice_type(&self.rbsp)) {
                    row.picture_type = Some(picture_type.or(other.picture_type()));
                }
            }
        }
    }

    fn finish_row(&mut self, slice: &SliceHeader, row: &mut PacketHeader) {
        row.is_second_field = self.pair_fields(slice);
        row.is_idr = slice.nal.is_idr();
        row.is_recovery_point |= row.is_idr;
        // Both restart the count: what comes after is displayed after all that came before.
        let restarts = row.is_idr || slice.marking.resets_order;
        if restarts && !row.is_second_field {
            self.sequence = self.sequence.saturating_add(1);
        }
        row.sequence = self.sequence;
        row.poc = self.order.next(slice);
    }

    /// 3.30 and 3.31 as decoders read them: a field and the next picture, of opposite parity and the same frame_num.
    fn pair_fields(&mut self, slice: &SliceHeader) -> bool {
        let this = (slice.structure, slice.frame_num);
        let closes = slice.is_field()
            && self
                .open_field
                .is_some_and(|(structure, frame_num)| structure != slice.structure && frame_num == slice.frame_num);
        self.open_field = (slice.is_field() && !closes).then_some(this);
        closes
    }
}

/// Type of the SEI message `recovery_point()`.
const RECOVERY_POINT: usize = 6;

/// `recovery_point()` (D.1.8).
struct RecoveryPoint {
    recovery_frame_cnt: u32,
    exact_match_flag: bool,
}

impl RecoveryPoint {
    fn parse(payload: &[u8]) -> Option<Self> {
        let mut r = BitReader::new(payload);
        // At most MaxFrameNum - 1.
        let recovery_frame_cnt = r.ue().ok().filter(|&count| count < 1 << 16)?;
        let exact_match_flag = r.flag();
        r.check().ok()?;
        Some(Self { recovery_frame_cnt, exact_match_flag })
    }
}

/// Decoding of picture order count (8.2.1): what must be kept from picture to picture.
#[derive(Debug, Default)]
struct PictureOrder {
    prev_pic_order_cnt_msb: i32,
    prev_pic_order_cnt_lsb: i32,
    prev_frame_num: u32,
    prev_frame_num_offset: i32,
}

impl PictureOrder {
    /// `PicOrderCnt` of the picture that `slice` belongs to.
    fn next(&mut self, slice: &SliceHeader) -> i32 {
        let poc = match &slice.sps.poc {
            PocType::Lsb { log2_max_pic_order_cnt_lsb } => self.type_0(slice, 1 << log2_max_pic_order_cnt_lsb),
            PocType::Cycle(cycle) => self.type_1(slice, cycle),
            PocType::DecodingOrder => self.type_2(slice),
        };
        self.prev_frame_num = slice.frame_num;
        if slice.marking.resets_order {
            // 8.2.1: after such a picture, its own count is as if it were an IDR picture.
            self.prev_frame_num = 0;
            self.prev_frame_num_offset = 0;
            self.prev_pic_order_cnt_msb = 0;
            self.prev_pic_order_cnt_lsb = match slice.structure {
                PictureStructure::BottomField => 0,
                PictureStructure::TopField => 0,
                PictureStructure::Frame => (-slice.delta_pic_order_cnt_bottom).max(0),
            };
            return 0;
        }
        poc
    }

    // 8.2.1.1
    fn type_0(&mut self, slice: &SliceHeader, max_lsb: i32) -> i32 {
        if slice.nal.is_idr() {
            (self.prev_pic_order_cnt_msb, self.prev_pic_order_cnt_lsb) = (0, 0);
        }
        let lsb = slice.pic_order_cnt_lsb as i32;
        let difference = lsb - self.prev_pic_order_cnt_lsb;
        let step = if difference <= -(max_lsb / 2) {
            max_lsb
        } else if difference > max_lsb / 2 {
            -max_lsb
        } else {
            0
        };
        let msb = self.prev_pic_order_cnt_msb.wrapping_add(step);
        if slice.nal.nal_ref_idc != 0 {
            (self.prev_pic_order_cnt_msb, self.prev_pic_order_cnt_lsb) = (msb, lsb);
        }
        let top = msb.wrapping_add(lsb);
        match slice.structure {
            PictureStructure::Frame => top.min(top.wrapping_add(slice.delta_pic_order_cnt_bottom)),
            _ => top,
        }
    }

    /// `FrameNumOffset` (8-6 and 8-11).
    fn frame_num_offset(&mut self, slice: &SliceHeader) -> i32 {
        let offset = if slice.nal.is_idr() {
            0
        } else if self.prev_frame_num > slice.frame_num {
            self.prev_frame_num_offset.wrapping_add(1 << slice.sps.log2_max_frame_num)
        } else {
            self.prev_frame_num_offset
        };
        self.prev_frame_num_offset = offset;
        offset
    }

    // 8.2.1.2
    fn type_1(&mut self, slice: &SliceHeader, cycle: &PocCycle) -> i32 {
        let offset = self.frame_num_offset(slice);
        let is_reference = slice.nal.nal_ref_idc != 0;
        let length = cycle.offset_for_ref_frame.len() as i32;
        let mut abs_frame_num = if length == 0 { 0 } else { offset.wrapping_add(slice.frame_num as i32) };
        if !is_reference && abs_frame_num > 0 {
            abs_frame_num -= 1;
        }
        let mut expected = 0i32;
        if abs_frame_num > 0 {
            let cycles = (abs_frame_num - 1) / length;
            let in_cycle = (abs_frame_num - 1) % length;
            let sum = |offsets: &[i32]| offsets.iter().fold(0i32, |a, &b| a.wrapping_add(b));
            let delta_per_cycle = sum(&cycle.offset_for_ref_frame);
            let rest = sum(&cycle.offset_for_ref_frame[..=in_cycle as usize]);
            expected = cycles.wrapping_mul(delta_per_cycle).wrapping_add(rest);
        }
        if !is_reference {
            expected = expected.wrapping_add(cycle.offset_for_non_ref_pic);
        }
        let [delta_0, delta_1] = slice.delta_pic_order_cnt;
        let top = expected.wrapping_add(delta_0);
        let to_bottom = cycle.offset_for_top_to_bottom_field;
        match slice.structure {
            PictureStructure::Frame => top.min(top.wrapping_add(to_bottom).wrapping_add(delta_1)),
            PictureStructure::TopField => top,
            PictureStructure::BottomField => top.wrapping_add(to_bottom),
        }
    }

    // 8.2.1.3
    fn type_2(&mut self, slice: &SliceHeader) -> i32 {
        let offset = self.frame_num_offset(slice);
        if slice.nal.is_idr() {
            return 0;
        }
        let twice = offset.wrapping_add(slice.frame_num as i32).wrapping_mul(2);
        if slice.nal.nal_ref_idc == 0 { twice.wrapping_sub(1) } else { twice }
    }
}
