//! The Python face: the only module that knows PyO3. Every call that parses releases the GIL.

use std::sync::Arc;
use std::thread::JoinHandle;

use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyList;
use rayon::prelude::*;

use crate::error::{Error, ErrorKind};
use crate::map::FrameMap;
use crate::packet::PacketHeader;
use crate::stream::{Scratch, State, Stream};
use crate::vp9;

#[pymodule(name = "_native")]
mod module {
    #[pymodule_export]
    use super::{ChainParser, FrameCosts, PacketHeaders, ParseError, PendingCosts, StreamParser};
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
        self.column(py, |row| row.picture_type.is_some() && !row.is_hidden)
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
    fn recovery_frames<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        self.column(py, |row| row.recovery_frames as i32)
    }

    #[getter]
    fn is_referenced<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<bool>> {
        self.column(py, |row| row.is_referenced)
    }

    #[getter]
    fn depends_on<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        self.column(py, |row| row.depends_on.bits())
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

/// The arrays are made once, from the parser's own buffers, and shared with whoever asks for them.
#[pyclass(frozen, get_all, module = "mediaref._native")]
struct FrameCosts {
    picture_type: String,
    is_shown: bool,
    unit: u32,
    coded_width: u32,
    coded_height: u32,
    crop: (u32, u32, u32, u32),
    packet_bits: u64,
    overhead_bits: u64,
    bits: Py<PyArray2<u32>>,
    mode: Py<PyArray2<u32>>,
    motion: Py<PyArray2<u32>>,
    luma: Py<PyArray2<u32>>,
    chroma: Py<PyArray2<u32>>,
    information: Py<PyArray2<f32>>,
    qp: Py<PyArray2<i16>>,
    kind: Py<PyArray2<u8>>,
    cells: Py<PyArray2<f32>>,
}

impl FrameCosts {
    fn new(py: Python<'_>, map: FrameMap, is_shown: bool) -> PyResult<Self> {
        let shape = [map.rows, map.cols];
        let bits = map.bits();
        let [mode, motion, luma, chroma] = map.syntax;
        Ok(Self {
            picture_type: map.picture_type.letter().to_string(),
            is_shown,
            unit: map.unit,
            coded_width: map.coded_width,
            coded_height: map.coded_height,
            crop: (map.crop.left, map.crop.top, map.crop.width, map.crop.height),
            packet_bits: map.packet_bits,
            overhead_bits: map.overhead_bits,
            bits: grid(py, bits, shape)?,
            mode: grid(py, mode, shape)?,
            motion: grid(py, motion, shape)?,
            luma: grid(py, luma, shape)?,
            chroma: grid(py, chroma, shape)?,
            information: grid(py, map.information, shape)?,
            qp: grid(py, map.qp, shape)?,
            kind: grid(py, map.kind, shape)?,
            cells: grid(py, map.cells.bits, [map.cells.rows, map.cells.cols])?,
        })
    }
}

fn grid<T: numpy::Element>(py: Python<'_>, values: Vec<T>, shape: [usize; 2]) -> PyResult<Py<PyArray2<T>>> {
    Ok(values.into_pyarray(py).reshape(shape)?.unbind())
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

    fn set_extradata(&mut self, extradata: Vec<u8>) {
        self.stream.set_extradata(&extradata);
    }

    fn scan(&mut self, py: Python<'_>, packets: Vec<PyBackedBytes>) -> PacketHeaders {
        py.detach(|| {
            let (handles, rows): (Vec<_>, Vec<_>) = packets.iter().map(|packet| self.stream.scan(packet)).unzip();
            PacketHeaders { parameter_sets: handles.into_iter().map(|handle| handle as i32).collect(), rows }
        })
    }

    #[pyo3(signature = (frames, threads = 1))]
    fn start_bit_costs(&self, frames: Vec<(usize, Vec<PyBackedBytes>)>, threads: usize) -> PyResult<PendingCosts> {
        let no_state = |handle| PyValueError::new_err(format!("no parameter sets with handle {handle}"));
        let requests = frames
            .into_iter()
            .map(|(handle, packets)| match self.stream.state(handle) {
                Some(state) => Ok(Request { state: state.clone(), packets }),
                None => Err(no_state(handle)),
            })
            .collect::<PyResult<_>>()?;
        PendingCosts::start(requests, threads)
    }
}

/// Costs that are parsed on threads of their own until they are asked for; with one thread, only then.
#[pyclass(module = "mediaref._native")]
struct PendingCosts {
    work: Option<Work>,
}

enum Work {
    Waiting(Vec<Request>),
    Running { thread: JoinHandle<(Vec<Request>, Results)>, process: u32 },
}

/// One frame's packets.
struct Request {
    state: State,
    packets: Vec<PyBackedBytes>,
}

type Results = Vec<Result<FrameMap, Error>>;

impl Request {
    fn frame_map(&self, scratch: &mut Scratch) -> Result<FrameMap, Error> {
        let packets: Vec<&[u8]> = self.packets.iter().map(|packet| packet.as_ref()).collect();
        self.state.frame_map(&packets, scratch)
    }
}

#[pymethods]
impl PendingCosts {
    fn results(&mut self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let work = self.work.take().ok_or_else(|| PyValueError::new_err("the costs were handed out before"))?;
        if matches!(work, Work::Running { process, .. } if process != std::process::id()) {
            return Err(PyRuntimeError::new_err("an iterator over bit costs cannot be carried on by a forked child"));
        }
        let (requests, results) = py.detach(|| work.finish());
        drop(requests); // Python's objects, so here and not on the threads that read them
        results
            .into_iter()
            .map(|result| match result {
                Ok(map) => Ok(Py::new(py, FrameCosts::new(py, map, true)?)?.into_any()),
                Err(error) => parse_error(py, error),
            })
            .collect()
    }
}

impl PendingCosts {
    fn start(requests: Vec<Request>, threads: usize) -> PyResult<Self> {
        if threads <= 1 || requests.len() < 2 {
            return Ok(Self { work: Some(Work::Waiting(requests)) });
        }
        let no_threads = |error: String| PyValueError::new_err(format!("cannot start {threads} threads: {error}"));
        // A pool of its own for each call: no thread outlives it, and a forked child inherits none.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.min(requests.len()))
            .build()
            .map_err(|error| no_threads(error.to_string()))?;
        let parse = move || {
            let frames = requests.par_iter().with_max_len(FRAMES_PER_TASK);
            let results =
                pool.install(|| frames.map_init(Scratch::default, |s, request| request.frame_map(s)).collect());
            (requests, results)
        };
        let thread = std::thread::Builder::new().spawn(parse).map_err(|error| no_threads(error.to_string()))?;
        Ok(Self { work: Some(Work::Running { thread, process: std::process::id() }) })
    }
}

/// Costs that nobody asks for any more are waited for all the same: no thread outlives its request. A forked child has
/// inherited the handle of a thread that it does not have.
impl Drop for PendingCosts {
    fn drop(&mut self) {
        match self.work.take() {
            Some(Work::Running { thread, process }) if process == std::process::id() => {
                Python::attach(|py| py.detach(|| drop(thread.join())));
            }
            _ => {}
        }
    }
}

impl Work {
    fn finish(self) -> (Vec<Request>, Results) {
        match self {
            Self::Waiting(requests) => {
                let mut scratch = Scratch::default();
                let results = requests.iter().map(|request| request.frame_map(&mut scratch)).collect();
                (requests, results)
            }
            Self::Running { thread, .. } => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        }
    }
}

fn parse_error(py: Python<'_>, error: Error) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, ParseError { error })?.into_any())
}

/// VP9 frames in decoding order, each taking over from the ones before it.
#[pyclass(module = "mediaref._native")]
struct ChainParser {
    chain: vp9::ChainParser,
}

/// Parsers, and behind how many packets each can go on.
type Checkpoints = Vec<(usize, ChainParser)>;
type ChainResult = Result<Vec<vp9::Frame>, Error>;

#[pymethods]
impl ChainParser {
    #[new]
    fn new() -> Self {
        Self { chain: vp9::ChainParser::new() }
    }

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
        let vp9::Wanted { frames, checkpoints } = py.detach(|| self.chain.clone().parse_wanted(&packets, &wanted));
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
    let costs = |frame: vp9::Frame| FrameCosts::new(py, Arc::unwrap_or_clone(frame.map), frame.is_shown);
    results
        .into_iter()
        .map(|result| match result {
            Ok(frames) => {
                let frames = frames.into_iter().map(costs).collect::<PyResult<Vec<_>>>()?;
                Ok(PyList::new(py, frames)?.into_any().unbind())
            }
            Err(error) => parse_error(py, error),
        })
        .collect()
}
