//! What Python gets in the place of the costs of a packet that cannot be read.

use pyo3::prelude::*;

use crate::error::{Error, ErrorKind};

#[pyclass(frozen, module = "mediaref._native")]
pub struct ParseError {
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

pub fn parse_error(py: Python<'_>, error: Error) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, ParseError { error })?.into_any())
}
