//! Costs under way on threads.

use std::mem::take;
use std::thread::JoinHandle;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use rayon::prelude::*;

use super::frame_costs::FrameCosts;
use super::parse_error::parse_error;
use crate::error::Error;
use crate::map::{Buffers, FrameMap};
use crate::stream::{Scratch, State};

/// Threads work on frames in groups of this many, so that short requests are spread and long ones not chopped up.
const FRAMES_PER_TASK: usize = 4;

/// Costs that are parsed on threads of their own until they are asked for; with one thread, only then.
#[pyclass(module = "mediaref._native")]
pub struct PendingCosts {
    work: Option<Work>,
}

enum Work {
    Waiting(Vec<Request>),
    Running { thread: JoinHandle<(Vec<Request>, Results)>, process: u32 },
}

/// One frame's packets.
pub struct Request {
    state: State,
    packets: Vec<PyBackedBytes>,
    buffers: Buffers,
}

type Results = Vec<Result<FrameMap, Error>>;

impl Request {
    pub fn new(state: State, packets: Vec<PyBackedBytes>) -> Self {
        Self { state, packets, buffers: Buffers::default() }
    }

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
    pub fn start(mut requests: Vec<Request>, threads: usize) -> PyResult<Self> {
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
