//! Every bound of the core, named. Units and qualifiers come last; relations between bounds are asserted below.

use std::time::Duration;

/// Longest head of a SIP message taken, in bytes; a longer one is 513 (RFC 3261 §21.5.7).
pub const HEAD_BYTES_MAX: usize = 65_535;
/// Longest body taken, in bytes; a larger one is 413 (RFC 3261 §21.4.11). A datagram holds less.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest SIP message taken, in bytes.
pub const MESSAGE_BYTES_MAX: usize = HEAD_BYTES_MAX + BODY_BYTES_MAX;
/// Longest URI taken, in bytes; a longer one is 414 (security row 19).
pub const URI_BYTES_MAX: usize = 1024;
/// Longest Call-ID and longest branch taken, in bytes; a longer one is 400.
pub const IDENTIFIER_BYTES_MAX: usize = 512;
/// Longest From, To or Contact value taken, in bytes; a longer one is 400.
pub const ADDRESS_BYTES_MAX: usize = 2048;
/// As much of a User-Agent is kept, in bytes.
pub const USER_AGENT_BYTES_MAX: usize = 256;
/// Most live bindings of one node; one more is 503 ([`crate::quotas`], like all with a default that can be changed).
pub const BINDINGS_MAX: u32 = 2_000_000;
/// Most bindings of one AOR; one more is 403.
pub const BINDINGS_PER_AOR_MAX: u32 = 10;
/// Most ended bindings of one AOR that its watchers are still shown; beyond it the oldest are left out.
pub const ENDED_BINDINGS_PER_AOR_MAX: usize = 16;
/// How long a binding that ended is in the documents: until a NOTIFY was answered or given up, 64*T1 (RFC 3261 §17.1.2).
pub const ENDED_BINDING_SHOWN: Duration = Duration::from_secs(32);
/// Most Contact values in one REGISTER; more is 400.
pub const CONTACTS_PER_REQUEST_MAX: usize = 16;
/// Most media ranges read of a request's Accept headers; more is 400 (security row 3).
pub const ACCEPT_RANGES_MAX: usize = 48;
/// Longest entity-tag taken from a peer, in bytes (security row 21).
pub const ETAG_BYTES_MAX: usize = 128;
/// Most route entries kept of a dialog's route set; more is 400.
pub const ROUTES_MAX: usize = 16;
/// Most live subscriptions of one node; one more is 503.
pub const SUBSCRIPTIONS_MAX: u32 = 4_000_000;
/// Most live subscriptions of one watcher; one more is 403. A console of a large office has thousands.
pub const SUBSCRIPTIONS_PER_WATCHER_MAX: u32 = 20_000;
/// Most live subscriptions to one resource; one more is 503, since others may leave.
pub const SUBSCRIPTIONS_PER_PRESENTITY_MAX: u32 = 100_000;
/// Most live subscriptions from one address; one more is 403. A whole site may stand behind one address.
pub const SUBSCRIPTIONS_PER_SOURCE_MAX: u32 = 1_000_000;
/// Longest request sent as one datagram, in bytes; a longer one takes a stream or is shortened where that can be (RFC 3261
/// §18.1.1, where the path's MTU is not known).
pub const DATAGRAM_REQUEST_BYTES_MAX: usize = 1300;
/// Most live publications per presentity and package; one more is 403.
pub const PUBLICATIONS_PER_RESOURCE_MAX: u32 = 32;
/// Most live publications of one node; one more is 503.
pub const PUBLICATIONS_MAX: u32 = 2_000_000;
/// Most live publications of one publisher; one more is 403. A PBX publishes for all its phones.
pub const PUBLICATIONS_PER_PUBLISHER_MAX: u32 = 100_000;
/// PUBLISH requests one publisher may send in a second, in the long run; more are 503 (RFC 3903 §14.2). Peers that are
/// trusted to publish for others are not counted.
pub const PUBLISHES_PER_S: u32 = 20;
/// How many seconds' worth of them at once.
pub const PUBLISHES_BURST_S: u32 = 10;
/// Most publishers remembered for that.
pub const PUBLISHERS_MAX: usize = 65_536;
/// Most server transactions in flight; one more is 503.
pub const TRANSACTIONS_MAX: usize = 1_000_000;
/// Room for this many transactions and timers is kept while there are none; what a storm took beyond is given back.
pub const IDLE_ENTRIES_KEPT: usize = 4096;
/// Max-Forwards of a request that has none (RFC 3261 §16.6 step 3).
pub const MAX_FORWARDS: u32 = 70;
/// Most branches open at once beneath one request, where it does not ask for fewer (RFC 5393 §5.3).
pub const BREADTH_MAX: u32 = 60;
/// Most targets of one request.
pub const TARGETS_MAX: usize = 60;
/// Most 3xx answers followed for one request.
pub const REDIRECTS_MAX: u32 = 5;
/// By when a phone that keeps its connection open is to send something on it, in seconds (RFC 5626 §4.4.1).
pub const FLOW_TIMER_S: u32 = 120;
/// Longest nonce we make, in characters (a challenge over UDP may not be larger than the request).
pub const NONCE_CHARS_MAX: usize = 32;

/// How long a nonce is good for, in seconds.
pub const NONCE_LIFETIME_S: u64 = 300;
/// Most nonces remembered as used; beyond it the oldest are refused as stale.
pub const NONCES_USED_MAX: usize = 262_144;
/// Challenges larger than their request that one source may draw per second (over UDP).
pub const SHORT_ANSWERS_PER_S: u32 = 10;
/// How many of them at once.
pub const SHORT_ANSWERS_BURST: u32 = 50;
/// Most sources remembered for that.
pub const SHORT_ANSWER_SOURCES_MAX: usize = 16_384;

/// Challenges that one source may draw per second without answering them; beyond it requests without credentials are 503.
pub const CHALLENGES_PER_S: u32 = 50;
/// How many of them at once: as many phones as may start together behind one address. An answer that is right gives its
/// challenge back.
pub const CHALLENGES_BURST: u32 = 4000;
/// Wrong answers to challenges that one source may give per second; beyond it credentials of flows that never showed right
/// ones are not looked at, and are 503.
pub const GUESSES_PER_S: u32 = 1;
/// How many of them at once.
pub const GUESSES_BURST: u32 = 50;
/// Most sources remembered for each of these.
pub const THROTTLED_SOURCES_MAX: usize = 16_384;
/// Most flows remembered that showed right credentials.
pub const KNOWN_FLOWS_MAX: usize = 1_000_000;

/// Most streams accepted, all together; one more is closed.
pub const STREAMS_MAX: u32 = 100_000;
/// Most streams accepted from one address.
pub const STREAMS_PER_ADDRESS_MAX: u32 = 4096;

/// With fewer than this many requests waiting nothing is refused for the wait: it was the machine or the disk that kept them,
/// and they are done sooner than refused and sent again.
pub const OVERLOAD_BACKLOG: usize = 16;
/// From which wait on, between a request's arrival and its turn, new subscriptions are refused.
pub const OVERLOAD_SUBSCRIBE: Duration = Duration::from_millis(50);
/// From which wait on refreshes are refused too.
pub const OVERLOAD_REFRESH: Duration = Duration::from_millis(100);
/// From which wait on publications, registrations and new calls are refused too.
pub const OVERLOAD_PUBLISH: Duration = Duration::from_millis(200);
/// From which wait on requests inside dialogs are refused too; those that end something are not.
pub const OVERLOAD_DIALOG: Duration = Duration::from_millis(400);

/// Seconds a peer refused for want of room or disk is asked to wait.
pub const RETRY_AFTER_S: u32 = 5;
/// By how many seconds more, so that those who were refused together do not come back together.
pub const RETRY_AFTER_SPREAD_S: u32 = 10;

/// Largest XML body read, in bytes (security rows 11 to 17).
pub const XML_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of XML elements.
pub const XML_DEPTH_MAX: usize = 32;
/// Most attributes of one XML element, namespace declarations included.
pub const XML_ATTRIBUTES_PER_ELEMENT_MAX: usize = 64;
/// Longest start tag of XML, in bytes.
pub const XML_TAG_BYTES_MAX: usize = 8 * 1024;
/// Most namespace declarations in one document.
pub const XML_NAMESPACES_MAX: usize = 128;
/// Longest namespace name, in bytes.
pub const XML_NAMESPACE_BYTES_MAX: usize = 256;
/// Most elements and texts in one document.
pub const XML_NODES_MAX: usize = 4096;
/// Most attributes in one XML document.
pub const XML_ATTRIBUTES_MAX: usize = 4096;
/// Most services, persons and devices of one document, each; more is 400.
pub const PIDF_PARTS_MAX: usize = 64;
/// Most names in different languages kept of one service or person.
pub const DISPLAY_NAMES_MAX: usize = 16;
/// Most statuses at other times kept of one service.
pub const TIMED_STATUSES_MAX: usize = 64;
/// Most bytes of kept elements in one document; a peer's body with more is 400.
///
/// Why: an element repeats the namespaces it uses, so without a bound many short elements of one long namespace would
/// grow a small body a hundredfold.
pub const FOREIGN_BYTES_MAX: usize = 64 * 1024;
/// Most kept elements in one document; more is 400.
pub const FOREIGNS_MAX: usize = 256;
/// Most operations of one XML patch; more is 400.
pub const PATCH_OPERATIONS_MAX: usize = 256;
/// Most elements that a part of a selector may find on the way to the one.
pub const SELECTED_MAX: usize = 256;
/// Most predicates of one step of a selector.
pub const PREDICATES_MAX: usize = 4;
/// Most namespaces of a patch that we write; a document with more is sent whole.
pub const PATCH_NAMESPACES_MAX: usize = 24;
/// Most pairs of an older and a newer element that are compared for a patch; a document with more is sent whole.
pub const PATCH_PAIRS_MAX: usize = 16_384;
/// Most earlier states of a presentity that partial documents are made from; who was told an older one is sent the whole.
pub const PRESENCE_EARLIER_MAX: usize = 3;
/// Most dialogs of one dialog-info document; more is 400.
pub const DIALOGS_MAX: usize = 64;
/// Most ended dialogs remembered of one resource, so that each watcher can be told of the end.
pub const DIALOGS_ENDED_MAX: usize = 16;
/// Most things remembered that publications said are over for good.
pub const TOMBSTONES_MAX: usize = 65_536;
/// Longest parameters of Event kept with a subscription, in bytes; longer ones are 400.
pub const EVENT_PARAMS_BYTES_MAX: usize = 1024;
/// Most rules in one document of presence rules; more is refused.
pub const RULES_MAX: usize = 1024;
/// Most identifiers of persons, services or devices, and of unknown attributes, that one rule shows, each; more is refused.
pub const GRANTED_MAX: usize = 256;
/// How long it is remembered that somebody asked to watch and was not decided upon (RFC 3857 §4.7.1).
pub const WAITING_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most watchers of one presentity and package of whom that is remembered; the oldest are forgotten first.
pub const WAITING_PER_RESOURCE_MAX: usize = 64;
/// Most such watchers of all presentities; more are not remembered.
pub const WAITING_MAX: usize = 100_000;
/// Least time between two NOTIFYs that tell one watcher of watchers (RFC 3857 §4.10).
pub const WATCHERINFO_GAP: Duration = Duration::from_secs(5);
/// Most ended subscriptions remembered of one resource, so that each watcher can be told of the end.
pub const WATCHERS_ENDED_MAX: usize = 64;
/// Most members of a list, lists inside it included; more are left out (security row 51).
pub const LIST_MEMBERS_MAX: usize = 1000;
/// Deepest nesting of lists by name; what is deeper is left out.
pub const LIST_DEPTH_MAX: usize = 4;
/// Longest name for people of a member, in bytes.
pub const LIST_NAME_BYTES_MAX: usize = 128;
/// About as many bytes of members' documents one NOTIFY tells of a list; the others follow in the next.
pub const LIST_PAGE_BYTES_MAX: usize = 40_000;
/// Most members of a domain that one subscription watches (`everybody_max`).
pub const EVERYBODY_MAX: usize = 100_000;
/// Longest request over UDP inside the machine, in bytes: what a datagram can hold.
pub const DATAGRAM_BYTES_MAX: usize = 65_000;
/// Longest message summary read, in bytes.
pub const MESSAGE_SUMMARY_BYTES_MAX: usize = 8 * 1024;
/// Most Authorization headers of our realm that are looked at.
pub const CREDENTIALS_MAX: usize = 4;
/// Longest list echoed of what a peer sent, in bytes.
pub const ECHO_BYTES_MAX: usize = 256;
/// Most records taken of one DNS answer.
pub const DNS_RECORDS_MAX: usize = 32;
/// Most addresses tried for one request.
pub const TARGET_TRIES_MAX: u32 = 16;
/// Most DNS questions asked for one request.
pub const TARGET_QUESTIONS_MAX: u32 = 24;
/// The first wait after a NOTIFY failed, doubled each time.
pub const NOTIFY_BACK_OFF_MIN: Duration = Duration::from_secs(5);
/// The longest wait after a NOTIFY failed.
pub const NOTIFY_BACK_OFF_MAX: Duration = Duration::from_secs(300);
/// What a watcher that asked for no rate may be told at once: as much as in this time at the rate of
/// `Settings::notify_max_rate`: beyond it NOTIFYs are spaced and the newest state wins.
pub const NOTIFY_BURST: Duration = Duration::from_secs(1);
/// Longest filter set taken from a watcher, in bytes; a longer one is 488.
pub const FILTER_BYTES_MAX: usize = 8 * 1024;
/// Most filters of one subscription; more is 488.
pub const FILTERS_MAX: usize = 8;
/// Most expressions in one filter set; more is 488.
pub const FILTER_EXPRESSIONS_MAX: usize = 32;
/// Most steps of one expression; more is 488.
pub const FILTER_STEPS_MAX: usize = 16;
/// Most conditions in one expression; more is 488.
pub const FILTER_CONDITIONS_MAX: usize = 16;
/// Most elements looked at for one filter and one document; beyond it the watcher gets no body.
pub const FILTER_COST_MAX: usize = 1 << 18;
/// Most NOTIFYs per second of a watcher that nothing new is to be told (RFC 6446 §6.3); higher rates are lowered.
pub const NOTIFY_MIN_RATE_MAX: u32 = 1;
/// Over how many intervals of an adaptive minimum rate NOTIFYs are counted (RFC 6446 §7.4 `period`).
pub const ADAPTIVE_PERIOD: u32 = 10;
/// Most NOTIFYs counted for an adaptive minimum rate; more of them count as so many.
pub const ADAPTIVE_HISTORY_MAX: usize = 64;
/// Most calls tracked, those included that ended a moment ago; more pass untracked.
pub const CALLS_MAX: usize = 200_000;
/// Most dialogs of one call, over all its forks; more pass untracked.
pub const DIALOGS_PER_CALL_MAX: usize = 32;
/// Longest session description kept of a call, in bytes.
pub const SDP_BYTES_MAX: usize = 4 * 1024;
/// Most streams of a session description that are looked at.
pub const SDP_STREAMS_MAX: usize = 16;
/// How long an ended dialog of a call is still shown, as terminated.
pub const ENDED_DIALOG_SHOWN: Duration = Duration::from_secs(5);
/// How long after the last provisional response a call may go unanswered; beyond the proxy's own patience (Timer C, RFC 3261
/// §16.6), so that this is the last word on a call that was forgotten.
pub const CALL_UNANSWERED_MAX: Duration = Duration::from_secs(300);
/// How long a call that rang before a restart may go unanswered after it.
pub const CALL_RESTORED_UNANSWERED_MAX: Duration = Duration::from_secs(180);
/// How soon after a restart the phones of a call are asked whether it is still there.
pub const CALL_RESTORED_PROBE_MIN: Duration = Duration::from_secs(10);
/// Over how much time after that the questions are spread.
pub const CALL_RESTORED_PROBE_SPREAD: Duration = Duration::from_secs(60);
/// Longest number or URI that calls are forwarded to, in bytes.
pub const FORWARD_TARGET_BYTES_MAX: usize = 256;
/// Longest note of a status set by command, in bytes.
pub const STATUS_NOTE_BYTES_MAX: usize = 512;
/// Longest device name taken, in bytes.
pub const DEVICE_NAME_BYTES_MAX: usize = 255;

/// Most watchers told with one input; the next are told with the next `Timeout`, which is due at once.
pub const NOTIFIES_PER_TURN: usize = 512;
/// Margin between the stored CSeq of a subscription and the last one sent; after a crash CSeq jumps by it.
pub const CSEQ_JUMP: u32 = 1 << 16;
/// How far CSeq jumps besides for each second since the subscription began, and so how many NOTIFYs a second it is told in the
/// long run while its record cannot be stored.
pub const CSEQ_PER_S: u32 = 16;
/// Most that is added so, for 18 hours; after it one for each [`CSEQ_SLOW_S`]. Each restart may add this again, and CSeqs end at
/// 2^31.
pub const CSEQ_FAST_MAX: u32 = 1 << 20;
/// Seconds for each number of a subscription that is older than that.
pub const CSEQ_SLOW_S: u32 = 4;
/// How long a NOTIFY waits whose CSeq could not be stored, and a second crash would use again.
pub const CSEQ_UNSTORED_WAIT: Duration = Duration::from_secs(1);
/// How far CSeq jumps when the end of a subscription is undone: beyond its last NOTIFY.
pub const CSEQ_JUMP_UNDO: u32 = 1;
/// A subscription's record is rewritten when this many NOTIFYs went out since it was last stored.
pub const CSEQ_STORED_EVERY: u32 = 1 << 15;

/// How long after its answer a request may come again: 64*T1 (RFC 3261 §17.1.2).
pub const REPEATS_LAST: Duration = Duration::from_secs(32);
/// Most answers kept of requests that removed something; beyond it the oldest are forgotten.
pub const ANSWERS_KEPT_MAX: usize = 65_536;
/// Changes younger than this before the last stored moment may not have reached every watcher: 64*T1 (RFC 3261 §17.1.2).
pub const RESTART_UNSURE: Duration = Duration::from_secs(32);
/// In how many steps per second a server is drained.
pub const DRAIN_STEPS_PER_S: u32 = 10;
/// Over how many seconds those come back whom a stop has sent away, after [`RETRY_AFTER_S`].
pub const STOP_RETRY_SPREAD_S: u32 = 30;
/// How many of them are looked at for each that is told; those whose phone is not connected are passed over.
pub const RESTART_LOOKS_PER_NOTIFY: u32 = 32;
/// In how many steps per second those are told whom a restart owes a NOTIFY.
pub const RESTART_TICKS_PER_S: u32 = 50;

/// How long a call rings whose user wants unanswered calls forwarded and did not say after how long.
pub const NO_ANSWER: Duration = Duration::from_secs(20);
/// How long a branch may ring (RFC 3261 §16.6 step 11: more than three minutes).
pub const TIMER_C: Duration = Duration::from_secs(185);
/// Seconds after which an unanswered DNS query is given up.
pub const DNS_WAIT_S: u64 = 5;
/// How often peers configured by host name are looked up again; what DNS says carries no TTL here.
pub const PEER_LOOKUP_EVERY: Duration = Duration::from_secs(300);
/// The first wait after such a lookup failed, doubled each time, up to [`PEER_LOOKUP_EVERY`].
pub const PEER_LOOKUP_BACK_OFF_MIN: Duration = Duration::from_secs(10);

/// By so much the wall clock must leave the monotonic one at once for it to have been set; less is drift.
pub const WALL_JUMP_MIN: Duration = Duration::from_secs(2);
/// How long before its end a subscription at a gateway is renewed: one request may go unanswered (64*T1) and another follow.
pub const GATEWAY_RENEW_EARLY: Duration = Duration::from_secs(40);
/// Least time between a gateway's answer and the next request of the same errand that it did not ask for.
pub const GATEWAY_RENEW_LEAST: Duration = Duration::from_secs(1);
/// Longest life that a gateway may insist on (Min-Expires), in seconds.
pub const GATEWAY_EXPIRES_S_MAX: u32 = 86_400;
/// Longest wait that a gateway may ask for (Retry-After).
pub const GATEWAY_WAIT_MAX: Duration = Duration::from_secs(86_400);
/// The wait after a refusal that is not likely to pass by itself.
pub const GATEWAY_REFUSED_WAIT: Duration = Duration::from_secs(3600);
/// Most requests of one errand in a row, each asked for by the answer to the one before (401, 423).
pub const GATEWAY_ROUNDS_MAX: u32 = 4;
/// Most members read of one list document of a gateway.
pub const GATEWAY_MEMBERS_MAX: usize = 4096;
/// Over how long the renewals of subscriptions are spread whose stream closed.
pub const GATEWAY_FLOW_LOST_SPREAD: Duration = Duration::from_secs(4);
/// Most subscriptions to presentities of other servers at once.
pub const REMOTES_MAX: usize = 10_000;
/// Most of them on behalf of one user.
pub const REMOTES_PER_USER_MAX: usize = 1000;
/// Most presentities published at one gateway.
pub const GATEWAY_PUBLICATIONS_MAX: usize = 10_000;
/// How deep lists may be in lists of a gateway.
pub const GATEWAY_LIST_DEPTH_MAX: usize = 4;

/// Most rows of those who have the most, of each kind.
pub const BIGGEST_MAX: usize = 100;

const _: () = assert!(XML_BYTES_MAX <= BODY_BYTES_MAX);
const _: () = assert!(FILTER_STEPS_MAX <= u32::BITS as usize && FILTER_BYTES_MAX < XML_BYTES_MAX);
const _: () = assert!(ADAPTIVE_HISTORY_MAX > ADAPTIVE_PERIOD as usize);
const _: () = assert!(DRAIN_STEPS_PER_S > 0);
const _: () = assert!(CSEQ_STORED_EVERY < CSEQ_JUMP);
const _: () = assert!(CALL_UNANSWERED_MAX.as_secs() > 180);
const _: () = assert!(BINDINGS_PER_AOR_MAX as usize <= CONTACTS_PER_REQUEST_MAX);
const _: () = assert!(STREAMS_PER_ADDRESS_MAX < STREAMS_MAX);
const _: () = assert!(
    OVERLOAD_SUBSCRIBE.as_millis() < OVERLOAD_REFRESH.as_millis()
        && OVERLOAD_REFRESH.as_millis() < OVERLOAD_PUBLISH.as_millis()
        && OVERLOAD_PUBLISH.as_millis() < OVERLOAD_DIALOG.as_millis()
);

// Offsets and counts of the XML tree have 16 and 8 bits.
const _: () = assert!(XML_NAMESPACES_MAX <= u8::MAX as usize && XML_TAG_BYTES_MAX < u16::MAX as usize);
const _: () = assert!(XML_NODES_MAX < u16::MAX as usize && XML_ATTRIBUTES_MAX < u16::MAX as usize / 2);
const _: () = assert!(XML_ATTRIBUTES_PER_ELEMENT_MAX <= u8::MAX as usize);
