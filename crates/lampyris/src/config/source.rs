//! The files of a configuration as they were read, and places in them.
//!
//! In: paths. Out: text, and [`Span`]s that [`Sources::place`] turns into file, line and column. It reads every file
//! once and never interprets it.

use std::path::{Path, PathBuf};

/// Largest configuration file read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A stretch of one file, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    file: u32,
    start: usize,
    end: usize,
}

impl Span {
    /// Where it starts, for putting entries into the order of the file.
    pub(crate) const fn start(self) -> usize {
        self.start
    }
}

/// A value and where it was typed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Typed<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> Typed<T> {
    pub(crate) const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Typed<U> {
        Typed { value: change(self.value), span: self.span }
    }
}

/// The number of a file among the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId(u32);

impl FileId {
    /// The first file read.
    pub(crate) const FIRST: Self = Self(0);

    pub(crate) const fn span(self, start: usize, end: usize) -> Span {
        Span { file: self.0, start, end }
    }
}

/// All files read, in the order they were read.
#[derive(Default)]
pub(crate) struct Sources {
    files: Vec<File>,
}

struct File {
    path: PathBuf,
    text: String,
}

/// A place for people.
pub(crate) struct Place<'a> {
    pub(crate) path: &'a Path,
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    /// The whole line.
    pub(crate) text: &'a str,
    /// Length of the span on this line, in characters, at least 1.
    pub(crate) width: usize,
}

impl Sources {
    /// Takes a text that was not read from a file of this name (the built-in profiles, tests).
    pub(crate) fn add(&mut self, path: &Path, text: String) -> FileId {
        // Why: no configuration has 2^32 files.
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(File { path: path.to_owned(), text });
        id
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Why it cannot be read, for people.
    pub(crate) fn read(&mut self, path: &Path) -> Result<FileId, String> {
        let size = std::fs::metadata(path).map_err(|error| error.to_string())?;
        if size.is_dir() {
            return Err("it is a directory".to_owned());
        }
        if size.len() > FILE_BYTES_MAX {
            return Err(format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20));
        }
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        // Why: Asterisk takes any bytes; a Latin-1 name in a callerid must not keep the server from starting.
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Ok(self.add(path, text))
    }

    /// What was read, by path, each once; not what is built in.
    pub(crate) fn into_files(self) -> Vec<(PathBuf, String)> {
        let mut out: Vec<(PathBuf, String)> = Vec::new();
        for File { path, text } in self.files.into_iter().skip(1) {
            if out.iter().all(|(known, _)| *known != path) {
                out.push((path, text));
            }
        }
        out
    }

    pub(crate) fn text(&self, file: FileId) -> &str {
        self.files.get(file.0 as usize).map_or("", |file| &file.text)
    }

    pub(crate) fn path(&self, file: FileId) -> &Path {
        self.files.get(file.0 as usize).map_or(Path::new(""), |file| &file.path)
    }

    pub(crate) fn file_of(span: Span) -> FileId {
        FileId(span.file)
    }

    /// Where a span is.
    pub(crate) fn place(&self, span: Span) -> Place<'_> {
        let file = FileId(span.file);
        let text = self.text(file);
        let mut start = span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(line_start..).unwrap_or_default().split('\n').next().unwrap_or_default();
        let line = line.trim_end_matches('\r');
        let from = start - line_start;
        let to = span.end.saturating_sub(line_start).min(line.len());
        Place {
            path: self.path(file),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            text: line,
            width: line.get(from..to.max(from)).map_or(1, |part| part.chars().count().max(1)),
        }
    }
}
