//! The command `cri-imaged check`: what a pull would do, host by host, and with `--probe` what the hosts answer.
//!
//! Reads the configuration and asks hosts; needs no daemon and pulls nothing. What would be done is the registry
//! client's to say, so that it cannot differ from what a pull does.

use std::path::PathBuf;

use auth::Credentials;
use refparse::Reference;
use registry::{Client, Dialer};

use crate::assemble::registry_config;
use crate::client::Output;
use crate::config::{Config, Flags};
use crate::exit::{Exit, explain};
use crate::print;
use report::Report;

mod report;
mod text;

/// Flags of `cri-imaged check`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Reference of the image
    #[arg(value_name = "REF")]
    reference: String,
    /// Ask each host, and show what it answers
    #[arg(long)]
    probe: bool,
    /// Configuration file [default: /etc/cri-imaged/config.toml, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Form of the output
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t)]
    output: Output,
}

/// Prints the plan. [`Exit::Failed`] where something of it cannot be used, or nobody would serve the image.
pub(crate) fn run(arguments: &CheckArgs) -> Exit {
    let flags = Flags { config: arguments.config.clone(), ..Flags::default() };
    let config = match Config::load(&flags) {
        Ok(config) => config,
        Err(errors) => {
            explain(&errors);
            return Exit::Usage;
        }
    };
    let reference = match Reference::parse(&arguments.reference) {
        Ok(reference) => reference,
        Err(error) => {
            explain(&error);
            return Exit::Failed;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            explain(&error);
            return Exit::Failed;
        }
    };
    let mut report = runtime.block_on(report(&config, &reference, arguments.probe));
    report.warnings.extend(config.warnings(&flags));
    let exit = if report.is_good() { Exit::Done } else { Exit::Failed };
    print::to_stdout(|out| {
        match arguments.output {
            Output::Text => text::write(&report, out)?,
            Output::Json => report.write_json(out)?,
        }
        Ok(exit)
    })
}

async fn report(config: &Config, reference: &Reference, probe: bool) -> Report {
    let client = Client::new(registry_config(&config.registry), Dialer::tcp());
    let session = client.session(reference, &Credentials::anonymous());
    let mut report = Report::new(reference, session.settings().fallback);
    match client.hosts_directory(reference.registry()) {
        Ok(None) => {}
        Ok(Some(directory)) => report.set_directory(directory),
        Err(error) => report.add_problem(&error),
    }
    let plan = match session.plan() {
        Ok(plan) => plan,
        Err(error) => {
            report.add_problem(&*error);
            return report;
        }
    };
    report.set_hosts(&plan);
    if probe && let Ok(probes) = session.probe().await {
        report.set_probes(&probes);
    }
    report
}
