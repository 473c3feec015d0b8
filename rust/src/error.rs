//! What can be wrong with a picture's bytes.

use thiserror::Error;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ErrorKind {
    /// The bytes contradict the specification.
    #[error("{0}")]
    Corrupt(&'static str),
    /// A tool of the specification that is not implemented; the text names it.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// Legal, but larger than we are willing to allocate or walk.
    #[error("{what} is {value}, above the limit of {limit}")]
    Limit { what: &'static str, value: u64, limit: u64 },
}

/// An error and where it was met, in bits from the start of the unit being parsed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} (at bit {bit})")]
pub struct Error {
    pub kind: ErrorKind,
    pub bit: u64,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub const fn corrupt(what: &'static str, bit: usize) -> Self {
        Self { kind: ErrorKind::Corrupt(what), bit: bit as u64 }
    }

    pub fn unsupported(tool: &'static str, bit: usize) -> Self {
        Self { kind: ErrorKind::Unsupported(tool), bit: bit as u64 }
    }

    pub fn limit(what: &'static str, value: u64, limit: u64) -> Self {
        Self { kind: ErrorKind::Limit { what, value, limit }, bit: 0 }
    }

    /// The same error, its position moved from a unit to the packet around it.
    pub fn moved_by(mut self, bits: usize) -> Self {
        self.bit += bits as u64;
        self
    }
    /// The same error, at the end of its `bits` where it was met behind it: what is read there is zeros.
    pub fn within(mut self, bits: usize) -> Self {
        self.bit = self.bit.min(bits as u64);
        self
    }
}
