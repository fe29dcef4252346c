//! `GET /api/v1/events` and `GET /api/v1/messages`: server-sent events (WHATWG HTML §9.2).
//!
//! ```text
//! new reader          snapshot, then each change
//! Last-Event-ID       the changes since
//! too long ago        gap, snapshot, then each change
//! reads too slowly    the same
//! ```
//!
//! A reader keeps no queue: it is a place in the history that all readers share ([`crate::events`]).

use super::body::Query;
use super::grant::{Admin, Board};
use super::limits::{FILTER_NAMES_MAX, HEARTBEAT};
use super::problem::Problem;
use super::{Api, read};
use crate::admin::protocol::SipDebug;
use crate::engine::clock;
use crate::engine::inbox::Happening;
use crate::engine::tap::{self, Seen, Tap};
use crate::events::filter::{Filter, KINDS};
use crate::events::{Cursor, Found, Hub, history};
use crate::redact;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use lampyris_core::command::{Command, Reply};
use lampyris_core::view;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a browser waits before it connects again, in milliseconds.
const PREAMBLE: &str = "retry: 2000\n\n";

/// Which events.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Kinds, separated by commas: `extension`, `device`, `feature`, `status`; with the scope `admin` also
    /// `registration`, `subscription`, `publication`, `rules`, `notify_in`, `presence_in`, `gateway`, `unsent`,
    /// `rejected`. All that may be seen where it is missing.
    kinds: Option<String>,
    /// Extensions, separated by commas, as `6001` or `6001@default`.
    extensions: Option<String>,
    /// People, separated by commas, as `alice` or `sip:alice@example.com`.
    people: Option<String>,
    /// Lists, separated by commas, as `board` or `list:board@example.com`: who is in them when the stream begins.
    lists: Option<String>,
    /// Domains, separated by commas: everybody in them.
    domains: Option<String>,
}

impl EventsQuery {
    fn filter(&self, is_admin: bool) -> Result<Filter, Problem> {
        let kinds = parts(self.kinds.as_ref());
        for kind in &kinds {
            match KINDS.iter().find(|(known, _)| known == kind) {
                None => {
                    let known: Vec<_> = KINDS.iter().map(|(known, _)| *known).collect();
                    return Err(Problem::bad(format!("{kind:?} is no kind; there are {}", known.join(", "))));
                }
                Some((_, false)) if !is_admin => {
                    return Err(Problem::forbidden(format!(
                        "events of the kind {kind} take the scope admin"
                    )));
                }
                Some(_) => {}
            }
        }
        let mut subjects = parts(self.extensions.as_ref());
        subjects.extend(parts(self.people.as_ref()));
        if subjects.len() > FILTER_NAMES_MAX {
            return Err(Problem::bad(format!("a filter names at most {FILTER_NAMES_MAX}")));
        }
        Ok(Filter { kinds, subjects, groups: Vec::new(), all: is_admin })
    }
}

/// The parts of a parameter.
fn parts(text: Option<&String>) -> Vec<String> {
    let text = text.map(String::as_str).unwrap_or_default();
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Adds who is in lists and domains, as it is now.
async fn widen(
    api: &Api,
    mut filter: Filter,
    lists: Vec<String>,
    domains: Vec<String>,
) -> Result<Filter, Problem> {
    if lists.len() + domains.len() > FILTER_NAMES_MAX {
        return Err(Problem::bad(format!("a filter names at most {FILTER_NAMES_MAX}")));
    }
    for list in lists {
        let Reply::List(list) = api.ask(Command::List(list)).await.map_err(Problem::or_not_found)? else {
            return Err(read::unexpected(&Reply::Done { count: 0 }));
        };
        filter.subjects.extend(list.members.into_iter().filter_map(|member| member.resource));
        // Why: a list that is empty passes nothing, and not everything.
        filter.subjects.push(list.list.name);
    }
    for domain in domains {
        filter.groups.push(api.domain_called(&domain).await?);
    }
    Ok(filter)
}

/// The state from which on events change it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Snapshot {
    /// The id of the last event it includes.
    id: String,
    /// When, in milliseconds since the Unix epoch.
    at_ms: u64,
    /// Everything that passes the filter.
    presentities: Vec<view::Presentity>,
}

/// What happens, as it happens.
///
/// A stream of server-sent events: first `snapshot`, then one event per change, named by its kind; its `data` is an
/// `Occurrence`. `Last-Event-ID` resumes without a snapshot; where what came since is forgotten, a `gap` event comes
/// first and then a snapshot. A comment or an id alone is a heartbeat.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(EventsQuery, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event seen.")),
    responses((status = 200, description = "Events without end.", content_type = "text/event-stream", body = String),
              (status = 404, description = "No list or domain is called that.", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn events(
    State(api): State<Arc<Api>>,
    Board(grant): Board,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> Result<Response, Problem> {
    let filter = query.filter(grant.is_admin())?;
    let filter = widen(&api, filter, parts(query.lists.as_ref()), parts(query.domains.as_ref())).await?;
    let last = headers.get("last-event-id").map(|id| api.hub.cursor(id.to_str().unwrap_or_default()));
    let next = match last {
        None => Next::Snapshot,
        Some(None) => Next::Gap,
        Some(Some(cursor)) => Next::After(cursor),
    };
    let reader = Reader { hub: api.hub.clone(), filter, next };
    let preamble = stream::iter([Ok::<_, Infallible>(Bytes::from_static(PREAMBLE.as_bytes()))]);
    let rest = stream::unfold(reader, |mut reader| async move {
        let bytes = reader.next().await?;
        Some((Ok::<_, Infallible>(bytes), reader))
    });
    Ok(event_stream(futures_util::StreamExt::chain(preamble, rest)))
}

fn event_stream(
    stream: impl futures_util::Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> Response {
    // Why: a proxy that gathers what it passes on would turn a stream into silence.
    let headers = [(header::CONTENT_TYPE.as_str(), "text/event-stream"), ("x-accel-buffering", "no")];
    (headers, Body::from_stream(stream)).into_response()
}

enum Next {
    Gap,
    Snapshot,
    After(Cursor),
}

/// One reader of the stream.
struct Reader {
    hub: Arc<Hub>,
    filter: Filter,
    next: Next,
}

impl Reader {
    /// The next bytes; `None` ends the stream, because the server stops.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.next {
                Next::Gap => {
                    self.next = Next::Snapshot;
                    let data = "{\"detail\":\"events before this are forgotten; a snapshot follows\"}";
                    return Some(Bytes::from(format!("event: gap\ndata: {data}\n\n")));
                }
                Next::Snapshot => {
                    let (cursor, reply) = self.hub.snapshot(Command::Presentities).await?;
                    self.next = Next::After(cursor);
                    return self.snapshot(cursor, reply);
                }
                Next::After(cursor) => match self.hub.read(cursor, &self.filter) {
                    Found::Gap => self.next = Next::Gap,
                    Found::Items(items, after) => {
                        self.next = Next::After(after);
                        if !items.is_empty() {
                            let mut bytes =
                                BytesMut::with_capacity(items.iter().map(|i| i.frame().len()).sum());
                            items.iter().for_each(|item| bytes.extend_from_slice(item.frame()));
                            return Some(bytes.freeze());
                        }
                        if after != cursor {
                            continue;
                        }
                        match timeout(HEARTBEAT, self.hub.grown(after)).await {
                            Ok(true) => {}
                            Ok(false) => return None,
                            // An id without data moves Last-Event-ID on and is no event.
                            Err(_) => return Some(Bytes::from(format!(":\nid: {}\n\n", self.hub.id(after)))),
                        }
                    }
                },
            }
        }
    }

    fn snapshot(&self, cursor: Cursor, reply: Reply) -> Option<Bytes> {
        let wants = self.filter.kinds.is_empty() || self.filter.kinds.iter().any(|kind| kind == "extension");
        let presentities = match reply {
            Reply::Presentities(rows) if wants => {
                rows.into_iter().filter(|row| self.filter.is_about(&row.resource)).collect()
            }
            _ => Vec::new(),
        };
        let snapshot = Snapshot { id: self.hub.id(cursor), at_ms: clock::wall().as_millis(), presentities };
        let data = serde_json::to_string(&snapshot).ok()?;
        Some(history::frame(&snapshot.id, "snapshot", &data).0)
    }
}

/// Which messages.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MessagesQuery {
    /// An address, maybe with a port, or a peer's name.
    peer: Option<String>,
    /// A method, in any case; responses match by their CSeq.
    method: Option<String>,
}

/// SIP messages as they go by.
///
/// A stream of server-sent events named `message`; `data` is a message with direction, transport, remote, at_ms, text and
/// dropped. Credentials are replaced by `***`. `off` says that somebody switched all such streams off.
#[utoipa::path(get, path = "/api/v1/messages", tag = "events", params(MessagesQuery),
    responses((status = 200, description = "Messages without end.", content_type = "text/event-stream", body = String)))]
pub(super) async fn messages(
    State(api): State<Arc<Api>>,
    _: Admin,
    Query(query): Query<MessagesQuery>,
) -> Response {
    let debug = SipDebug { on: true, peer: query.peer, method: query.method, ..SipDebug::default() };
    let (tap, reader) = Tap::new(tap::Filter::messages(&debug));
    api.mailbox.put(Happening::Tap(tap));
    let preamble = stream::iter([Ok::<_, Infallible>(Bytes::from_static(PREAMBLE.as_bytes()))]);
    let rest = stream::unfold(reader, |mut reader: mpsc::Receiver<Seen>| async move {
        let bytes = match timeout(HEARTBEAT, reader.recv()).await {
            Err(_) => Bytes::from_static(b":\n\n"),
            Ok(Some(Seen::Message(mut message))) => {
                message.text = redact::credentials(&message.text);
                let data = serde_json::to_string(&message).ok()?;
                Bytes::from(format!("event: message\ndata: {data}\n\n"))
            }
            Ok(Some(Seen::Off)) => Bytes::from_static(b"event: off\ndata: {}\n\n"),
            Ok(None) => return None,
        };
        Some((Ok::<_, Infallible>(bytes), reader))
    });
    event_stream(futures_util::StreamExt::chain(preamble, rest))
}

/// The rows of `/extensions` and `/people`.
pub(super) async fn presentities(api: &Api, people: bool) -> Result<Vec<view::Presentity>, Problem> {
    match api.ask(Command::Presentities).await? {
        Reply::Presentities(rows) => Ok(rows.into_iter().filter(|row| row.is_person() == people).collect()),
        other => Err(read::unexpected(&other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::inbox::inbox;
    use crate::engine::tap::Told;
    use lampyris_core::output::Event;

    #[tokio::test]
    async fn who_falls_behind_gets_a_gap_and_then_a_snapshot() {
        let poll = mio::Poll::new().expect("epoll");
        let (mailbox, inbox) = inbox(mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker"));
        let hub = Hub::start(mailbox, 7);
        let Some(Happening::Feed(feed)) = inbox.take() else { panic!("the hub asks for events first") };
        let tell = async |number| {
            let event = Event::Registration { aor: "sip:a@b".into(), bindings: 1 };
            feed.send(Told { number, at_ms: 0, event }).await.expect("the hub listens");
        };
        let mut reader = Reader { hub, filter: Filter::everything(), next: Next::After(Cursor(0)) };
        let mut begins = async |head: &str| {
            let bytes = reader.next().await.expect("it goes on");
            assert!(bytes.starts_with(head.as_bytes()), "{head}: {bytes:?}");
        };
        tell(1).await;
        begins("id: 7-1\nevent: registration\n").await;
        // Four events found no room.
        tell(6).await;
        begins("event: gap\n").await;
        let answered = async {
            loop {
                if let Some(Happening::Snapshot(Command::Presentities, answer)) = inbox.take() {
                    break answer.send((6, Reply::Presentities(Vec::new()))).expect("somebody waits");
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(begins("id: 7-6\nevent: snapshot\ndata: {\"id\":\"7-6\","), answered);
        tell(7).await;
        begins("id: 7-7\n").await;
    }

    #[test]
    fn a_filter_is_judged_before_the_stream_begins() {
        let query = |kinds: &str| EventsQuery { kinds: Some(kinds.to_owned()), ..EventsQuery::default() };
        let status = |kinds: &str, admin| query(kinds).filter(admin).err().map(|problem| problem.status);
        for (kinds, admin, expected) in [
            ("", false, None),
            ("extension, device", false, None),
            ("registration", false, Some(403)),
            ("registration", true, None),
            ("lamps", true, Some(400)),
        ] {
            assert_eq!(status(kinds, admin), expected, "{kinds}");
        }
        let many = (0..=FILTER_NAMES_MAX).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let many = EventsQuery { extensions: Some(many), ..EventsQuery::default() };
        assert_eq!(many.filter(true).err().map(|problem| problem.status), Some(400));
    }
}
