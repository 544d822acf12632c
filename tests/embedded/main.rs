//! The embedded manager with real processes: this test program is itself the service that it manages.

mod accept;
mod ends;
mod limits;
mod rig;
mod service;
mod sockets;
mod starts;
