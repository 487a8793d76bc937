//! What is printed.

#![expect(clippy::print_stdout, reason = "the table is what the bench is for")]

use super::outcome::Outcome;
use crate::report;

/// What of an error fits.
const ERROR_CHARACTERS: usize = 160;

/// What the machine does besides.
pub(crate) fn conditions() {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("machine: {cores} cores, load before {:.1}", report::load());
}

/// The medians of one case, and what they are to each other.
pub(crate) fn print(outcome: &Outcome) {
    let scale = if outcome.scale == 100 { String::new() } else { format!(" (sizes × {} %)", outcome.scale) };
    println!("\n{}: {}{scale}; containerd {}", outcome.case.name(), outcome.case.about(), outcome.release);
    println!(
        "{:26}{:>8}{:>9}{:>9}{:>9}{:>14}{:>7}{:>9}",
        "", "wall s", "alone s", "added s", "× alone", "sent ÷ image", "harms", "pulled"
    );
    let rows = outcome.rows();
    for row in &rows {
        println!(
            "{:26}{:>8}{:>9}{:>9}{:>9}{:>14}{:>7}{:>9}",
            row.contestant.name(),
            number(row.wall_s),
            number(row.alone_s),
            number(row.added_s),
            number(row.times_alone),
            number(row.sent),
            row.harms,
            format!("{}/{}", row.pulled, row.turns),
        );
    }
    for (of, to, wall) in outcome.ratios() {
        println!("{:26}{wall:>8.2}", format!("{} / {}", of.name(), to.name()));
    }
    for row in &rows {
        if let Some(error) = &row.error {
            let error: String = error.chars().take(ERROR_CHARACTERS).collect();
            println!("{}: {error}", row.contestant.name());
        }
    }
}

fn number(number: Option<f64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.2}"))
}
