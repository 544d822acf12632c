//! What is a secret, and how it is kept out of everything that is written or shown.
//!
//! A secret is found by the place it stands in ([`find`], by [`name`] or by [`shape`]) and masked there. What was found
//! once is known ([`Secrets`]) and masked wherever else it turns up.

mod arguments;
mod body;
mod find;
mod known;
mod name;
mod piece;
mod shape;
mod unit_text;

pub use self::arguments::masked_arguments;
pub use self::find::masked;
pub(crate) use self::find::{blotted, masked_header};
pub use self::known::Secrets;
pub use self::name::is_secret_header;
pub(crate) use self::name::is_secret_key;
pub(crate) use self::unit_text::masked_unit;

/// What stands for a secret.
pub const MASK: &str = "***";
