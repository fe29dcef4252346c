//! Asterisk's configuration syntax: sections, templates, includes, comments.
//!
//! In: one file and the directory its includes are relative to. Out: [`Section`]s in order, with what they inherit in
//! front of what is their own. It knows no keys; `sip_conf` and `extensions_conf` do.

use super::glob::glob;
use crate::config::diagnostic::{Report, did_you_mean};
use crate::config::source::{FileId, Span, Typed};
use std::path::{Path, PathBuf};

/// Asterisk's own limit.
const INCLUDE_DEPTH_MAX: usize = 10;

/// One `[section]`.
#[derive(Clone)]
pub(crate) struct Section {
    pub(crate) name: Typed<String>,
    /// `[name](!)`: only there to be inherited from.
    pub(crate) is_template: bool,
    pub(crate) entries: Vec<Entry>,
}

/// One `key = value` or `key => value`.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: Typed<String>,
    pub(crate) value: Typed<String>,
}

/// Reads `path` and what it includes.
pub(crate) fn read(report: &mut Report, path: &Path, directory: &Path) -> Vec<Section> {
    let mut reader = Reader { report, directory, sections: Vec::new(), open: Vec::new() };
    match reader.report.sources.read(path) {
        Ok(file) => reader.file(file, path, &mut None),
        Err(cause) => reader.report.file_error(
            path.to_owned(),
            format!("cannot read `{}`: {cause}", path.display()),
            "a directory in Asterisk's dialect has sip.conf and extensions.conf, both readable",
        ),
    }
    reader.sections
}

struct Reader<'a> {
    report: &'a mut Report,
    directory: &'a Path,
    sections: Vec<Section>,
    /// Files being read, outermost first.
    open: Vec<PathBuf>,
}

impl Reader<'_> {
    fn file(&mut self, file: FileId, path: &Path, section: &mut Option<usize>) {
        self.open.push(path.to_owned());
        let text = self.report.sources.text(file).to_owned();
        let mut comments = Comments::default();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let kept = Kept::new(comments.strip(line, file, at), file);
            at += line.len();
            self.line(&kept, section);
        }
        if let Some(span) = comments.opened {
            self.report.error(span, "this block comment is never closed", "close it with `--;`");
        }
        self.open.pop();
    }

    fn line(&mut self, line: &Kept, section: &mut Option<usize>) {
        match line.first() {
            None => {}
            Some('[') => *section = self.section(line),
            Some('#') => self.directive(line, section),
            Some(_) => self.entry(line, *section),
        }
    }

    fn section(&mut self, line: &Kept) -> Option<usize> {
        let Some(close) = line.find(']') else {
            self.report.error(line.span(), "a section name is not closed", "write it as `[name]`");
            return None;
        };
        let name = line.part(1, close);
        let rest = line.part(close + 1, line.len());
        let mut section = Section { name: name.typed(), is_template: false, entries: Vec::new() };
        let mut add_to = None;
        if rest.first() == Some('(') {
            let close = rest.find(')').unwrap_or_else(|| {
                self.report.error(
                    rest.span(),
                    "the options of a section are not closed",
                    "write `[name](option)`",
                );
                rest.len()
            });
            for option in rest.part(1, close).split(',') {
                match option.text().as_str() {
                    "" => {}
                    "!" => section.is_template = true,
                    "+" => match self
                        .sections
                        .iter()
                        .rposition(|known| known.name.value == section.name.value)
                    {
                        Some(at) => add_to = Some(at),
                        None => {
                            let cause =
                                format!("`(+)` adds to the section `{}`, which is not there", name.text());
                            let fix = self
                                .section_hint(&name.text(), "drop the `(+)`, or put the section before it");
                            self.report.error(option.span(), cause, fix);
                        }
                    },
                    template => match self.sections.iter().find(|known| known.name.value == template) {
                        Some(known) => section.entries.extend(known.entries.iter().cloned()),
                        None => {
                            let cause = format!("no template `{template}` stands before this section");
                            let fix = self.section_hint(template, "define it further up as `[name](!)`");
                            self.report.error(option.span(), cause, fix);
                        }
                    },
                }
            }
        } else if !rest.is_empty() {
            self.report.error(
                rest.span(),
                "something follows the section name",
                "put it on a line of its own",
            );
        }
        if section.name.value.is_empty() {
            self.report.error(line.span(), "a section without a name", "write it as `[name]`");
            return None;
        }
        if let Some(at) = add_to {
            if let Some(known) = self.sections.get_mut(at) {
                known.entries.append(&mut section.entries);
            }
            return Some(at);
        }
        self.sections.push(section);
        Some(self.sections.len() - 1)
    }

    fn section_hint(&self, name: &str, otherwise: &str) -> String {
        match did_you_mean(name, self.sections.iter().map(|known| known.name.value.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => otherwise.to_owned(),
        }
    }

    fn entry(&mut self, line: &Kept, section: Option<usize>) {
        let Some(equals) = line.find('=') else {
            self.report.error(
                line.span(),
                "this line has no `=`",
                "write it as `key = value`, or begin it with `;`",
            );
            return;
        };
        let value_from = if line.at(equals + 1) == Some('>') { equals + 2 } else { equals + 1 };
        let appends = equals > 0 && line.at(equals - 1) == Some('+');
        let key = line.part(0, if appends { equals - 1 } else { equals });
        if key.is_empty() {
            self.report.error(line.span(), "nothing stands before the `=`", "write it as `key = value`");
            return;
        }
        let Some(section) = section.and_then(|at| self.sections.get_mut(at)) else {
            let fix = "begin the file with a section, such as `[general]`";
            self.report.error(line.span(), "this line belongs to no section", fix);
            return;
        };
        let (key, mut value) = (key.typed(), line.part(value_from, line.len()).typed());
        if appends
            && let Some(known) = section.entries.iter().rev().find(|known| known.key.value == key.value)
        {
            value.value.insert_str(0, &known.value.value);
        }
        section.entries.push(Entry { key, value });
    }

    fn directive(&mut self, line: &Kept, section: &mut Option<usize>) {
        let text = line.text();
        let word = text.split([' ', '\t', '"', '<']).next().unwrap_or_default();
        let optional = word.eq_ignore_ascii_case("#tryinclude");
        if !optional && !word.eq_ignore_ascii_case("#include") {
            let (cause, fix) = if word.eq_ignore_ascii_case("#exec") {
                ("`#exec` is not run here".to_owned(), "write its output into a file and `#include` that")
            } else {
                (
                    format!("no directive is called `{word}`"),
                    "there are `#include` and `#tryinclude`; `;` comments",
                )
            };
            self.report.error(line.span(), cause, fix);
            return;
        }
        let name = line.part(word.chars().count(), line.len());
        let text = name.text();
        let wanted = text.trim_matches(['"', '<', '>', ' ', '\t']);
        if wanted.is_empty() {
            self.report.error(line.span(), "this includes nothing", "write `#include \"file.conf\"`");
            return;
        }
        let paths = glob(self.directory, wanted);
        if paths.is_empty() && !optional {
            self.report.warning(
                name.span(),
                "no file matches this pattern",
                "remove the line if that is meant",
            );
        }
        for path in paths {
            if self.open.contains(&path) || self.open.len() > INCLUDE_DEPTH_MAX {
                let cause = format!("`{wanted}` includes itself, directly or through others");
                self.report.error(name.span(), cause, "remove one of the `#include` lines");
                continue;
            }
            match self.report.sources.read(&path) {
                // Why: what is included goes on in the current section; what follows the line does too.
                Ok(file) => self.file(file, &path, &mut section.clone()),
                Err(_) if optional => {}
                Err(cause) => {
                    let cause = format!("cannot read `{}`: {cause}", path.display());
                    let fix = format!(
                        "create it, or remove the line; it is looked up in `{}`",
                        self.directory.display()
                    );
                    self.report.error(name.span(), cause, fix);
                }
            }
        }
    }
}

/// Comments over the lines of one file.
#[derive(Default)]
struct Comments {
    depth: usize,
    /// Where the open block began.
    opened: Option<Span>,
}

impl Comments {
    /// The characters of a line that are no comment, with their offsets; `\;` is a semicolon.
    fn strip(&mut self, line: &str, file: FileId, line_at: usize) -> Vec<(usize, char)> {
        let mut kept = Vec::new();
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            let at = line_at + (line.len() - rest.len());
            let opens = rest.starts_with(";--") && !rest.starts_with(";---");
            let mut taken = c.len_utf8();
            if self.depth > 0 {
                if rest.starts_with("--;") {
                    self.depth -= 1;
                    taken = 3;
                    if self.depth == 0 {
                        self.opened = None;
                    }
                } else if opens {
                    self.depth += 1;
                    taken = 3;
                }
            } else if rest.starts_with("\\;") {
                kept.push((at, ';'));
                taken = 2;
            } else if opens {
                self.depth = 1;
                self.opened = Some(file.span(at, at + 3));
                taken = 3;
            } else if c == ';' {
                break;
            } else {
                kept.push((at, c));
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        kept
    }
}

/// A stretch of a line, without comments and outer blanks, that knows where it stood.
struct Kept {
    chars: Vec<(usize, char)>,
    file: FileId,
    /// Where it would stand if it is empty.
    at: usize,
}

impl Kept {
    fn new(mut chars: Vec<(usize, char)>, file: FileId) -> Self {
        let at = chars.last().map_or(0, |(at, _)| *at);
        while chars.last().is_some_and(|(_, c)| c.is_whitespace()) {
            chars.pop();
        }
        let blanks = chars.iter().take_while(|(_, c)| c.is_whitespace() || *c == '\u{feff}').count();
        chars.drain(..blanks);
        Self { chars, file, at }
    }

    fn part(&self, from: usize, to: usize) -> Self {
        let chars = self.chars.get(from..to.max(from)).unwrap_or_default().to_vec();
        let at = if from == 0 { self.at } else { self.chars.get(from - 1).map_or(self.at, |(at, _)| at + 1) };
        let mut part = Self::new(chars, self.file);
        if part.is_empty() {
            part.at = at;
        }
        part
    }

    fn split(&self, separator: char) -> Vec<Self> {
        let parts = self.chars.split(|(_, c)| *c == separator);
        parts.map(|part| Self::new(part.to_vec(), self.file)).collect()
    }

    fn typed(&self) -> Typed<String> {
        Typed::new(self.text(), self.span())
    }

    fn text(&self) -> String {
        self.chars.iter().map(|(_, c)| *c).collect()
    }

    fn span(&self) -> Span {
        match (self.chars.first(), self.chars.last()) {
            (Some((from, _)), Some((to, c))) => self.file.span(*from, to + c.len_utf8()),
            _ => self.file.span(self.at, self.at),
        }
    }

    fn find(&self, wanted: char) -> Option<usize> {
        self.chars.iter().position(|(_, c)| *c == wanted)
    }

    fn at(&self, index: usize) -> Option<char> {
        self.chars.get(index).map(|(_, c)| *c)
    }

    fn first(&self) -> Option<char> {
        self.at(0)
    }

    fn len(&self) -> usize {
        self.chars.len()
    }

    fn is_empty(&self) -> bool {
        self.chars.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Vec<String>, Vec<String>) {
        let mut report = Report::default();
        let file = report.sources.add(Path::new("x.conf"), text.to_owned());
        let mut reader =
            Reader { report: &mut report, directory: Path::new("."), sections: Vec::new(), open: vec![] };
        reader.file(file, Path::new("x.conf"), &mut None);
        let sections = reader.sections;
        let show = |section: &Section| {
            let entries: Vec<_> =
                section.entries.iter().map(|e| format!("{}={}", e.key.value, e.value.value)).collect();
            let mark = if section.is_template { "!" } else { "" };
            format!("{}{mark}: {}", section.name.value, entries.join(" | "))
        };
        let shown = sections.iter().map(show).collect();
        (shown, report.finish().0.iter().map(|d| format!("{}:{} {}", d.line, d.column, d.cause)).collect())
    }

    #[test]
    fn sections_templates_and_comments_are_read_as_asterisk_reads_them() {
        let rows: [(&str, &[&str]); 9] = [
            ("[a]\nk=v\nexten => 1,hint,SIP/a\n", &["a: k=v | exten=1,hint,SIP/a"]),
            ("[t](!)\nk=1\n[a](t) ; c\nj=2\n", &["t!: k=1", "a: k=1 | j=2"]),
            ("[t](!)\nk=1\n[u](!,t)\nl=2\n[a](u,t)\n", &["t!: k=1", "u!: k=1 | l=2", "a: k=1 | l=2 | k=1"]),
            ("[a]\nk=1\n[b]\n[a](+)\nj=2\n", &["a: k=1 | j=2", "b: "]),
            ("[a]\nk=1\n[a]\nk=2\n", &["a: k=1", "a: k=2"]),
            (
                "[a];x\n ;-- k=1\nk=2 ;-- deep --; --; k = 3;4\nj=a\\;b;c\n;--- no block\nl=\n",
                &["a: k=3 | j=a;b | l="],
            ),
            ("[t](!)\nk=x\n[a](t)\nk+=,y\n", &["t!: k=x", "a: k=x | k=x,y"]),
            ("\u{feff}[ a ]\r\nk = v \r\n", &["a: k=v"]),
            ("", &[]),
        ];
        for (text, sections) in rows {
            assert_eq!(parse(text), (sections.iter().map(|s| (*s).to_owned()).collect(), vec![]), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is() {
        let rows = [
            ("k=1", "1:1 this line belongs to no section"),
            ("[a\nk=1", "1:1 a section name is not closed"),
            ("[a]\n  word", "2:3 this line has no `=`"),
            ("[a]\n=1", "2:1 nothing stands before the `=`"),
            ("[a](b)", "1:5 no template `b` stands before this section"),
            ("[a](+)", "1:5 `(+)` adds to the section `a`, which is not there"),
            ("[a](!", "1:4 the options of a section are not closed"),
            ("[a]\n;-- x", "2:1 this block comment is never closed"),
            ("#exec ls", "1:1 `#exec` is not run here"),
            ("[a]\n#inclued x", "2:1 no directive is called `#inclued`"),
            (
                "#include nowhere.conf",
                "1:10 cannot read `./nowhere.conf`: No such file or directory (os error 2)",
            ),
            ("#include", "1:1 this includes nothing"),
            ("[]", "1:1 a section without a name"),
            ("[a] b", "1:5 something follows the section name"),
        ];
        for (text, error) in rows {
            assert!(parse(text).1.contains(&error.to_owned()), "{text}: {:?}", parse(text).1);
        }
    }
}
