//! What somebody knows of a list who applies its documents in order (RFC 4662 §5.6).

use bytes::Bytes;
use lampyris_core::body::rlmi::NAMESPACE;
use lampyris_core::body::xml::Document;
use lampyris_sip::{Message, Name, multipart};
use std::collections::BTreeMap;

/// What a watcher knows of a list: its row for each URI.
#[derive(Default)]
pub(crate) struct Picture {
    pub(crate) call_id: String,
    pub(crate) tag: String,
    pub(crate) cseq: u32,
    pub(crate) version: Option<u32>,
    pub(crate) rows: BTreeMap<String, String>,
    /// A version is missing, so it wants to subscribe again (RFC 4662 §5.6.2).
    pub(crate) gap: bool,
    pub(crate) over: bool,
    pub(crate) fulls: usize,
    pub(crate) partials: usize,
    seen: BTreeMap<u32, Bytes>,
}

impl Picture {
    /// Of the subscription with this Call-ID.
    pub(crate) fn of(call_id: String) -> Self {
        Self { call_id, ..Self::default() }
    }

    pub(crate) fn take(&mut self, notify: &Message) {
        if notify.header(Name::SubscriptionState).unwrap().starts_with("terminated") {
            self.over = true;
        }
        if self.seen.insert(notify.cseq().seq, notify.raw().clone()).is_some() || notify.body().is_empty() {
            return;
        }
        let content_type = notify.header(Name::ContentType).unwrap();
        let parts = multipart::parse_as(content_type, &notify.body()).unwrap();
        let (meta, states) = parts.split_first().unwrap();
        // Why in pieces: a whole domain is more than our own reader takes.
        let text = std::str::from_utf8(&meta.body).unwrap();
        let (head, rows) = text.split_once("<resource ").unwrap_or((text, ""));
        let head = if rows.is_empty() { text.to_owned() } else { format!("{head}</list>") };
        let document = Document::parse(head.as_bytes()).unwrap();
        let root = document.root();
        let version: u32 = root.attr("version").unwrap().parse().unwrap();
        let full = root.attr("fullState") == Some("true");
        match self.version {
            None => assert!(full, "the first NOTIFY is full"),
            Some(known) if version <= known => return,
            Some(known) => self.gap |= !full && version != known + 1,
        }
        self.version = Some(version);
        if full {
            self.rows.clear();
            self.gap = false;
        }
        *(if full { &mut self.fulls } else { &mut self.partials }) += 1;
        let mut used = 0;
        for row in rows.split("<resource ").filter(|row| !row.is_empty()) {
            let end = row.find("</resource>").map_or_else(|| row.find("/>").unwrap() + 2, |at| at + 11);
            let row = format!("<resource xmlns=\"{NAMESPACE}\" {}", &row[..end]);
            let document = Document::parse(row.as_bytes()).unwrap();
            let resource = document.root();
            let uri = resource.attr("uri").unwrap().to_owned();
            let Some(instance) = resource.child(NAMESPACE, "instance") else {
                self.rows.insert(uri, "unknown".to_owned());
                continue;
            };
            let state = instance.attr("state").unwrap();
            let told = match (state, instance.attr("cid")) {
                ("active", Some(cid)) => {
                    used += 1;
                    let part = states.iter().find(|part| part.content_id() == Some(cid)).unwrap();
                    let text = String::from_utf8(part.body.to_vec()).unwrap();
                    // Why: each document of a dialog has its own version.
                    match text.split_once("<dialog-info").and_then(|(_, rest)| rest.split_once("version=\""))
                    {
                        Some((_, rest)) => rest.split_once('"').unwrap().1.to_owned(),
                        None => text,
                    }
                }
                ("active", None) => panic!("active without state: RFC 4662 §5.5"),
                (state, cid) => {
                    assert_eq!(cid, None);
                    format!("{state} {}", instance.attr("reason").unwrap_or(""))
                }
            };
            self.rows.insert(uri, told);
        }
        assert_eq!(used, states.len(), "every part is named by one cid");
    }

    /// It has to be subscribed to again.
    pub(crate) const fn is_lost(&self) -> bool {
        self.over || self.gap || self.tag.is_empty() || self.version.is_none()
    }

    /// The same in another dialog.
    pub(crate) fn anew(&self) -> Self {
        let call_id = format!("{}x", self.call_id);
        Self { call_id, fulls: self.fulls, partials: self.partials, ..Self::default() }
    }

    /// The rows that mean something: who is gone may be forgotten at any time.
    pub(crate) fn lasting(&self) -> BTreeMap<&String, &String> {
        self.rows.iter().filter(|(_, told)| !told.starts_with("terminated")).collect()
    }
}
