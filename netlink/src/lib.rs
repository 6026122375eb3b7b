//! Addresses with a lease, link state and announcements, on Linux.
//!
//! This crate is the only place that knows rtnetlink, packet sockets and `/proc/sys/net`. It decides
//! nothing: it says what the kernel has ([`Netlink::look`]), carries out one step at a time
//! ([`Netlink::add`], [`Netlink::refresh`], [`Netlink::remove`]), says when to look again
//! ([`Netlink::changes`]), tells the neighbours ([`Announcer`]), and hears them ([`Listener`]).
//!
//! An address is never given to the kernel for good by accident: it comes with a [`Lifetime`], after
//! which the kernel takes it away whatever has become of this process, and with
//! [`PROTOCOL_MARK`], by which a later process knows it again.
//!
//! - [`address`], [`prefix`], [`link`](mod@link), [`tables`], [`message`], [`wire`] and [`claim`] are pure.
//! - [`netlink`], `orders`, `request`, `mirror` and [`changes`] talk to the kernel over netlink, [`announce`] and [`listen`] over
//!   packet sockets, [`sysctl`] through `/proc`.

pub mod address;
pub mod announce;
pub mod changes;
pub mod claim;
pub mod error;
pub mod link;
pub mod listen;
pub mod message;
mod mirror;
pub mod netlink;
mod orders;
pub mod prefix;
mod request;
pub mod sysctl;
pub mod tables;
pub mod wire;

pub use address::{Address, Label, Lifetime, Manner, PROTOCOL_MARK, Vip};
pub use announce::Announcer;
pub use changes::Changes;
pub use claim::Claim;
pub use error::{Error, Operation};
pub use link::{Link, Mac};
pub use listen::{Interest, Listener};
pub use netlink::{Netlink, Removed};
pub use prefix::prefix_for;
pub use sysctl::{ipv6_forwarding, promote_secondaries};
pub use tables::Tables;
pub use wire::NodeKind;
