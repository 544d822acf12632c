//! systemd, over D-Bus. The interface is that of `org.freedesktop.systemd1(5)`.
//!
//! | file | subject |
//! |---|---|
//! | `bus` | the connection, and what systemd is asked over it |
//! | `bridge` | D-Bus of another machine |
//! | `failure` | D-Bus errors as [`ManagerError`](super::ManagerError)s |
//! | `route` | ways to systemd, also after the bus was lost |
//! | `peer` | its own socket |
//! | `properties` | the properties of a unit as systemd sends them |
//! | `looked` | what the machine itself shows of a unit |
//! | `snapshot` | properties as a [`UnitSnapshot`](crate::model::UnitSnapshot) |
//! | `jobs` | which job ended how and when |
//! | `act` | verbs and signals |
//! | `note` | when they are written down in the ledger |
//! | `notes` | what stands there |
//! | `reason` | why a job was not `done`, and what to do about it |
//! | `follow` | state changes of held units |
//! | `inspect` | units as they are, for those who only look |
//! | `links` | which units a job pulls along |
//! | `past` | what systemd did to a unit before |
//! | `install` | unit files that are there for one run |
//! | `installed` | which they are |
//! | `systemd_manager` | the manager: the parts it is made of |
//! | `manager_impl` | what the trait asks for, put together from them |

mod act;
mod bridge;
mod bus;
mod failure;
mod follow;
mod inspect;
mod install;
mod installed;
mod jobs;
mod links;
mod looked;
mod manager_impl;
mod note;
mod notes;
mod past;
mod peer;
mod properties;
mod reason;
mod route;
mod snapshot;
mod systemd_manager;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

pub use inspect::{Inspector, UnitDetails};
pub use links::{Link, Pulled};
pub use systemd_manager::{Options, SystemdManager};
