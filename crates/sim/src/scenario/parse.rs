//! Reading a scenario: text to steps, with the line of each for messages.

use super::zone::Zone;
use std::net::SocketAddr;
use std::time::Duration;

/// A whole scenario.
#[derive(Clone, Debug)]
pub struct Script {
    /// The clause, as the first line cites it.
    pub clause: String,
    /// The configuration.
    pub settings: Setup,
    /// Who takes part.
    pub parties: Vec<Party>,
    /// Where the server listens in virtual time.
    pub server: SocketAddr,
    /// What happens.
    pub steps: Vec<Step>,
}

/// A configuration: a file or directory beside the scenarios, and TOML over it.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Relative to `scenarios/settings`.
    pub base: Option<String>,
    /// Typed in the scenario.
    pub toml: String,
}

/// Somebody who takes part.
#[derive(Clone, Debug)]
pub struct Party {
    /// As in `Alice`.
    pub name: String,
    /// What it speaks.
    pub transport: Transport,
    /// Its address in virtual time; over real sockets it gets another one.
    pub address: SocketAddr,
    /// For digest.
    pub password: Option<String>,
}

/// Which way the wall clock is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Into the future.
    Ahead,
    /// Into the past.
    Back,
}

/// What a party speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream, opened by the first message.
    Tcp,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its line in the file, from 1.
    pub line: usize,
    /// What happens.
    pub action: Action,
}

/// What happens in a step.
#[derive(Clone, Debug)]
pub enum Action {
    /// A party sends this template.
    Send(String, String),
    /// A party sends its last message once more, byte for byte.
    SendAgain(String),
    /// A party answers the last request it got, or the last of a method, with more headers and a body.
    Answer {
        /// Who.
        name: String,
        /// Which request: a method, or none for the last that came.
        method: Option<String>,
        /// The status.
        status: u16,
        /// Header lines; behind an empty line a body.
        more: String,
    },
    /// The server sends a party what matches this pattern, next, within this time where one is given.
    Expect(String, String, Option<Duration>),
    /// The server sends a party its last message once more, byte for byte.
    ExpectAgain(String),
    /// The server sends a party nothing for so long.
    Silence(String, Duration),
    /// Time passes.
    After(Duration),
    /// An administrator types this.
    Admin(String),
    /// kill -9, and a start on the same store.
    Crash,
    /// The wall clock is set: so far ahead, or back.
    Clock(Duration, Way),
    /// A party's stream closes.
    Close(String),
    /// The configuration is read again, with this TOML over its base.
    Reload(String),
    /// The store fails the next commit.
    StoreFails,
    /// From now on DNS has these records and no others.
    Dns(Zone),
    /// The server holds so many of these (`subscriptions`, `publications`, `bindings`).
    Holds(usize, String),
}

/// Reads a scenario.
///
/// # Errors
/// What is wrong, with its line.
pub fn parse(text: &str) -> Result<Script, String> {
    let lines: Vec<&str> = text.lines().collect();
    let clause = lines.first().and_then(|line| line.strip_prefix("# ")).unwrap_or("");
    if !clause.starts_with("RFC ") && !clause.starts_with("Interop: ") && !clause.starts_with("Ours: ") {
        return Err("line 1: the first line cites the clause, as in `# RFC 6665 §4.2.1.1: ...`".to_owned());
    }
    let mut script = Script {
        clause: clause.to_owned(),
        settings: Setup::default(),
        parties: Vec::new(),
        server: SocketAddr::from(([192, 0, 2, 100], 5060)),
        steps: Vec::new(),
    };
    let mut at = 1;
    while at < lines.len() {
        let (line, number) = (lines[at], at + 1);
        at += 1;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let start = at;
        while lines.get(at).is_some_and(|line| line.is_empty() || line.starts_with("    ")) {
            at += 1;
        }
        let block = block(&lines[start..at]);
        let error = |why: &str| format!("line {number}: {why}: {line}");
        if let Some(base) = line.strip_prefix("settings:") {
            let base = base.trim();
            script.settings = Setup { base: (!base.is_empty()).then(|| base.to_owned()), toml: block };
        } else if let Some(address) = line.strip_prefix("lampyris is ") {
            script.server = address.trim().parse().map_err(|_| error("not an address"))?;
        } else if let Some((name, rest)) = line.split_once(" is ").filter(|_| line != "DNS is down") {
            script.parties.push(party(name, rest).ok_or_else(|| error("not a party"))?);
        } else {
            let action = action(line, block).ok_or_else(|| error("not a step"))?;
            let known = |name: &String| script.parties.iter().any(|party| party.name == *name);
            if let Some(name) = action.party().filter(|name| !known(name)) {
                return Err(error(&format!("nobody is called {name}")));
            }
            script.steps.push(Step { line: number, action });
        }
    }
    Ok(script)
}

/// Indented lines, without indentation and without empty lines at the end.
fn block(lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| line.get(4..).unwrap_or("").trim_end()).collect();
    lines.join("\n").trim_end().to_owned()
}

fn party(name: &str, rest: &str) -> Option<Party> {
    let mut parts = rest.split(", ");
    let (transport, address) = parts.next()?.split_once(' ')?;
    let transport = match transport {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        _ => return None,
    };
    let password = parts.next().and_then(|part| part.strip_prefix("password ")).map(str::to_owned);
    Some(Party { name: name.to_owned(), transport, address: address.parse().ok()?, password })
}

fn action(line: &str, block: String) -> Option<Action> {
    let own = str::to_owned;
    match line {
        "lampyris crashes and restarts" => return Some(Action::Crash),
        "the store fails" => return Some(Action::StoreFails),
        "reload:" => return Some(Action::Reload(block)),
        "DNS has:" => return Zone::parse(&block).map(Action::Dns),
        "DNS is down" => return Some(Action::Dns(Zone::down())),
        _ => {}
    }
    if let Some(words) = line.strip_prefix("admin: ") {
        return Some(Action::Admin(words.trim().to_owned()));
    }
    if let Some(rest) = line.strip_prefix("after ") {
        return duration(rest.trim_end_matches(':')).map(Action::After);
    }
    if let Some(rest) = line.strip_prefix("the clock jumps ahead ") {
        return duration(rest).map(|by| Action::Clock(by, Way::Ahead));
    }
    if let Some(rest) = line.strip_prefix("the clock jumps back ") {
        return duration(rest).map(|by| Action::Clock(by, Way::Back));
    }
    if let Some(rest) = line.strip_prefix("lampyris holds ") {
        let (count, what) = rest.split_once(' ')?;
        return Some(Action::Holds(count.parse().ok()?, own(what)));
    }
    if let Some(rest) = line.strip_prefix("lampyris sends nothing to ") {
        let (name, time) = rest.split_once(" for ")?;
        return Some(Action::Silence(own(name), duration(time)?));
    }
    if let Some(rest) = line.strip_prefix("lampyris sends ") {
        if let Some(name) = rest.strip_suffix(" again") {
            return Some(Action::ExpectAgain(own(name)));
        }
        let rest = rest.strip_suffix(':')?;
        return match rest.split_once(" within ") {
            Some((name, time)) => Some(Action::Expect(own(name), block, Some(duration(time)?))),
            None => Some(Action::Expect(own(rest), block, None)),
        };
    }
    if let Some(name) = line.strip_suffix(" sends:") {
        return Some(Action::Send(own(name), block));
    }
    if let Some(name) = line.strip_suffix(" sends again") {
        return Some(Action::SendAgain(own(name)));
    }
    if let Some(name) = line.strip_suffix("'s flow closes") {
        return Some(Action::Close(own(name)));
    }
    let (name, status) = line.trim_end_matches(':').split_once(" answers ")?;
    let (method, status) = match status.split_once(' ') {
        Some((method, status)) => (Some(own(method)), status),
        None => (None, status),
    };
    Some(Action::Answer { name: own(name), method, status: status.parse().ok()?, more: block })
}

impl Action {
    fn party(&self) -> Option<&String> {
        match self {
            Self::Send(name, _)
            | Self::SendAgain(name)
            | Self::Answer { name, .. }
            | Self::Expect(name, ..)
            | Self::ExpectAgain(name)
            | Self::Silence(name, _)
            | Self::Close(name) => Some(name),
            Self::After(_)
            | Self::Admin(_)
            | Self::Crash
            | Self::Clock(..)
            | Self::Reload(_)
            | Self::StoreFails
            | Self::Dns(_)
            | Self::Holds(..) => None,
        }
    }
}

/// `500ms`, `32s`, `5m`, `2h`.
fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..end].parse().ok()?;
    Some(match &text[end..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(60 * number),
        "h" => Duration::from_secs(3600 * number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_with_its_blocks() {
        let text = "# RFC 1 §2: x\nsettings: a.toml\n    [peers.A]\n\n    open = true\nA is udp 192.0.2.1:1, password p\n\n\
                    A sends:\n    X\n    Y: z\n\n    body\n# more\nlampyris sends A again\nafter 5m:\nA answers 450:\n    Q: 1\n";
        let script = parse(text).unwrap();
        assert_eq!(script.settings.toml, "[peers.A]\n\nopen = true");
        assert_eq!(script.parties[0].password.as_deref(), Some("p"));
        let Action::Send(name, block) = &script.steps[0].action else { panic!("{:?}", script.steps) };
        assert_eq!((name.as_str(), block.as_str()), ("A", "X\nY: z\n\nbody"));
        assert!(
            matches!(&script.steps[3].action, Action::Answer { status: 450, more, .. } if more == "Q: 1")
        );
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, why) in [
            ("settings:\n", "line 1: the first line cites"),
            ("# RFC 1\nA sends:\n    X\n", "line 2: nobody is called A"),
            ("# RFC 1\nafter x\n", "line 2: not a step"),
            ("# RFC 1\nA is sctp 1.2.3.4:5\n", "line 2: not a party"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
    }
}
