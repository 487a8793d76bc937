//! The search for races, from the command line: `sim [--seed N] [--seeds N] [--minutes M] [--start N] [--strategy S]`.

#![expect(clippy::print_stdout, reason = "a command line prints its findings")]

use std::process::ExitCode;
use std::time::Duration;

use scenarios::{Strategy, run_seed, shrink, workload_of};

struct Arguments {
    seed: Option<u64>,
    start: u64,
    seeds: u64,
    limit: Option<Duration>,
    strategy: Strategy,
}

const USAGE: &str =
    "usage: sim [--seed N | --start N] [--seeds N] [--minutes M] [--strategy random|priorities|labels|mixed]";

/// Real time: a fresh start for each search, its rate, and its end.
#[expect(clippy::disallowed_methods, reason = "the search runs in real time, what it runs does not")]
fn clock() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn arguments() -> Result<Arguments, String> {
    let fresh = u64::from(clock().subsec_nanos()) << 20 | clock().as_secs() & 0xf_ffff;
    let mut parsed =
        Arguments { seed: None, start: fresh, seeds: 10_000, limit: None, strategy: Strategy::Mixed };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word} {value}: not a number\n{USAGE}"));
        match word.as_str() {
            "--seed" => parsed.seed = Some(number()?),
            "--start" => parsed.start = number()?,
            "--seeds" => parsed.seeds = number()?,
            "--minutes" => {
                parsed.limit = Some(Duration::from_secs(60 * number()?));
                parsed.seeds = u64::MAX;
            }
            "--strategy" => {
                let named = Strategy::ALL.into_iter().find(|strategy| strategy.name() == value);
                parsed.strategy = named.ok_or_else(|| format!("no strategy is called {value}\n{USAGE}"))?;
            }
            _ => return Err(format!("unknown argument {word}\n{USAGE}")),
        }
    }
    Ok(parsed)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(message) => {
            println!("{message}");
            return ExitCode::FAILURE;
        }
    };
    match arguments.seed {
        Some(seed) => replay(seed, arguments.strategy),
        None => search(&arguments),
    }
}

fn replay(seed: u64, strategy: Strategy) -> ExitCode {
    let played = run_seed(seed, strategy);
    println!("{}", workload_of(seed));
    for line in &played.log {
        println!("{line}");
    }
    match played.outcome {
        Ok(()) => {
            println!("seed {seed}: nothing is wrong");
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("seed {seed}: broken: {violation}");
            ExitCode::FAILURE
        }
    }
}

fn search(arguments: &Arguments) -> ExitCode {
    let Arguments { start, seeds, limit, strategy, .. } = arguments;
    println!("searching from seed {start} ({})", strategy.name());
    let began = clock();
    let mut made = 0u64;
    while made < *seeds && limit.is_none_or(|limit| clock() - began < limit) {
        let seed = start.wrapping_add(made);
        made += 1;
        if run_seed(seed, *strategy).outcome.is_ok() {
            continue;
        }
        let took = clock() - began;
        println!(
            "seed {seed} fails, the {made}. of this search, after {:.2} s; shrinking",
            took.as_secs_f64()
        );
        let story = shrink(seed, *strategy);
        println!("{story}");
        println!(
            "shrunk from {} operations to {} in {} runs",
            workload_of(seed).operations(),
            story.workload.operations(),
            story.attempts
        );
        println!("replay: cargo xtask sim --seed {seed} --strategy {}", strategy.name());
        return ExitCode::FAILURE;
    }
    let took = clock() - began;
    println!(
        "{made} seeds, all good, {:.1} s, {:.0} seeds/s",
        took.as_secs_f64(),
        made as f64 / took.as_secs_f64()
    );
    ExitCode::SUCCESS
}
