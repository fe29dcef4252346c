//! `docs/events.md` is what the package table says.

use std::path::Path;

#[test]
fn docs_events_md_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events.md");
    let now = lampyris_core::events_document();
    if std::env::var_os("LAMPYRIS_WRITE_DOCS").is_some() {
        std::fs::write(&path, &now).expect("docs can be written");
    }
    let then = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(then, now, "run LAMPYRIS_WRITE_DOCS=1 cargo test -p lampyris --test events");
}
