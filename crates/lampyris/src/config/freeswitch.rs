//! FreeSWITCH's gateway files, read as they stand: `<include><gateway name="..."><param .../><subscriptions>...`.
//!
//! In: a file. Out: [`Raw`] gateways and subscriptions, with FreeSWITCH's defaults filled in where they differ from ours.
//! Parameters about calls and codecs mean nothing here and are counted as ignored; one that is not known is a warning.

use super::diagnostic::Report;
use super::raw::{Ignored, Raw, Secret};
use super::source::{Span, Typed};
use lampyris_core::body::xml::{Document, Element};
use std::path::Path;

/// Parameters of a gateway that are about calls, registrations of others, or how FreeSWITCH does things.
const IGNORED: [&str; 22] = [
    "caller-id-in-from",
    "cid-type",
    "codec-prefs",
    "contact-host",
    "contact-in-ping",
    "contact-params",
    "contact-user",
    "context",
    "distinct-to",
    "dtmf-type",
    "extension",
    "extension-in-contact",
    "gateway-name",
    "options-user-agent",
    "ping",
    "ping-max",
    "ping-min",
    "ping-user-agent",
    "rfc-5626",
    "reg-id",
    "sip_cid_type",
    "timeout-seconds",
];

/// Parameters of gateways and subscriptions that are read here and are no secret.
pub(crate) const HARMLESS: [&str; 13] = [
    "auth-username",
    "content-type",
    "expire-seconds",
    "from-domain",
    "from-user",
    "outbound-proxy",
    "proxy",
    "realm",
    "register",
    "register-proxy",
    "retry-seconds",
    "username",
    "username-in-request",
];

/// Reads a file; `named` is where it was named.
pub(super) fn read(report: &mut Report, raw: &mut Raw, path: &Path, named: Span) {
    let file = match report.sources.read(path) {
        Ok(file) => file,
        Err(cause) => {
            let cause = format!("cannot read `{}`: {cause}", path.display());
            return report.error(named, cause, "name a gateway file of FreeSWITCH, relative to this file");
        }
    };
    let text = report.sources.text(file).to_owned();
    let span = file.span(0, 0);
    if text.contains("$${") || text.contains("X-PRE-PROCESS") {
        let cause = "variables and directives of FreeSWITCH's preprocessor are not expanded here";
        return report.error(span, cause, "write the values themselves");
    }
    let document = match Document::parse(text.as_bytes()) {
        Ok(document) => document,
        Err(error) => {
            return report.error(
                span,
                format!("not well-formed: {error}"),
                "see the XML of FreeSWITCH's examples",
            );
        }
    };
    let root = document.root();
    let gateways: Vec<_> = match root.name() {
        "gateway" => vec![root],
        _ => root
            .children()
            .flat_map(|child| match child.name() {
                "gateways" => child.children().collect(),
                _ => vec![child],
            })
            .filter(|child| child.name() == "gateway")
            .collect(),
    };
    if gateways.is_empty() {
        report.error(span, "no <gateway> in it", "name a gateway file of FreeSWITCH");
    }
    for gateway in gateways {
        self::gateway(report, raw, gateway, span);
    }
}

fn params<'d>(element: Element<'d>) -> impl Iterator<Item = (&'d str, &'d str)> {
    let params = element.children().filter(|child| matches!(child.name(), "param" | "variable"));
    params.filter(|child| child.name() == "param").filter_map(|p| Some((p.attr("name")?, p.attr("value")?)))
}

fn gateway(report: &mut Report, raw: &mut Raw, element: Element<'_>, span: Span) {
    let Some(name) = element.attr("name").filter(|name| !name.is_empty()) else {
        return report.error(span, "a <gateway> without a name", "give it one");
    };
    let text = |value: &str| Some(Typed::new(value.to_owned(), span));
    let mut ignored = Vec::new();
    let fields = raw.gateway(Typed::new(name.to_owned(), span));
    fields.register = Some(Typed::new(true, span));
    for (param, value) in params(element) {
        match param {
            "realm" => fields.realm = text(value),
            "username" => fields.username = text(value),
            "password" => fields.secret = Some(Typed::new(Secret(value.to_owned()), span)),
            "from-domain" => fields.domain = text(value),
            "proxy" => fields.proxy = text(value),
            "register-proxy" | "outbound-proxy" => fields.outbound_proxy = text(value),
            "register" => fields.register = Some(Typed::new(is_true(value), span)),
            "expire-seconds" => fields.register_expires_s = number(value, 5, 3600, span),
            "retry-seconds" => fields.retry_s = number(value, 10, 30, span),
            // Why: a username of its own would need a second one in our settings; nobody has shown one that differs.
            "auth-username" | "from-user"
                if fields.username.as_ref().is_none_or(|name| name.value == value) => {}
            known if IGNORED.contains(&known) => ignored.push(known.to_owned()),
            other => report.warning(
                span,
                format!("gateway `{name}`: the parameter `{other}` = `{value}` means nothing here"),
                "say in `[gateways.NAME]` what is meant",
            ),
        }
    }
    for key in ignored {
        match raw.ignored.iter_mut().find(|known| known.key == key) {
            Some(known) => known.times += 1,
            None => {
                raw.ignored.push(Ignored { key, reason: "calls do not go out by these gateways", times: 1 })
            }
        }
    }
    let lists = element.children().filter(|child| child.name() == "subscriptions");
    for (number, one) in lists.flat_map(Element::children).filter(|c| c.name() == "subscription").enumerate()
    {
        subscription(report, raw, one, (name, number), span);
    }
}

fn subscription(
    report: &mut Report,
    raw: &mut Raw,
    element: Element<'_>,
    (gateway, at): (&str, usize),
    span: Span,
) {
    let Some(event) = element.attr("event").filter(|event| !event.is_empty()) else {
        return report.error(span, "a <subscription> without an event", "name one, as in event=\"presence\"");
    };
    let fields = raw.subscription(Typed::new(format!("{gateway}/{at}"), span));
    fields.gateway = Some(Typed::new(gateway.to_owned(), span));
    fields.event = Some(Typed::new(event.to_owned(), span));
    fields.username_in_request = Some(Typed::new(false, span));
    fields.accept = Some(Typed::new(Vec::new(), span));
    for (param, value) in params(element) {
        match param {
            "content-type" => fields.accept = Some(Typed::new(vec![value.to_owned()], span)),
            "expire-seconds" => fields.expires_s = number(value, 5, 3600, span),
            "retry-seconds" => fields.retry_s = number(value, 10, 30, span),
            "username-in-request" => fields.username_in_request = Some(Typed::new(is_true(value), span)),
            other => report.warning(
                span,
                format!("gateway `{gateway}`: `{other}` of a subscription means nothing here"),
                "remove it",
            ),
        }
    }
}

/// What FreeSWITCH takes for true.
fn is_true(value: &str) -> bool {
    ["true", "yes", "on", "enabled", "active", "allow", "1", "t", "y"]
        .iter()
        .any(|t| value.eq_ignore_ascii_case(t))
}

/// A number; below `least`, and where it is none, FreeSWITCH takes its default.
fn number(value: &str, least: u32, default: u32, span: Span) -> Option<Typed<u32>> {
    let found = value.trim().parse().unwrap_or(0);
    Some(Typed::new(if found < least { default } else { found }, span))
}

#[cfg(test)]
mod tests {
    use crate::config::load;
    use lampyris_core::settings::{Gateway, Password};
    use std::time::Duration;

    fn loaded(xml: &str, toml: &str) -> Vec<Gateway> {
        let name = format!("lampyris-freeswitch-{}-{:x}", std::process::id(), {
            use std::hash::{DefaultHasher, Hash, Hasher};
            let mut hasher = DefaultHasher::new();
            (xml, toml).hash(&mut hasher);
            hasher.finish()
        });
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("fs2.xml"), xml).expect("written");
        let toml = format!("freeswitch_gateways = \"fs2.xml\"\n{toml}");
        std::fs::write(folder.join("office.toml"), toml).expect("written");
        let loaded = load(&folder.join("office.toml"), None);
        std::fs::remove_dir_all(&folder).expect("removed");
        loaded.unwrap_or_else(|errors| panic!("{errors:?}")).settings.gateways.clone()
    }

    const AS_PRINTED: &str = include_str!("../../tests/fixtures/freeswitch/fs2.xml");

    #[test]
    fn the_gateway_as_freeswitch_prints_it() {
        let found = loaded(AS_PRINTED, "");
        let [gateway] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((gateway.name.as_str(), gateway.realm.as_str()), ("fs2", "192.168.7.2"));
        assert_eq!((gateway.username.as_str(), &gateway.password), ("1000", &Password("1234".into())));
        assert_eq!(gateway.identity, "sip:1000@192.168.7.2");
        assert!(gateway.registration.is_none() && gateway.proxy.is_none());
        // What stands in comments is not there.
        let [dialog] = gateway.subscriptions.as_slice() else { panic!("{:?}", gateway.subscriptions) };
        assert_eq!((dialog.package.as_str(), dialog.list), ("dialog", false));
        assert_eq!(dialog.accept, "application/dialog-info+xml");
        assert_eq!(dialog.target, "sip:1000@192.168.7.2");
        assert_eq!((dialog.expires_s, dialog.retry), (60, Duration::from_secs(40)));
    }

    #[test]
    fn what_it_has_in_comments() {
        let open = AS_PRINTED.replace("<!-- <sub", "<sub").replace("</subscription> -->", "</subscription>");
        let found = loaded(&open, "");
        let rows: Vec<_> =
            found[0].subscriptions.iter().map(|s| (s.package.as_str(), s.list, s.target.as_str())).collect();
        let server = "sip:192.168.7.2";
        let dialog = ("dialog", false, "sip:1000@192.168.7.2");
        assert_eq!(rows, [("presence", false, server), dialog, ("presence", true, server)]);
        let list = &found[0].subscriptions[2];
        assert_eq!(list.accept, "application/rlmi+xml, multipart/related, application/pidf+xml");
        assert_eq!(list.watched, "sip:1000@192.168.7.2");
    }

    #[test]
    fn freeswitchs_defaults() {
        let xml = r#"<include><gateway name="a.example"><param name="password" value="x"/><subscriptions>
            <subscription event="presence"><param name="expire-seconds" value="4"/>
            <param name="retry-seconds" value="9"/></subscription></subscriptions></gateway></include>"#;
        let found = loaded(xml, "");
        let gateway = &found[0];
        assert_eq!((gateway.realm.as_str(), gateway.username.as_str()), ("a.example", "a.example"));
        assert!(gateway.registration.is_some(), "register is true there");
        let presence = &gateway.subscriptions[0];
        assert_eq!((presence.expires_s, presence.retry), (3600, Duration::from_secs(30)));
        assert_eq!((presence.target.as_str(), presence.accept.as_str()), ("sip:a.example", ""));
    }

    #[test]
    fn toml_adds_to_the_file() {
        let toml = "[gateways.fs2]\nmap = [\"1000 = bob\"]\nproxy = \"192.0.2.9:5070;transport=tcp\"\n\
                    [subscriptions.more]\ngateway = \"fs2\"\nuris = [\"sip:a@x.example\", \"sip:b@x.example\"]\n";
        let found = loaded(AS_PRINTED, toml);
        let targets: Vec<_> = found[0].subscriptions.iter().map(|s| s.target.as_str()).collect();
        let first = "sip:1000@192.0.2.9:5070;transport=tcp";
        assert_eq!(targets, [first, "sip:a@x.example", "sip:b@x.example"]);
        assert_eq!(found[0].subscriptions[0].maps[0].to, "bob");
    }
}
