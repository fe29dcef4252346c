//! Any chunking of a stream gives the same frames. The first byte of the input sets the chunk size.
#![no_main]

use lampyris_sip::{Frame, Framer};
use libfuzzer_sys::fuzz_target;

fn frames(chunks: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<Result<Frame, String>> {
    let mut framer = Framer::new(512, 256);
    let mut seen = Vec::new();
    for chunk in chunks {
        framer.push(chunk.as_ref());
        while let Some(frame) = framer.next_frame() {
            seen.push(frame.map_err(|error| format!("{error:?}")));
        }
        // Everything up to here is framed; what is held is less than one whole message.
        assert!(framer.pending_bytes() <= 512 + 256);
    }
    seen
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, stream)) = data.split_first() else { return };
    let whole = frames(std::iter::once(stream));
    let cut = frames(stream.chunks(usize::from(size).max(1)));
    assert_eq!(whole, cut);
});
