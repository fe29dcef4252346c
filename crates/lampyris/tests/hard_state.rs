//! Hard state (RFC 3903 §3, RFC 4827) in the running binary: by command, over a crash, from a directory, and in `why`.

#![allow(clippy::unwrap_used, reason = "this is a test")]

mod lab;

use lab::Lab;

fn document(person: &str, note: &str) -> String {
    format!(
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:{person}@example.com\"><tuple id=\"mail\">\
         <status><basic>open</basic></status><contact>mailto:{person}@example.com</contact><note>{note}</note></tuple>\
         </presence>"
    )
}

/// What a watcher who asks once is told of this person.
fn shown(lab: &Lab, person: &str) -> String {
    let mut watcher = lab.tls(None);
    let uri = format!("sip:{person}@example.com");
    let more = "Contact: <sip:alice@x7.invalid;transport=tls>\r\nEvent: presence\r\n\
                Accept: application/pidf+xml\r\nExpires: 0\r\n";
    watcher.request("SUBSCRIBE", &uri, more);
    let answer = watcher.read().unwrap();
    assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    watcher.notified()
}

fn asked(lab: &Lab, words: &[&str]) -> (bool, String) {
    let output = lab.ask(words);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn a_document_holds_until_it_is_removed_and_a_file_goes_before_a_command() {
    let mut lab = Lab::start("hard-state", &["tls:127.0.0.1:0"], "");
    let file = lab.directory.join("bob.xml");
    let file = file.to_str().unwrap();
    std::fs::write(file, document("bob", "ON-HOLIDAY")).unwrap();
    assert!(!shown(&lab, "bob").contains("mailto:"));

    let (done, said) = asked(&lab, &["presence", "document", "bob", file]);
    assert!(done, "{said}");
    assert!(shown(&lab, "bob").contains("<note>ON-HOLIDAY</note>"));
    assert!(asked(&lab, &["presence", "document", "bob"]).1.contains("ON-HOLIDAY"));
    let (_, why) = asked(&lab, &["why", "bob"]);
    assert!(why.contains("document of bob@example.com by command") && why.contains("ON-HOLIDAY"), "{why}");

    lab.kill_and_start();
    assert!(shown(&lab, "bob").contains("<note>ON-HOLIDAY</note>"), "it is stored");

    // What cannot be read changes nothing.
    std::fs::write(file, "<presence").unwrap();
    assert!(!asked(&lab, &["presence", "document", "bob", file]).0);
    assert!(shown(&lab, "bob").contains("<note>ON-HOLIDAY</note>"));

    let directory = lab.directory.join("documents");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("bob.xml"), document("bob", "FROM-A-FILE")).unwrap();
    lab.edit("[server]\n", "documents = \"documents\"\n[server]\n");
    let (done, said) = asked(&lab, &["reload"]);
    assert!(done, "{said}");
    let now = shown(&lab, "bob");
    assert!(now.contains("<note>FROM-A-FILE</note>") && !now.contains("ON-HOLIDAY"), "{now}");
    let (_, why) = asked(&lab, &["why", "bob"]);
    assert!(why.contains("document of bob@example.com by file"), "{why}");
    assert!(!asked(&lab, &["presence", "document", "bob", "--remove"]).0, "the file holds");

    // A wrong file is an error of the configuration: what was read before holds.
    std::fs::write(directory.join("bob.xml"), "<presence").unwrap();
    let (done, said) = asked(&lab, &["reload"]);
    assert!(!done && said.contains("bob.xml"), "{said}");
    assert!(shown(&lab, "bob").contains("<note>FROM-A-FILE</note>"));

    std::fs::remove_file(directory.join("bob.xml")).unwrap();
    assert!(asked(&lab, &["reload"]).0);
    assert!(shown(&lab, "bob").contains("<note>ON-HOLIDAY</note>"), "what was set by command holds again");
    assert!(asked(&lab, &["presence", "document", "bob", "--remove"]).0);
    assert!(!shown(&lab, "bob").contains("mailto:"));
}
