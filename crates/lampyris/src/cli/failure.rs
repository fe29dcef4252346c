//! Why a verb did not do what was asked, and the exit code that says so.

use serde_json::json;
use std::path::PathBuf;

/// A failed verb. Its text is for people; `code` and `exit_code` are for programs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server, or the verb itself, said no.
    #[error("{0}")]
    Refused(String),
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// The command line is wrong, as clap says it.
    #[error("{0}")]
    Parse(#[from] clap::Error),
    /// No server listens on the admin socket.
    #[error(
        "no lampyris server is running on {} ({cause})\n\
         start one with `lampyris run CONFIG`, or name its directory with --data DIR or LAMPYRIS_DATA",
        socket.display()
    )]
    NoServer {
        /// Where it was looked for.
        socket: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The configuration has errors; all of them.
    #[error("{rendered}")]
    Configuration {
        /// For people: each with place, caret, cause and fix.
        rendered: String,
        /// The same for programs: an array.
        diagnostics: serde_json::Value,
    },
    /// What was looked at is not as it should be; the report was asked for.
    #[error("{rendered}")]
    Unsound {
        /// For people, with what to do.
        rendered: String,
        /// The same for programs.
        report: serde_json::Value,
    },
    /// What went wrong stands in the output already.
    #[error("see above")]
    Shown,
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

/// One row of the exit codes' table.
pub(crate) struct ExitCode {
    pub(crate) number: u8,
    pub(crate) code: &'static str,
    pub(crate) meaning: &'static str,
}

/// The exit codes, as documented.
pub(crate) const EXIT_CODES: [ExitCode; 5] = [
    ExitCode { number: 0, code: "ok", meaning: "done" },
    ExitCode { number: 1, code: "refused", meaning: "refused, failed, or nothing of that name found" },
    ExitCode { number: 2, code: "usage", meaning: "the command line is wrong" },
    ExitCode { number: 3, code: "no_server", meaning: "no server is running in the data directory" },
    ExitCode {
        number: 4,
        code: "configuration",
        meaning: "the configuration has errors; nothing was changed",
    },
];

impl Failure {
    /// The exit code's number.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Unsound { .. } | Self::Shown | Self::Output(_) => 1,
            // Why: clap reports `--help` and `--version` as errors too.
            Self::Parse(error) if !error.use_stderr() => 0,
            Self::Usage(_) | Self::Parse(_) => 2,
            Self::NoServer { .. } => 3,
            Self::Configuration { .. } => 4,
        }
    }

    /// The exit code's name.
    pub(crate) fn code(&self) -> &'static str {
        let number = self.exit_code();
        EXIT_CODES.iter().find(|row| row.number == number).map_or("refused", |row| row.code)
    }

    /// The error as `--json` prints it.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let message = match self {
            Self::Parse(error) => error.render().to_string(),
            other => other.to_string(),
        };
        let mut error =
            json!({"code": self.code(), "exit_code": self.exit_code(), "message": message.trim_end()});
        if let (Self::Configuration { diagnostics, .. }, Some(fields)) = (self, error.as_object_mut()) {
            fields.insert("diagnostics".to_owned(), diagnostics.clone());
        }
        if let (Self::Unsound { report, .. }, Some(fields)) = (self, error.as_object_mut()) {
            fields.insert("report".to_owned(), report.clone());
        }
        json!({ "error": error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_documented_code() {
        let rows = [
            (Failure::Refused("no".into()), 1, "refused"),
            (Failure::Shown, 1, "refused"),
            (Failure::Output(std::io::Error::other("full")), 1, "refused"),
            (Failure::Unsound { rendered: "x".into(), report: json!({}) }, 1, "refused"),
            (Failure::Usage("no".into()), 2, "usage"),
            (Failure::Parse(clap::Error::new(clap::error::ErrorKind::InvalidValue)), 2, "usage"),
            (Failure::Parse(clap::Error::new(clap::error::ErrorKind::DisplayHelp)), 0, "ok"),
            (Failure::NoServer { socket: "/tmp/x".into(), cause: "refused".into() }, 3, "no_server"),
            (Failure::Configuration { rendered: "e".into(), diagnostics: json!([1]) }, 4, "configuration"),
        ];
        for (failure, number, code) in rows {
            assert_eq!((failure.exit_code(), failure.code()), (number, code), "{failure:?}");
            let error = failure.to_json();
            assert_eq!(error["error"]["code"], code);
            assert_eq!(error["error"]["exit_code"], number);
        }
        for (index, row) in EXIT_CODES.iter().enumerate() {
            assert_eq!(usize::from(row.number), index, "{}", row.meaning);
        }
    }

    #[test]
    fn diagnostics_travel_with_the_error() {
        let failure = Failure::Configuration { rendered: "a:1:2".into(), diagnostics: json!([{"line": 1}]) };
        assert_eq!(failure.to_json()["error"]["diagnostics"][0]["line"], 1);
    }
}
