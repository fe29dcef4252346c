//! What publishers say of dialogs, in order: partial documents into full ones, nothing back from the dead, one word per
//! dialog (RFC 3903 §6, RFC 4235 §4.3).
//!
//! In: an older and a newer document of one publication, or of two. Out: the document that stands from now on. It holds no
//! publication and sees no other publisher's.

use crate::body::HoleValues;
use crate::body::dialog_info::{Dialog, DialogInfo, DialogState, Participant};
use crate::composition::dialogs::is_same_dialog;
use crate::limits;
use crate::packages::Merged;

/// What names a real dialog among what is over; `None` where the dialog stands for a lamp or is only half known.
fn key(dialog: &Dialog) -> Option<String> {
    let (call_id, local, remote) = (&dialog.call_id, &dialog.local_tag, &dialog.remote_tag);
    let (call_id, (local, remote)) = call_id.as_ref().zip(local.as_ref().zip(remote.as_ref()))?;
    Some(format!("{call_id}\n{local}\n{remote}"))
}

fn is_live(dialog: &Dialog) -> bool {
    dialog.state != DialogState::Terminated
}

/// The dialogs of which a document says that they are over for good.
pub(super) fn over(published: &DialogInfo) -> Vec<String> {
    published.dialogs.iter().filter(|dialog| !is_live(dialog)).filter_map(key).collect()
}

/// Whether two documents speak of the same dialogs by their ids.
pub(super) fn same_ids(old: &DialogInfo, new: &DialogInfo) -> bool {
    let id = |dialog: &Dialog| (dialog.id.clone(), dialog.call_id.clone());
    !old.dialogs.is_empty() && old.dialogs.iter().map(id).eq(new.dialogs.iter().map(id))
}

/// Whether all that an older document tells of is real dialogs that the newer one tells of too: its publisher lost the
/// entity-tag, and it does not matter from where it publishes now.
pub(super) fn supersedes(old: &DialogInfo, new: &DialogInfo) -> bool {
    let told_again = |dialog: &Dialog| new.dialogs.iter().any(|other| is_same_dialog(dialog, other));
    let mut live = old.dialogs.iter().filter(|dialog| is_live(dialog)).peekable();
    live.peek().is_some() && live.all(told_again)
}

/// The document that a publication holds after `new`; `None` where that is `new` as it came.
///
/// A real dialog that is over stays over: it keeps its end as `old` told it, or is left out. Interop: a dialog without
/// Call-ID and tags may come back, because Asterisk's outbound publish uses one id for `terminated` and then `confirmed`.
pub(super) fn merged(
    old: Option<&DialogInfo>,
    new: &DialogInfo,
    is_over: &dyn Fn(&str) -> bool,
) -> Option<Merged<DialogInfo>> {
    let ended = |dialog: &Dialog| {
        let key = key(dialog)?;
        let known = old.into_iter().flat_map(|old| &old.dialogs);
        let known = known.filter(|known| !is_live(known)).find(|known| key_is(known, &key));
        (known.is_some() || is_over(&key)).then_some(known)
    };
    let goes_back = |dialog: &Dialog| is_live(dialog) && ended(dialog).is_some();
    let base = old.filter(|_| new.partial);
    if !new.partial && !new.dialogs.iter().any(goes_back) {
        return None;
    }
    let mut dialogs = base.map(|old| old.dialogs.clone()).unwrap_or_default();
    for dialog in &new.dialogs {
        let place = dialogs.iter().position(|known| known.id == dialog.id);
        if goes_back(dialog) {
            if let (None, Some(Some(end))) = (place, ended(dialog)) {
                dialogs.push(end.clone());
            }
            continue;
        }
        match place.and_then(|at| dialogs.get_mut(at)) {
            Some(known) => *known = updated(known, dialog),
            None => dialogs.push(dialog.clone()),
        }
    }
    while dialogs.len() > limits::DIALOGS_MAX {
        let over = dialogs.iter().position(|dialog| !is_live(dialog)).unwrap_or(0);
        dialogs.remove(over);
    }
    let content = DialogInfo { partial: false, dialogs, ..new.clone() };
    let values = HoleValues { version: content.version, entity: &content.entity, ..HoleValues::default() };
    let body = content.encode().fill(&values);
    Some(Merged { content, body })
}

fn key_is(dialog: &Dialog, wanted: &str) -> bool {
    key(dialog).as_deref() == Some(wanted)
}

/// A dialog after an update. What a partial document leaves out of a participant is as it was (RFC 4235 §4.1.6).
fn updated(old: &Dialog, new: &Dialog) -> Dialog {
    let side = |old: &Participant, new: &Participant| Participant {
        identity: new.identity.clone().or_else(|| old.identity.clone()),
        target: new.target.clone().or_else(|| old.target.clone()),
        session: new.session.clone().or_else(|| old.session.clone()),
        ..new.clone()
    };
    Dialog { local: side(&old.local, &new.local), remote: side(&old.remote, &new.remote), ..new.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(state: &str, dialogs: &str) -> DialogInfo {
        let body = format!(
            "<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='4' state='{state}' entity='sip:a@x'>\
             {dialogs}</dialog-info>"
        );
        DialogInfo::decode(body.as_bytes()).unwrap()
    }

    fn real(id: &str, state: &str) -> String {
        format!(
            "<dialog id='{id}' call-id='c{id}' local-tag='l' remote-tag='r'><state>{state}</state></dialog>"
        )
    }

    fn pseudo(id: &str, state: &str) -> String {
        format!("<dialog id='{id}'><state>{state}</state></dialog>")
    }

    /// What a publication holds after `new`, as id and state; what is merged is read back from its body.
    fn after(old: Option<&DialogInfo>, new: &DialogInfo, over: &[&str]) -> String {
        let is_over = |key: &str| over.contains(&key);
        let now = merged(old, new, &is_over).map_or_else(
            || new.clone(),
            |merged| {
                let read = DialogInfo::decode(&merged.body).unwrap();
                assert_eq!(read, merged.content, "the journal keeps what memory has");
                read
            },
        );
        assert!(!now.partial || old.is_none());
        let states = now.dialogs.iter().map(|dialog| format!("{}={}", dialog.id, dialog.state.name()));
        states.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_partial_document_changes_only_what_it_names() {
        let full = info("full", &(real("1", "confirmed") + &real("2", "early") + &pseudo("p", "early")));
        let rows = [
            (real("2", "confirmed"), "1=confirmed 2=confirmed p=early"),
            (real("3", "trying"), "1=confirmed 2=early p=early 3=trying"),
            (real("1", "terminated"), "1=terminated 2=early p=early"),
            (String::new(), "1=confirmed 2=early p=early"),
        ];
        for (change, expected) in rows {
            assert_eq!(after(Some(&full), &info("partial", &change), &[]), expected, "{change}");
        }
        assert_eq!(after(None, &info("partial", &real("1", "early")), &[]), "1=early");
        assert_eq!(after(Some(&full), &info("full", &real("2", "early")), &[]), "2=early");
    }

    #[test]
    fn a_partial_document_leaves_who_it_is_with_as_it_was() {
        let with =
            "<dialog id='1'><state>early</state><remote><identity>sip:b@x</identity></remote></dialog>";
        let old = info("full", with);
        let merged = merged(Some(&old), &info("partial", &pseudo("1", "confirmed")), &|_| false).unwrap();
        let dialog = &merged.content.dialogs[0];
        assert_eq!(dialog.remote.identity.as_ref().unwrap().uri, "sip:b@x");
        assert_eq!(dialog.state, DialogState::Confirmed);
    }

    /// kamailio#3192, kamailio#726: a lamp that blinks for hours.
    #[test]
    fn complaint_01_early_after_terminated_is_refused() {
        let ended = info("full", &real("1", "terminated"));
        for state in ["full", "partial"] {
            assert_eq!(after(Some(&ended), &info(state, &real("1", "early")), &[]), "1=terminated");
        }
        // Told by another publication that is gone already.
        let late = info("full", &(real("1", "early") + &real("2", "early")));
        assert_eq!(after(None, &late, &["c1\nl\nr"]), "2=early");
        assert_eq!(over(&ended), ["c1\nl\nr"]);
        // Asterisk's own: one id for every call.
        let ended = info("full", &pseudo("6001", "terminated"));
        assert_eq!(after(Some(&ended), &info("full", &pseudo("6001", "confirmed")), &[]), "6001=confirmed");
        assert!(over(&ended).is_empty());
    }

    /// kamailio#724: rows that nobody takes back.
    #[test]
    fn complaint_02_a_publication_is_superseded_by_dialog_id() {
        let (a, b) = (real("1", "early"), real("2", "confirmed"));
        for (old, new, is) in [
            (a.clone(), real("1", "confirmed"), true),
            (a.clone(), real("1", "terminated") + &b, true),
            (a.clone() + &b, a.clone(), false),
            (pseudo("1", "early"), pseudo("1", "confirmed"), false),
            (real("1", "terminated"), real("1", "early"), false),
            (a.clone(), b.clone(), false),
        ] {
            assert_eq!(supersedes(&info("full", &old), &info("full", &new)), is, "{old} {new}");
        }
    }
}
