//! Every option of our own TOML format, described once.
//!
//! Out: [`OPTIONS`], from which the reader takes names, types and ranges and `docs/config.md` is generated. It reads
//! nothing itself; defaults are the ones of `Settings::empty` and `ShellSettings::defaults`, and a test holds them to
//! what is said here.

/// A kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// The file itself.
    Top,
    /// `[server]`.
    Server,
    /// `[limits]`.
    Limits,
    /// `[tls]`.
    Tls,
    /// `[calls]`.
    Calls,
    /// `[domains."example.com"]`.
    Domain,
    /// `[peers.alice]`.
    Peer,
    /// `[people.bob]`.
    Person,
    /// `[lists.board]`.
    List,
    /// `[composition.NAME]`.
    Composition,
    /// `[hints]`: keys are extensions.
    Hints,
    /// `[contexts.default]`.
    Context,
    /// `[contexts.default.hints]`: keys are extensions.
    ContextHints,
    /// `[mailboxes."100@default"]`.
    Mailbox,
    /// `[gateways.NAME]`.
    Gateway,
    /// `[subscriptions.NAME]`.
    Subscription,
    /// `[publications.NAME]`.
    Publication,
    /// `[federation."DOMAIN"]`.
    Federation,
    /// `[profiles.name]`.
    Profile,
    /// `[webhooks.name]`.
    Webhook,
}

impl Table {
    pub(crate) const ALL: [Self; 20] = [
        Self::Top,
        Self::Server,
        Self::Tls,
        Self::Limits,
        Self::Calls,
        Self::Domain,
        Self::Peer,
        Self::Person,
        Self::List,
        Self::Composition,
        Self::Hints,
        Self::Context,
        Self::ContextHints,
        Self::Mailbox,
        Self::Gateway,
        Self::Subscription,
        Self::Publication,
        Self::Federation,
        Self::Profile,
        Self::Webhook,
    ];

    /// How its head is written.
    pub(crate) const fn head(self) -> &'static str {
        match self {
            Self::Top => "",
            Self::Server => "[server]",
            Self::Limits => "[limits]",
            Self::Tls => "[tls]",
            Self::Calls => "[calls]",
            Self::Domain => "[domains.\"NAME\"]",
            Self::Peer => "[peers.NAME]",
            Self::Person => "[people.NAME]",
            Self::List => "[lists.NAME]",
            Self::Composition => "[composition.NAME]",
            Self::Hints => "[hints]",
            Self::Context => "[contexts.NAME]",
            Self::ContextHints => "[contexts.NAME.hints]",
            Self::Mailbox => "[mailboxes.\"NUMBER@CONTEXT\"]",
            Self::Gateway => "[gateways.NAME]",
            Self::Subscription => "[subscriptions.NAME]",
            Self::Publication => "[publications.NAME]",
            Self::Federation => "[federation.\"DOMAIN\"]",
            Self::Profile => "[profiles.NAME]",
            Self::Webhook => "[webhooks.NAME]",
        }
    }

    /// What it is about, for the document.
    pub(crate) const fn doc(self) -> &'static str {
        match self {
            Self::Top => "At the top of the file, before the first table.",
            Self::Server => "The process: sockets, files, log.",
            Self::Limits => {
                "How long things live and how much of everything there may be. A request that asks for less than a \
                minimum gets 423 with Min-Expires; one that asks for more than a maximum gets the maximum."
            }
            Self::Tls => {
                "Certificates, in PEM, for `tls:` and `wss:`. They are read again by `lampyris reload` and SIGHUP, and \
                hold for the connections made from then on; where one of them is wrong, nothing changes. A client's \
                certificate lets it connect; who it is, it still says by digest."
            }
            Self::Calls => {
                "How calls that pass through the server become lamps, and how it finds out that one is over."
            }
            Self::Domain => {
                "A domain this server is responsible for. The first one of the file also answers for all \
                addresses of the server. Without any, there is one named after the address listened on."
            }
            Self::Peer => {
                "A phone, gateway or other server. Its name is its digest username and the user part of its \
                address."
            }
            Self::Person => {
                "What belongs to one person. Whoever watches any of these names sees the same presence and the \
                calls of all devices; what the person sets on one of them holds for all. The person's own name is \
                an address too, and a call to it rings every phone. A peer without an entry is a person of its own."
            }
            Self::List => {
                "Several users and extensions that one subscription watches (RFC 4662): a phone's BLF list, or the \
                contacts of an application. `sip:NAME@domain` is what it subscribes to. Each member is shown to a \
                watcher as if it were watched alone. One subscription watches one event package, and every package \
                has lists."
            }
            Self::Composition => {
                "How the sources of somebody's presence become one document; domains and people name it. All \
                services and devices are always listed; there is one person, whose activity is weighed. Built in \
                are `union`, `latest`, `priority` and `most-available`, each with its base and nothing else; \
                one of a built-in name changes that. `lampyris why bob` tells which source won and why."
            }
            Self::Hints => {
                "Hints of the context `default`: `\"6001\" = \"SIP/bob-mobile&SIP/bob-desk\"`. The same as \
                `[contexts.default.hints]`."
            }
            Self::Context => "A context: extensions, and other contexts searched after its own extensions.",
            Self::ContextHints => {
                "The hints of a context. A name is an extension or a pattern (`_60XX`, in which \
                `${EXTEN}` is the extension asked for); a value is devices joined by `&`, then, after a comma, \
                presence providers."
            }
            Self::Mailbox => "Who may watch a mailbox beside its owner.",
            Self::Gateway => {
                "A server elsewhere that this one is a client of: it watches there (`[subscriptions.NAME]`), and \
                registers where it is told to. What arrives is shown as the state of users and extensions here, by the \
                rules of `map`, for as long as the subscription lasts. `lampyris gateways` shows how each of them is."
            }
            Self::Subscription => {
                "What is watched at a gateway: one event package, any number of addresses. FreeSWITCH's `<subscriptions>`."
            }
            Self::Publication => {
                "What is published at a gateway (RFC 3903), so that watchers there see users and extensions of here: their \
                composed state, as soon as it changes, for as long as there is any. Whoever the other server lets see it \
                sees it; the rules of who may watch do not travel along. Nobody is published at a server that tells of \
                them itself."
            }
            Self::Federation => {
                "Another domain whose users may watch ours, and whom ours may watch, server to server. Both sides prove by \
                certificate who they are: `[tls]` with `client_auth` and `client_ca` is needed. Our users subscribe to \
                `sip:carol@DOMAIN` here, alone or in a list, and are asked for there by their own name; what is told on \
                behalf of one user reaches that user alone. `lampyris gateways` shows what is asked for."
            }
            Self::Profile => {
                "How a kind of phone wants to be treated. A profile of a built-in name changes what it \
                names in that one; a new one goes before the built-in ones."
            }
            Self::Webhook => {
                "A program that is told of events by HTTP requests; see docs/api.md. Read at the start only."
            }
        }
    }
}

/// What an option's value may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number from, to.
    Integer(i64, i64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Text.
    Text,
    /// Text, or a list of it.
    Texts,
    /// Whole numbers from, to.
    Integers(i64, i64),
    /// `true`, `false` or a whole number from, to.
    BooleanOrInteger(i64, i64),
}

/// Who may watch.
const SCOPES: Kind = Kind::Choice(&["domain", "everyone", "nobody", "confirm"]);

/// One option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OptionSpec {
    pub(crate) table: Table,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Of a number; empty for none.
    pub(crate) unit: &'static str,
    /// As it would be typed, or in words.
    pub(crate) default: &'static str,
    /// As it may be typed; something else than the default.
    pub(crate) example: &'static str,
    /// What it does.
    pub(crate) doc: &'static str,
    /// Why one would change it, or why the default is what it is.
    pub(crate) reason: &'static str,
}

/// The options whose values never leave the machine.
const SECRETS: [(Table, &str); 4] =
    [(Table::Peer, "secret"), (Table::Peer, "ha1"), (Table::Gateway, "secret"), (Table::Webhook, "secret")];

impl OptionSpec {
    /// Whether its value must not be shown to anybody.
    pub(crate) fn is_secret(&self) -> bool {
        SECRETS.contains(&(self.table, self.name))
    }
}

/// The option of this name in this table.
pub(crate) fn find(table: Table, name: &str) -> Option<&'static OptionSpec> {
    OPTIONS.iter().find(|option| option.table == table && option.name == name)
}

/// Names of a table's options.
pub(crate) fn names(table: Table) -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().filter(move |option| option.table == table).map(|option| option.name)
}

/// A row of [`OPTIONS`].
macro_rules! option {
    ($table:ident . $name:literal, $kind:expr, $unit:literal, $default:literal, $example:literal, $doc:literal, $reason:literal) => {
        OptionSpec {
            table: Table::$table,
            name: $name,
            kind: $kind,
            unit: $unit,
            default: $default,
            example: $example,
            doc: $doc,
            reason: $reason,
        }
    };
}

const YEAR_S: i64 = 31_536_000;
const DAY_S: i64 = 86_400;
const COUNT_MAX: i64 = i32::MAX as i64;

/// All options, in the order of the document.
pub(crate) const OPTIONS: &[OptionSpec] = &[
    option!(Top."include", Kind::Texts, "", "[]", "[\"more.toml\"]",
        "Other TOML files, relative to this one; what this file says itself wins over them.",
        "Secrets or a long list of peers in a file of their own."),
    option!(Top."asterisk", Kind::Text, "", "none", "\"asterisk\"",
        "A directory with sip.conf and extensions.conf, relative to this file; what TOML says wins over it.",
        "The same as naming the directory and this file beside it on the command line."),
    option!(Top."freeswitch_gateways", Kind::Texts, "", "[]", "[\"sip_profiles/external/fs2.xml\"]",
        "Gateway files of FreeSWITCH, relative to this file: their account, `register` and `<subscriptions>` are taken as they stand. What `[gateways.NAME]` says of the same gateway wins.",
        "Who comes from FreeSWITCH keeps the files; `map` says who its users are here."),
    option!(Top."trusted", Kind::Texts, "", "[]", "[\"10.0.0.0/8\"]",
        "Networks whose requests are not challenged; who asks is P-Asserted-Identity, else From.",
        "An authenticating proxy stands there. Anybody in these networks can say to be anyone."),
    option!(Top."allow_subscribe", Kind::Boolean, "", "true", "false",
        "Whether anybody may subscribe; `false` answers every SUBSCRIBE 403.",
        "`allowsubscribe` of sip.conf."),
    option!(Top."nohint", Kind::Choice(&["404", "open"]), "", "\"404\"", "\"open\"",
        "What watching an extension that exists without a hint gives: 404, or a lamp that is always open.",
        "Old Asterisk versions showed it open; a lamp that never changes hides a mistake."),
    option!(Top."subscribe_response", Kind::Integer(200, 202), "", "200", "202",
        "Status of an accepted SUBSCRIBE, 200 or 202.",
        "RFC 6665 §8.3.1 forbids 202; some old clients wait for it."),
    option!(Top."notify_ringing", Kind::Choice(&["yes", "no", "notinuse"]), "", "\"yes\"", "\"no\"",
        "Whether ringing shows in dialog documents; `notinuse` shows it only while no call is up.",
        "`notifyringing` of sip.conf."),
    option!(Top."notify_hold", Kind::Boolean, "", "true", "false",
        "Whether a held call shows as on hold; `false` where there is a sip.conf, as in chan_sip.",
        "`notifyhold` of sip.conf; where users came from a system that did not show it."),
    option!(Top."notify_cid", Kind::Choice(&["no", "yes", "ignore-context"]), "", "\"no\"", "\"ignore-context\"",
        "Whether dialog documents in chan_sip's shape name the caller, and the call so that it can be picked up: `yes` only where the caller's context is that of the watched extension.",
        "`notifycid` of sip.conf; documents in the RFC's shape name both anyway, as far as `dialog_reveal` lets them."),
    option!(Top."dialog_reveal", Kind::Choice(&["party", "state"]), "", "\"party\"", "\"state\"",
        "How much of a call its watchers are shown: also with whom and the identifiers that picking up needs, or only that there is one. Everybody sees all of their own calls.",
        "RFC 4235 §3.6 advises `state` for strangers; colleagues pick up each other's calls."),
    option!(Top."dialog_offline", Kind::Choice(&["idle", "presence"]), "", "\"idle\"", "\"presence\"",
        "What dialog documents in the RFC's shape say of somebody who is not there: the same as of somebody idle, or also a `closed` presence document beside the dialogs.",
        "An application that tells unregistered from idle; phones skip what they do not know."),
    option!(Top."flow_grace_s", Kind::Integer(0, DAY_S), "seconds", "5", "30",
        "How long a registration outlives its closed TCP connection.",
        "Long enough for a phone to reconnect, short enough that a lamp does not lie."),
    option!(Top."stop", Kind::Choice(&["keep", "end"]), "", "\"keep\"", "\"end\"",
        "What a graceful stop does to subscriptions: `keep` goes on with them after the restart, `end` tells each watcher `terminated;reason=probation` and when to come back.",
        "`end` before moving to another machine."),
    option!(Top."restart_notify_rate", Kind::Integer(1, 1_000_000), "NOTIFYs per second", "2000", "500",
        "How fast a restart tells those watchers whose lamp may have changed meanwhile, newest changes first. What changes after the start is told at once.",
        "Phones behind a narrow line; or a large machine where the last one should not wait."),
    option!(Top."watch", SCOPES, "", "\"domain\"", "\"confirm\"",
        "Who may watch whoever has no rules of their own: whoever is authenticated in the same domain, whoever is authenticated at all, nobody but the watched, or whoever is confirmed (`lampyris pending`, `lampyris allow`). Mailboxes, registrations, feature keys and lists of watchers are for their owner.",
        "Colleagues see each other; two companies on one server do not."),
    option!(Top."watch_dialog", SCOPES, "", "as `watch`", "\"nobody\"",
        "The same for calls alone.", "Presence is for all, who talks to whom is not."),
    option!(Top."rules", Kind::Text, "", "none", "\"rules\"",
        "Directory of presence rules (RFC 5025), relative to this file: `NAME.xml` says who may watch the peer `NAME` and what each is shown. Such a user's rules cannot be changed by command. A document that is wrong is an error of the configuration, so the old ones stay in use.",
        "Rules that another program writes, or that are kept under version control."),
    option!(Top."documents", Kind::Text, "", "none", "\"documents\"",
        "Directory of presence documents (RFC 3863), relative to this file: `NAME.xml` says what holds of the peer or person `NAME` where nobody publishes otherwise (hard state, RFC 4827). Such a document cannot be changed by command. One that is wrong is an error of the configuration, so the old ones stay in use.",
        "Who is on holiday, or can always be reached by mail, needs no phone that says so."),
    option!(Top."egress_allow", Kind::Texts, "", "[]", "[\"10.0.0.0/8\"]",
        "Networks that requests may be sent to where a peer named the address: in Contact, Record-Route, or by a name, once DNS has made it one. What comes back on the way a request came, and peers whose address is configured, are not asked for.",
        "Without any, wherever is no nearer to the server than the peer that names it: a peer out there cannot have the server talk to hosts of the private network, the link or the machine. Never sent to are broadcast, multicast and cloud metadata addresses, and the server itself."),
    option!(Top."egress_deny", Kind::Texts, "", "[]", "[\"10.6.6.0/24\"]",
        "Networks that no request is sent to, not even to a configured peer.",
        "Hosts that must never hear from the server, whoever names them."),
    option!(Top."resource_lists", Kind::Text, "", "none", "\"lists\"",
        "Directory of lists (RFC 4826), relative to this file: `NAME.xml` with a `resource-lists` document is the list `NAME`, or where `NAME` is a user that user's own (`sip:mine@domain`); one with `rls-services` has the lists it names. A document that is wrong is an error of the configuration.",
        "Lists that another program writes."),
    option!(Server."listen", Kind::Texts, "", "[\"udp:0.0.0.0:5060\", \"tcp:0.0.0.0:5060\"]", "[\"udp:127.0.0.1:5070\"]",
        "Sockets, each `TRANSPORT:ADDRESS:PORT` with a transport of `udp`, `tcp`, `tls`, `ws` or `wss`; port 0 lets the system choose.",
        "One per network card or address family."),
    option!(Server."ws_origins", Kind::Texts, "", "[]", "[\"https://phone.example.com\"]",
        "Origins whose pages may open WebSockets; without any, pages of the host that is connected to. `*` lets all in. What sends no Origin is no browser and is let in.",
        "The page with the softphone comes from another server. Read again by a reload."),
    option!(Server."advertised", Kind::Text, "", "the bound address", "\"203.0.113.7\"",
        "Address, maybe with a port, that stands in Via and Contact.",
        "The server is behind a NAT with a forwarded port."),
    option!(Server."local_networks", Kind::Texts, "", "[]", "[\"192.168.0.0/16\"]",
        "Peers in these networks see the bound address even where `advertised` is set.",
        "`localnet` of sip.conf."),
    option!(Server."data", Kind::Text, "", "none: nothing is kept, unless the command line says `--data`", "\"state\"",
        "Directory of the store and the admin socket, relative to this file.",
        "Subscriptions and registrations survive a restart."),
    option!(Server."durability", Kind::Choice(&["power", "process", "memory"]), "", "\"power\"", "\"process\"",
        "When a record counts as durable, and its 2xx leaves: it survives a power failure, the end of the process, or nothing.",
        "`process` is faster where the machine has a battery; `memory` is for tests."),
    option!(Server."store_bytes_max", Kind::Integer(1 << 20, 1 << 46), "bytes", "68719476736", "1073741824",
        "Most bytes the store may grow to. So much address space is reserved at the start, and none of it used; beyond, \
         what has to be stored is refused with 503.",
        "A machine may limit the address space of a process."),
    option!(Server."backup_every_s", Kind::Integer(0, YEAR_S), "seconds", "3600", "600",
        "Time between backups of the store to `backups` in the data directory; 0: none. None is made where nothing changed.",
        "A store that a broken disk has damaged is replaced by the last of them."),
    option!(Server."backups_kept", Kind::Integer(1, 1000), "", "3", "24",
        "How many backups are kept there; the oldest go first.",
        "A backup is about as large as all records together, 400 bytes for a subscription."),
    option!(Server."join_datagrams", Kind::Boolean, "", "false", "true",
        "Whether datagrams of one length to one address, as to a proxy in front of the phones, go through the kernel together \
         (Linux 4.18). A capture on this machine (sngrep, tcpdump) then shows them as one that is too long; on the wire they are apart.",
        "It costs a fifth of the kernel's time of each."),
    option!(Server."name", Kind::Text, "", "\"lampyris/VERSION\"", "\"Example PBX\"",
        "`Server` and `User-Agent` of authenticated answers and NOTIFYs.",
        "`useragent` of sip.conf."),
    option!(Server."realm", Kind::Text, "", "the domain's name; `asterisk` where users come from sip.conf", "\"pbx.example.com\"",
        "Digest realm of the domains that name none.",
        "HA1s are made for one realm."),
    option!(Server."context", Kind::Text, "", "\"default\"", "\"office\"",
        "Context of peers and domains that name none.",
        "`context` of sip.conf."),
    option!(Server."http", Kind::Text, "", "\"127.0.0.1:8470\", which is no error where it is taken", "\"[::1]:8470\"",
        "Where the HTTP API and the web console are, `ADDRESS:PORT`; `off` for nowhere. Beyond the loopback interface it is HTTPS by the certificate of `[tls]`.",
        "Another machine's programs. See docs/api.md for tokens, without which nothing is shown."),
    option!(Server."http_plain", Kind::Boolean, "", "false", "true",
        "Whether HTTP without TLS may be beyond the loopback interface, where there is no certificate.",
        "A reverse proxy in the same private network. Tokens can be read on the way."),
    option!(Server."http_origins", Kind::Texts, "", "[]", "[\"https://intranet.example.com\"]",
        "Origins whose pages may use the API beside the server's own (CORS).",
        "Lamps on a page of the intranet."),
    option!(Server."log", Kind::Text, "", "\"info\"", "\"debug\"",
        "What is logged: a level, or `tracing` directives as in `info,lampyris=debug`.",
        "The command line's `RUST_LOG` wins."),
    option!(Server."log_format", Kind::Choice(&["text", "json"]), "", "\"text\"", "\"json\"",
        "How log lines look.",
        "`json` for a log collector."),
    option!(Server."otel", Kind::Text, "", "none, or `OTEL_EXPORTER_OTLP_ENDPOINT` of the environment", "\"http://127.0.0.1:4318\"",
        "OpenTelemetry collector that is told of each request by a span (OTLP over HTTP, protobuf, at `/v1/traces` below this). Only in a lampyris that is built with `--features otel`; the environment's standard variables say the rest, as `OTEL_TRACES_SAMPLER`.",
        "To see one request among those of the other programs that it passes."),
    option!(Server."user", Kind::Text, "", "none: it stays who it was started as", "\"lampyris\"",
        "User that the process becomes once its sockets are bound; only root can. Certificates are read before, and by a reload after that, so that user must be able to read them for a reload.",
        "Ports below 1024 need root, the rest does not. systemd's `User=` or `DynamicUser=` does the same from outside."),
    option!(Server."group", Kind::Text, "", "the user's own", "\"lampyris\"",
        "Group that the process becomes with `user`.", "Certificates are often readable by a group."),
    option!(Tls."certificate", Kind::Text, "", "none", "\"fullchain.pem\"",
        "File with the server's certificate and those between it and its authority, relative to this file.",
        "Phones connect by TLS only where they can verify it."),
    option!(Tls."key", Kind::Text, "", "none", "\"privkey.pem\"",
        "File with the certificate's private key.", "It belongs to the certificate."),
    option!(Tls."client_auth", Kind::Choice(&["none", "request", "require"]), "", "\"none\"", "\"require\"",
        "Whether those who connect show a certificate: they are not asked, they may, or they must; a bad one never gets in.",
        "Phones with certificates of your own keep strangers from even trying passwords."),
    option!(Tls."client_ca", Kind::Text, "", "none", "\"phones-ca.pem\"",
        "File with the authorities that such certificates come from.", "Needed by `client_auth`."),
    option!(Tls."roots", Kind::Text, "", "the system's", "\"office-ca.pem\"",
        "File with the authorities of the servers and phones that are connected to.",
        "Your own authority instead of the public ones. Who is connected to must always prove its name."),
    option!(Limits."subscription_min_s", Kind::Integer(1, YEAR_S), "seconds", "60", "120",
        "Shortest subscription.", "Phones that refresh every few seconds cost more than they show."),
    option!(Limits."subscription_default_s", Kind::Integer(1, YEAR_S), "seconds", "3600", "1800",
        "Where a SUBSCRIBE names none.", "RFC 3856 §6.4."),
    option!(Limits."subscription_max_s", Kind::Integer(1, YEAR_S), "seconds", "43200", "7200",
        "Longest subscription.", "A phone that died is forgotten after this at the latest."),
    option!(Limits."notify_max_rate", Kind::Integer(1, 100), "per second", "10", "2",
        "Most NOTIFYs of one subscription.",
        "What comes faster is told in one NOTIFY, the newest state; as many may leave at once. A watcher may ask for less (RFC 6446)."),
    option!(Limits."notify_max_rate_presence", Kind::Integer(1, 100), "per second", "`notify_max_rate`", "1",
        "The same for presence alone.", "Who is at lunch is no news by the tenth of a second."),
    option!(Limits."notify_max_rate_dialog", Kind::Integer(1, 100), "per second", "`notify_max_rate`", "20",
        "The same for calls alone.", "Lamps are to follow at once."),
    option!(Limits."notify_fragments", Kind::Boolean, "", "true", "false",
        "Whether a NOTIFY of more than 1,300 bytes over UDP goes in fragments where its watcher takes no TCP connection and leaving out extras does not make it fit; `false` sends it without its document. The log and `lampyris why` tell what was chosen.",
        "A network that drops fragments, where a watcher would hear nothing at all and be taken for gone."),
    option!(Limits."list_datagram_bytes", Kind::Integer(1300, 65_000), "bytes", "1300", "16000",
        "Longest first NOTIFY of a list over UDP. It names every member; where even the names have more, and the watcher takes no TCP or TLS, its SUBSCRIBE is answered 403.", "Beyond 1,300 bytes it goes in fragments, which networks lose."),
    option!(Limits."publication_min_s", Kind::Integer(1, YEAR_S), "seconds", "60", "120",
        "Shortest publication.", "Each refresh is written to the store."),
    option!(Limits."publication_default_s", Kind::Integer(1, YEAR_S), "seconds", "3600", "1800",
        "Where a PUBLISH names none.", "RFC 3903 §6."),
    option!(Limits."publication_max_s", Kind::Integer(1, YEAR_S), "seconds", "43200", "7200",
        "Longest publication.", "A state whose publisher died is forgotten after this at the latest."),
    option!(Limits."registration_min_s", Kind::Integer(1, YEAR_S), "seconds", "60", "120",
        "Shortest registration.", "RFC 3261 §10.3."),
    option!(Limits."registration_default_s", Kind::Integer(1, YEAR_S), "seconds", "3600", "1800",
        "Where a REGISTER names none.", "RFC 3261 §10.2.1.1."),
    option!(Limits."registration_max_s", Kind::Integer(1, YEAR_S), "seconds", "43200", "7200",
        "Longest registration.", "A lamp shows a dead phone as idle for this long at most."),
    option!(Limits."subscriptions_max", Kind::Integer(0, COUNT_MAX), "", "4000000", "100000",
        "Subscriptions at once; one more is 503. 0, here and below, is without limit. `lampyris show limits` shows how often each limit was hit.",
        "What the machine has memory for: a subscription takes about a kilobyte."),
    option!(Limits."subscriptions_per_watcher_max", Kind::Integer(0, COUNT_MAX), "", "20000", "500",
        "Subscriptions of one watcher; one more is 403.", "A phone has dozens, the console of a large office thousands."),
    option!(Limits."subscriptions_per_presentity_max", Kind::Integer(0, COUNT_MAX), "", "100000", "2000",
        "Subscriptions to one resource, over all packages; one more is 503.", "Each change of it is a NOTIFY to every one of them."),
    option!(Limits."subscriptions_per_source_max", Kind::Integer(0, COUNT_MAX), "", "1000000", "20000",
        "Subscriptions from one address (IPv6: one /64), `trusted` networks apart; one more is 403.", "A whole site may stand behind one address."),
    option!(Limits."publications_max", Kind::Integer(0, COUNT_MAX), "", "2000000", "50000",
        "Publications at once; one more is 503.", "Each keeps its document."),
    option!(Limits."publications_per_presentity_max", Kind::Integer(0, COUNT_MAX), "", "32", "8",
        "Publications of one resource and package; one more is 403.", "As many devices as a person has."),
    option!(Limits."publications_per_publisher_max", Kind::Integer(0, COUNT_MAX), "", "100000", "100",
        "Publications of one publisher; one more is 403.", "A PBX publishes for all its phones."),
    option!(Limits."publishes_per_s", Kind::Integer(0, 1_000_000), "per second", "20", "2",
        "PUBLISH requests of one publisher in the long run, ten seconds' worth of them at once; more are 503. Who is trusted to publish for others is not counted.",
        "RFC 3903 §14.2: each may be a NOTIFY to every watcher."),
    option!(Limits."bindings_max", Kind::Integer(0, COUNT_MAX), "", "2000000", "50000",
        "Bindings at once; one more is 503.", "What the machine has memory for."),
    option!(Limits."bindings_per_aor_max", Kind::Integer(0, COUNT_MAX), "", "10", "3",
        "Bindings of one address of record; one more is 403.", "A call to it forks to each."),
    option!(Limits."memory_max_mib", Kind::Integer(0, COUNT_MAX), "MiB", "0", "2048",
        "Memory of the process from which on nothing new is taken (503); what is there goes on. Read at the start.",
        "Below what the machine, or its control group, has: better to refuse than to be killed."),
    option!(Limits."streams_max", Kind::Integer(0, COUNT_MAX), "", "100000", "20000",
        "Connections (TCP, TLS, WebSocket) that peers may hold at once; one more is closed. Read at the start.",
        "Each takes a file descriptor."),
    option!(Limits."streams_per_address_max", Kind::Integer(0, COUNT_MAX), "", "4096", "64",
        "Of these, from one address. Read at the start.", "A whole site may stand behind one address."),
    option!(Calls."settle_ms", Kind::Integer(0, 10_000), "milliseconds", "80", "0",
        "How long a call that does not ring yet is not shown at the callee.",
        "Most phones ring within it, so that a lamp goes straight to ringing; 0 shows every step."),
    option!(Calls."hold_shows", Kind::Choice(&["holder", "held", "both"]), "", "\"holder\"", "\"both\"",
        "Whose lamp shows that a call is on hold, where `notify_hold` shows it at all: who pressed the key, who waits, or both.",
        "Asterisk shows it at who pressed the key."),
    option!(Calls."probe_after_s", Kind::Integer(10, DAY_S), "seconds", "1800", "600",
        "After how much silence the phones of a call are asked, with an OPTIONS inside its dialog, whether it is still there.",
        "A BYE can get lost; without a session timer nothing else would ever end the call."),
    option!(Calls."probe_every_s", Kind::Integer(10, DAY_S), "seconds", "300", "60",
        "How often they are asked from then on.", "Any request of the phones themselves starts the silence anew."),
    option!(Calls."default_route", Kind::Text, "", "none", "\"gateway\"",
        "Peer that calls go to whose number names nobody here; without one they are answered 404.", "A trunk to the telephone network."),
    option!(Calls."pickup_code", Kind::Text, "", "\"**\"", "\"*7\"",
        "What is dialled before an extension to pick up the call that rings there; empty for nothing.",
        "Phones are set up with the code of the system before."),
    option!(Calls."group_pickup_code", Kind::Text, "", "\"*8\"", "\"*80\"",
        "What is dialled to pick up a call that rings in one's `pickup_groups`; empty for nothing.", "As `pickupexten` of Asterisk's features.conf."),
    option!(Domain."aliases", Kind::Texts, "", "[]", "[\"pbx.example.com\"]",
        "Other names and addresses that mean the same domain.",
        "Phones that were set up with an address, or with an old name."),
    option!(Domain."realm", Kind::Text, "", "`realm` of `[server]`", "\"users\"",
        "Digest realm.", "HA1s are made for one realm."),
    option!(Domain."algorithms", Kind::Texts, "", "`SHA-256` and, where one of its users may use it, `MD5`; `MD5` alone where users come from sip.conf", "[\"SHA-256\"]",
        "Digest algorithms offered, most preferred first: `SHA-512-256`, `SHA-256`, `MD5`.",
        "Many phones take the first challenge they see and know only MD5 (RFC 8760 §2.3)."),
    option!(Domain."users", Kind::Choice(&["configured", "any"]), "", "\"configured\"", "\"any\"",
        "Whether only configured peers exist, or every user part does.",
        "Behind an authenticating proxy that knows the users, and in laboratories."),
    option!(Domain."composition", Kind::Text, "", "`union`", "\"most-available\"",
        "How the presence of its users is composed: the name of a `[composition.NAME]` or of a built-in one.",
        "A person may name another."),
    option!(Domain."context", Kind::Text, "", "`context` of `[server]`", "\"office\"",
        "Context of watchers that have no peer of their own.", "With `users = \"any\"` or `trusted`."),
    option!(Domain."watch", SCOPES, "", "`watch` at the top", "\"nobody\"",
        "Who may watch the users of this domain who have no rules of their own.", "Each company has its own custom."),
    option!(Domain."watch_dialog", SCOPES, "", "`watch_dialog` at the top, else `watch` of this domain", "\"nobody\"",
        "The same for calls alone.", "A call centre shows calls, a lawyer does not."),
    option!(Domain."everybody", Kind::Text, "", "\"all\"", "\"everybody\"",
        "User part that means everybody of the domain; so does none, as in `sip:example.com`.", "One subscription for a wallboard."),
    option!(Domain."everybody_max", Kind::Integer(0, 100_000), "users", "100", "10000",
        "Most users a domain may have for a subscription to everybody in it; with more, or 0, there is none.", "The first NOTIFY names everybody, which for a large domain needs TCP, TLS or WebSocket."),
    option!(Peer."secret", Kind::Text, "", "none", "\"correct horse\"",
        "Password. Never printed or logged.", "One of `secret`, `secret_file` and `ha1`."),
    option!(Peer."secret_file", Kind::Text, "", "none", "\"alice.secret\"",
        "File with the password on its first line, relative to this file.",
        "Secrets from a secret store or with stricter permissions."),
    option!(Peer."ha1", Kind::Texts, "", "none", "[\"MD5:0123456789abcdef0123456789abcdef\"]",
        "Hash of `NAME:REALM:PASSWORD`, as `ALGORITHM:HEX`; one per algorithm the phone may use.",
        "The password itself is nowhere. A new realm needs new hashes."),
    option!(Peer."algorithms", Kind::Texts, "", "all of the realm's", "[\"SHA-256\"]",
        "Digest algorithms this peer may answer with.", "Takes MD5 from a peer that does not need it."),
    option!(Peer."open", Kind::Boolean, "", "false", "true",
        "Not challenged at all, whoever says to be this peer.", "A laboratory. It is logged at start."),
    option!(Peer."type", Kind::Choice(&["friend", "peer", "user"]), "", "\"friend\"", "\"peer\"",
        "`type` of sip.conf: `peer` is matched by its address or registration, `user` by From, `friend` by both.", "A trunk is a `peer`."),
    option!(Peer."domain", Kind::Text, "", "the first domain", "\"second.example.com\"",
        "Domain it belongs to.", "Several companies on one server."),
    option!(Peer."aliases", Kind::Texts, "", "[]", "[\"alice.smith\"]",
        "Other user parts that mean the same person.", "A number and a name."),
    option!(Peer."device", Kind::Text, "", "\"SIP/NAME\"", "\"PJSIP/alice\"",
        "Device that its registration and calls move, as hints name it.", "Hints written for another channel driver."),
    option!(Peer."host", Kind::Text, "", "\"dynamic\"", "\"192.0.2.7:5060\"",
        "`dynamic` registers; an address (or name), maybe with a port, is always there and needs no secret.", "A gateway."),
    option!(Peer."any_port", Kind::Boolean, "", "false", "true",
        "With a fixed `host`: requests may come from any port of it.", "`insecure=port` of sip.conf."),
    option!(Peer."context", Kind::Text, "", "`context` of `[server]`", "\"office\"",
        "Where its requests are looked up.", "Phones of one group see the extensions of that group."),
    option!(Peer."subscribe_context", Kind::Text, "", "none", "\"lamps\"",
        "Where hints are looked up before `context`.", "`subscribecontext` of sip.conf."),
    option!(Peer."allow_subscribe", Kind::Boolean, "", "true", "false",
        "Whether it may subscribe; otherwise 403.", "A door phone needs no lamps."),
    option!(Peer."call_counter", Kind::Boolean, "", "false where it comes from sip.conf, else true", "false",
        "Whether its calls are counted, so that its lamp shows them.", "`callcounter` of sip.conf."),
    option!(Peer."call_limit", Kind::Integer(0, COUNT_MAX), "calls", "none", "2",
        "Calls at which it shows Busy; 0 counts none.", "`call-limit` of sip.conf."),
    option!(Peer."busy_level", Kind::Integer(0, COUNT_MAX), "calls", "none", "1",
        "Calls from which on it shows Busy rather than InUse.", "`busylevel` of sip.conf."),
    option!(Peer."device_state_busy_at", Kind::Integer(0, COUNT_MAX), "calls", "0", "1",
        "Calls from which on a `PJSIP/` device shows busy; 0 for never.", "`device_state_busy_at` of pjsip.conf."),
    option!(Peer."qualify", Kind::BooleanOrInteger(1, 600_000), "milliseconds", "false", "true",
        "Ask it by OPTIONS whether it is there; a number is how long an answer may take, `true` is 2000.",
        "A phone whose plug was pulled shows Unavailable before its registration ends."),
    option!(Peer."qualify_every_s", Kind::Integer(1, DAY_S), "seconds", "60", "30",
        "Time between two OPTIONS.", "`qualifyfreq` of sip.conf."),
    option!(Peer."mailboxes", Kind::Texts, "", "[]", "[\"100@default\"]",
        "Mailboxes it owns; without `@CONTEXT` it is `@default`.", "Its message lamp."),
    option!(Peer."call_groups", Kind::Texts, "", "[]", "[\"sales\", \"1\"]",
        "Groups its calls belong to: only peers that have one of them in `pickup_groups` may pick these calls up.",
        "`callgroup` and `namedcallgroup` of sip.conf. Without any, everybody in its domain may pick up by extension."),
    option!(Peer."pickup_groups", Kind::Texts, "", "[]", "[\"sales\"]",
        "Groups whose calls it may pick up.", "`pickupgroup` and `namedpickupgroup` of sip.conf."),
    option!(Peer."mwi_unsolicited", Kind::Boolean, "", "true where it comes from sip.conf, else false", "true",
        "Tell its phones their message counts without a subscription, when they register and when the counts change.",
        "Phones that never subscribe; `subscribemwi=no` of sip.conf."),
    option!(Peer."nat", Kind::Choice(&["auto", "contact", "source"]), "", "\"auto\"", "\"source\"",
        "Where a NOTIFY goes over UDP: to its Contact, to where its request came from, or `auto`: to the Contact unless its address is another than the source's.",
        "A router that lies about addresses."),
    option!(Peer."trusted_publisher", Kind::Boolean, "", "false", "true",
        "May publish for anybody in its domain.", "A PBX that publishes the state of its phones."),
    option!(Peer."display", Kind::Text, "", "\"\"", "\"Alice Smith\"",
        "Name for people.", "`callerid` of sip.conf."),
    option!(Peer."dialog_reveal", Kind::Choice(&["party", "state"]), "", "as `dialog_reveal` of the whole", "\"state\"",
        "How much of other people's calls this peer is shown.", "A telephone in the hall; the reception's console where others see states only."),
    option!(Peer."profile", Kind::Text, "", "chosen by its User-Agent", "\"polycom\"",
        "Phone profile by name.", "A phone whose User-Agent is hidden or wrong."),
    option!(Context."include", Kind::Texts, "", "[]", "[\"shared\"]",
        "Contexts searched after its own extensions, in order.", "`include =>` of extensions.conf."),
    option!(Context."extensions", Kind::Texts, "", "[]", "[\"600\", \"_7XX\"]",
        "Extensions or patterns that exist without a hint.", "They answer as `nohint` says."),
    option!(Person."peers", Kind::Texts, "", "[]", "[\"alice\"]",
        "Peers whose addresses are the person's; the first says in which domain the person is.",
        "A desk phone and a mobile."),
    option!(Person."aliases", Kind::Texts, "", "[]", "[\"robert\"]",
        "Other user parts that mean the person.", "The address on the business card."),
    option!(Person."extensions", Kind::Texts, "", "[]", "[\"6001\"]",
        "Extensions with a hint that mean the person, as `6001` (context `default`) or `6001@office`.",
        "Busy lamp keys are programmed with extensions."),
    option!(Person."devices", Kind::Texts, "", "[]", "[\"Custom:bob-office\"]",
        "Devices beside those of the peers and of the hints.", "A state set by a door or a calendar."),
    option!(Person."mailboxes", Kind::Texts, "", "[]", "[\"100\"]",
        "Mailboxes, beside those of the peers; all of the person's phones show all of them.",
        "One lamp for one person."),
    option!(Person."display", Kind::Text, "", "none", "\"Bob Baker\"",
        "Name for people, also of the peers that have none.", "Lists and explanations read better."),
    option!(Person."composition", Kind::Text, "", "that of the domain", "\"latest\"",
        "How the person's presence is composed: the name of a `[composition.NAME]` or of a built-in one.",
        "One whose phones all say something else."),
    option!(List."members", Kind::Texts, "", "[]", "[\"6001\", \"bob\", \"context:office\"]",
        "Who is in it: users and extensions by name, a URI, `_60XX` for the extensions and users whose names match, `group:NAME` for the peers of a call group, `context:NAME` for the extensions of a context, `list:NAME` for those of another list. Whoever is named twice is in it once.",
        "What a watcher's context does not have is shown to it as not there."),
    option!(List."display", Kind::Text, "", "none", "\"The board\"",
        "Name for people.", "Some applications show it."),
    option!(List."domain", Kind::Text, "", "the first domain", "\"second.example.com\"",
        "The domain it is in.", "Each company has its own."),
    option!(List."owner", Kind::Text, "", "none", "\"alice\"",
        "Whose own list it is: for that person `sip:mine@domain` is the same.", "One address in the provisioning of every phone."),
    option!(List."packages", Kind::Texts, "", "every package", "[\"dialog\"]",
        "The event packages it is for; others are answered 489.", "Asterisk's lists have one."),
    option!(List."watchers", Kind::Texts, "", "whoever may subscribe", "[\"alice\"]",
        "The users who may subscribe to it. What they are shown of each member is for that member's rules to say.", "Who belongs together is nobody's business."),
    option!(List."notification_batch_interval", Kind::Integer(0, 60_000), "milliseconds", "0", "200",
        "How long changes are gathered before they are told.", "Many changes at once become one NOTIFY."),
    option!(List."full_state", Kind::Boolean, "", "false", "true",
        "Tell the whole list with each change.", "For phones that do not read partial lists."),
    option!(Composition."base", Kind::Choice(&["union", "latest", "priority", "most-available"]), "", "\"union\"", "\"latest\"",
        "Whose activity is shown: `union`, that of calls beside what was set by hand or else published last; `latest`, whoever spoke last; `priority`, the first kind in `sources` that says one; `most-available`, the one that leaves the person most available, and open beats closed.",
        "`union` is what watchers have always been shown."),
    option!(Composition."sources", Kind::Texts, "", "[\"manual\", \"calls\", \"publication\", \"connector\", \"calendar\", \"registration\", \"document\"]", "[\"manual\", \"publication\", \"registration\"]",
        "The kinds of source that count, the strongest first; one left out is not heard.",
        "Without `calls`, presence does not tell that somebody is on the phone; lamps do all the same."),
    option!(Composition."override", Kind::Texts, "", "[]", "[\"manual\"]",
        "Kinds that silence all others about the person while they say anything.",
        "Who sets a status by hand means it, in a call too."),
    option!(Composition."fresh_s", Kind::Integer(0, YEAR_S), "seconds", "0", "3600",
        "How long what was published counts after it last changed; 0 for as long as it lives.",
        "An application that refreshes what nobody has touched for a day."),
    option!(Composition."lease_s", Kind::Integer(0, YEAR_S), "seconds", "0", "28800",
        "How long a status set by hand without `--for` holds; 0 until it is cleared.",
        "Nobody is away for ever."),
    option!(Composition."call_beats_away", Kind::Boolean, "", "false", "true",
        "Whether somebody in a call is shown on the phone and not away.", "Who calls is back."),
    option!(Composition."dnd_beats_all", Kind::Boolean, "", "false", "true",
        "Whether do not disturb hides all other activities, calls too, until it ends.",
        "Otherwise it stands beside the call."),
    option!(Composition."closed", Kind::Choice(&["all", "any"]), "", "\"all\"", "\"any\"",
        "When the person is closed: when every device is, or when one is.", "One phone is enough to be reached."),
    option!(Composition."active_first", Kind::Boolean, "", "false", "true",
        "Whether the device that did something last comes first, even one that only registers.",
        "Many phones read the first service only."),
    option!(Mailbox."watchers", Kind::Texts, "", "[]", "[\"alice\"]",
        "Peers that may watch it beside its owner.", "A shared mailbox, a secretary."),
    option!(Gateway."realm", Kind::Text, "", "the gateway's name", "\"example.net\"",
        "Digest realm: a challenge of another one is not answered.", "A server behind it, or one that took its address, does not get a hash of the password."),
    option!(Gateway."username", Kind::Text, "", "the gateway's name", "\"1000\"",
        "Digest username, and the user part of who we are there.", "The account that the other side gave us."),
    option!(Gateway."secret", Kind::Text, "", "none", "\"correct horse\"",
        "Password; `lampyris` never prints it.", "Servers that know us by our address need none."),
    option!(Gateway."secret_file", Kind::Text, "", "none", "\"net.secret\"",
        "File whose first line is the password, relative to this one.", "Keeps it out of the configuration."),
    option!(Gateway."domain", Kind::Text, "", "as `realm`", "\"example.net\"",
        "Domain of who we are there: From is `username@domain`.", "A realm that is no domain."),
    option!(Gateway."proxy", Kind::Text, "", "as `realm`", "\"sip.example.net;transport=tls\"",
        "The server: host, maybe with a port and parameters. Found by NAPTR, SRV and addresses (RFC 3263); where one host does not answer the next is tried.",
        "A server that is not called like its realm."),
    option!(Gateway."outbound_proxy", Kind::Text, "", "none", "\"edge.example.com\"",
        "Where requests that begin a dialog are sent instead, written like `proxy`.", "The way out leads through a session border controller."),
    option!(Gateway."register", Kind::Boolean, "", "false", "true",
        "Whether to register there. In a gateway file of FreeSWITCH the default is `true`, as it is there.", "Servers that let only registered users watch."),
    option!(Gateway."register_expires_s", Kind::Integer(5, DAY_S), "seconds", "3600", "600",
        "Life of the registration that is asked for.", "A shorter one keeps the way through a NAT open."),
    option!(Gateway."retry_s", Kind::Integer(10, DAY_S), "seconds", "30", "60",
        "The wait after a failed registration.", "The server may ask for more by Retry-After."),
    option!(Gateway."map", Kind::Texts, "", "[]", "[\"1000 = bob\", \"7* = 7*\"]",
        "Whose state what arrives is: `REMOTE = LOCAL`, the first that fits. REMOTE is a user part or `user@host`; LOCAL a peer, a person, an extension, `extension@context`, `sip:user@domain` or a mailbox. One `*` in REMOTE stands for any text, in LOCAL for the same text. What fits none is told as an event only.",
        "Without rules another server says nothing of anybody here."),
    option!(Gateway."watches", Kind::Texts, "", "[]", "[\"example.net\"]",
        "Domains whose users are watched there, with this account, for whoever of ours subscribes to one of them or to a list that has one. One subscription there serves all: what the account may see, every user of ours may.",
        "Lists with members on another server."),
    option!(Gateway."as_peer", Kind::Text, "", "none", "\"kamailio\"",
        "The peer that this server is when it asks here.", "What it publishes here is not published back to it, and for it nobody elsewhere is watched."),
    option!(Subscription."gateway", Kind::Text, "", "none; it must be given", "\"fs2\"",
        "The gateway.", "Several subscriptions share one account."),
    option!(Subscription."event", Kind::Text, "", "\"presence\"", "\"dialog\"",
        "The event package; `eventlist`, as FreeSWITCH calls it, is `presence` with `list`.", "Lamps are `dialog`, message counts `message-summary`."),
    option!(Subscription."uris", Kind::Texts, "", "[], which is the account's own", "[\"sip:alice@example.net\", \"sip:bob@example.net\"]",
        "Who is watched.", "One subscription each."),
    option!(Subscription."list", Kind::Boolean, "", "false", "true",
        "Whether the addresses are lists (RFC 4662), each a single subscription to all its members.", "A hundred contacts for one subscription."),
    option!(Subscription."accept", Kind::Texts, "", "what this server reads of the package", "[\"application/pidf+xml\", \"application/cpim-pidf+xml\"]",
        "Body formats that are asked for.", "A server that answers 406 to others."),
    option!(Subscription."username_in_request", Kind::Boolean, "", "true", "false",
        "Without `uris`: whether the request goes to `sip:username@server`, or to `sip:server` alone. In a gateway file of FreeSWITCH the default is `false`.", "As FreeSWITCH asks by default."),
    option!(Subscription."expires_s", Kind::Integer(5, DAY_S), "seconds", "3600", "600",
        "Life of the subscription that is asked for.", "A shorter one notices sooner that the server has forgotten it."),
    option!(Subscription."retry_s", Kind::Integer(10, DAY_S), "seconds", "30", "60",
        "The wait after a failure.", "The server may ask for more by Retry-After."),
    option!(Publication."gateway", Kind::Text, "", "none; it must be given", "\"fs2\"",
        "The gateway.", "Requests go to its `outbound_proxy`, else to its `proxy` where that is given, else where the URI says."),
    option!(Publication."event", Kind::Choice(&["presence", "dialog", "message-summary"]), "", "\"presence\"", "\"dialog\"",
        "The event package.", "Lamps are `dialog`, message counts `message-summary`."),
    option!(Publication."who", Kind::Texts, "", "[\"_.\"], which is everybody", "[\"6001\", \"_7XX\", \"group:sales\"]",
        "Users and extensions of the first domain, written as the `members` of a list.", "Only those whom the other side knows."),
    option!(Publication."map", Kind::Texts, "", "`* = sip:*@DOMAIN`, with the gateway's domain", "[\"6001 = sip:bob@example.net\", \"7* = sip:7*@example.net\"]",
        "Who they are there: `LOCAL = URI`, the first that fits; whom none fits is not published. LOCAL is a user part or `user@host`; one `*` in it stands for any text, in the URI for the same text.",
        "Numbers that differ."),
    option!(Publication."expires_s", Kind::Integer(60, DAY_S), "seconds", "3600", "600",
        "Life of the publication that is asked for.", "How long the other server shows what it was told last, when this one is gone."),
    option!(Publication."retry_s", Kind::Integer(10, DAY_S), "seconds", "30", "60",
        "The wait after a failure.", "The server may ask for more by Retry-After."),
    option!(Federation."proxy", Kind::Text, "", "the domain", "\"sip.example.net:5061\"",
        "Its server, as `proxy` of a gateway, always by TLS; its certificate must be for the host that stands here. `;maddr=ADDRESS` says where to connect without asking DNS.", "A server that is not called like its domain."),
    option!(Federation."names", Kind::Texts, "", "the domain", "[\"example.net\", \"sip.example.net\"]",
        "Names of which the certificate of who comes from there must have one (RFC 5922).", "A certificate for the host alone."),
    option!(Federation."ask", Kind::Texts, "", "[\"* = *\"]", "[\"* = support\", \"alice = *\"]",
        "Who here may ask for whom there: `WHO = WHOM`, by user parts; one `*` on each side stands for any text.", "Nobody else is told of our users' curiosity."),
    option!(Federation."allow", Kind::Texts, "", "[], which is nobody", "[\"* = 60*\", \"carol = bob\"]",
        "Who there may ask for whom here: `WHO = WHOM`, users, extensions or lists. It says of them what being of the same domain says of our own; the rules of the presentity hold besides.", "Only what the other company needs to see."),
    option!(Profile."user_agents", Kind::Texts, "", "[], which matches none in a new profile", "[\"ExamplePhone/\"]",
        "Parts of the User-Agent, in any case, any of which selects it; one that begins with `^` must stand at the start.", "The first profile that matches is taken."),
    option!(Profile."variant", Kind::Choice(&["rfc", "chan_sip", "pjsip", "freeswitch", "cisco"]), "", "\"rfc\"", "\"pjsip\"",
        "Shape of documents: as the RFCs say, as Asterisk's drivers or FreeSWITCH write them, wrong fields included, or with the activities that Cisco's phones read.", "Software that was made for one of them."),
    option!(Profile."prefer", Kind::Texts, "", "[]", "[\"application/xpidf+xml\"]",
        "Body formats taken before the package's own choice, among those in Accept.", "A phone that names a format it does not show well."),
    option!(Profile."on_timeout", Kind::Choice(&["remove", "retry"]), "", "\"remove\"", "\"retry\"",
        "What an unanswered NOTIFY means: the subscription is removed (RFC 6665 §4.2.2), or it stays and the NOTIFY is tried again with back-off.", "Phones that answer late when busy."),
    option!(Profile."retry_after_s", Kind::Integer(1, DAY_S), "seconds", "32", "60",
        "First wait before such a NOTIFY is tried again.", "Doubles with each try."),
    option!(Profile."buggy_mwi", Kind::Boolean, "", "false", "true",
        "Leave `(0/0)` out of message summaries.", "`buggymwi` of sip.conf, for Cisco."),
    option!(Profile."notify_max_rate", Kind::Integer(1, 100), "per second", "as `[limits]` says", "1",
        "Most NOTIFYs of one of its subscriptions, where that is less than `[limits]` lets everybody have.", "A phone that loses its way when it is told quickly."),
    option!(Profile."retry_statuses", Kind::Integers(400, 699), "", "[]", "[450]",
        "Answers to a NOTIFY that do not end the subscription but are tried again.", "Polycom answers 450 after it forgot its subscription."),
    option!(Profile."idle_dialog", Kind::Boolean, "", "true", "false",
        "An idle lamp is a terminated `<dialog>`; with `false` and the `rfc` or `cisco` variant, dialog-info then holds no dialog. Asterisk's variants always have one, `freeswitch` never.",
        "Yealink, Aastra, Bria and Grandstream keep the lamp lit when there is none."),
    option!(Profile."single_dialog", Kind::Boolean, "", "false", "true",
        "At most one `<dialog>` in dialog-info: of several the first of ringing at the user, up, not answered yet, held, terminated, and of equals the oldest; the document is always whole.",
        "Phones that read only the first, or only the last."),
    option!(Profile."partial_dialogs", Kind::Boolean, "", "false", "true",
        "After the first, dialog-info may hold only the dialogs that changed, marked `state=\"partial\"` (RFC 4235 §3.4).",
        "Few phones read it; `single_dialog` wins over it."),
    option!(Profile."digium", Kind::Boolean, "", "false", "true",
        "Add the tuple `digium-presence` with type, subtype and message of the presence state.",
        "Digium and Sangoma phones read a person's own state there."),
    option!(Profile."auto_answer", Kind::Texts, "", "[]", "[\"Alert-Info: info=alert-autoanswer\"]",
        "Header lines of an INVITE that the phone is to answer by itself, as for an intercom.", "Each maker has its own."),
    option!(Profile."pickup", Kind::Choice(&["replaces", "code"]), "", "\"replaces\"", "\"code\"",
        "How a person at the phone takes a call that rings elsewhere: by an INVITE with Replaces, or by calling a feature code.",
        "`lampyris phone` says it beside the key."),
    option!(Profile."end_notify", Kind::Boolean, "", "true", "false",
        "Send the last NOTIFY of a subscription that ran out, was ended by its watcher or was replaced (RFC 6665 §4.4.1). A fetch is always answered, and an end of the server's making always told.",
        "Zoiper subscribes again when it gets one, without end; FreeSWITCH leaves it out for the same reason."),
    option!(Profile."list_event_capital", Kind::Boolean, "", "false", "true",
        "NOTIFYs of a list say `Event: Presence`, with a capital.", "Linphone takes no other, though it asks for `presence`."),
    option!(Profile."shorten", Kind::Boolean, "", "true", "false",
        "Whether a document of dialogs or presence that makes a NOTIFY larger than a datagram, to a phone that takes no TCP connection, leaves out what phones can best do without: sessions, names and routes, vendors' elements, cards and devices, at last all services or dialogs but one.",
        "A phone that shows what would be left out, on a network that brings fragments."),
    option!(Profile."list_bare_ids", Kind::Boolean, "", "false", "true",
        "The parts of a list's NOTIFY have their `Content-Id` without angle brackets.", "Linphone compares it with the list as it stands."),
    option!(Webhook."url", Kind::Text, "", "none: it must be there", "\"https://hooks.example.com/lamps\"",
        "Where events are posted to, `http://` or `https://`.", "A chat, a wall board, a call centre's statistics."),
    option!(Webhook."secret", Kind::Text, "", "none: it must be there", "\"long and random\"",
        "Key of the signature (HMAC-SHA256) in the header `Lampyris-Signature`.", "The receiver knows that it was us."),
    option!(Webhook."events", Kind::Texts, "", "[\"extension\"]", "[\"extension\", \"registration\"]",
        "Kinds of events: `extension`, `device`, `feature`, `status`, `registration`, `subscription`, `publication`, `rules`, `gateway`, `notify_in`, `presence_in`, `oversized`, `unsent`, `rejected`.", "Others cost the receiver more than they tell it."),
    option!(Webhook."subjects", Kind::Texts, "", "[], which means all", "[\"6001\", \"alice\"]",
        "Only events about these extensions and people.", "A lamp on one desk."),
    option!(Profile."reason", Kind::Text, "", "none", "\"captured from firmware 1.2\"",
        "Why the profile is as it is; for people.", "Each quirk has a trace or a public issue behind it."),
];
