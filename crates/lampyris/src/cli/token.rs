//! `lampyris token ...`: who may use the HTTP API.
//!
//! A token is printed once, when it is made; the server keeps only its hash.

use super::client::{Client, unexpected};
use super::failure::Failure;
use super::table::{self, Column};
use super::{Context, Verb, text};
use crate::admin::protocol::{Request, Response};
use crate::http::tokens::Scope;
use clap::{Args, FromArgMatches};
use serde_json::json;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "token",
    about: "Make, list and revoke the tokens of the HTTP API",
    examples: &[
        ("token create wall --scope board:read", "for a screen on the wall"),
        ("token create button --scope state:write:alice", "for a button that sets Alice's state"),
        ("token list", "those there are, without their secrets"),
        ("token revoke 1f2e3d4c", "from now on it is good for nothing"),
        ("token link", "a link that lets an administrator in once"),
    ],
    args: TokenArgs::augment_args,
    run: |matches, context| run(TokenArgs::from_arg_matches(matches)?.action, context),
};

#[derive(Debug, clap::Args)]
struct TokenArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a token and print it, once
    Create {
        /// For people: what it is for
        #[arg(value_name = "NAME")]
        name: String,
        /// board:read, state:write:NAME (or *), metrics:read or admin; may be given several times
        #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = scope)]
        scopes: Vec<Scope>,
    },
    /// List all tokens
    List,
    /// Forget a token
    Revoke {
        /// As listed
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Print a link that makes whoever opens it first an administrator
    Link,
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::try_from(text.to_owned())
}

fn run(action: Action, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut client = Client::connect(&context.data)?;
    match action {
        Action::Create { name, scopes } => match client.request(&Request::CreateToken { name, scopes })? {
            Response::Token(made) if context.json => context.print_json(&json!(made)),
            Response::Token(made) => context.print(&format!("{}\n", made.token)),
            other => Err(unexpected(&other)),
        },
        Action::List => match client.request(&Request::Tokens)? {
            Response::Tokens(tokens) if context.json => context.print_json(&json!(tokens)),
            Response::Tokens(tokens) => {
                let joined =
                    |scopes: &[Scope]| scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                let rows = tokens.iter();
                let rows =
                    rows.map(|token| vec![token.id.clone(), token.name.clone(), joined(&token.scopes)]);
                let columns = [Column::Text("ID"), Column::Long("Name"), Column::Text("Scopes")];
                context.print(&table::render(&columns, &rows.collect::<Vec<_>>(), context.width))
            }
            other => Err(unexpected(&other)),
        },
        Action::Revoke { id } => {
            client.done(&Request::RevokeToken { id: id.clone() })?;
            match context.json {
                true => context.print_json(&json!({ "revoked": id })),
                false => context.print(&format!("{} is revoked\n", text::line(&id))),
            }
        }
        Action::Link => {
            let link = client.done(&Request::Link)?;
            match context.json {
                true => context.print_json(&json!({ "link": link })),
                false => context.print(&format!("{link}\n")),
            }
        }
    }
}
