//! The expressions that name parts of a document: the subset of XPath of RFC 4661 §5.
//!
//! In: text and the prefixes bound by `ns-bindings`. Out: a [`Path`], or why it is none. Beyond the grammar's letter it takes
//! what its examples have: conditions after any step, and white space between tokens. It evaluates nothing.

use crate::limits;
use serde::{Deserialize, Serialize};

/// A name with its namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Name {
    /// The namespace; `None` is that of the document's root.
    ///
    /// Interop: in XPath a name without prefix has no namespace and would match nothing; RFC 4661's own first example
    /// (§3.5.1) leaves the prefixes out.
    pub(super) namespace: Option<String>,
    /// The local name.
    pub(super) local: String,
}

/// Which elements a step takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Test {
    /// All.
    Any,
    /// Those of this name.
    Name(Name),
}

/// One step from an element to those in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    /// At any depth.
    pub(super) deep: bool,
    /// Which of them.
    pub(super) test: Test,
    /// What must hold of them: one of these, of which all.
    pub(super) conditions: Vec<Vec<Comparison>>,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Operator {
    /// `=`
    Equal,
    /// `<`, of numbers.
    Less,
    /// `>`, of numbers.
    Greater,
}

/// A condition of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Comparison {
    /// From the parent (`..`) instead of the element itself.
    pub(super) up: bool,
    /// To what is compared; it has no conditions of its own.
    pub(super) steps: Vec<Step>,
    /// An attribute of that, instead of its text.
    pub(super) attribute: Option<Name>,
    /// How.
    pub(super) operator: Operator,
    /// With what.
    pub(super) value: String,
}

/// A reference to elements, or to attributes of elements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Path {
    /// From the document to the elements.
    pub(super) steps: Vec<Step>,
    /// Their attribute that is meant.
    pub(super) attribute: Option<Name>,
}

/// Prefixes and the namespaces they stand for.
pub(super) type Bindings<'a> = [(&'a str, &'a str)];

impl Path {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, in a few words without quotes.
    pub(super) fn parse(text: &str, bindings: &Bindings<'_>) -> Result<Self, &'static str> {
        let mut reader = Reader { rest: text.trim(), bindings, conditions: 0 };
        let path = reader.path()?;
        if reader.rest.is_empty() { Ok(path) } else { Err("something follows an expression") }
    }
}

struct Reader<'a> {
    rest: &'a str,
    bindings: &'a Bindings<'a>,
    conditions: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn path(&mut self) -> Result<Path, &'static str> {
        let mut steps = Vec::new();
        while self.rest.starts_with('/') {
            let deep = self.take("//") || !self.take("/");
            if self.take("@") {
                let test = Step { deep: true, test: Test::Any, conditions: Vec::new() };
                steps.extend(deep.then_some(test));
                return Ok(Path { attribute: Some(self.attribute()?), steps: some(steps)? });
            }
            let test = self.test()?;
            let conditions = if self.take("[") { self.conditions()? } else { Vec::new() };
            steps.push(Step { deep, test, conditions });
        }
        Ok(Path { steps: some(steps)?, attribute: None })
    }

    fn test(&mut self) -> Result<Test, &'static str> {
        if self.take("*") { Ok(Test::Any) } else { Ok(Test::Name(self.name()?)) }
    }

    fn attribute(&mut self) -> Result<Name, &'static str> {
        let name = self.name()?;
        // Why: a default namespace is none of attributes.
        Ok(Name { namespace: name.namespace.or(Some(String::new())), local: name.local })
    }

    fn name(&mut self) -> Result<Name, &'static str> {
        let ends = |c: char| c.is_whitespace() || "/@[]()=<>*\"'!|,+$".contains(c);
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (qname, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        let (prefix, local) = qname.split_once(':').map_or((None, qname), |(p, local)| (Some(p), local));
        if !crate::body::xml::is_name(local) {
            return Err("not a name in an expression");
        }
        let namespace = match prefix {
            None => None,
            Some(prefix) => {
                let bound = self.bindings.iter().find(|(known, _)| *known == prefix);
                Some(bound.ok_or("a prefix that ns-bindings does not bind")?.1.to_owned())
            }
        };
        Ok(Name { namespace, local: local.to_owned() })
    }

    fn conditions(&mut self) -> Result<Vec<Vec<Comparison>>, &'static str> {
        let mut any = vec![Vec::new()];
        loop {
            self.conditions += 1;
            if self.conditions > limits::FILTER_CONDITIONS_MAX {
                return Err("too many conditions in an expression");
            }
            let comparison = self.comparison()?;
            if let Some(all) = any.last_mut() {
                all.push(comparison);
            }
            if self.take("]") {
                return Ok(any);
            }
            // As in XPath, `and` binds closer than `or`.
            if self.take("or ") {
                any.push(Vec::new());
            } else if !self.take("and ") {
                return Err("neither and, or nor ] after a condition");
            }
        }
    }

    fn comparison(&mut self) -> Result<Comparison, &'static str> {
        let up = self.take("..");
        let mut here = up || self.take(".");
        let (mut steps, mut attribute) = (Vec::new(), None);
        loop {
            let deep = here && self.take("//");
            // Why: after the element itself comes a slash or the end, without it a name.
            if here && !deep && !self.take("/") {
                break;
            }
            if self.take("@") {
                attribute = Some(self.attribute()?);
                break;
            }
            steps.push(Step { deep, test: self.test()?, conditions: Vec::new() });
            here = true;
        }
        if steps.len() > limits::FILTER_STEPS_MAX {
            return Err("too many steps in an expression");
        }
        let operator = match () {
            () if self.take("=") => Operator::Equal,
            () if self.take("<") => Operator::Less,
            () if self.take(">") => Operator::Greater,
            () => return Err("no comparison in a condition"),
        };
        let value = self.value()?;
        if operator != Operator::Equal && number(&value).is_none() {
            return Err("only numbers are less or greater");
        }
        Ok(Comparison { up, steps, attribute, operator, value })
    }

    fn value(&mut self) -> Result<String, &'static str> {
        for quote in ['"', '\''] {
            if let Some(rest) = self.rest.strip_prefix(quote) {
                let (value, rest) = rest.split_once(quote).ok_or("a value without its closing quote")?;
                self.rest = rest.trim_start();
                return Ok(value.to_owned());
            }
        }
        let end = self.rest.find(|c: char| c.is_whitespace() || c == ']').unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        if value.is_empty() { Err("no value in a condition") } else { Ok(value.to_owned()) }
    }
}

fn some(steps: Vec<Step>) -> Result<Vec<Step>, &'static str> {
    match steps.len() {
        0 => Err("an expression begins with a slash"),
        1..=limits::FILTER_STEPS_MAX => Ok(steps),
        _ => Err("too many steps in an expression"),
    }
}

/// A decimal number.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_decimal = text.bytes().all(|b| b.is_ascii_digit() || b"+-.".contains(&b));
    text.parse().ok().filter(|_| is_decimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_expression_is_refused_with_the_reason() {
        let bindings = [("p", "urn:p")];
        for good in [
            "/presence/tuple/status/basic",
            "//*[status/basic=\"open\"]",
            "/presence/tuple[*/basic=\"open\"]",
            "//watcher[@duration-subscribed<500]",
            "/*/watcher[@event=\"rejected\"]",
            "//tuple[status/basic=\"open\" and type=\"device\"]",
            "//watcher/@duration-subscribed",
            "/p:presence/p:tuple[p:class=\"IM\" or p:class=\"SMS\"\n or p:class='MMS']/\n p:status/p:basic",
            "//@p:id",
            "/a[.=\"1\"]/b[../c//d/@e>-1.5]",
        ] {
            assert!(Path::parse(good, &bindings).is_ok(), "{good}: {:?}", Path::parse(good, &bindings));
        }
        for (bad, why) in [
            ("", "begins with a slash"),
            ("tuple", "begins with a slash"),
            ("/", "not a name"),
            ("/a/", "not a name"),
            ("///a", "not a name"),
            ("/q:a", "does not bind"),
            ("/a b", "follows"),
            ("/a | /b", "follows"),
            ("/a[1]", "not a name"),
            ("/a[b]", "no comparison"),
            ("/a[b='c'", "neither"),
            ("/a[b='c']]", "follows"),
            ("/a[b=\"c]", "closing quote"),
            ("/a[b<'c']", "numbers"),
            ("/a[b!='c']", "no comparison"),
            ("/a[b= ]", "no value"),
            ("/count(a)", "follows"),
            ("/a/@b/c", "follows"),
            (&"/a".repeat(17), "too many steps"),
            (&format!("/a[{}b=1]", "b=1 or ".repeat(16)), "too many conditions"),
        ] {
            let error = Path::parse(bad, &bindings).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
