//! `application/simple-message-summary` (RFC 3842): how many messages wait.
//!
//! In: counts per kind of message, or a publisher's bytes. Out: lines of text, or a [`MessageSummary`]. The optional
//! message headers after the summary are read over and never written.

use super::encoded::Syntax;
use super::{BodyError, EncodedBody, Hole};
use crate::limits;

/// The content type.
pub const CONTENT_TYPE: &str = "application/simple-message-summary";

/// How many messages of one kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailboxCounts {
    /// New ones, urgent ones included.
    pub new: u32,
    /// Old ones, urgent ones included.
    pub old: u32,
    /// New and urgent.
    pub urgent_new: u32,
    /// Old and urgent.
    pub urgent_old: u32,
}

/// A kind of message (RFC 3458).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageClass {
    /// Voice mail.
    Voice,
    /// Fax.
    Fax,
    /// Pages.
    Pager,
    /// Several media in one.
    Multimedia,
    /// Text.
    Text,
    /// None of the others.
    None,
}

impl MessageClass {
    const ALL: [Self; 6] = [Self::Voice, Self::Fax, Self::Pager, Self::Multimedia, Self::Text, Self::None];

    const fn name(self) -> &'static str {
        match self {
            Self::Voice => "Voice-Message",
            Self::Fax => "Fax-Message",
            Self::Pager => "Pager-Message",
            Self::Multimedia => "Multimedia-Message",
            Self::Text => "Text-Message",
            Self::None => "None",
        }
    }
}

/// What waits for one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageSummary {
    /// Whether anything new waits.
    pub waiting: bool,
    /// The account's URI, where one was named.
    pub account: Option<String>,
    /// The counts, per kind.
    pub counts: Vec<(MessageClass, MailboxCounts)>,
}

/// How a summary is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SummaryStyle {
    /// Name the account by the URI the watcher asked for, where the summary names none.
    pub account: bool,
    /// Leave out the urgent counts, for Cisco phones that stumble over them (`buggymwi`).
    pub without_urgent: bool,
}

impl MessageSummary {
    /// The summary of a voice mailbox.
    pub fn of_voice(counts: MailboxCounts) -> Self {
        Self { waiting: counts.new > 0, account: None, counts: vec![(MessageClass::Voice, counts)] }
    }

    /// The body.
    pub fn encode(&self, style: SummaryStyle) -> EncodedBody {
        let mut body = EncodedBody { syntax: Syntax::Lines, ..EncodedBody::default() };
        let mut write = |text: &str| body.bytes.extend_from_slice(text.as_bytes());
        write(if self.waiting { "Messages-Waiting: yes\r\n" } else { "Messages-Waiting: no\r\n" });
        if let Some(account) = &self.account {
            write("Message-Account: ");
            account.split(char::is_control).for_each(&mut write);
            write("\r\n");
        } else if style.account {
            body.bytes.extend_from_slice(b"Message-Account: ");
            let offset = u32::try_from(body.bytes.len()).unwrap_or(u32::MAX);
            body.holes.push((offset, Hole::Entity));
            body.bytes.extend_from_slice(b"\r\n");
        }
        for (class, counts) in &self.counts {
            let MailboxCounts { new, old, urgent_new, urgent_old } = counts;
            let mut line = format!("{}: {new}/{old}", class.name());
            if !style.without_urgent {
                line.push_str(&format!(" ({urgent_new}/{urgent_old})"));
            }
            body.bytes.extend_from_slice(line.as_bytes());
            body.bytes.extend_from_slice(b"\r\n");
        }
        body
    }

    /// Reads a summary.
    ///
    /// # Errors
    /// 400: too long, not text, without `Messages-Waiting`, or with counts that are no numbers.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        if body.len() > limits::MESSAGE_SUMMARY_BYTES_MAX {
            return Err(BodyError::at(body, limits::MESSAGE_SUMMARY_BYTES_MAX, "message summary too long"));
        }
        let text = std::str::from_utf8(body)
            .map_err(|error| BodyError::at(body, error.valid_up_to(), "message summary not text"))?;
        let mut summary = Self::default();
        let mut status = None;
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            let start = offset;
            offset += line.len();
            let line = line.trim_end_matches(['\r', '\n']);
            // Why: an empty line ends the summary; message headers may follow it (RFC 3842 §3.5).
            if line.is_empty() && status.is_some() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("Messages-Waiting") {
                status = match value {
                    yes if yes.eq_ignore_ascii_case("yes") => Some(true),
                    no if no.eq_ignore_ascii_case("no") => Some(false),
                    _ => return Err(BodyError::at(body, start, "Messages-Waiting is neither yes nor no")),
                };
            } else if name.eq_ignore_ascii_case("Message-Account") {
                summary.account = Some(value.to_owned()).filter(|account| !account.is_empty());
            } else if let Some(class) =
                MessageClass::ALL.into_iter().find(|c| c.name().eq_ignore_ascii_case(name))
            {
                let counts =
                    counts(value).ok_or_else(|| BodyError::at(body, start, "message counts not readable"))?;
                summary.counts.push((class, counts));
            }
        }
        match status {
            Some(waiting) => Ok(Self { waiting, ..summary }),
            None => Err(BodyError::at(body, body.len(), "Messages-Waiting is missing")),
        }
    }
}

/// `new/old` or `new/old (urgent new/urgent old)`.
fn counts(value: &str) -> Option<MailboxCounts> {
    let pair = |text: &str| {
        let (new, old) = text.split_once('/')?;
        let number = |text: &str| {
            let digits = text.trim();
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u32>().ok()).flatten()
        };
        Some((number(new)?, number(old)?))
    };
    let (plain, urgent) = match value.split_once('(') {
        Some((plain, urgent)) => (plain, pair(urgent.trim().strip_suffix(')')?)?),
        None => (value, (0, 0)),
    };
    let (new, old) = pair(plain)?;
    Some(MailboxCounts { new, old, urgent_new: urgent.0, urgent_old: urgent.1 })
}

#[cfg(test)]
mod tests {
    use super::super::HoleValues;
    use super::*;

    #[test]
    fn a_summary_is_written_and_read_back() {
        let counts = MailboxCounts { new: 2, old: 8, urgent_new: 1, urgent_old: 0 };
        let plain = MessageSummary::of_voice(counts);
        let named = MessageSummary { account: Some("sip:a@b\r\nX: y".into()), ..plain.clone() };
        let (usual, account) =
            (SummaryStyle::default(), SummaryStyle { account: true, without_urgent: false });
        let buggy = SummaryStyle { account: false, without_urgent: true };
        let values = HoleValues { entity: "sip:bob@example.com\r\n", ..HoleValues::default() };
        let rows = [
            (&plain, usual, "Messages-Waiting: yes\r\nVoice-Message: 2/8 (1/0)\r\n"),
            (&plain, buggy, "Messages-Waiting: yes\r\nVoice-Message: 2/8\r\n"),
            (
                &plain,
                account,
                "Messages-Waiting: yes\r\nMessage-Account: sip:bob@example.com\r\nVoice-Message: 2/8 (1/0)\r\n",
            ),
            (
                &named,
                account,
                "Messages-Waiting: yes\r\nMessage-Account: sip:a@bX: y\r\nVoice-Message: 2/8 (1/0)\r\n",
            ),
            (&MessageSummary::default(), usual, "Messages-Waiting: no\r\n"),
        ];
        for (summary, style, text) in rows {
            let body = summary.encode(style).fill(&values);
            assert_eq!(String::from_utf8(body.clone()).unwrap(), text);
            let read = MessageSummary::decode(&body).unwrap();
            assert_eq!(read.waiting, summary.waiting);
            assert_eq!(read.counts.len(), summary.counts.len());
        }
    }

    #[test]
    fn what_others_send_is_read() {
        // The example of RFC 3842 §5.2, shortened.
        let rfc = "Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\n\
                   Voice-Message: 4/8 (1/2)\r\nFax-Message: 0/1\r\n\r\nTo: <alice@atlanta.example.com>\r\n\
                   Voice-Message: 9/9\r\n";
        let read = MessageSummary::decode(rfc.as_bytes()).unwrap();
        assert_eq!((read.waiting, read.account.as_deref()), (true, Some("sip:alice@vmail.example.com")));
        let voice = MailboxCounts { new: 4, old: 8, urgent_new: 1, urgent_old: 2 };
        let fax = MailboxCounts { new: 0, old: 1, ..MailboxCounts::default() };
        assert_eq!(read.counts, [(MessageClass::Voice, voice), (MessageClass::Fax, fax)]);
        let loose = MessageSummary::decode(b"messages-waiting : NO\nvoice-message:0/0( 0 / 0 )").unwrap();
        assert_eq!((loose.waiting, loose.counts.len()), (false, 1));
    }

    #[test]
    fn what_is_no_summary_is_refused_with_its_place() {
        let long = vec![b'x'; limits::MESSAGE_SUMMARY_BYTES_MAX + 1];
        let rows: [(&[u8], &str, usize); 7] = [
            (b"", "Messages-Waiting is missing", 1),
            (b"Voice-Message: 1/1\r\n", "Messages-Waiting is missing", 2),
            (b"Messages-Waiting: maybe\r\n", "Messages-Waiting is neither yes nor no", 1),
            (b"Messages-Waiting: yes\r\nVoice-Message: 1\r\n", "message counts not readable", 2),
            (b"Messages-Waiting: yes\r\nVoice-Message: 99999999999/0\r\n", "message counts not readable", 2),
            (b"Messages-Waiting: \xff", "message summary not text", 1),
            (&long, "message summary too long", 1),
        ];
        for (body, reason, line) in rows {
            let error = MessageSummary::decode(body).unwrap_err();
            assert_eq!((error.reason, error.line), (reason, line));
        }
    }
}
