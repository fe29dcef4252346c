//! Tokens: who may ask what over HTTP.
//!
//! A token is 256 random bits, so a plain hash of it cannot be turned back and is all that is stored
//! (`DATA/tokens.json`, 0600). Links are tokens that can be used once, for a token; they are kept in memory only.

use super::limits::{LINK_FOR, LINKS_MAX, TOKENS_MAX};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use subtle::ConstantTimeEq as _;

/// The file's name inside the data directory.
pub(crate) const FILE_NAME: &str = "tokens.json";
/// What every token begins with, so that one that leaked can be searched for.
const PREFIX: &str = "lampyris_";

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// Seeing what a board shows.
    BoardRead,
    /// Setting the state of this person or extension; of everybody where it is `*`.
    StateWrite(String),
    /// Reading the metrics.
    MetricsRead,
    /// Everything.
    Admin,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BoardRead => f.write_str("board:read"),
            Self::StateWrite(name) => write!(f, "state:write:{name}"),
            Self::MetricsRead => f.write_str("metrics:read"),
            Self::Admin => f.write_str("admin"),
        }
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl TryFrom<String> for Scope {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "board:read" => Ok(Self::BoardRead),
            "metrics:read" => Ok(Self::MetricsRead),
            "admin" => Ok(Self::Admin),
            other => match other.strip_prefix("state:write:") {
                Some(name) if !name.is_empty() && !name.contains(char::is_whitespace) => {
                    Ok(Self::StateWrite(name.to_owned()))
                }
                _ => Err(format!(
                    "{other:?} is no scope; there are board:read, state:write:NAME (or *), metrics:read and admin"
                )),
            },
        }
    }
}

/// A token as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    id: String,
    name: String,
    scopes: Vec<Scope>,
    created_ms: u64,
    /// SHA-256 of the whole token, in hexadecimal.
    hash: String,
}

/// A token as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Listed {
    /// Names it in commands.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it is good for, as in `board:read`.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_ms: u64,
}

/// A token that was just made: the only time that it is seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Made {
    /// What goes behind `Authorization: Bearer`.
    pub token: String,
    /// Names it in commands.
    pub id: String,
    /// What it is good for.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
}

#[derive(Default)]
struct State {
    records: Vec<Record>,
    /// Hashes of links, and until when they hold.
    links: Vec<(String, Instant)>,
}

/// All tokens.
pub(crate) struct Tokens {
    path: Option<PathBuf>,
    state: Mutex<State>,
}

impl Tokens {
    /// Those of this data directory; without one, they are forgotten with the process.
    ///
    /// # Errors
    /// The file cannot be read, or is none of ours.
    pub(crate) fn open(data: Option<&Path>) -> io::Result<Self> {
        let path = data.map(|data| data.join(FILE_NAME));
        let records = match path.as_ref().map(std::fs::read) {
            None => Vec::new(),
            Some(Ok(bytes)) => serde_json::from_slice(&bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?,
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Some(Err(error)) => return Err(error),
        };
        Ok(Self { path, state: Mutex::new(State { records, links: Vec::new() }) })
    }

    /// Whether nobody has ever been let in.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().records.is_empty()
    }

    /// All of them, oldest first.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let listed = |record: &Record| Listed {
            id: record.id.clone(),
            name: record.name.clone(),
            scopes: record.scopes.clone(),
            created_ms: record.created_ms,
        };
        self.lock().records.iter().map(listed).collect()
    }

    /// Makes a token and stores its hash.
    ///
    /// # Errors
    /// What stands in the way, for people.
    pub(crate) fn create(&self, name: &str, scopes: Vec<Scope>, now_ms: u64) -> Result<Made, String> {
        if scopes.is_empty() {
            return Err("a token without a scope is good for nothing".to_owned());
        }
        let mut state = self.lock();
        if state.records.len() >= TOKENS_MAX {
            return Err(format!("there are {TOKENS_MAX} tokens already; revoke some"));
        }
        let token = format!("{PREFIX}{}", random()?);
        let hash = hash(&token);
        let id: String = hash.chars().take(8).collect();
        let record = Record {
            id: id.clone(),
            name: name.to_owned(),
            scopes: scopes.clone(),
            created_ms: now_ms,
            hash,
        };
        state.records.push(record);
        if let Err(error) = self.store(&state.records) {
            state.records.pop();
            return Err(format!("the token cannot be stored: {error}"));
        }
        Ok(Made { token, id, scopes })
    }

    /// Forgets the token with this id; whether there was one.
    ///
    /// # Errors
    /// It cannot be stored, for people.
    pub(crate) fn revoke(&self, id: &str) -> Result<bool, String> {
        let mut state = self.lock();
        let Some(at) = state.records.iter().position(|record| record.id == id) else { return Ok(false) };
        let record = state.records.remove(at);
        if let Err(error) = self.store(&state.records) {
            state.records.insert(at, record);
            return Err(format!("the change cannot be stored: {error}"));
        }
        Ok(true)
    }

    /// What this token is good for; `None` where it is none of ours.
    pub(crate) fn scopes_of(&self, token: &str) -> Option<Vec<Scope>> {
        let hash = hash(token);
        let state = self.lock();
        let found = state.records.iter().find(|record| is_same(&record.hash, &hash));
        found.map(|record| record.scopes.clone())
    }

    /// A code for a link that makes whoever opens it first an administrator.
    ///
    /// # Errors
    /// The system has no randomness, for people.
    pub(crate) fn link(&self) -> Result<String, String> {
        let code = random()?;
        let mut state = self.lock();
        let now = Instant::now();
        state.links.retain(|(_, until)| *until > now);
        if state.links.len() >= LINKS_MAX {
            state.links.remove(0);
        }
        state.links.push((hash(&code), now + LINK_FOR));
        Ok(code)
    }

    /// Uses a link up; whether it was good.
    pub(crate) fn redeem(&self, code: &str) -> bool {
        let (hash, now) = (hash(code), Instant::now());
        let links = &mut self.lock().links;
        let Some(at) = links.iter().position(|(known, _)| is_same(known, &hash)) else { return false };
        links.remove(at).1 > now
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the file whole or not at all.
    fn store(&self, records: &[Record]) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let unready = path.with_extension("new");
        let _ = std::fs::remove_file(&unready);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unready)?;
        file.write_all(&serde_json::to_vec_pretty(records)?)?;
        file.sync_all()?;
        std::fs::rename(&unready, path)?;
        match path.parent() {
            // Why: the new name must survive a power failure too, or a revoked token comes back.
            Some(directory) => std::fs::File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// 256 random bits in hexadecimal.
fn random() -> Result<String, String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system has no randomness: {error}"))?;
    Ok(hex(&bytes))
}

fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// In hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn scopes_read_as_they_print() {
        for text in ["board:read", "state:write:alice", "state:write:*", "metrics:read", "admin"] {
            assert_eq!(Scope::try_from(text.to_owned()).map(|scope| scope.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "root", "state:write:", "state:write", "board:write", "state:write:a b"] {
            assert!(Scope::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn tokens_are_stored_hashed_and_survive() {
        let directory = std::env::temp_dir().join(format!("lampyris-tokens-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a directory");
        let tokens = Tokens::open(Some(&directory)).expect("nothing yet");
        assert!(tokens.is_empty());
        let made = tokens.create("wall", vec![Scope::BoardRead], 5).expect("made");
        let other = tokens.create("ops", vec![Scope::Admin], 6).expect("made");
        assert_eq!(made.token.len(), PREFIX.len() + 64);
        let file = directory.join(FILE_NAME);
        let text = std::fs::read_to_string(&file).expect("the file");
        assert!(!text.contains(&made.token[PREFIX.len()..]), "the token itself is nowhere");
        assert_eq!(std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);

        let again = Tokens::open(Some(&directory)).expect("the same file");
        assert_eq!(again.list(), tokens.list());
        assert_eq!(again.scopes_of(&made.token), Some(vec![Scope::BoardRead]));
        assert_eq!(again.scopes_of(&format!("{}0", made.token)), None);
        assert_eq!(again.revoke(&made.id), Ok(true));
        assert_eq!(again.revoke(&made.id), Ok(false));
        let last = Tokens::open(Some(&directory)).expect("the same file");
        assert_eq!(
            (last.scopes_of(&made.token), last.scopes_of(&other.token)),
            (None, Some(vec![Scope::Admin]))
        );
        std::fs::write(&file, "nonsense").expect("written");
        assert!(Tokens::open(Some(&directory)).is_err());
        std::fs::remove_dir_all(&directory).expect("removed");
    }

    #[test]
    fn a_link_is_good_once() {
        let tokens = Tokens::open(None).expect("nowhere");
        let code = tokens.link().expect("random");
        assert!(!tokens.redeem("nonsense"));
        assert!(tokens.redeem(&code));
        assert!(!tokens.redeem(&code));
        let first = tokens.link().expect("random");
        (0..LINKS_MAX).for_each(|_| drop(tokens.link()));
        assert!(!tokens.redeem(&first), "the oldest gives way");
    }
}
