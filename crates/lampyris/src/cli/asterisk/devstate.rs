//! `devstate list` and `devstate change`, where `-rx` asks for Asterisk's own wording.

use crate::cli::text;
use lampyris_core::view;

/// The custom device states, one line each.
pub(crate) fn list(rows: &[view::Device]) -> String {
    let rule = "-".repeat(69);
    let mut out = format!("\n{rule}\n--- Custom Device States {}\n{rule}\n---\n", "-".repeat(44));
    for device in rows.iter().filter(|device| is_custom(device)) {
        out.push_str(&format!(
            "--- Name: '{}'  State: '{}'\n---\n",
            text::line(&device.device),
            text::line(&device.state)
        ));
    }
    out.push_str(&format!("{rule}\n{rule}\n\n"));
    out
}

/// What `devstate change` answers.
pub(crate) fn change(device: &str, state: &str) -> String {
    format!("Changing {} to {}\n", text::line(device), text::line(state))
}

fn is_custom(device: &view::Device) -> bool {
    device.device.get(..7).is_some_and(|prefix| prefix.eq_ignore_ascii_case("custom:"))
        && device.source == "command"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_custom_states_that_were_set() {
        let device = |name: &str, source: &str| view::Device {
            device: name.to_owned(),
            state: "INUSE".to_owned(),
            source: source.to_owned(),
            for_s: None,
            hints: Vec::new(),
        };
        let rows = [
            device("Custom:night", "command"),
            device("Custom:day", "none"),
            device("SIP/Bob-desk", "command"),
        ];
        assert_eq!(
            list(&rows),
            "\n---------------------------------------------------------------------\n\
             --- Custom Device States --------------------------------------------\n\
             ---------------------------------------------------------------------\n\
             ---\n\
             --- Name: 'Custom:night'  State: 'INUSE'\n---\n\
             ---------------------------------------------------------------------\n\
             ---------------------------------------------------------------------\n\n"
        );
        assert_eq!(change("Custom:night", "INUSE"), "Changing Custom:night to INUSE\n");
    }
}
