//! Reads the text of a configuration file: every key it sets, every fault it has, each with its line.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::nearest::nearest;
use super::{BadValue, Config, Fault, Origin, Problem, host, key, value};

/// Sets in `config` what `text` sets, and answers the faults of the rest. `path` is for the messages alone.
pub(super) fn apply(config: &mut Config, text: &str, path: &Path) -> Vec<Problem> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { config, text, path, problems: Vec::new() };
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        reader.report(&span, Fault::Syntax { message: error.message().to_owned() });
    }
    let broken: BTreeSet<usize> =
        errors.iter().filter_map(|error| Some(reader.line(&error.span()?))).collect();
    reader.table("", document.get_ref());
    let mut problems = reader.problems;
    // The parser puts something in place of what it could not read; faults of that are the same fault again.
    let repeats = |problem: &Problem| match &problem.origin {
        Origin::File { line: Some(line), .. } => broken.contains(line),
        _ => false,
    };
    problems.retain(|problem| matches!(problem.fault, Fault::Syntax { .. }) || !repeats(problem));
    problems
}

struct Reader<'a> {
    config: &'a mut Config,
    text: &'a str,
    path: &'a Path,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn table(&mut self, table: &str, entries: &DeTable<'_>) {
        for (name, value) in entries {
            let full = if table.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{table}.{}", name.get_ref())
            };
            if let Some(key) = key::by_name(&full) {
                self.value(key, value);
            } else if table.is_empty() && key::is_table(&full) {
                self.known_table(&full, value);
            } else if let ("registry", Some(settings)) = (table, value.get_ref().as_table()) {
                self.host(name, settings);
            } else {
                let what = if value.get_ref().is_table() { "table" } else { "key" };
                let nearest = nearest(&full);
                self.report(&name.span(), Fault::Unknown { what, name: full, nearest });
            }
        }
    }

    fn known_table(&mut self, name: &str, value: &Spanned<DeValue<'_>>) {
        match value.get_ref().as_table() {
            Some(entries) => self.table(name, entries),
            None => self.wrong_type(name, "table", value),
        }
    }

    fn value(&mut self, key: &key::Key, value: &Spanned<DeValue<'_>>) {
        let text = match (value.get_ref(), key.is_number) {
            (DeValue::String(text), false) => text.to_string(),
            // As written: what is no decimal number is said to be none.
            (DeValue::Integer(number), true) => number.to_string(),
            (_, true) => return self.wrong_type(key.name, "whole number", value),
            (_, false) => return self.wrong_type(key.name, "string", value),
        };
        let origin = self.origin(&value.span());
        if let Err(problem) = key.set(self.config, &text, origin) {
            self.problems.push(problem);
        }
    }

    fn wrong_type(&mut self, name: &str, wanted: &'static str, value: &Spanned<DeValue<'_>>) {
        let found = value.get_ref().type_str();
        self.report(&value.span(), Fault::WrongType { name: name.to_owned(), wanted, found });
    }

    fn host(&mut self, name: &Spanned<DeString<'_>>, settings: &DeTable<'_>) {
        let full = format!("registry.\"{}\"", key::shown(name.get_ref()));
        let mut faults = Vec::new();
        match value::host(name.get_ref()) {
            Err(reason) => faults.push((name.span(), Fault::HiddenValue { name: full, reason })),
            Ok(host) => {
                let settings = host::read(&full, settings, &mut faults);
                if self.config.registry.hosts.insert(host, settings).is_some() {
                    let reason = BadValue::SameHost;
                    faults.push((name.span(), Fault::HiddenValue { name: full, reason }));
                }
            }
        }
        for (span, fault) in faults {
            self.report(&span, fault);
        }
    }

    fn report(&mut self, span: &Range<usize>, fault: Fault) {
        let origin = self.origin(span);
        self.problems.push(Problem { origin, fault });
    }

    fn origin(&self, span: &Range<usize>) -> Origin {
        Origin::File { path: self.path.to_owned(), line: Some(self.line(span)) }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        1 + self.text.bytes().take(span.start).filter(|&byte| byte == b'\n').count()
    }
}
