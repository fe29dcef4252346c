//! Everything of lampyris that touches the world: sockets, files, threads, clocks, the command line.
//!
//! `main.rs` is a few lines; the rest is a library so that the black-box tests, the demo and the benchmarks can start a
//! server in-process.

pub mod admin;
pub(crate) mod bench;
pub mod cli;
pub mod config;
pub mod demo;
pub(crate) mod documents;
pub(crate) mod engine;
pub(crate) mod events;
pub mod handover;
pub mod http;
pub mod privileges;
pub(crate) mod redact;
pub(crate) mod remote;
pub(crate) mod resolver;
pub mod server;
pub mod store;
pub(crate) mod systemd;
pub(crate) mod tracer;
pub(crate) mod transport;
pub mod ua;
