//! `application/pidf-diff+xml`: partial presence (RFC 5262), notified (RFC 5263) and published (RFC 5264).
//!
//! In: a composed [`Presence`] and the one its reader has; or a publisher's bytes and what it published before. Out: a
//! `pidf-full` or, where that is shorter, a `pidf-diff`; or the whole document that stands from now on. Who has read what is
//! the notifier's to know.

use super::patch::{apply, diff};
use super::pidf::{self, Pidf, write_composed};
use super::presence_document::PresenceDocument;
use super::xml::Document;
use super::xml::tree::Tree;
use super::xml_writer::XmlWriter;
use super::{BodyError, EncodedBody, Hole, HoleValues, Style};
use crate::composition::extension::Presence;

/// The content type.
pub const CONTENT_TYPE: &str = "application/pidf-diff+xml";
/// The namespace of RFC 5262.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf-diff";

/// Stand for the holes while two documents are compared; no text means these characters.
const ENTITY_MARK: char = '\u{fdd0}';
const VERSION_MARK: char = '\u{fdd1}';

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct PidfDiff;

impl PidfDiff {
    /// The document for `presence` of the extension (or user part) `extension`, for those who have `told`.
    pub fn encode(presence: &Presence, told: Option<&Presence>, extension: &str) -> EncodedBody {
        let mut w = XmlWriter::new();
        w.open("p:pidf-full").attr("xmlns:p", NAMESPACE).attr("version", Hole::VersionFromOne);
        write_composed(&mut w, presence, extension, Style::default());
        let full = w.finish();
        let changes = told.and_then(|told| changed(told, presence, extension));
        changes.filter(|changes| changes.bytes.len() < full.bytes.len()).unwrap_or(full)
    }

    /// Reads a publication of full state.
    ///
    /// # Errors
    /// 400, as [`Pidf::decode`]; and for changes, which mean nothing alone (RFC 5264 §4.3.2).
    pub fn decode(body: &[u8]) -> Result<PresenceDocument, BodyError> {
        let document = Document::parse(body)?;
        if is_diff(&document) {
            return Err(document.error(document.root(), "partial publication of nothing"));
        }
        Pidf::decode(body)
    }

    /// The whole document that the changes in `body` make of `old`; `None` where `body` is whole itself.
    ///
    /// # Errors
    /// 400 with the place in `body`: not XML, or an operation that cannot be done on `old`.
    pub fn patched(old: &[u8], body: &[u8]) -> Result<Option<Vec<u8>>, BodyError> {
        let patch = Document::parse(body)?;
        if !is_diff(&patch) {
            return Ok(None);
        }
        let document = Document::parse(old)?;
        let mut tree = Tree::of(document.root());
        apply(&mut tree, &patch, NAMESPACE)?;
        Ok(Some(tree.to_xml().into_bytes()))
    }
}

fn is_diff(document: &Document<'_>) -> bool {
    document.root().is(NAMESPACE, "pidf-diff")
}

/// The document as a tree, with marks where watchers differ.
fn tree(presence: &Presence, extension: &str) -> Option<Tree> {
    let body = Pidf::encode(presence, extension, Style::default());
    let bytes =
        body.fill(&HoleValues { entity: ENTITY_MARK.encode_utf8(&mut [0; 4]), ..HoleValues::default() });
    // Why: what many published together may be more than we read of one; then there are no changes to tell, but all.
    Document::parse(&bytes).ok().map(|document| Tree::of(document.root()))
}

/// What changed from `old` to `new`, where that can be said.
fn changed(old: &Presence, new: &Presence, extension: &str) -> Option<EncodedBody> {
    let changes = diff::between(&tree(old, extension)?, &tree(new, extension)?, pidf::NAMESPACE)?;
    let diff::Changes { declarations, xml } = changes;
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<p:pidf-diff{declarations} xmlns:p=\"{NAMESPACE}\" \
         version=\"{VERSION_MARK}\" entity=\"{ENTITY_MARK}\">{xml}</p:pidf-diff>\n"
    );
    let mut body = EncodedBody::default();
    for piece in xml.split_inclusive([ENTITY_MARK, VERSION_MARK]) {
        let text = piece.trim_end_matches([ENTITY_MARK, VERSION_MARK]);
        body.bytes.extend_from_slice(text.as_bytes());
        let hole = match piece.chars().next_back() {
            Some(ENTITY_MARK) => Hole::Entity,
            Some(VERSION_MARK) => Hole::VersionFromOne,
            _ => continue,
        };
        body.holes.push((u32::try_from(body.bytes.len()).ok()?, hole));
    }
    Some(body)
}
