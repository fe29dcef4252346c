//! Call pickup: a phone answers a call that rings at another (RFC 3891, RFC 5359 §2.14).
//!
//! ```text
//! picker: INVITE with Replaces (of the dialog its lamp showed), or **6001, or *8
//!   (1) the caller takes Replaces and has an early dialog: the INVITE goes to the caller, with Replaces made right;
//!       the caller answers it and cancels its own INVITE, and the phones that ring stop
//!   (2) else the picker gets 480 and a call of its own: one more branch of the caller's INVITE, which answers itself
//! ```
//!
//! Nothing is disturbed where it is too late (481) or not allowed (403).

use super::context::Target;
use super::request::Draft;
use super::targets::{Asker, Found};
use crate::body::dialog_info::{DialogState, Direction};
use crate::calls::LegId;
use crate::names::Address;
use crate::node::Node;
use crate::notifier::subscription::Text;
use crate::notifier::user_agent_of;
use crate::reject::Reject;
use crate::router::Request;
use crate::settings::Peer;
use crate::time::Now;
use crate::ways::Reach;
use lampyris_sip::{Message, Name, Uri};

/// What stands before the Call-ID of a subscription in the call-id that chan_sip's documents name (`notifycid`).
const PICKUP_CALL_ID: &str = "pickup-";

/// A dialog as Replaces names it (RFC 3891 §6.1).
struct Replaces<'a> {
    call_id: &'a str,
    to_tag: &'a str,
    from_tag: &'a str,
}

impl<'a> Replaces<'a> {
    fn of(message: &'a Message) -> Option<Self> {
        let value = message.header(Name::Replaces)?;
        let (call_id, params) = value.split_once(';')?;
        let param = |name: &str| {
            let mut all = params.split(';').filter_map(|param| param.split_once('='));
            all.find(|(found, _)| found.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        Some(Self { call_id: call_id.trim(), to_tag: param("to-tag")?, from_tag: param("from-tag")? })
    }
}

/// What an INVITE that names a dialog, or a feature code, comes to.
pub(super) enum Pickup {
    /// It is none: it goes its ordinary way.
    No,
    /// It replaces an answered call: to the side that has it (RFC 3891 §3, attended transfer).
    Transfer(Found),
    /// Somebody else's ringing call, at this fork.
    Call(LegId),
}

impl Node {
    /// Whether an INVITE picks a call up, and which.
    ///
    /// # Errors
    /// 481 for a call that does not ring (any more), 403 for one that is not the picker's to take.
    pub(super) fn pickup(
        &self,
        request: &Request<'_>,
        asker: &Asker<'_>,
        uri: &str,
    ) -> Result<Pickup, Reject> {
        let address = self.address(uri)?;
        if let Some(replaces) = Replaces::of(request.message) {
            return self.replaced(request, asker, &replaces, address.as_ref());
        }
        let Some(address) = address else { return Ok(Pickup::No) };
        let routing = &self.facts.settings.routing;
        if !routing.group_pickup_code.is_empty() && address.user == routing.group_pickup_code {
            let picker = self.picker(request).ok_or(Reject::Forbidden)?;
            let peers = self.facts.settings.peers.values();
            let group: Vec<_> = peers.filter(|peer| shares_group(picker, peer)).collect();
            return self.ringing_at(&group).map(Pickup::Call).ok_or(Reject::NoSuchDialog);
        }
        let code = routing.pickup_code.as_str();
        let Some(extension) =
            address.user.strip_prefix(code).filter(|rest| !code.is_empty() && !rest.is_empty())
        else {
            return Ok(Pickup::No);
        };
        // Why: a dialplan may use the code for something of its own.
        if self.called(asker, &address).is_ok_and(|(_, peers)| !peers.is_empty())
            && self.is_dialled(asker, &address)
        {
            return Ok(Pickup::No);
        }
        let extension = Address { user: extension.to_owned(), ..address.clone() };
        self.directed(request, asker, &extension)
    }

    /// Whether the dialplan names exactly what was dialled.
    fn is_dialled(&self, asker: &Asker<'_>, address: &Address) -> bool {
        self.facts.settings.dialplan.lookup(asker.context, &address.user).is_some()
            || self.peer_named(address.domain, &address.user).is_some()
    }

    /// The call that rings at an extension.
    fn directed(
        &self,
        request: &Request<'_>,
        asker: &Asker<'_>,
        address: &Address,
    ) -> Result<Pickup, Reject> {
        let (_, peers) = self.called(asker, address)?;
        let picker = self.picker(request).ok_or(Reject::Forbidden)?;
        let allowed: Vec<_> = peers.iter().copied().filter(|peer| may_pick_up(picker, peer)).collect();
        if allowed.is_empty() {
            return Err(Reject::Forbidden);
        }
        self.ringing_at(&allowed).map(Pickup::Call).ok_or(Reject::NoSuchDialog)
    }

    /// The call that an INVITE with Replaces is about.
    fn replaced(
        &self,
        request: &Request<'_>,
        asker: &Asker<'_>,
        replaces: &Replaces<'_>,
        address: Option<&Address>,
    ) -> Result<Pickup, Reject> {
        if let Some(subscription) = replaces.call_id.strip_prefix(PICKUP_CALL_ID) {
            let address = address.ok_or(Reject::NoSuchDialog)?;
            if !self.is_watched_by(request, asker, address, subscription) {
                return Err(Reject::NoSuchDialog);
            }
            return self.directed(request, asker, address);
        }
        let calls = &self.facts.calls;
        let found = calls.replaced(replaces.call_id, replaces.to_tag, replaces.from_tag);
        // Why: a dialog that does not pass here is its own phones' to judge.
        let Some((dialog, side)) = found else { return Ok(Pickup::No) };
        match calls.state_of(dialog) {
            Some(DialogState::Confirmed) => {
                let party = calls.party(dialog, side).ok_or(Reject::NoSuchDialog)?;
                let target = Target {
                    flow: party.flow,
                    peer: party.peer.clone(),
                    routes: party.routes.clone(),
                    ..Target::new(party.target.clone(), Reach::Of(asker.flow.remote().ip()))
                };
                let asked = party.target.clone();
                Ok(Pickup::Transfer(Found::one(target, asked)))
            }
            Some(DialogState::Terminated) | None => Err(Reject::NoSuchDialog),
            Some(DialogState::Trying | DialogState::Proceeding | DialogState::Early) => {
                let callee = calls.callee(dialog.leg()).and_then(|party| party.peer.as_ref());
                let callee = callee.and_then(|name| self.facts.settings.peers.get(name));
                let picker = self.picker(request).ok_or(Reject::Forbidden)?;
                let allowed = callee.is_none_or(|callee| may_pick_up(picker, callee));
                allowed.then_some(Pickup::Call(dialog.leg())).ok_or(Reject::Forbidden)
            }
        }
    }

    /// Whether the picker has a subscription with this Call-ID to what it asks for.
    fn is_watched_by(
        &self,
        request: &Request<'_>,
        asker: &Asker<'_>,
        address: &Address,
        call_id: &str,
    ) -> bool {
        let Ok((key, _)) = self.called(asker, address) else { return false };
        let resource = self.facts.resources.find(&key).and_then(|id| self.facts.resources.get(id));
        let watchers = resource.into_iter().flat_map(|r| r.packages.iter().flat_map(|p| p.watchers.iter()));
        watchers.filter_map(|slot| self.subscriptions.get(*slot)).any(|subscription| {
            subscription.text(Text::CallId) == call_id
                && request.identity.peer.as_deref() == Some(subscription.text(Text::Watcher))
        })
    }

    fn picker(&self, request: &Request<'_>) -> Option<&Peer> {
        request.identity.peer.as_ref().and_then(|name| self.facts.settings.peers.get(name))
    }

    /// The call that has rung longest at one of these peers.
    fn ringing_at(&self, peers: &[&Peer]) -> Option<LegId> {
        let views = peers.iter().flat_map(|peer| self.facts.calls.dialogs_of(&peer.name));
        let ringing = views.filter(|view| {
            view.direction == Direction::Recipient
                && matches!(view.state, DialogState::Early | DialogState::Proceeding | DialogState::Trying)
        });
        ringing.min_by_key(|view| view.began_at).map(|view| view.leg)
    }

    /// Takes a ringing call for the sender of an INVITE.
    ///
    /// # Errors
    /// 481: too late. 480: the picker will be called instead.
    pub(super) fn pick_up(
        &mut self,
        now: Now,
        request: &Request<'_>,
        draft: &Draft<'_>,
        leg: LegId,
    ) -> Result<Option<Found>, Reject> {
        let slot = self.proxy.of_call(leg.call()).ok_or(Reject::NoSuchDialog)?;
        let context = self.proxy.context(slot).filter(|context| !context.answered && !context.closed);
        let context = context.ok_or(Reject::NoSuchDialog)?;
        let caller = &context.request;
        let takes_replaces = caller.has_token(Name::Supported, "replaces");
        let tag = self.facts.calls.ringing_tag(leg);
        let from_tag = caller.from_tag().unwrap_or("");
        if let Some(tag) = tag.filter(|_| takes_replaces) {
            let replaces = format!("{};to-tag={from_tag};from-tag={tag};early-only", caller.call_id());
            let target = self.caller_target(slot, replaces);
            if let Some(context) = self.proxy.context_mut(slot) {
                context.picked_up = true;
            }
            let asked = self.proxy.context(slot).map_or_else(String::new, |context| context.asked.clone());
            let found = |target| Found::one(target, asked);
            return Ok(target.map(found));
        }
        let target = self.picker_target(request, draft).ok_or(Reject::NoSuchDialog)?;
        self.reject(now, request, &Reject::TemporarilyUnavailable);
        self.begin_branch(now, slot, target);
        Ok(None)
    }

    /// Where the caller of a pending INVITE is.
    fn caller_target(&self, slot: u32, replaces: String) -> Option<Target> {
        let context = self.proxy.context(slot)?;
        let contact = context.request.contacts().next().and_then(lampyris_sip::Contact::addr)?;
        let party = self.facts.calls.caller(context.call?)?;
        let nat = party.peer.as_ref().and_then(|name| self.facts.settings.peers.get(name));
        let nat = nat.map_or(crate::settings::Nat::Auto, |peer| peer.nat);
        let direct = party.routes.is_empty().then(|| self.contact_flow(contact.uri(), context.flow, nat));
        Some(Target {
            flow: direct.flatten(),
            peer: party.peer.clone(),
            routes: party.routes.clone(),
            added: vec![(Name::Replaces.as_str().to_owned(), replaces)],
            ..Target::new(contact.uri().to_owned(), Reach::Of(context.flow.remote().ip()))
        })
    }

    /// The picker as a target that answers by itself (RFC 5373, and what phones took before it).
    fn picker_target(&self, request: &Request<'_>, draft: &Draft<'_>) -> Option<Target> {
        let contact = request.message.contacts().next().and_then(lampyris_sip::Contact::addr)?;
        let peer = self.picker(request)?;
        let profile = self.profile_for(Some(&peer.name), user_agent_of(request.message));
        let profile = self.facts.settings.profiles.get(usize::from(profile));
        let mut added = vec![("Answer-Mode".to_owned(), "Auto".to_owned())];
        let own = profile.map_or(&[][..], |profile| &profile.auto_answer);
        if !own.iter().any(|(name, _)| name.eq_ignore_ascii_case("Call-Info")) {
            let host = Uri::parse(request.message.to().uri()).ok()?.host().to_string();
            added.push(("Call-Info".to_owned(), format!("<sip:{host}>;answer-after=0")));
        }
        added.extend(own.iter().cloned());
        Some(Target {
            flow: self.contact_flow(contact.uri(), draft.flow, peer.nat),
            peer: Some(peer.name.clone()),
            added,
            ..Target::new(contact.uri().to_owned(), Reach::Of(draft.flow.remote().ip()))
        })
    }
}

/// Whether a peer may take calls of another by name: one that is in groups shows its calls to those who may pick these up.
fn may_pick_up(picker: &Peer, callee: &Peer) -> bool {
    picker.domain == callee.domain && (callee.call_groups.is_empty() || shares_group(picker, callee))
}

/// Whether a peer's calls belong to a group whose calls the other may pick up.
fn shares_group(picker: &Peer, callee: &Peer) -> bool {
    picker.domain == callee.domain
        && callee.call_groups.iter().any(|group| picker.pickup_groups.contains(group))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_state::DeviceName;

    #[test]
    fn who_may_pick_up_whose_calls() {
        let peer = |calls: &[&str], pickups: &[&str]| {
            let mut peer = Peer::named("x", DeviceName::parse("SIP/x").unwrap());
            peer.call_groups = calls.iter().map(|group| (*group).to_owned()).collect();
            peer.pickup_groups = pickups.iter().map(|group| (*group).to_owned()).collect();
            peer
        };
        for (picker, callee, by_name, by_group) in [
            (peer(&[], &[]), peer(&[], &[]), true, false),
            (peer(&[], &["1"]), peer(&[], &[]), true, false),
            (peer(&[], &["1"]), peer(&["1"], &[]), true, true),
            (peer(&["1"], &["2"]), peer(&["1"], &["2"]), false, false),
            (peer(&[], &["sales", "3"]), peer(&["3"], &[]), true, true),
        ] {
            assert_eq!((may_pick_up(&picker, &callee), shares_group(&picker, &callee)), (by_name, by_group));
        }
        let mut elsewhere = peer(&[], &["1"]);
        elsewhere.domain = 1;
        assert!(!may_pick_up(&elsewhere, &peer(&[], &[])) && !shares_group(&elsewhere, &peer(&["1"], &[])));
    }
}
