//! The command `cri-imaged reference`: references, normalized, as one JSON object a line.
//!
//! Owns the form of the line. Relies on `refparse` for every rule about references.

use std::io::{self, BufRead, Read, Write};

use refparse::Reference;
use serde::Serialize;

/// A line of standard input is read up to here; a reference has not the hundredth part of it.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// One line of output. Absent fields are left out.
#[derive(Debug, Serialize)]
struct Line<'a> {
    input: &'a str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    parts: Option<Parts>,
}

#[derive(Debug, Serialize)]
struct Parts {
    registry: String,
    repository: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    canonical: String,
    familiar: String,
}

/// Writes a line to `output` for each of `inputs`; `-` stands for one JSON string a line from `stdin`. Answers whether
/// every one parsed.
///
/// # Errors
/// `stdin` cannot be read or `output` not be written.
pub fn reference<'a>(
    inputs: impl IntoIterator<Item = &'a str>,
    stdin: &mut dyn BufRead,
    output: &mut dyn Write,
) -> io::Result<bool> {
    let mut all_parsed = true;
    for input in inputs {
        all_parsed &= if input == "-" { from_lines(stdin, output)? } else { one(input, output)? };
    }
    Ok(all_parsed)
}

fn one(input: &str, output: &mut dyn Write) -> io::Result<bool> {
    let line = match Reference::parse(input) {
        Ok(reference) => Line { input, ok: true, error: None, parts: Some(parts(&reference)) },
        Err(error) => Line { input, ok: false, error: Some(error.to_string()), parts: None },
    };
    write(&line, output)
}

fn parts(reference: &Reference) -> Parts {
    Parts {
        registry: reference.registry().to_owned(),
        repository: reference.repository().to_owned(),
        tag: reference.tag().map(str::to_owned),
        digest: reference.digest().map(ToString::to_string),
        canonical: reference.as_str().to_owned(),
        familiar: reference.familiar(),
    }
}

fn from_lines(stdin: &mut dyn BufRead, output: &mut dyn Write) -> io::Result<bool> {
    let mut all_parsed = true;
    let mut line = Vec::new();
    loop {
        line.clear();
        if stdin.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(all_parsed);
        }
        let ended = line.pop_if(|byte| *byte == b'\n').is_some();
        if !ended && line.len() as u64 == LINE_BYTES_MAX {
            stdin.skip_until(b'\n')?;
            all_parsed &= refuse(&line, format!("the line is longer than {LINE_BYTES_MAX} bytes"), output)?;
            continue;
        }
        all_parsed &= match serde_json::from_slice::<String>(&line) {
            Ok(input) => one(&input, output)?,
            Err(error) => refuse(&line, format!("the line is not a JSON string: {error}"), output)?,
        };
    }
}

/// Reports a line that holds no input to parse, in the form of one that does.
fn refuse(line: &[u8], error: String, output: &mut dyn Write) -> io::Result<bool> {
    let input = String::from_utf8_lossy(line);
    write(&Line { input: &input, ok: false, error: Some(error), parts: None }, output)
}

fn write(line: &Line<'_>, output: &mut dyn Write) -> io::Result<bool> {
    serde_json::to_writer(&mut *output, line)?;
    output.write_all(b"\n")?;
    Ok(line.ok)
}
