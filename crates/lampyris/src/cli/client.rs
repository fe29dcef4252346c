//! The CLI's end of the admin socket (`admin::protocol`): one request, one answer; or one request and a stream.
//!
//! It blocks: a verb has nothing else to do. It takes whatever a server of this version can say and judges nothing.

use super::failure::Failure;
use crate::admin::protocol::{Request, Response, SOCKET_NAME};
use lampyris_core::command::Command;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an answer may take; a reload of a large configuration is the slowest.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A connection to a running server.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    socket: PathBuf,
}

impl Client {
    /// Connects to the server that uses this data directory.
    pub(crate) fn connect(data: &Path) -> Result<Self, Failure> {
        let socket = data.join(SOCKET_NAME);
        match UnixStream::connect(&socket) {
            Ok(stream) => {
                let client = Self { stream: BufReader::new(stream), socket };
                client.answer_within(Some(ANSWER_WITHIN))?;
                Ok(client)
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(Failure::Refused(format!(
                "not allowed to talk to the server on {}; use the account it runs as, or root",
                socket.display()
            ))),
            Err(error) => Err(Failure::NoServer { socket, cause: cause(&error) }),
        }
    }

    /// Asks the node. What it refuses is a failure.
    pub(crate) fn command(&mut self, command: Command) -> Result<Value, Failure> {
        match self.request(&Request::Command(command))? {
            Response::Reply(answer) => match answer.get("reason").and_then(Value::as_str) {
                Some(reason) => Err(Failure::Refused(reason.to_owned())),
                None => Ok(answer),
            },
            other => Err(unexpected(&other)),
        }
    }

    /// Asks the server for something that is done or not; the text is for people, maybe empty.
    pub(crate) fn done(&mut self, request: &Request) -> Result<String, Failure> {
        match self.request(request)? {
            Response::Done { text } => Ok(text),
            other => Err(unexpected(&other)),
        }
    }

    /// One request and its answer.
    pub(crate) fn request(&mut self, request: &Request) -> Result<Response<Value>, Failure> {
        let mut line = serde_json::to_string(request)
            .map_err(|error| Failure::Refused(format!("the request cannot be sent: {error}")))?;
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes()).map_err(|error| self.gone(&cause(&error)))?;
        self.next()
    }

    /// The next line from the server: an answer, or an item of a stream.
    pub(crate) fn next(&mut self) -> Result<Response<Value>, Failure> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => Err(self.gone("it closed the connection")),
            Ok(_) => serde_json::from_str(&line).map_err(|error| {
                Failure::Refused(format!(
                    "the server's answer is not understood ({error}); is it of another version?"
                ))
            }),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Failure::Refused(format!(
                    "the server did not answer within {} seconds",
                    ANSWER_WITHIN.as_secs()
                )))
            }
            Err(error) => Err(self.gone(&cause(&error))),
        }
    }

    /// Waits for ever from now on: for streams.
    pub(crate) fn wait_for_ever(&self) -> Result<(), Failure> {
        self.answer_within(None)
    }

    /// Waits no longer than this from now on.
    pub(crate) fn wait_at_most(&self, time: Duration) -> Result<(), Failure> {
        self.answer_within(Some(time))
    }

    fn answer_within(&self, time: Option<Duration>) -> Result<(), Failure> {
        Ok(self.stream.get_ref().set_read_timeout(time)?)
    }

    fn gone(&self, cause: &str) -> Failure {
        Failure::NoServer { socket: self.socket.clone(), cause: cause.to_owned() }
    }
}

/// Rows as typed values.
pub(crate) fn decode<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| {
        Failure::Refused(format!(
            "the server's answer is not understood ({error}); is it of another version?"
        ))
    })
}

/// How many things a command touched.
pub(crate) fn touched(answer: &Value) -> Result<u64, Failure> {
    answer.get("count").and_then(Value::as_u64).ok_or_else(|| {
        Failure::Refused("the server's answer is not understood; is it of another version?".to_owned())
    })
}

/// An answer of another kind than asked for: an error, or nonsense.
pub(crate) fn unexpected(response: &Response<Value>) -> Failure {
    match response {
        Response::Error { text } => Failure::Refused(text.clone()),
        _ => Failure::Refused("the server answered something else; is it of another version?".to_owned()),
    }
}

fn cause(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such socket".to_owned(),
        ErrorKind::ConnectionRefused => "nobody listens on it".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::Context;
    use std::os::unix::net::UnixListener;
    use std::thread::JoinHandle;

    /// What a verb is given that asks the server of this directory and is not on a terminal.
    pub(in crate::cli) fn context(data: impl AsRef<Path>, json: bool, out: &mut Vec<u8>) -> Context<'_> {
        let data = data.as_ref().to_owned();
        Context { data, data_is_default: false, json, asterisk: false, width: None, out }
    }

    /// A data directory with a server that takes one connection, expects these lines and answers each with those.
    pub(in crate::cli) struct Fake {
        pub(in crate::cli) data: PathBuf,
        server: Option<JoinHandle<Vec<String>>>,
    }

    impl Fake {
        pub(in crate::cli) fn answering(name: &str, answers: &[&str]) -> Self {
            let data = std::env::temp_dir().join(format!("lampyris-cli-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&data).expect("a directory");
            let listener = UnixListener::bind(data.join(SOCKET_NAME)).expect("a socket");
            let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
            let server = std::thread::spawn(move || {
                let (stream, _) = listener.accept().expect("a connection");
                let mut reader = BufReader::new(stream);
                let mut asked = Vec::new();
                for answer in answers {
                    let mut line = String::new();
                    reader.read_line(&mut line).expect("a request");
                    asked.push(line.trim_end().to_owned());
                    reader.get_mut().write_all(format!("{answer}\n").as_bytes()).expect("an answer");
                }
                asked
            });
            Self { data, server: Some(server) }
        }

        /// What was asked.
        pub(in crate::cli) fn asked(mut self) -> Vec<String> {
            self.server.take().expect("asked once").join().expect("the fake server")
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.data);
        }
    }

    #[test]
    fn answers_are_told_apart() {
        type Refusal = (u8, &'static str);
        let rows: [(&str, Result<Value, Refusal>); 6] = [
            (r#"{"reply":[]}"#, Ok(serde_json::json!([]))),
            (r#"{"reply":{"count":3}}"#, Ok(serde_json::json!({"count": 3}))),
            (r#"{"reply":{"reason":"no such device"}}"#, Err((1, "no such device"))),
            (r#"{"error":{"text":"busy"}}"#, Err((1, "busy"))),
            (r#"{"done":{"text":""}}"#, Err((1, "another version"))),
            ("nonsense", Err((1, "another version"))),
        ];
        for (index, (answer, expected)) in rows.into_iter().enumerate() {
            let fake = Fake::answering(&format!("answers-{index}"), &[answer]);
            let got = Client::connect(&fake.data).expect("connected").command(Command::Hints);
            match (got, expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got, expected),
                (Err(failure), Err((code, text))) => {
                    assert_eq!(failure.exit_code(), code);
                    assert!(failure.to_string().contains(text), "{failure}");
                }
                (got, expected) => panic!("{answer}: {got:?}, not {expected:?}"),
            }
            assert_eq!(fake.asked(), [r#"{"command":"Hints"}"#]);
        }
    }

    #[test]
    fn a_server_that_goes_away_is_no_server() {
        let fake = Fake::answering("gone", &[]);
        let mut client = Client::connect(&fake.data).expect("connected");
        assert!(fake.asked().is_empty());
        let failure = client.command(Command::Hints).expect_err("gone");
        assert_eq!(failure.exit_code(), 3, "{failure}");
    }

    #[test]
    fn a_dead_socket_is_no_server() {
        let fake = Fake::answering("dead", &[]);
        drop(Client::connect(&fake.data).expect("connected"));
        let data = fake.data.clone();
        let kept = data.with_extension("kept");
        std::fs::rename(&data, &kept).expect("moved");
        assert!(fake.asked().is_empty());
        let failure = Client::connect(&kept).map(|_| ()).expect_err("nobody listens");
        std::fs::remove_dir_all(&kept).expect("removed");
        assert!(matches!(failure, Failure::NoServer { .. }), "{failure}");
    }
}
