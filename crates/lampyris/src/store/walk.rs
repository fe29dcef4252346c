//! The walk through a store's file before LMDB may map it, in a process that may die of it.
//!
//! In: the store's directory. Out: a [`Verdict`]. The child (`lampyris store walk DIR`, not in the help) first looks at
//! every page itself (`structure`), then reads every row through LMDB, and prints what it found as a line of JSON. LMDB
//! may fault on a file that is damaged in a way nobody thought of: then only the child dies, and that is a verdict too.

use super::backup::Progress;
use super::check::{self, Findings};
use super::tables::{DATA_FILE, Tables};
use crate::engine::clock::wall;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest walk of an empty file; a larger one gets more.
const WALK_MAX: Duration = Duration::from_secs(30);
/// Slowest disk that is waited for, in bytes a second.
const DISK_BYTES_S_MIN: u64 = 8 << 20;
/// Most bytes a child may say.
const SAID_BYTES_MAX: u64 = 1 << 20;

/// How the child is started: its command line, for the store in this directory.
#[derive(Clone)]
pub struct Walker(Arc<dyn Fn(&Path) -> Command + Send + Sync>);

impl std::fmt::Debug for Walker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Walker")
    }
}

impl Walker {
    /// A child of this command line, which has to print what [`walk`] says.
    pub fn new(command: impl Fn(&Path) -> Command + Send + Sync + 'static) -> Self {
        Self(Arc::new(command))
    }

    /// This process's own program, by its hidden verb.
    pub fn own() -> Self {
        Self::new(own)
    }

    /// As [`Walker::own`], and it says on standard error how far it is.
    pub fn telling() -> Self {
        Self::new(|store| {
            let mut command = own(store);
            command.arg("--progress");
            command
        })
    }
}

fn own(store: &Path) -> Command {
    // Why: the link leads to the program that runs, even where its file was replaced by an upgrade meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.args(["store", "walk"]).arg(store);
    command
}

/// What is to be thought of a store.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// LMDB may open it.
    Sound(Findings),
    /// LMDB must not.
    Damaged(String),
}

/// The child's half: everything that can be known of the store in this directory, or why the child cannot say.
///
/// # Errors
/// The file cannot be read.
pub fn walk(store: &Path, progress: Progress<'_>) -> Result<Findings, super::StoreFault> {
    let mut findings = check::check_file(&store.join(DATA_FILE), wall(), progress)?;
    if findings.structure.is_none()
        && let Err(cause) = Tables::read_through(store)
    {
        findings.structure = Some(cause.to_string());
    }
    Ok(findings)
}

/// Has the store walked, by a child where there is a walker.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn judge(store: &Path, walker: Option<&Walker>) -> Result<Verdict, super::StoreFault> {
    let bytes = std::fs::metadata(store.join(DATA_FILE)).map_or(0, |data| data.len());
    judge_within(store, walker, WALK_MAX + Duration::from_secs(bytes / DISK_BYTES_S_MIN))
}

fn judge_within(
    store: &Path,
    walker: Option<&Walker>,
    patience: Duration,
) -> Result<Verdict, super::StoreFault> {
    if let Some(Walker(command)) = walker {
        match by_child(command(store), patience) {
            Ok(Outcome::Said(Said::Findings(findings))) => return Ok(verdict(findings)),
            Ok(Outcome::Said(Said::Failed(why))) => {
                let cause = std::io::Error::other(why);
                return Err(super::StoreFault::Unreadable { path: store.join(DATA_FILE), cause });
            }
            Ok(Outcome::Died(how)) => {
                return Ok(Verdict::Damaged(format!("the process that walked it {how}")));
            }
            Err(cause) => {
                tracing::warn!(%cause, "the store is walked by this process, since no other can be started");
            }
        }
    }
    check::check_file(&store.join(DATA_FILE), wall(), &mut |_, _| {}).map(verdict)
}

fn verdict(findings: Findings) -> Verdict {
    match findings.structure {
        Some(what) => Verdict::Damaged(what),
        None => Verdict::Sound(findings),
    }
}

/// What a child says.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    Findings(Findings),
    Failed(String),
}

/// The line of JSON with which a child says what it found.
pub fn said(store: &Path, progress: Progress<'_>) -> String {
    let said = match walk(store, progress) {
        Ok(findings) => Said::Findings(findings),
        Err(fault) => Said::Failed(fault.to_string()),
    };
    serde_json::to_string(&said).unwrap_or_default()
}

enum Outcome {
    Said(Said),
    Died(String),
}

fn by_child(mut command: Command, patience: Duration) -> std::io::Result<Outcome> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let reader = child.stdout.take().map(|out| {
        std::thread::spawn(move || {
            let mut text = String::new();
            out.take(SAID_BYTES_MAX).read_to_string(&mut text).map(|_| text)
        })
    });
    let ended = wait(&mut child, patience)?;
    let text = reader.and_then(|reader| reader.join().ok()).and_then(Result::ok).unwrap_or_default();
    let Some(status) = ended else {
        return Ok(Outcome::Died(format!("did not end within {} s", patience.as_secs())));
    };
    // Why: a test program that plays the child says other things too.
    match text.lines().find_map(|line| serde_json::from_str(line).ok()) {
        Some(said) => Ok(Outcome::Said(said)),
        None => match (status.signal(), status.code()) {
            (Some(signal), _) => {
                let name = nix::sys::signal::Signal::try_from(signal)
                    .map_or_else(|_| format!("signal {signal}"), |signal| signal.as_str().to_owned());
                Ok(Outcome::Died(format!("died of it ({name})")))
            }
            (None, code) => {
                Err(std::io::Error::other(format!("it ended with code {code:?} and said nothing")))
            }
        },
    }
}

/// Waits for the child to end; `None` where it had to be killed.
fn wait(child: &mut Child, patience: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let until = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::TempDir;

    #[test]
    fn whatever_becomes_of_the_child_there_is_a_verdict() {
        let temp = TempDir::new();
        std::fs::write(temp.path().join(DATA_FILE), "no store").expect("written");
        for (script, expected) in [
            ("kill -SEGV $$", Some("the process that walked it died of it (SIGSEGV)")),
            ("kill -BUS $$", Some("the process that walked it died of it (SIGBUS)")),
            ("exec sleep 1000", Some("the process that walked it did not end within 0 s")),
            // One that cannot say anything is no verdict: this process looks at the file itself.
            ("exit 1", Some("page 0: the file ends before it")),
            ("exec /nonexistent/program", Some("page 0: the file ends before it")),
            (r#"echo noise; echo '{"findings":{"pages":1,"used":1,"free":0,"kinds":{}}}'"#, None),
        ] {
            let walker = Walker::new(move |_| {
                let mut command = Command::new("sh");
                command.args(["-c", script]).stderr(Stdio::null());
                command
            });
            let patience =
                if script.contains("sleep") { Duration::from_millis(300) } else { Duration::from_secs(60) };
            let verdict = judge_within(temp.path(), Some(&walker), patience).expect("a verdict");
            let said = match &verdict {
                Verdict::Damaged(what) => Some(&what[..]),
                Verdict::Sound(_) => None,
            };
            assert_eq!(said, expected, "{script}");
        }
        let none = Walker::new(|_| Command::new("/nonexistent/program"));
        assert!(matches!(judge(temp.path(), Some(&none)).expect("a verdict"), Verdict::Damaged(_)));
        let failed = Walker::new(|_| {
            let mut command = Command::new("sh");
            command.args(["-c", r#"echo '{"failed":"an I/O error"}'"#]);
            command
        });
        let fault = judge(temp.path(), Some(&failed)).expect_err("the disk, not the file, is at fault");
        assert!(fault.to_string().contains("an I/O error"), "{fault}");
    }
}
