//! containerd's filter language: `name==x,labels."a.b/c"~=^y`.
//!
//! Relies on `regex` for `~=`; Go's syntax and this crate's agree on what callers of containerd use. A pattern
//! that does not compile matches nothing, as in containerd (pkg/filters, v2.3.4).

use regex::Regex;
use tonic::Status;

use super::failure;

/// A disjunction of conjunctions; no filter at all matches everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filters(Vec<Vec<Selector>>);

#[derive(Clone, Debug)]
struct Selector {
    path: Vec<String>,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Present,
    Equal(String),
    NotEqual(String),
    Matches(Option<Regex>),
}

impl Filters {
    pub(crate) fn parse(filters: &[String]) -> Result<Filters, Status> {
        filters
            .iter()
            .map(|filter| {
                Parser { rest: filter.as_str() }.selectors().map_err(|reason| {
                    failure::invalid_argument(format!("filters: parse error: [{filter}]: {reason}"))
                })
            })
            .collect::<Result<_, _>>()
            .map(Filters)
    }

    /// Whether any filter matches an object whose fields are looked up with `field`.
    pub(crate) fn matches(&self, field: impl Fn(&[&str]) -> Option<String>) -> bool {
        self.0.is_empty() || self.0.iter().any(|all| all.iter().all(|selector| selector.matches(&field)))
    }
}

impl Selector {
    fn matches(&self, field: impl Fn(&[&str]) -> Option<String>) -> bool {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let value = field(&path);
        match &self.test {
            Test::Present => value.is_some(),
            Test::Equal(wanted) => value.as_ref() == Some(wanted),
            Test::NotEqual(unwanted) => value.unwrap_or_default() != *unwanted,
            Test::Matches(pattern) => {
                pattern.as_ref().is_some_and(|pattern| pattern.is_match(&value.unwrap_or_default()))
            }
        }
    }
}

/// Looks a key up in labels; the path after `labels` is joined again, for an unquoted key may contain dots.
pub(crate) fn label(labels: &super::labels::Labels, path: &[&str]) -> Option<String> {
    labels.get(&path.join(".")).cloned()
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn selectors(&mut self) -> Result<Vec<Selector>, String> {
        if self.rest.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = vec![self.selector()?];
        loop {
            self.skip_space();
            match self.rest.chars().next() {
                None => return Ok(all),
                Some(',') => {
                    self.rest = &self.rest[1..];
                    all.push(self.selector()?);
                }
                Some(other) => return Err(format!("unexpected input: {other}")),
            }
        }
    }

    fn selector(&mut self) -> Result<Selector, String> {
        let mut path = vec![self.field()?];
        while let Some(rest) = self.rest.strip_prefix('.') {
            self.rest = rest;
            path.push(self.field()?);
        }
        if self.rest.is_empty() || self.rest.starts_with(',') {
            return Ok(Selector { path, test: Test::Present });
        }
        self.skip_space();
        let length = self.rest.find(|c| !matches!(c, '=' | '!' | '~')).unwrap_or(self.rest.len());
        let (operator, rest) = self.rest.split_at(length);
        self.rest = rest;
        let test = match operator {
            "==" => Test::Equal(self.value(false)?),
            "!=" => Test::NotEqual(self.value(false)?),
            "~=" => Test::Matches(Regex::new(&self.value(true)?).ok()),
            other => return Err(format!("unsupported operator `{other}`")),
        };
        Ok(Selector { path, test })
    }

    fn field(&mut self) -> Result<String, String> {
        self.skip_space();
        if self.rest.starts_with('"') {
            return self.quoted('"');
        }
        let length =
            self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        if length == 0 {
            return Err("expected field or quoted".to_owned());
        }
        let (field, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(field.to_owned())
    }

    fn value(&mut self, any_quote: bool) -> Result<String, String> {
        self.skip_space();
        match self.rest.chars().next() {
            Some('"') => return self.quoted('"'),
            Some(quote @ ('/' | '|')) if any_quote => return self.quoted(quote),
            Some('/' | '|') => return Err("invalid quote encountered".to_owned()),
            Some(',' | '.' | '=' | '!' | '~') | None => return Err("expected value or quoted".to_owned()),
            Some(_) => {}
        }
        let length = self.rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(value.to_owned())
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut value = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.rest = &self.rest[at + c.len_utf8()..];
                return Ok(value);
            }
            if c != '\\' {
                value.push(c);
                continue;
            }
            let (_, escaped) = chars.next().ok_or("quoted literal not terminated")?;
            value.push(match escaped {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'x' => {
                    let digits: String = chars.by_ref().take(2).map(|(_, digit)| digit).collect();
                    let byte = u8::from_str_radix(&digits, 16)
                        .map_err(|_| "illegal numeric escape sequence".to_owned())?;
                    char::from(byte)
                }
                c if c == quote || c == '\\' => c,
                _ => return Err("illegal escape sequence".to_owned()),
            });
        }
        Err("quoted literal not terminated".to_owned())
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::Filters;

    #[track_caller]
    fn check(filters: &[&str], name: &str, expected: bool) {
        let filters: Vec<String> = filters.iter().map(|&filter| filter.to_owned()).collect();
        let parsed = Filters::parse(&filters).expect("filters of this test parse");
        let found = parsed.matches(|path| match path {
            ["name"] => Some(name.to_owned()),
            ["labels", rest @ ..] => (rest.join(".") == "a.b/c").then(|| "x".to_owned()),
            _ => None,
        });
        assert_eq!(found, expected, "{filters:?} on {name}");
    }

    #[test]
    fn operators() {
        check(&[], "anything", true);
        check(&["name==a"], "a", true);
        check(&["name==a"], "b", false);
        check(&["name!=a"], "b", true);
        check(&["name~=^a.c$"], "abc", true);
        check(&["name~=/b+/"], "abbc", true);
        check(&["name~=\"/images/\""], "/images/create", true);
        check(&["name==a", "name==b"], "b", true);
        check(&["name==a,labels.\"a.b/c\"==x"], "a", true);
        check(&["name==a,labels.\"a.b/c\"==y"], "a", false);
        check(&["labels.\"a.b/c\""], "a", true);
        check(&["labels.absent"], "a", false);
        check(&["name~=["], "a", false);
    }

    #[test]
    fn malformed_filters_are_invalid_arguments() {
        for filter in ["==a", "name=a", "name==", "name==\"a", "name==a b", ",", "name==/a/"] {
            let status = Filters::parse(&[filter.to_owned()]).expect_err(filter);
            assert_eq!(status.code(), tonic::Code::InvalidArgument, "{filter}");
        }
    }
}
