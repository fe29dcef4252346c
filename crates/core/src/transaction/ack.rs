//! The ACK to a 3xx-6xx, which belongs to the INVITE's own transaction (RFC 3261 §17.1.1.3).
//!
//! In go the INVITE's bytes and the response; out comes the ACK: URI, Call-ID, From, CSeq number, topmost Via and Route
//! are the INVITE's, To is the response's. The ACK to a 2xx is the dialog's and is made elsewhere.

use bytes::Bytes;
use lampyris_sip::{Message, Name, RequestWriter};

/// The ACK; `None` if `invite` is no request.
pub(crate) fn ack(invite: &Bytes, response: &Message) -> Option<Bytes> {
    let invite = Message::parse(invite.clone()).ok()?;
    let mut writer = RequestWriter::new("ACK", invite.request_uri()?);
    writer.header(Name::Via, invite.values(Name::Via).next()?);
    for route in invite.headers(Name::Route) {
        writer.header(Name::Route, route);
    }
    writer.header(Name::MaxForwards, "70");
    writer.header(Name::From, invite.header(Name::From)?);
    writer.header(Name::To, response.header(Name::To)?);
    writer.header(Name::CallId, invite.call_id());
    writer.header_fmt(Name::CSeq, format_args!("{} ACK", invite.cseq().seq));
    Some(writer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_17_1_1_3_the_example() {
        let invite = Bytes::from_static(
            b"INVITE sip:bob@biloxi.com SIP/2.0\r\n\
              Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff, SIP/2.0/UDP second.example\r\n\
              Route: <sip:p1.example;lr>\r\n\
              Route: <sip:p2.example;lr>\r\n\
              To: Bob <sip:bob@biloxi.com>\r\n\
              From: Alice <sip:alice@atlanta.com>;tag=88sja8x\r\n\
              Max-Forwards: 66\r\n\
              Call-ID: 987asjd97y7atg\r\n\
              CSeq: 986759 INVITE\r\n\
              Content-Length: 0\r\n\r\n",
        );
        let response = Message::parse(Bytes::from_static(
            b"SIP/2.0 486 Busy Here\r\n\
              Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff\r\n\
              To: Bob <sip:bob@biloxi.com>;tag=99sa0xk\r\n\
              From: Alice <sip:alice@atlanta.com>;tag=88sja8x\r\n\
              Call-ID: 987asjd97y7atg\r\n\
              CSeq: 986759 INVITE\r\n\
              Content-Length: 0\r\n\r\n",
        ))
        .unwrap();
        let ack = Message::parse(ack(&invite, &response).unwrap()).unwrap();
        assert_eq!(ack.method().map(|m| m.as_str()), Some("ACK"));
        assert_eq!(ack.request_uri(), Some("sip:bob@biloxi.com"));
        let lines = [
            (Name::Via, "SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff"),
            (Name::Route, "<sip:p1.example;lr>"),
            (Name::Route, "<sip:p2.example;lr>"),
            (Name::From, "Alice <sip:alice@atlanta.com>;tag=88sja8x"),
            (Name::To, "Bob <sip:bob@biloxi.com>;tag=99sa0xk"),
            (Name::CallId, "987asjd97y7atg"),
            (Name::CSeq, "986759 ACK"),
        ];
        for (name, value) in lines {
            assert!(ack.headers(name).any(|v| v == value), "{name}: {value}");
        }
        assert_eq!(ack.values(Name::Via).count(), 1);
        assert!(super::ack(&Bytes::from_static(b"nothing"), &response).is_none());
    }
}
