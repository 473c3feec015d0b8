//! NAL unit headers (7.3.1.2) and what their types tell (Table 7-1).

/// Length of `nal_unit_header()` in bytes.
pub const NAL_HEADER_BYTES: usize = 2;

/// `nal_unit_type`, those that are told apart here.
pub mod nal_unit_type {
    pub const RADL_N: u8 = 6;
    pub const RADL_R: u8 = 7;
    pub const RASL_N: u8 = 8;
    pub const RASL_R: u8 = 9;
    pub const RSV_VCL_R15: u8 = 15;
    pub const BLA_W_LP: u8 = 16;
    pub const BLA_N_LP: u8 = 18;
    pub const IDR_W_RADL: u8 = 19;
    pub const IDR_N_LP: u8 = 20;
    pub const CRA: u8 = 21;
    pub const RSV_IRAP_VCL23: u8 = 23;
    pub const SPS: u8 = 33;
    pub const PPS: u8 = 34;
    pub const EOS: u8 = 36;
    pub const EOB: u8 = 37;
    pub const PREFIX_SEI: u8 = 39;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NalUnit<'a> {
    pub nal_unit_type: u8,
    pub nuh_layer_id: u8,
    pub temporal_id: u8,
    /// Header and payload, emulation prevention bytes included.
    pub bytes: &'a [u8],
    /// Position of `bytes` in the packet.
    pub start: usize,
}

impl<'a> NalUnit<'a> {
    /// `None` where the header (7.3.1.2) is cut off or of no meaning; decoders ignore such units.
    pub fn new(bytes: &'a [u8], start: usize) -> Option<Self> {
        let &[high, low, ..] = bytes else { return None };
        let temporal_id = (low & 7).checked_sub(1)?;
        let forbidden_zero_bit = high >> 7;
        (forbidden_zero_bit == 0).then_some(Self {
            nal_unit_type: high >> 1 & 63,
            nuh_layer_id: (high & 1) << 5 | low >> 3,
            temporal_id,
            bytes,
            start,
        })
    }

    /// A slice segment of the base layer; other layers belong to other pictures.
    pub fn is_base_slice(&self) -> bool {
        let kind = self.nal_unit_type;
        let is_slice = kind <= nal_unit_type::RASL_R || (nal_unit_type::BLA_W_LP..=nal_unit_type::CRA).contains(&kind);
        is_slice && self.nuh_layer_id == 0
    }

    /// A set that pictures of the base layer may refer to.
    pub fn is_parameter_set(&self) -> bool {
        matches!(self.nal_unit_type, nal_unit_type::SPS | nal_unit_type::PPS) && self.nuh_layer_id == 0
    }

    /// Whether the order counts of later pictures are derived from this one's (8.3.1).
    pub fn may_be_prev_tid0_pic(&self) -> bool {
        let kind = self.nal_unit_type;
        self.temporal_id == 0 && !is_rasl(kind) && !is_radl(kind) && !is_sub_layer_non_reference(kind)
    }

    pub fn is_irap(&self) -> bool {
        is_irap(self.nal_unit_type)
    }
}

pub fn is_irap(kind: u8) -> bool {
    (nal_unit_type::BLA_W_LP..=nal_unit_type::RSV_IRAP_VCL23).contains(&kind)
}

pub fn is_idr(kind: u8) -> bool {
    matches!(kind, nal_unit_type::IDR_W_RADL | nal_unit_type::IDR_N_LP)
}

pub fn is_bla(kind: u8) -> bool {
    (nal_unit_type::BLA_W_LP..=nal_unit_type::BLA_N_LP).contains(&kind)
}

pub fn is_rasl(kind: u8) -> bool {
    matches!(kind, nal_unit_type::RASL_N | nal_unit_type::RASL_R)
}

pub fn is_radl(kind: u8) -> bool {
    matches!(kind, nal_unit_type::RADL_N | nal_unit_type::RADL_R)
}

/// `SLNR`: no picture of the same temporal sub-layer refers to it.
pub fn is_sub_layer_non_reference(kind: u8) -> bool {
    kind < nal_unit_type::RSV_VCL_R15 && kind & 1 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_no_meaning_give_no_unit() {
        assert_eq!(NalUnit::new(&[0x42], 0), None);
        assert_eq!(NalUnit::new(&[0xc2, 1], 0), None);
        assert_eq!(NalUnit::new(&[0x42, 0], 0), None);
        let unit = NalUnit::new(&[0x43, 0x0a], 5).unwrap();
        assert_eq!((unit.nal_unit_type, unit.nuh_layer_id, unit.temporal_id), (33, 33, 1));
    }
}
