//! A stream as one string of bytes: what a fuzzer keeps, changes and hands to the parser.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    H264,
    Hevc,
    Vp9,
    Av1,
}

impl Codec {
    pub const ALL: [Self; 4] = [Self::H264, Self::Hevc, Self::Vp9, Self::Av1];

    /// FFmpeg's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
        }
    }

    /// Whether packets are made of NAL units.
    pub fn has_nal_units(self) -> bool {
        matches!(self, Self::H264 | Self::Hevc)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Input {
    pub extradata: Vec<u8>,
    pub packets: Vec<Vec<u8>>,
}

/// Bytes of the length before each part.
const LENGTH: usize = 2;
/// More packets than that make an input slow, and no better.
const MOST_PACKETS: usize = 32;

impl Input {
    /// Any bytes are an input: a length that reaches past the end is cut.
    pub fn from_bytes(mut bytes: &[u8]) -> Self {
        let mut parts = std::iter::from_fn(|| {
            let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
            let (part, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
            bytes = rest;
            Some(part.to_vec())
        });
        Self { extradata: parts.next().unwrap_or_default(), packets: parts.take(MOST_PACKETS).collect() }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![];
        for part in std::iter::once(&self.extradata).chain(&self.packets) {
            let part = &part[..part.len().min(usize::from(u16::MAX))];
            bytes.extend((part.len() as u16).to_be_bytes());
            bytes.extend(part);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_comes_back_from_its_bytes() {
        let input = Input { extradata: vec![1, 2], packets: vec![vec![], vec![3; 300]] };
        assert_eq!(Input::from_bytes(&input.to_bytes()), input);
        assert_eq!(Input::from_bytes(&[0, 1, 7, 0, 9, 8]), Input { extradata: vec![7], packets: vec![vec![8]] });
    }
}
