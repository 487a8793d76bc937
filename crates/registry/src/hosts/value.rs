//! Typed access to a TOML table in which every value knows its line.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::error::HostsProblem;

/// A problem and the byte offset in the file where it is.
pub(crate) type Located = (usize, HostsProblem);

/// One table of the file.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a>(pub(crate) &'a DeTable<'a>);

impl<'a> Table<'a> {
    /// The value of `key`, in whatever case it is written: Go's parser, and so containerd, takes `Server` for `server`.
    pub(crate) fn get(self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        let in_any_case = || {
            self.0.iter().find(|(name, _)| name.get_ref().eq_ignore_ascii_case(key)).map(|(_, value)| value)
        };
        self.get_exact(key).or_else(in_any_case)
    }

    /// The value of `key` as it is spelled.
    pub(crate) fn get_exact(self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.0.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// The keys that are none of `known`, and where they are.
    pub(crate) fn others(self, known: &[&str]) -> impl Iterator<Item = (&'a str, usize)> {
        let is_other = |name: &str| !known.iter().any(|known| known.eq_ignore_ascii_case(name));
        let names = self.0.iter().map(|(name, _)| (name.get_ref().as_ref(), name.span().start));
        names.filter(move |(name, _)| is_other(name))
    }

    pub(crate) fn string(self, key: &str) -> Result<Option<(&'a str, usize)>, Located> {
        self.get(key).map(|value| string(key, value).map(|text| (text, value.span().start))).transpose()
    }

    pub(crate) fn bool(self, key: &str) -> Result<Option<bool>, Located> {
        let read = |value: &Spanned<DeValue<'_>>| {
            value.get_ref().as_bool().ok_or_else(|| wrong_type(key, "true or false", value))
        };
        self.get(key).map(read).transpose()
    }

    pub(crate) fn table(self, key: &str) -> Result<Option<Table<'a>>, Located> {
        let read = |value: &'a Spanned<DeValue<'a>>| {
            value.get_ref().as_table().map(Table).ok_or_else(|| wrong_type(key, "a table", value))
        };
        self.get(key).map(read).transpose()
    }

    pub(crate) fn array(self, key: &str) -> Result<Option<&'a DeArray<'a>>, Located> {
        let read = |value: &'a Spanned<DeValue<'a>>| {
            value.get_ref().as_array().ok_or_else(|| wrong_type(key, "a list", value))
        };
        self.get(key).map(read).transpose()
    }
}

/// A string, or a list of strings: the two forms of `ca` and of a header's value.
pub(crate) fn strings<'a>(
    key: &str,
    value: &'a Spanned<DeValue<'a>>,
) -> Result<Vec<(&'a str, usize)>, Located> {
    let with_span =
        |value: &'a Spanned<DeValue<'a>>| string(key, value).map(|text| (text, value.span().start));
    match value.get_ref().as_array() {
        Some(array) => array.iter().map(with_span).collect(),
        None => Ok(vec![with_span(value)?]),
    }
}

pub(crate) fn string<'a>(key: &str, value: &'a Spanned<DeValue<'a>>) -> Result<&'a str, Located> {
    value.get_ref().as_str().ok_or_else(|| wrong_type(key, "a string or a list of strings", value))
}

pub(crate) fn wrong_type(key: &str, wanted: &'static str, value: &Spanned<DeValue<'_>>) -> Located {
    (value.span().start, HostsProblem::Type { key: key.to_owned(), wanted })
}
