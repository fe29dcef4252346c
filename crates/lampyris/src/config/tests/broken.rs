//! Broken configurations: where the error stands, what it says, what it advises.

use super::*;
use crate::config::Severity;

/// Whether one of `found` stands there and says that.
fn told(found: &[Diagnostic], severity: Severity, place: &str, cause: &str, fix: &str) -> bool {
    found.iter().any(|d| {
        let file = d.file.file_name().unwrap_or_default().to_string_lossy();
        d.severity == severity
            && format!("{file}:{}:{}", d.line, d.column) == place
            && d.cause.contains(cause)
            && d.fix.contains(fix)
    })
}

#[test]
fn broken_toml_is_told() {
    let rows = [
        ("stop = keep", "1:8", "not TOML", "toml.io"),
        ("stpo = \"keep\"", "1:1", "unknown key `stpo` at the top", "did you mean `stop`?"),
        ("stop = \"kep\"", "1:8", "`stop` cannot be \"kep\"", "did you mean \"keep\"?"),
        ("stop = 1", "1:8", "`stop` is one of \"keep\", \"end\"", ""),
        ("flow_grace_s = -1", "1:16", "whole number from 0 to 86400", ""),
        ("flow_grace_s = \"5\"", "1:16", "whole number", ""),
        ("subscribe_response = 201", "1:22", "200 or 202", ""),
        ("trusted = [\"lan\"]", "1:12", "`lan` is no network", "10.0.0.0/8"),
        ("egress_deny = \"metadata\"", "1:15", "`metadata` is no network", "10.0.0.0/8"),
        ("[server]\ngroup = \"voip\"", "2:9", "does nothing", "add `user`"),
        ("listen = []", "1:1", "unknown key `listen`", "it belongs in `[server]`"),
        ("[server]\nstop = \"end\"", "2:1", "unknown key `stop`", "top of the file"),
        ("server = 1", "1:10", "`server` is a table", "[server]"),
        ("[server]\nlisten = [\"5060\"]", "2:11", "no address to listen on", "udp:127.0.0.1:5060"),
        ("[server]\nlisten = []", "2:10", "nothing to listen on", ""),
        ("[server]\nlisten = [\"udp:0.0.0.0\", \"udp:0.0.0.0\"]", "2:26", "is there twice", ""),
        ("[server]\nadvertised = \"pbx\"", "2:14", "no IP address", ""),
        ("[server]\nws_origins = \"phone.example.com\"", "2:14", "is no origin", "https://"),
        ("[server]\nlisten = [\"wss:0.0.0.0\"]", "2:11", "needs a certificate", "[tls]"),
        ("[server]\nlisten = [\"tls:0.0.0.0\"]", "2:11", "needs a certificate", "[tls]"),
        ("[tls]\ncertificate = \"a.pem\"", "2:15", "has no `key`", "name the key"),
        ("[tls]\nkey = \"a.key\"", "2:7", "has no `certificate`", "name a file"),
        ("[tls]\ncertificate = \"nowhere\"\nkey = \"b\"", "2:15", "cannot be read", "in PEM"),
        ("[tls]\nclient_auth = \"always\"", "2:15", "one of", ""),
        ("[limits]\nsubscription_min_s = 100000", "2:22", "longer than the longest", ""),
        ("[limits]\nsubscription_default_s = 9", "2:26", "not between 60 and 43200", ""),
        ("[domains.\"a b\"]", "1:10", "no domain name", ""),
        ("[domains.\"a\"]\n[domains.\"b\"]\naliases = \"a\"", "3:11", "already means another domain", ""),
        ("[domains.a]\nalgorithms = \"sha256\"", "2:14", "no digest algorithm", "did you mean \"SHA-256\"?"),
        ("[domains.a]\nalgorithms = []", "2:14", "no algorithm", ""),
        ("[peers.a]", "1:8", "no secret and no `host`", "secret = "),
        ("[peers]\nsecret = \"x\"", "2:1", "table of its own", "[peers.NAME]"),
        ("[peers.a]\nsecret = \"\"", "2:10", "empty password", ""),
        ("[peers.a]\nsecret_file = \"nowhere\"", "2:15", "cannot read", "first line"),
        ("[peers.a]\nha1 = \"0123\"", "2:7", "does not name its algorithm", ""),
        ("[peers.a]\nha1 = \"MD5:0123\"", "2:7", "not 32 hex digits", "a:localhost:PASSWORD"),
        ("[peers.a]\nsecret = \"x\"\nha1 = []", "3:7", "only one of", ""),
        ("[peers.a]\nsecret = \"x\"\ndomain = \"b\"", "3:10", "no domain `b`", "[domains.\"b\"]"),
        ("[profiles.a]\nauto_answer = [\"Alert-Info\"]", "2:16", "no header line", "its name, a colon"),
        ("[profiles.a]\nauto_answer = \"A: b\\r\\nVia: c\"", "2:15", "no header line", "its name, a colon"),
        (
            "[profiles.a]\nvariant = \"freeswich\"",
            "2:11",
            "`variant` cannot be",
            "did you mean \"freeswitch\"?",
        ),
        ("[peers.a]\nsecret = \"x\"\nprofile = \"polycon\"", "3:11", "no profile", "did you mean `polycom`?"),
        ("[peers.a]\nsecret = \"x\"\nhost = \"a b\"", "3:8", "is no host", ""),
        ("[peers.a]\nsecret = \"x\"\ndevice = \"a&b\"", "3:10", "cannot name a device", ""),
        (
            "[peers.a]\nsecret = \"x\"\n[peers.b]\nsecret = \"x\"\naliases = \"a\"",
            "5:11",
            "already means the peer `a`",
            "",
        ),
        ("[peers.\"a:b\"]\nsecret = \"x\"", "1:8", "cannot be a user name", ""),
        (
            "[peers.a]\nsecret = \"x\"\nalgorithms = \"SHA-256\"\n[domains.d]\nalgorithms = \"MD5\"",
            "1:8",
            "none of the algorithms",
            "",
        ),
        ("[hints]\n6001 = 1", "2:8", "the hint of `6001` is text", ""),
        ("[hints]\n\"_6[\" = \"SIP/a\"", "2:1", "not closed", ""),
        ("[people.b]\npeers = \"a\"", "2:9", "no peer `a`", "[peers.a]"),
        (
            "[peers.alice]\nsecret = \"x\"\n[people.b]\npeers = \"alcie\"",
            "4:9",
            "no peer `alcie`",
            "did you mean `alice`?",
        ),
        (
            "[peers.a]\nsecret = \"x\"\n[people.b]\npeers = \"a\"\n[people.c]\npeers = \"a\"",
            "6:9",
            "`a` belongs to `b` already",
            "one person only",
        ),
        (
            "[peers.a]\nsecret = \"x\"\n[people.a]\naliases = \"b\"",
            "3:9",
            "means the peer `a`, who is not this person's",
            "add `a` to `peers`",
        ),
        ("[people.b]\naliases = \"x\"\n[people.c]\naliases = \"x\"", "4:11", "belongs to `b`", ""),
        (
            "[hints]\n6001 = \"Custom:a\"\n[people.b]\nextensions = \"6010\"",
            "4:14",
            "no hint for the extension `6010`",
            "did you mean `6001`?",
        ),
        ("[people.b]\ndevices = \"SIP/a\"", "2:11", "no peer with the device", "add its peer"),
        ("[people.b]\ndevices = \"a&b\"", "2:11", "cannot name a device", ""),
        (
            "[people.b]\ncomposition = \"newest\"",
            "2:15",
            "no composition `newest`",
            "add `[composition.newest]`",
        ),
        (
            "[domains.a]\ncomposition = \"most-avalable\"",
            "2:15",
            "no composition",
            "did you mean `most-available`?",
        ),
        ("[composition.a]\nsources = []", "2:11", "nobody is heard", ""),
        (
            "[composition.a]\nsources = [\"manual\", \"clals\"]",
            "2:22",
            "no kind of source `clals`",
            "did you mean `calls`?",
        ),
        ("[composition.a]\noverride = [\"calls\", \"calls\"]", "2:22", "is there twice", ""),
        ("[peers.\"gateway:a\"]\nopen = true", "1:8", "would be taken for a gateway", "give the peer a name"),
        ("[people.b]\npeer = \"a\"", "2:1", "unknown key `peer`", "did you mean `peers`?"),
        ("[mailboxes.100]\nwatchers = \"a\"", "2:12", "no peer `a`", "[peers.a]"),
        ("[publications.a]\nevent = \"dialog\"", "1:15", "`a` is at no gateway", "add `gateway"),
        ("[publications.a]\ngateway = \"b\"", "2:11", "there is no gateway `b`", "add `[gateways.b]`"),
        (
            "[gateways.b]\n[publications.a]\ngateway = \"b\"\nmap = [\"a = *\"]",
            "4:8",
            "no rule of who is who",
            "",
        ),
        ("[federation.\"b.example\"]\nallow = [\"bob\"]", "2:10", "does not say who may ask", "write it as"),
        (
            "[federation.\"b.example\"]\nproxy = \"b.example;transport=udp\"",
            "2:9",
            "no server that proves",
            "TLS",
        ),
        ("[domains.a]\n[federation.a]", "2:13", "a domain of this server", ""),
        (
            "[federation.\"b.example\"]\nallow = [\"* = *\"]",
            "2:9",
            "not asked for a certificate",
            "client_auth",
        ),
        ("include = \"nowhere.toml\"", "1:11", "cannot read", ""),
        ("include = \"office.toml\"", "1:11", "includes itself", ""),
        ("asterisk = \"etc\"", "1:12", "is no directory", ""),
    ];
    for (text, place, cause, fix) in rows {
        let errors = load_toml(text).err().unwrap_or_else(|| panic!("loads: {text}"));
        let place = format!("office.toml:{place}");
        assert!(told(&errors, Severity::Error, &place, cause, fix), "{text}\n{}", printed(&errors));
    }
}

#[test]
fn broken_files_of_asterisk_are_told() {
    let rows = [
        ("contxt=a", "2:1", "unknown key `contxt`", "did you mean `context`?"),
        ("secret=x", "2:1", "`secret` belongs to a peer", "move it"),
        ("tcpenable=maybe", "2:11", "yes or no", ""),
        ("maxexpiry=soon", "2:11", "whole number from 1", ""),
        ("bindaddr=lo", "2:10", "no address to listen on", ""),
        ("bindaddr=lo\nudpbindaddr=eth0", "2:10", "no address to listen on", ""),
        ("bindaddr=lo\nudpbindaddr=eth0", "3:13", "no address to listen on", ""),
        ("udpbindaddr=eth0\nbindaddr=127.0.0.1", "2:13", "no address to listen on", ""),
        ("externaddr=pbx.example.com", "2:12", "no IP address", ""),
        ("localnet=lan", "2:10", "no network", ""),
        ("minexpiry=7200", "2:11", "longer than the longest", ""),
        ("nat=maybe", "2:5", "`nat` cannot be `maybe`", "force_rport"),
        ("insecure=prot", "2:10", "`insecure` cannot be `prot`", "port,invite"),
        ("notifyringing=sometimes", "2:15", "cannot be", "`notinuse`"),
        ("[a]\ntype=frend\nsecret=x", "3:6", "`type` cannot be `frend`", "`friend`"),
        ("[a]\ntype=friend\nrealm=x\nsecret=x", "4:1", "`realm` belongs to `[general]`", ""),
        ("[a]\ntype=friend\nmd5secret=0123", "4:11", "not 32 hex digits", "a:asterisk:PASSWORD"),
        ("[a]\ntype=friend", "2:2", "no secret and no `host`", "[peers.\"a\"]"),
        ("[t](!)\nbusylevle=1", "3:1", "unknown key", "did you mean `busylevel`?"),
        ("[a](t)\ntype=friend\nsecret=x", "2:5", "no template `t`", ""),
        ("[a]\ntype=friend\nsecret=x\nport=0", "5:6", "from 1 to 65535", ""),
    ];
    for (keys, place, cause, fix) in rows {
        let errors = load_asterisk(&format!("[general]\n{keys}\n"), "", None).err();
        let errors = errors.unwrap_or_else(|| panic!("loads: {keys}"));
        let place = format!("sip.conf:{place}");
        assert!(told(&errors, Severity::Error, &place, cause, fix), "{keys}\n{}", printed(&errors));
    }
    let rows = [
        ("[general]\nstatik=yes", "2:1", "unknown key", "did you mean `static`?"),
        ("[a]\nexten => 1", "2:10", "without a priority", ""),
        ("[a]\nexten => 1,hnt,SIP/a", "2:10", "`hnt` is no priority", "did you mean `hint`?"),
        ("[a]\nexten => ,1,NoOp", "2:10", "without a name", ""),
        ("[a]\nsame => n,NoOp", "2:1", "no `exten` before it", ""),
        ("[a]\nextn => 1,1,NoOp", "2:1", "unknown key", "did you mean `exten`?"),
        ("[a]\nexten => _1[2,hint,SIP/a", "2:10", "not closed", "a pattern is"),
        ("[a]\n#include x.conf", "2:10", "cannot read", ""),
    ];
    for (text, place, cause, fix) in rows {
        let errors =
            load_asterisk("[general]\n", text, None).err().unwrap_or_else(|| panic!("loads: {text}"));
        let place = format!("extensions.conf:{place}");
        assert!(told(&errors, Severity::Error, &place, cause, fix), "{text}\n{}", printed(&errors));
    }
    let missing = Folder::new(&[("sip.conf", "[general]\n")]);
    let errors = load(&missing.0, None).unwrap_err();
    assert!(told(&errors, Severity::Error, "extensions.conf:0:0", "cannot read", ""), "{}", printed(&errors));
}

/// cloudspire-feedback#74: a park lamp that stays dark because its name differs in case, and nobody is told.
#[test]
fn complaint_62_hints_that_nobody_provides_are_told() {
    let peer = "[general]\ncallcounter=yes\n[Bob]\ntype=friend\nsecret=x\n";
    let rows = [
        ("SIP/Bo", "names `SIP/Bo`", "did you mean `SIP/Bob`?"),
        ("park:701", "no peer here provides", "devstate"),
        ("", "names nothing", ""),
    ];
    for (hint, cause, fix) in rows {
        let loaded = load_asterisk(peer, &format!("[a]\nexten => 1,hint,{hint}"), None);
        let found = loaded.unwrap_or_else(|errors| panic!("{}", printed(&errors))).warnings;
        let place = "extensions.conf:2:10";
        assert!(told(&found, Severity::Warning, place, cause, fix), "{hint}\n{}", printed(&found));
    }
    // Names of devices are compared without case, so this one is right.
    let loaded = load_asterisk(peer, "[a]\nexten => 1,hint,sip/BOB&Custom:x,CustomPresence:b", None).unwrap();
    assert_eq!(printed(&loaded.warnings), "");
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let peer = "[general]\ncallcounter=yes\n[Bob]\ntype=friend\nsecret=x\n";
    let rows = [
        (
            String::new(),
            "[a]\nexten => 1,hint,SIP/Bob\nexten => 1,hint,SIP/Bo",
            "extensions.conf:3:10",
            "the hint of 1@a is there a second time",
            "remove one",
        ),
        (String::new(), "[a]\nexten => 1,hint,${DB(x/y)}", "extensions.conf:2:10", "cannot be evaluated", ""),
        (String::new(), "[a]\ninclude => A", "extensions.conf:2:12", "no context `A`", "written `a`"),
        (String::new(), "[a]\nexten => 1,hint,SIP/Bob,Bob", "extensions.conf:2:10", "the presence `Bob`", ""),
        (
            "context=Default\n".into(),
            "[default]",
            "sip.conf:6:9",
            "no context `Default`",
            "upper and lower case",
        ),
        ("contactdeny=0.0.0.0/0\n".into(), "", "sip.conf:6:1", "not enforced", "permit"),
        ("[Bob]\nbusylevel=1\n".into(), "", "sip.conf:6:2", "a second time", "(+)"),
        ("[x]\ncontext=a\n".into(), "[a]", "sip.conf:6:2", "has no `type`", "type=friend"),
        ("[bob]\ntype=friend\nsecret=y\n".into(), "", "sip.conf:6:2", "one device", ""),
        (
            "[c]\ntype=friend\nsecret=y\ncallcounter=no\nbusylevel=1\n".into(),
            "",
            "sip.conf:10:11",
            "does nothing",
            "",
        ),
        ("[c]\ntype=friend\ninsecure=very\n".into(), "", "sip.conf:8:10", "not challenged", ""),
    ];
    for (more, extensions, place, cause, fix) in rows {
        let loaded = load_asterisk(&format!("{peer}{more}"), extensions, None);
        let found = loaded.unwrap_or_else(|errors| panic!("{}", printed(&errors))).warnings;
        assert!(
            told(&found, Severity::Warning, place, cause, fix),
            "{more}{extensions}\n{}",
            printed(&found)
        );
    }
}

#[test]
fn all_errors_are_told_at_once_in_the_order_of_the_files() {
    let sip = "[general]\ncontxt=a\n[a]\ntype=friend\nprot=1\n";
    let errors = load_asterisk(sip, "[a]\nexten => 1,hnt,x\n", Some("stpo = 1\n")).unwrap_err();
    let places: Vec<_> =
        errors.iter().map(|e| (e.file.file_name().unwrap().to_str().unwrap(), e.line)).collect();
    assert_eq!(
        places,
        [("sip.conf", 2), ("sip.conf", 3), ("sip.conf", 5), ("extensions.conf", 2), ("beside.toml", 1)],
        "{}",
        printed(&errors)
    );
}
