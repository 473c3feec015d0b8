//! Reads the bits that a video encoder spent on each block, straight from the entropy-coded syntax.
//!
//! Bytes in, maps out: no pixels are reconstructed, no files are opened, and only `python` knows of Python.

pub mod av1;
pub mod bit_writer;
pub mod bits;
pub mod bool_decoder;
pub mod cabac;
pub mod cabac_encoder;
pub mod chain;
pub mod error;
pub mod h264;
pub mod hevc;
pub mod map;
pub mod nal;
pub mod packet;
pub mod picture_format;
#[cfg(test)]
mod random;
pub mod stream;
pub mod vp9;

#[cfg(feature = "extension-module")]
mod python;
