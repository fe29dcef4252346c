//! Security row 17: reading a body never takes more than eight times its size in memory, and 64 KiB.
//!
//! Alone in its file, since the allocator counts for the whole process.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use lampyris_core::body::dialog_info::DialogInfo;
use lampyris_core::body::pidf::Pidf;
use lampyris_core::body::xml::Document;
use lampyris_core::limits::FOREIGNS_MAX;
use lampyris_core::limits::{DIALOGS_MAX, PIDF_PARTS_MAX, XML_BYTES_MAX, XML_NODES_MAX};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged; only sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What even an empty body may take: a body of a few bytes has structures of its own.
const FIXED: usize = 64 * 1024;

/// Most bytes live at once while `read` runs.
fn peak<T>(read: impl FnOnce() -> T) -> usize {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let kept = read();
    let peak = PEAK.load(Relaxed) - before;
    drop(kept);
    peak
}

#[test]
fn a_body_takes_at_most_eight_times_its_size_and_64_kib() {
    let times = |count: usize, start: &str, unit: &str, end: &str| {
        let fit = (XML_BYTES_MAX - start.len() - end.len()) / unit.len();
        format!("{start}{}{end}", unit.repeat(fit.min(count)))
    };
    let fill = |start: &str, unit: &str, end: &str| times(usize::MAX, start, unit, end);
    let presence = "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:x='urn:x' xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:a@b'>";
    let person = "<p:person xmlns:p='urn:ietf:params:xml:ns:pidf:data-model' \
                  xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' id='p'>";
    let dialogs =
        "<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='0' state='full' entity='e'>";
    let in_person = format!("{presence}{person}");
    let all =
        "<r:mood/><r:activities/><r:place-is/><r:place-type/><r:privacy/><r:relationship/><r:service-class/>\
               <r:sphere/><r:user-input>idle</r:user-input>"
            .replace("r:", "");
    let all = all.replace('<', "<r:").replace("<r:/", "</r:");
    let bodies = [
        fill("<a>", "<a/>", "</a>"),
        fill("<a>", "<a/>x", "</a>"),
        fill("<a>", "<a a=''/>", "</a>"),
        fill("<a>", "<a a='' b='' c='' d='' e='' f='' g='' h=''/>", "</a>"),
        fill("<a>", "<a><a><a><a><a/></a></a></a></a>", "</a>"),
        fill("<a>", "<a xmlns:b='u'/>", "</a>"),
        fill("<a>", "x", "</a>"),
        fill("<a>", "&lt;", "</a>"),
        fill("<?xml version='1.0' encoding='ISO-8859-1'?><a>", "<a/>", "</a>"),
        fill(presence, "<note>n</note>", "</presence>"),
        fill(presence, "<tuple id=''/>", "</presence>"),
        fill(presence, "<tuple id='a'><status><basic>open</basic></status></tuple>", "</presence>"),
        fill(presence, "<x:y/>", "</presence>"),
        fill(presence, "<tuple id='a'><x:y/></tuple>", "</presence>"),
        fill(&in_person, "<r:mood/>", "</p:person></presence>"),
        fill(&in_person, "<r:activities><r:other>a</r:other></r:activities>", "</p:person></presence>"),
        fill(dialogs, "<dialog id='a'><state>early</state></dialog>", "</dialog-info>"),
        fill(&format!("{dialogs}<dialog id='a'><state>early</state>"), "<x/>", "</dialog></dialog-info>"),
        fill(
            &format!("{dialogs}<dialog id='a'><state>early</state><route-set>"),
            "<hop>h</hop>",
            "</route-set></dialog></dialog-info>",
        ),
        // At the bounds rather than over them, where everything is kept.
        times(XML_NODES_MAX - 1, "<a>", "<a/>", "</a>"),
        times(XML_NODES_MAX / 2 - 1, "<a>", "<a/>x", "</a>"),
        times(XML_NODES_MAX - 1, "<a>", "<a a=''/>", "</a>"),
        times(PIDF_PARTS_MAX, presence, "<tuple id=''/>", "</presence>"),
        times(
            PIDF_PARTS_MAX,
            presence,
            "<p:person xmlns:p='urn:ietf:params:xml:ns:pidf:data-model'/>",
            "</presence>",
        ),
        times(XML_NODES_MAX / 2 - 1, presence, "<note>n</note>", "</presence>"),
        times(FOREIGNS_MAX, presence, "<x:y/>", "</presence>"),
        times(1500, &in_person, "<r:mood/>", "</p:person></presence>"),
        times(
            1000,
            &format!("{in_person}<r:mood>"),
            "<r:other>n</r:other>",
            "</r:mood></p:person></presence>",
        ),
        times(PIDF_PARTS_MAX, presence, &format!("<tuple id='a'>{all}</tuple>"), "</presence>"),
        times(DIALOGS_MAX, dialogs, "<dialog id='a'><state>early</state></dialog>", "</dialog-info>"),
    ];
    let mut over = Vec::new();
    for body in &bodies {
        let bytes = body.as_bytes();
        let peaks = [
            peak(|| Document::parse(bytes).is_ok()),
            peak(|| Pidf::decode(bytes)),
            peak(|| DialogInfo::decode(bytes)),
        ];
        if peaks.iter().any(|peak| *peak > 8 * bytes.len() + FIXED) {
            over.push(format!("{:.80}: {peaks:?} of {}", body[body.len() / 2..].trim(), bytes.len()));
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}
