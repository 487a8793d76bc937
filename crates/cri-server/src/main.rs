//! The program `cri-imaged`. What it does stands in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    cri_server::run(std::env::args_os()).into()
}
