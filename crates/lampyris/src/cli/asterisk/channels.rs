//! `core show channels`.

use super::field::{left, plural};
use lampyris_core::view;
use std::collections::BTreeSet;

/// A channel for the caller, and one for each callee that is in it.
pub(crate) fn all(rows: &[view::Call]) -> String {
    let mut out = row(["Channel", "Location", "State", "Application(Data)"]);
    let mut seen = BTreeSet::new();
    for call in rows {
        let callee = format!("SIP/{}-{}", call.callee, call.id);
        if seen.insert(serial(call)) {
            let caller = format!("SIP/{}-{}", call.caller, serial(call));
            let is_up = rows.iter().any(|other| serial(other) == serial(call) && other.state == "confirmed");
            let state = if is_up { "Up" } else { "Ring" };
            out.push_str(&row([&caller, &call.asked, state, &format!("Dial({callee})")]));
        }
        let state = match call.state.as_str() {
            "confirmed" => "Up",
            "early" => "Ringing",
            _ => "Down",
        };
        out.push_str(&row([&callee, "(None)", state, "AppDial((Outgoing Line))"]));
    }
    let (channels, calls) = (rows.len() + seen.len(), seen.len());
    let (s, t) = (plural(channels), plural(calls));
    out.push_str(&format!("{channels} active channel{s}\n{calls} active call{t}\n"));
    out
}

/// What all dialogs of a call share.
fn serial(call: &view::Call) -> &str {
    call.id.split('-').next().unwrap_or(&call.id)
}

fn row([channel, location, state, application]: [&str; 4]) -> String {
    let line =
        format!("{} {} {} {}", left(channel, 20), left(location, 20), left(state, 7), left(application, 30));
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_has_one_channel_and_each_callee_another() {
        let call = view::Call {
            id: "5f3a-0".into(),
            caller: "alice".into(),
            callee: "bob".into(),
            asked: "6001@default".into(),
            state: "confirmed".into(),
            hold: String::new(),
            since_s: 61,
            call_id: "abc".into(),
        };
        let ringing = view::Call { id: "5f3a-1".into(), state: "early".into(), ..call.clone() };
        let text = all(&[ringing, call]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "Channel              Location             State   Application(Data)",
                "SIP/alice-5f3a       6001@default         Up      Dial(SIP/bob-5f3a-1)",
                "SIP/bob-5f3a-1       (None)               Ringing AppDial((Outgoing Line))",
                "SIP/bob-5f3a-0       (None)               Up      AppDial((Outgoing Line))",
                "3 active channels",
                "1 active call",
            ]
        );
        assert!(all(&[]).ends_with("Application(Data)\n0 active channels\n0 active calls\n"));
    }
}
