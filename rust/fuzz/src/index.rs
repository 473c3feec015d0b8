//! What must hold of the headers that an index is made of.

use mediaref_native::packet::PacketHeader;
use mediaref_native::stream::{MAX_STATES, Stream};

use crate::input::{Codec, Input};

/// Larger than any codec's limit.
const MOST_SAMPLES: u64 = 1 << 28;

/// The codec that an input of the target `index` names by its first byte, and the stream behind it.
pub fn split_codec(bytes: &[u8]) -> Option<(Codec, &[u8])> {
    let (codec, stream) = bytes.split_first()?;
    Some((Codec::ALL[usize::from(*codec) % Codec::ALL.len()], stream))
}

/// Scans a stream as an index does: in pieces, and with codec data that comes again on the way.
pub fn check_index(codec: Codec, input: &Input) {
    for with_side_data in [false, true] {
        let rows = scan(codec, input, with_side_data);
        for (handle, header) in &rows {
            assert!(*handle <= MAX_STATES);
            check_header(header);
        }
        assert!(rows.windows(2).all(|two| two[0].0 <= two[1].0), "parameter sets are met in order");
        assert!(rows.first().is_none_or(|(_, header)| !header.is_second_field));
    }
}

type Rows = Vec<(usize, PacketHeader)>;

fn scan(codec: Codec, input: &Input, with_side_data: bool) -> Rows {
    let Some(mut stream) = Stream::new(codec.name(), &input.extradata) else { return vec![] };
    let row = |(i, packet): (usize, &Vec<u8>)| {
        if with_side_data && i % 2 == 1 {
            stream.set_extradata(if i % 4 == 1 { &input.extradata } else { packet });
        }
        stream.scan(packet)
    };
    input.packets.iter().enumerate().map(row).collect()
}

fn check_header(header: &PacketHeader) {
    let samples = header.format.map_or(0, |format| u64::from(format.crop.width) * u64::from(format.crop.height));
    assert!(samples <= MOST_SAMPLES);
    assert!(header.picture_type.is_some() || !header.is_idr && !header.is_second_field);
}
