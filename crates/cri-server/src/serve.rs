//! The command `cri-imaged serve`: configuration, logs, runtime, daemon, in this order.

use std::env;
use std::error::Error;
use std::time::Duration;

use crate::config::{Config, Flags};
use crate::daemon::Daemon;
use crate::exit::{Exit, explain};
use crate::logs::{self, LogFormat};
use crate::{assemble, signals};

/// For blocking work that a stopped daemon still has; the process ends without it then.
const RUNTIME_GRACE: Duration = Duration::from_secs(2);

/// The flags of `cri-imaged serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    config: Flags,
    /// Log level, or directives as in `info,puller=debug` [default: RUST_LOG, else info]
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    /// Form of the log lines on standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
}

/// Runs the daemon until a signal ends it.
pub(crate) fn run(arguments: &ServeArgs) -> Exit {
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(errors) => return fail(&errors, Exit::Usage),
    };
    let filter =
        arguments.log_level.clone().or_else(|| env::var("RUST_LOG").ok()).unwrap_or_else(|| "info".into());
    if let Err(error) = logs::init(&filter, arguments.log_format) {
        return fail(&error, Exit::Usage);
    }
    for warning in config.warnings(&arguments.config) {
        tracing::warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, Exit::Failed),
    };
    let ended = runtime.block_on(daemon(&config));
    runtime.shutdown_timeout(RUNTIME_GRACE);
    match ended {
        Ok(()) => Exit::Done,
        Err(error) => fail(error.as_ref(), Exit::Failed),
    }
}

async fn daemon(config: &Config) -> Result<(), Box<dyn Error>> {
    let shutdown = signals::termination()?;
    let daemon = Daemon::bind(config).await?;
    let address = config.containerd.address.display();
    tracing::info!(containerd = %address, namespace = config.containerd.namespace, "starting");
    let assembled = assemble::assemble(config, daemon.metrics())?;
    daemon.serve(assembled.service, assembled.readiness, shutdown).await?;
    Ok(())
}

fn fail(error: &dyn Error, exit: Exit) -> Exit {
    explain(error);
    exit
}
