//! A browser's view of the HTTP API: requests, answers and streams of events.

use super::{Lab, PATIENCE};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// A server-sent event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

/// An open stream of them.
pub(crate) struct Events(BufReader<TcpStream>);

impl Events {
    /// The next event; ids alone and comments are none.
    pub(crate) fn next(&mut self) -> Event {
        let (mut id, mut kind, mut data) = (String::new(), String::new(), String::new());
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
            // Why: sizes of chunks stand between the lines, and mean nothing to fields.
            let line = line.trim_end();
            match line.split_once(": ") {
                Some(("id", value)) => value.clone_into(&mut id),
                Some(("event", value)) => value.clone_into(&mut kind),
                Some(("data", value)) => value.clone_into(&mut data),
                _ if line.is_empty() && !data.is_empty() => {
                    return Event { id, kind, data: serde_json::from_str(&data).unwrap() };
                }
                _ => {}
            }
        }
    }

    /// The next event of this kind.
    pub(crate) fn of(&mut self, kind: &str) -> Event {
        loop {
            let event = self.next();
            if event.kind == kind {
                return event;
            }
        }
    }
}

impl Lab {
    /// A token with these scopes.
    pub(crate) fn token(&self, scopes: &[&str]) -> String {
        let mut words = vec!["token", "create", "test"];
        scopes.iter().for_each(|scope| words.extend(["--scope", scope]));
        let made = self.ask(&words);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }

    fn connect(&self) -> TcpStream {
        let site = self.printed("http").unwrap().strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(site).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends many requests at once, of which the last closes, and reads all answers meanwhile.
    pub(crate) fn pipelined(&self, requests: &str) -> String {
        let mut stream = self.connect();
        let mut writing = stream.try_clone().unwrap();
        let mut text = String::new();
        std::thread::scope(|scope| {
            scope.spawn(move || writing.write_all(requests.as_bytes()).unwrap());
            stream.read_to_string(&mut text).unwrap();
        });
        text
    }

    /// Sends these bytes and reads until the server closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes);
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// One request, with `more` header lines.
    pub(crate) fn http(&self, method: &str, path: &str, token: &str, more: &str, body: &str) -> Answer {
        let bearer =
            if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        let length = body.len();
        self.raw(
            format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{bearer}{more}\
                 Content-Length: {length}\r\n\r\n{body}"
            )
            .as_bytes(),
        )
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        self.http("GET", path, token, "", "")
    }

    /// A request with a body in JSON.
    pub(crate) fn send(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        self.http(method, path, token, "Content-Type: application/json\r\n", body)
    }

    /// A stream of events, maybe from a place on.
    pub(crate) fn events(&self, path: &str, token: &str, last: Option<&str>) -> Events {
        let mut stream = self.connect();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{last}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        Events(BufReader::new(stream))
    }
}
