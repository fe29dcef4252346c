//! The presence server without I/O.
