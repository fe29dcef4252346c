//! The `lampyris` binary: its command line, and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    lampyris::cli::main()
}
