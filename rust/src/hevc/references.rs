//! Which earlier packets a decoder must have been fed to decode a picture.

use std::collections::VecDeque;

use super::ref_pic_set::RefPicSet;
use crate::packet::Dependencies;

/// Dependencies reach this far back one by one, so older pictures need not be kept apart.
const REACH: usize = 64;

/// The reference pictures in the buffer, and what the derivation of picture order counts starts from.
#[derive(Debug, Default)]
pub struct References {
    /// Number of the current packet.
    packet: usize,
    buffer: Vec<Picture>,
    /// Pictures of the sequence that may be `prevTid0Pic` to a later one, the latest last.
    anchors: VecDeque<Picture>,
    /// Whether `anchors` has all of them since the sequence began.
    has_all_anchors: bool,
    /// The last packet with an end of sequence or bitstream NAL unit.
    end: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Picture {
    packet: usize,
    poc: i32,
}

/// What the headers of a picture say of it.
#[derive(Debug, Clone, Copy)]
pub struct CurrentPicture<'a> {
    pub set: &'a RefPicSet,
    pub poc: i32,
    /// `MaxPicOrderCntLsb`.
    pub max_lsb: i32,
    pub is_irap: bool,
    /// It may be `prevTid0Pic` (8.3.1) to later ones.
    pub is_anchor: bool,
}

impl References {
    pub fn next_packet(&mut self) {
        self.packet += 1;
    }

    /// The packet says that the sequence ends with it: the next one begins as it must only behind this packet.
    pub fn end_sequence(&mut self) {
        self.end = Some(self.packet);
    }

    /// A coded video sequence begins: nothing of before is referred to any more.
    pub fn begin_sequence(&mut self) {
        self.buffer.clear();
        self.anchors.clear();
        self.has_all_anchors = true;
    }

    /// What the next picture depends on. Takes those pictures out of the buffer that none refers to any more (8.3.2),
    /// and puts it in.
    pub fn next(&mut self, picture: &CurrentPicture) -> Dependencies {
        let in_set = self.of_set(picture);
        let in_set = if picture.is_irap { Dependencies::NONE } else { in_set };
        let depends_on = in_set | self.of_order(in_set, picture);
        self.push(picture);
        depends_on
    }

    /// The pictures in the reference picture set. Those that are only kept for later ones count, too: FFmpeg decodes no
    /// picture, IRAP pictures aside, while some of its set are missing.
    fn of_set(&mut self, current: &CurrentPicture) -> Dependencies {
        let &CurrentPicture { set, poc, max_lsb, .. } = current;
        let mut depends_on = Dependencies::NONE;
        let mut kept = Vec::with_capacity(self.buffer.len() + 1);
        let mut keep = |found: Option<&Picture>| {
            kept.extend(found);
            // Of a picture that is missing, or that the stream was cut before, nothing can be said.
            depends_on |= found.map_or(Dependencies::ALL, |p| Dependencies::at(self.packet - p.packet));
        };
        for picture in set.short_term.pictures() {
            let wanted = poc.wrapping_add(picture.delta_poc);
            keep(self.buffer.iter().find(|p| p.poc == wanted));
        }
        for picture in set.long_term() {
            let lsb = picture.poc_lsb as i32;
            // (8-5)
            let found = match picture.delta_poc_msb_cycle {
                Some(cycle) => {
                    let msb = (poc & !(max_lsb - 1)).wrapping_sub((cycle as i32).wrapping_mul(max_lsb));
                    self.buffer.iter().find(|p| p.poc == msb.wrapping_add(lsb))
                }
                None => self.buffer.iter().find(|p| p.poc & (max_lsb - 1) == lsb),
            };
            keep(found);
        }
        self.buffer = kept;
        depends_on
    }

    /// What the picture's order count depends on: a decoder derives it from that of the last `prevTid0Pic` it was fed,
    /// which does as well as the one before the picture if it is no further than half the range of what is coded.
    fn of_order(&self, depends_on: Dependencies, current: &CurrentPicture) -> Dependencies {
        let &CurrentPicture { poc, max_lsb, .. } = current;
        let Some(latest) = self.anchors.back() else {
            return self.end.map_or(Dependencies::NONE, |end| Dependencies::at(self.packet - end));
        };
        let at = |anchor: &Picture| Dependencies::at(self.packet - anchor.packet);
        for anchor in self.anchors.iter().rev() {
            if poc.abs_diff(anchor.poc) >= max_lsb as u32 / 2 {
                return at(latest);
            }
            if depends_on | at(anchor) == depends_on {
                return Dependencies::NONE; // a decoder has been fed this one, if not a later one
            }
        }
        if self.has_all_anchors { Dependencies::NONE } else { at(latest) }
    }

    fn push(&mut self, current: &CurrentPicture) {
        let picture = Picture { packet: self.packet, poc: current.poc };
        self.buffer.push(picture);
        if current.is_anchor {
            if self.anchors.len() == REACH {
                self.anchors.pop_front();
                self.has_all_anchors = false;
            }
            self.anchors.push_back(picture);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stream(References);

    impl Stream {
        /// The next packet: a picture of layer 0 or above.
        fn next(&mut self, poc: i32, kept: &[i32], is_anchor: bool) -> Dependencies {
            self.0.next_packet();
            let set = RefPicSet::of_pocs(poc, kept);
            self.0.next(&CurrentPicture { set: &set, poc, max_lsb: 16, is_irap: kept.is_empty(), is_anchor })
        }
    }

    fn at(distances: &[usize]) -> Dependencies {
        distances.iter().fold(Dependencies::NONE, |all, &distance| all | Dependencies::at(distance))
    }

    #[test]
    fn pictures_depend_on_their_set_and_missing_ones_on_all() {
        let mut stream = Stream(References::default());
        stream.0.begin_sequence();
        assert_eq!(stream.next(0, &[], true), Dependencies::NONE);
        assert_eq!(stream.next(4, &[0], true), at(&[1]));
        assert_eq!(stream.next(2, &[0, 4], false), at(&[1, 2]));
        assert_eq!(stream.next(7, &[4], true), at(&[2]));
        assert_eq!(stream.next(8, &[7, 0], true), Dependencies::ALL); // 0 was given up
    }

    #[test]
    fn the_picture_that_the_order_is_counted_from_is_fed_where_others_would_mislead() {
        let mut stream = Stream(References::default());
        stream.0.begin_sequence();
        stream.next(0, &[], true);
        for poc in 1..8 {
            assert_eq!(stream.next(poc, &[0], true), at(&[poc as usize]));
        }
        // A decoder that was fed 0 alone would take 8 for -8: it must be fed the last one.
        assert_eq!(stream.next(8, &[0], true), at(&[8, 1]));
        assert_eq!(stream.next(9, &[0, 8], true), at(&[9, 1]));
    }

    #[test]
    fn a_sequence_begins_behind_the_end_of_the_one_before() {
        let mut stream = Stream(References::default());
        stream.0.begin_sequence();
        stream.next(0, &[], true);
        stream.next(1, &[0], true);
        stream.0.end_sequence();
        stream.0.begin_sequence();
        assert_eq!(stream.next(0, &[], true), at(&[1]));
    }
}
