//! The Python face: the only folder that knows PyO3, one class a file. Every call that parses releases the GIL.

mod chain_parser;
mod frame_costs;
mod packet_headers;
mod parse_error;
mod pending_costs;
mod stream_parser;

use pyo3::prelude::*;

#[pymodule(name = "_native")]
mod module {
    #[pymodule_export]
    use super::chain_parser::ChainParser;
    #[pymodule_export]
    use super::frame_costs::FrameCosts;
    #[pymodule_export]
    use super::packet_headers::{PacketHeaders, PictureFormat};
    #[pymodule_export]
    use super::parse_error::ParseError;
    #[pymodule_export]
    use super::pending_costs::PendingCosts;
    #[pymodule_export]
    use super::stream_parser::StreamParser;
}
