//! Reading a filter set, and laying it over the one a subscription has (RFC 4661 §3, RFC 4660 §5.2).
//!
//! In: the body of a SUBSCRIBE, the URI it asks for, and the filters so far. Out: the filters from now on, or why they are
//! refused. Filters for other resources are left out: here is no list (RFC 4660 §5.2.1).

use super::content::{Selector, What};
use super::expression::{Bindings, Path, number};
use super::trigger::{Happening, Trigger};
use super::{Filter, FilterSet};
use crate::body::BodyError;
use crate::body::xml::{Document, Element};
use crate::limits;
use lampyris_sip::Uri;

/// The namespace of RFC 4661.
const NAMESPACE: &str = "urn:ietf:params:xml:ns:simple-filter";

impl FilterSet {
    /// The filters after a SUBSCRIBE with this body for `asked` in this package.
    ///
    /// # Errors
    /// 488 with the reason and the place.
    pub(crate) fn changed_by(&self, body: &[u8], asked: &str, package: &str) -> Result<Self, BodyError> {
        if body.len() > limits::FILTER_BYTES_MAX {
            return Err(BodyError::at(body, limits::FILTER_BYTES_MAX, "filter set too large"));
        }
        let document = Document::parse(body)?;
        let root = document.root();
        if !root.is(NAMESPACE, "filter-set") {
            return Err(document.error(root, "not a filter set"));
        }
        if root.attr("package").is_some_and(|of| !of.trim().eq_ignore_ascii_case(package)) {
            return Err(document.error(root, "filter set of another package"));
        }
        let bindings: Vec<_> = root
            .child(NAMESPACE, "ns-bindings")
            .into_iter()
            .flat_map(|bindings| bindings.children())
            .filter(|binding| binding.is(NAMESPACE, "ns-binding"))
            .filter_map(|binding| Some((binding.attr("prefix")?, binding.attr("urn")?)))
            .collect();
        let mut reader = Reader { document: &document, bindings: &bindings, expressions: 0 };
        let mut set = self.clone();
        let mut ids: Vec<&str> = Vec::new();
        let elements = || root.children().filter(|child| child.is(NAMESPACE, "filter"));
        if elements().next().is_none() {
            return Err(document.error(root, "filter set without a filter"));
        }
        for element in elements() {
            let id = element.attr("id").ok_or_else(|| document.error(element, "filter without id"))?;
            if ids.contains(&id) {
                return Err(document.error(element, "two filters of one id"));
            }
            ids.push(id);
            reader.filter(element, id, asked, &mut set)?;
        }
        if set.filters.len() > limits::FILTERS_MAX {
            return Err(document.error(root, "too many filters"));
        }
        // RFC 4660 §5.2: one filter for one resource or domain.
        for of_domain in [false, true] {
            if set.filters.iter().filter(|filter| filter.of_domain == of_domain).count() > 1 {
                return Err(document.error(root, "two filters for one resource"));
            }
        }
        Ok(set)
    }
}

struct Reader<'d> {
    document: &'d Document<'d>,
    bindings: &'d Bindings<'d>,
    expressions: usize,
}

impl<'d> Reader<'d> {
    fn filter(
        &mut self,
        element: Element<'d>,
        id: &str,
        asked: &str,
        set: &mut FilterSet,
    ) -> Result<(), BodyError> {
        let known = set.filters.iter().position(|filter| filter.id == id);
        if self.flag(element, "remove", false)? {
            set.filters.retain(|filter| filter.id != id);
            return Ok(());
        }
        let enabled = self.flag(element, "enabled", true)?;
        let (what, triggers) = self.contents(element)?;
        let of_domain = match (element.attr("uri"), element.attr("domain")) {
            (Some(_), Some(_)) => return Err(self.document.error(element, "filter with uri and domain")),
            (Some(uri), None) if !is_same(uri, asked) => return Ok(()),
            (None, Some(domain)) if !is_in(asked, domain) => return Ok(()),
            (_, domain) => domain.is_some(),
        };
        // RFC 4660 §5.4: an empty one counts as none, but it is there.
        let is_content = |child: &Element<'_>| child.is(NAMESPACE, "what") || child.is(NAMESPACE, "trigger");
        let says_something = element.children().any(|child| is_content(&child));
        match known.and_then(|at| set.filters.get_mut(at)) {
            // RFC 4661 §3.4: switched on or off, its contents may be left out.
            Some(known) if !says_something => known.enabled = enabled,
            Some(known) => *known = Filter { id: id.to_owned(), enabled, of_domain, what, triggers },
            None if !says_something && enabled => {
                return Err(self.document.error(element, "filter with neither what nor trigger"));
            }
            None => set.filters.push(Filter { id: id.to_owned(), enabled, of_domain, what, triggers }),
        }
        Ok(())
    }

    fn flag(&self, element: Element<'d>, name: &str, default: bool) -> Result<bool, BodyError> {
        match element.attr(name).map(str::trim) {
            None => Ok(default),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(self.document.error(element, "neither true nor false")),
        }
    }

    /// An element that is empty says nothing (RFC 4660 §5.4).
    fn contents(&mut self, filter: Element<'d>) -> Result<(Option<What>, Vec<Trigger>), BodyError> {
        let mut what = What::default();
        let mut triggers = Vec::new();
        for child in filter.children().filter(|child| child.namespace() == NAMESPACE) {
            match child.name() {
                "what" => self.what(child, &mut what)?,
                "trigger" => {
                    let all = self.trigger(child)?;
                    if !all.is_empty() {
                        triggers.push(Trigger { all });
                    }
                }
                _ => return Err(self.document.error(child, "unknown element in a filter")),
            }
        }
        let is_empty = what.include.is_empty() && what.exclude.is_empty();
        Ok(((!is_empty).then_some(what), triggers))
    }

    fn what(&mut self, element: Element<'d>, what: &mut What) -> Result<(), BodyError> {
        for child in element.children().filter(|child| child.namespace() == NAMESPACE) {
            let list = match child.name() {
                "include" => &mut what.include,
                "exclude" => &mut what.exclude,
                _ => return Err(self.document.error(child, "neither include nor exclude")),
            };
            let selector = match child.attr("type").map_or("xpath", str::trim) {
                "xpath" => Selector::Path(self.path(child)?),
                "namespace" => {
                    self.count(child)?;
                    Selector::Namespace(child.trimmed().into_owned())
                }
                _ => return Err(self.document.error(child, "neither of type xpath nor namespace")),
            };
            list.push(selector);
        }
        Ok(())
    }

    fn trigger(&mut self, element: Element<'d>) -> Result<Vec<Happening>, BodyError> {
        let mut all = Vec::new();
        for child in element.children().filter(|child| child.namespace() == NAMESPACE) {
            let path = self.path(child)?;
            let given = |name| child.attr(name).map(str::to_owned);
            all.push(match child.name() {
                "changed" => {
                    if child.attr("by").is_some_and(|by| number(by).is_none()) {
                        return Err(self.document.error(child, "by is no number"));
                    }
                    Happening::Changed { path, from: given("from"), to: given("to"), by: given("by") }
                }
                "added" => Happening::Added(path),
                "removed" => Happening::Removed(path),
                _ => return Err(self.document.error(child, "neither changed, added nor removed")),
            });
        }
        Ok(all)
    }

    fn path(&mut self, element: Element<'d>) -> Result<Path, BodyError> {
        self.count(element)?;
        Path::parse(&element.text(), self.bindings).map_err(|why| self.document.error(element, why))
    }

    fn count(&mut self, element: Element<'d>) -> Result<(), BodyError> {
        self.expressions += 1;
        if self.expressions > limits::FILTER_EXPRESSIONS_MAX {
            return Err(self.document.error(element, "too many expressions in a filter set"));
        }
        Ok(())
    }
}

/// Whether a filter's URI is what was asked for: user, case-sensitively, and host (RFC 3261 §19.1.4).
fn is_same(uri: &str, asked: &str) -> bool {
    let (Ok(uri), Ok(asked)) = (Uri::parse(uri.trim()), Uri::parse(asked)) else { return false };
    uri.user() == asked.user() && uri.host_str().eq_ignore_ascii_case(asked.host_str())
}

fn is_in(asked: &str, domain: &str) -> bool {
    Uri::parse(asked).is_ok_and(|asked| asked.host_str().eq_ignore_ascii_case(domain.trim()))
}
