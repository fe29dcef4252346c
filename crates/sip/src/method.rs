//! Request methods (RFC 3261 §7.1): an open set, compared case-sensitively.

use std::fmt;

macro_rules! methods {
    ($($variant:ident $text:literal $rfc:literal,)*) => {
        /// A request method; unknown ones keep their text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Method<'a> {
            $(#[doc = concat!("`", $text, "`, ", $rfc, ".")] $variant,)*
            /// Any other token.
            Other(&'a str),
        }

        impl<'a> Method<'a> {
            /// The method of this token.
            pub fn parse(text: &'a str) -> Self {
                match text {
                    $($text => Method::$variant,)*
                    other => Method::Other(other),
                }
            }

            /// The token as it stands on the wire.
            pub fn as_str(&self) -> &'a str {
                match self {
                    $(Method::$variant => $text,)*
                    Method::Other(text) => text,
                }
            }
        }
    };
}

methods! {
    Invite "INVITE" "RFC 3261",
    Ack "ACK" "RFC 3261",
    Bye "BYE" "RFC 3261",
    Cancel "CANCEL" "RFC 3261",
    Register "REGISTER" "RFC 3261",
    Options "OPTIONS" "RFC 3261",
    Subscribe "SUBSCRIBE" "RFC 6665",
    Notify "NOTIFY" "RFC 6665",
    Publish "PUBLISH" "RFC 3903",
    Message "MESSAGE" "RFC 3428",
    Refer "REFER" "RFC 3515",
    Info "INFO" "RFC 6086",
    Update "UPDATE" "RFC 3311",
    Prack "PRACK" "RFC 3262",
}

impl Method<'_> {
    /// True unless this is [`Method::Other`].
    pub fn is_known(&self) -> bool {
        !matches!(self, Method::Other(_))
    }
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_case_sensitive_and_open() {
        assert_eq!(Method::parse("PUBLISH"), Method::Publish);
        assert_eq!(Method::parse("publish"), Method::Other("publish"));
        assert_eq!(Method::parse("RE%47IST%45R").as_str(), "RE%47IST%45R");
    }
}
