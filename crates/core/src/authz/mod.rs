//! Who may watch what: the rules of presentities, and what is decided by them.
//!
//! [`common_policy`] says when a rule applies (RFC 4745), [`pres_rules`] what it then allows and shows (RFC 5025), [`edit`]
//! changes a document by command; [`policy`] combines a presentity's document with the configured default, [`reveal`] cuts
//! what a watcher is not shown out of a presence; [`gate`] keeps every live subscription in line with all of it.

pub(crate) mod common_policy;
pub(crate) mod edit;
mod gate;
pub(crate) mod policy;
pub(crate) mod pres_rules;
pub(crate) mod provided;
pub(crate) mod reveal;
mod view;
pub(crate) mod waiting;

#[cfg(test)]
mod tests;

pub use edit::edited;
pub use pres_rules::{Handling, PresRules};
