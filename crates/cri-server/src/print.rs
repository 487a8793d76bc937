//! Standard output, where what a command was asked for goes.

use std::io::{self, BufWriter, Write};

use crate::exit::{Exit, explain};

/// What `print` writes goes to standard output, and its answer is the exit; [`Exit::Failed`] where it cannot be written.
pub(crate) fn to_stdout(print: impl FnOnce(&mut dyn Write) -> io::Result<Exit>) -> Exit {
    write_stdout(print).unwrap_or_else(|error| {
        // The reader of a pipe that has seen enough, as `head` does, needs no explanation.
        if error.kind() != io::ErrorKind::BrokenPipe {
            explain(&error);
        }
        Exit::Failed
    })
}

/// What `print` writes goes to standard output.
pub(crate) fn write_stdout<T>(print: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
    let mut output = BufWriter::new(io::stdout().lock());
    let answer = print(&mut output)?;
    output.flush()?;
    Ok(answer)
}
