//! The Python face: the only module that knows PyO3. Every call that parses releases the GIL.

use std::sync::Arc;

use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use rayon::prelude::*;

use crate::error::{Error, ErrorKind};
use crate::h264;
use crate::map::FrameMap;
use crate::packet::PacketHeader;

#[pymodule(name = "_native")]
mod module {
    #[pymodule_export]
    use super::{FrameCosts, PacketHeaders, ParseError, StreamParser};
}

#[pyclass(frozen, module = "mediaref._native")]
struct PacketHeaders {
    parameter_sets: Vec<i32>,
    rows: Vec<PacketHeader>,
}

impl PacketHeaders {
    fn column<'py, T: numpy::Element>(
        &self,
        py: Python<'py>,
        value: impl Fn(&PacketHeader) -> T,
    ) -> Bound<'py, PyArray1<T>> {
        self.rows.iter().map(value).collect::<Vec<_>>().into_pyarray(py)
    }
}

#[pymethods]
impl PacketHeaders {
    fn __len__(&self) -> usize {
        self.rows.len()
    }

    #[getter]
    fn parameter_sets<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        self.parameter_sets.clone().into_pyarray(py)
    }

    #[getter]
    fn has_picture<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<bool>> {
        self.column(py, |row| row.picture_type.is_some())
    }

    #[getter]
    fn is_second_field<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<bool>> {
        self.column(py, |row| row.is_second_field)
    }

    #[getter]
    fn picture_type<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u8>> {
        self.column(py, |row| row.picture_type.map_or(0, |t| t.letter() as u8))
    }

    #[getter]
    fn is_idr<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<bool>> {
        self.column(py, |row| row.is_idr)
    }

    #[getter]
    fn is_recovery_point<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<bool>> {
        self.column(py, |row| row.is_recovery_point)
    }

    #[getter]
    fn is_referenced<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<bool>> {
        self.column(py, |row| row.is_referenced)
    }

    #[getter]
    fn poc<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        self.column(py, |row| row.poc)
    }

    #[getter]
    fn sequence<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        self.column(py, |row| row.sequence)
    }

    #[getter]
    fn width<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        self.column(py, |row| row.width as i32)
    }

    #[getter]
    fn height<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        self.column(py, |row| row.height as i32)
    }
}

#[pyclass(frozen, module = "mediaref._native")]
struct FrameCosts {
    map: FrameMap,
}

impl FrameCosts {
    fn grid<'py, T: numpy::Element>(&self, py: Python<'py>, values: Vec<T>) -> PyResult<Bound<'py, PyArray2<T>>> {
        values.into_pyarray(py).reshape([self.map.rows, self.map.cols])
    }
}

#[pymethods]
impl FrameCosts {
    #[getter]
    fn picture_type(&self) -> String {
        self.map.picture_type.letter().to_string()
    }

    #[getter]
    fn unit(&self) -> u32 {
        self.map.unit
    }

    #[getter]
    fn coded_width(&self) -> u32 {
        self.map.coded_width
    }

    #[getter]
    fn coded_height(&self) -> u32 {
        self.map.coded_height
    }

    #[getter]
    fn crop(&self) -> (u32, u32, u32, u32) {
        let crop = self.map.crop;
        (crop.left, crop.top, crop.width, crop.height)
    }

    #[getter]
    fn packet_bits(&self) -> u64 {
        self.map.packet_bits
    }

    #[getter]
    fn overhead_bits(&self) -> u64 {
        self.map.overhead_bits
    }

    #[getter]
    fn bits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u32>>> {
        self.grid(py, self.map.bits())
    }

    #[getter]
    fn mode<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u32>>> {
        self.grid(py, self.map.syntax[0].clone())
    }

    #[getter]
    fn motion<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u32>>> {
        self.grid(py, self.map.syntax[1].clone())
    }

    #[getter]
    fn luma<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u32>>> {
        self.grid(py, self.map.syntax[2].clone())
    }

    #[getter]
    fn chroma<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u32>>> {
        self.grid(py, self.map.syntax[3].clone())
    }

    #[getter]
    fn information<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        self.grid(py, self.map.information.clone())
    }

    #[getter]
    fn qp<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i8>>> {
        self.grid(py, self.map.qp.clone())
    }

    #[getter]
    fn kind<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u8>>> {
        self.grid(py, self.map.kind.clone())
    }

    #[getter]
    fn cells<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let cells = &self.map.cells;
        cells.bits.clone().into_pyarray(py).reshape([cells.rows, cells.cols])
    }
}

#[pyclass(frozen, module = "mediaref._native")]
struct ParseError {
    error: Error,
}

#[pymethods]
impl ParseError {
    #[getter]
    fn kind(&self) -> &'static str {
        match self.error.kind {
            ErrorKind::Corrupt(_) => "corrupt",
            ErrorKind::Unsupported(_) => "unsupported",
            ErrorKind::Limit { .. } => "limit",
        }
    }

    #[getter]
    fn message(&self) -> String {
        self.error.kind.to_string()
    }

    #[getter]
    fn byte_position(&self) -> u64 {
        self.error.bit / 8
    }

    fn __repr__(&self) -> String {
        format!("ParseError({})", self.error)
    }
}

/// Threads work on frames in groups of this many, so that short requests are spread and long ones not chopped up.
const FRAMES_PER_TASK: usize = 4;

#[pyclass(module = "mediaref._native")]
struct StreamParser {
    scanner: h264::Scanner,
    /// Every state of the parameter sets met so far; handles are positions in it.
    parameter_sets: Vec<Arc<h264::ParameterSets>>,
}

impl StreamParser {
    /// Handle of the sets in force now.
    fn handle(&mut self) -> i32 {
        let now = self.scanner.parameter_sets();
        if self.parameter_sets.last().is_none_or(|last| !Arc::ptr_eq(last, &now)) {
            self.parameter_sets.push(now);
        }
        self.parameter_sets.len() as i32 - 1
    }
}

type FrameRequest = (usize, Vec<PyBackedBytes>);

#[pymethods]
impl StreamParser {
    #[new]
    #[pyo3(signature = (codec, extradata = vec![]))]
    fn new(codec: &str, extradata: Vec<u8>) -> PyResult<Self> {
        match codec {
            "h264" => Ok(Self { scanner: h264::Scanner::new(&extradata), parameter_sets: vec![] }),
            _ => Err(PyValueError::new_err(format!("no bit-cost parser for codec {codec:?}"))),
        }
    }

    fn set_extradata(&mut self, extradata: Vec<u8>) {
        self.scanner.set_extradata(&extradata);
    }

    fn scan(&mut self, py: Python<'_>, packets: Vec<PyBackedBytes>) -> PacketHeaders {
        py.detach(|| {
            let mut headers = PacketHeaders { parameter_sets: vec![], rows: vec![] };
            for packet in &packets {
                headers.parameter_sets.push(self.handle());
                headers.rows.push(self.scanner.scan(packet));
            }
            headers
        })
    }

    #[pyo3(signature = (frames, threads = 1))]
    fn bit_costs(&self, py: Python<'_>, frames: Vec<FrameRequest>, threads: usize) -> PyResult<Vec<Py<PyAny>>> {
        if let Some((handle, _)) = frames.iter().find(|(handle, _)| *handle >= self.parameter_sets.len()) {
            return Err(PyValueError::new_err(format!("no parameter sets with handle {handle}")));
        }
        let results = py.detach(|| self.parse_frames(&frames, threads))?;
        results
            .into_iter()
            .map(|result| match result {
                Ok(map) => Ok(Py::new(py, FrameCosts { map })?.into_any()),
                Err(error) => Ok(Py::new(py, ParseError { error })?.into_any()),
            })
            .collect()
    }
}

impl StreamParser {
    fn parse_frames(&self, frames: &[FrameRequest], threads: usize) -> PyResult<Vec<Result<FrameMap, Error>>> {
        let parse = |(handle, packets): &FrameRequest| {
            let packets: Vec<&[u8]> = packets.iter().map(|packet| packet.as_ref()).collect();
            h264::frame_map(&self.parameter_sets[*handle], &packets)
        };
        if threads <= 1 || frames.len() < 2 {
            return Ok(frames.iter().map(parse).collect());
        }
        // A pool of its own for each call: no thread outlives it, and a forked child inherits none.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.min(frames.len()))
            .build()
            .map_err(|error| PyValueError::new_err(format!("cannot start {threads} threads: {error}")))?;
        Ok(pool.install(|| frames.par_iter().with_max_len(FRAMES_PER_TASK).map(parse).collect()))
    }
}
