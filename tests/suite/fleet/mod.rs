//! Units of other machines, over a real ssh: `tests/fleet` boots them. What is true there is told by `systemctl` over an
//! ssh of the test's own, and by the server's own count.

mod bad_input;
mod check;
mod lost;
mod machine;
mod probe;
mod tries;
