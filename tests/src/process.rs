//! A child process with its output in a file: ended and waited for when dropped, its last lines shown by a failing test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::process::{Child, Command};

/// How much of a log a failing test shows.
const TAIL_LINES: usize = 12;

/// How much of one line: containerd prints its whole configuration on one.
const LINE_CHARACTERS: usize = 300;

static HIDDEN: AtomicBool = AtomicBool::new(false);

/// Ends the showing of logs, for a program that has shown what it wanted; a test runner captures them anyway.
pub fn hide_logs() {
    HIDDEN.store(true, Ordering::Relaxed);
}

/// Shows logs again after [`hide_logs`], for a program that goes on to something that may fail.
pub fn show_logs() {
    HIDDEN.store(false, Ordering::Relaxed);
}

/// A running child process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, with standard output and error appended to `log`.
    ///
    /// # Errors
    /// Where the file cannot be opened or the program cannot be started.
    pub fn start(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let out = File::options().create(true).append(true).open(log).context("cannot open the log")?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Everything it has printed so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Fails where the process has ended already: a waiter need not wait for its whole deadline.
    ///
    /// # Errors
    /// With the end of its log.
    pub fn still_runs(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("{} ended with {status}:\n{}", self.name, tail(&self.log())),
        }
    }

    /// Sends SIGKILL and waits for the end.
    ///
    /// # Errors
    /// Where it is gone already.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("cannot kill {}", self.name))
    }

    /// Sends SIGTERM and returns the exit code, `None` where a signal ended it.
    ///
    /// # Errors
    /// Where it is gone already or does not end within 20 s.
    pub async fn terminate(&mut self) -> anyhow::Result<Option<i32>> {
        self.signal(rustix::process::Signal::TERM)?;
        let ended = tokio::time::timeout(std::time::Duration::from_secs(20), self.child.wait());
        let status = ended.await.with_context(|| format!("{} ignores SIGTERM", self.name))??;
        Ok(status.code())
    }

    fn signal(&self, signal: rustix::process::Signal) -> anyhow::Result<()> {
        let id = self.id().with_context(|| format!("{} has ended already", self.name))?;
        let pid = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw).context("no process id")?;
        rustix::process::kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }
}

impl Drop for Process {
    #[expect(
        clippy::print_stderr,
        reason = "the test runner captures it and shows it for a failing test only"
    )]
    fn drop(&mut self) {
        if self.child.id().is_some() {
            let _ = self.signal(rustix::process::Signal::KILL);
            // Reaped here, so that a folder is not removed below a process that still writes to it.
            while matches!(self.child.try_wait(), Ok(None)) {
                std::thread::yield_now();
            }
        }
        if !HIDDEN.load(Ordering::Relaxed) {
            eprintln!("--- end of the log of {}\n{}", self.name, tail(&self.log()));
        }
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let last = lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default();
    last.iter().map(|line| line.chars().take(LINE_CHARACTERS).chain(['\n']).collect::<String>()).collect()
}
