//! Several frames in one packet (Annex B).

use std::ops::Range;

use crate::error::{Error, Result};

/// Where the frames of `packet` lie. Frames of no bytes are left out; what lies outside of all of them, the index
/// above all, codes nothing.
pub fn split(packet: &[u8]) -> Result<Vec<Range<usize>>> {
    let Some(sizes) = superframe_index(packet) else {
        return Ok(std::iter::once(0..packet.len()).collect());
    };
    let mut frames = Vec::with_capacity(sizes.len());
    let mut start = 0usize;
    for size in sizes {
        let end = start.saturating_add(size);
        if end > packet.len() {
            return Err(Error::corrupt("a superframe's index tells of more bytes than there are", start * 8));
        }
        if size > 0 {
            frames.push(start..end);
        }
        start = end;
    }
    Ok(frames)
}

/// `frame_sizes` of `superframe_index` (B.3), if the packet ends in one.
fn superframe_index(packet: &[u8]) -> Option<Vec<usize>> {
    let &marker = packet.last()?;
    if marker >> 5 != 0b110 {
        return None;
    }
    let bytes_per_size = usize::from(marker >> 3 & 3) + 1;
    let frames = usize::from(marker & 7) + 1;
    let start = packet.len().checked_sub(2 + bytes_per_size * frames)?;
    if packet[start] != marker {
        return None;
    }
    let sizes = packet[start + 1..packet.len() - 1].chunks_exact(bytes_per_size);
    Some(sizes.map(|size| size.iter().rev().fold(0, |value, &byte| value << 8 | usize::from(byte))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart_by_the_index() {
        assert!(split(&[1, 2, 3]).unwrap().into_iter().eq([0..3; 1]));
        let marker = 0b1100_1001; // two frames, sizes of two bytes
        assert_eq!(split(&[1, 2, 3, marker, 2, 0, 1, 0, marker]).unwrap(), [0..2, 2..3]);
        assert!(split(&[1, 2, 3, marker, 3, 0, 0, 0, marker]).unwrap().into_iter().eq([0..3; 1]));
        assert!(split(&[1, 2, 3, marker, 2, 0, 0, 1, marker]).is_err());
        // Without the same byte before it, the last byte is a frame's own.
        assert!(split(&[1, 2, 3, 4, 2, 0, 1, 0, marker]).unwrap().into_iter().eq([0..9; 1]));
    }
}
