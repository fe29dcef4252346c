//! How large the records are that a node holds many of: their fixed part, without what they point to.
//!
//! For the memory profile in `docs/performance.md`; the node itself does not ask.

use crate::calls::Call;
use crate::notifier::subscription::Subscription;
use crate::publication::Publication;
use crate::registrar::Entry;
use crate::resource::{PackageState, Resource};

/// Bytes of each kind of record, by name.
pub const fn fixed_bytes() -> [(&'static str, usize); 6] {
    [
        ("subscription", size_of::<Subscription>()),
        ("publication", size_of::<Publication>()),
        ("binding", size_of::<Entry>()),
        ("tracked call", size_of::<Call>()),
        ("resource", size_of::<Resource>()),
        ("package of a resource", size_of::<PackageState>()),
    ]
}
