//! The `lampyris` binary.
fn main() {}
