//! GRUUs: URIs that lead to one phone of a user, wherever it registers (RFC 5627).
//!
//! The public one is the AOR with the instance in its `gr` parameter; it is good for as long as the AOR is, and nothing is
//! kept of it. A temporary one says nothing about whose it is: where the bindings of its AOR lie, the series it belongs to
//! and its number in it, encrypted and authenticated under a key of the node. Each REGISTER makes one, and all of a series
//! stay good until it ends, though only the bindings are kept:
//!
//! ```text
//! tgruu.base64url(tag | (slot, series, number) xor stream(tag))     tag = MAC(slot, series, number)
//! ```
//!
//! The tag is that of what it covers, so equal tags mean equal GRUUs, and two different ones have nothing in common that
//! can be seen without the key (§5.1). A series is a random number in each binding of the instance: it is gone with the
//! last of them, and another follows when a REGISTER has a new Call-ID.

use crate::flow::Flow;
use crate::journal::{BindingRecord, GruuRecord};
use crate::mac::{decode, encode, keyed};
use crate::names::Address;
use crate::node::Node;
use crate::registrar::Registrar;
use crate::reject::Reject;
use crate::resource::ResourceKey;
use crate::router::Request;
use hmac::Mac;
use lampyris_sip::headers::Contact;
use lampyris_sip::uri::{escape_param, escape_user, unescape};
use lampyris_sip::{Message, Method, Scheme, Uri};
use subtle::ConstantTimeEq;

/// The option tag.
pub(crate) const OPTION: &str = "gruu";
/// The URI parameter of every GRUU (§7).
const PARAM: &str = "gr";
/// What user parts of temporary GRUUs begin with.
const PREFIX: &str = "tgruu.";
/// Contact parameters that only we give (§5.1).
pub(crate) const GIVEN: [&str; 2] = ["pub-gruu", "temp-gruu"];

const PLAIN_BYTES: usize = 16;
const TAG_BYTES: usize = 16;

/// Makes and reads temporary GRUUs.
#[derive(Clone, Copy)]
pub(crate) struct GruuKey(pub(crate) [u8; 32]);

/// What a temporary GRUU says to whoever has the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The AOR's slot in the registrar.
    slot: u32,
    series: u64,
    number: u32,
}

/// A phone of a user, by its instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    /// The AOR, as in `sip:alice@example.com`.
    pub(crate) aor: String,
    /// As in `urn:uuid:...`.
    pub(crate) id: String,
}

impl GruuKey {
    /// The user part of a temporary GRUU.
    fn write(self, place: Place) -> String {
        let mut bytes = [0; TAG_BYTES + PLAIN_BYTES];
        let plain = place.bytes();
        let tag = self.tag(&plain);
        let (head, tail) = bytes.split_at_mut(TAG_BYTES);
        head.copy_from_slice(&tag);
        tail.copy_from_slice(&self.crypt(&tag, plain));
        format!("{PREFIX}{}", encode(&bytes))
    }

    /// What a user part says, if we wrote it.
    fn read(self, user: &str) -> Option<Place> {
        let bytes: [u8; TAG_BYTES + PLAIN_BYTES] = decode(user.strip_prefix(PREFIX)?)?;
        let (tag, cipher) = bytes.split_first_chunk::<TAG_BYTES>()?;
        let plain = self.crypt(tag, *cipher.first_chunk::<PLAIN_BYTES>()?);
        bool::from(self.tag(&plain).ct_eq(tag)).then(|| Place::of(plain))
    }

    fn tag(self, plain: &[u8]) -> [u8; TAG_BYTES] {
        self.digest(b"gruu tag", plain)
    }

    fn crypt(self, tag: &[u8], bytes: [u8; PLAIN_BYTES]) -> [u8; PLAIN_BYTES] {
        let mut stream = self.digest(b"gruu stream", tag);
        stream.iter_mut().zip(bytes).for_each(|(a, b)| *a ^= b);
        stream
    }

    fn digest<const N: usize>(self, domain: &[u8], bytes: &[u8]) -> [u8; N] {
        let mut mac = keyed(&self.0, domain);
        mac.update(bytes);
        let mut out = [0; N];
        out.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(out, byte)| *out = byte);
        out
    }
}

impl Place {
    fn bytes(self) -> [u8; PLAIN_BYTES] {
        (u128::from(self.slot) << 96 | u128::from(self.series) << 32 | u128::from(self.number)).to_be_bytes()
    }

    fn of(bytes: [u8; PLAIN_BYTES]) -> Self {
        let [a, b, c, d, series @ .., w, x, y, z] = bytes;
        let series = series.iter().fold(0, |series, byte| series << 8 | u64::from(*byte));
        Self { slot: u32::from_be_bytes([a, b, c, d]), series, number: u32::from_be_bytes([w, x, y, z]) }
    }
}

/// Whether a binding is of this instance (§5.4: GRUUs are compared as URIs are, without regard to case).
fn is_of(binding: &BindingRecord, instance: &str) -> bool {
    binding.instance.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(instance))
}

/// What the GRUUs of a new or prolonged binding are made of, among those its AOR has so far (§5.1): the series goes on
/// unless the phone has begun anew, which a new Call-ID says.
pub(crate) fn next(bindings: &[BindingRecord], new: &BindingRecord) -> Option<GruuRecord> {
    let (fresh, instance) = (new.gruu?, new.instance.as_deref()?);
    let kin = bindings.iter().filter(|old| is_of(old, instance));
    let kin: Vec<_> = kin.filter_map(|old| old.gruu.map(|gruu| (old, gruu))).collect();
    let made = kin.iter().map(|(_, gruu)| gruu.made).max().unwrap_or(0).saturating_add(1);
    let flow = kin.iter().filter(|(old, _)| new.reg_id.is_none() || old.reg_id == new.reg_id);
    let latest = flow.max_by_key(|(_, gruu)| gruu.turn);
    let is_anew = latest.is_some_and(|(old, _)| old.call_id != new.call_id);
    let base = kin.first().map(|(_, gruu)| *gruu).filter(|_| !is_anew).unwrap_or(fresh);
    Some(GruuRecord { made, turn: made, ..base })
}

/// Tells the other bindings of the same instance what the newest one's GRUUs are made of.
pub(crate) fn share(bindings: &mut [BindingRecord], new: &BindingRecord, gruu: Option<GruuRecord>) {
    let (Some(instance), Some(gruu)) = (&new.instance, gruu) else { return };
    for binding in bindings.iter_mut().filter(|binding| is_of(binding, instance)) {
        if let Some(own) = &mut binding.gruu {
            *own = GruuRecord { turn: own.turn, ..gruu };
        }
    }
}

/// The public GRUU of a binding that names its instance.
pub(crate) fn public(aor: &str, binding: &BindingRecord) -> Option<String> {
    let instance = binding.instance.as_deref().filter(|instance| !instance.is_empty())?;
    let Some(ResourceKey::User { domain, user }) = ResourceKey::parse(aor) else { return None };
    Some(format!("sip:{}@{domain};{PARAM}={}", escape_user(&user), escape_param(instance)))
}

impl Registrar {
    /// The newest temporary GRUU of a binding.
    pub(crate) fn temporary(&self, aor: &str, binding: &BindingRecord) -> Option<String> {
        let (slot, gruu) = (self.find(aor)?, binding.gruu?);
        let Some(ResourceKey::User { domain, .. }) = ResourceKey::parse(aor) else { return None };
        let user = self.gruu_key().write(Place { slot, series: gruu.series, number: gruu.made });
        Some(format!("sip:{user}@{domain};{PARAM}"))
    }

    /// Whose phone a temporary GRUU with this user part leads to; `None` where it is not, or no longer, good.
    fn of_temporary(&self, user: &str) -> Option<Instance> {
        let place = self.gruu_key().read(user)?;
        let entry = self.get(place.slot)?;
        let of_series =
            |binding: &&BindingRecord| binding.gruu.is_some_and(|gruu| gruu.series == place.series);
        let id = entry.bindings.iter().find(of_series)?.instance.clone()?;
        Some(Instance { aor: entry.aor.clone(), id })
    }

    /// The bindings of a phone, the one most recently prolonged first (§6.1).
    pub(crate) fn of_instance(&self, instance: &Instance) -> Vec<&BindingRecord> {
        let own = self.bindings(&instance.aor).iter().filter(|binding| is_of(binding, &instance.id));
        let mut own: Vec<_> = own.collect();
        own.sort_by_key(|binding| std::cmp::Reverse(binding.gruu.map_or(0, |gruu| gruu.turn)));
        own
    }
}

impl Node {
    /// Whether a request is for a phone and not for us: its Request-URI is a GRUU, good or not (§6.1).
    pub(crate) fn is_for_phone(&self, message: &Message) -> bool {
        message.method() != Some(Method::Register)
            && message.request_target().is_some_and(|uri| {
                uri.params().has(PARAM)
                    && matches!(uri.scheme(), Scheme::Sip | Scheme::Sips)
                    && self.domain_of(uri.host()).is_some()
            })
    }

    /// Whether a phone's AOR is in this domain.
    fn is_at(&self, phone: &Instance, domain: usize) -> bool {
        let name = self.facts.settings.domains.get(domain).map(|domain| domain.name.as_str());
        phone.aor.rsplit_once('@').map(|(_, own)| own) == name
    }

    /// Whether a phone that names its instance may have this Contact: not its own AOR or GRUU, and only SIP (§5.1).
    ///
    /// # Errors
    /// 403.
    pub(crate) fn may_contact(&self, aor: &str, contact: &str) -> Result<(), Reject> {
        let Ok(uri) = Uri::parse(contact) else { return Err(Reject::BadRequest("malformed Contact".into())) };
        if !matches!(uri.scheme(), Scheme::Sip | Scheme::Sips) {
            return Err(Reject::Forbidden);
        }
        let is_aor = Uri::parse(aor).is_ok_and(|aor| {
            aor.user_unescaped() == uri.user_unescaped()
                && uri.port().is_none()
                && self.domain_of(aor.host()).is_some()
                && self.domain_of(aor.host()) == self.domain_of(uri.host())
        });
        let is_gruu = self.phone_named(contact).ok().flatten().is_some_and(|phone| phone.aor == aor);
        if is_aor || is_gruu { Err(Reject::Forbidden) } else { Ok(()) }
    }

    /// Whether whoever sent a request may be reached at its Contact: a GRUU of ours has to be their own (§6.2).
    ///
    /// # Errors
    /// 403.
    pub(crate) fn may_be_reached_at(&self, request: &Request<'_>) -> Result<(), Reject> {
        let Some(contact) = request.message.contacts().find_map(Contact::addr) else { return Ok(()) };
        // Why: one that leads nowhere takes nobody's place.
        let Ok(Some(phone)) = self.phone_named(contact.uri()) else { return Ok(()) };
        let identity = &request.identity;
        let domain =
            self.facts.settings.domains.get(identity.domain).map_or("", |domain| domain.name.as_str());
        let is_own = identity.foreign.is_none() && phone.aor == format!("sip:{}@{domain}", identity.user);
        if is_own { Ok(()) } else { Err(Reject::Forbidden) }
    }

    /// Where a watcher's own phone is now that it names by a GRUU.
    pub(crate) fn gruu_flow(&self, target: &str, watcher: &str) -> Option<Flow> {
        let phone = self.phone_named(target).ok().flatten()?;
        let peer = ResourceKey::parse(&phone.aor).and_then(|key| self.facts.peer_of(&key));
        let is_own = peer.map_or(phone.aor.as_str(), |peer| &peer.name) == watcher;
        if is_own { self.flow_of_phone(&phone) } else { None }
    }

    /// The phone that a URI names; `None` where it is no GRUU of our domains.
    ///
    /// # Errors
    /// 404 for one that is not, or no longer, good (§6.1).
    pub(crate) fn phone_named(&self, uri: &str) -> Result<Option<Instance>, Reject> {
        let Ok(uri) = Uri::parse(uri) else { return Ok(None) };
        let Some(value) = uri.params().find(PARAM) else { return Ok(None) };
        if !matches!(uri.scheme(), Scheme::Sip | Scheme::Sips) {
            return Ok(None);
        }
        let Some(domain) = self.domain_of(uri.host()) else { return Ok(None) };
        let user = uri.user_unescaped().unwrap_or_default().into_owned();
        let found = match value.map(unescape) {
            Some(id) if id.is_empty() || user.is_empty() => None,
            Some(id) => {
                let key = self.find_user(&Address { domain, user });
                key.map(|key| Instance { aor: key.to_string(), id: id.into_owned() })
            }
            None => self.facts.registrar.of_temporary(&user).filter(|phone| self.is_at(phone, domain)),
        };
        found.map(Some).ok_or(Reject::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: GruuKey = GruuKey([3; 32]);

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        for place in [
            Place { slot: 0, series: 0, number: 0 },
            Place { slot: u32::MAX, series: 1, number: 2 },
            Place { slot: 7, series: u64::MAX, number: u32::MAX },
        ] {
            let user = KEY.write(place);
            assert_eq!(KEY.read(&user), Some(place));
            assert_eq!(GruuKey([4; 32]).read(&user), None);
            for at in PREFIX.len()..user.len() {
                let mut other = user.clone().into_bytes();
                other[at] = if other[at] == b'A' { b'B' } else { b'A' };
                assert_eq!(KEY.read(std::str::from_utf8(&other).unwrap()), None, "{at}");
            }
        }
        for user in ["", "tgruu.", "bob", &"tgruu.".repeat(8)] {
            assert_eq!(KEY.read(user), None, "{user}");
        }
    }

    /// RFC 5627 §5.1: nothing tells whether two are of one phone.
    #[test]
    fn neighbours_have_nothing_in_common() {
        let bits = |user: String| {
            u128::from_be_bytes(
                decode::<32>(user.strip_prefix(PREFIX).unwrap()).unwrap()[16..].try_into().unwrap(),
            )
        };
        let mut differing = 0;
        for number in 0..64 {
            let place = Place { slot: 1, series: 2, number };
            let next = Place { number: number + 1, ..place };
            differing += (bits(KEY.write(place)) ^ bits(KEY.write(next))).count_ones();
        }
        // Of 64 * 128 bits, half: what random ones would do, give or take far more than chance allows.
        assert!((3600..4600).contains(&differing), "{differing}");
    }
}
