//! Where log lines go and which of them.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Held down unless named: below these levels the transport libraries log frames and headers, credentials included.
const QUIET: &str = "h2=warn,hyper=warn,hyper_util=warn,rustls=warn,tonic=warn,tower=warn";

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the log filter `{filter}`")]
pub(crate) struct LogFilterError {
    filter: String,
    #[source]
    source: ParseError,
}

/// Sends the process's log lines to standard error, in `format`, those that `filter` lets through. A filter is a level
/// (`debug`), or directives as `tracing` reads them (`info,puller=debug`).
///
/// # Errors
/// [`LogFilterError`].
///
/// # Panics
/// Called twice in one process.
pub(crate) fn init(filter: &str, format: LogFormat) -> Result<(), LogFilterError> {
    let parsed = EnvFilter::builder()
        .parse(format!("{QUIET},{filter}"))
        .map_err(|source| LogFilterError { filter: filter.to_owned(), source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}
