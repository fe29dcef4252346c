//! `lampyris phone VENDOR`: the lines that make a phone of this maker watch lamps.
//!
//! In: extensions, a list, the server's name. Out: provisioning snippets from `vendors.toml`, with comments that say where
//! each goes. It asks no server and reads no configuration.

mod template;

use super::failure::Failure;
use super::table::{self, Column};
use super::{Context, Verb};
use crate::config::{built_in_profiles, did_you_mean};
use clap::{Args, FromArgMatches};
use lampyris_core::settings::{Pickup, Profile};
use lampyris_sip::Uri;
use serde::Serialize;
use template::{Snippet, Values, Vendor, vendors};

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "phone",
    about: "Print what to write into a phone's provisioning, by its maker",
    examples: &[
        ("phone", "the makers it knows"),
        ("phone yealink --ext 6001 --ext 6002 --server pbx.example.com", "two lamps"),
        ("phone polycom --ext 6001 --user alice", "the account too, and both ways to watch"),
        ("phone grandstream --list board --json", "one list instead of many lamps, for programs"),
    ],
    args: PhoneArgs::augment_args,
    run: |matches, context| run(&PhoneArgs::from_arg_matches(matches)?, context),
};

/// What is printed where nothing was asked for.
const EXAMPLE_EXTENSION: &str = "6001";
const EXAMPLE_LIST: &str = "board";

/// A maker of phones, for programs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Maker {
    /// As in `yealink`.
    vendor: String,
    /// The phones meant.
    title: String,
    /// The server's profile for them.
    profile: String,
}

impl Maker {
    /// Its name, and the phones meant.
    #[cfg(test)]
    pub(crate) fn names(&self) -> (&str, &str) {
        (&self.vendor, &self.title)
    }
}

/// A maker's lines as a section of the manual.
#[cfg(test)]
pub(crate) fn page(title: &str, lines: &Provisioning) -> String {
    let mut out = format!(
        "\n## {title}\n\n`lampyris phone {}`; treated by the profile `{}`.",
        lines.vendor, lines.profile
    );
    if let Some(pickup) = lines.pickup {
        let how = if pickup == "code" { "by calling a feature code" } else { "with Replaces" };
        out += &format!(" It picks up a call {how}.");
    }
    out.push('\n');
    if !lines.notes.is_empty() {
        out.push('\n');
    }
    for note in &lines.notes {
        out += &format!("- {note}\n");
    }
    for part in &lines.parts {
        out += &format!("\nInto {}:\n\n```text\n{}\n```\n", part.r#where, part.text.trim_end());
    }
    out
}

/// What makes a phone of one maker watch lamps, for programs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Provisioning {
    /// As in `yealink`.
    vendor: String,
    /// The phones meant.
    title: String,
    /// The server's profile for them.
    profile: String,
    /// How it picks up: `replaces` or `code`.
    #[schema(value_type = Option<String>)]
    pickup: Option<&'static str>,
    /// Header lines of a call it answers by itself.
    auto_answer: Vec<String>,
    /// What one has to know beside the lines.
    notes: Vec<String>,
    /// The lines of each file or page.
    parts: Vec<Snippet>,
}

#[derive(Debug, clap::Args)]
struct PhoneArgs {
    /// As in yealink; without it the makers are listed
    #[arg(value_name = "VENDOR")]
    vendor: Option<String>,
    /// Extension to be watched; may stand several times [without --ext and --list: both, as an example]
    #[arg(long = "ext", value_name = "EXTENSION")]
    extensions: Vec<String>,
    /// List to be watched by one subscription, as in board or board@example.com
    #[arg(long, value_name = "LIST")]
    list: Option<String>,
    /// Domain or host the phone registers with
    #[arg(long, value_name = "HOST", default_value = "example.com")]
    server: String,
    /// The phone's own name there; adds its account
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

fn run(args: &PhoneArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let Some(name) = &args.vendor else { return list(context) };
    let vendors = vendors()?;
    let vendor = find(&vendors, name)?;
    let values = values(args)?;
    if context.json {
        return context.print_json(&for_programs(&filled(vendor, &values))?);
    }
    let snippets = vendor.snippets(&values);
    let profiles = built_in_profiles();
    let profile = profiles.iter().find(|profile| profile.name == vendor.profile);
    let mut out = String::new();
    for (at, snippet) in snippets.iter().enumerate() {
        if at == 0 {
            out += &snippet.commented(&vendor.title);
            for remark in profile.map(remarks).unwrap_or_default().iter().chain(&vendor.notes) {
                out += &snippet.commented(remark);
            }
        }
        out += &format!("\n{}{}", snippet.commented(&format!("into {}:", snippet.r#where)), snippet.text);
    }
    context.print(&out)
}

fn for_programs(value: &impl Serialize) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::Refused(error.to_string()))
}

fn find<'a>(vendors: &'a [Vendor], name: &str) -> Result<&'a Vendor, Failure> {
    let found = vendors.iter().find(|vendor| vendor.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let fix = match did_you_mean(name, vendors.iter().map(|vendor| vendor.name.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`lampyris phone` lists those there are".to_owned(),
        };
        Failure::Usage(format!("there is no vendor `{name}`; {fix}"))
    })
}

/// Every maker there is.
///
/// # Errors
/// An own bug: the built-in table cannot be read.
pub(crate) fn makers() -> Result<Vec<Maker>, Failure> {
    let maker = |Vendor { name, title, profile, .. }| Maker { vendor: name, title, profile };
    Ok(vendors()?.into_iter().map(maker).collect())
}

/// The lines for a phone of this maker that watches `extensions` on `server`, with its account where `user` is given.
///
/// # Errors
/// The maker is unknown, or a value is none.
pub(crate) fn provisioning(
    maker: &str,
    extensions: Vec<String>,
    server: String,
    user: Option<String>,
) -> Result<Provisioning, Failure> {
    let args = PhoneArgs { vendor: None, extensions, list: None, server, user };
    let vendors = vendors()?;
    Ok(filled(find(&vendors, maker)?, &values(&args)?))
}

fn filled(vendor: &Vendor, values: &Values) -> Provisioning {
    let profiles = built_in_profiles();
    let profile = profiles.iter().find(|profile| profile.name == vendor.profile);
    Provisioning {
        vendor: vendor.name.clone(),
        title: vendor.title.clone(),
        profile: vendor.profile.clone(),
        pickup: profile.map(|profile| profile.pickup.name()),
        auto_answer: profile.map(header_lines).unwrap_or_default(),
        notes: vendor.notes.clone(),
        parts: vendor.snippets(values),
    }
}

fn list(context: &mut Context<'_>) -> Result<(), Failure> {
    let makers = makers()?;
    if context.json {
        return context.print_json(&for_programs(&makers)?);
    }
    let columns = [Column::Text("Vendor"), Column::Long("Phones"), Column::Text("Profile")];
    let row = |maker: &Maker| vec![maker.vendor.clone(), maker.title.clone(), maker.profile.clone()];
    let rows: Vec<_> = makers.iter().map(row).collect();
    let table = table::render(&columns, &rows, context.width);
    context.print(&table)
}

/// What was typed, as far as it can be an address; example values where nothing was.
fn values(args: &PhoneArgs) -> Result<Values, Failure> {
    if !is_host(&args.server) {
        return Err(Failure::Usage(format!("--server `{}` is no host", args.server)));
    }
    let empty = args.extensions.iter().chain(&args.user).any(|text| text.is_empty());
    if empty {
        return Err(Failure::Usage("--ext and --user need at least one character".to_owned()));
    }
    let example = args.extensions.is_empty() && args.list.is_none();
    let list = args.list.as_deref().or(example.then_some(EXAMPLE_LIST));
    let list = match list {
        None => None,
        Some(typed) => {
            let bare = typed.strip_prefix("sip:").unwrap_or(typed);
            let (user, host) = bare.rsplit_once('@').unwrap_or((bare, &args.server));
            if user.is_empty() || !is_host(host) {
                return Err(Failure::Usage(format!("--list `{typed}` is no address")));
            }
            Some((user.to_owned(), host.to_owned()))
        }
    };
    let mut extensions = args.extensions.clone();
    if example {
        extensions.push(EXAMPLE_EXTENSION.to_owned());
    }
    Ok(Values { extensions, list, server: args.server.clone(), user: args.user.clone() })
}

/// Whether this is a host, maybe with a port, and nothing more.
fn is_host(text: &str) -> bool {
    let uri = format!("sip:{text}");
    let Ok(uri) = Uri::parse(&uri) else { return false };
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    uri.user().is_none() && text.eq_ignore_ascii_case(&format!("{}{port}", uri.host_str()))
}

fn header_lines(profile: &Profile) -> Vec<String> {
    profile.auto_answer.iter().map(|(name, value)| format!("{name}: {value}")).collect()
}

/// What the server knows of such a phone.
fn remarks(profile: &Profile) -> Vec<String> {
    let pickup = match profile.pickup {
        Pickup::Replaces => "it picks up a call by Replaces",
        Pickup::Code => "it picks up a call by calling a feature code",
    };
    let mut remarks = vec![format!("lampyris treats it by the profile `{}`; {pickup}", profile.name)];
    let headers = header_lines(profile);
    if !headers.is_empty() {
        remarks.push(format!("a call that it is to answer by itself has: {}", headers.join(", ")));
    }
    remarks
}

#[cfg(test)]
mod tests;
