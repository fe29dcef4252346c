//! Records as earlier schemas wrote them, read as today's.
//!
//! When a record changes: raise `codec::SCHEMA`, keep here how it looked before, and add `fixtures/schema-N.txt` for the
//! new one. What an old record cannot say gets the value that promises least.

use lampyris_core::flow::Flow;
use lampyris_core::journal::{BindingRecord, BindingsRecord, Kind, Origin, SubscriptionRecord, Value};
use lampyris_core::time::UnixTime;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The value that schema 1 wrote as `body`: the number of the record's kind, then the record.
pub(crate) fn schema_1(kind: Kind, body: &[u8]) -> Option<Value> {
    let (number, body) = body.split_first()?;
    match (kind, number) {
        (Kind::Subscription, 0) => subscription_1(body),
        (Kind::Publication, 1) => whole(body).map(|p| Value::Publication(Box::new(p))),
        (Kind::Bindings, 2) => bindings_1(body),
        (Kind::Device, 3) => whole(body).map(Value::Device),
        (Kind::Mailbox, 4) => whole(body).map(Value::Mailbox),
        (Kind::Resource, 5) => whole(body).map(Value::Resource),
        (Kind::Call, 6) => whole(body).map(|call| Value::Call(Box::new(call))),
        // Why: features were sixth until calls became records too.
        (Kind::Features, 6 | 7) => whole(body).map(Value::Features),
        _ => None,
    }
}

/// A record that is all of `body`.
pub(crate) fn whole<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

#[derive(Deserialize)]
struct SubscriptionHead {
    resource: String,
    package: String,
    event_id: Option<String>,
}

#[derive(Deserialize)]
struct SubscriptionRest {
    call_id: String,
    local_tag: String,
    remote_tag: String,
    local: String,
    remote: String,
    asked: String,
    watcher: String,
    target: String,
    instance: Option<String>,
    routes: Vec<String>,
    flow: Flow,
    remote_cseq: u32,
    local_cseq: u32,
    version: u32,
    format: String,
    profile: String,
    user_agent: String,
    expires_at: UnixTime,
    created_at: UnixTime,
    origin: Origin,
}

/// A subscription; in the first days of schema 1 it had no Event parameters.
fn subscription_1(body: &[u8]) -> Option<Value> {
    let (head, rest) = postcard::take_from_bytes::<SubscriptionHead>(body).ok()?;
    let (next, after) = postcard::take_from_bytes::<String>(rest).ok()?;
    // Why: Event parameters are empty or begin with a semicolon; a Call-ID is and does neither (RFC 3261 §25.1).
    let (event_params, rest) =
        if next.is_empty() || next.starts_with(';') { (next, after) } else { (String::new(), rest) };
    let rest: SubscriptionRest = whole(rest)?;
    Some(Value::Subscription(Box::new(SubscriptionRecord {
        resource: head.resource,
        package: head.package,
        event_id: head.event_id,
        event_params,
        call_id: rest.call_id,
        local_tag: rest.local_tag,
        remote_tag: rest.remote_tag,
        local: rest.local,
        remote: rest.remote,
        asked: rest.asked,
        watcher: rest.watcher,
        target: rest.target,
        instance: rest.instance,
        routes: rest.routes,
        flow: rest.flow,
        remote_cseq: rest.remote_cseq,
        local_cseq: rest.local_cseq,
        version: rest.version,
        format: rest.format,
        profile: rest.profile,
        user_agent: rest.user_agent,
        rates: String::new(),
        filters: Default::default(),
        sleeps: false,
        members: Vec::new(),
        expires_at: rest.expires_at,
        created_at: rest.created_at,
        origin: rest.origin,
    })))
}

#[derive(Deserialize)]
struct Binding1 {
    contact: String,
    params: String,
    q: u16,
    instance: Option<String>,
    reg_id: Option<u32>,
    call_id: String,
    cseq: u32,
    path: Vec<String>,
    flow: Flow,
    user_agent: String,
    expires_at: UnixTime,
    created_at: UnixTime,
    branch: String,
}

/// Bindings without GRUUs: their phones are given new ones when they register again.
fn bindings_1(body: &[u8]) -> Option<Value> {
    let (aor, bindings): (String, Vec<Binding1>) = whole(body)?;
    let today = |old: Binding1| BindingRecord {
        contact: old.contact,
        params: old.params,
        q: old.q,
        instance: old.instance,
        reg_id: old.reg_id,
        call_id: old.call_id,
        cseq: old.cseq,
        path: old.path,
        flow: old.flow,
        user_agent: old.user_agent,
        expires_at: old.expires_at,
        created_at: old.created_at,
        branch: old.branch,
        gruu: None,
    };
    let bindings = bindings.into_iter().map(today).collect();
    Some(Value::Bindings(BindingsRecord { aor, bindings }))
}
