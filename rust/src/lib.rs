//! Reads the bits that a video encoder spent on each block, straight from the entropy-coded syntax.
//!
//! Bytes in, maps out: no pixels are reconstructed, no files are opened, and only `python` knows of Python.

pub mod bits;
pub mod bool_decoder;
pub mod cabac;
pub mod error;
pub mod map;
pub mod packet;
pub mod vp9;
