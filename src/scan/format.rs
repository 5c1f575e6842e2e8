//! The formats that are read. To add one: a file that reads it, a variant here, and what the compiler then asks for.

/// The format of a log or capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The query log of BIND 9.
    Bind,
    /// `dns.log` of Zeek, in columns.
    Zeek,
}

impl Format {
    /// Every format, in the order in which they are tried.
    pub const ALL: [Self; 2] = [Self::Zeek, Self::Bind];

    /// The word for it on the command line and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Zeek => "zeek",
        }
    }

    /// Whether its chunks can be read without what stands before them.
    pub(super) fn is_parallel(self) -> bool {
        match self {
            Self::Bind | Self::Zeek => true,
        }
    }
}
