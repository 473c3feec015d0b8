//! The parser of one stream: headers at once, costs of any frames on request.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use super::chain_parser::ChainParser;
use super::packet_headers::PacketHeaders;
use super::pending_costs::{PendingCosts, Request};
use crate::stream::Stream;

#[pyclass(module = "mediaref._native")]
pub struct StreamParser {
    stream: Stream,
}

#[pymethods]
impl StreamParser {
    #[new]
    #[pyo3(signature = (codec, extradata = vec![]))]
    fn new(codec: &str, extradata: Vec<u8>) -> PyResult<Self> {
        match Stream::new(codec, &extradata) {
            Some(stream) => Ok(Self { stream }),
            None => Err(PyValueError::new_err(format!("no bit-cost parser for codec {codec:?}"))),
        }
    }

    #[getter]
    fn has_packet_access(&self) -> bool {
        self.stream.has_packet_access()
    }

    #[getter]
    fn may_code_fields(&self) -> bool {
        self.stream.may_code_fields()
    }

    #[getter]
    fn is_shown_as_decoded(&self) -> bool {
        self.stream.is_shown_as_decoded()
    }

    fn chain(&self) -> PyResult<ChainParser> {
        let no_chain = || PyValueError::new_err("every frame of this codec is read from its own packets");
        self.stream.chain().map(|chain| ChainParser { chain }).ok_or_else(no_chain)
    }

    fn set_extradata(&mut self, extradata: Vec<u8>) {
        self.stream.set_extradata(&extradata);
    }

    fn scan(&mut self, py: Python<'_>, packets: Vec<PyBackedBytes>) -> PacketHeaders {
        py.detach(|| {
            let (handles, rows): (Vec<_>, Vec<_>) = packets.iter().map(|packet| self.stream.scan(packet)).unzip();
            PacketHeaders { parameter_sets: handles.into_iter().map(|handle| handle as i32).collect(), rows }
        })
    }

    fn stand_in<'py>(&self, py: Python<'py>, handle: usize, packet: PyBackedBytes) -> Option<Bound<'py, PyBytes>> {
        let stand_in = py.detach(|| self.stream.stand_in(handle, &packet));
        stand_in.map(|content| PyBytes::new(py, &content))
    }

    #[pyo3(signature = (frames, threads = 1))]
    fn start_bit_costs(&self, frames: Vec<(usize, Vec<PyBackedBytes>)>, threads: usize) -> PyResult<PendingCosts> {
        let no_state = |handle| PyValueError::new_err(format!("no parameter sets with handle {handle}"));
        let requests = frames
            .into_iter()
            .map(|(handle, packets)| match self.stream.state(handle) {
                Some(state) => Ok(Request::new(state.clone(), packets)),
                None => Err(no_state(handle)),
            })
            .collect::<PyResult<_>>()?;
        PendingCosts::start(requests, threads)
    }
}
