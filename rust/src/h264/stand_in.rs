//! Stand-ins: what a decoder can be fed in the place of a reference picture that nothing to be shown is predicted from.
//!
//! A stand-in is a P picture of skipped macroblocks under the header of the picture itself. The decoder numbers, orders
//! and marks its reference pictures as if it had the real one, and takes a small part of the time for it.

use super::cabac_syntax::initial_context;
use super::parameter_sets::{ParameterSets, PocType, Pps, Sps};
use super::slice_header::{NalHeader, SliceHeader};
use crate::bit_writer::{BitWriter, nal_unit};
use crate::bits::Rbsp;
use crate::cabac_encoder::CabacEncoder;
use crate::nal::Framing;

/// ctxIdx of `mb_skip_flag` in P slices where no neighbour is other than skipped.
const MB_SKIP_FLAG: usize = 11;

/// Types of the NAL units that a packet may consist of: slices, SEI, access unit delimiters, filler data. A stand-in
/// brings none of the others.
const REPLACEABLE: [u8; 4] = [1, 6, 9, 12];

/// The packet to feed in the place of `packet`, which is framed alike; `sets` are those in force before it. `None` if
/// there is none.
pub fn stand_in(sets: &ParameterSets, packet: &[u8]) -> Option<Vec<u8>> {
    let units = sets.framing.split(packet).ok()?;
    if !are_replaceable(units.iter().map(|unit| NalHeader::parse(packet[unit.start]))) {
        return None;
    }
    let unit = units.into_iter().map(|unit| &packet[unit]).find(|unit| NalHeader::parse(unit[0]).nal_unit_type == 1)?;
    let slice = SliceHeader::parse(NalHeader::parse(unit[0]), &Rbsp::from_ebsp(&unit[1..]), sets).ok()?;
    let stand_in = nal_unit(unit[0], &slice_layer(&slice)?);
    framed(sets.framing, packet, &stand_in)
}

/// Whether a packet of these NAL units tells no more than its picture.
pub fn are_replaceable(mut units: impl Iterator<Item = NalHeader>) -> bool {
    units.all(|unit| REPLACEABLE.contains(&unit.nal_unit_type))
}

/// Whether there is a stand-in for the picture that the slice belongs to, other reference pictures being there.
pub fn has_stand_in(slice: &SliceHeader) -> bool {
    slice.nal.nal_ref_idc != 0
        && slice.nal.nal_unit_type == 1
        && slice.sps.frame_mbs_only_flag
        && !slice.sps.separate_colour_plane_flag
        && slice.sps.max_num_ref_frames > 0
        && !slice.marking.has_others
}

/// `slice_layer_without_partitioning_rbsp` (7.3.2.8) of the stand-in.
fn slice_layer(slice: &SliceHeader) -> Option<Vec<u8>> {
    if !has_stand_in(slice) {
        return None;
    }
    let header = slice_header(slice);
    let mb_count = slice.sps.pic_width_in_mbs * slice.pic_height_in_mbs();
    Some(if slice.pps.entropy_coding_mode_flag {
        header.align_with_ones().append(&skipped(mb_count, slice.slice_qp)).bytes()
    } else {
        header.ue(&[mb_count]).bytes() // mb_skip_run
    })
}

/// 7.3.3: of the slice's own header what numbers, orders and marks the picture; for the rest the shortest.
fn slice_header(slice: &SliceHeader) -> BitWriter {
    let (sps, pps) = (&*slice.sps, &*slice.pps);
    let p = 0;
    let mut bits = BitWriter::default().ue(&[0, p, slice.pic_parameter_set_id]);
    bits = bits.u(sps.log2_max_frame_num, slice.frame_num);
    bits = order_count(bits, slice);
    if pps.redundant_pic_cnt_present_flag {
        bits = bits.ue(&[0]);
    }
    bits = bits.u(1, 1).ue(&[0]); // num_ref_idx_active_override_flag, num_ref_idx_l0_active_minus1
    bits = bits.u(1, 0); // ref_pic_list_modification_flag_l0
    if pps.weighted_pred_flag {
        bits = without_weights(bits, sps);
    }
    bits = dec_ref_pic_marking(bits, slice);
    if pps.entropy_coding_mode_flag {
        bits = bits.ue(&[0]); // cabac_init_idc
    }
    bits = bits.se(slice.slice_qp - pps.pic_init_qp); // slice_qp_delta, which the slice itself has
    without_deblocking(bits, pps)
}

fn order_count(bits: BitWriter, slice: &SliceHeader) -> BitWriter {
    let has_bottom = slice.pps.bottom_field_pic_order_in_frame_present_flag;
    match &slice.sps.poc {
        PocType::Lsb { log2_max_pic_order_cnt_lsb } => {
            let bits = bits.u(*log2_max_pic_order_cnt_lsb, slice.pic_order_cnt_lsb);
            if has_bottom { bits.se(slice.delta_pic_order_cnt_bottom) } else { bits }
        }
        PocType::Cycle(cycle) if !cycle.delta_pic_order_always_zero_flag => {
            let bits = bits.se(slice.delta_pic_order_cnt[0]);
            if has_bottom { bits.se(slice.delta_pic_order_cnt[1]) } else { bits }
        }
        _ => bits,
    }
}

/// `pred_weight_table` (7.3.3.2) of one reference, with neither weight.
fn without_weights(bits: BitWriter, sps: &Sps) -> BitWriter {
    if sps.chroma_array_type() == 0 { bits.ue(&[0]).u(1, 0) } else { bits.ue(&[0, 0]).u(2, 0) }
}

// 7.3.3.3
fn dec_ref_pic_marking(bits: BitWriter, slice: &SliceHeader) -> BitWriter {
    let unused = &slice.marking.unused;
    if unused.is_empty() {
        return bits.u(1, 0);
    }
    let commands = unused.iter().fold(bits.u(1, 1), |bits, &difference| bits.ue(&[1, (difference - 1) as u32]));
    commands.ue(&[0])
}

/// `disable_deblocking_filter_idc` equal to 1, where it can be said: nobody looks at the picture.
fn without_deblocking(bits: BitWriter, pps: &Pps) -> BitWriter {
    if pps.deblocking_filter_control_present_flag { bits.ue(&[1]) } else { bits }
}

/// `slice_data` (7.3.4) of macroblocks that are all skipped, in CABAC, up to the `rbsp_stop_one_bit`.
fn skipped(mb_count: u32, slice_qp: i32) -> BitWriter {
    let mut context = initial_context(1, MB_SKIP_FLAG, slice_qp);
    let mut encoder = CabacEncoder::default();
    for _ in 1..mb_count {
        encoder.decision(&mut context, true);
        encoder.go_on(); // end_of_slice_flag
    }
    encoder.decision(&mut context, true);
    encoder.finish()
}

/// The NAL unit as a packet of its own, told apart from others as those of `packet` are.
fn framed(framing: Framing, packet: &[u8], unit: &[u8]) -> Option<Vec<u8>> {
    const START_CODE: [u8; 4] = [0, 0, 0, 1];
    let start = match framing {
        Framing::LengthPrefixed(size) if !packet.starts_with(&START_CODE) => {
            let length = u32::try_from(unit.len()).ok()?.to_be_bytes();
            let (beyond, length) = length.split_at(4 - size);
            if beyond.iter().any(|&byte| byte != 0) {
                return None;
            }
            length.to_vec()
        }
        _ => START_CODE.to_vec(),
    };
    Some([start, unit.to_vec()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h264::{Scanner, Scratch, frame_map};

    /// What matters to the syntax of a stand-in.
    #[derive(Debug, Clone, Copy)]
    struct Features {
        is_cabac: bool,
        poc_type: u32,
        has_bottom: bool,
        is_weighted: bool,
        is_gray: bool,
        has_deblocking_control: bool,
        has_redundant: bool,
        /// In macroblocks.
        size: (u32, u32),
        is_length_prefixed: bool,
    }

    impl Features {
        fn all() -> impl Iterator<Item = Self> {
            let sizes = [(1, 1), (20, 23), (120, 68)];
            (0..3 * 128u32).map(move |n| Self {
                is_cabac: n & 1 != 0,
                poc_type: n >> 7,
                has_bottom: n & 2 != 0,
                is_weighted: n & 4 != 0,
                is_gray: n & 8 != 0,
                has_deblocking_control: n & 16 != 0,
                has_redundant: n & 32 != 0,
                size: sizes[n as usize % 3],
                is_length_prefixed: n & 64 != 0,
            })
        }

        fn sets(self) -> [Vec<u8>; 2] {
            let sps = BitWriter::default().u(8, 100).u(16, 51).ue(&[0, u32::from(!self.is_gray), 0, 0]).u(2, 0);
            let sps = sps.ue(&[0, self.poc_type]);
            let sps = match self.poc_type {
                0 => sps.ue(&[2]),
                1 => sps.u(1, 0).se(-1).se(2).ue(&[1]).se(3),
                _ => sps,
            };
            let sps = sps.ue(&[4]).u(1, 0).ue(&[self.size.0 - 1, self.size.1 - 1]).u(1, 1).u(1, 1).u(1, 0).u(1, 0);
            let pps = BitWriter::default().ue(&[0, 0]).u(1, u32::from(self.is_cabac)).u(1, u32::from(self.has_bottom));
            let pps = pps.ue(&[0, 2, 2]).u(1, u32::from(self.is_weighted)).u(2, 0).se(3).se(0).se(0);
            let pps = pps.u(1, u32::from(self.has_deblocking_control)).u(1, 0).u(1, u32::from(self.has_redundant));
            [nal_unit(0x67, &sps.bytes()), nal_unit(0x68, &pps.bytes())]
        }

        /// The header of an I slice with two commands, and something behind it.
        fn slice(self) -> Vec<u8> {
            let mut bits = BitWriter::default().ue(&[0, 7, 0]).u(4, 11);
            bits = match self.poc_type {
                0 => bits.u(6, 44),
                1 => bits.se(-5),
                _ => bits,
            };
            if self.has_bottom && self.poc_type < 2 {
                bits = bits.se(7);
            }
            if self.has_redundant {
                bits = bits.ue(&[0]);
            }
            bits = bits.u(1, 1).ue(&[1, 0, 1, 6, 0]).se(-9); // dec_ref_pic_marking, slice_qp_delta
            if self.has_deblocking_control {
                bits = bits.ue(&[1]);
            }
            nal_unit(0x41, &bits.u(32, 0xabcd_ef12).bytes())
        }

        fn framed(self, units: &[Vec<u8>]) -> Vec<u8> {
            let start = |unit: &Vec<u8>| if self.is_length_prefixed { [0, unit.len() as u8] } else { [0, 0] };
            let rest = |unit: &Vec<u8>| if self.is_length_prefixed { unit.clone() } else { [&[1], &unit[..]].concat() };
            units.iter().flat_map(|unit| [start(unit).to_vec(), rest(unit)].concat()).collect()
        }

        fn parameter_sets(self) -> ParameterSets {
            let mut sets = ParameterSets::default();
            if self.is_length_prefixed {
                sets.replace_extradata(&[1, 0, 0, 0, 0xfd, 0xe0, 0]);
            }
            self.sets().iter().for_each(|set| assert!(sets.add(set).unwrap()));
            sets
        }
    }

    fn header(sets: &ParameterSets, packet: &[u8]) -> SliceHeader {
        let units = sets.framing.split(packet).unwrap();
        let nal = &packet[units.last().unwrap().clone()];
        SliceHeader::parse(NalHeader::parse(nal[0]), &Rbsp::from_ebsp(&nal[1..]), sets).unwrap()
    }

    #[test]
    fn a_stand_in_has_the_picture_s_own_numbers_and_skipped_blocks_to_the_last_bit() {
        for features in Features::all() {
            let sets = features.parameter_sets();
            let delimiter = vec![9, 0xf0];
            let packet = features.framed(&[delimiter, features.slice()]);
            let stand_in = stand_in(&sets, &packet).unwrap();
            let (real, other) = (header(&sets, &packet), header(&sets, &stand_in));
            assert_eq!((other.nal, other.frame_num, &other.marking), (real.nal, 11, &real.marking));
            assert_eq!(real.marking.unused, [1, 7]);
            assert!(!other.starts_new_picture(&real));
            let map = frame_map(&sets, &[&stand_in], &mut Scratch::default()).unwrap();
            assert_eq!((map.cols as u32, map.rows as u32), features.size);
            assert!(map.kind.iter().all(|&kind| kind == 0), "{features:?}");
            let spent: u64 = map.bits.iter().map(|&bits| u64::from(bits)).sum();
            assert_eq!(spent + map.overhead_bits, stand_in.len() as u64 * 8);
            assert!(stand_in.len() < 90, "{features:?}: {} bytes", stand_in.len());
        }
    }

    #[test]
    fn there_is_none_for_packets_that_bring_parameter_sets_and_for_pictures_that_are_no_reference() {
        let features = Features::all().next().unwrap();
        let sets = features.parameter_sets();
        let [sps, pps] = features.sets();
        let slice = features.slice();
        assert!(stand_in(&sets, &features.framed(std::slice::from_ref(&slice))).is_some());
        assert_eq!(stand_in(&sets, &features.framed(&[sps, pps, slice.clone()])), None);
        let unreferenced = [&[0x01], &slice[1..]].concat();
        assert_eq!(stand_in(&sets, &features.framed(&[unreferenced])), None);
        assert_eq!(stand_in(&sets, &features.framed(&[slice[..3].to_vec()])), None);
        assert_eq!(stand_in(&sets, &[]), None);
        assert_eq!(stand_in(&ParameterSets::default(), &features.framed(&[slice])), None);
    }

    #[test]
    fn the_row_of_a_packet_tells_whether_there_is_one() {
        let features = Features::all().next().unwrap();
        let [sps, pps] = features.sets();
        let slice = BitWriter::default().ue(&[0, 7, 0]).u(4, 1).u(6, 2).u(1, 0).se(0).bytes();
        let first = BitWriter::default().ue(&[0, 7, 0]).u(4, 0).ue(&[0]).u(6, 0).u(2, 0).se(0).bytes();
        let mut scanner = Scanner::new(&features.framed(&[sps.clone(), pps]));
        let mut scan = |units: &[Vec<u8>]| scanner.scan(&features.framed(units)).has_stand_in;
        assert!(!scan(&[nal_unit(0x41, &slice)])); // where the buffer is not known
        assert!(!scan(&[nal_unit(0x65, &first)]));
        assert!(scan(&[nal_unit(0x41, &slice)]));
        assert!(!scan(&[nal_unit(0x65, &first)]));
        assert!(!scan(&[sps, nal_unit(0x41, &slice)]));
    }
}
