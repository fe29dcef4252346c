//! Our own format: TOML, checked against `options`, every error told at once.
//!
//! In: a file. Out: [`Raw`] fields over what is already there: first the Asterisk directory the file names, then its
//! includes, then itself. Unknown keys are errors in every table.

mod gateways;
mod http;
mod values;

use super::diagnostic::{Report, did_you_mean};
use super::options::Table;
use super::raw::{
    CompositionFields, Field, PeerFields, PersonFields, ProfileFields, Raw, RawHa1, RawQualify, Secret,
};
use super::shell::{Advertised, ClientAuth, Durability, Listen, LogFormat};
use super::source::{FileId, Span, Typed};
use super::{algorithm_named, asterisk, freeswitch};
use ::toml::de::{DeTable, DeValue};
use ipnet::IpNet;
use lampyris_core::body::Variant;
use lampyris_core::composition::policy::Base;
use lampyris_core::settings::{
    DialogOffline, DialogReveal, HoldShows, Nat, NoHint, NotifyCid, NotifyRinging, Pickup, Role, StopPolicy,
    WatchScope,
};
use lampyris_sip::digest::Algorithm;
use std::path::{Path, PathBuf};
use values::Values;

/// How much of a call is shown.
const REVEAL: [(&str, DialogReveal); 2] = [("party", DialogReveal::Party), ("state", DialogReveal::State)];

/// Reads a file and what it includes.
pub(crate) fn read(report: &mut Report, raw: &mut Raw, path: &Path) {
    match report.sources.read(path) {
        Ok(file) => read_file(report, raw, file, &mut vec![path.to_owned()]),
        Err(cause) => report.file_error(
            path.to_owned(),
            format!("cannot read `{}`: {cause}", path.display()),
            "name a TOML file, or a directory with sip.conf and extensions.conf",
        ),
    }
}

/// Reads a file that is among the sources; `open` are the files being read, this one last.
pub(crate) fn read_file(report: &mut Report, raw: &mut Raw, file: FileId, open: &mut Vec<PathBuf>) {
    let text = report.sources.text(file).to_owned();
    let directory = report.sources.path(file).parent().map(Path::to_owned).unwrap_or_default();
    let (document, errors) = DeTable::parse_recoverable(&text);
    for error in &errors {
        let at = error.span().unwrap_or(text.len()..text.len());
        let cause = format!("not TOML: {}", error.message());
        report.error(file.span(at.start, at.end), cause, "see https://toml.io for the syntax");
    }
    if !errors.is_empty() {
        return;
    }
    let mut reader = Reader { report, raw, file, directory };
    let document = document.get_ref();
    let top = reader.values(Table::Top, document);
    reader.includes(&top, open);
    reader.top(&top);
    reader.tables(document);
}

/// Who may watch.
const SCOPES: [(&str, WatchScope); 4] = [
    ("domain", WatchScope::SameDomain),
    ("everyone", WatchScope::Everyone),
    ("nobody", WatchScope::Nobody),
    ("confirm", WatchScope::Confirm),
];

/// Tables of the top level, and the kind each is or holds.
const TABLES: [(&str, Table); 18] = [
    ("server", Table::Server),
    ("tls", Table::Tls),
    ("limits", Table::Limits),
    ("calls", Table::Calls),
    ("domains", Table::Domain),
    ("peers", Table::Peer),
    ("people", Table::Person),
    ("lists", Table::List),
    ("composition", Table::Composition),
    ("hints", Table::Hints),
    ("contexts", Table::Context),
    ("mailboxes", Table::Mailbox),
    ("gateways", Table::Gateway),
    ("subscriptions", Table::Subscription),
    ("publications", Table::Publication),
    ("federation", Table::Federation),
    ("profiles", Table::Profile),
    ("webhooks", Table::Webhook),
];

/// The kind of table that one of the top level is, or holds.
pub(crate) fn table_named(name: &str) -> Option<Table> {
    TABLES.iter().find(|(known, _)| *known == name).map(|(_, table)| *table)
}

struct Reader<'a> {
    report: &'a mut Report,
    raw: &'a mut Raw,
    file: FileId,
    /// What paths in the file are relative to.
    directory: PathBuf,
}

impl Reader<'_> {
    fn includes(&mut self, top: &Values, open: &mut Vec<PathBuf>) {
        if let Some(directory) = top.text("asterisk") {
            let path = self.directory.join(&directory.value);
            if path.is_dir() {
                asterisk::read(self.report, self.raw, &path);
            } else {
                let cause = format!("`{}` is no directory", path.display());
                self.report.error(
                    directory.span,
                    cause,
                    "name the directory that holds sip.conf, relative to this file",
                );
            }
        }
        for file in top.texts("freeswitch_gateways").map(|list| list.value).unwrap_or_default() {
            let path = self.directory.join(&file.value);
            freeswitch::read(self.report, self.raw, &path, file.span);
        }
        for include in top.texts("include").map(|list| list.value).unwrap_or_default() {
            let path = self.directory.join(&include.value);
            if open.contains(&path) {
                let cause = format!("`{}` includes itself, directly or through others", include.value);
                self.report.error(include.span, cause, "remove one of the includes");
                continue;
            }
            match self.report.sources.read(&path) {
                Ok(file) => {
                    open.push(path);
                    read_file(self.report, self.raw, file, open);
                    open.pop();
                }
                Err(cause) => {
                    let cause = format!("cannot read `{}`: {cause}", path.display());
                    self.report.error(
                        include.span,
                        cause,
                        "create it, or take it out; paths are relative to this file",
                    );
                }
            }
        }
    }

    fn top(&mut self, top: &Values) {
        let trusted = self.networks(top, "trusted");
        let egress_allow = self.networks(top, "egress_allow");
        let egress_deny = self.networks(top, "egress_deny");
        let server = &mut self.raw.server;
        let mut own = super::raw::Server {
            trusted,
            egress_allow,
            egress_deny,
            allow_subscribe: top.boolean("allow_subscribe"),
            no_hint: top.choice("nohint", &[("404", NoHint::NotFound), ("open", NoHint::Open)]),
            subscribe_response: top.number("subscribe_response"),
            notify_ringing: top.choice(
                "notify_ringing",
                &[
                    ("yes", NotifyRinging::Yes),
                    ("no", NotifyRinging::No),
                    ("notinuse", NotifyRinging::NotInUse),
                ],
            ),
            notify_hold: top.boolean("notify_hold"),
            notify_cid: top.choice(
                "notify_cid",
                &[
                    ("no", NotifyCid::No),
                    ("yes", NotifyCid::Yes),
                    ("ignore-context", NotifyCid::IgnoreContext),
                ],
            ),
            dialog_reveal: top.choice("dialog_reveal", &REVEAL),
            dialog_offline: top.choice(
                "dialog_offline",
                &[("idle", DialogOffline::Idle), ("presence", DialogOffline::Presence)],
            ),
            flow_grace_s: top.number("flow_grace_s"),
            stop: top.choice("stop", &[("keep", StopPolicy::Keep), ("end", StopPolicy::End)]),
            restart_notify_rate: top.number("restart_notify_rate"),
            watch: top.choice("watch", &SCOPES),
            watch_dialog: top.choice("watch_dialog", &SCOPES),
            rules: top.text("rules").map(|path| path.map(|path| self.directory.join(path))),
            documents: top.text("documents").map(|path| path.map(|path| self.directory.join(path))),
            resource_lists: top.text("resource_lists").map(|path| path.map(|path| self.directory.join(path))),
            ..Default::default()
        };
        if let Some(status) = own.subscribe_response.take_if(|status| status.value == 201) {
            self.report.error(status.span, "`subscribe_response` is 200 or 202", "write 200");
        }
        server.overlay(own);
    }

    fn tables(&mut self, document: &DeTable<'_>) {
        for (key, value) in self.entries(document) {
            let (name, Some(table)) = (&key.value, table_named(&key.value)) else { continue };
            let DeValue::Table(inner) = value.get_ref() else {
                let span = self.span(value);
                self.report.error(span, format!("`{name}` is a table"), format!("write `{}`", table.head()));
                continue;
            };
            match table {
                Table::Server => self.server(inner),
                Table::Tls => self.tls(inner),
                Table::Limits => self.limits(inner),
                Table::Calls => self.calls(inner),
                Table::Hints => self.hints("default", inner),
                _ => self.named_tables(table, inner),
            }
        }
    }

    /// `[domains.x]`, `[peers.x]`, ...
    fn named_tables(&mut self, table: Table, inner: &DeTable<'_>) {
        for (name, value) in self.entries(inner) {
            let DeValue::Table(fields) = value.get_ref() else {
                // Why: `[peers] secret = "x"` is the likely mistake.
                let fix = format!("write `{}`, with a name of your own in it", table.head());
                self.report.error(name.span, format!("`{}` is a table of its own", name.value), fix);
                continue;
            };
            match table {
                Table::Domain => self.domain(name, fields),
                Table::Peer => self.peer(name, fields),
                Table::Person => self.person(name, fields),
                Table::List => self.list(name, fields),
                Table::Composition => self.composition(name, fields),
                Table::Context => self.context(&name, fields),
                Table::Mailbox => self.mailbox(&name, fields),
                Table::Webhook => self.webhook(name, fields),
                Table::Gateway => self.gateway(name, fields),
                Table::Subscription => self.subscription(name, fields),
                Table::Publication => self.publication(name, fields),
                Table::Federation => self.federated(name, fields),
                _ => self.profile(name, fields),
            }
        }
    }

    fn server(&mut self, table: &DeTable<'_>) {
        let values = self.values(Table::Server, table);
        let mut listen = None;
        if let Some(list) = values.texts("listen") {
            let mut found = Vec::new();
            for text in list.value {
                match Listen::parse(&text.value) {
                    Ok(address) => found.push(Typed::new(address, text.span)),
                    Err(cause) => {
                        let cause = format!("`{}` is no address to listen on: {cause}", text.value);
                        self.report.error(
                            text.span,
                            cause,
                            "write it as `udp:127.0.0.1:5060` or `tls:[::1]:5061`",
                        );
                    }
                }
            }
            listen = Some(Typed::new(found, list.span));
        }
        let mut advertised = None;
        if let Some(text) = values.text("advertised") {
            advertised = Advertised::parse(&text.value).map(|found| Typed::new(found, text.span));
            if advertised.is_none() {
                let cause = format!("`{}` is no IP address", text.value);
                self.report.error(text.span, cause, "write it as `203.0.113.7` or `203.0.113.7:5060`");
            }
        }
        let ws_origins = self.origins(&values, "ws_origins");
        let (http, http_origins) = (self.http(&values), self.origins(&values, "http_origins"));
        let local_networks = self.networks(&values, "local_networks");
        let own = super::raw::Server {
            listen,
            ws_origins,
            http,
            http_plain: values.boolean("http_plain"),
            http_origins,
            advertised,
            local_networks,
            data: values.text("data").map(|path| path.map(|path| self.directory.join(path))),
            durability: values.choice(
                "durability",
                &[Durability::Power, Durability::Process, Durability::Memory].map(|kind| (kind.name(), kind)),
            ),
            store_bytes_max: values.number("store_bytes_max"),
            backup_every_s: values.number("backup_every_s"),
            backups_kept: values.number("backups_kept"),
            join_datagrams: values.boolean("join_datagrams"),
            user: values.text("user"),
            group: values.text("group"),
            log: values.text("log"),
            log_format: values.choice("log_format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
            otel: self.otel(&values),
            name: values.text("name"),
            realm: values.text("realm"),
            context: values.text("context"),
            ..Default::default()
        };
        self.raw.server.overlay(own);
    }

    /// Origins, each a scheme and an authority as browsers send them (RFC 6454 §6.2).
    fn origins(&mut self, values: &Values, name: &str) -> Field<Vec<String>> {
        let list = values.texts(name)?;
        for origin in &list.value {
            let authority =
                origin.value.trim_end_matches('/').split_once("://").map(|(_, authority)| authority);
            let is_whole =
                authority.is_some_and(|authority| !authority.is_empty() && !authority.contains('/'));
            if !is_whole && !["*", "null"].contains(&origin.value.as_str()) {
                let cause = format!("`{}` is no origin", origin.value);
                self.report.error(
                    origin.span,
                    cause,
                    "write it as `https://phone.example.com`, without a path",
                );
            }
        }
        Some(list.map(|list| list.into_iter().map(|origin| origin.value).collect()))
    }

    fn tls(&mut self, table: &DeTable<'_>) {
        let values = self.values(Table::Tls, table);
        let path = |name| values.text(name).map(|path| path.map(|path| self.directory.join(path)));
        let asked =
            [("none", ClientAuth::None), ("request", ClientAuth::Request), ("require", ClientAuth::Require)];
        self.raw.tls.overlay(super::raw::RawTls {
            certificate: path("certificate"),
            key: path("key"),
            client_auth: values.choice("client_auth", &asked),
            client_ca: path("client_ca"),
            roots: path("roots"),
        });
    }

    fn limits(&mut self, table: &DeTable<'_>) {
        let values = self.values(Table::Limits, table);
        self.raw.bounds.overlay(super::raw::RawBounds {
            subscription_min_s: values.number("subscription_min_s"),
            subscription_default_s: values.number("subscription_default_s"),
            subscription_max_s: values.number("subscription_max_s"),
            notify_max_rate: values.number("notify_max_rate"),
            notify_max_rate_presence: values.number("notify_max_rate_presence"),
            notify_max_rate_dialog: values.number("notify_max_rate_dialog"),
            list_datagram_bytes: values.number("list_datagram_bytes"),
            notify_fragments: values.boolean("notify_fragments"),
            publication_min_s: values.number("publication_min_s"),
            publication_default_s: values.number("publication_default_s"),
            publication_max_s: values.number("publication_max_s"),
            registration_min_s: values.number("registration_min_s"),
            registration_default_s: values.number("registration_default_s"),
            registration_max_s: values.number("registration_max_s"),
        });
        self.raw.quotas.overlay(super::raw::RawQuotas {
            subscriptions: values.number("subscriptions_max"),
            subscriptions_per_watcher: values.number("subscriptions_per_watcher_max"),
            subscriptions_per_presentity: values.number("subscriptions_per_presentity_max"),
            subscriptions_per_source: values.number("subscriptions_per_source_max"),
            publications: values.number("publications_max"),
            publications_per_presentity: values.number("publications_per_presentity_max"),
            publications_per_publisher: values.number("publications_per_publisher_max"),
            publishes_per_s: values.number("publishes_per_s"),
            bindings: values.number("bindings_max"),
            bindings_per_aor: values.number("bindings_per_aor_max"),
            memory_mib: values.number("memory_max_mib"),
            streams: values.number("streams_max"),
            streams_per_address: values.number("streams_per_address_max"),
        });
    }

    fn calls(&mut self, table: &DeTable<'_>) {
        let values = self.values(Table::Calls, table);
        let shows = [("holder", HoldShows::Holder), ("held", HoldShows::Held), ("both", HoldShows::Both)];
        self.raw.calls.overlay(super::raw::RawCalls {
            settle_ms: values.number("settle_ms"),
            hold_shows: values.choice("hold_shows", &shows),
            probe_after_s: values.number("probe_after_s"),
            probe_every_s: values.number("probe_every_s"),
            default_route: values.text("default_route"),
            pickup_code: values.text("pickup_code"),
            group_pickup_code: values.text("group_pickup_code"),
        });
    }

    fn domain(&mut self, name: Typed<String>, table: &DeTable<'_>) {
        let values = self.values(Table::Domain, table);
        let own = super::raw::DomainFields {
            aliases: values.texts("aliases"),
            realm: values.text("realm"),
            algorithms: self.algorithms(&values),
            any_user: values.choice("users", &[("configured", false), ("any", true)]),
            context: values.text("context"),
            composition: values.text("composition"),
            watch: values.choice("watch", &SCOPES),
            watch_dialog: values.choice("watch_dialog", &SCOPES),
            everybody: values.text("everybody"),
            everybody_max: values.number("everybody_max"),
        };
        self.raw.domain(name).overlay(own);
    }

    fn peer(&mut self, name: Typed<String>, table: &DeTable<'_>) {
        let values = self.values(Table::Peer, table);
        let algorithms = self.algorithms(&values);
        let (secret, ha1) = self.secret(&values);
        let qualify = values.number("qualify").map(|wait| wait.map(RawQualify::WaitMs)).or_else(|| {
            let wait = |on| if on { RawQualify::WaitMs(2000) } else { RawQualify::Off };
            values.boolean("qualify").map(|on| on.map(wait))
        });
        let mailboxes = mailboxes(&values);
        let own = PeerFields {
            role: values
                .choice("type", &[("friend", Role::Friend), ("peer", Role::Peer), ("user", Role::User)]),
            secret,
            ha1,
            algorithms,
            open: values.boolean("open"),
            insecure: None,
            domain: values.text("domain"),
            aliases: values.texts("aliases"),
            host: values.text("host"),
            port: None,
            any_port: values.boolean("any_port"),
            context: values.text("context"),
            subscribe_context: values.text("subscribe_context"),
            allow_subscribe: values.boolean("allow_subscribe"),
            device: values.text("device"),
            call_counter: values.boolean("call_counter"),
            call_limit: values.number("call_limit"),
            busy_level: values.number("busy_level"),
            busy_at: values.number("device_state_busy_at"),
            qualify,
            qualify_every_s: values.number("qualify_every_s"),
            mailboxes,
            call_groups: values.plain_texts("call_groups"),
            pickup_groups: values.plain_texts("pickup_groups"),
            mwi_unsolicited: values.boolean("mwi_unsolicited"),
            nat: values
                .choice("nat", &[("auto", Nat::Auto), ("contact", Nat::Contact), ("source", Nat::Source)]),
            trusted_publisher: values.boolean("trusted_publisher"),
            display: values.text("display"),
            profile: values.text("profile"),
            dialog_reveal: values.choice("dialog_reveal", &REVEAL),
            access: None,
        };
        self.raw.context_uses.extend(own.context.clone());
        self.raw.context_uses.extend(own.subscribe_context.clone());
        let known = self.raw.peer(name);
        if own.secret.is_some() || own.ha1.is_some() {
            // Why: a secret given here replaces whatever kind of secret was there before.
            (known.secret, known.ha1) = (None, None);
        }
        known.overlay(own);
    }

    fn person(&mut self, name: Typed<String>, table: &DeTable<'_>) {
        let values = self.values(Table::Person, table);
        let own = PersonFields {
            peers: values.texts("peers"),
            aliases: values.texts("aliases"),
            extensions: values.texts("extensions"),
            devices: values.texts("devices"),
            mailboxes: mailboxes(&values),
            display: values.text("display"),
            composition: values.text("composition"),
        };
        self.raw.person(name).overlay(own);
    }

    fn list(&mut self, name: Typed<String>, table: &DeTable<'_>) {
        let values = self.values(Table::List, table);
        let own = super::raw::ListFields {
            members: values.texts("members"),
            display: values.text("display"),
            domain: values.text("domain"),
            owner: values.text("owner"),
            packages: values.plain_texts("packages"),
            watchers: values.texts("watchers"),
            batch_ms: values.number("notification_batch_interval"),
            full_state: values.boolean("full_state"),
        };
        self.raw.list(name).overlay(own);
    }

    fn composition(&mut self, name: Typed<String>, table: &DeTable<'_>) {
        let values = self.values(Table::Composition, table);
        let own = CompositionFields {
            base: values.choice("base", &Base::ALL.map(|base| (base.name(), base))),
            sources: values.texts("sources"),
            overriding: values.texts("override"),
            fresh_s: values.number("fresh_s"),
            lease_s: values.number("lease_s"),
            call_beats_away: values.boolean("call_beats_away"),
            dnd_beats_all: values.boolean("dnd_beats_all"),
            any_closed: values.choice("closed", &[("all", false), ("any", true)]),
            active_first: values.boolean("active_first"),
        };
        self.raw.composition(name).overlay(own);
    }

    /// One of `secret`, `secret_file` and `ha1`.
    fn secret(&mut self, values: &Values) -> (Field<Secret>, Field<Vec<Typed<RawHa1>>>) {
        let mut secret = values.text("secret").map(|text| text.map(Secret));
        let mut given = usize::from(secret.is_some());
        if let Some(path) = values.text("secret_file") {
            given += 1;
            let whole = self.directory.join(&path.value);
            match std::fs::read_to_string(&whole) {
                Ok(text) => {
                    secret = Some(Typed::new(
                        Secret(text.lines().next().unwrap_or_default().to_owned()),
                        path.span,
                    ));
                }
                Err(error) => {
                    let cause = format!("cannot read `{}`: {error}", whole.display());
                    self.report.error(path.span, cause, "write the password on the first line of that file");
                }
            }
        }
        if let Some(empty) = secret.take_if(|secret| secret.value.0.is_empty()) {
            self.report.error(
                empty.span,
                "an empty password",
                "give one, or say `open = true` in a laboratory",
            );
        }
        let mut ha1 = None;
        if let Some(list) = values.texts("ha1") {
            given += 1;
            let found = list.value.iter().filter_map(|text| self.ha1(text)).collect();
            ha1 = Some(Typed::new(found, list.span));
        }
        if given > 1 {
            let at = ["ha1", "secret_file", "secret"].iter().find_map(|name| values.0.get(name));
            let span = at.map_or(Span::default(), |typed| typed.span);
            let cause = "only one of `secret`, `secret_file` and `ha1` can be given";
            self.report.error(span, cause, "remove the others");
        }
        (secret, ha1)
    }

    /// `MD5:0123...`, without saying what stood there if it is wrong.
    fn ha1(&mut self, text: &Typed<String>) -> Option<Typed<RawHa1>> {
        let split = text.value.split_once(':').and_then(|(name, hex)| Some((algorithm_named(name)?, hex)));
        let Some((algorithm, hex)) = split else {
            let fix = "write it as \"MD5:HEX\", \"SHA-256:HEX\" or \"SHA-512-256:HEX\"";
            self.report.secret_error(text.span, "this HA1 does not name its algorithm", fix);
            return None;
        };
        Some(Typed::new(RawHa1 { algorithm, hex: Secret(hex.to_owned()) }, text.span))
    }

    fn algorithms(&mut self, values: &Values) -> Option<Typed<Vec<Algorithm>>> {
        let list = values.texts("algorithms")?;
        let mut found = Vec::new();
        for name in &list.value {
            match algorithm_named(&name.value) {
                Some(algorithm) if !found.contains(&algorithm) => found.push(algorithm),
                Some(_) => {}
                None => {
                    let words = ["MD5", "SHA-256", "SHA-512-256"];
                    let near =
                        did_you_mean(&name.value, words).map(|near| format!("did you mean \"{near}\"?"));
                    let fix =
                        near.unwrap_or_else(|| "write \"SHA-512-256\", \"SHA-256\" or \"MD5\"".to_owned());
                    self.report.error(
                        name.span,
                        format!("there is no digest algorithm `{}`", name.value),
                        fix,
                    );
                }
            }
        }
        if list.value.is_empty() {
            self.report.error(list.span, "no algorithm at all", "leave the key out for the usual ones");
        }
        Some(Typed::new(found, list.span))
    }

    fn networks(&mut self, values: &Values, name: &str) -> Option<Typed<Vec<IpNet>>> {
        let list = values.texts(name)?;
        let mut found = Vec::new();
        for text in &list.value {
            match asterisk::network(&text.value) {
                Some(network) => found.push(network),
                None => {
                    let cause = format!("`{}` is no network", text.value);
                    self.report.error(text.span, cause, "write it as `10.0.0.0/8`, or one address");
                }
            }
        }
        Some(Typed::new(found, list.span))
    }

    fn context(&mut self, name: &Typed<String>, table: &DeTable<'_>) {
        let values = self.values(Table::Context, table);
        self.raw.dialplan.add_context(&name.value);
        for included in values.texts("include").map(|list| list.value).unwrap_or_default() {
            self.raw.dialplan.add_include(&name.value, &included.value);
            self.raw.context_uses.push(included);
        }
        for extension in values.texts("extensions").map(|list| list.value).unwrap_or_default() {
            self.raw.extension(self.report, &name.value, &extension);
        }
        if let Some(value) = table.get("hints") {
            match value.get_ref() {
                DeValue::Table(hints) => self.hints(&name.value, hints),
                _ => {
                    let span = self.span(value);
                    self.report.error(
                        span,
                        "`hints` is a table",
                        "write `\"6001\" = \"SIP/bob\"` in `[contexts.NAME.hints]`",
                    );
                }
            }
        }
    }

    fn hints(&mut self, context: &str, table: &DeTable<'_>) {
        self.raw.dialplan.add_context(context);
        for (extension, value) in self.entries(table) {
            let span = self.span(value);
            match value.get_ref() {
                DeValue::String(text) => {
                    self.raw.hint(self.report, context, &extension, Typed::new(text, span))
                }
                _ => {
                    let cause = format!("the hint of `{}` is text", extension.value);
                    self.report.error(
                        span,
                        cause,
                        "write its devices, as in \"SIP/bob-mobile&SIP/bob-desk\"",
                    );
                }
            }
        }
    }

    fn mailbox(&mut self, name: &Typed<String>, table: &DeTable<'_>) {
        let values = self.values(Table::Mailbox, table);
        let name =
            if name.value.contains('@') { name.value.clone() } else { format!("{}@default", name.value) };
        if let Some(watchers) = values.texts("watchers") {
            self.raw.mailbox_watchers.insert(name, watchers.value);
        }
    }

    /// Header lines as names and values; one that could not stand in a message is an error.
    fn header_lines(&mut self, values: &Values, name: &str) -> Option<Typed<Vec<(String, String)>>> {
        let lines = values.texts(name)?;
        let mut headers = Vec::new();
        for line in &lines.value {
            let parts = line.value.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
            let is_token = |text: &str| !text.is_empty() && text.bytes().all(is_token_byte);
            match parts {
                Some((name, value))
                    if is_token(name) && !value.is_empty() && !value.contains(char::is_control) =>
                {
                    headers.push((name.to_owned(), value.to_owned()));
                }
                _ => self.report.error(
                    line.span,
                    "this is no header line",
                    "write its name, a colon and its value, as in \"Alert-Info: info=alert-autoanswer\"",
                ),
            }
        }
        Some(lines.map(|_| headers))
    }

    fn profile(&mut self, name: Typed<String>, table: &DeTable<'_>) {
        let values = self.values(Table::Profile, table);
        let own = ProfileFields {
            user_agents: values.plain_texts("user_agents"),
            variant: values.choice("variant", &Variant::ALL.map(|variant| (variant.name(), variant))),
            prefer: values.plain_texts("prefer"),
            on_timeout_retry: values.choice("on_timeout", &[("remove", false), ("retry", true)]),
            retry_after_s: values.number("retry_after_s"),
            notify_max_rate: values.number("notify_max_rate"),
            buggy_mwi: values.boolean("buggy_mwi"),
            retry_statuses: values.numbers("retry_statuses"),
            idle_dialog: values.boolean("idle_dialog"),
            single_dialog: values.boolean("single_dialog"),
            partial_dialogs: values.boolean("partial_dialogs"),
            digium: values.boolean("digium"),
            auto_answer: self.header_lines(&values, "auto_answer"),
            pickup: values
                .choice("pickup", &[Pickup::Replaces, Pickup::Code].map(|pickup| (pickup.name(), pickup))),
            end_notify: values.boolean("end_notify"),
            list_event_capital: values.boolean("list_event_capital"),
            list_bare_ids: values.boolean("list_bare_ids"),
            shorten: values.boolean("shorten"),
            reason: values.text("reason"),
        };
        match self.raw.profiles.iter_mut().find(|known| known.name.value == name.value) {
            Some(known) => known.fields.overlay(own),
            None => self.raw.profiles.push(super::raw::Profile { name, fields: own }),
        }
    }
}

/// The option `mailboxes`, each with its context.
fn mailboxes(values: &Values) -> Field<Vec<String>> {
    let whole = |name: String| if name.contains('@') { name } else { format!("{name}@default") };
    let list = values.plain_texts("mailboxes")?;
    Some(list.map(|list| list.into_iter().map(whole).collect()))
}

/// What a header's name is made of (RFC 3261 §25.1, `token`).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}
