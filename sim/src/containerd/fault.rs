//! Faults of containerd as rules: which calls of whom, and what happens to them.
//!
//! Applied to the connections of a [`Link`](crate::schedule::Link) only, for those have a client's name.

use std::fmt;
use std::time::Duration;

use tonic::Code;

/// A call, or a message within one, to which a fault may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call<'a> {
    /// Name of the client's link.
    pub client: &'a str,
    /// `Images/Create` for a call as it begins. Within calls, `Write/message` and `Write/commit` for the messages of
    /// a content write behind the first and for every commit, and `Subscribe/event` for each event of a subscription.
    pub method: &'a str,
    /// What it is about: the image's name, the digest, the ingest, the key of the snapshot, the id of the lease.
    pub subject: &'a str,
}

/// Which calls a rule is for; an empty match is for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Match {
    client: Option<String>,
    method: Option<String>,
    subject: Option<String>,
}

impl Match {
    /// Every call, and every message within one that is a [`Call`] too.
    pub fn any() -> Match {
        Match::default()
    }

    /// Those whose [method](Call::method) begins so: `Images/` or `Images/Create`.
    pub fn method(start: &str) -> Match {
        Match { method: Some(start.to_owned()), ..Match::default() }
    }

    /// Only those of this client.
    #[must_use]
    pub fn client(self, name: &str) -> Match {
        Match { client: Some(name.to_owned()), ..self }
    }

    /// Only those whose [subject](Call::subject) contains `part`.
    #[must_use]
    pub fn subject(self, part: &str) -> Match {
        Match { subject: Some(part.to_owned()), ..self }
    }

    fn matches(&self, call: Call<'_>) -> bool {
        self.client.as_ref().is_none_or(|wanted| wanted == call.client)
            && self.method.as_ref().is_none_or(|wanted| call.method.starts_with(wanted.as_str()))
            && self.subject.as_ref().is_none_or(|wanted| call.subject.contains(wanted.as_str()))
    }
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It begins after this time.
    Delay(Duration),
    /// It has no effect and ends with this code and message.
    Fail(Code, String),
    /// It has its effect, and ends with `UNAVAILABLE` as if its stream were lost; the connection's other calls go on.
    LoseReply,
    /// It has no effect and no answer, ever.
    Stall,
    /// It has its effect and no answer, ever.
    StallReply,
    /// It has no effect, and the client's connection breaks with all that goes on over it.
    Disconnect,
    /// It has its effect, then the client's connection breaks with all that goes on over it.
    DisconnectAfter,
}

/// A fault for the calls that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    matching: Match,
    fault: Fault,
    skip: u32,
    times: Option<u32>,
}

impl Rule {
    /// Applies `fault` to every call that matches.
    pub fn new(matching: Match, fault: Fault) -> Rule {
        Rule { matching, fault, skip: 0, times: None }
    }

    /// Applies to this many calls only.
    #[must_use]
    pub fn times(self, times: u32) -> Rule {
        Rule { times: Some(times), ..self }
    }

    /// Lets this many matching calls through first.
    #[must_use]
    pub fn skip(self, skip: u32) -> Rule {
        Rule { skip, ..self }
    }
}

type Source = Box<dyn FnMut(Call<'_>) -> Option<Fault> + Send>;

/// The rules in force, and who is asked when none of them is for a call.
#[derive(Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
    source: Option<Source>,
}

impl Faults {
    pub(crate) fn inject(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub(crate) fn inject_by(&mut self, source: Source) {
        self.source = Some(source);
    }

    pub(crate) fn heal(&mut self) {
        *self = Faults::default();
    }

    /// The fault of a call, if there is one; counts the use.
    pub(crate) fn take(&mut self, call: Call<'_>) -> Option<Fault> {
        for rule in self.rules.iter_mut().filter(|rule| rule.matching.matches(call)) {
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
        self.source.as_mut().and_then(|source| source(call))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("rules", &self.rules).finish_non_exhaustive()
    }
}
