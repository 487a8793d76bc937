//! What can be wrong with a configuration, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Every fault of a configuration, in the order of the file and then of the flags.
#[derive(Debug)]
pub struct ConfigErrors(Vec<Problem>);

impl ConfigErrors {
    /// `Ok` where there is nothing to report.
    pub(super) fn check(mut problems: Vec<Problem>) -> Result<(), ConfigErrors> {
        problems.sort_by_key(|problem| match problem.origin {
            Origin::File { line, .. } => line.unwrap_or(0),
            Origin::Flag(_) => usize::MAX,
        });
        if problems.is_empty() { Ok(()) } else { Err(ConfigErrors(problems)) }
    }

    /// The faults; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl std::error::Error for ConfigErrors {}

/// One line a fault.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

/// One fault and its place.
#[derive(Debug)]
pub struct Problem {
    /// Where it is.
    pub origin: Origin,
    /// What it is.
    pub fault: Fault,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.fault)?;
        // The list of problems is the edge where a chain is joined: it goes to a person as it is.
        let mut source = std::error::Error::source(&self.fault);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1; `None` where the fault is the file's as a whole.
        line: Option<usize>,
    },
    /// A flag of the command line, with its dashes.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Origin::File { path, line: None } => write!(f, "{}", path.display()),
            Origin::Flag(flag) => f.write_str(flag),
        }
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file cannot be read, or is none that was asked for.
    #[error("cannot read the configuration")]
    Read(#[source] io::Error),
    /// The file is longer than a configuration can be.
    #[error("longer than {bytes_max} bytes")]
    TooLong {
        /// The bound.
        bytes_max: u64,
    },
    /// Not TOML.
    #[error("not valid TOML: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// A key or table that does not exist.
    #[error("unknown {what} `{name}`{}", DidYouMean(.nearest))]
    Unknown {
        /// `key` or `table`.
        what: &'static str,
        /// The name in full, as in `containerd.address`.
        name: String,
        /// A name that exists and looks like it.
        nearest: Option<String>,
    },
    /// A value of another TOML type.
    #[error("`{name}` must be a {wanted}, not {found}")]
    WrongType {
        /// The key in full.
        name: String,
        /// The type it has to have.
        wanted: &'static str,
        /// The type in the file.
        found: &'static str,
    },
    /// A value of the right type that the key cannot have.
    #[error("`{name}` cannot be `{value}`")]
    BadValue {
        /// The key in full.
        name: String,
        /// The value as given.
        value: String,
        /// Why not.
        #[source]
        reason: BadValue,
    },
    /// As [`Fault::BadValue`], of a value that may hold a password or is a table.
    #[error("`{name}` has a value that it cannot have")]
    HiddenValue {
        /// The key in full.
        name: String,
        /// Why not.
        #[source]
        reason: BadValue,
    },
}

/// Why a key cannot have a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadValue {
    /// Paths are not relative to wherever the daemon was started.
    #[error("must be an absolute path")]
    NotAbsolute,
    /// A path that the system cannot be given.
    #[error("must not hold a NUL byte")]
    Nul,
    /// Over the bound.
    #[error("must be at most {bytes_max} bytes long")]
    TooLong {
        /// The bound.
        bytes_max: usize,
    },
    /// Not an identifier as containerd's are.
    #[error("must be letters and digits with single `-`, `_` or `.` between them")]
    NotIdentifier,
    /// Not an IP address with a port.
    #[error("must be an IP address and a port, as in `127.0.0.1:9091`")]
    NotSocketAddress,
    /// What is served there is not for the network.
    #[error("must be a loopback address")]
    NotLoopback,
    /// Not the name of a registry or mirror.
    #[error(
        "must be a host, with its port where that is not the default one: `\"registry.example:5000\"`, in quotes"
    )]
    NotHost,
    /// A name of a host that another table has under another name.
    #[error("is the same host as another table's")]
    SameHost,
    /// Not a proxy's URL.
    #[error(transparent)]
    NotProxy(registry::ProxyUrlError),
    /// Not the name of a credential helper.
    #[error("must be what follows `docker-credential-` in the name of a program")]
    NotHelper,
    /// Not exactly one place of credentials.
    #[error("must have one of `file`, `docker_config` and `helper`")]
    NotOnePlace,
    /// Another word than those that there are.
    #[error("must be {}", words(.0))]
    NotOneOf(Vec<&'static str>),
    /// No duration.
    #[error("must be a duration, as in `30s` or `1m30s`; `0` is no limit")]
    NotDuration,
    /// No duration, or too long a one.
    #[error("must be a duration of at most {hours} h, as in `30s` or `1h30m`; `0` is none")]
    NotDurationTo {
        /// The longest, in hours.
        hours: u64,
    },
    /// No whole number, or one out of range.
    #[error("must be a whole number from {min} to {max}")]
    NotInRange {
        /// The least.
        min: usize,
        /// The largest.
        max: usize,
    },
}

/// `a`, `b` or `c`.
fn words(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

struct DidYouMean<'a>(&'a Option<String>);

impl fmt::Display for DidYouMean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(nearest) => write!(f, ", did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}
