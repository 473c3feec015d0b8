//! What the headers of many packets say, as columns.

use numpy::{IntoPyArray, PyArray1};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;

use crate::packet::PacketHeader;
use crate::picture_format;

#[pyclass(frozen, module = "mediaref._native")]
pub struct PacketHeaders {
    pub parameter_sets: Vec<i32>,
    pub rows: Vec<PacketHeader>,
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
    fn predicted_from<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        self.column(py, |row| row.predicted_from.bits())
    }

    #[getter]
    fn has_stand_in<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<bool>> {
        self.column(py, |row| row.has_stand_in)
    }

    #[getter]
    fn missing<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        self.column(py, |row| row.missing.map_or(-1, |back| back as i32))
    }

    #[getter]
    fn poc<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        self.column(py, |row| row.poc)
    }

    #[getter]
    fn sequence<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        self.column(py, |row| row.sequence)
    }

    fn picture_format(&self, row: usize) -> PyResult<Option<PictureFormat>> {
        let row = self.rows.get(row).ok_or_else(|| PyIndexError::new_err(format!("no row {row}")))?;
        Ok(row.format.map(PictureFormat::from))
    }
}

/// The size of a picture, and what its samples are.
#[pyclass(frozen, get_all, module = "mediaref._native")]
pub struct PictureFormat {
    crop: (u32, u32, u32, u32),
    bit_depth: (u8, u8),
    subsampling: Option<(u8, u8)>,
    is_rgb: Option<bool>,
    is_full_range: Option<bool>,
}

impl From<picture_format::PictureFormat> for PictureFormat {
    fn from(format: picture_format::PictureFormat) -> Self {
        let picture_format::PictureFormat { crop, bit_depth, subsampling, colour } = format;
        Self {
            crop: (crop.left, crop.top, crop.width, crop.height),
            bit_depth,
            subsampling,
            is_rgb: colour.is_rgb,
            is_full_range: colour.is_full_range,
        }
    }
}
