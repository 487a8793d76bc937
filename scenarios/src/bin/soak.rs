//! Thousands of pulls from a registry that misbehaves, from the command line; `cargo xtask soak network` builds and runs it.

#![expect(clippy::print_stdout, reason = "a command line prints its findings")]

use std::process::ExitCode;

use scenarios::{Unpacking, soak};

const USAGE: &str = "usage: soak SEED FIRST PULLS";

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [seed, first, pulls] = numbers[..] else {
        println!("{USAGE}");
        return ExitCode::FAILURE;
    };
    for unpacking in Unpacking::ALL {
        match soak(unpacking, seed, first, pulls) {
            Ok(soaked) => println!(
                "{unpacking:?}: {pulls} pulls, {} with the image, {} with an error, the longest {:?} of simulated time; \
                 nothing is left",
                soaked.pulled, soaked.failed, soaked.longest
            ),
            Err(violation) => {
                println!("{unpacking:?}: broken: {violation}");
                println!("replay: cargo xtask soak network --seed {seed} --first NUMBER --pulls 1");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
