//! The `lampyris` binary: its command line, and nothing else.

use std::process::ExitCode;

/// Why: a request makes and drops dozens of small values, some on one thread and some on another; with the C library's
/// allocator that was a fifth of a request's CPU time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    lampyris::cli::main()
}
