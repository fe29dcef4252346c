//! `lampyris status`: how the running server is.

use super::client::{Client, decode, unexpected};
use super::failure::Failure;
use super::{Context, Verb, span, text};
use crate::admin::protocol::{Request, Response, Server};
use crate::store::Health;
use lampyris_core::command::Command;
use lampyris_core::time::UnixTime;
use lampyris_core::view;
use serde_json::json;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "status",
    about: "Show how the running server is: uptime, what it holds, what it sent and refused",
    examples: &[("status", "for people"), ("status --json", "for monitoring")],
    args: |command| command,
    run: |_, context| run(context),
};

fn run(context: &mut Context<'_>) -> Result<(), Failure> {
    let mut client = Client::connect(&context.data)?;
    let answer = client.command(Command::Status)?;
    let server = match client.request(&Request::Server)? {
        Response::Server(server) => server,
        other => return Err(unexpected(&other)),
    };
    if context.json {
        let server = serde_json::to_value(server).map_err(|error| Failure::Refused(error.to_string()))?;
        return context.print_json(&json!({ "node": answer, "server": server }));
    }
    let status = decode(answer)?;
    context.print(&render(&status, &server))
}

fn render(status: &view::Status, server: &Server) -> String {
    let io = &server.counters;
    let failed = io.udp_send_failed + io.streams_send_failed;
    let rows = [
        ("Version", format!("{}, process {}", text::line(&server.version), server.pid)),
        ("Up", span::show(status.up_s)),
        ("Listens on", text::line(&server.listeners.join(" "))),
        (
            "Subscriptions",
            format!(
                "{}, {} wait for their phone to connect, {} to be told after the restart{}",
                status.subscriptions,
                status.parked,
                status.owed,
                if status.draining { "; draining: new ones are refused" } else { "" }
            ),
        ),
        ("Publications", status.publications.to_string()),
        ("Bindings", status.bindings.to_string()),
        ("Hints", status.hints.to_string()),
        ("Peers", status.peers.to_string()),
        ("Transactions", format!("{} in flight; {} timers are set", status.transactions, status.timers)),
        ("Calls", format!("{}, {} requests and forks on their way", status.calls, status.passing)),
        ("Requests", format!("{} received, {} refused", status.requests, status.rejects)),
        (
            "NOTIFYs",
            format!(
                "{} sent, {} answered 2xx, {} refused or unanswered",
                status.notifies, status.notifies_ok, status.notifies_failed
            ),
        ),
        ("Malformed", status.malformed.to_string()),
        ("Unpersisted", format!("{} records waiting for the store", status.unpersisted)),
        (
            "Store",
            format!(
                "{} records in {} commits, {} failed; survives {}",
                io.records_stored,
                io.commits,
                io.records_failed,
                survives(&server.durability)
            ),
        ),
        ("Backups", backups(&server.store)),
        (
            "UDP",
            format!("{} received, {} sent, {} keep-alives", io.udp_received, io.udp_sent, io.udp_keepalives),
        ),
        ("Streams", format!("{} open, {} opened", io.streams_open, io.streams_opened)),
        (
            "Not sent",
            format!("{failed} to addresses that could not be reached, {} for the store", io.held_dropped),
        ),
        (
            "Bugs",
            match status.bugs {
                0 => "0".to_owned(),
                bugs => format!("{bugs} (please report them, with the log)"),
            },
        ),
    ];
    let ills = ills(&server.store).into_iter().map(|ill| ("Store is ill", ill));
    rows.into_iter().chain(ills).map(|(name, value)| format!("{name:<14} {value}\n")).collect()
}

fn backups(store: &Health) -> String {
    match store.backup_ms {
        Some(ms) => format!("the last of {}", UnixTime::from_millis(ms).rfc3339()),
        None => "none".to_owned(),
    }
}

/// What is or was wrong with the store, each with what follows from it.
fn ills(store: &Health) -> Vec<String> {
    let mut ills = Vec::new();
    if let Some(failing) = &store.failing {
        ills.push(format!(
            "it takes nothing since {}: {}; {} records refused (503)",
            UnixTime::from_millis(failing.since_ms).rfc3339(),
            text::line(&failing.reason),
            failing.refused
        ));
    }
    if let Some(rescue) = &store.rescue {
        let now = match &rescue.backup {
            Some((path, made_ms)) => format!(
                "{} records of the backup {} of {} took its place",
                rescue.records,
                text::line(path),
                UnixTime::from_millis(*made_ms).rfc3339()
            ),
            None => "there was no backup, so it began empty".to_owned(),
        };
        let (damage, aside) = (text::line(&rescue.damage), text::line(&rescue.aside));
        ills.push(format!("at the start it was damaged ({damage}) and set aside as {aside}; {now}"));
    }
    if store.damaged > 0 {
        ills.push(format!("{} damaged records were left out at the start", store.damaged));
    }
    if let Some(reason) = &store.backup_failed {
        ills.push(format!("the last backup failed: {}", text::line(reason)));
    }
    ills
}

/// What the store's durability means.
fn survives(durability: &str) -> String {
    match durability {
        "power" => "a power failure".to_owned(),
        "process" => "the end of the process".to_owned(),
        "memory" => "nothing (kept in memory)".to_owned(),
        other => text::line(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::protocol::Counters;

    #[test]
    fn every_count_has_a_line() {
        let status = view::Status {
            up_s: 90061,
            subscriptions: 1,
            parked: 17,
            owed: 18,
            draining: true,
            publications: 2,
            bindings: 3,
            hints: 4,
            peers: 5,
            transactions: 6,
            timers: 19,
            calls: 15,
            passing: 16,
            requests: 7,
            rejects: 8,
            notifies: 9,
            notifies_ok: 10,
            notifies_failed: 11,
            malformed: 12,
            unpersisted: 13,
            bugs: 14,
        };
        let counters = Counters {
            udp_received: 20,
            udp_sent: 21,
            udp_send_failed: 22,
            udp_keepalives: 23,
            streams_opened: 24,
            streams_open: 25,
            streams_send_failed: 26,
            held_dropped: 27,
            held: 28,
            records_stored: 29,
            records_failed: 30,
            commits: 31,
            debug_dropped: 32,
            ..Counters::default()
        };
        let server = Server {
            version: "0.1.0".into(),
            pid: 42,
            listeners: vec!["udp:127.0.0.1:5060".into(), "tcp:127.0.0.1:5060".into()],
            durability: "power".into(),
            started_ms: 0,
            counters,
            store: Health { backup_ms: Some(1000), ..Health::default() },
        };
        assert_eq!(
            render(&status, &server),
            "Version        0.1.0, process 42\n\
             Up             1d01h\n\
             Listens on     udp:127.0.0.1:5060 tcp:127.0.0.1:5060\n\
             Subscriptions  1, 17 wait for their phone to connect, 18 to be told after the restart; \
             draining: new ones are refused\n\
             Publications   2\n\
             Bindings       3\n\
             Hints          4\n\
             Peers          5\n\
             Transactions   6 in flight; 19 timers are set\n\
             Calls          15, 16 requests and forks on their way\n\
             Requests       7 received, 8 refused\n\
             NOTIFYs        9 sent, 10 answered 2xx, 11 refused or unanswered\n\
             Malformed      12\n\
             Unpersisted    13 records waiting for the store\n\
             Store          29 records in 31 commits, 30 failed; survives a power failure\n\
             Backups        the last of 1970-01-01T00:00:01Z\n\
             UDP            20 received, 21 sent, 23 keep-alives\n\
             Streams        25 open, 24 opened\n\
             Not sent       48 to addresses that could not be reached, 27 for the store\n\
             Bugs           14 (please report them, with the log)\n"
        );
    }

    #[test]
    fn an_ill_store_is_said_to_be_so() {
        use crate::store::health::{Failing, Rescue};
        let rescue = Rescue {
            damage: "page 7: it is reached twice".into(),
            aside: "/d/store.damaged-x".into(),
            backup: Some(("/d/backups/b".into(), 2000)),
            records: 12,
        };
        let store = Health {
            damaged: 3,
            rescue: Some(rescue),
            failing: Some(Failing { since_ms: 1000, reason: "the disk is full".into(), refused: 9 }),
            backup_ms: None,
            backup_failed: Some("no room".into()),
        };
        let said = ills(&store).join("\n");
        for part in [
            "since 1970-01-01T00:00:01Z: the disk is full; 9 records refused (503)",
            "damaged (page 7: it is reached twice) and set aside as /d/store.damaged-x; 12 records of the backup \
             /d/backups/b of 1970-01-01T00:00:02Z",
            "3 damaged records were left out",
            "the last backup failed: no room",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(ills(&Health::default()), Vec::<String>::new());
    }
}
