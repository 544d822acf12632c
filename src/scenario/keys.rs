//! The keys of a table, each declared once: from a row come its reader, its default, the schema and the documentation.

use serde_json::{Value, json};

use super::kind::Kind;
use super::mistake::Mistakes;
use super::reader::Reader;
use super::tree::Node;

/// A table whose keys are declared.
pub(crate) trait Keys: Sized {
    /// The name of the table; empty for the file itself.
    const NAME: &'static str;
    /// What the table is for.
    const DOC: &'static str;

    /// Its keys, in the order in which they are documented.
    fn keys() -> Vec<Key>;

    /// Its values; the mistakes in them are noted.
    fn read(reader: &mut Reader<'_>) -> Self;
}

/// A row of a declaration: all that is said of a key.
pub(crate) struct Declared<T> {
    pub name: &'static str,
    pub doc: &'static str,
    pub kind: Kind<T>,
    /// As a scenario would write it.
    pub default: Option<Value>,
    /// Of a key that must be given: the mistake, and what helps.
    pub missing: Option<(&'static str, &'static str)>,
}

/// A key, as the schema and the documentation tell of it.
#[derive(Clone, Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// One or more sentences.
    pub doc: &'static str,
    /// What holds where the key is absent, as a scenario would write it.
    pub default: Option<Value>,
    /// Whether it must be given.
    pub required: bool,
    /// What JSON Schema says of its value.
    pub schema: Value,
    /// The keys of the table that it is, or of each table of the array that it is.
    pub keys: Vec<Key>,
}

impl<T: 'static> Declared<T> {
    /// The key without its reader.
    pub(crate) fn key(self) -> Key {
        let doc = self.doc.trim_ascii();
        let mut schema = self.kind.schema();
        if !doc.is_empty() {
            schema["description"] = json!(doc);
        }
        if let Some(default) = &self.default {
            debug_assert!(self.kind.read(&Node::of_literal(default), &mut Mistakes::default()).is_some(), "{default}");
            schema["default"].clone_from(default);
        }
        let required = self.missing.is_some();
        Key { name: self.name, doc, default: self.default, required, schema, keys: self.kind.keys() }
    }
}

/// The schema of a table that has the keys of `T` and no others.
pub(crate) fn schema_of<T: Keys>() -> Value {
    let keys = T::keys();
    let required: Vec<&str> = keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let properties: Value = keys.into_iter().map(|key| (key.name.to_owned(), key.schema)).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !T::DOC.is_empty() {
        schema["description"] = json!(T::DOC.trim_ascii());
    }
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// Declares a table of scenarios and the struct that it is read into:
///
/// ```text
/// keys! {
///     /// What the table is for.
///     pub(crate) struct Target = "target" after request: Request { // the keys of another declaration come first
///         /// What the key is for.
///         timeout: Field<Duration> = span(LIMITS), default "10s";
///         name: Field<String> = name(), required "there is no name", "add name = \"a\"";
///     }
/// }
/// ```
///
/// A `Field` keeps the place of the key, for what can be said only of several keys together; an `Option` or a bare type
/// keeps the value, the bare type its default where there is none. The default of the struct is that of its keys.
macro_rules! keys {
    (
        $(#[doc = $doc:literal])+
        $(#[derive($($derive:ident),+)])?
        $vis:vis struct $Table:ident = $name:literal $(after $before:ident: $Before:ident)? $(before $after:ident: $After:ident)? {
            $(
                $(#[doc = $key_doc:literal])*
                $(#[serde($($serde:tt)*)])?
                $key:ident: $Slot:ty = $kind:expr
                    $(, default $default:tt)?
                    $(, required $missing:literal, $remedy:literal)?;
            )*
        }
    ) => {
        $(#[doc = $doc])+
        $(#[derive($($derive),+)])?
        $vis struct $Table {
            $(#[doc = "The keys of its own."] pub $before: $Before,)?
            $($(#[doc = $key_doc])* $(#[serde($($serde)*)])? pub $key: $Slot,)*
            $(#[doc = "The keys of its own."] pub $after: $After,)?
        }

        impl $crate::scenario::keys::Keys for $Table {
            const NAME: &'static str = $name;
            const DOC: &'static str = concat!($($doc),+);

            fn keys() -> Vec<$crate::scenario::keys::Key> {
                let keys: Vec<Vec<$crate::scenario::keys::Key>> = vec![
                    $(<$Before as $crate::scenario::keys::Keys>::keys(),)?
                    vec![$(
                        keys!(@declared $key [$($key_doc)*] $kind, [$($default)?] [$($missing, $remedy)?]).key(),
                    )*],
                    $(<$After as $crate::scenario::keys::Keys>::keys(),)?
                ];
                keys.concat()
            }

            fn read(reader: &mut $crate::scenario::reader::Reader<'_>) -> Self {
                Self {
                    $($before: <$Before as $crate::scenario::keys::Keys>::read(reader),)?
                    $($key: $crate::scenario::reader::Slot::fill(reader.field(
                        &keys!(@declared $key [$($key_doc)*] $kind, [$($default)?] [$($missing, $remedy)?]),
                    )),)*
                    $($after: <$After as $crate::scenario::keys::Keys>::read(reader),)?
                }
            }
        }

        impl Default for $Table {
            fn default() -> Self {
                $crate::scenario::reader::of_nothing()
            }
        }
    };
    (@declared $key:ident [$($doc:literal)*] $kind:expr, [$($default:tt)?] [$($missing:literal, $remedy:literal)?]) => {
        $crate::scenario::keys::Declared {
            name: stringify!($key),
            doc: concat!($($doc),*),
            kind: $kind,
            default: keys!(@option $(serde_json::json!($default))?),
            missing: keys!(@option $(($missing, $remedy))?),
        }
    };
    (@option) => { None };
    (@option $some:expr) => { Some($some) };
}
pub(crate) use keys;
