//! Who an address was at a moment: what DHCP servers say of their leases, as intervals in which a device held an address.
//!
//! Text in, values out: reading and following the files is left to [`app`](crate::app), keeping what was found to
//! [`journal`](crate::journal). A name that an address has *now* says nothing of what was asked yesterday; so a binding has a
//! beginning and an end, and an attempt is told apart by whoever held the address when it was made.

mod assets;
mod bindings;
mod devices;
mod holdings;
mod identifier;
mod joins;
mod lease;
mod told;
mod vendor;

pub use assets::assets;
pub use bindings::{Binding, Bindings, Method};
pub use devices::{Asked, Devices};
pub use holdings::Holdings;
pub use identifier::{ClientId, HostName, Identifier, Mac, NamedError};
pub use joins::{Joins, LEARNED_MAX, Word};
pub use lease::{Held, LEASES_MAX, Lease, LeaseFormat};
pub use told::ToldId;
pub use vendor::Vendors;
