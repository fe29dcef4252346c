//! The framing in which Asterisk prints SIP messages after `sip set debug on`.

use crate::admin::protocol::{Direction, SipMessage};
use crate::cli::text;

/// One message, received or sent.
pub(crate) fn frame(message: &SipMessage) -> String {
    let remote = message.remote;
    let body = text::lines(&message.text);
    if message.direction == Direction::Received {
        // Why: chan_sip drops the last line feed of what it received, and none of what it sends.
        let shown = body.strip_suffix('\n').unwrap_or(&body);
        let (headers, lines) = count(&body);
        return format!(
            "\n<--- SIP read from {}:{remote} --->\n{shown}\n<------------->\n--- ({headers} headers {lines} lines) ---\n",
            message.transport.via()
        );
    }
    if body.starts_with("SIP/2.0") {
        format!("\n<--- Transmitting (no NAT) to {remote} --->\n{body}\n<------------>\n")
    } else {
        format!("Reliably Transmitting (no NAT) to {remote}:\n{body}\n---\n")
    }
}

/// Headers (the first line counts as one) and lines of body.
fn count(text: &str) -> (usize, usize) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let headers = head.lines().filter(|line| !line.is_empty() && !line.starts_with([' ', '\t'])).count();
    (headers, body.lines().count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lampyris_core::flow::Transport;

    fn message(direction: Direction, text: &str) -> SipMessage {
        SipMessage {
            direction,
            transport: Transport::Udp,
            remote: "10.24.17.254:37509".parse().expect("an address"),
            at_ms: 0,
            text: text.replace('\n', "\r\n"),
            dropped: 0,
        }
    }

    #[test]
    fn a_request_read() {
        let subscribe = "SUBSCRIBE sip:6001@10.24.18.124;transport=UDP SIP/2.0\n\
            Via: SIP/2.0/UDP 10.24.17.254:37509;branch=z9hG4bK-d8754z-e5ecfde1f337b690-1---d8754z-\n\
            Max-Forwards: 70\n\
            Contact: <sip:Alice@10.24.17.254:37509;transport=UDP>\n\
            To: <sip:6001@10.24.18.124;transport=UDP>\n\
            From: <sip:Alice@10.24.18.124;transport=UDP>;tag=f51e9632\n\
            Call-ID: ZjE2ZDAwYThiOTA2MzYxOWEwNTEwMjc1ZGIxNTk3NDU.\n\
            CSeq: 1 SUBSCRIBE\n\
            Expires: 1800\n\
            Accept: application/pidf+xml\n\
            Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE\n\
            Supported: replaces, norefersub, extended-refer, timer, X-cisco-serviceuri\n\
            User-Agent: Z 3.2.21357 r21103\n\
            Event: presence\n\
            Allow-Events: presence, kpml\n\
            Content-Length: 0\n\n";
        let printed = frame(&message(Direction::Received, subscribe));
        assert!(printed.starts_with(
            "\n<--- SIP read from UDP:10.24.17.254:37509 --->\nSUBSCRIBE sip:6001@10.24.18.124;transport=UDP SIP/2.0\nVia"
        ));
        assert!(
            printed.ends_with("Content-Length: 0\n\n<------------->\n--- (16 headers 0 lines) ---\n"),
            "{printed}"
        );
    }

    #[test]
    fn a_response_sent() {
        assert_eq!(
            frame(&message(Direction::Sent, "SIP/2.0 200 OK\nExpires: 1800\nContent-Length: 0\n\n")),
            "\n<--- Transmitting (no NAT) to 10.24.17.254:37509 --->\n\
             SIP/2.0 200 OK\nExpires: 1800\nContent-Length: 0\n\n\n<------------>\n"
        );
    }

    #[test]
    fn a_request_sent() {
        assert_eq!(
            frame(&message(
                Direction::Sent,
                "NOTIFY sip:Alice@10.24.17.254:37509 SIP/2.0\nContent-Length: 12\n\n</presence>\n"
            )),
            "Reliably Transmitting (no NAT) to 10.24.17.254:37509:\n\
             NOTIFY sip:Alice@10.24.17.254:37509 SIP/2.0\nContent-Length: 12\n\n</presence>\n\n---\n"
        );
    }

    #[test]
    fn a_message_cannot_leave_its_frame() {
        let printed = frame(&message(
            Direction::Received,
            "OPTIONS sip:x SIP/2.0\nSubject: \u{1b}[2J\u{9b}H\n folded\n\na\nb",
        ));
        assert!(printed.contains("Subject: \\u{1b}[2J\\u{9b}H\n"), "{printed}");
        assert!(printed.ends_with("\na\nb\n<------------->\n--- (2 headers 2 lines) ---\n"), "{printed}");
    }
}
