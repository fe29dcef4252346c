//! `lampyris stop`: end the server gracefully, and wait until it is gone.

use super::client::Client;
use super::failure::Failure;
use super::{Context, Verb};
use crate::admin::protocol::Request;
use serde_json::json;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "stop",
    about: "Stop the server gracefully; subscriptions are kept or ended as configured",
    examples: &[("stop", "comes back when the server is gone")],
    args: |command| command,
    run: |_, context| run(context),
};

/// Stops the server and waits for the end of the connection, which is the end of the server.
pub(crate) fn run(context: &mut Context<'_>) -> Result<(), Failure> {
    let mut client = Client::connect(&context.data)?;
    client.done(&Request::Stop)?;
    wait(&mut client)?;
    if context.json {
        return context.print_json(&json!({ "done": true }));
    }
    context.print("stopped\n")
}

/// Waits for the end of a server that was asked to stop.
pub(crate) fn wait(client: &mut Client) -> Result<(), Failure> {
    loop {
        match client.next() {
            Ok(_) => {}
            Err(Failure::NoServer { .. }) => return Ok(()),
            Err(other) => return Err(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::{Fake, context};
    use super::*;

    #[test]
    fn it_waits_for_the_end() {
        let fake = Fake::answering("stop", &[r#"{"done":{"text":"stopping"}}"#]);
        let mut out = Vec::new();
        let mut context = context(&fake.data, false, &mut out);
        run(&mut context).expect("stopped");
        assert_eq!(out, b"stopped\n");
        assert_eq!(fake.asked(), [r#""stop""#]);
    }
}
