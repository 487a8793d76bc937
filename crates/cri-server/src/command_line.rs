//! The commands and flags of `cri-imaged`, and which function does each.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::check::{self, CheckArgs};
use crate::client::{self, ClientArgs};
use crate::config::{Config, DEFAULT_TOML, Flags};
use crate::exit::{Exit, explain};
use crate::serve::{self, ServeArgs};
use crate::{print, reference};

/// Serves the images of a Kubernetes node: the CRI ImageService, beside a containerd
#[derive(Debug, Parser)]
#[command(name = "cri-imaged", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve(Box<ServeArgs>),
    /// Pull an image through the daemon and print its id
    Pull {
        /// Reference of the image
        #[arg(value_name = "REF")]
        reference: String,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// List the daemon's images
    Images {
        /// Only this image, by reference or id
        #[arg(value_name = "REF")]
        filter: Option<String>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show one image; exit code 1 where it is absent
    Status {
        /// Reference or id of the image
        #[arg(value_name = "REF")]
        reference: String,
        /// Show what else the daemon knows of it
        #[arg(long, short)]
        verbose: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Remove images, each under all its names; absent ones are no error
    Rm {
        /// References or ids of the images
        #[arg(value_name = "REF", required = true)]
        references: Vec<String>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show which hosts a pull would ask, how and with whose credentials; exit code 1 where it could not work
    Check(CheckArgs),
    /// Print the normalized forms of references, one JSON object a line
    Reference {
        /// References; `-` reads one JSON string a line from standard input
        #[arg(value_name = "REF", required = true)]
        references: Vec<String>,
    },
    /// Print or check a configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print a configuration file with every key and its default
    Default,
    /// Report everything that is wrong with a configuration file
    Check {
        /// The file [default: /etc/cri-imaged/config.toml, where it exists]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// Runs the command that `arguments`, the program's name first, ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    match CommandLine::try_parse_from(arguments) {
        Ok(command_line) => dispatch(command_line.command),
        Err(error) => {
            // Help and version are errors to clap, which tells them apart by where they are printed. Its own exit
            // code for the others, 2, is not ours.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print();
            exit
        }
    }
}

fn dispatch(command: Command) -> Exit {
    match command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Pull { reference, client } => client::run(&client, client::Command::Pull(reference)),
        Command::Images { filter, client } => client::run(&client, client::Command::Images(filter)),
        Command::Status { reference, verbose, client } => {
            client::run(&client, client::Command::Status { reference, verbose })
        }
        Command::Rm { references, client } => client::run(&client, client::Command::Remove(references)),
        Command::Check(arguments) => check::run(&arguments),
        Command::Reference { references } => print::to_stdout(|output| {
            let inputs = references.iter().map(String::as_str);
            let all_parsed = reference::reference(inputs, &mut io::stdin().lock(), output)?;
            Ok(if all_parsed { Exit::Done } else { Exit::Failed })
        }),
        Command::Config(ConfigCommand::Default) => print::to_stdout(|output| {
            output.write_all(DEFAULT_TOML.as_bytes())?;
            Ok(Exit::Done)
        }),
        Command::Config(ConfigCommand::Check { file }) => check_config(file),
    }
}

fn check_config(file: Option<PathBuf>) -> Exit {
    match Config::load(&Flags { config: file, ..Flags::default() }) {
        Ok(_) => Exit::Done,
        Err(errors) => {
            explain(&errors);
            Exit::Usage
        }
    }
}
