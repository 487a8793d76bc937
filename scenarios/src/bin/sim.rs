//! The search for races, from the command line; `cargo xtask sim` builds and runs it.

#![expect(clippy::print_stdout, reason = "a command line prints its findings")]

use std::process::ExitCode;
use std::time::Duration;

use scenarios::{Strategy, run_seed, shrink, workload_of};

/// Seeds that are tried where nothing else ends the search.
const SEEDS: u64 = 10_000;

/// Of so many seeds one is run twice.
const TWICE_EVERY: u64 = 50;

struct Arguments {
    seed: Option<u64>,
    start: u64,
    seeds: u64,
    limit: Option<Duration>,
    strategy: Strategy,
    /// One line instead of a story, for a program that reads it.
    brief: bool,
}

const USAGE: &str = "usage: sim [--seed N | --start N] [--seeds N] [--minutes M | --seconds S] \
     [--strategy random|priorities|labels|mixed] [--brief yes]";

/// Real time: a fresh start for each search, its rate, and its end.
#[expect(clippy::disallowed_methods, reason = "the search runs in real time, what it runs does not")]
fn clock() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn arguments() -> Result<Arguments, String> {
    let fresh = u64::from(clock().subsec_nanos()) << 20 | clock().as_secs() & 0xf_ffff;
    let mut parsed = Arguments {
        seed: None,
        start: fresh,
        seeds: SEEDS,
        limit: None,
        strategy: Strategy::Mixed,
        brief: false,
    };
    let mut seeds = None;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word} {value}: not a number\n{USAGE}"));
        match word.as_str() {
            "--seed" => parsed.seed = Some(number()?),
            "--start" => parsed.start = number()?,
            "--seeds" => seeds = Some(number()?),
            "--minutes" => parsed.limit = Some(Duration::from_secs(number()?.saturating_mul(60))),
            "--seconds" => parsed.limit = Some(Duration::from_secs(number()?)),
            "--brief" => parsed.brief = value == "yes",
            "--strategy" => {
                let named = Strategy::ALL.into_iter().find(|strategy| strategy.name() == value);
                parsed.strategy = named.ok_or_else(|| format!("no strategy is called {value}\n{USAGE}"))?;
            }
            _ => return Err(format!("unknown argument {word}\n{USAGE}")),
        }
    }
    parsed.seeds = seeds.unwrap_or(if parsed.limit.is_some() { u64::MAX } else { SEEDS });
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
        None if arguments.brief => search_briefly(&arguments),
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

/// How many seeds were tried, and how long that took.
struct Tried {
    seeds: u64,
    took: Duration,
    /// The one that failed.
    failed: Option<u64>,
}

fn try_seeds(arguments: &Arguments) -> Tried {
    let began = clock();
    let mut made = 0;
    while made < arguments.seeds && arguments.limit.is_none_or(|limit| clock() - began < limit) {
        let seed = arguments.start.wrapping_add(made);
        made += 1;
        let played = run_seed(seed, arguments.strategy);
        if played.outcome.is_err() {
            return Tried { seeds: made, took: clock() - began, failed: Some(seed) };
        }
        // What is not the same twice cannot be replayed, and no finding would be worth anything.
        assert!(
            !made.is_multiple_of(TWICE_EVERY) || run_seed(seed, arguments.strategy) == played,
            "seed {seed} ({}) gives another run the second time",
            arguments.strategy.name()
        );
    }
    Tried { seeds: made, took: clock() - began, failed: None }
}

fn search_briefly(arguments: &Arguments) -> ExitCode {
    let Tried { seeds, took, failed } = try_seeds(arguments);
    let outcome = if failed.is_some() { "failed after" } else { "passed" };
    println!("{outcome} {seeds} seeds, {:.2} s", took.as_secs_f64());
    ExitCode::SUCCESS
}

fn search(arguments: &Arguments) -> ExitCode {
    let strategy = arguments.strategy;
    println!("searching from seed {} ({})", arguments.start, strategy.name());
    let Tried { seeds, took, failed } = try_seeds(arguments);
    let seconds = took.as_secs_f64();
    let rate = seeds as f64 / seconds;
    let Some(seed) = failed else {
        println!("{seeds} seeds, all good, {seconds:.1} s, {rate:.0} seeds/s");
        return ExitCode::SUCCESS;
    };
    println!(
        "seed {seed} fails, the {seeds}. of this search, after {seconds:.2} s ({rate:.0} seeds/s); shrinking"
    );
    let story = shrink(seed, strategy);
    println!("{story}");
    println!(
        "shrunk from {} operations to {} in {} runs",
        workload_of(seed).operations(),
        story.workload.operations(),
        story.attempts
    );
    println!("replay: cargo xtask sim --seed {seed} --strategy {}", strategy.name());
    ExitCode::FAILURE
}
