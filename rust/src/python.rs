//! The Python face: the only module that knows PyO3. Every call that parses releases the GIL.

use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyList;
use rayon::prelude::*;

use crate::error::{Error, ErrorKind};
use crate::map::{Buffers, FrameMap, Syntax};
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

/// A map as the parser left it. Each array is made when it is first asked for, of the parser's own buffer, and shared
/// with whoever asks again: most callers look at two of them.
#[pyclass(frozen, module = "mediaref._native")]
struct FrameCosts {
    #[pyo3(get)]
    picture_type: char,
    #[pyo3(get)]
    is_shown: bool,
    #[pyo3(get)]
    unit: u32,
    #[pyo3(get)]
    coded_width: u32,
    #[pyo3(get)]
    coded_height: u32,
    #[pyo3(get)]
    crop: (u32, u32, u32, u32),
    #[pyo3(get)]
    packet_bits: u64,
    #[pyo3(get)]
    overhead_bits: u64,
    /// What of the map no array has taken over.
    map: Mutex<FrameMap>,
    bits: Lazy<u32>,
    syntax: [Lazy<u32>; 4],
    information: Lazy<f32>,
    qp: Lazy<i16>,
    kind: Lazy<u8>,
    cells: Lazy<f32>,
}

type Lazy<T> = PyOnceLock<Py<PyArray2<T>>>;

impl FrameCosts {
    fn new(map: FrameMap, is_shown: bool) -> Self {
        Self {
            picture_type: map.picture_type.letter(),
            is_shown,
            unit: map.unit,
            coded_width: map.coded_width,
            coded_height: map.coded_height,
            crop: (map.crop.left, map.crop.top, map.crop.width, map.crop.height),
            packet_bits: map.packet_bits,
            overhead_bits: map.overhead_bits,
            map: Mutex::new(map),
            bits: Lazy::new(),
            syntax: [const { Lazy::new() }; 4],
            information: Lazy::new(),
            qp: Lazy::new(),
            kind: Lazy::new(),
            cells: Lazy::new(),
        }
    }

    /// The array of `lazy`, made of the values that `take` moves out of the map: `[rows, cols]`.
    fn grid<T: numpy::Element>(
        &self,
        py: Python<'_>,
        lazy: &Lazy<T>,
        take: impl FnOnce(&mut FrameMap) -> Vec<T>,
    ) -> PyResult<Py<PyArray2<T>>> {
        self.array(py, lazy, |map| ((map.rows, map.cols), take(map)))
    }

    fn array<T: numpy::Element>(
        &self,
        py: Python<'_>,
        lazy: &Lazy<T>,
        take: impl FnOnce(&mut FrameMap) -> ((usize, usize), Vec<T>),
    ) -> PyResult<Py<PyArray2<T>>> {
        let make = || {
            let (shape, values) = take(&mut self.map.lock().unwrap_or_else(PoisonError::into_inner));
            let array = Array2::from_shape_vec(shape, values);
            let array = array.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
            Ok(PyArray2::from_owned_array(py, array).unbind())
        };
        lazy.get_or_try_init(py, make).map(|array| array.clone_ref(py))
    }

    fn class(&self, py: Python<'_>, syntax: Syntax) -> PyResult<Py<PyArray2<u32>>> {
        self.grid(py, &self.syntax[syntax as usize], |map| take(&mut map.syntax[syntax as usize]))
    }
}

#[pymethods]
impl FrameCosts {
    #[getter]
    fn bits(&self, py: Python<'_>) -> PyResult<Py<PyArray2<u32>>> {
        self.grid(py, &self.bits, |map| take(&mut map.bits))
    }

    #[getter]
    fn mode(&self, py: Python<'_>) -> PyResult<Py<PyArray2<u32>>> {
        self.class(py, Syntax::Mode)
    }

    #[getter]
    fn motion(&self, py: Python<'_>) -> PyResult<Py<PyArray2<u32>>> {
        self.class(py, Syntax::Motion)
    }

    #[getter]
    fn luma(&self, py: Python<'_>) -> PyResult<Py<PyArray2<u32>>> {
        self.class(py, Syntax::Luma)
    }

    #[getter]
    fn chroma(&self, py: Python<'_>) -> PyResult<Py<PyArray2<u32>>> {
        self.class(py, Syntax::Chroma)
    }

    #[getter]
    fn information(&self, py: Python<'_>) -> PyResult<Py<PyArray2<f32>>> {
        self.grid(py, &self.information, |map| take(&mut map.information))
    }

    #[getter]
    fn qp(&self, py: Python<'_>) -> PyResult<Py<PyArray2<i16>>> {
        self.grid(py, &self.qp, |map| take(&mut map.qp))
    }

    #[getter]
    fn kind(&self, py: Python<'_>) -> PyResult<Py<PyArray2<u8>>> {
        self.grid(py, &self.kind, |map| take(&mut map.kind))
    }

    #[getter]
    fn cells(&self, py: Python<'_>) -> PyResult<Py<PyArray2<f32>>> {
        self.array(py, &self.cells, |map| ((map.cells.rows, map.cells.cols), take(&mut map.cells.bits)))
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
                Some(state) => Ok(Request { state: state.clone(), packets, buffers: Buffers::default() }),
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
    buffers: Buffers,
}

type Results = Vec<Result<FrameMap, Error>>;

impl Request {
    fn frame_map(&mut self, scratch: &mut Scratch) -> Result<FrameMap, Error> {
        scratch.buffers = take(&mut self.buffers);
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
                Ok(map) => Ok(Py::new(py, FrameCosts::new(map, true))?.into_any()),
                Err(error) => parse_error(py, error),
            })
            .collect()
    }
}

impl PendingCosts {
    fn start(mut requests: Vec<Request>, threads: usize) -> PyResult<Self> {
        if threads <= 1 || requests.len() < 2 {
            return Ok(Self { work: Some(Work::Waiting(requests)) });
        }
        let no_threads = |error: String| PyValueError::new_err(format!("cannot start {threads} threads: {error}"));
        // A pool of its own for each call: no thread outlives it, and a forked child inherits none.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.min(requests.len()))
            .build()
            .map_err(|error| no_threads(error.to_string()))?;
        requests.iter_mut().for_each(|request| request.buffers = request.state.buffers());
        let parse = move || {
            let frames = requests.par_iter_mut().with_max_len(FRAMES_PER_TASK);
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
            Self::Waiting(mut requests) => {
                let mut scratch = Scratch::default();
                let results = requests.iter_mut().map(|request| request.frame_map(&mut scratch)).collect();
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
    let costs = |frame: vp9::Frame| FrameCosts::new(Arc::unwrap_or_clone(frame.map), frame.is_shown);
    results
        .into_iter()
        .map(|result| match result {
            Ok(frames) => Ok(PyList::new(py, frames.into_iter().map(costs).collect::<Vec<_>>())?.into_any().unbind()),
            Err(error) => parse_error(py, error),
        })
        .collect()
}
