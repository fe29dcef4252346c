//! Provisioning snippets: `vendors.toml`, and how its templates are filled in.
//!
//! In: a vendor's templates and [`Values`]. Out: [`Snippet`]s, each the lines of one file, every value escaped for the
//! place it stands in. It knows no vendor and prints nothing.

use super::super::failure::Failure;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

const VENDORS: &str = include_str!("vendors.toml");

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    vendor: Vec<Vendor>,
}

/// A maker of phones, or a series of one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vendor {
    /// As typed.
    pub(super) name: String,
    /// For people.
    pub(super) title: String,
    /// The server's profile for it.
    pub(super) profile: String,
    /// What one has to know beside the lines.
    #[serde(default)]
    pub(super) notes: Vec<String>,
    part: Vec<Part>,
}

/// One file or page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    r#where: String,
    format: Format,
    #[serde(default)]
    comment: String,
    /// It is there only if one of these was asked for; always where it names none.
    #[serde(default)]
    wants: Vec<Want>,
    #[serde(default = "one")]
    first: usize,
    #[serde(default)]
    head: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    ext: String,
    #[serde(default)]
    list: String,
    #[serde(default)]
    foot: String,
}

const fn one() -> usize {
    1
}

/// How a part is written.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// Lines of names and values.
    Keys,
    /// One element.
    Xml,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Want {
    User,
    Ext,
    List,
}

/// What the placeholders stand for.
#[derive(Debug)]
pub(super) struct Values {
    /// Extensions to be watched.
    pub(super) extensions: Vec<String>,
    /// A list's user part and host.
    pub(super) list: Option<(String, String)>,
    /// Where the server is.
    pub(super) server: String,
    /// The phone's own name.
    pub(super) user: Option<String>,
}

/// One file's lines.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Snippet {
    /// Where they go.
    pub(super) r#where: String,
    /// How they are written.
    pub(super) format: Format,
    #[serde(skip)]
    comment: String,
    /// The lines.
    pub(super) text: String,
}

/// Every vendor, in the order of the file.
///
/// # Errors
/// The file compiled in is broken, which a test excludes.
pub(super) fn vendors() -> Result<Vec<Vendor>, Failure> {
    let catalogue: Result<Catalogue, _> = toml::from_str(VENDORS);
    catalogue
        .map(|catalogue| catalogue.vendor)
        .map_err(|error| Failure::Refused(format!("the vendors' templates cannot be read: {error}")))
}

impl Vendor {
    /// The snippets for these values.
    pub(super) fn snippets(&self, values: &Values) -> Vec<Snippet> {
        self.part.iter().filter_map(|part| part.snippet(values)).collect()
    }
}

impl Part {
    fn snippet(&self, values: &Values) -> Option<Snippet> {
        let asked = |want: &Want| match want {
            Want::User => values.user.is_some(),
            Want::Ext => !values.extensions.is_empty(),
            Want::List => values.list.is_some(),
        };
        if !self.wants.is_empty() && !self.wants.iter().any(asked) {
            return None;
        }
        let next = self.first + if self.ext.is_empty() { 0 } else { values.extensions.len() };
        let filled = |template: &str, extension: &str, n: usize| {
            let (list, host) = values.list.as_ref().map_or(("", ""), |(list, host)| (list, host));
            let known = [
                ("ext", self.escaped(extension)),
                ("server", self.escaped_host(&values.server)),
                ("user", self.escaped(values.user.as_deref().unwrap_or(""))),
                ("list", self.escaped(list)),
                ("listhost", self.escaped_host(host)),
                ("n", n.to_string()),
                ("next", next.to_string()),
            ];
            fill(template, &known)
        };
        let mut text = filled(&self.head, "", self.first);
        if values.user.is_some() {
            text += &filled(&self.user, "", self.first);
        }
        for (at, extension) in values.extensions.iter().enumerate() {
            text += &filled(&self.ext, extension, self.first + at);
        }
        if values.list.is_some() {
            text += &filled(&self.list, "", self.first);
        }
        text += &filled(&self.foot, "", self.first);
        let (r#where, comment) = (self.r#where.clone(), self.comment.clone());
        (!text.is_empty()).then_some(Snippet { r#where, format: self.format, comment, text })
    }

    /// A user part for this format. Whatever may mean something to a file of keys is escaped as in a SIP URI (RFC 3261
    /// §19.1.2), where that changes nothing.
    fn escaped(&self, user: &str) -> String {
        let mut out = String::new();
        for c in lampyris_sip::uri::escape_user(user).chars() {
            match c {
                ';' | ',' | '=' | '?' | '/' => out.push_str(&format!("%{:02X}", u32::from(c))),
                c => out.push(c),
            }
        }
        self.escaped_host(&out)
    }

    fn escaped_host(&self, host: &str) -> String {
        match self.format {
            Format::Keys => host.to_owned(),
            Format::Xml => xml(host).into_owned(),
        }
    }
}

/// Text for an element or an attribute.
fn xml(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return text.into();
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;").into()
}

/// A template with its placeholders replaced, once: what a value holds is not looked at again.
fn fill(template: &str, known: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let placeholder = after.split_once('}');
        let found = placeholder.and_then(|(name, after)| {
            known.iter().find(|(known, _)| *known == name).map(|(_, value)| (value, after))
        });
        match found {
            Some((value, after)) => {
                out.push_str(value);
                rest = after;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

impl Snippet {
    /// A comment in the manner of this file.
    pub(super) fn commented(&self, text: &str) -> String {
        match self.format {
            Format::Keys => format!("{} {text}\n", self.comment),
            Format::Xml => format!("<!-- {text} -->\n"),
        }
    }
}
