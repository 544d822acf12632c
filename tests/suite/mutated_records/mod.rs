//! Whatever becomes of a record's bytes, it is refused with a reason or reported for what it is: never a panic, and
//! never `passed`.

mod document;
mod numbers;
mod random;
