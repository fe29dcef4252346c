//! `sip debug on`: the SIP messages of the running server, live, until Ctrl-C or `sip debug off`.
//!
//! The phrases that lead here are in the table of `asterisk`. A message is whatever its sender wrote: it is shown
//! without control characters, and in the plain form indented, so that it cannot look like the line above it.

use super::asterisk;
use super::client::{Client, touched, unexpected};
use super::failure::Failure;
use super::{Context, text};
use crate::admin::protocol::{Direction, Request, Response, SipDebug, SipMessage};

/// How messages are framed for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A line with time, direction and address; the message indented.
    Native,
    /// As Asterisk prints them.
    Asterisk,
}

/// Which messages are wanted; all of them where nothing is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Filter {
    /// With `debug on`: only messages from or to this peer (a name or an address)
    #[arg(long, value_name = "PEER")]
    pub(crate) peer: Option<String>,
    /// With `debug on`: only messages of this method, and their answers
    #[arg(long, value_name = "METHOD")]
    pub(crate) method: Option<String>,
}

impl Filter {
    fn request(&self) -> Request {
        Request::SipDebug(SipDebug {
            on: true,
            peer: self.peer.clone(),
            method: self.method.clone(),
            ..SipDebug::default()
        })
    }
}

/// Prints messages until the server or the reader goes.
pub(crate) fn debug_on(context: &mut Context<'_>, filter: &Filter, framing: Framing) -> Result<(), Failure> {
    let mut client = Client::connect(&context.data)?;
    let text = client.done(&filter.request())?;
    client.wait_for_ever()?;
    if !context.json {
        context.print(&text::lines(&text))?;
        context.print(&match (framing, &filter.peer) {
            (Framing::Native, _) => "SIP messages from now on; Ctrl-C ends\n".to_owned(),
            (Framing::Asterisk, None) => "SIP Debugging enabled\n".to_owned(),
            (Framing::Asterisk, Some(peer)) => {
                format!("SIP Debugging Enabled for IP: {}\n", text::line(peer))
            }
        })?;
    }
    loop {
        let message = match client.next()? {
            Response::Message(message) => message,
            Response::Event(_) => continue,
            Response::Done { .. } if context.json => return Ok(()),
            Response::Done { .. } => {
                return context.print(match framing {
                    Framing::Native => "switched off by `sip debug off`\n",
                    Framing::Asterisk => "SIP Debugging Disabled\n",
                });
            }
            other => return Err(unexpected(&other)),
        };
        let shown = match (context.json, framing) {
            (true, _) => match serde_json::to_value(&message) {
                Ok(value) => format!("{}\n", text::json_line(&value)),
                Err(error) => return Err(Failure::Refused(error.to_string())),
            },
            (false, Framing::Native) => left_out(&message) + &native(&message),
            (false, Framing::Asterisk) => left_out(&message) + &asterisk::frame(&message),
        };
        context.print(&shown)?;
    }
}

/// Ends every `sip debug on` of the server, in whichever terminal it runs.
pub(crate) fn debug_off(context: &mut Context<'_>, framing: Framing) -> Result<(), Failure> {
    let ended = match Client::connect(&context.data)?.request(&Request::SipDebug(SipDebug::default()))? {
        Response::Reply(answer) => touched(&answer)?,
        other => return Err(unexpected(&other)),
    };
    if context.json {
        return context.print_json(&serde_json::json!({ "done": true, "count": ended }));
    }
    context.print(&match (framing, ended) {
        (Framing::Asterisk, _) => "SIP Debugging Disabled\n".to_owned(),
        (Framing::Native, 0) => "no `sip debug on` was running\n".to_owned(),
        (Framing::Native, 1) => "1 `sip debug on` ended\n".to_owned(),
        (Framing::Native, count) => format!("{count} `sip debug on` ended\n"),
    })
}

fn left_out(message: &SipMessage) -> String {
    match message.dropped {
        0 => String::new(),
        1 => "(1 message left out: this terminal is too slow)\n".to_owned(),
        count => format!("({count} messages left out: this terminal is too slow)\n"),
    }
}

fn native(message: &SipMessage) -> String {
    let direction = match message.direction {
        Direction::Received => "received from",
        Direction::Sent => "sent to",
    };
    let mut out = format!(
        "{} {direction} {} {}, {} bytes\n",
        time_of_day(message.at_ms),
        message.transport.via(),
        message.remote,
        message.text.len()
    );
    for line in text::lines(&message.text).lines() {
        let line = format!("    {line}");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.push('\n');
    out
}

/// Time of day in UTC, as in `09:51:02.123Z`.
fn time_of_day(at_ms: u64) -> String {
    let ms = at_ms % 86_400_000;
    format!("{:02}:{:02}:{:02}.{:03}Z", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::{Fake, context};
    use super::*;
    use lampyris_core::flow::Transport;

    fn message() -> SipMessage {
        SipMessage {
            direction: Direction::Received,
            transport: Transport::Udp,
            remote: "10.0.0.7:5060".parse().expect("an address"),
            at_ms: 1_000 * 86_400_000 + 35_462_123,
            text: "OPTIONS sip:x SIP/2.0\r\nSubject: \u{1b}[2J\r\n\r\nbody\r\n".to_owned(),
            dropped: 0,
        }
    }

    #[test]
    fn the_native_form_is_indented_and_clean() {
        assert_eq!(
            native(&message()),
            "09:51:02.123Z received from UDP 10.0.0.7:5060, 46 bytes\n    \
             OPTIONS sip:x SIP/2.0\n    Subject: \\u{1b}[2J\n\n    body\n\n"
        );
        let sent = SipMessage { direction: Direction::Sent, ..message() };
        assert!(native(&sent).contains(" sent to UDP 10.0.0.7:5060"));
    }

    #[test]
    fn what_was_left_out_is_said() {
        for (dropped, expected) in [(0, ""), (1, "(1 message left"), (7, "(7 messages left")] {
            let text = left_out(&SipMessage { dropped, ..message() });
            assert!(text.starts_with(expected) && text.is_empty() == expected.is_empty(), "{text}");
        }
    }

    /// What `debug_on` prints for one message, and what it asked.
    fn streamed(name: &str, json: bool, filter: &Filter, framing: Framing) -> (String, Vec<String>) {
        let item = serde_json::to_string(&Response::<()>::Message(message())).expect("JSON");
        let fake = Fake::answering(name, &[&format!("{{\"done\":{{\"text\":\"\"}}}}\n{item}")]);
        let mut out = Vec::new();
        let mut context = context(&fake.data, json, &mut out);
        let failure = debug_on(&mut context, filter, framing).expect_err("the server is gone");
        assert_eq!(failure.exit_code(), 3, "{failure}");
        (String::from_utf8(out).expect("UTF-8"), fake.asked())
    }

    #[test]
    fn a_stream_that_was_switched_off_ends_well() {
        let rows = [
            (
                false,
                Framing::Native,
                "SIP messages from now on; Ctrl-C ends\nswitched off by `sip debug off`\n",
            ),
            (false, Framing::Asterisk, "SIP Debugging enabled\nSIP Debugging Disabled\n"),
            (true, Framing::Native, ""),
        ];
        for (number, (json, framing, expected)) in rows.into_iter().enumerate() {
            let on = r#"{"done":{"text":""}}"#;
            let off = r#"{"done":{"text":"switched off"}}"#;
            let fake = Fake::answering(&format!("off-{number}"), &[&format!("{on}\n{off}")]);
            let mut out = Vec::new();
            let mut context = context(&fake.data, json, &mut out);
            debug_on(&mut context, &Filter::default(), framing).expect("ended");
            assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
        }
    }

    #[test]
    fn messages_are_streamed_in_the_wanted_form() {
        let all = Filter::default();
        let (text, asked) = streamed("native", false, &all, Framing::Native);
        assert_eq!(text, format!("SIP messages from now on; Ctrl-C ends\n{}", native(&message())));
        assert_eq!(asked, [r#"{"sip_debug":{"on":true}}"#]);

        let alice = Filter { peer: Some("Alice".to_owned()), method: Some("NOTIFY".to_owned()) };
        let (text, asked) = streamed("asterisk", false, &alice, Framing::Asterisk);
        assert_eq!(text, format!("SIP Debugging Enabled for IP: Alice\n{}", asterisk::frame(&message())));
        assert_eq!(asked, [r#"{"sip_debug":{"on":true,"peer":"Alice","method":"NOTIFY"}}"#]);

        let (text, _) = streamed("json", true, &all, Framing::Native);
        let value: SipMessage = serde_json::from_str(&text).expect("one JSON object");
        assert_eq!(value, message());
        assert_eq!(text.lines().count(), 1);
    }
}
