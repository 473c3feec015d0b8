//! The parser of a codec whose frames take over what the frames before them left.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyList;

use super::frame_costs::FrameCosts;
use super::parse_error::parse_error;
use crate::chain::Frame;
use crate::error::Error;
use crate::stream::StreamChain;

/// Frames in decoding order, each taking over from the ones before it.
#[pyclass(module = "mediaref._native")]
pub struct ChainParser {
    pub(super) chain: StreamChain,
}

/// Parsers, and behind how many packets each can go on.
type Checkpoints = Vec<(usize, ChainParser)>;
type ChainResult = Result<Vec<Frame>, Error>;

#[pymethods]
impl ChainParser {
    fn copy(&self) -> Self {
        Self { chain: self.chain.clone() }
    }

    fn parse(&mut self, py: Python<'_>, packets: Vec<PyBackedBytes>, wanted: Vec<bool>) -> PyResult<Vec<Py<PyAny>>> {
        check_wanted(&packets, &wanted)?;
        let parse = |(packet, wanted): (&PyBackedBytes, &bool)| {
            let frames = self.chain.parse(packet);
            frames.map(|frames| if *wanted { frames } else { vec![] })
        };
        let results = py.detach(|| packets.iter().zip(&wanted).map(parse).collect());
        chain_costs(py, results)
    }

    fn parse_last(
        &self,
        py: Python<'_>,
        packets: Vec<PyBackedBytes>,
        wanted: Vec<bool>,
    ) -> PyResult<(Vec<Py<PyAny>>, Checkpoints)> {
        check_wanted(&packets, &wanted)?;
        let packets: Vec<&[u8]> = packets.iter().map(|packet| packet.as_ref()).collect();
        let (frames, checkpoints) = py.detach(|| self.chain.clone().parse_wanted(&packets, &wanted));
        let checkpoints = checkpoints.into_iter().map(|(count, chain)| (count, Self { chain })).collect();
        Ok((chain_costs(py, frames)?, checkpoints))
    }
}

fn check_wanted(packets: &[PyBackedBytes], wanted: &[bool]) -> PyResult<()> {
    if packets.len() != wanted.len() {
        return Err(PyValueError::new_err("packets and wanted differ in length"));
    }
    Ok(())
}

/// For each packet a list of `FrameCosts`, or its `ParseError`.
fn chain_costs(py: Python<'_>, results: Vec<ChainResult>) -> PyResult<Vec<Py<PyAny>>> {
    let costs = |frame: Frame| FrameCosts::new(Arc::unwrap_or_clone(frame.map), frame.is_shown);
    results
        .into_iter()
        .map(|result| match result {
            Ok(frames) => Ok(PyList::new(py, frames.into_iter().map(costs).collect::<Vec<_>>())?.into_any().unbind()),
            Err(error) => parse_error(py, error),
        })
        .collect()
}
