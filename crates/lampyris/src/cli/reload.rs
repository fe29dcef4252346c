//! `lampyris reload`: the server reads its configuration again, all of it or nothing.

use super::client::{Client, unexpected};
use super::failure::Failure;
use super::{Context, Verb, text};
use crate::admin::protocol::{Request, Response};
use serde_json::json;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "reload",
    about: "Let the server read its configuration again; a bad one changes nothing",
    examples: &[("reload", "all errors are printed if it is refused")],
    args: |command| command,
    run: |_, context| run(context, "configuration reloaded\n"),
};

/// Reloads; `done` is what a person is told.
pub(crate) fn run(context: &mut Context<'_>, done: &str) -> Result<(), Failure> {
    let mut client = Client::connect(&context.data)?;
    match client.request(&Request::Reload)? {
        Response::Reloaded(said) if context.json => {
            context.print_json(&json!({ "done": true, "warnings": said.diagnostics, "remarks": said.text }))
        }
        Response::Reloaded(said) => {
            let warnings = text::lines(&said.text);
            let end = if warnings.is_empty() || warnings.ends_with('\n') { "" } else { "\n" };
            context.print(&format!("{warnings}{end}{done}"))
        }
        Response::Misconfigured(said) => {
            Err(Failure::Configuration { diagnostics: said.diagnostics.into(), rendered: said.text })
        }
        other => Err(unexpected(&other)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::{Fake, context};
    use super::*;

    #[test]
    fn good_and_bad_configurations() {
        let rows = [
            ("good", r#"{"reloaded":{"text":"","diagnostics":[]}}"#, Ok("reloaded\n")),
            (
                "warned",
                r#"{"reloaded":{"text":"warning: x","diagnostics":[]}}"#,
                Ok("warning: x\nreloaded\n"),
            ),
            ("bad", r#"{"misconfigured":{"text":"error: y","diagnostics":[]}}"#, Err(4)),
            ("refused", r#"{"error":{"text":"stopping"}}"#, Err(1)),
        ];
        for (name, answer, expected) in rows {
            let fake = Fake::answering(&format!("reload-{name}"), &[answer]);
            let mut out = Vec::new();
            let mut context = context(&fake.data, false, &mut out);
            let ran = run(&mut context, "reloaded\n").map_err(|failure| failure.exit_code());
            let ran = ran.map(|()| String::from_utf8(out).expect("UTF-8"));
            assert_eq!(ran.as_deref().map_err(|code| *code), expected, "{name}");
            assert_eq!(fake.asked(), [r#""reload""#]);
        }
    }
}
