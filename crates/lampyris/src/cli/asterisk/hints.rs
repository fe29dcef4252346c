//! `core show hints` and `core show hint X`.

use super::Layout;
use super::field::{left, plural, right};
use lampyris_core::view;

/// All hints. `--layout 1.4` is Asterisk 1.4 to 11, `--layout 13` is 13 and later.
pub(crate) fn all(rows: &[view::Hint], layout: Layout) -> String {
    if rows.is_empty() {
        return "There are no registered dialplan hints\n".to_owned();
    }
    let mut out = "\n    -= Registered Asterisk Dial Plan Hints =-\n".to_owned();
    push_rows(&mut out, rows, layout);
    out.push_str("----------------\n");
    out.push_str(&format!("- {} hints registered\n", rows.len()));
    out
}

/// The hints whose extension starts with `asked`.
pub(crate) fn matching(rows: &[view::Hint], asked: &str, layout: Layout) -> String {
    let asked = crate::cli::text::line(asked);
    if rows.is_empty() {
        return format!("No hints matching extension {asked}\n");
    }
    let mut out = String::new();
    push_rows(&mut out, rows, layout);
    out.push_str(&format!("{} hint{} matching extension {asked}\n", rows.len(), plural(rows.len())));
    out
}

fn push_rows(out: &mut String, rows: &[view::Hint], layout: Layout) {
    for hint in rows {
        let row = match layout {
            Layout::V1_4 => format!(
                "   {}@{}: {}  State:{} Watchers {:2}\n",
                right(&hint.extension, 20),
                left(&hint.context, 20),
                left(&hint.devices, 20),
                left(&hint.state, 15),
                hint.watchers
            ),
            Layout::V13 => format!(
                "{}: {}  State:{} Presence:{} Watchers {:2}\n",
                left(&format!("{}@{}", hint.extension, hint.context), 30),
                left(&hint.devices, 60),
                left(&hint.state, 15),
                left(&hint.presence, 15),
                hint.watchers
            ),
        };
        out.push_str(&row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(extension: &str, context: &str, devices: &str, state: &str, watchers: usize) -> view::Hint {
        view::Hint {
            extension: extension.to_owned(),
            context: context.to_owned(),
            devices: devices.to_owned(),
            state: state.to_owned(),
            presence: "not_set".to_owned(),
            watchers,
        }
    }

    fn founding() -> view::Hint {
        hint("6001", "default", "SIP/Bob-mobile&SIP/Bob-desk", "Unavailable", 0)
    }

    #[test]
    fn layout_13_is_the_recorded_one_byte_for_byte() {
        let rows = [
            hint("m", "hints", "Custom:x&Custom:y", "InUse", 1),
            hint("p", "hints", "Custom:p,CustomPresence:p", "Idle", 5),
            hint("x", "hints", "Custom:x", "InUse", 6),
            hint("y", "hints", "Custom:y", "Idle", 2),
        ];
        let recorded = include_str!("../../../tests/fixtures/asterisk-cli/core_show_hints.txt");
        assert_eq!(all(&rows, Layout::V13), recorded);
    }

    #[test]
    fn layout_1_4_is_the_founding_scenarios() {
        let text = all(&[founding()], Layout::V1_4);
        assert_eq!(
            text,
            "\n    -= Registered Asterisk Dial Plan Hints =-\n   \
             \x20               6001@default             : SIP/Bob-mobile&SIP/B  State:Unavailable     Watchers  0\n\
             ----------------\n- 1 hints registered\n"
        );
        // The scenario is printed with its runs of spaces collapsed.
        let collapsed: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(collapsed[1], "-= Registered Asterisk Dial Plan Hints =-");
        assert_eq!(collapsed[2], "6001@default : SIP/Bob-mobile&SIP/B State:Unavailable Watchers 0");
    }

    #[test]
    fn long_values_are_cut_but_the_extension() {
        let row = hint(
            "012345678901234567890123",
            "a-context-longer-than-twenty",
            "Custom:x",
            "InUse&Ringing",
            100,
        );
        assert_eq!(
            matching(&[row], "0", Layout::V1_4),
            "   012345678901234567890123@a-context-longer-tha: Custom:x              State:InUse&Ringing   \
             Watchers 100\n1 hint matching extension 0\n"
        );
    }

    #[test]
    fn none_and_several() {
        assert_eq!(all(&[], Layout::V1_4), "There are no registered dialplan hints\n");
        assert_eq!(matching(&[], "7\u{1b}", Layout::V13), "No hints matching extension 7\n");
        assert!(
            matching(&[founding(), founding()], "6", Layout::V13)
                .ends_with("\n2 hints matching extension 6\n")
        );
    }
}
