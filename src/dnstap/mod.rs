//! dnstap: what a DNS server tells of the messages it saw. Encode and decode, values in, values out.
//!
//! ```text
//! protobuf   the few rules of Protocol Buffers that the schema needs
//! message    the schema: <https://dnstap.info>, dnstap.proto of 2025
//! frame      Frame Streams, in which messages travel over sockets and lie in files
//! ```
//! Hand-written rather than generated: a message is read in place, without an allocation, and nothing that a sender writes can
//! make it take more.

mod frame;
mod message;
mod protobuf;

pub use frame::{CONTENT_TYPE, Control, FRAME_MAX, Frame, FrameError, read_frame, write_control, write_data};
pub use message::{Dnstap, Kind, Message, Policy, PolicyAction, PolicyMatch, SocketProtocol};
pub use protobuf::Malformed;
