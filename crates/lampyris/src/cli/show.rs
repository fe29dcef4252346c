//! `lampyris show ...`: tables of what the running server holds.

use super::failure::Failure;
use super::table::{self, Column};
use super::{Context, Verb, span};
use clap::{Args, FromArgMatches};
use lampyris_core::command::Command;
use lampyris_core::view;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "show",
    about: "Show hints, subscriptions, publications, registrations, devices, peers, calls, mailboxes, a list, phone profiles or limits",
    examples: &[
        ("show hints", "every lamp and its state"),
        ("show hint 60", "the lamps whose extension starts with 60"),
        ("show subscriptions", "who watches what, and how each answered its last NOTIFY"),
        ("show registrations --json", "for programs"),
        ("show limits", "which limits were hit, and what that answered"),
        ("show profiles", "how each kind of phone is treated, and why"),
    ],
    args: ShowArgs::augment_args,
    run: |matches, context| run(&ShowArgs::from_arg_matches(matches)?.what, context),
};

#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Every hint: extension, devices, state, watchers
    Hints,
    /// The hints whose extension starts with X
    Hint {
        /// As in 6001
        #[arg(value_name = "X")]
        extension: String,
    },
    /// Every subscription: who watches what, until when, and the answer to its last NOTIFY
    Subscriptions,
    /// Every publication (RFC 3903)
    Publications,
    /// Every address of record with its bindings
    Registrations,
    /// Every device: configured, hinted, or set by command
    Devices,
    /// Every configured peer
    Peers,
    /// Every call that passes through: who with whom, state, hold
    Calls,
    /// Every mailbox
    Mailboxes,
    /// One list: who is in it, who watches it, and what each was told
    List {
        /// As in board, or as `lampyris lists` prints it
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Every phone profile in the order they are tried, with its reason
    Profiles,
    /// Every limit: how much is allowed, what is over it gets, and how often that was
    Limits,
}

fn run(what: &What, context: &mut Context<'_>) -> Result<(), Failure> {
    match what {
        What::Hints => context.query(Command::Hints, hints),
        What::Hint { extension } => context.query(Command::Hint(extension.clone()), hints),
        What::Subscriptions => context.query(Command::Subscriptions, subscriptions),
        What::Publications => context.query(Command::Publications, publications),
        What::Registrations => context.query(Command::Registrations, registrations),
        What::Devices => context.query(Command::Devices, devices),
        What::Peers => context.query(Command::Peers, peers),
        What::Calls => context.query(Command::Calls, calls),
        What::Mailboxes => context.query(Command::Mailboxes, mailboxes),
        What::Limits => context.query(Command::Limits, limits),
        What::List { name } => super::lists::show(name, context),
        What::Profiles => context.query(Command::Profiles, profiles),
    }
}

/// A table and its count, or a sentence where there is nothing.
pub(super) fn listed(noun: &str, columns: &[Column], rows: &[Vec<String>], width: Option<usize>) -> String {
    match rows.len() {
        0 => format!("no {noun}s\n"),
        1 => format!("{}\n1 {noun}\n", table::render(columns, rows, width)),
        count => format!("{}\n{count} {noun}s\n", table::render(columns, rows, width)),
    }
}

pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

pub(super) fn left(expires_s: u32) -> String {
    span::show(u64::from(expires_s))
}

fn limits(rows: &[view::Limit], width: Option<usize>) -> String {
    let columns = [
        Column::Text("Limit"),
        Column::Number("Most"),
        Column::Text("Answer"),
        Column::Number("Hits"),
        Column::Long("About"),
    ];
    let row = |limit: &view::Limit| {
        let answer = limit.answer.map_or_else(|| "none".to_owned(), |status| status.to_string());
        vec![limit.name.clone(), or_dash(limit.most), answer, limit.hits.to_string(), limit.about.clone()]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    listed("limit", &columns, &rows, width)
}

fn hints(rows: &[view::Hint], width: Option<usize>) -> String {
    let columns = [
        Column::Text("Extension"),
        Column::Text("Context"),
        Column::Long("Devices"),
        Column::Text("State"),
        Column::Text("Presence"),
        Column::Number("Watchers"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|h| {
            let texts = [&h.extension, &h.context, &h.devices, &h.state, &h.presence];
            texts.into_iter().cloned().chain([h.watchers.to_string()]).collect()
        })
        .collect();
    listed("hint", &columns, &rows, width)
}

fn subscriptions(rows: &[view::Subscription], width: Option<usize>) -> String {
    let columns = [
        Column::Text("Watcher"),
        Column::Text("Address"),
        Column::Text("Resource"),
        Column::Text("Package"),
        Column::Text("State"),
        Column::Number("Left"),
        Column::Number("NOTIFYs"),
        Column::Number("CSeq"),
        Column::Text("Answer"),
        Column::Long("Asks"),
        Column::Long("Phone"),
        Column::Long("Call-ID"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|s| {
            vec![
                s.watcher.clone(),
                format!("{} {}", s.transport, s.peer),
                s.resource.clone(),
                s.event_id.as_ref().map_or_else(|| s.package.clone(), |id| format!("{};id={id}", s.package)),
                s.members.map_or_else(
                    || or_dash(s.last_state.as_ref().or(s.mailbox.as_ref())),
                    |members| format!("{members} members"),
                ),
                left(s.expires_s),
                s.notifies.to_string(),
                s.cseq.to_string(),
                or_dash(s.last_answer),
                asks(s.pace.as_deref(), s.filter.as_deref()),
                s.user_agent.clone(),
                s.call_id.clone(),
            ]
        })
        .collect();
    listed("subscription", &columns, &rows, width)
}

/// What a watcher wants else than everything at once: its rates, its filters.
pub(super) fn asks(pace: Option<&str>, filter: Option<&str>) -> String {
    let filter = filter.map(|filter| format!("filter {filter}"));
    let both: Vec<_> = pace.into_iter().map(str::to_owned).chain(filter).collect();
    if both.is_empty() { "-".to_owned() } else { both.join(", ") }
}

fn publications(rows: &[view::Publication], width: Option<usize>) -> String {
    let columns = [
        Column::Text("Resource"),
        Column::Text("Package"),
        Column::Text("Publisher"),
        Column::Long("Says"),
        Column::Number("Left"),
        Column::Number("Bytes"),
        Column::Long("Type"),
        Column::Long("Entity-tag"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|p| {
            vec![
                p.resource.clone(),
                p.package.clone(),
                p.publisher.clone(),
                p.summary.clone(),
                left(p.expires_s),
                p.body_bytes.to_string(),
                p.content_type.clone(),
                p.etag.clone(),
            ]
        })
        .collect();
    listed("publication", &columns, &rows, width)
}

fn registrations(rows: &[view::Registration], width: Option<usize>) -> String {
    let columns = [
        Column::Text("AOR"),
        Column::Long("Contact"),
        Column::Text("Source"),
        Column::Number("Left"),
        Column::Number("q"),
        Column::Long("Phone"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .flat_map(|registration| {
            registration.bindings.iter().map(|b| {
                vec![
                    registration.aor.clone(),
                    b.contact.clone(),
                    b.source.clone(),
                    left(b.expires_s),
                    b.q.to_string(),
                    b.user_agent.clone(),
                ]
            })
        })
        .collect();
    listed("binding", &columns, &rows, width)
}

pub(super) fn devices(rows: &[view::Device], width: Option<usize>) -> String {
    let columns = [
        Column::Text("Device"),
        Column::Text("State"),
        Column::Text("Source"),
        Column::Number("For"),
        Column::Long("Hints"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|d| {
            vec![
                d.device.clone(),
                d.state.clone(),
                d.source.clone(),
                or_dash(d.for_s.map(span::show)),
                if d.hints.is_empty() { "-".to_owned() } else { d.hints.join(" ") },
            ]
        })
        .collect();
    listed("device", &columns, &rows, width)
}

fn peers(rows: &[view::Peer], width: Option<usize>) -> String {
    let columns = [
        Column::Text("Peer"),
        Column::Text("Host"),
        Column::Text("Address"),
        Column::Text("State"),
        Column::Text("Qualify"),
        Column::Long("Context"),
        Column::Number("Watches"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|p| {
            let texts = [&p.name, &p.host, &p.address, &p.state, &p.qualify, &p.context];
            texts.into_iter().cloned().chain([p.subscriptions.to_string()]).collect()
        })
        .collect();
    listed("peer", &columns, &rows, width)
}

fn calls(rows: &[view::Call], width: Option<usize>) -> String {
    let columns = [
        Column::Text("Call"),
        Column::Text("Caller"),
        Column::Text("Callee"),
        Column::Text("Dialled"),
        Column::Text("State"),
        Column::Text("Held by"),
        Column::Number("For"),
        Column::Long("Call-ID"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|c| {
            let hold = if c.hold.is_empty() { "-".to_owned() } else { c.hold.clone() };
            let texts = [&c.id, &c.caller, &c.callee, &c.asked, &c.state].map(Clone::clone);
            texts.into_iter().chain([hold, span::show(c.since_s), c.call_id.clone()]).collect()
        })
        .collect();
    listed("call", &columns, &rows, width)
}

pub(super) fn mailboxes(rows: &[view::Mailbox], width: Option<usize>) -> String {
    let columns = [
        Column::Text("Mailbox"),
        Column::Number("New"),
        Column::Number("Old"),
        Column::Number("Urgent new"),
        Column::Number("Urgent old"),
        Column::Number("Watchers"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|m| {
            let counts = m.counts;
            let numbers =
                [counts.new, counts.old, counts.urgent_new, counts.urgent_old].map(|n| n.to_string());
            std::iter::once(m.mailbox.clone()).chain(numbers).chain([m.watchers.to_string()]).collect()
        })
        .collect();
    listed("mailboxe", &columns, &rows, width).replace("1 mailboxe\n", "1 mailbox\n")
}

fn profiles(rows: &[view::Profile], width: Option<usize>) -> String {
    let columns = [
        Column::Text("Profile"),
        Column::Long("User-Agent"),
        Column::Text("Documents"),
        Column::Long("Special"),
        Column::Long("Reason"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|p| {
            let agents = p.user_agents.join(", ");
            let agents = if agents.is_empty() { "-".to_owned() } else { agents };
            vec![p.name.clone(), agents, p.variant.clone(), special(p), p.reason.clone()]
        })
        .collect();
    listed("profile", &columns, &rows, width)
}

/// What a profile does otherwise than the default one, in a few words.
fn special(profile: &view::Profile) -> String {
    let short = |name: &String| name.trim_start_matches("application/").trim_end_matches("+xml").to_owned();
    let mut words = Vec::new();
    if !profile.prefer.is_empty() {
        words.push(format!("prefers {}", profile.prefer.iter().map(short).collect::<Vec<_>>().join(" ")));
    }
    words.extend(
        profile.retry_after_s.map(|seconds| format!("unanswered again after {}", span::show(seconds))),
    );
    words.extend(profile.notify_max_rate.map(|rate| format!("at most {rate} NOTIFYs/s")));
    words.extend(profile.retry_statuses.iter().map(|status| format!("{status} tried again")));
    let flags = [
        (profile.buggy_mwi, "no urgent counts"),
        (!profile.idle_dialog, "no idle dialog"),
        (profile.single_dialog, "one dialog"),
        (profile.partial_dialogs, "partial dialogs"),
        (profile.digium, "digium tuple"),
        (!profile.end_notify, "no last NOTIFY"),
        (profile.pickup == "code", "pickup by code"),
        (!profile.auto_answer.is_empty(), "auto-answer"),
    ];
    words.extend(flags.into_iter().filter(|(set, _)| *set).map(|(_, word)| word.to_owned()));
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lampyris_core::journal::Counts;

    #[test]
    fn hints_are_a_table() {
        let hint = view::Hint {
            extension: "6001".into(),
            context: "default".into(),
            devices: "SIP/Bob-mobile&SIP/Bob-desk".into(),
            state: "Idle".into(),
            presence: "not_set".into(),
            watchers: 12,
        };
        assert_eq!(
            hints(&[hint], None),
            "Extension  Context  Devices                      State  Presence  Watchers\n\
             6001       default  SIP/Bob-mobile&SIP/Bob-desk  Idle   not_set         12\n\n1 hint\n"
        );
        assert_eq!(hints(&[], None), "no hints\n");
    }

    #[test]
    fn every_table_has_a_row() {
        let subscription = view::Subscription {
            peer: "10.0.0.7:5060".into(),
            watcher: "Alice".into(),
            call_id: "abc".into(),
            resource: "6001@default".into(),
            asked: "sip:6001@example.com".into(),
            package: "dialog".into(),
            event_id: Some("7".into()),
            format: "application/dialog-info+xml".into(),
            members: None,
            last_state: Some("Idle".into()),
            mailbox: None,
            granted_s: 3600,
            expires_s: 61,
            profile: "default".into(),
            user_agent: "Phone\u{1b}[0m/1".into(),
            notifies: 3,
            cseq: 104,
            version: 2,
            last_answer: None,
            pace: Some("max-rate=0.2, asleep".into()),
            filter: Some("1: 1 included, 0 excluded, 2 triggers".into()),
            transport: "UDP".into(),
        };
        assert_eq!(
            subscriptions(&[subscription], None),
            "Watcher  Address            Resource      Package      State   Left  NOTIFYs  CSeq  Answer  Asks                                                                Phone       Call-ID\n\
             Alice    UDP 10.0.0.7:5060  6001@default  dialog;id=7  Idle   1m01s        3   104  -       max-rate=0.2, asleep, filter 1: 1 included, 0 excluded, 2 triggers  Phone[0m/1  abc\n\
             \n1 subscription\n"
        );
        let publication = view::Publication {
            resource: "sip:bob@example.com".into(),
            package: "presence".into(),
            etag: "e1".into(),
            publisher: "bob".into(),
            content_type: "application/pidf+xml".into(),
            body_bytes: 512,
            expires_s: 3600,
            summary: "open, away".into(),
        };
        assert_eq!(
            publications(&[publication], None),
            "Resource             Package   Publisher  Says         Left  Bytes  Type                  Entity-tag\n\
             sip:bob@example.com  presence  bob        open, away  1h00m    512  application/pidf+xml  e1\n\
             \n1 publication\n"
        );
        let binding = view::Binding {
            contact: "sip:bob@10.0.0.8".into(),
            source: "UDP 10.0.0.8:5060".into(),
            expires_s: 5,
            q: 0.5,
            user_agent: "P".into(),
            instance: None,
        };
        let registration = view::Registration {
            aor: "sip:bob@example.com".into(),
            bindings: vec![binding.clone(), binding],
        };
        assert_eq!(
            registrations(&[registration], None),
            "AOR                  Contact           Source             Left    q  Phone\n\
             sip:bob@example.com  sip:bob@10.0.0.8  UDP 10.0.0.8:5060    5s  0.5  P\n\
             sip:bob@example.com  sip:bob@10.0.0.8  UDP 10.0.0.8:5060    5s  0.5  P\n\
             \n2 bindings\n"
        );
        let device = view::Device {
            device: "SIP/bob".into(),
            state: "INUSE".into(),
            source: "command".into(),
            for_s: Some(600),
            hints: vec!["6001@default".into(), "6002@default".into()],
        };
        assert_eq!(
            devices(&[device], None),
            "Device   State  Source      For  Hints\n\
             SIP/bob  INUSE  command  10m00s  6001@default 6002@default\n\n1 device\n"
        );
        let peer = view::Peer {
            name: "bob".into(),
            host: "dynamic".into(),
            address: "-".into(),
            state: "UNAVAILABLE".into(),
            qualify: "unmonitored".into(),
            context: "default".into(),
            subscriptions: 0,
        };
        assert_eq!(
            peers(&[peer], None),
            "Peer  Host     Address  State        Qualify      Context  Watches\n\
             bob   dynamic  -        UNAVAILABLE  unmonitored  default        0\n\n1 peer\n"
        );
        let call = view::Call {
            id: "5f3a-0".into(),
            caller: "alice".into(),
            callee: "bob".into(),
            asked: "6001@default".into(),
            state: "confirmed".into(),
            hold: String::new(),
            since_s: 61,
            call_id: "abc".into(),
        };
        assert_eq!(
            calls(&[call], None),
            "Call    Caller  Callee  Dialled       State      Held by    For  Call-ID\n\
             5f3a-0  alice   bob     6001@default  confirmed  -        1m01s  abc\n\n1 call\n"
        );
        let mailbox = view::Mailbox {
            mailbox: "100@default".into(),
            counts: Counts { new: 3, old: 1, urgent_new: 0, urgent_old: 0 },
            watchers: 2,
        };
        let profile = view::Profile {
            name: "polycom".into(),
            user_agents: vec!["Polycom".into(), "VVX".into()],
            variant: "rfc".into(),
            prefer: vec!["application/xpidf+xml".into()],
            retry_after_s: Some(32),
            notify_max_rate: None,
            retry_statuses: vec![450],
            buggy_mwi: false,
            idle_dialog: true,
            single_dialog: true,
            partial_dialogs: false,
            digium: false,
            auto_answer: Vec::new(),
            pickup: "code".into(),
            end_notify: false,
            reason: "seen".into(),
        };
        assert_eq!(
            profiles(&[profile], None),
            "Profile  User-Agent    Documents  Special                                                                                                 Reason\n\
             polycom  Polycom, VVX  rfc        prefers xpidf, unanswered again after 32s, 450 tried again, one dialog, no last NOTIFY, pickup by code  seen\n\
             \n1 profile\n"
        );
        let text = mailboxes(std::slice::from_ref(&mailbox), None);
        assert_eq!(
            text,
            "Mailbox      New  Old  Urgent new  Urgent old  Watchers\n\
             100@default    3    1           0           0         2\n\n1 mailbox\n"
        );
        assert!(mailboxes(&[mailbox.clone(), mailbox], None).ends_with("\n2 mailboxes\n"));
    }
}
