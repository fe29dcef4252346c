//! `reg` (RFC 3680): where a user is registered.

use super::{Audience, BodyFormat, EventPackage, PublishFormat, StateKind, Watched};
use crate::body::reginfo::{self, Contact, ContactEvent, Registration};
use crate::gruu;
use crate::journal::BindingRecord;
use crate::register::quoted;
use crate::registrar::{Ended, contact_id};
use crate::view_of::View;
use lampyris_sip::NameAddr;
use std::convert::Infallible;

/// Contact parameters that RFC 3261 §20.10 defines; what is none of them is an `unknown-param`.
const KNOWN_PARAMS: [&str; 2] = ["q", "expires"];

/// The package.
pub(crate) struct RegPackage;

impl EventPackage for RegPackage {
    type State = Registration;
    type Published = Infallible;
    const NAME: &'static str = "reg";
    const SPEC: &'static str = "RFC 3680";
    const DEPENDS_ON: &'static [StateKind] = &[StateKind::Bindings];
    const AUDIENCE: Audience = Audience::Owner;
    const WATCHES: Watched = Watched::Users;

    fn formats(&self) -> &'static [BodyFormat<Registration>] {
        &[BodyFormat { content_type: reginfo::CONTENT_TYPE, encode: |state, _, _| state.encode() }]
    }

    fn publishable(&self) -> &'static [PublishFormat<Infallible>] {
        &[]
    }

    fn compose(&self, view: &View<'_>) -> Registration {
        let (aor, registrar) = (view.aor(), view.registrar());
        let active = registrar.bindings(&aor).iter().map(|binding| {
            let refreshed = registrar.is_refreshed(&aor, binding);
            let event = if refreshed { ContactEvent::Refreshed } else { ContactEvent::Registered };
            let first_cseq = binding.gruu.map_or(0, |gruu| gruu.first_cseq);
            let temporary_gruu = registrar.temporary(&aor, binding).map(|uri| (uri, first_cseq));
            let public_gruu = gruu::public(&aor, binding);
            Contact { public_gruu, temporary_gruu, ..contact(binding, event) }
        });
        let ended = registrar.ended(&aor).iter().map(|Ended { binding, event, .. }| contact(binding, *event));
        let contacts = active.chain(ended).collect();
        Registration { aor, contacts }
    }

    fn withheld(&self, view: &View<'_>) -> Registration {
        Registration { aor: view.aor(), contacts: Vec::new() }
    }

    fn replaces(&self, old: &Infallible, _new: &Infallible) -> bool {
        match *old {}
    }

    fn summary(&self, published: &Infallible) -> String {
        match *published {}
    }
}

fn contact(binding: &BindingRecord, event: ContactEvent) -> Contact {
    let value = format!("<{}>{}", binding.contact, binding.params);
    let params: Vec<(String, String)> = NameAddr::parse(&value).map_or_else(
        |_| Vec::new(),
        |name| {
            name.params().iter().map(|(name, value)| (name.to_owned(), quoted(value.unwrap_or("")))).collect()
        },
    );
    let known = |name: &str| KNOWN_PARAMS.iter().any(|known| name.eq_ignore_ascii_case(known));
    let (own, unknown): (Vec<_>, Vec<_>) = params.into_iter().partition(|(name, _)| known(name));
    Contact {
        id: contact_id(binding),
        event,
        uri: binding.contact.clone(),
        expires_at: binding.expires_at,
        q: own.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("q")).map(|(_, q)| q),
        call_id: binding.call_id.clone(),
        cseq: binding.cseq,
        params: unknown,
        // RFC 5627 §5.3: with a binding its GRUUs end.
        public_gruu: None,
        temporary_gruu: None,
    }
}
