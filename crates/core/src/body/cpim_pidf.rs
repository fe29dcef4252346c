//! `application/cpim-pidf+xml`: the name PIDF had before RFC 3863.
//!
//! In and out: as `pidf`. Under Asterisk's variants the document is the xpidf one, as Asterisk sends it; otherwise it is
//! RFC 3863's under the older name, for want of a published definition of its own.

use super::pidf::Pidf;
use super::presence_document::PresenceDocument;
use super::xpidf::Xpidf;
use super::{BodyError, EncodedBody, Style, Variant};
use crate::composition::extension::Presence;

/// The content type.
pub const CONTENT_TYPE: &str = "application/cpim-pidf+xml";

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct CpimPidf;

impl CpimPidf {
    /// The document for `presence` of the extension `extension`.
    pub fn encode(presence: &Presence, extension: &str, style: Style) -> EncodedBody {
        match style.variant {
            Variant::Rfc | Variant::FreeSwitch | Variant::Cisco => Pidf::encode(presence, extension, style),
            Variant::ChanSip | Variant::Pjsip => Xpidf::encode(presence, extension, style),
        }
    }

    /// Reads a publication of either kind.
    ///
    /// # Errors
    /// 400, as [`Pidf::decode`].
    pub fn decode(body: &[u8]) -> Result<PresenceDocument, BodyError> {
        // Why: only the XPIDF document has no namespace; what is neither is told what a PIDF document lacks.
        Xpidf::decode(body).or_else(|_| Pidf::decode(body))
    }
}
