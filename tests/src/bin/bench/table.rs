//! What is printed.

#![expect(clippy::print_stdout, reason = "the table is what the bench is for")]
#![expect(clippy::print_stderr, reason = "the progress of a developer task")]

use crate::figures::{Figures, megabytes};
use crate::outcome::Outcome;
use crate::report;

/// The processes in the order of their columns.
const CPU: [&str; 4] = ["containerd", "cri-imaged", "registry", "pipeline"];
const PEAK: [&str; 2] = ["containerd", "cri-imaged"];

/// A line about what is going on.
pub(crate) fn progress(text: &str) {
    eprintln!("    {text}");
}

/// What containerd and the limit inflate with, and what the machine does besides.
pub(crate) fn conditions(gunzip: &str, with_igzip: bool) {
    let containerd = match with_igzip {
        true => "its own, or igzip or unpigz where it knows and finds them",
        false => "its own (igzip and unpigz are switched off; `containerd-tuned` has igzip)",
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("machine: {cores} cores, load before {:.1}", report::load());
    println!("gzip: the limit inflates with {gunzip}; containerd with {containerd}");
}

/// The medians of one image and what they are to each other.
pub(crate) fn print(outcome: &Outcome) {
    let image = &outcome.image;
    println!(
        "\n{}: {} layer{}, {:.1} MB compressed, {:.1} MB, {} files; containerd {}; medians of {}",
        image.shape.name,
        image.layers.len(),
        if image.layers.len() == 1 { "" } else { "s" },
        megabytes(image.compressed_bytes()),
        megabytes(image.bytes()),
        image.files(),
        outcome.release,
        outcome.count(),
    );
    println!(
        "{:26}{:>8}{:>8}  = {}{:>9}{}{:>11}",
        "",
        "wall s",
        "CPU s",
        names(&CPU),
        "peak MB",
        names(&PEAK),
        "written MB"
    );
    for (contestant, figures) in outcome.medians() {
        println!("{:26}{}", contestant.name(), row(&figures));
    }
    for ratio in outcome.ratios() {
        let name = format!("{} / {}", ratio.of.name(), ratio.to.name());
        // The limit's programs have no peak that would mean anything.
        let peak = if ratio.peak.is_finite() { format!("{:.2}", ratio.peak) } else { "-".to_owned() };
        let (cpu, peaks) = ("", "");
        println!(
            "{name:26}{:>8.2}{:>8.2}    {cpu:48}{peak:>9}{peaks:24}{:>11.2}",
            ratio.wall, ratio.cpu, ratio.written
        );
    }
}

fn names(all: &[&str]) -> String {
    all.iter().map(|name| format!("{name:>12}")).collect()
}

fn row(figures: &Figures) -> String {
    let cells = |all: &[&str], number: &dyn Fn(&str) -> Option<String>| -> String {
        all.iter().map(|name| format!("{:>12}", number(name).unwrap_or_else(|| "-".to_owned()))).collect()
    };
    let cpu = cells(&CPU, &|name| figures.cpu_s_of.get(name).map(|cpu| format!("{cpu:.2}")));
    let peaks = cells(&PEAK, &|name| figures.peak_mb_of.get(name).map(|peak| format!("{peak:.0}")));
    let peak = if figures.peak_mb() > 0.0 { format!("{:.0}", figures.peak_mb()) } else { "-".to_owned() };
    let (wall, total, written) = (figures.wall_s, figures.cpu_s, figures.written_mb);
    format!("{wall:>8.2}{total:>8.2}    {cpu}{peak:>9}{peaks}{written:>11.1}")
}
