//! What a picture's samples are: all that must be known to make room for it.

use crate::bits::BitReader;
use crate::map::Crop;

/// A picture as its stream describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PictureFormat {
    pub crop: Crop,
    /// Bits of a luma sample, and of a chroma sample.
    pub bit_depth: (u8, u8),
    /// How many luma samples a chroma sample stands for, across and down, as powers of two; `None` without chroma.
    pub subsampling: Option<(u8, u8)>,
    pub colour: Colour,
}

/// How samples are meant to be seen; `None` where the stream does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Colour {
    pub is_rgb: Option<bool>,
    pub is_full_range: Option<bool>,
}

impl Colour {
    /// Reads the beginning of `vui_parameters()`, up to the colours, which is the same in H.264 and HEVC (E.1.1, E.2.1).
    pub fn parse(r: &mut BitReader) -> Self {
        let aspect_ratio_info_present_flag = r.flag();
        if aspect_ratio_info_present_flag {
            const EXTENDED_SAR: u32 = 255;
            let aspect_ratio_idc = r.u(8);
            if aspect_ratio_idc == EXTENDED_SAR {
                r.skip(32);
            }
        }
        let overscan_info_present_flag = r.flag();
        if overscan_info_present_flag {
            r.skip(1);
        }
        let mut colour = Self::default();
        let video_signal_type_present_flag = r.flag();
        if video_signal_type_present_flag {
            r.skip(3); // video_format
            colour.is_full_range = Some(r.flag());
            let colour_description_present_flag = r.flag();
            if colour_description_present_flag {
                r.skip(2 * 8); // colour_primaries, transfer_characteristics
                let matrix_coefficients = r.u(8);
                colour.is_rgb = Some(matrix_coefficients == 0);
            }
        }
        colour
    }
}

/// `SubWidthC` and `SubHeightC` of a `chroma_format_idc` (H.264 table 6-1, HEVC table 6-1), as powers of two.
pub fn subsampling(chroma_format_idc: u8) -> Option<(u8, u8)> {
    match chroma_format_idc {
        0 => None,
        1 => Some((1, 1)),
        2 => Some((1, 0)),
        _ => Some((0, 0)),
    }
}
