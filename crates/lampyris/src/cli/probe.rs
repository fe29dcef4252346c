//! `lampyris probe URI`: one look at any SIP server, and what is wrong with it.

use super::elsewhere::{self, ElsewhereArgs};
use super::failure::Failure;
use super::watch::one_line;
use super::{Context, Verb, span, text};
use crate::remote::probe::{self, Answer, Probe, Report, Subscribed, Tls};
use clap::{Args, FromArgMatches};
use std::fmt::Write as _;
use std::time::Duration;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "probe",
    about: "Look at any SIP server once: DNS, certificate, OPTIONS, SUBSCRIBE, how fast, and what is wrong",
    examples: &[
        ("probe sip:6001@pbx.example", "the way there, and what it says of 6001"),
        (
            "probe sip:6001@192.0.2.5 --user reception --password-file secret --event dialog",
            "one event package, with a password",
        ),
        (
            "probe sip:6001@pbx.example --transport tls --json",
            "for a program: certificate, answers, milliseconds",
        ),
    ],
    args: ProbeArgs::augment_args,
    run: |matches, context| run(&ProbeArgs::from_arg_matches(matches)?, context),
};

/// Packages that are tried where none is named.
const PACKAGES: [&str; 3] = ["presence", "dialog", "message-summary"];

#[derive(Debug, clap::Args)]
struct ProbeArgs {
    #[command(flatten)]
    elsewhere: ElsewhereArgs,
    /// Try this event package; may be given several times [default: presence, dialog and message-summary]
    #[arg(long = "event", value_name = "PACKAGE")]
    events: Vec<String>,
    /// How long each answer is waited for, as in 5s [default: 5s]
    #[arg(long, value_name = "SPAN", default_value = "5s", hide_default_value = true, value_parser = span::parse)]
    wait: u64,
}

fn run(args: &ProbeArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let named: Vec<&str> = args.events.iter().map(String::as_str).collect();
    let packages = if named.is_empty() { PACKAGES.to_vec() } else { named };
    let probe = Probe {
        towards: args.elsewhere.towards()?,
        packages: packages.into_iter().map(|event| (event.to_owned(), elsewhere::accept_of(event))).collect(),
        patience: Duration::from_secs(args.wait),
    };
    let report = elsewhere::block_on(probe::run(&probe))?;
    if context.json {
        let value = serde_json::to_value(&report).map_err(|error| Failure::Refused(error.to_string()))?;
        context.print_json(&value)?;
    } else {
        context.print(&words(&report))?;
    }
    match report.answers {
        true => Ok(()),
        false if context.json => Err(Failure::Shown),
        false => Err(Failure::Refused(
            "nothing answers there: is the address right, does a firewall stand between, is the server running?".to_owned(),
        )),
    }
}

fn words(report: &Report) -> String {
    let mut out = format!("{}\n", text::line(&report.uri));
    for line in &report.dns {
        let _ = writeln!(out, "  DNS        {}", text::line(line));
    }
    if report.addresses.is_empty() {
        let _ = writeln!(out, "  address    none: DNS knows no server of that domain");
    }
    for address in &report.addresses {
        let opened = address.connect_ms.map(|ms| format!(", open after {ms} ms")).unwrap_or_default();
        let _ = writeln!(out, "  address    {}{opened}", address.address);
        if let Some(tls) = &address.tls {
            push_tls(&mut out, tls);
        }
        push_trouble(&mut out, address.trouble.as_deref());
    }
    if let Some(options) = &report.options {
        push_answer(&mut out, "OPTIONS", options);
    }
    for subscribed in &report.subscriptions {
        push_subscribed(&mut out, subscribed);
    }
    if !report.packages.is_empty() {
        let _ = writeln!(out, "  packages   {}", text::line(&report.packages.join(", ")));
    }
    out
}

fn push_tls(out: &mut String, tls: &Tls) {
    let _ = writeln!(out, "  TLS        {}, {}", tls.version, tls.cipher);
    let Some(certificate) = &tls.certificate else { return };
    let left = match u64::try_from(certificate.left_s) {
        Ok(left) => format!("good for another {}", span::show(left)),
        Err(_) => format!("EXPIRED {} ago", span::show(certificate.left_s.unsigned_abs())),
    };
    let _ = writeln!(
        out,
        "             {}, from {}\n             for {}, until {} ({left})",
        text::line(&certificate.subject),
        text::line(&certificate.issuer),
        text::line(&certificate.names.join(", ")),
        certificate.not_after,
    );
}

fn push_answer(out: &mut String, method: &str, answer: &Answer) {
    match answer.status {
        Some(status) => {
            let _ = writeln!(
                out,
                "  {method:<10} {status} {} after {} ms",
                text::line(&answer.reason),
                answer.ms
            );
        }
        None => {
            let _ = writeln!(out, "  {method:<10} no answer");
        }
    }
    let agent: Vec<String> = answer.agent.iter().cloned().collect();
    for (name, values) in [
        ("server", &agent),
        ("allow", &answer.allow),
        ("events", &answer.allow_events),
        ("accept", &answer.accept),
        ("supported", &answer.supported),
        ("challenge", &answer.challenges),
    ] {
        if !values.is_empty() {
            let _ = writeln!(out, "             {name}: {}", text::line(&values.join(", ")));
        }
    }
    push_trouble(out, answer.trouble.as_deref());
}

fn push_subscribed(out: &mut String, tried: &Subscribed) {
    push_answer(out, &format!("SUBSCRIBE to {}:", tried.event), &tried.answer);
    if let (Some(ms), Some(state)) = (tried.notify_ms, &tried.state) {
        let kind = tried.content_type.as_deref().unwrap_or("no body");
        let _ =
            writeln!(out, "             NOTIFY after {ms} ms: {}, {}", text::line(state), text::line(kind));
    }
    for said in &tried.said {
        let _ = writeln!(out, "             {}", one_line(said));
    }
}

fn push_trouble(out: &mut String, trouble: Option<&str>) {
    for line in trouble.unwrap_or("").lines() {
        let _ = writeln!(out, "             ! {}", text::line(line));
    }
}
