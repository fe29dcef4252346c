//! `lampyris trace`: the SIP messages of the running server as a ladder, live; as lines where there is no terminal; and on
//! their way to a capture file or to HOMER.
//!
//! Messages come over the admin socket, as for `sip debug`, and lose their credentials before anything is shown, written or
//! sent. The capture file and the collector get what the options ask for, whatever is looked at meanwhile.

mod hep;
mod ladder;
mod message;
mod packet;
mod pcap;

use super::client::{Client, unexpected};
use super::failure::Failure;
use super::screen::paint::Paint;
use super::screen::{self, Feed};
use super::{Context, Verb, text};
use crate::admin::protocol::{Request, Response, SipDebug};
use clap::{Args, FromArgMatches};
use ladder::Ladder;
use message::{Seen, time_of_day};
use packet::Own;
use pcap::Pcap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "trace",
    about: "Watch SIP messages as a ladder, live; write them to a capture file or send them to HOMER",
    examples: &[
        ("trace", "`?` shows the keys, Enter a message, `c` only its Call-ID, `q` leaves"),
        (
            "trace --extension 6001 --method NOTIFY",
            "only what names 6001, and only NOTIFYs with their answers",
        ),
        ("trace --peer 192.0.2.7 --pcap phone.pcap", "and a file for Wireshark or sngrep"),
        ("trace --hep homer.example.com", "and a copy to HOMER by HEP3, to port 9060"),
        ("trace --pcap -", "a capture on standard output, as in `| wireshark -k -i -`"),
    ],
    args: TraceArgs::augment_args,
    run: |matches, context| run(&TraceArgs::from_arg_matches(matches)?, context),
};

/// How long until a lost server is looked for again.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Default, clap::Args)]
struct TraceArgs {
    /// Only messages whose Call-ID begins with this
    #[arg(long, value_name = "ID")]
    call_id: Option<String>,
    /// Only messages from or to this peer (a name or an address)
    #[arg(long, value_name = "PEER")]
    peer: Option<String>,
    /// Only messages of this method, and their answers
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Only messages that name this extension
    #[arg(long, value_name = "EXTEN")]
    extension: Option<String>,
    /// Write them to a capture file too; `-` writes it to standard output and nothing else
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Send them to this collector too, by HEP3 over UDP
    #[arg(long, value_name = "HOST[:PORT]")]
    hep: Option<String>,
    /// The number by which the collector knows this server
    #[arg(long, value_name = "N", default_value_t = hep::AGENT)]
    hep_agent: u32,
    /// A line per message, on a terminal too
    #[arg(long)]
    lines: bool,
    /// Draw with ASCII alone
    #[arg(long)]
    ascii: bool,
}

impl TraceArgs {
    fn request(&self) -> Request {
        Request::SipDebug(SipDebug {
            on: true,
            peer: self.peer.clone(),
            method: self.method.clone(),
            call_id: self.call_id.clone(),
            extension: self.extension.clone(),
        })
    }
}

/// What the thread tells the ladder.
#[derive(Debug)]
enum News {
    Message(Box<Seen>),
    /// Where messages go to beside the screen, and how many went.
    Copies(String),
    Live,
    /// The server is gone, and what the system said.
    Lost(String),
    /// Somebody switched it off, or a copy cannot be written: nothing follows.
    Over(String),
}

/// Where messages go to beside the screen.
struct Copies {
    own: Own,
    pcap: Option<(String, Pcap<File>)>,
    hep: Option<(String, hep::Exporter)>,
}

impl Copies {
    fn open(args: &TraceArgs, own: Own) -> Result<Self, Failure> {
        let pcap = match &args.pcap {
            Some(path) if !is_stdout(args) => {
                // The name is enough on a screen.
                let name = path.file_name().map_or_else(|| shown(path), |name| shown(Path::new(name)));
                Some((name, create(path)?))
            }
            _ => None,
        };
        let hep = match &args.hep {
            Some(to) => {
                let exporter = hep::Exporter::to(to, args.hep_agent).map_err(Failure::Refused)?;
                Some((text::line(to), exporter))
            }
            None => None,
        };
        Ok(Self { own, pcap, hep })
    }

    fn take(&mut self, seen: &Seen) -> Result<(), Failure> {
        if self.pcap.is_none() && self.hep.is_none() {
            return Ok(());
        }
        let packet = self.own.packet(&seen.message, &seen.call_id);
        if let Some((path, pcap)) = &mut self.pcap {
            pcap.write(&packet).map_err(|error| unwritable(path, &error))?;
        }
        if let Some((_, exporter)) = &mut self.hep {
            exporter.send(&packet);
        }
        Ok(())
    }

    /// How many went where, in a few words; empty where nothing goes anywhere.
    fn count(&self) -> String {
        let pcap = self.pcap.as_ref().map(|(path, pcap)| format!("{path}: {}", pcap.packets));
        let hep = self.hep.as_ref().map(|(to, exporter)| match exporter.failed {
            0 => format!("hep {to}: {}", exporter.sent),
            failed => format!("hep {to}: {}, {failed} failed", exporter.sent),
        });
        pcap.into_iter().chain(hep).collect::<Vec<_>>().join("  ")
    }
}

fn is_stdout(args: &TraceArgs) -> bool {
    args.pcap.as_deref() == Some(Path::new("-"))
}

fn shown(path: &Path) -> String {
    text::line(&path.display().to_string())
}

fn unwritable(path: &str, error: &std::io::Error) -> Failure {
    Failure::Refused(format!("the capture file {path} cannot be written: {error}"))
}

/// Begins a capture file. Others must not read what phones say to each other.
fn create(path: &Path) -> Result<Pcap<File>, Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(Pcap::begin).map_err(|error| unwritable(&shown(path), &error))
}

fn own(client: &mut Client) -> Result<Own, Failure> {
    match client.request(&Request::Server)? {
        Response::Server(server) => Ok(Own::of(&server.listeners)),
        other => Err(unexpected(&other)),
    }
}

fn run(args: &TraceArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut client = Client::connect(&context.data)?;
    let own = own(&mut client)?;
    let mut copies = Copies::open(args, own)?;
    if context.json || args.lines || is_stdout(args) || !screen::is_possible() {
        return lines(args, context, &mut client, &mut copies);
    }
    let mut ladder = Ladder::new(Paint::of_environment(args.ascii), copies.count());
    let (data, request) = (context.data.clone(), args.request());
    screen::show(&mut ladder, move |feed| {
        feed.spawn(move |feed| follow(&data, &request, &mut copies, &feed));
    })
}

/// A line per message, until the server or the reader goes.
fn lines(
    args: &TraceArgs,
    context: &mut Context<'_>,
    client: &mut Client,
    copies: &mut Copies,
) -> Result<(), Failure> {
    client.done(&args.request())?;
    client.wait_for_ever()?;
    if is_stdout(args) {
        let mut pcap = Pcap::begin(&mut *context.out)?;
        while let Some(seen) = next(client)? {
            copies.take(&seen)?;
            pcap.write(&copies.own.packet(&seen.message, &seen.call_id))?;
        }
        return Ok(());
    }
    let paint = Paint::of_environment(args.ascii);
    while let Some(seen) = next(client)? {
        copies.take(&seen)?;
        let line = if context.json {
            let value = serde_json::to_value(&seen.message);
            text::json_line(&value.map_err(|error| Failure::Refused(error.to_string()))?)
        } else {
            line(&seen, paint)
        };
        context.print(&format!("{line}\n"))?;
    }
    Ok(())
}

/// `09:51:02.123Z 192.0.2.7:5060 → SUBSCRIBE 6001 dialog  UDP abc@x`
fn line(seen: &Seen, paint: Paint) -> String {
    let arrow = if seen.is_received() { paint.pick("→", "->") } else { paint.pick("←", "<-") };
    let left_out = match seen.message.dropped {
        0 => String::new(),
        count => format!("({count} messages left out: this reader is too slow)\n"),
    };
    let remote = seen.message.remote.to_string();
    format!(
        "{left_out}{}Z {remote:<21} {arrow} {:<40} {} {}",
        time_of_day(seen.message.at_ms),
        paint.clean(&seen.label()),
        seen.message.transport.via(),
        paint.clean(&seen.call_id),
    )
}

/// The next message; `None` where `sip debug off` ended the stream.
fn next(client: &mut Client) -> Result<Option<Seen>, Failure> {
    loop {
        match client.next()? {
            Response::Message(message) => return Ok(Some(Seen::of(message))),
            Response::Done { .. } => return Ok(None),
            Response::Event(_) => {}
            other => return Err(unexpected(&other)),
        }
    }
}

/// Passes messages on for as long as somebody looks.
fn follow(data: &Path, request: &Request, copies: &mut Copies, feed: &Feed<News>) {
    loop {
        let news = match listen(data, request, copies, feed) {
            Ok(None) => return,
            Ok(Some(over)) => News::Over(over),
            Err(failure) => News::Lost(failure.to_string()),
        };
        let is_over = matches!(news, News::Over(_));
        if !feed.send(news) || is_over {
            return;
        }
        std::thread::sleep(AGAIN);
    }
}

/// Passes the messages of one connection on; says why nothing follows, or ends well when nobody looks any more.
fn listen(
    data: &Path,
    request: &Request,
    copies: &mut Copies,
    feed: &Feed<News>,
) -> Result<Option<String>, Failure> {
    let mut client = Client::connect(data)?;
    copies.own = own(&mut client)?;
    client.done(request)?;
    client.wait_for_ever()?;
    if !feed.send(News::Live) {
        return Ok(None);
    }
    loop {
        let Some(seen) = next(&mut client)? else {
            return Ok(Some("switched off by `sip debug off`".to_owned()));
        };
        if let Err(failure) = copies.take(&seen) {
            return Ok(Some(failure.to_string()));
        }
        let count = copies.count();
        let goes_on = count.is_empty() || feed.send(News::Copies(count));
        if !goes_on || !feed.send(News::Message(Box::new(seen))) {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::{Fake, context};
    use super::message::tests::seen;
    use super::*;
    use crate::admin::protocol::Direction;

    const SERVER: &str = r#"{"server":{"version":"1","pid":1,"listeners":["udp:192.0.2.1:5060"],"durability":"power",
        "started_ms":0,"counters":{"udp_received":0,"udp_sent":0,"udp_send_failed":0,"udp_keepalives":0,"streams_opened":0,
        "streams_open":0,"streams_send_failed":0,"held_dropped":0,"held":0,"records_stored":0,"records_failed":0,
        "commits":0,"debug_dropped":0}}}"#;

    /// What `trace` prints for one message.
    fn printed(name: &str, args: &TraceArgs, json: bool) -> (Vec<u8>, Vec<String>) {
        let text = "REGISTER sip:x SIP/2.0\nCall-ID: c@x\nCSeq: 1 REGISTER\nAuthorization: Digest response=\"abc\"\n\n";
        let item = serde_json::to_string(&Response::<()>::Message(
            seen(Direction::Received, "192.0.2.9:5060", text).message,
        ));
        let item = item.expect("JSON").replace("***", "abc");
        let off = r#"{"done":{"text":"switched off"}}"#;
        let server = SERVER.split_whitespace().collect::<String>();
        let fake =
            Fake::answering(name, &[&server, &format!("{{\"done\":{{\"text\":\"\"}}}}\n{item}\n{off}")]);
        let mut out = Vec::new();
        let mut context = context(&fake.data, json, &mut out);
        run(args, &mut context).expect("switched off");
        (out, fake.asked())
    }

    #[test]
    fn without_a_terminal_a_message_is_a_line() {
        let args = TraceArgs { ascii: true, lines: true, call_id: Some("c".into()), ..TraceArgs::default() };
        let (out, asked) = printed("trace-line", &args, false);
        let line =
            "00:00:01.500Z 192.0.2.9:5060        -> REGISTER x                               UDP c@x\n";
        assert_eq!(String::from_utf8(out).expect("UTF-8"), line);
        assert_eq!(asked, [r#""server""#, r#"{"sip_debug":{"on":true,"call_id":"c"}}"#]);
    }

    #[test]
    fn programs_get_json_without_credentials() {
        let (out, _) = printed("trace-json", &TraceArgs::default(), true);
        let text = String::from_utf8(out).expect("UTF-8");
        let value: serde_json::Value = serde_json::from_str(&text).expect("one JSON object");
        assert!(value["text"].as_str().is_some_and(|text| text.contains("response=\"***\"")), "{text}");
    }

    #[test]
    fn a_capture_may_go_to_standard_output_and_to_a_file() {
        let args = TraceArgs { pcap: Some("-".into()), ..TraceArgs::default() };
        let (out, _) = printed("trace-stdout", &args, false);
        assert_eq!(out[..4], [0xa1, 0xb2, 0xc3, 0xd4]);
        assert!(!String::from_utf8_lossy(&out).contains("\"abc\""));
        let path = std::env::temp_dir().join(format!("lampyris-trace-{}.pcap", std::process::id()));
        let args = TraceArgs { pcap: Some(path.clone()), lines: true, ..TraceArgs::default() };
        printed("trace-file", &args, false);
        let file = std::fs::read(&path).expect("a file");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(file, out);
    }
}
