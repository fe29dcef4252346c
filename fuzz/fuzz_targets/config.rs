//! Configuration in each dialect: any text is a configuration, or errors that say in which file. The first byte of the input
//! says which: TOML, `sip.conf`, `extensions.conf`, a gateway of FreeSWITCH, a TOML file beside Asterisk's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A directory of this process.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("lampyris-fuzz-config-{}", std::process::id()));
    std::fs::create_dir_all(path.join("asterisk")).expect("a directory");
    path
});

/// Files of Asterisk that name what the fuzzed one may use.
const SIP_CONF: &str = "[general]\nrealm=example.com\n[a](!)\ntype=friend\n[6001](a)\nsecret=s\n";
const EXTENSIONS_CONF: &str = "[default]\nexten => 6001,hint,SIP/6001\n";

fn write(path: &Path, text: &[u8]) {
    std::fs::write(path, text).expect("a file");
}

fuzz_target!(|data: &[u8]| {
    let Some((&kind, text)) = data.split_first() else { return };
    // Why: a file that leads to another (`#include`, `rules`, keys) would make the outcome depend on this machine.
    if [&b"/dev"[..], b"/proc", b"/sys"].iter().any(|name| text.windows(name.len()).any(|at| at == *name)) {
        return;
    }
    let own = DIRECTORY.join("lampyris.toml");
    let asterisk = DIRECTORY.join("asterisk");
    let gateway = DIRECTORY.join("gateway.xml");
    let kind = kind % 5;
    write(&asterisk.join("sip.conf"), if kind == 1 { text } else { SIP_CONF.as_bytes() });
    write(&asterisk.join("extensions.conf"), if kind == 2 { text } else { EXTENSIONS_CONF.as_bytes() });
    let loaded = match kind {
        0 => {
            write(&own, text);
            lampyris::config::load(&own, None)
        }
        1 | 2 => lampyris::config::load(&asterisk, None),
        3 => {
            write(&gateway, text);
            write(&own, b"freeswitch_gateways = \"gateway.xml\"\n[domains.\"example.com\"]\n");
            lampyris::config::load(&own, None)
        }
        _ => {
            write(&own, text);
            lampyris::config::load(&asterisk, Some(&own))
        }
    };
    if let Err(errors) = loaded {
        assert!(!errors.is_empty());
        errors.iter().for_each(|error| drop(error.to_string()));
    }
});
