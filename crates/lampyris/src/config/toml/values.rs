//! One TOML table against its description in `options`: names, types, ranges.
//!
//! In: a parsed table. Out: [`Values`], whose accessors give what the option's `Kind` promises, and errors for
//! everything else that stands there.

use super::{Reader, TABLES};
use crate::config::diagnostic::did_you_mean;
use crate::config::options::{self, Kind, Table};
use crate::config::source::{Span, Typed};
use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};
use std::collections::BTreeMap;

/// The options of one table, with the types their `Kind` says.
#[derive(Default)]
pub(super) struct Values(pub(super) BTreeMap<&'static str, Typed<Value>>);

pub(super) enum Value {
    Boolean(bool),
    Integer(i64),
    Text(String),
    Texts(Vec<Typed<String>>),
    Integers(Vec<i64>),
}

impl Values {
    pub(super) fn get<T>(&self, name: &str, take: impl FnOnce(&Value) -> Option<T>) -> Option<Typed<T>> {
        let found = self.0.get(name)?;
        Some(Typed::new(take(&found.value)?, found.span))
    }

    pub(super) fn boolean(&self, name: &str) -> Option<Typed<bool>> {
        self.get(name, |value| if let Value::Boolean(found) = value { Some(*found) } else { None })
    }

    /// A number whose range, in `options`, fits `T`.
    pub(super) fn number<T: TryFrom<i64>>(&self, name: &str) -> Option<Typed<T>> {
        self.get(
            name,
            |value| if let Value::Integer(found) = value { T::try_from(*found).ok() } else { None },
        )
    }

    pub(super) fn numbers<T: TryFrom<i64>>(&self, name: &str) -> Option<Typed<Vec<T>>> {
        self.get(name, |value| match value {
            Value::Integers(found) => Some(found.iter().filter_map(|n| T::try_from(*n).ok()).collect()),
            _ => None,
        })
    }

    pub(super) fn text(&self, name: &str) -> Option<Typed<String>> {
        self.get(name, |value| if let Value::Text(found) = value { Some(found.clone()) } else { None })
    }

    pub(super) fn texts(&self, name: &str) -> Option<Typed<Vec<Typed<String>>>> {
        self.get(name, |value| if let Value::Texts(found) = value { Some(found.clone()) } else { None })
    }

    pub(super) fn plain_texts(&self, name: &str) -> Option<Typed<Vec<String>>> {
        self.texts(name).map(|list| list.map(|list| list.into_iter().map(|text| text.value).collect()))
    }

    /// A word that `options` has already held to its choices.
    pub(super) fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<Typed<T>> {
        let text = self.text(name)?;
        let (_, value) = words.iter().find(|(word, _)| *word == text.value)?;
        Some(Typed::new(*value, text.span))
    }
}

impl Reader<'_> {
    pub(super) fn span<T>(&self, spanned: &Spanned<T>) -> Span {
        self.file.span(spanned.span().start, spanned.span().end)
    }

    /// The entries of a table in the order of the file.
    pub(super) fn entries<'t>(
        &self,
        table: &'t DeTable<'_>,
    ) -> Vec<(Typed<String>, &'t Spanned<DeValue<'t>>)> {
        let entry = |(key, value): (&'t Spanned<_>, &'t Spanned<DeValue<'t>>)| {
            let name: &std::borrow::Cow<'_, str> = key.get_ref();
            (Typed::new(name.clone().into_owned(), self.span(key)), value)
        };
        let mut entries: Vec<_> = table.iter().map(entry).collect();
        entries.sort_by_key(|(key, _)| key.span.start());
        entries
    }

    fn unknown(&mut self, key: &Typed<String>, table: Table) {
        let mut known: Vec<_> = options::names(table).collect();
        match table {
            Table::Top => known.extend(TABLES.map(|(name, _)| name)),
            Table::Context => known.push("hints"),
            _ => {}
        }
        let place = if table == Table::Top {
            "at the top of the file".to_owned()
        } else {
            format!("in `{}`", table.head())
        };
        let elsewhere =
            options::OPTIONS.iter().find(|option| option.name == key.value && option.table != table);
        let fix = match (did_you_mean(&key.value, known.iter().copied()), elsewhere) {
            (_, Some(option)) if option.table == Table::Top => "it belongs at the top of the file".to_owned(),
            (_, Some(option)) => format!("it belongs in `{}`", option.table.head()),
            (Some(near), None) => format!("did you mean `{near}`?"),
            (None, None) => format!("there are {}", known.join(", ")),
        };
        self.report.error(key.span, format!("unknown key `{}` {place}", key.value), fix);
    }

    /// The options of a table, each checked against its description.
    pub(super) fn values(&mut self, table: Table, typed: &DeTable<'_>) -> Values {
        let mut values = Values::default();
        for (key, value) in self.entries(typed) {
            let is_table = match table {
                Table::Top => TABLES.iter().any(|(name, _)| *name == key.value),
                Table::Context => key.value == "hints",
                _ => false,
            };
            if is_table {
                continue;
            }
            let Some(option) = options::find(table, &key.value) else {
                self.unknown(&key, table);
                continue;
            };
            if let Some(checked) = self.value(&key.value, option.kind, value) {
                values.0.insert(option.name, Typed::new(checked, self.span(value)));
            }
        }
        values
    }

    fn value(&mut self, name: &str, kind: Kind, typed: &Spanned<DeValue<'_>>) -> Option<Value> {
        let span = self.span(typed);
        let found = match (kind, typed.get_ref()) {
            (Kind::Boolean | Kind::BooleanOrInteger(..), DeValue::Boolean(found)) => {
                Some(Value::Boolean(*found))
            }
            (Kind::Integer(from, to) | Kind::BooleanOrInteger(from, to), value) => {
                integer(value).filter(|n| (from..=to).contains(n)).map(Value::Integer)
            }
            (Kind::Integers(from, to), DeValue::Array(list)) => {
                let numbers = list.iter().map(|n| integer(n.get_ref()).filter(|n| (from..=to).contains(n)));
                numbers.collect::<Option<Vec<_>>>().map(Value::Integers)
            }
            (Kind::Choice(words), DeValue::String(word)) => {
                let found = words.iter().find(|known| **known == word.as_ref());
                if found.is_none()
                    && let Some(near) = did_you_mean(word, words.iter().copied())
                {
                    let cause = format!("`{name}` cannot be \"{word}\"");
                    self.report.error(span, cause, format!("did you mean \"{near}\"?"));
                    return None;
                }
                found.map(|word| Value::Text((*word).to_owned()))
            }
            (Kind::Text, DeValue::String(text)) => Some(Value::Text(text.clone().into_owned())),
            (Kind::Texts, DeValue::String(text)) => {
                Some(Value::Texts(vec![Typed::new(text.clone().into_owned(), span)]))
            }
            (Kind::Texts, DeValue::Array(list)) => {
                let text = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
                    DeValue::String(text) => Some(Typed::new(text.clone().into_owned(), self.span(item))),
                    _ => None,
                };
                list.iter().map(text).collect::<Option<Vec<_>>>().map(Value::Texts)
            }
            _ => None,
        };
        if found.is_none() {
            self.report.error(span, format!("`{name}` is {}", described(kind)), "write it so");
        }
        found
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// What a value of this kind looks like, in words.
fn described(kind: Kind) -> String {
    match kind {
        Kind::Boolean => "true or false".to_owned(),
        Kind::Integer(from, to) => format!("a whole number from {from} to {to}"),
        Kind::Choice(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
            format!("one of {}", words.join(", "))
        }
        Kind::Text => "text in quotes".to_owned(),
        Kind::Texts => "text in quotes, or a list of it in `[ ]`".to_owned(),
        Kind::Integers(from, to) => format!("a list of whole numbers from {from} to {to}"),
        Kind::BooleanOrInteger(from, to) => format!("true, false or a whole number from {from} to {to}"),
    }
}
