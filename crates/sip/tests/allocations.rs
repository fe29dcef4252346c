//! Reading every field of a SUBSCRIBE allocates nothing.

// Why: counting allocations needs a global allocator, which is unsafe to implement; this test is the only place.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use lampyris_sip::digest::{self, Algorithm, Qop};

#[allow(unreachable_pub)]
#[path = "messages/fields.rs"]
mod fields;

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the same.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<T>(run: impl FnOnce() -> T) -> usize {
    let before = COUNT.with(Cell::get);
    let kept = run();
    let after = COUNT.with(Cell::get);
    drop(kept);
    after - before
}

#[test]
fn a_subscribe_is_read_without_allocating() {
    assert_eq!(fields::SUBSCRIBE.len(), 698);
    let raw = Bytes::from_static(fields::SUBSCRIBE);
    assert_eq!(allocations(|| fields::read_fields(raw.clone())), 0);
    // The counter counts.
    assert_eq!(allocations(|| vec![0_u8; 100]), 1);
}

#[test]
fn a_datagram_is_read_without_allocating_once_its_buffer_is_shared() {
    let raw = Bytes::from(fields::SUBSCRIBE.to_vec());
    let shared = raw.clone();
    assert_eq!(allocations(|| fields::read_fields(raw.clone())), 0);
    drop(shared);
}

#[test]
fn a_digest_is_checked_without_allocating() {
    let secret = digest::ha1(Algorithm::Sha256, "alice", "pbx.example.com", "secret");
    let qop = Qop { nc: "00000001", cnonce: "0a4f113b", qop: "auth" };
    let check =
        || digest::response(&secret, "awFPtGsB", Some(qop), "SUBSCRIBE", "sip:6001@pbx.example.com", b"");
    assert_eq!(allocations(check), 0);
}
