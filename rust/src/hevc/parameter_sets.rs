//! The parameter sets in force at some point of a stream, from its container and from its packets.

use std::sync::Arc;

use super::nal::{NalUnit, nal_unit_type};
use super::pps::Pps;
use super::sps::Sps;
use crate::bits::Rbsp;
use crate::error::{Error, Result};
use crate::map::Buffers;
use crate::nal::Framing;

const MAX_SPS_COUNT: usize = 16;
const MAX_PPS_COUNT: usize = 64;

/// A parameter set as it came and as it was understood; what is wrong with it counts only once it is used.
#[derive(Debug, Clone)]
struct Stored<T> {
    bytes: Vec<u8>,
    parsed: Result<Arc<T>>,
}

/// An immutable snapshot: cheap to clone, shared by all pictures between two changes.
#[derive(Debug, Clone, Default)]
pub struct ParameterSets {
    framing: Framing,
    sps: [Option<Arc<Stored<Sps>>>; MAX_SPS_COUNT],
    pps: Vec<Option<Arc<Stored<Pps>>>>,
}

impl ParameterSets {
    /// From a container's codec data: an `hvcC` box's content, or NAL units with start codes, or nothing.
    pub fn new(extradata: &[u8]) -> Self {
        let mut sets = Self::default();
        sets.set_extradata(extradata);
        sets
    }

    /// Memory for a map of the pictures that the first set describes.
    pub fn buffers(&self) -> Buffers {
        let Some(sps) = self.sps.iter().flatten().find_map(|stored| stored.parsed.as_ref().ok()) else {
            return Buffers::default();
        };
        Buffers::for_picture(1 << sps.ctb_log2_size_y, sps.pic_width_in_luma_samples, sps.pic_height_in_luma_samples)
    }

    /// Takes over the sets of a new sample description; those of other ids stay, as a decoder keeps them.
    pub fn set_extradata(&mut self, extradata: &[u8]) {
        if is_hvcc(extradata) {
            self.apply_hvcc(extradata);
        } else {
            self.framing = Framing::AnnexB;
            for range in Framing::AnnexB.split(extradata).unwrap_or_default() {
                self.apply_bytes(&extradata[range]);
            }
        }
    }

    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The sets that a slice with this `slice_pic_parameter_set_id` activates.
    pub fn active(&self, pps_id: u32, bit: usize) -> Result<(Arc<Sps>, Arc<Pps>)> {
        let missing = |what| Err(Error::corrupt(what, bit));
        let Some(Some(pps)) = self.pps.get(pps_id as usize) else {
            return missing("missing picture parameter set");
        };
        let pps = pps.parsed.clone()?;
        let Some(Some(sps)) = self.sps.get(usize::from(pps.pps_seq_parameter_set_id)) else {
            return missing("missing sequence parameter set");
        };
        Ok((sps.parsed.clone()?, pps))
    }

    /// Whether `apply` would change anything.
    pub fn is_changed_by(&self, nal: &NalUnit) -> bool {
        if !nal.is_parameter_set() {
            return false;
        }
        let rbsp = Rbsp::from_ebsp(nal.bytes);
        match nal.nal_unit_type {
            nal_unit_type::SPS => Sps::read_id(&rbsp).is_ok_and(|id| differs(self.sps.get(id), nal.bytes)),
            _ => Pps::read_id(&rbsp).is_ok_and(|id| id < MAX_PPS_COUNT && differs(self.pps.get(id), nal.bytes)),
        }
    }

    /// Stores the base layer's parameter sets; other NAL units and sets whose id cannot be read change nothing.
    pub fn apply(&mut self, nal: &NalUnit) {
        if !nal.is_parameter_set() {
            return;
        }
        let rbsp = Rbsp::from_ebsp(nal.bytes);
        match nal.nal_unit_type {
            nal_unit_type::SPS => {
                if let Some(slot) = Sps::read_id(&rbsp).ok().and_then(|id| self.sps.get_mut(id)) {
                    *slot =
                        Some(Arc::new(Stored { bytes: nal.bytes.to_vec(), parsed: Sps::parse(&rbsp).map(Arc::new) }));
                }
            }
            _ => {
                if let Some(id) = Pps::read_id(&rbsp).ok().filter(|&id| id < MAX_PPS_COUNT) {
                    self.pps.resize(MAX_PPS_COUNT, None);
                    self.pps[id] =
                        Some(Arc::new(Stored { bytes: nal.bytes.to_vec(), parsed: Pps::parse(&rbsp).map(Arc::new) }));
                }
            }
        }
    }

    fn apply_bytes(&mut self, bytes: &[u8]) {
        if let Some(nal) = NalUnit::new(bytes, 0) {
            self.apply(&nal);
        }
    }

    /// `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 8.3.3.1); what is cut off is left out.
    fn apply_hvcc(&mut self, record: &[u8]) -> Option<()> {
        const FIXED_PART: usize = 22;
        let length_size = usize::from(record.get(FIXED_PART - 1)? & 3) + 1;
        self.framing = Framing::LengthPrefixed(length_size);
        let num_of_arrays = *record.get(FIXED_PART)?;
        let mut rest = record.get(FIXED_PART + 1..)?;
        for _ in 0..num_of_arrays {
            let num_nalus = u16::from_be_bytes([*rest.get(1)?, *rest.get(2)?]);
            rest = &rest[3..];
            for _ in 0..num_nalus {
                let len = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
                let (bytes, behind) = rest[2..].split_at_checked(len)?;
                self.apply_bytes(bytes);
                rest = behind;
            }
        }
        Some(())
    }
}

/// A record begins with its version, 1 (0 in early files); a start code with at least two zeros and at most a 1.
fn is_hvcc(extradata: &[u8]) -> bool {
    matches!(extradata, &[a, b, c, _, ..] if a != 0 || b != 0 || c > 1)
}

fn differs<T>(slot: Option<&Option<Arc<Stored<T>>>>, bytes: &[u8]) -> bool {
    slot.is_none_or(|slot| slot.as_ref().is_none_or(|stored| stored.bytes != bytes))
}
