//! A value that remembers where it was written, for mistakes that only a later step can see.

use std::ops::Range;

use crate::diag::{Diagnostic, Source};

/// A value with the place it was written at; equal to another if the values are.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    source: Source,
    span: Range<usize>,
}

impl<T> At<T> {
    /// A value written at these octets of `source`.
    pub fn new(value: T, source: &Source, span: Range<usize>) -> Self {
        Self { value, source: source.clone(), span }
    }

    /// An error that points at the value.
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        self.source.error(self.span.clone(), message)
    }

    /// A warning that points at the value.
    pub fn warning(&self, message: impl Into<String>) -> Diagnostic {
        self.source.warning(self.span.clone(), message)
    }
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}
