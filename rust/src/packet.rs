//! What a packet's headers say of its picture; the row that each codec's `Scanner` gives for a packet.

use crate::map::PictureType;

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
    /// Other pictures may be predicted from this one.
    pub is_referenced: bool,
    /// (`sequence`, `poc`) is display order.
    pub poc: i32,
    pub sequence: i32,
    /// Displayed size in luma samples.
    pub width: u32,
    pub height: u32,
}
