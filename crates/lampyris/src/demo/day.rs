//! The office's day: scenes begin one after the other and overlap, each with colleagues who have nothing else to do.

use super::desk::{Colleague, Pace};
use super::scenes::{self, Scene};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Scenes at once.
const AT_ONCE: usize = 4;
/// How the day begins: everything there is to see, with these people.
const FIRST: [(Scene, &[&str]); 5] = [
    (Scene::CallerHolds, &["Carol", "Bob"]),
    (Scene::PickUp, &["Dave", "Erin", "Frank"]),
    (Scene::Away("Lunch"), &["Judy"]),
    (Scene::CalleeHolds, &["Grace", "Heidi"]),
    (Scene::NobodyThere, &["Ivan", "Olivia"]),
];

/// Plays scenes for ever; dropping it leaves calls as they are.
pub(super) async fn spend(mut free: Vec<Arc<Colleague>>, pace: Pace) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut first = FIRST.into_iter();
    let mut playing = JoinSet::new();
    loop {
        while playing.len() < AT_ONCE {
            let (scene, cast) = match first.next() {
                Some((scene, names)) => (scene, named(&mut free, names)),
                None => {
                    let scene = random.below(Scene::ALL.len()).and_then(|index| Scene::ALL.get(index));
                    let Some(scene) = scene.copied() else { continue };
                    (scene, anybody(&mut free, scene.cast(), &mut random))
                }
            };
            playing.spawn(async move {
                if let Err(error) = scenes::play(scene, &cast).await
                    && let Some(somebody) = cast.first()
                {
                    somebody.say(&format!("cannot: {error}"));
                }
                cast
            });
            pace.wait(9).await;
        }
        if let Some(Ok(cast)) = playing.join_next().await {
            free.extend(cast);
        }
    }
}

fn named(free: &mut Vec<Arc<Colleague>>, names: &[&str]) -> Vec<Arc<Colleague>> {
    let at = |free: &[Arc<Colleague>], name: &str| free.iter().position(|one| one.person.name == name);
    names.iter().filter_map(|name| at(free, name).map(|index| free.remove(index))).collect()
}

fn anybody(free: &mut Vec<Arc<Colleague>>, count: usize, random: &mut Random) -> Vec<Arc<Colleague>> {
    (0..count).filter_map(|_| random.below(free.len()).map(|index| free.remove(index))).collect()
}

/// The same day every time: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> Option<usize> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bound = u64::try_from(bound).ok().filter(|bound| *bound > 0)?;
        usize::try_from(self.0 % bound).ok()
    }
}
