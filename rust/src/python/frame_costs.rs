//! One frame's map as arrays.

use std::mem::take;
use std::sync::{Mutex, PoisonError};

use numpy::PyArray2;
use numpy::ndarray::Array2;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::map::{FrameMap, Syntax};

/// A map as the parser left it. Each array is made when it is first asked for, of the parser's own buffer, and shared
/// with whoever asks again: most callers look at two of them.
#[pyclass(frozen, module = "mediaref._native")]
pub struct FrameCosts {
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
    pub fn new(map: FrameMap, is_shown: bool) -> Self {
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
