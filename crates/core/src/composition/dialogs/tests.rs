//! What is composed, and what each class of watchers then reads.

use super::*;
use crate::body::dialog_info::DialogInfo;
use crate::body::dialog_info::shown::{Only, Reveal, Sight};
use crate::body::{Brevity, HoleValues, Style, Variant};
use crate::settings::NotifyRinging;

/// A dialog as its source tells of it: `1 early in`, `2 confirmed out held`, `p pseudo early in`, `3 early in secret`.
fn source(text: &str) -> Source {
    let words: Vec<_> = text.split(' ').collect();
    let has = |word: &str| words.contains(&word);
    let id = words[0];
    let state = words.iter().find_map(|word| DialogState::named(word)).unwrap();
    let attributes = if has("pseudo") {
        String::new()
    } else {
        format!(" call-id='c{id}' local-tag='l{id}' remote-tag='r{id}'")
    };
    let direction = if has("in") { "recipient" } else { "initiator" };
    let rendering = if has("held") { "no" } else { "yes" };
    let remote = if has("secret") { "sip:anonymous@anonymous.invalid".into() } else { format!("sip:{id}@x") };
    let body = format!(
        "<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='0' state='full' entity='sip:a@x'>\
         <dialog id='{id}'{attributes} direction='{direction}'><state>{}</state><duration>9</duration>\
         <local><identity>sip:me@x</identity><target uri='sip:me@1'><param pname='+sip.rendering' pval='{rendering}'/>\
         </target><session-description type='application/sdp'>v=0</session-description></local>\
         <remote><identity>{remote}</identity><target uri='sip:them@{id}'/></remote></dialog></dialog-info>",
        state.name()
    );
    let info = DialogInfo::decode(body.as_bytes()).unwrap();
    let mut source = Source::published(&info.dialogs[0], UnixTime::from_millis(60_000));
    source.restricted |= has("anonymous");
    source
}

fn lamp(state: ExtensionState) -> LampState {
    LampState::of(state)
}

fn compose(state: ExtensionState, sources: &[&str], before: Option<&Dialogs>) -> Dialogs {
    let (tracked, published): (Vec<_>, Vec<_>) = sources.iter().partition(|text| text.ends_with("tracked"));
    let of = |texts: Vec<&&str>| texts.into_iter().map(|text| source(text)).collect();
    Dialogs::compose(lamp(state), "6001", (of(tracked), of(published)), before)
}

fn written(dialogs: &Dialogs, style: Style, sight: &Sight) -> (String, DialogInfo) {
    let values =
        HoleValues { entity: "sip:6001@x", now: UnixTime::from_millis(61_000), ..HoleValues::default() };
    let bytes = DialogInfo::encode_shown(dialogs, "6001", style, sight).fill(&values);
    let text = String::from_utf8(bytes).unwrap();
    let info = DialogInfo::decode(text.as_bytes()).unwrap();
    (text, info)
}

/// The ids and states of a document, `~` before a partial one.
fn shown(dialogs: &Dialogs, style: Style, sight: &Sight) -> String {
    let (_, info) = written(dialogs, style, sight);
    let list: Vec<_> =
        info.dialogs.iter().map(|dialog| format!("{}={}", dialog.id, dialog.state.name())).collect();
    format!("{}{}", if info.partial { "~" } else { "" }, list.join(" "))
}

fn full(dialogs: &Dialogs) -> String {
    shown(dialogs, Style::default(), &Sight::default())
}

fn told(told: u32) -> Sight {
    Sight { told: Some(told), ..Sight::default() }
}

use ExtensionState as E;

#[test]
fn what_no_dialog_explains_is_a_dialog_of_its_own() {
    for (state, sources, expected) in [
        (E::Idle, vec![], "6001=terminated"),
        (E::Ringing, vec![], "6001=early"),
        (E::InUse, vec![], "6001=confirmed"),
        (E::InUseRinging, vec![], "6001=early"),
        (E::Ringing, vec!["1 early in"], "1=early"),
        (E::InUse, vec!["1 trying out"], "1=trying"),
        (E::InUseRinging, vec!["1 early in"], "1=early 6001=confirmed"),
        (E::InUseRinging, vec!["1 confirmed in"], "1=confirmed 6001=early"),
        (E::InUseRinging, vec!["1 confirmed in", "2 early in"], "1=confirmed 2=early"),
        // A command says busy while a call rings.
        (E::Busy, vec!["1 early in"], "1=early 6001=confirmed"),
        // A command says idle: calls are calls.
        (E::Idle, vec!["1 confirmed out"], "1=confirmed"),
        (E::Unavailable, vec!["1 terminated out"], "6001=terminated"),
    ] {
        assert_eq!(full(&compose(state, &sources, None)), expected, "{state} {sources:?}");
    }
}

#[test]
fn one_dialog_per_call_whoever_tells_of_it() {
    // The first source wins: the tracked call, then the newest publication.
    let twice =
        compose(E::InUse, &["1 early in", "1 confirmed in tracked", "2 early in", "2 trying in"], None);
    assert_eq!(full(&twice), "1=confirmed 2=early");
    assert_eq!(full(&compose(E::Idle, &["1 confirmed in", "1 terminated in"], None)), "6001=terminated");
    // Two lamps of the same id by different publishers are two.
    let lamps = compose(E::InUse, &["p pseudo early in", "p pseudo confirmed in"], None);
    assert_eq!(full(&lamps), "p=early p-2=confirmed");
}

#[test]
fn the_end_of_a_dialog_is_told_once_and_is_final() {
    let first = compose(E::InUse, &["1 confirmed in", "2 confirmed out"], None);
    let second = compose(E::InUse, &["1 terminated in", "2 confirmed out"], Some(&first));
    let seen = first.revision;
    assert_eq!(shown(&second, Style::default(), &told(seen)), "2=confirmed 1=terminated");
    assert_eq!(full(&second), "2=confirmed", "who comes now never saw it");
    assert_eq!(shown(&second, Style::default(), &told(second.revision)), "2=confirmed");
    // Nothing changed: nothing is new.
    let third = compose(E::InUse, &["2 confirmed out"], Some(&second));
    assert_eq!((third.revision, third.base(second.revision)), (second.revision, None));
    // A late word of it is not believed; a lamp's may come back.
    let late = compose(E::InUse, &["1 early in", "2 confirmed out"], Some(&third));
    assert_eq!(full(&late), "2=confirmed");
    let lit = compose(E::InUse, &["p pseudo confirmed in"], None);
    let dark = compose(E::Idle, &[], Some(&lit));
    assert_eq!(shown(&dark, Style::default(), &told(lit.revision)), "p=terminated");
    let again = compose(E::InUse, &["p pseudo confirmed in"], Some(&dark));
    assert_eq!(shown(&again, Style::default(), &told(dark.revision)), "p=confirmed");
    // A call that came and went between two NOTIFYs was never seen.
    let came = compose(E::Ringing, &["3 early in"], Some(&dark));
    let went = compose(E::Idle, &[], Some(&came));
    assert_eq!(shown(&went, Style::default(), &told(dark.revision)), "6001=terminated");
}

#[test]
fn why_a_dialog_ended_is_told() {
    let first = compose(E::InUse, &["1 confirmed in"], None);
    let mut end = source("1 terminated in");
    end.dialog.event = Some(crate::body::dialog_info::DialogEvent::RemoteBye);
    end.dialog.code = Some(200);
    let second = Dialogs::compose(lamp(E::Idle), "6001", (vec![end], Vec::new()), Some(&first));
    let (text, info) = written(&second, Style::default(), &told(first.revision));
    assert!(text.contains("<state event=\"remote-bye\" code=\"200\">terminated</state>"), "{text}");
    assert_eq!((info.dialogs.len(), info.dialogs[0].duration_s), (1, None));
}

#[test]
fn a_partial_document_holds_what_this_watcher_was_not_told() {
    let partial = |told| Sight { partial: true, ..self::told(told) };
    let style = Style::default();
    let first = compose(E::InUse, &["1 confirmed in", "2 early in"], None);
    let second = compose(E::InUse, &["1 confirmed in", "2 confirmed in"], Some(&first));
    let third = compose(E::InUse, &["1 confirmed in", "3 early out"], Some(&second));
    assert_eq!(shown(&second, style, &partial(first.revision)), "~2=confirmed");
    assert_eq!(shown(&third, style, &partial(second.revision)), "~3=early 2=terminated");
    assert_eq!(shown(&third, style, &partial(first.revision)), "~3=early 2=terminated");
    assert_eq!(shown(&third, style, &Sight { partial: true, ..Sight::default() }), "1=confirmed 3=early");
    // RFC 4235 §3.3: without a dialog it is full state.
    assert_eq!(shown(&third, style, &partial(third.revision)), "1=confirmed 3=early");
    // More ends than are remembered: who missed one gets everything.
    let mut state = third;
    for n in 0..=limits::DIALOGS_ENDED_MAX {
        let came = compose(E::InUse, &["1 confirmed in", &format!("x{n} early in")], Some(&state));
        state = compose(E::InUse, &["1 confirmed in"], Some(&came));
    }
    assert_eq!(state.ended.len(), limits::DIALOGS_ENDED_MAX);
    assert!(state.forgotten > second.revision);
    assert_eq!(shown(&state, style, &partial(second.revision)), "1=confirmed");
}

#[test]
fn watchers_to_whom_the_same_is_new_share_a_document() {
    let mut state = compose(E::InUse, &["1 confirmed in"], None);
    let mut states = vec![state.clone()];
    for sources in
        [&["1 confirmed in", "2 early in"][..], &["1 confirmed in"], &["1 confirmed in", "3 early in"]]
    {
        state = compose(E::InUse, sources, Some(&state));
        states.push(state.clone());
    }
    for partial in [false, true] {
        for a in 0..=state.revision + 1 {
            for b in 0..=state.revision + 1 {
                let sight = |told| Sight { told: state.base(told), partial, ..Sight::default() };
                let raw = |told| Sight { told: Some(told), partial, ..Sight::default() };
                let style = Style::default();
                if state.base(a) == state.base(b) && state.base(a).is_some() {
                    assert_eq!(shown(&state, style, &raw(a)), shown(&state, style, &raw(b)), "{a} {b}");
                }
                assert_eq!(shown(&state, style, &sight(a)), shown(&state, style, &raw(a)), "{a}");
            }
        }
    }
}

/// kamailio#1427, opensips#94: several dialogs in one body confuse phones.
#[test]
fn complaint_46_one_dialog_by_rank() {
    let style = Style { single_dialog: true, ..Style::default() };
    let all = ["4 confirmed out held", "3 early out", "2 confirmed out", "1 early in"];
    for (sources, expected) in [
        (&all[..], "1=early"),
        (&all[..3], "2=confirmed"),
        (&all[..2], "3=early"),
        (&all[..1], "4=confirmed"),
        (&["5 confirmed in", "2 confirmed out"][..], "5=confirmed"),
        (&[][..], "6001=terminated"),
    ] {
        assert_eq!(
            shown(&compose(E::Idle, sources, None), style, &Sight::default()),
            expected,
            "{sources:?}"
        );
    }
    let both = compose(E::InUse, &["1 confirmed in", "2 confirmed in"], None);
    let one = compose(E::InUse, &["2 confirmed in"], Some(&both));
    assert_eq!(shown(&one, style, &told(both.revision)), "2=confirmed");
    let none = compose(E::Idle, &[], Some(&one));
    assert_eq!(shown(&none, style, &Sight { partial: true, ..told(both.revision) }), "2=terminated");
}

/// mikopbx/Core#1059: no caller in confirmed documents; and asterisk#803: nothing to pick up by.
#[test]
fn complaint_25_with_whom_in_every_state_as_far_as_a_watcher_may_know() {
    for state in ["early", "confirmed"] {
        let dialogs = compose(E::InUse, &[&format!("1 {state} in"), &format!("2 {state} in secret")], None);
        let sight = |reveal| Sight { reveal, ..Sight::default() };
        let (text, info) = written(&dialogs, Style::default(), &sight(Reveal::Party));
        let [open, secret] = [&info.dialogs[0], &info.dialogs[1]];
        assert_eq!(open.remote.identity.as_ref().unwrap().uri, "sip:1@x");
        assert_eq!(open.remote.target.as_ref().unwrap().uri, "sip:them@1");
        assert_eq!((open.call_id.as_deref(), open.remote_tag.as_deref()), (Some("c1"), Some("r1")));
        let hidden = secret.remote.identity.as_ref().unwrap();
        assert_eq!(hidden.uri, "sip:anonymous@anonymous.invalid");
        assert!(secret.call_id.is_some() && !text.contains("them@2") && !text.contains("v=0"), "{text}");

        let (text, _) = written(&dialogs, Style::default(), &sight(Reveal::Own));
        assert!(text.contains("them@2"), "the presentity sees its own: {text}");

        let (text, info) = written(&dialogs, Style::default(), &sight(Reveal::State));
        for private in ["call-id", "tag", "identity", "c1", "sip:1@x", "them", "me@", "v=0"] {
            assert!(!text.contains(private), "{private} in {text}");
        }
        assert_eq!((info.dialogs[0].id.as_str(), info.dialogs[1].id.as_str()), ("1", "2"), "just numbers");
    }
}

/// freeswitch#1720: what a document too large for a datagram does without, and in which order.
#[test]
fn complaint_42_a_large_document_loses_what_the_lamp_needs_least() {
    let mut sources = ["1 confirmed in", "2 early in"].map(source);
    sources[0].dialog.remote.identity.iter_mut().for_each(|who| who.display_name = Some("Eve".to_owned()));
    let dialogs = Dialogs::compose(lamp(E::InUseRinging), "6001", (Vec::new(), sources.to_vec()), None);
    let sight = Sight { sessions: true, ..Sight::default() };
    let kept = |brevity| {
        let (text, info) = written(&dialogs, Style { brevity, ..Style::default() }, &sight);
        assert!(text.contains("<identity>sip:2@x"), "whom it is about stays: {text}");
        (info.dialogs.len(), text.contains("Eve"), text.contains("v=0"))
    };
    assert_eq!(kept(Brevity::Whole), (2, true, true));
    let shorter = [(2, true, false), (2, false, false), (1, false, false)];
    assert_eq!(Brevity::SHORTER.map(kept), shorter);
}

#[test]
fn rfc4235_3_2_one_dialog_and_its_session() {
    let dialogs = compose(E::InUse, &["1 confirmed in", "2 confirmed in"], None);
    let only = |call_id: &str, to: &str, from: Option<&str>| Sight {
        only: Some(Only {
            call_id: call_id.into(),
            local_tag: to.into(),
            remote_tag: from.map(str::to_owned),
        }),
        sessions: true,
        ..Sight::default()
    };
    let style = Style::default();
    assert_eq!(shown(&dialogs, style, &only("c2", "l2", Some("r2"))), "2=confirmed");
    assert_eq!(shown(&dialogs, style, &only("c2", "l2", None)), "2=confirmed");
    for nothing in [only("c2", "l2", Some("r1")), only("c2", "r2", None), only("c9", "l2", None)] {
        assert_eq!(shown(&dialogs, style, &nothing), "");
    }
    let (text, _) = written(&dialogs, style, &only("c2", "l2", None));
    assert!(text.contains("<session-description type=\"application/sdp\">v=0<"), "{text}");
    let blind = Sight { reveal: Reveal::State, ..only("c2", "l2", None) };
    assert_eq!(shown(&dialogs, style, &blind), "");
}

#[test]
fn a_duration_counts_while_the_document_stays_the_same() {
    let dialogs = compose(E::InUse, &["1 confirmed in"], None);
    let body = DialogInfo::encode_shown(&dialogs, "6001", Style::default(), &Sight::default());
    assert!(!String::from_utf8(body.shared_bytes().to_vec()).unwrap().contains("<duration>1"));
    for (now, seconds) in [(51_000, 0), (60_000, 9), (3_660_000, 3609), (1_000, 0)] {
        let values = HoleValues { now: UnixTime::from_millis(now), ..HoleValues::default() };
        let text = String::from_utf8(body.fill(&values)).unwrap();
        assert!(text.contains(&format!("<duration>{seconds}</duration>")), "{text}");
    }
}

#[test]
fn holding_and_ringing_show_as_the_settings_say() {
    let held = compose(E::Hold, &["1 confirmed in held"], None);
    for (hold_as_call, value) in [(false, "no"), (true, "yes")] {
        let style = Style { hold_as_call, ..Style::default() };
        let (text, _) = written(&held, style, &Sight::default());
        assert!(text.contains(&format!("pval=\"{value}\"")), "{text}");
        let blind = Sight { reveal: Reveal::State, ..Sight::default() };
        let (text, _) = written(&held, style, &blind);
        let target = format!("<target uri=\"sip:6001@x\"><param pname=\"+sip.rendering\" pval=\"{value}\"/>");
        assert!(text.contains(&target), "{text}");
    }
    let early = compose(E::Ringing, &["1 early in"], None);
    let (text, _) = written(&early, Style::default(), &Sight::default());
    assert!(!text.contains("rendering"), "{text}");
    let beside = compose(E::InUseRinging, &["1 early in", "2 confirmed in"], None);
    use NotifyRinging::{No, NotInUse, Yes};
    for (ringing, alone, with) in
        [(Yes, "early", "early"), (NotInUse, "early", "confirmed"), (No, "confirmed", "confirmed")]
    {
        let style = Style { ringing: Some(ringing), ..Style::default() };
        assert_eq!(shown(&early, style, &Sight::default()), format!("1={alone}"));
        assert_eq!(shown(&beside, style, &Sight::default()), format!("1={with} 2=confirmed"));
    }
}

/// linphone-desktop#1006: idle and unregistered look the same.
#[test]
fn complaint_28_who_is_not_there_may_be_told() {
    let style = Style { offline_presence: true, ..Style::default() };
    for (state, style, says) in
        [(E::Unavailable, Style::default(), false), (E::Unavailable, style, true), (E::Idle, style, false)]
    {
        let (text, info) = written(&compose(state, &[], None), style, &Sight::default());
        let closed = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:6001@x\"><tuple id=\"t6001\">\
                      <status><basic>closed</basic></status></tuple></presence>";
        assert_eq!(text.contains(closed), says, "{text}");
        assert_eq!(info.dialogs[0].state, DialogState::Terminated);
    }
}

#[test]
fn imitated_systems_have_one_dialog_and_the_oldest_caller() {
    let mut dialogs = compose(E::Ringing, &["1 early in", "2 early in"], None);
    let ringing = dialogs.oldest_ringing().unwrap();
    assert_eq!(ringing.dialog.id, "1");
    let remote = ringing.dialog.remote.identity.clone().unwrap();
    let local = ringing.dialog.local.identity.clone().unwrap();
    let caller = crate::composition::extension::Caller { remote, local, pickup: true };
    dialogs.lamp.caller = Some(caller);
    let chan_sip = Style { pickup: true, ..Style::of(Variant::ChanSip) };
    for (style, reveal, anonymous, caller, pickup) in [
        (chan_sip, Reveal::Party, false, "sip:1@x", true),
        (chan_sip, Reveal::Party, true, "sip:anonymous@anonymous.invalid", true),
        (chan_sip, Reveal::Own, true, "sip:1@x", true),
        (chan_sip, Reveal::State, false, "", false),
        (Style::of(Variant::ChanSip), Reveal::Party, false, "", false),
        (Style::of(Variant::Pjsip), Reveal::Party, false, "sip:1@x", false),
        (Style::of(Variant::Pjsip), Reveal::State, false, "", false),
    ] {
        dialogs.anonymous_caller = anonymous;
        let (text, info) = written(&dialogs, style, &Sight { reveal, ..Sight::default() });
        assert_eq!(info.dialogs.len(), 1);
        let dialog = &info.dialogs[0];
        let remote = dialog.remote.identity.as_ref().map_or("", |identity| &identity.uri);
        assert_eq!((dialog.id.as_str(), remote), ("6001", caller), "{text}");
        assert_eq!(text.contains("call-id=\"pickup-\""), pickup, "{text}");
    }
}

#[test]
fn keys_of_media_are_not_told() {
    let sdp = "v=0\r\nk=clear:x\r\nm=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n\
               a=key-mgmt:mikey x\r\na=sendrecv\r\n";
    assert_eq!(without_keys(sdp), "v=0\r\nm=audio 4000 RTP/SAVP 0\r\na=sendrecv\r\n");
}
