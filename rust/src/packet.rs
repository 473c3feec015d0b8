//! What a packet's headers say of its picture; the row that each codec's `Scanner` gives for a packet.

use std::ops::{BitOr, BitOrAssign};

use crate::map::PictureType;
use crate::picture_format::PictureFormat;

/// The earlier packets that a packet's pictures depend on: bit k stands for the one k + 1 before it, and bit 63, the sign,
/// for all that lie 64 or more before it. So a shift with the sign kept gives what the packet before it must wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dependencies(i64);

impl Dependencies {
    pub const NONE: Self = Self(0);
    /// For pictures of which more is not known.
    pub const ALL: Self = Self(-1);

    /// On the packet `distance` before, and none at all at distance 0: the packet itself.
    pub fn at(distance: usize) -> Self {
        match distance {
            0 => Self::NONE,
            1..64 => Self(1 << (distance - 1)),
            _ => Self(i64::MIN),
        }
    }

    /// On the `count` packets before.
    pub fn latest(count: usize) -> Self {
        if count < 64 { Self(((1u64 << count) - 1) as i64) } else { Self::ALL }
    }

    pub fn bits(self) -> i64 {
        self.0
    }
}

impl BitOr for Dependencies {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Dependencies {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PacketHeader {
    /// `None` for packets without a coded primary picture.
    pub picture_type: Option<PictureType>,
    /// The packet holds only the second field of the frame that the packet before it began.
    pub is_second_field: bool,
    /// The packet shows no picture (VP9, AV1): what it codes is only there for others.
    pub is_hidden: bool,
    /// The picture resets the decoder.
    pub is_idr: bool,
    /// Decoding can start here: an IDR picture or what the codec has in its place.
    pub is_recovery_point: bool,
    /// Reference frames to decode from a recovery point on until the pictures shown are exact.
    pub recovery_frames: u32,
    /// Other pictures may be predicted from this one.
    pub is_referenced: bool,
    /// What a decoder must have been fed to decode this packet rightly.
    pub depends_on: Dependencies,
    /// What this packet's picture is predicted from, for a decoder that is fed all reference pictures, or stand-ins.
    pub predicted_from: Dependencies,
    /// How many packets back the latest are missing from the stream that the picture hangs on, at any remove; 0: right
    /// before it (H.264).
    pub missing: Option<usize>,
    /// There is a stand-in to feed in the place of this packet (H.264).
    pub has_stand_in: bool,
    /// (`sequence`, `poc`) is display order.
    pub poc: i32,
    pub sequence: i32,
    /// `None` without a picture, and where more than its parameter sets or header has a say: a message that turns it,
    /// another layer.
    pub format: Option<PictureFormat>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_shift_towards_the_packets_they_are_on() {
        assert_eq!((Dependencies::at(1) | Dependencies::at(3)).bits(), 0b101);
        assert_eq!(Dependencies::at(0), Dependencies::NONE);
        assert_eq!(Dependencies::at(64), Dependencies::at(1000));
        assert_eq!(Dependencies::at(64).bits() >> 63, -1);
        assert_eq!(Dependencies::latest(2), Dependencies::at(1) | Dependencies::at(2));
        assert_eq!(Dependencies::latest(64), Dependencies::ALL);
        assert_eq!(Dependencies::latest(63).bits(), i64::MAX);
    }
}
