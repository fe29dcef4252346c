//! What happens in an office: each scene with its cast, played over SIP by their phones.

use super::desk::{Colleague, Manner};
use crate::ua::{Call, CallState, UaError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a phone may take to ring or to be picked up, beyond what the scene wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// The first calls the second, and they talk.
    Talk,
    /// So, and the caller holds.
    CallerHolds,
    /// So, and who was called holds.
    CalleeHolds,
    /// Nobody answers, and the caller gives up.
    NobodyThere,
    /// Who is called is busy.
    Declined,
    /// The third takes the call that rings at the second.
    PickUp,
    /// Somebody is away from the desk.
    Away(&'static str),
    /// Somebody is in a meeting.
    Meeting(&'static str),
}

impl Scene {
    /// The scenes to choose from; calls more often than the rest.
    pub(super) const ALL: [Self; 9] = [
        Self::Talk,
        Self::CallerHolds,
        Self::Talk,
        Self::CalleeHolds,
        Self::PickUp,
        Self::NobodyThere,
        Self::Declined,
        Self::Away("Lunch"),
        Self::Meeting("In a meeting"),
    ];

    /// How many colleagues it takes.
    pub(super) const fn cast(self) -> usize {
        match self {
            Self::Talk | Self::CallerHolds | Self::CalleeHolds | Self::NobodyThere | Self::Declined => 2,
            Self::PickUp => 3,
            Self::Away(_) | Self::Meeting(_) => 1,
        }
    }

    /// What is done with the call by whom it is for.
    const fn manner(self) -> Manner {
        match self {
            Self::NobodyThere | Self::PickUp => Manner::LetsRing,
            Self::Declined => Manner::Declines,
            Self::CalleeHolds => Manner::AnswersAndHolds,
            _ => Manner::Answers,
        }
    }
}

/// Plays a scene to its end.
///
/// # Errors
/// The server refuses a publication.
pub(super) async fn play(scene: Scene, cast: &[Arc<Colleague>]) -> Result<(), UaError> {
    match (scene, cast) {
        (Scene::Away(note), [somebody]) => absent(somebody, "away", note).await,
        (Scene::Meeting(note), [somebody]) => absent(somebody, "meeting", note).await,
        (_, [caller, callee, others @ ..]) => {
            callee.behave(scene.manner());
            talk(scene, caller, callee, others.first()).await;
            callee.behave(Manner::Answers);
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn absent(somebody: &Colleague, activity: &str, note: &str) -> Result<(), UaError> {
    let word = if activity == "away" { "away" } else { "busy" };
    somebody.say(&format!("is {word}: {note}"));
    somebody.publish(activity, note).await?;
    somebody.pace.wait(110).await;
    somebody.say("is back");
    somebody.publish("", "Available").await
}

async fn talk(scene: Scene, caller: &Colleague, callee: &Colleague, third: Option<&Arc<Colleague>>) {
    let Some(phone) = caller.phone() else { return };
    let (pace, extension) = (caller.pace, callee.person.extension);
    caller.say(&format!("calls {} ({extension})", callee.person.name));
    let call = phone.call(extension);
    if !is_reached(&call, CallState::Ringing).await {
        caller.say(&format!("cannot reach {}", callee.person.name));
        return call.hang_up().await;
    }
    match (scene, third) {
        (Scene::PickUp, Some(third)) => {
            pace.wait(25).await;
            pick_up(third, callee).await;
        }
        (Scene::NobodyThere, _) => {
            pace.wait(45).await;
            caller.say("gives up: nobody answers");
        }
        _ if !is_reached(&call, CallState::Up).await => {}
        (Scene::CallerHolds, _) => {
            pace.wait(30).await;
            caller.hold_for_a_while(&call, 40).await;
            pace.wait(25).await;
        }
        (Scene::CalleeHolds, _) => pace.wait(85).await,
        _ => pace.wait(55).await,
    }
    if call.state() == CallState::Up {
        caller.say("hangs up");
    }
    call.hang_up().await;
}

/// Takes the call that rings at a colleague's, talks, and hangs up.
async fn pick_up(third: &Colleague, callee: &Colleague) {
    let Some(phone) = third.phone() else { return };
    let code = format!("**{}", callee.person.extension);
    third.say(&format!("dials {code}: picks up {}'s call", callee.person.name));
    let call = phone.call(&code);
    if is_reached(&call, CallState::Up).await {
        third.pace.wait(50).await;
        third.say("hangs up");
    }
    call.hang_up().await;
}

/// Waits until a call is that far; whether it came so far before it ended.
async fn is_reached(call: &Call, state: CallState) -> bool {
    let reached = timeout(PATIENCE, call.reached(state)).await;
    reached.is_ok_and(|now| !matches!(now, CallState::Ended(_)))
}
