//! What was typed, from either dialect: every field optional, every value with its place.
//!
//! In: values from `asterisk` and `toml`, in that order, so that a TOML file beside a directory overrides it. Out:
//! [`Raw`], which `resolve` completes. Nothing here has a default.

use super::diagnostic::Report;
use super::source::{Span, Typed};
use ipnet::IpNet;
use lampyris_core::composition::policy::Base;
use lampyris_core::hint::{Dialplan, Hint};
use lampyris_core::settings::{
    AccessRule, DialogOffline, DialogReveal, HoldShows, Nat, NoHint, NotifyCid, NotifyRinging, Pickup, Role,
    StopPolicy, WatchScope,
};
use lampyris_sip::digest::Algorithm;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::shell::{Advertised, ClientAuth, Durability, Listen, LogFormat};

/// A field that may have been typed.
pub(crate) type Field<T> = Option<Typed<T>>;

/// Everything typed.
#[derive(Default)]
pub(crate) struct Raw {
    /// Users come from sip.conf, so the realm offers MD5 alone unless told otherwise.
    pub(crate) from_sip_conf: bool,
    pub(crate) server: Server,
    pub(crate) tls: RawTls,
    pub(crate) bounds: RawBounds,
    pub(crate) quotas: RawQuotas,
    pub(crate) calls: RawCalls,
    pub(crate) domains: Vec<Domain>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) people: Vec<Person>,
    pub(crate) lists: Vec<List>,
    pub(crate) compositions: Vec<Composition>,
    pub(crate) gateways: Vec<RawGateway>,
    pub(crate) subscriptions: Vec<RawSubscription>,
    pub(crate) publications: Vec<RawPublication>,
    pub(crate) federation: Vec<RawFederation>,
    pub(crate) dialplan: Dialplan,
    /// Where each hint was configured, by context and extension.
    pub(crate) hints: BTreeMap<(String, String), Span>,
    /// Contexts named somewhere, to be checked once all are known.
    pub(crate) context_uses: Vec<Typed<String>>,
    pub(crate) mailbox_watchers: BTreeMap<String, Vec<Typed<String>>>,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) webhooks: Vec<(Typed<String>, RawWebhook)>,
    pub(crate) ignored: Vec<Ignored>,
}

/// A key that has no meaning here; told once by name, however often it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// As in `disallow`.
    pub key: String,
    /// Why it means nothing here.
    pub reason: &'static str,
    /// How often it stands in the files.
    pub times: usize,
}

/// A password. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// An HA1 as typed: 32 or 64 hex digits. Never printed.
#[derive(Clone)]
pub(crate) struct RawHa1 {
    pub(crate) algorithm: Algorithm,
    pub(crate) hex: Secret,
}

/// Declares a struct of fields and how another's typed fields replace them.
macro_rules! overlaid {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Default)]
        pub(crate) struct $name {
            $(pub(crate) $field: Field<$kind>,)*
        }

        impl $name {
            /// Takes over what `other` has.
            pub(crate) fn overlay(&mut self, other: Self) {
                $(if other.$field.is_some() { self.$field = other.$field; })*
            }
        }
    };
}

overlaid!(
    /// What is about the server as a whole.
    Server {
        listen: Vec<Typed<Listen>>,
        ws_origins: Vec<String>,
        http: Option<SocketAddr>,
        http_plain: bool,
        http_origins: Vec<String>,
        advertised: Advertised,
        local_networks: Vec<IpNet>,
        data: PathBuf,
        durability: Durability,
        store_bytes_max: u64,
        backup_every_s: u64,
        backups_kept: usize,
        join_datagrams: bool,
        log: String,
        log_format: LogFormat,
        otel: String,
        name: String,
        realm: String,
        context: String,
        user: String,
        group: String,
        trusted: Vec<IpNet>,
        egress_allow: Vec<IpNet>,
        egress_deny: Vec<IpNet>,
        allow_subscribe: bool,
        no_hint: NoHint,
        subscribe_response: u16,
        notify_ringing: NotifyRinging,
        notify_hold: bool,
        notify_cid: NotifyCid,
        dialog_reveal: DialogReveal,
        dialog_offline: DialogOffline,
        flow_grace_s: u64,
        stop: StopPolicy,
        restart_notify_rate: u32,
        watch: WatchScope,
        watch_dialog: WatchScope,
        rules: PathBuf,
        documents: PathBuf,
        resource_lists: PathBuf,
    }
);

overlaid!(
    /// What is about TLS.
    RawTls {
        certificate: PathBuf,
        key: PathBuf,
        client_auth: ClientAuth,
        client_ca: PathBuf,
        roots: PathBuf,
    }
);

overlaid!(
    /// Bounds of lives, in seconds, and of rates.
    RawBounds {
        subscription_min_s: u32,
        subscription_default_s: u32,
        subscription_max_s: u32,
        notify_max_rate: u32,
        notify_max_rate_presence: u32,
        notify_max_rate_dialog: u32,
        list_datagram_bytes: usize,
        notify_fragments: bool,
        publication_min_s: u32,
        publication_default_s: u32,
        publication_max_s: u32,
        registration_min_s: u32,
        registration_default_s: u32,
        registration_max_s: u32,
    }
);

overlaid!(
    /// How much of everything; 0 is without limit.
    RawQuotas {
        subscriptions: u32,
        subscriptions_per_watcher: u32,
        subscriptions_per_presentity: u32,
        subscriptions_per_source: u32,
        publications: u32,
        publications_per_presentity: u32,
        publications_per_publisher: u32,
        publishes_per_s: u32,
        bindings: u32,
        bindings_per_aor: u32,
        memory_mib: u32,
        streams: u32,
        streams_per_address: u32,
    }
);

overlaid!(
    /// What is about one webhook.
    RawWebhook {
        url: String,
        secret: Secret,
        events: Vec<Typed<String>>,
        subjects: Vec<String>,
    }
);

overlaid!(
    /// What is about calls.
    RawCalls {
        settle_ms: u64,
        hold_shows: HoldShows,
        probe_after_s: u64,
        probe_every_s: u64,
        default_route: String,
        pickup_code: String,
        group_pickup_code: String,
    }
);

overlaid!(
    /// What is about one domain.
    DomainFields {
        aliases: Vec<Typed<String>>,
        realm: String,
        algorithms: Vec<Algorithm>,
        any_user: bool,
        composition: String,
        context: String,
        watch: WatchScope,
        watch_dialog: WatchScope,
        everybody: String,
        everybody_max: usize,
    }
);

/// A domain.
pub(crate) struct Domain {
    pub(crate) name: Typed<String>,
    pub(crate) fields: DomainFields,
}

overlaid!(
    /// What is about one peer.
    PeerFields {
        role: Role,
        secret: Secret,
        ha1: Vec<Typed<RawHa1>>,
        algorithms: Vec<Algorithm>,
        open: bool,
        insecure: Insecure,
        domain: String,
        aliases: Vec<Typed<String>>,
        host: String,
        port: u16,
        any_port: bool,
        context: String,
        subscribe_context: String,
        allow_subscribe: bool,
        device: String,
        call_counter: bool,
        call_limit: u32,
        busy_level: u32,
        busy_at: u32,
        qualify: RawQualify,
        qualify_every_s: u32,
        mailboxes: Vec<String>,
        call_groups: Vec<String>,
        pickup_groups: Vec<String>,
        mwi_unsolicited: bool,
        nat: Nat,
        trusted_publisher: bool,
        display: String,
        profile: String,
        dialog_reveal: DialogReveal,
        access: Vec<AccessRule>,
    }
);

/// A peer.
pub(crate) struct Peer {
    pub(crate) name: Typed<String>,
    pub(crate) fields: PeerFields,
}

overlaid!(
    /// What is about one person.
    PersonFields {
        peers: Vec<Typed<String>>,
        aliases: Vec<Typed<String>>,
        extensions: Vec<Typed<String>>,
        devices: Vec<Typed<String>>,
        mailboxes: Vec<String>,
        display: String,
        composition: String,
    }
);

overlaid!(
    /// What is about one list.
    ListFields {
        members: Vec<Typed<String>>,
        display: String,
        domain: String,
        owner: String,
        packages: Vec<String>,
        watchers: Vec<Typed<String>>,
        batch_ms: u64,
        full_state: bool,
    }
);

/// A list.
pub(crate) struct List {
    pub(crate) name: Typed<String>,
    pub(crate) fields: ListFields,
}

overlaid!(
    /// What is about one gateway.
    GatewayFields {
        realm: String,
        username: String,
        secret: Secret,
        domain: String,
        proxy: String,
        outbound_proxy: String,
        register: bool,
        register_expires_s: u32,
        retry_s: u32,
        maps: Vec<Typed<String>>,
        peer: String,
        watches: Vec<Typed<String>>,
    }
);

/// A gateway.
pub(crate) struct RawGateway {
    pub(crate) name: Typed<String>,
    pub(crate) fields: GatewayFields,
}

overlaid!(
    /// What is about one subscription at a gateway.
    SubscriptionFields {
        gateway: String,
        event: String,
        uris: Vec<Typed<String>>,
        list: bool,
        accept: Vec<String>,
        username_in_request: bool,
        expires_s: u32,
        retry_s: u32,
    }
);

/// A subscription at a gateway.
pub(crate) struct RawSubscription {
    pub(crate) name: Typed<String>,
    pub(crate) fields: SubscriptionFields,
}

overlaid!(
    /// What is about one publication at a gateway.
    PublicationFields {
        gateway: String,
        event: String,
        who: Vec<Typed<String>>,
        maps: Vec<Typed<String>>,
        expires_s: u32,
        retry_s: u32,
    }
);

/// What is published at a gateway.
pub(crate) struct RawPublication {
    pub(crate) name: Typed<String>,
    pub(crate) fields: PublicationFields,
}

overlaid!(
    /// What is about one federated domain.
    FederationFields {
        proxy: String,
        names: Vec<String>,
        ask: Vec<Typed<String>>,
        allow: Vec<Typed<String>>,
    }
);

/// A federated domain.
pub(crate) struct RawFederation {
    pub(crate) name: Typed<String>,
    pub(crate) fields: FederationFields,
}

overlaid!(
    /// What is about one policy of composition.
    CompositionFields {
        base: Base,
        sources: Vec<Typed<String>>,
        overriding: Vec<Typed<String>>,
        fresh_s: u64,
        lease_s: u64,
        call_beats_away: bool,
        dnd_beats_all: bool,
        any_closed: bool,
        active_first: bool,
    }
);

/// A policy of composition.
pub(crate) struct Composition {
    pub(crate) name: Typed<String>,
    pub(crate) fields: CompositionFields,
}

/// A person.
pub(crate) struct Person {
    pub(crate) name: Typed<String>,
    pub(crate) fields: PersonFields,
}

/// sip.conf's `insecure=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Insecure {
    /// Any source port matches.
    pub(crate) port: bool,
    /// Requests are not challenged.
    pub(crate) invite: bool,
}

/// `qualify=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RawQualify {
    Off,
    /// Wait for an answer, in milliseconds.
    WaitMs(u32),
}

overlaid!(
    /// What is about one phone profile.
    ProfileFields {
        user_agents: Vec<String>,
        variant: lampyris_core::body::Variant,
        prefer: Vec<String>,
        on_timeout_retry: bool,
        retry_after_s: u64,
        buggy_mwi: bool,
        notify_max_rate: u32,
        retry_statuses: Vec<u16>,
        idle_dialog: bool,
        single_dialog: bool,
        partial_dialogs: bool,
        digium: bool,
        auto_answer: Vec<(String, String)>,
        pickup: Pickup,
        end_notify: bool,
        list_event_capital: bool,
        list_bare_ids: bool,
        shorten: bool,
        reason: String,
    }
);

/// A phone profile.
pub(crate) struct Profile {
    pub(crate) name: Typed<String>,
    pub(crate) fields: ProfileFields,
}

impl Raw {
    /// The peer of this name, made if it is not there yet; names are compared exactly.
    pub(crate) fn peer(&mut self, name: Typed<String>) -> &mut PeerFields {
        let at = self.peers.iter().position(|peer| peer.name.value == name.value).unwrap_or_else(|| {
            self.peers.push(Peer { name, fields: PeerFields::default() });
            self.peers.len() - 1
        });
        &mut self.peers[at].fields
    }

    /// The person of this name, made if it is not there yet.
    pub(crate) fn person(&mut self, name: Typed<String>) -> &mut PersonFields {
        let at = self.people.iter().position(|person| person.name.value == name.value).unwrap_or_else(|| {
            self.people.push(Person { name, fields: PersonFields::default() });
            self.people.len() - 1
        });
        &mut self.people[at].fields
    }

    /// The list of this name, made if it is not there yet.
    pub(crate) fn list(&mut self, name: Typed<String>) -> &mut ListFields {
        let at = self.lists.iter().position(|list| list.name.value == name.value).unwrap_or_else(|| {
            self.lists.push(List { name, fields: ListFields::default() });
            self.lists.len() - 1
        });
        &mut self.lists[at].fields
    }

    /// The gateway of this name, which is made if it is not there.
    pub(crate) fn gateway(&mut self, name: Typed<String>) -> &mut GatewayFields {
        let same = |known: &RawGateway| known.name.value == name.value;
        let at = self.gateways.iter().position(same).unwrap_or_else(|| {
            self.gateways.push(RawGateway { name, fields: GatewayFields::default() });
            self.gateways.len() - 1
        });
        &mut self.gateways[at].fields
    }

    /// The subscription of this name, which is made if it is not there.
    pub(crate) fn subscription(&mut self, name: Typed<String>) -> &mut SubscriptionFields {
        let same = |known: &RawSubscription| known.name.value == name.value;
        let at = self.subscriptions.iter().position(same).unwrap_or_else(|| {
            self.subscriptions.push(RawSubscription { name, fields: SubscriptionFields::default() });
            self.subscriptions.len() - 1
        });
        &mut self.subscriptions[at].fields
    }

    /// The publication of this name, which is made if it is not there.
    pub(crate) fn publication(&mut self, name: Typed<String>) -> &mut PublicationFields {
        let same = |known: &RawPublication| known.name.value == name.value;
        let at = self.publications.iter().position(same).unwrap_or_else(|| {
            self.publications.push(RawPublication { name, fields: PublicationFields::default() });
            self.publications.len() - 1
        });
        &mut self.publications[at].fields
    }

    /// The federated domain of this name, which is made if it is not there.
    pub(crate) fn federated(&mut self, name: Typed<String>) -> &mut FederationFields {
        let same = |known: &RawFederation| known.name.value.eq_ignore_ascii_case(&name.value);
        let at = self.federation.iter().position(same).unwrap_or_else(|| {
            self.federation.push(RawFederation { name, fields: FederationFields::default() });
            self.federation.len() - 1
        });
        &mut self.federation[at].fields
    }

    /// The policy of this name, made if it is not there yet.
    pub(crate) fn composition(&mut self, name: Typed<String>) -> &mut CompositionFields {
        let same = |known: &Composition| known.name.value == name.value;
        let at = self.compositions.iter().position(same).unwrap_or_else(|| {
            self.compositions.push(Composition { name, fields: CompositionFields::default() });
            self.compositions.len() - 1
        });
        &mut self.compositions[at].fields
    }

    /// The domain of this name, made if it is not there yet.
    pub(crate) fn domain(&mut self, name: Typed<String>) -> &mut DomainFields {
        let same = |domain: &Domain| domain.name.value.eq_ignore_ascii_case(&name.value);
        let at = self.domains.iter().position(same).unwrap_or_else(|| {
            self.domains.push(Domain { name, fields: DomainFields::default() });
            self.domains.len() - 1
        });
        &mut self.domains[at].fields
    }

    /// Adds a hint, and remembers where it stands.
    pub(crate) fn hint(
        &mut self,
        report: &mut Report,
        context: &str,
        extension: &Typed<String>,
        text: Typed<&str>,
    ) {
        match self.dialplan.add_hint(context, &extension.value, Hint::parse(text.value)) {
            Ok(()) => {
                self.hints.insert((context.to_owned(), extension.value.clone()), text.span);
            }
            Err(error) => report.error(extension.span, format!("not a pattern: {error}"), PATTERN_FIX),
        }
    }

    /// Makes an extension exist.
    pub(crate) fn extension(&mut self, report: &mut Report, context: &str, extension: &Typed<String>) {
        if let Err(error) = self.dialplan.add_extension(context, &extension.value) {
            report.error(extension.span, format!("not a pattern: {error}"), PATTERN_FIX);
        }
    }

    /// Counts a key that means nothing here.
    pub(crate) fn ignore(&mut self, key: &str, reason: &'static str) {
        match self.ignored.iter_mut().find(|known| known.key.eq_ignore_ascii_case(key)) {
            Some(known) => known.times += 1,
            None => self.ignored.push(Ignored { key: key.to_ascii_lowercase(), reason, times: 1 }),
        }
    }
}

const PATTERN_FIX: &str =
    "a pattern is `_` and digits, X (0-9), Z (1-9), N (2-9), sets as `[1-35]`, `.` or `!` at the end";
