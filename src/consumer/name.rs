//! The name of a topic, shared by everything that mentions it.

use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::Arc;

use crate::error::{Code, Error, Result};

/// A topic's name, kept NUL-terminated so that C reads it where it lies; cloning copies a pointer.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<CStr>);

impl Name {
    /// A name without NUL inside; [`Code::INVALID_ARGUMENT`] otherwise.
    pub fn new(name: &str) -> Result<Self> {
        let name = CString::new(name).map_err(|_| {
            Error::new(Code::INVALID_ARGUMENT, "a topic name cannot hold a NUL character")
        })?;
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Made from a &str: always UTF-8.
        self.0.to_str().unwrap_or_default()
    }

    /// The name as C reads it; borrowed as long as any clone of this name lives.
    #[must_use]
    pub fn as_c_str(&self) -> &CStr {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_the_same_in_rust_and_in_c() {
        let name = Name::new("orders").unwrap();
        assert_eq!(name.as_str(), "orders");
        assert_eq!(name.as_c_str().to_bytes_with_nul(), b"orders\0");
    }

    #[test]
    fn a_name_with_nul_inside_is_an_argument_error() {
        assert_eq!(Name::new("a\0b").unwrap_err().code(), Code::INVALID_ARGUMENT);
    }
}
