//! The demo's office: who works there, on which phones, and who watches whom; as data and as a configuration.

use std::fmt::Write as _;

/// Somebody with a lamp.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    /// Shown on the board.
    pub(super) name: &'static str,
    /// Extension with the hint.
    pub(super) extension: &'static str,
    /// Phones: peers and devices; the last one is at the desk, where calls are answered.
    pub(super) phones: &'static [&'static str],
}

/// Everybody. The first three phones are those of the founding scenario.
pub(super) const PEOPLE: &[Person] = &[
    Person { name: "Bob", extension: "6001", phones: &["Bob-mobile", "Bob-desk"] },
    Person { name: "Alice", extension: "6002", phones: &["Alice"] },
    Person { name: "Carol", extension: "6003", phones: &["Carol"] },
    Person { name: "Dave", extension: "6004", phones: &["Dave"] },
    Person { name: "Erin", extension: "6005", phones: &["Erin"] },
    Person { name: "Frank", extension: "6006", phones: &["Frank"] },
    Person { name: "Grace", extension: "6007", phones: &["Grace"] },
    Person { name: "Heidi", extension: "6008", phones: &["Heidi"] },
    Person { name: "Ivan", extension: "6009", phones: &["Ivan"] },
    Person { name: "Judy", extension: "6010", phones: &["Judy"] },
    Person { name: "Mallory", extension: "6011", phones: &["Mallory"] },
    Person { name: "Niaj", extension: "6012", phones: &["Niaj"] },
    Person { name: "Olivia", extension: "6013", phones: &["Olivia"] },
    Person { name: "Peggy", extension: "6014", phones: &["Peggy"] },
];

/// Who has this extension or phone; of a stranger, the same.
pub(super) fn name_of(user: &str) -> &str {
    let found = PEOPLE.iter().find(|person| person.extension == user || person.phones.contains(&user));
    found.map_or(user, |person| person.name)
}

/// Who else watches whom, beside Alice, whose phone has a lamp for everybody.
pub(super) const WATCHES: &[(&str, &[&str])] = &[
    ("Carol", &["6001", "6002", "6004"]),
    ("Dave", &["6001", "6003"]),
    ("Erin", &["6006", "6007", "6008"]),
    ("Grace", &["6001", "6002", "6005", "6010"]),
];

/// The extensions of a list.
const SALES: [&str; 4] = ["6001", "6003", "6005", "6007"];

/// The password of a demo phone; it opens nothing but this demo on the loopback interface.
pub(super) fn password(phone: &str) -> String {
    format!("{}-demo", phone.to_lowercase())
}

/// A phone that nobody simulates, for whoever wants to point a real one here.
pub(super) const GUEST: &str = "guest";

/// The office as a configuration file.
pub(super) fn configuration(udp: &str, tcp: &str) -> String {
    let mut text = format!(
        "# The demo's office, as a configuration of lampyris.\n\n[server]\nlisten = [\"udp:{udp}\", \"tcp:{tcp}\"]\n\
         realm = \"lampyris\"\nlog = \"warn\"\n\n"
    );
    let phones = PEOPLE.iter().flat_map(|person| person.phones);
    for phone in phones.copied().chain([GUEST]) {
        let _ = write!(
            text,
            "[peers.{phone}]\nsecret = \"{}\"\ncall_counter = true\nbusy_level = 2\n\n",
            password(phone)
        );
    }
    // Bob's two phones are one person to whoever watches him.
    text.push_str("[people.bob]\ndisplay = \"Bob\"\npeers = [\"Bob-mobile\", \"Bob-desk\"]\nextensions = [\"6001\"]\n\n");
    let _ = write!(text, "[lists.sales]\ndisplay = \"Sales\"\nmembers = {SALES:?}\n\n");
    text.push_str("[hints]\n");
    for person in PEOPLE {
        let devices: Vec<_> = person.phones.iter().map(|phone| format!("SIP/{phone}")).collect();
        let _ = writeln!(text, "{} = \"{}\"", person.extension, devices.join("&"));
    }
    text
}
