//! Faults as rules: which requests, and what happens to them.

use std::time::Duration;

use http::{Method, StatusCode};

/// Which requests a rule is for; an empty match is for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Match {
    method: Option<Method>,
    host: Option<String>,
    path: Option<String>,
}

impl Match {
    /// Every request.
    pub fn any() -> Match {
        Match::default()
    }

    /// Requests whose path contains `part`.
    pub fn path(part: &str) -> Match {
        Match { path: Some(part.to_owned()), ..Match::default() }
    }

    /// Only those with this method.
    #[must_use]
    pub fn method(self, method: Method) -> Match {
        Match { method: Some(method), ..self }
    }

    /// Only those to this host, as in the request's `Host` header.
    #[must_use]
    pub fn host(self, host: &str) -> Match {
        Match { host: Some(host.to_owned()), ..self }
    }

    pub(super) fn matches(&self, method: &Method, host: &str, path: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted == method)
            && self.host.as_ref().is_none_or(|wanted| wanted == host)
            && self.path.as_ref().is_none_or(|wanted| path.contains(wanted.as_str()))
    }
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Answered with this status instead, and these headers.
    Status(StatusCode, Vec<(String, String)>),
    /// Answered after this time.
    Delay(Duration),
    /// The connection ends before any answer.
    Disconnect,
    /// The connection ends after this many bytes of the body.
    Reset(u64),
    /// The body stops after this many bytes and the connection stays open.
    Stall(u64),
    /// The byte at this offset of the body is changed.
    Corrupt(u64),
    /// The request's `Range` is ignored: the whole is sent with status 200.
    IgnoreRange,
    /// This header of the answer has this value instead.
    Header(String, String),
}

/// A fault for the requests that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(super) matching: Match,
    pub(super) fault: Fault,
    pub(super) skip: u32,
    pub(super) times: Option<u32>,
}

impl Rule {
    /// Applies `fault` to every request that matches.
    pub fn new(matching: Match, fault: Fault) -> Rule {
        Rule { matching, fault, skip: 0, times: None }
    }

    /// Applies to this many requests only.
    #[must_use]
    pub fn times(self, times: u32) -> Rule {
        Rule { times: Some(times), ..self }
    }

    /// Lets this many matching requests through first.
    #[must_use]
    pub fn skip(self, skip: u32) -> Rule {
        Rule { skip, ..self }
    }
}

/// The fault of a request, if a rule is for it; counts the use.
pub(super) fn take(rules: &mut [Rule], method: &Method, host: &str, path: &str) -> Option<Fault> {
    for rule in rules.iter_mut().filter(|rule| rule.matching.matches(method, host, path)) {
        if rule.skip > 0 {
            rule.skip -= 1;
            continue;
        }
        match &mut rule.times {
            Some(0) => continue,
            Some(left) => *left -= 1,
            None => {}
        }
        return Some(rule.fault.clone());
    }
    None
}
