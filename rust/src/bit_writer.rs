//! Bit writer, Exp-Golomb codes and emulation prevention: the counterpart of `bits`.

/// Syntax elements, one call after the other. Kept a bit a byte, for what is written here is short.
#[derive(Debug, Default, Clone)]
pub struct BitWriter(Vec<u8>);

impl BitWriter {
    pub fn push(&mut self, bit: bool) {
        self.0.push(u8::from(bit));
    }

    /// `u(n)`.
    pub fn u(mut self, n: u32, value: u32) -> Self {
        self.0.extend((0..n).rev().map(|i| (value >> i) as u8 & 1));
        self
    }

    /// `ue(v)` of each value.
    pub fn ue(mut self, values: &[u32]) -> Self {
        values.iter().for_each(|&value| put_ue(&mut self.0, value));
        self
    }

    /// `se(v)` (9.1.1).
    pub fn se(self, value: i32) -> Self {
        let magnitude = value.unsigned_abs();
        self.ue(&[if value > 0 { 2 * magnitude - 1 } else { 2 * magnitude }])
    }

    /// Ones up to the end of a byte.
    pub fn align_with_ones(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(8), 1);
        self
    }

    /// What `other` has, behind what is there.
    pub fn append(mut self, other: &Self) -> Self {
        self.0.extend(&other.0);
        self
    }

    /// Bytes: a stop bit, and zeros up to the end of the last one.
    pub fn bytes(&self) -> Vec<u8> {
        pack(&self.clone().u(1, 1).0)
    }
}

pub fn put_ue(bits: &mut Vec<u8>, value: u32) {
    let code = u64::from(value) + 1;
    let len = 64 - code.leading_zeros();
    bits.extend(std::iter::repeat_n(0, len as usize - 1));
    bits.extend((0..len).rev().map(|i| (code >> i) as u8 & 1));
}

pub fn pack(bits: &[u8]) -> Vec<u8> {
    bits.chunks(8).map(|c| c.iter().enumerate().fold(0, |b, (i, &v)| b | v << (7 - i))).collect()
}

/// A NAL unit of a header byte and an RBSP (7.3.1), with each `emulation_prevention_three_byte` that it takes.
pub fn nal_unit(header: u8, rbsp: &[u8]) -> Vec<u8> {
    let mut unit = vec![header];
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros >= 2 && byte <= 3 {
            unit.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        unit.push(byte);
    }
    unit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::Rbsp;

    #[test]
    fn signed_codes_and_bytes_like_start_codes_are_read_back() {
        let values = [0, 1, -1, 2, -2, 1000, -1000, i32::MAX, -i32::MAX];
        let written = values.iter().fold(BitWriter::default(), |bits, &value| bits.se(value));
        let bytes = written.bytes();
        let mut rbsp = [0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4].to_vec();
        rbsp.extend(&bytes);
        let unit = nal_unit(0x41, &rbsp);
        assert!(!unit.windows(3).any(|w| w[..2] == [0, 0] && w[2] < 3));
        let read = Rbsp::from_ebsp(&unit[1..]);
        assert_eq!(read.payload(), rbsp);
        let mut reader = read.reader();
        reader.skip(15 * 8);
        for value in values {
            assert_eq!(reader.se(), Ok(value));
        }
    }
}
