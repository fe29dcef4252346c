//! Composition: what many sources say becomes one event state.

pub mod dialogs;
pub mod extension;
pub mod policy;
pub mod presence;
pub mod revised;
pub mod sources;
