//! One step of a task: a line before it, a line with its duration after it, and an error that names its command.

use std::process::Command;

use anyhow::{Context as _, bail};

/// Runs `work` between two lines on standard error that name the step and say how long it took.
#[expect(clippy::disallowed_methods, reason = "a developer reads this duration; nothing is decided by it")]
#[expect(clippy::print_stderr, reason = "the progress of a developer task")]
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    eprintln!("=== {name}");
    let started = std::time::Instant::now();
    let result = work().with_context(|| format!("step `{name}`"))?;
    eprintln!("=== {name}: done in {:.0} s", started.elapsed().as_secs_f64());
    Ok(result)
}

/// Runs `command` with our own standard streams.
///
/// # Errors
/// Where it cannot be started or does not exit with 0.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", words(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", words(command));
    }
    Ok(())
}

/// Runs `command` and returns what it printed.
///
/// # Errors
/// Where it cannot be started or does not exit with 0; the error then quotes its standard error.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", words(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` ended with {}: {}", words(command), output.status, stderr.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no UTF-8", words(command)))
}

/// The command line without its environment, which would bury it.
fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
