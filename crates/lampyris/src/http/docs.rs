//! `/docs`: the documentation in the binary as pages for a browser, with nothing from elsewhere and no script.
//!
//! In: the Markdown of `documents`. Out: HTML, made once per page. Headings have the anchors that they have on GitHub, so that
//! a link is good in both places; HTML within Markdown is left out.

use super::problem::Problem;
use crate::documents::{self, PAGES};
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};
use std::collections::HashMap;
use std::sync::LazyLock;

/// What pages link to that is no page: its name under `/docs`, its type, and itself.
const FILES: [(&str, &str, &str); 4] = [
    ("performance.svg", "image/svg+xml", include_str!("../../../../docs/performance.svg")),
    ("presence.schema.json", "application/json", include_str!("../../../../docs/presence.schema.json")),
    ("grafana.json", "application/json", include_str!("../../../../packaging/grafana.json")),
    ("SECURITY.md", "text/markdown; charset=utf-8", include_str!("../../../../SECURITY.md")),
];
/// What else is linked to and served anyway.
const ELSEWHERE: [(&str, &str); 2] = [("openapi.json", "/openapi.json"), ("presence.js", "/presence.js")];

const STYLE: &str = include_str!("docs.css");

/// Each page as HTML.
static RENDERED: LazyLock<HashMap<&str, String>> =
    LazyLock::new(|| PAGES.iter().map(|(name, text)| (*name, page(name, text))).collect());

/// The index.
pub(super) async fn index() -> Response {
    answer("index")
}

/// A page, or what one links to.
pub(super) async fn document(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, text)) => ([(header::CONTENT_TYPE, *kind)], *text).into_response(),
        None => answer(name.trim_end_matches(".md")),
    }
}

/// The style sheet of all of them.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

fn answer(name: &str) -> Response {
    match RENDERED.get(name) {
        Some(html) => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html.as_str()).into_response(),
        None => Problem::not_found(format!("there is no page {name:?}; /docs lists them")).into_response(),
    }
}

/// A whole page with the way to all others.
fn page(name: &str, text: &str) -> String {
    let link = |(other, text): &(&str, &str)| {
        let current = if *other == name { " aria-current=\"page\"" } else { "" };
        format!("<li><a href=\"/docs/{other}\"{current}>{}</a></li>\n", escaped(documents::title(text)))
    };
    let links: String = PAGES.iter().map(link).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{} - lampyris</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"/docs.css\">\n</head>\n<body>\n<nav aria-label=\"Pages\">\n\
         <a class=\"brand\" href=\"/\">lampyris</a>\n<ul>\n{links}</ul>\n</nav>\n<main>\n{}</main>\n</body>\n</html>\n",
        escaped(documents::title(text)),
        body(text)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// Before a table: what is too wide is scrolled by itself, by keyboard too.
const WIDE: &str = "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"Table\">\n";

/// Markdown as HTML.
fn body(text: &str) -> String {
    let events: Vec<Event<'_>> = Parser::new_ext(text, Options::ENABLE_TABLES).collect();
    let mut anchors = Anchors::default();
    let mut out = Vec::with_capacity(events.len());
    for (at, event) in events.iter().enumerate() {
        match event.clone() {
            Event::Html(_) | Event::InlineHtml(_) => {}
            Event::Start(Tag::Heading { level, classes, attrs, .. }) => {
                let id = Some(anchors.next(&heading(events.get(at + 1..).unwrap_or_default())).into());
                out.push(Event::Start(Tag::Heading { level, id, classes, attrs }));
            }
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let dest_url = place(&dest_url).into();
                out.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
            }
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                let dest_url = place(&dest_url).into();
                out.push(Event::Start(Tag::Image { link_type, dest_url, title, id }));
            }
            // Without its columns' alignments, which would be styles in the page.
            Event::Start(Tag::Table(_)) => {
                out.extend([Event::Html(WIDE.into()), Event::Start(Tag::Table(Vec::new()))]);
            }
            Event::End(TagEnd::Table) => {
                out.extend([Event::End(TagEnd::Table), Event::Html("</div>\n".into())]);
            }
            Event::Start(Tag::CodeBlock(_)) => out.push(Event::Html("<pre tabindex=\"0\"><code>".into())),
            Event::End(TagEnd::CodeBlock) => out.push(Event::Html("</code></pre>\n".into())),
            other => out.push(other),
        }
    }
    let mut rendered = String::with_capacity(text.len() * 2);
    html::push_html(&mut rendered, out.into_iter());
    // Why: a corner without a word is no heading to a reader of screens.
    rendered.replace("<th></th>", "<td></td>")
}

/// The words of a heading that begins before these events.
fn heading(events: &[Event<'_>]) -> String {
    let inside = events.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    inside
        .filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
            _ => None,
        })
        .collect()
}

/// Where a link of a page leads to here.
fn place(link: &str) -> String {
    if link.contains("://") || link.starts_with('#') {
        return link.to_owned();
    }
    let (path, anchor) = link.split_once('#').map_or((link, ""), |(path, anchor)| (path, anchor));
    let name = path.rsplit('/').next().unwrap_or(path);
    if let Some((_, place)) = ELSEWHERE.iter().find(|(known, _)| *known == name) {
        return (*place).to_owned();
    }
    let is_file = FILES.iter().any(|(known, ..)| *known == name);
    let name = if is_file { name } else { name.trim_end_matches(".md") };
    let anchor = if anchor.is_empty() { String::new() } else { format!("#{anchor}") };
    format!("/docs/{name}{anchor}")
}

/// The anchors of a page, as GitHub makes them.
#[derive(Default)]
struct Anchors(HashMap<String, usize>);

impl Anchors {
    fn next(&mut self, heading: &str) -> String {
        let kept = heading.trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let times = self.0.entry(slug.clone()).or_default();
        *times += 1;
        if *times == 1 { slug } else { format!("{slug}-{}", *times - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands in quotes behind these words in some HTML.
    fn values<'h>(html: &'h str, words: &str) -> Vec<&'h str> {
        let mark = format!("{words}=\"");
        html.split(mark.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn every_link_leads_somewhere() {
        let mut links = 0;
        for (name, html) in RENDERED.iter() {
            let refers = values(html, "<a href").into_iter().chain(values(html, "<img src"));
            for link in refers.filter(|link| !link.starts_with("http")) {
                links += 1;
                let (path, anchor) = link.split_once('#').map_or((link, ""), |(path, anchor)| (path, anchor));
                let here = path.strip_prefix("/docs/").unwrap_or(if path.is_empty() { name } else { path });
                let served = ["/", "/docs.css", "/openapi.json", "/presence.js"];
                match RENDERED.get(here) {
                    Some(html) if !anchor.is_empty() => {
                        assert!(values(html, " id").contains(&anchor), "{name}: {link}");
                    }
                    Some(_) => {}
                    None => {
                        let is_file = FILES.iter().any(|(known, ..)| *known == here);
                        assert!(is_file || served.contains(&here), "{name}: {link}");
                    }
                }
            }
        }
        assert!(links > 400, "{links} links");
    }

    #[test]
    fn nothing_comes_from_elsewhere_and_nothing_runs() {
        for (name, html) in RENDERED.iter() {
            for bad in ["<script", " style=", " onclick=", "<!-- "] {
                assert!(!html.contains(bad), "{name}: {bad}");
            }
            for source in values(html, "<img src") {
                assert!(source.starts_with("/docs/"), "{name}: {source}");
            }
        }
    }

    #[test]
    fn anchors_are_githubs() {
        let mut anchors = Anchors::default();
        for (heading, anchor) in [
            ("The first lamp, in five minutes", "the-first-lamp-in-five-minutes"),
            ("[domains.\"NAME\"]", "domainsname"),
            ("why", "why"),
            ("why", "why-1"),
            ("sip_conf & more", "sip_conf--more"),
        ] {
            assert_eq!(anchors.next(heading), anchor);
        }
        let html = body("## `why` a *lamp*\n\n<b>no</b> [config](config.md#server) [spec](openapi.json)\n");
        assert!(html.contains("<h2 id=\"why-a-lamp\"><code>why</code> a <em>lamp</em></h2>"), "{html}");
        assert!(html.contains("/docs/config#server") && html.contains("href=\"/openapi.json\""), "{html}");
        assert!(!html.contains("<b>"), "{html}");
    }
}
