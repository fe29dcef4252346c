//! `lampyris doctor`: what on this machine keeps lamps dark, each with the fix.
//!
//! It changes nothing. Looked at are the configuration where one is named, the running server, ports, limits, the clock, the
//! store and its disk, DNS of the domains, and certificates.

use super::check::ConfigArgs;
use super::client::Client;
use super::failure::Failure;
use super::{Context, Verb, span, text};
use crate::admin::protocol::{Request, Response};
use crate::config::{Listen, Loaded};
use crate::remote::certificate::Certificate;
use crate::remote::{probe, way};
use crate::resolver;
use clap::{Args, FromArgMatches};
use lampyris_core::flow::Transport;
use lampyris_core::input::{DnsAnswer, DnsQuestion};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The verb.
pub(crate) const VERB: Verb = Verb {
    name: "doctor",
    about: "Look at the machine: ports, DNS, certificates, time, limits, store; say what is wrong, and the fix",
    examples: &[
        ("doctor", "the machine, and the server that runs in the data directory"),
        ("doctor --config /etc/lampyris/lampyris.toml", "also its ports, domains and certificates"),
        ("doctor --json", "for monitoring; exit code 1 where something is bad"),
    ],
    args: DoctorArgs::augment_args,
    run: |matches, context| run(&DoctorArgs::from_arg_matches(matches)?, context),
};

/// Descriptors below which an office with TCP phones runs out.
const NOFILE_LOW: u64 = 4096;
/// Receive buffer below which a thousand answers at once are lost, in bytes.
const RMEM_LOW: u64 = 1 << 20;
/// Free bytes of the disk below which the store soon cannot be written.
const DISK_LOW_BYTES: u64 = 256 << 20;
/// Seconds before its end from which on a certificate is worth a word.
const CERTIFICATE_SOON_S: i64 = 21 * 86_400;
/// A clock before this (2024-01-01) was never set.
const CLOCK_LEAST_S: u64 = 1_704_067_200;
/// How long DNS may take.
const DNS_WAIT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
struct DoctorArgs {
    /// The configuration: a TOML file, or a directory with sip.conf and extensions.conf
    #[arg(long, value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// A TOML file that adds to it
    #[arg(long, value_name = "FILE", requires = "config")]
    beside: Option<PathBuf>,
}

/// The mark before each finding, with the gaps about its name.
const MARK_WIDTH: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    /// Worth a look.
    Note,
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

fn ok(what: &'static str, found: impl Into<String>) -> Finding {
    Finding { what, verdict: Verdict::Ok, found: found.into(), fix: None }
}

fn note(what: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { what, verdict: Verdict::Note, found: found.into(), fix: Some(fix.into()) }
}

fn bad(what: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { what, verdict: Verdict::Bad, found: found.into(), fix: Some(fix.into()) }
}

fn run(args: &DoctorArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut findings = Vec::new();
    let loaded = args.config.as_ref().and_then(|config| {
        let config = ConfigArgs { config: config.clone(), beside: args.beside.clone() };
        match config.load() {
            Ok(loaded) => {
                findings.push(ok("configuration", format!("{} is good", config.config.display())));
                Some(loaded)
            }
            Err(failure) => {
                findings.push(bad(
                    "configuration",
                    failure.to_string(),
                    "`lampyris check` shows each error with its fix",
                ));
                None
            }
        }
    });
    let data = match loaded.as_ref().and_then(|loaded| loaded.shell.data.clone()) {
        Some(configured) if context.data_is_default => configured,
        _ => context.data.clone(),
    };
    let (pid, found) = server(&data);
    let runs = pid.is_some();
    findings.push(found);
    if let Some(loaded) = &loaded {
        if !runs {
            findings.extend(loaded.shell.listen.iter().map(port));
        }
        findings.extend(certificate(loaded));
        findings.extend(domains(loaded)?);
    }
    let limits = pid.map_or("/proc/self/limits".to_owned(), |pid| format!("/proc/{pid}/limits"));
    findings.push(nofile(&std::fs::read_to_string(limits).unwrap_or_default()));
    findings.push(rmem(&std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap_or_default()));
    findings.push(clock(probe::now().as_secs(), &data));
    findings.push(disk(&data));
    let is_bad = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
    if context.json {
        context.print_json(&serde_json::json!({ "sound": !is_bad, "findings": findings }))?;
    } else {
        context.print(&words(&findings, context.width))?;
    }
    if is_bad { Err(Failure::Shown) } else { Ok(()) }
}

/// What was found, the text of each beside its name, wrapped where the terminal ends.
fn words(findings: &[Finding], terminal: Option<usize>) -> String {
    let width = findings.iter().map(|finding| finding.what.len()).max().unwrap_or(0);
    let mut out = String::new();
    for Finding { what, verdict, found, fix } in findings {
        let mark = match verdict {
            Verdict::Ok => "ok",
            Verdict::Note => "note",
            Verdict::Bad => "BAD",
        };
        let room = terminal.map(|terminal| terminal.saturating_sub(width + MARK_WIDTH));
        let said = [Some(found), fix.as_ref()].into_iter().flatten();
        for (at, line) in said.flat_map(|said| text::wrapped(said, room)).enumerate() {
            let (mark, what) = if at == 0 { (mark, *what) } else { ("", "") };
            out.push_str(&format!("{mark:4}  {what:width$}  {line}\n"));
        }
    }
    out
}

/// The running server, and its process.
fn server(data: &Path) -> (Option<u32>, Finding) {
    let asked = Client::connect(data).and_then(|mut client| client.request(&Request::Server));
    match asked {
        Ok(Response::Server(server)) => {
            let own = env!("CARGO_PKG_VERSION");
            let said = format!("process {}, version {}", server.pid, server.version);
            let finding = match server.version == own {
                true => ok("server", said),
                false => note(
                    "server",
                    said,
                    format!("this program is {own}: `lampyris upgrade` replaces the running one"),
                ),
            };
            (Some(server.pid), finding)
        }
        Ok(_) => (None, bad("server", "its answer makes no sense", "is it lampyris, of this version?")),
        Err(failure) => {
            (None, note("server", failure.to_string(), "nothing to do where it is not meant to run"))
        }
    }
}

/// A socket that the configuration wants and nobody has yet.
fn port(listen: &Listen) -> Finding {
    let bound = match listen.transport {
        Transport::Udp => UdpSocket::bind(listen.address).map(|_| ()),
        _ => TcpListener::bind(listen.address).map(|_| ()),
    };
    match bound {
        Ok(()) => ok("port", format!("{listen} is free")),
        Err(error) => bad(
            "port",
            format!("{listen}: {error}"),
            "`ss -lnptu` shows who has it; ports below 1024 need CAP_NET_BIND_SERVICE; an address must be the machine's own",
        ),
    }
}

fn certificate(loaded: &Loaded) -> Option<Finding> {
    let path = loaded.shell.door.files.certificate.as_ref()?;
    let at = path.display();
    let der = match CertificateDer::from_pem_file(path) {
        Ok(der) => der,
        Err(error) => {
            return Some(bad(
                "certificate",
                format!("{at}: {error}"),
                "`certificate` of `[tls]` is a file in PEM",
            ));
        }
    };
    Some(match Certificate::read(&der, probe::now()) {
        Err(error) => bad("certificate", format!("{at}: {error}"), "make it anew"),
        Ok(read) => judged(&format!("{at}, for {}", read.names.join(", ")), &read.not_after, read.left_s),
    })
}

fn judged(whose: &str, not_after: &str, left_s: i64) -> Finding {
    let renew = "renew it, then `lampyris reload`";
    match u64::try_from(left_s) {
        Err(_) => bad("certificate", format!("{whose}: it ended {not_after}"), renew),
        Ok(left) if left_s < CERTIFICATE_SOON_S => {
            note("certificate", format!("{whose}: it ends in {}", span::show(left)), renew)
        }
        Ok(left) => ok("certificate", format!("{whose}, good for another {}", span::show(left))),
    }
}

/// What DNS says of the domains, as phones ask it (RFC 3263).
fn domains(loaded: &Loaded) -> Result<Vec<Finding>, Failure> {
    let names = loaded.settings.domains.iter().map(|domain| domain.name.to_string());
    let names: Vec<String> =
        names.filter(|name| name.parse::<std::net::IpAddr>().is_err() && name.contains('.')).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(async {
        let Ok(dns) = resolver::system() else {
            return vec![bad("DNS", "the system has no resolver", "look at /etc/resolv.conf")];
        };
        let mut out = Vec::new();
        for name in names {
            let mut said = Vec::new();
            let (mut records, mut failed) = (0, false);
            let services =
                [format!("_sip._udp.{name}"), format!("_sip._tcp.{name}"), format!("_sips._tcp.{name}")];
            let questions = std::iter::once(DnsQuestion::Naptr(name.clone()))
                .chain(services.into_iter().map(DnsQuestion::Srv))
                .chain([DnsQuestion::Address(name.clone())]);
            for question in questions {
                let asked = tokio::time::timeout(DNS_WAIT, resolver::answer(&dns, &question)).await;
                let answer = asked.unwrap_or(DnsAnswer::Failed);
                failed |= matches!(answer, DnsAnswer::Failed);
                let found = way::said(&answer);
                if found != "none" {
                    records += usize::from(!matches!(answer, DnsAnswer::Failed));
                    said.push(format!("{}: {found}", way::name(&question)));
                }
            }
            out.push(match (records, failed) {
                (0, true) => note(
                    "DNS",
                    format!("{name}: no answer"),
                    "phones that are given an address need none; others ask this server's DNS",
                ),
                (0, false) => note(
                    "DNS",
                    format!("{name}: no NAPTR, SRV or address"),
                    format!(
                        "phones find it by address alone, or after: _sip._udp.{name}. SRV 0 0 5060 HOST."
                    ),
                ),
                _ => ok("DNS", said.join("; ")),
            });
        }
        out
    }))
}

fn nofile(limits: &str) -> Finding {
    let row = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = row.and_then(|row| row.split_whitespace().next());
    match soft.map(|soft| soft.parse::<u64>().unwrap_or(u64::MAX)) {
        None => note("open files", "the limit cannot be read", "`ulimit -n` shows it"),
        Some(soft) if soft < NOFILE_LOW => note(
            "open files",
            format!("at most {soft}: one for each connection"),
            "LimitNOFILE=131072 in the service, or `ulimit -n`",
        ),
        Some(soft) => ok("open files", format!("at most {soft}")),
    }
}

fn rmem(text: &str) -> Finding {
    match text.trim().parse::<u64>() {
        Err(_) => note("receive buffer", "net.core.rmem_max cannot be read", "`sysctl net.core.rmem_max`"),
        Ok(bytes) if bytes < RMEM_LOW => note(
            "receive buffer",
            format!(
                "net.core.rmem_max is {bytes}: bursts of thousands of answers over UDP are lost and come again"
            ),
            "sysctl -w net.core.rmem_max=4194304",
        ),
        Ok(bytes) => ok("receive buffer", format!("net.core.rmem_max is {bytes}")),
    }
}

/// Expiries are kept as times: a clock that is wrong ends what should last.
fn clock(now_s: u64, data: &Path) -> Finding {
    let written =
        std::fs::metadata(data.join("store").join("data.mdb")).and_then(|file| file.modified()).ok();
    let written_s = written
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_secs());
    let fix = "set the clock, and let NTP keep it";
    if now_s < CLOCK_LEAST_S {
        return bad("clock", "it stands before 2024: it was never set", fix);
    }
    if written_s > now_s + 60 {
        return bad(
            "clock",
            format!("it is {} behind the last write of the store", span::show(written_s - now_s)),
            fix,
        );
    }
    ok("clock", lampyris_core::time::UnixTime::from_millis(now_s.saturating_mul(1000)).rfc3339())
}

/// The disk of the store.
fn disk(data: &Path) -> Finding {
    let there = data.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let Ok(found) = nix::sys::statvfs::statvfs(there) else {
        return note(
            "disk",
            format!("{} cannot be looked at", there.display()),
            "is it mounted, and may this user read it?",
        );
    };
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    let said = format!("{}: {} MiB free", there.display(), free >> 20);
    if found.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY) {
        return bad(
            "disk",
            format!("{} is read-only", there.display()),
            "another data directory: `--data DIR`",
        );
    }
    if free < DISK_LOW_BYTES {
        return bad("disk", said, "make room: what cannot be stored is refused with 503");
    }
    ok("disk", said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_low_or_over_is_found() {
        let limits = |soft: &str| {
            format!("Limit Soft Hard\nMax open files            {soft}                 4096    files\n")
        };
        assert_eq!(nofile(&limits("1024")).verdict, Verdict::Note);
        assert_eq!(nofile(&limits("131072")).verdict, Verdict::Ok);
        assert_eq!(nofile(&limits("unlimited")).verdict, Verdict::Ok);
        assert_eq!(nofile("").verdict, Verdict::Note);
        assert_eq!((rmem("212992\n").verdict, rmem("4194304").verdict), (Verdict::Note, Verdict::Ok));
        let nowhere = Path::new("/nonexistent/lampyris");
        assert_eq!(
            (clock(5, nowhere).verdict, clock(CLOCK_LEAST_S, nowhere).verdict),
            (Verdict::Bad, Verdict::Ok)
        );
        let verdict = |left| judged("x", "2026-01-01T00:00:00Z", left).verdict;
        assert_eq!(
            [verdict(-1), verdict(86_400), verdict(90 * 86_400)],
            [Verdict::Bad, Verdict::Note, Verdict::Ok]
        );
    }

    #[test]
    fn what_is_long_stays_in_its_column() {
        let findings =
            [note("server", "nobody\nlistens on a socket of a long name", "start one"), ok("clock", "right")];
        let expected = "note  server  nobody\n              listens on a\n              socket of a\n              long name\n\
                        \u{20}             start one\nok    clock   right\n";
        assert_eq!(words(&findings, Some(26)), expected);
        assert!(words(&findings, None).contains("listens on a socket of a long name\n"));
    }

    #[test]
    fn a_port_that_is_taken_is_bad() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("bound");
        let listen = Listen { transport: Transport::Tcp, address };
        assert_eq!(port(&listen).verdict, Verdict::Bad);
        drop(taken);
        assert_eq!(port(&listen).verdict, Verdict::Ok);
    }
}
