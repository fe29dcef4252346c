//! The session descriptions of calls without media: one audio stream whose direction says who holds (RFC 3264 §8.4).

use lampyris_sip::Message;
use std::net::IpAddr;

/// The content type.
pub(super) const CONTENT_TYPE: &str = "application/sdp";

/// Our side of a session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    address: IpAddr,
    version: u32,
    /// We hold the call.
    pub(super) holding: bool,
}

impl Session {
    /// A session at this address.
    pub(super) const fn at(address: IpAddr) -> Self {
        Self { address, version: 0, holding: false }
    }

    /// An offer, to hold the call or to go on with it.
    pub(super) fn offer(&mut self, hold: bool) -> String {
        self.describe(if hold { "sendonly" } else { "sendrecv" })
    }

    /// The answer to the offer in a message; where there is none, an offer of our own (RFC 3264 §4).
    pub(super) fn answer(&mut self, message: &Message) -> String {
        let body = message.body();
        let offered = String::from_utf8_lossy(&body);
        let said = |direction: &str| offered.lines().any(|line| line.trim_end() == format!("a={direction}"));
        // RFC 3264 §6.1: the mirror of what was offered, less what we do not want while we hold.
        let direction = match (said("sendonly"), said("recvonly") || self.holding) {
            _ if said("inactive") => "inactive",
            (true, true) => "inactive",
            (true, false) => "recvonly",
            (false, true) => "sendonly",
            (false, false) => "sendrecv",
        };
        self.describe(direction)
    }

    /// Port 9 (discard): a stream that is on, to which nothing is sent.
    fn describe(&mut self, direction: &str) -> String {
        self.version += 1;
        let (address, version) = (self.address, self.version);
        let family = if address.is_ipv6() { "IP6" } else { "IP4" };
        format!(
            "v=0\r\no=- 1 {version} IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n\
             m=audio 9 RTP/AVP 0\r\na={direction}\r\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_mirrors_the_offer_and_keeps_our_hold() {
        for (offered, holding, answered) in [
            ("sendrecv", false, "sendrecv"),
            ("sendonly", false, "recvonly"),
            ("inactive", false, "inactive"),
            ("recvonly", false, "sendonly"),
            ("sendrecv", true, "sendonly"),
            ("sendonly", true, "inactive"),
        ] {
            let text = format!(
                "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
                 To: <sip:c@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\nm=audio 9 RTP/AVP 0\r\na={offered}\r\n"
            );
            let message = Message::parse(text.into()).unwrap();
            let mut session = Session { holding, ..Session::at([127, 0, 0, 1].into()) };
            assert!(
                session.answer(&message).contains(&format!("\r\na={answered}\r\n")),
                "{offered} {holding}"
            );
        }
    }
}
