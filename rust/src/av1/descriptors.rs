//! Mathematical descriptors (4.10) that other codecs do not have.

use crate::bits::BitReader;

/// `su(n)` (4.10.6): a signed number of `n` bits.
pub fn su(r: &mut BitReader, n: u32) -> i32 {
    let value = r.u(n) as i32;
    let sign_mask = 1 << (n - 1);
    if value & sign_mask != 0 { value - 2 * sign_mask } else { value }
}

/// `ns(n)` (4.10.7): a number below `n`, which is at least 1.
pub fn ns(r: &mut BitReader, n: u32) -> u32 {
    let w = n.ilog2() + 1;
    let m = (1 << w) - n;
    let v = r.u(w - 1);
    if v < m { v } else { (v << 1) - m + r.u(1) }
}

/// `uvlc()` (4.10.3), passed over.
pub fn skip_uvlc(r: &mut BitReader) {
    let zeros = (0..32).take_while(|_| !r.flag()).count();
    if zeros < 32 {
        r.skip(zeros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_below_five_take_two_bits_or_three() {
        let mut r = BitReader::new(&[0b0001_1011, 0b0111_0000]);
        assert_eq!([0; 5].map(|_| ns(&mut r, 5)), [0, 1, 2, 3, 4]);
        assert_eq!(r.pos(), 12);
        assert_eq!(ns(&mut r, 1), 0);
        assert_eq!(r.pos(), 12);
    }

    #[test]
    fn signed_numbers_have_their_sign_in_front() {
        let mut r = BitReader::new(&[0b0111_1000, 0b1111_0000]);
        assert_eq!([0; 4].map(|_| su(&mut r, 4)), [7, -8, -1, 0]);
    }
}
