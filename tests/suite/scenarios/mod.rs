//! What good scenarios mean, by subject.

mod defaults;
mod meaning;
mod overrides;
mod rig;
mod several;
mod whole;
