//! The embedded manager with real processes: shells, and the demo server.

mod accept;
mod ends;
mod limits;
mod rig;
mod sockets;
mod starts;
