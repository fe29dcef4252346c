//! Playing a script on a stage: virtual time, or real sockets.
//!
//! The next message to a party must be the expected one; retransmissions (byte for byte what came before) are passed over
//! where nothing says `again`. A step that a stage cannot do ends the scenario there, and the steps left are counted.

use super::expect::differs;
use super::parse::{Action, Script, Transport, Way};
use super::pattern::{Values, fill};
use super::zone::Zone;
use crate::authorize::{Request, authorize};
use bytes::Bytes;
use lampyris_sip::{Message, Method, Name, ResponseWriter, StatusCode};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// How long an expected message may take; more than the 2 s between two retransmissions (RFC 3261 §17.1.2.2), exactly which
/// is too little over real sockets.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Where a script is played.
pub trait Stage {
    /// A party's address, as the server sees it.
    fn address(&mut self, party: &str) -> SocketAddr;
    /// Where the server listens for a transport.
    fn server(&self, transport: Transport) -> SocketAddr;
    /// A party sends one message.
    fn send(&mut self, party: &str, bytes: Bytes);
    /// The next message to a party, for so long.
    fn receive(&mut self, party: &str, wait: Duration) -> Option<Bytes>;
    /// Time passes.
    fn pass(&mut self, time: Duration);
    /// The longest time that can pass here, `None` for any.
    fn longest_pass(&self) -> Option<Duration>;
    /// An administrator types this.
    ///
    /// # Errors
    /// It was refused.
    fn admin(&mut self, words: &str) -> Result<(), String>;
    /// The server is killed and started again on its store.
    fn crash_and_restart(&mut self);
    /// The wall clock is set, and no time passes; `false` where that cannot be done.
    fn set_clock(&mut self, by: Duration, way: Way) -> bool;
    /// A party's stream closes.
    fn close(&mut self, party: &str);
    /// The configuration changes, and is read again.
    ///
    /// # Errors
    /// It was refused.
    fn reload(&mut self, toml: &str) -> Result<(), String>;
    /// The next commit of the store fails; `false` where that cannot be done.
    fn fail_store(&mut self) -> bool;
    /// What DNS has changes; `false` where that cannot be done.
    fn set_dns(&mut self, zone: &Zone) -> bool;
    /// How many of these the server holds, as `status` says.
    fn count(&mut self, what: &str) -> Option<usize>;
}

/// How a scenario went, when nothing was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Steps that this stage could not do.
    pub skipped: usize,
}

#[derive(Default)]
struct Seen {
    last_sent: Option<Bytes>,
    last_received: Option<Bytes>,
    /// Requests that came, oldest first.
    requests: Vec<Message>,
    challenge: Option<Message>,
    received: Vec<Bytes>,
}

struct Player<'s> {
    script: &'s Script,
    stage: &'s mut dyn Stage,
    values: Values,
    seen: BTreeMap<String, Seen>,
    branches: u32,
}

/// Plays a script.
///
/// # Errors
/// What went otherwise than written, with its line.
pub fn run(script: &Script, stage: &mut dyn Stage) -> Result<Outcome, String> {
    let mut player = Player { script, stage, values: Values::new(), seen: BTreeMap::new(), branches: 0 };
    for (at, step) in script.steps.iter().enumerate() {
        player.addresses();
        match player.step(&step.action) {
            Ok(true) => {}
            Ok(false) => return Ok(Outcome { skipped: script.steps.len() - at }),
            Err(why) => return Err(format!("line {}: {why}", step.line)),
        }
    }
    Ok(Outcome { skipped: 0 })
}

impl Player<'_> {
    fn addresses(&mut self) {
        let mut named: Vec<_> = self
            .script
            .parties
            .iter()
            .map(|party| party.name.clone())
            .map(|name| {
                let address = self.stage.address(&name);
                (name, address)
            })
            .collect();
        named.push(("lampyris".to_owned(), self.stage.server(Transport::Udp)));
        named.push(("lampyris.tcp".to_owned(), self.stage.server(Transport::Tcp)));
        for (name, address) in named {
            self.values.insert(format!("{name}.ip"), address.ip().to_string());
            self.values.insert(format!("{name}.port"), address.port().to_string());
            self.values.insert(name, address.to_string());
        }
    }

    fn step(&mut self, action: &Action) -> Result<bool, String> {
        match action {
            Action::Send(name, template) => {
                let bytes = self.composed(name, template)?;
                self.send(name, bytes);
            }
            Action::SendAgain(name) => {
                let bytes = self.seen(name).last_sent.clone().ok_or("nothing was sent yet")?;
                self.stage.send(name, bytes);
            }
            Action::Answer { name, method, status, more } => {
                let more = fill(more, &self.values)?;
                let requests = &self.seen(name).requests;
                let wanted = |request: &&Message| {
                    let own = request.method().map(|own| own.as_str().to_owned());
                    method.is_none() || *method == own
                };
                let request =
                    requests.iter().rev().find(wanted).cloned().ok_or("no such request came yet")?;
                let mut writer = ResponseWriter::reply_to(&request, StatusCode(*status), None, Some(name));
                // RFC 3261 §12.1.1: what makes a dialog goes back with its route.
                if *status > 100 && *status < 300 {
                    writer.copy_headers(&request, Name::RecordRoute);
                }
                let (head, body) = more.split_once("\n\n").unwrap_or((&more, ""));
                if !body.is_empty() {
                    writer.body("", body.replace('\n', "\r\n").as_bytes());
                }
                for line in head.lines() {
                    let (header, value) =
                        line.split_once(':').ok_or_else(|| format!("not a header: {line}"))?;
                    writer.header_str(header.trim(), value.trim());
                }
                self.stage.send(name, writer.finish());
            }
            Action::Expect(name, pattern, within) => {
                if within
                    .is_some_and(|within| self.stage.longest_pass().is_some_and(|longest| within > longest))
                {
                    return Ok(false);
                }
                self.expect(name, pattern, within.unwrap_or(PATIENCE))?;
            }
            Action::ExpectAgain(name) => {
                let last = self.seen(name).last_received.clone().ok_or("nothing came yet")?;
                let again = self.stage.receive(name, PATIENCE).ok_or("nothing came")?;
                if again != last {
                    return Err(format!(
                        "the same again expected, came:\n{}",
                        String::from_utf8_lossy(&again)
                    ));
                }
            }
            Action::Silence(name, time) => {
                if self.stage.longest_pass().is_some_and(|longest| *time > longest) {
                    return Ok(false);
                }
                if let Some(bytes) = self.next(name, *time) {
                    return Err(format!("nothing expected, came:\n{}", String::from_utf8_lossy(&bytes)));
                }
            }
            Action::After(time) => {
                if self.stage.longest_pass().is_some_and(|longest| *time > longest) {
                    return Ok(false);
                }
                self.stage.pass(*time);
            }
            Action::Admin(words) => self.stage.admin(words)?,
            Action::Crash => self.stage.crash_and_restart(),
            Action::Clock(by, way) => return Ok(self.stage.set_clock(*by, *way)),
            Action::Close(name) => self.stage.close(name),
            Action::Reload(toml) => self.stage.reload(toml)?,
            Action::StoreFails => return Ok(self.stage.fail_store()),
            Action::Dns(zone) => return Ok(self.stage.set_dns(zone)),
            Action::Holds(count, what) => {
                let held = self.stage.count(what).ok_or_else(|| format!("`{what}` cannot be counted"))?;
                if held != *count {
                    return Err(format!("{count} {what} expected, there are {held}"));
                }
            }
        }
        Ok(true)
    }

    fn seen(&mut self, party: &str) -> &mut Seen {
        self.seen.entry(party.to_owned()).or_default()
    }

    fn send(&mut self, party: &str, bytes: Bytes) {
        self.seen(party).last_sent = Some(bytes.clone());
        self.stage.send(party, bytes);
    }

    /// The next message that did not come before.
    fn next(&mut self, party: &str, wait: Duration) -> Option<Bytes> {
        loop {
            let bytes = self.stage.receive(party, wait)?;
            if !self.seen(party).received.contains(&bytes) {
                return Some(bytes);
            }
        }
    }

    fn expect(&mut self, party: &str, pattern: &str, within: Duration) -> Result<(), String> {
        let bytes = self.next(party, within).ok_or_else(|| {
            format!("nothing came; expected:\n{}", pattern.lines().next().unwrap_or_default())
        })?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let message = Message::parse(bytes.clone())
            .map_err(|error| format!("not SIP ({}):\n{text}", error.reason()))?;
        if let Some(difference) = differs(&message, pattern, &mut self.values)? {
            return Err(format!("{difference}\n--- came ---\n{text}"));
        }
        let seen = self.seen(party);
        seen.received.push(bytes.clone());
        seen.last_received = Some(bytes);
        if message.has(Name::WwwAuthenticate) || message.has(Name::ProxyAuthenticate) {
            seen.challenge = Some(message);
        } else if message.is_request() {
            seen.requests.push(message);
        }
        Ok(())
    }

    /// The bytes of a template.
    fn composed(&mut self, party: &str, template: &str) -> Result<Bytes, String> {
        let described = self.script.parties.iter().find(|known| known.name == party).ok_or("nobody")?;
        self.branches += 1;
        self.values.insert("branch".to_owned(), format!("z9hG4bK-{party}-{}", self.branches));
        let text = fill(&template.replace("{branch}", "${branch}"), &self.values)?;
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let body = filled_to(body.replace('\n', "\r\n"))?;
        let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
        let has = |lines: &[String], name: &str| {
            lines.iter().skip(1).any(|line| {
                line.trim_start_matches('!').split(':').next().is_some_and(|found| {
                    found.trim().eq_ignore_ascii_case(name)
                        || Name::find(found.trim().as_bytes())
                            .is_some_and(|found| Name::find(name.as_bytes()) == Some(found))
                })
            })
        };
        if !has(&lines, "Via") {
            let transport = if described.transport == Transport::Udp { "UDP" } else { "TCP" };
            let (address, branch) = (&self.values[party], &self.values["branch"]);
            lines.insert(1, format!("Via: SIP/2.0/{transport} {address};branch={branch};rport"));
        }
        let is_request = !lines[0].starts_with("SIP/2.0 ");
        if is_request && !has(&lines, "Max-Forwards") {
            lines.insert(2, "Max-Forwards: 70".to_owned());
        }
        if !has(&lines, "Content-Length") {
            lines.push(format!("Content-Length: {}", body.len()));
        }
        lines.retain(|line| !line.starts_with('!'));
        for at in 1..lines.len() {
            let Some(start) = lines[at].find("{authorize") else { continue };
            let words =
                lines[at][start + "{authorize".len()..].split('}').next().unwrap_or_default().to_owned();
            let challenged = self.seen.get(party).and_then(|seen| seen.challenge.as_ref());
            let challenged = challenged.ok_or("no challenge came yet")?;
            let mut start_line = lines[0].split(' ');
            let method = Method::parse(start_line.next().unwrap_or_default());
            let request = Request {
                user: party,
                password: described.password.as_deref().unwrap_or_default(),
                method: method.as_str(),
                uri: start_line.next().unwrap_or_default(),
                body: body.as_bytes(),
            };
            let value = authorize(challenged, &words, &request)?;
            lines[at] = format!("{}{value}", &lines[at][..start]);
        }
        Ok(format!("{}\r\n\r\n{body}", lines.join("\r\n")).into())
    }
}

/// A body in which `{to N}` stands for as many letters as make it N bytes long.
fn filled_to(body: String) -> Result<String, String> {
    let Some((before, rest)) = body.split_once("{to ") else { return Ok(body) };
    let (size, after) = rest.split_once('}').ok_or("{to is not closed")?;
    let size: usize = size.parse().map_err(|_| format!("{{to {size}}} names no size"))?;
    let letters =
        size.checked_sub(before.len() + after.len()).ok_or("the body is longer than it is to be")?;
    Ok(format!("{before}{}{after}", "x".repeat(letters)))
}
