//! Whether the search finds what it is for: bugs that are planted into a copy of the workspace, one at a time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::cargo::{cargo, root, target};
use crate::step::{output, run as command, step};

/// Seeds after which a search gives up.
pub(super) const SEEDS_MAX: u64 = 5_000;
/// Searches of each bug by each strategy, each from a seed of its own; an odd number, so that there is a median.
const SEARCHES: u64 = 5;
/// Between the first seeds of two searches.
const STRIDE: u64 = 1_000_000;

const STRATEGIES: [&str; 3] = ["random", "priorities", "labels"];

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Search {
    /// Seeds until the first that failed; `None` where none did.
    seeds: Option<u64>,
    seconds: f64,
}

/// Plants each bug whose name contains `filter`, searches for it, and prints the table of `sim/README.md`.
///
/// # Errors
/// Where a patch does not fit any more, a copy does not build, or a bug is found by no strategy.
#[expect(clippy::print_stdout, reason = "the table is what this is for")]
pub(super) fn run(filter: &str, seeds_max: u64) -> anyhow::Result<()> {
    let patches = patches(filter)?;
    ensure!(!patches.is_empty(), "no patch in scenarios/planted has `{filter}` in its name");
    println!("Medians of {SEARCHES} searches: seeds until the first that fails, and seconds.\n");
    println!("| planted bug | random: seeds | s | priorities: seeds | s | labels: seeds | s |");
    println!("|---|---|---|---|---|---|---|");
    let mut missed = Vec::new();
    for patch in &patches {
        let name = name(patch);
        let program = step(&format!("plant {name}"), || plant(patch))?;
        let mut row = format!("| `{name}` |");
        let mut is_found = false;
        for strategy in STRATEGIES {
            let median =
                step(&format!("search for {name} ({strategy})"), || median(&program, strategy, seeds_max))?;
            is_found |= median.seeds.is_some();
            row += &match median {
                Search { seeds: Some(seeds), seconds } => format!(" {seeds} | {seconds:.2} |"),
                Search { seeds: None, seconds } => format!(" not in {seeds_max} | {seconds:.0} |"),
            };
        }
        if !is_found {
            missed.push(name);
        }
        println!("{row}");
    }
    ensure!(missed.is_empty(), "found by no strategy: {}", missed.join(", "));
    Ok(())
}

/// The patches, in the order of their names.
fn patches(filter: &str) -> anyhow::Result<Vec<PathBuf>> {
    let folder = root().join("scenarios").join("planted");
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "patch") && name(&path).contains(filter) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn name(patch: &Path) -> String {
    patch.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Builds the search with `patch` in the product.
fn plant(patch: &Path) -> anyhow::Result<PathBuf> {
    let copy = target().join("planted").join("source");
    copy_workspace(&copy)?;
    let mut apply = Command::new("git");
    // The copy lies in the repository's folder, but git must not take it for a part of it.
    apply.current_dir(&copy).env("GIT_CEILING_DIRECTORIES", target().join("planted")).arg("apply").arg(patch);
    command(&mut apply)?;
    let mut build = cargo()?;
    // One target folder for all, so that the dependencies are built once; and no optimisation across crates, which would
    // take minutes for each bug.
    let built = target().join("planted").join("target");
    build.current_dir(&copy).env("CARGO_TARGET_DIR", &built);
    build.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    command(build.args(["build", "--locked", "--release", "--package", "scenarios", "--bin", "sim"]))?;
    let program = target().join("planted").join(name(patch));
    fs::copy(built.join("release").join("sim"), &program)?;
    Ok(program)
}

/// Copies every file that git knows or would add, and removes all others from the copy. One that is there already with the
/// same bytes is left alone, so that cargo builds only what differs.
fn copy_workspace(into: &Path) -> anyhow::Result<()> {
    let listing = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let files = output(Command::new("git").current_dir(root()).args(listing))?;
    let files: BTreeSet<&Path> = files.split('\0').filter(|file| !file.is_empty()).map(Path::new).collect();
    remove_others(into, Path::new(""), &files)?;
    for file in files {
        let (from, to) = (root().join(file), into.join(file));
        let Ok(bytes) = fs::read(&from) else { continue };
        if fs::read(&to).is_ok_and(|present| present == bytes) {
            continue;
        }
        fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
        fs::write(&to, bytes).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

/// Removes the files below `directory` of `copy` that are not among `files`.
fn remove_others(copy: &Path, directory: &Path, files: &BTreeSet<&Path>) -> anyhow::Result<()> {
    let Ok(entries) = fs::read_dir(copy.join(directory)) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let path = directory.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            remove_others(copy, &path, files)?;
        } else if !files.contains(path.as_path()) {
            fs::remove_file(copy.join(&path)).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn median(program: &Path, strategy: &str, seeds_max: u64) -> anyhow::Result<Search> {
    let mut searches: Vec<Search> = Vec::new();
    for number in 0..SEARCHES {
        searches.push(search(program, strategy, 1 + number * STRIDE, seeds_max)?);
        let missed: Vec<&Search> = searches.iter().filter(|search| search.seeds.is_none()).collect();
        if let [.., last] = missed.as_slice()
            && missed.len() as u64 > SEARCHES / 2
        {
            return Ok(**last);
        }
    }
    searches.sort_by_key(|search| search.seeds.unwrap_or(u64::MAX));
    let middle = searches.len() / 2;
    searches.into_iter().nth(middle).context("there is a middle one of an odd number")
}

fn search(program: &Path, strategy: &str, start: u64, seeds_max: u64) -> anyhow::Result<Search> {
    let (start, seeds) = (start.to_string(), seeds_max.to_string());
    let words = ["--start", &start, "--seeds", &seeds, "--strategy", strategy, "--brief", "yes"];
    let output = Command::new(program).args(words).output().context("cannot start the search")?;
    let text = String::from_utf8_lossy(&output.stdout);
    match read(&text) {
        Some(search) => Ok(search),
        None => bail!("the search printed `{}`", text.trim()),
    }
}

/// Reads `failed after N seeds, S s` or `passed N seeds, S s`.
fn read(text: &str) -> Option<Search> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["failed", "after", seeds, "seeds,", seconds, "s"] => {
            Some(Search { seeds: Some(seeds.parse().ok()?), seconds: seconds.parse().ok()? })
        }
        ["passed", _, "seeds,", seconds, "s"] => Some(Search { seeds: None, seconds: seconds.parse().ok()? }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_search_prints_is_read() {
        assert_eq!(read("failed after 12 seeds, 0.25 s\n"), Some(Search { seeds: Some(12), seconds: 0.25 }));
        assert_eq!(read("passed 5000 seeds, 25.10 s\n"), Some(Search { seeds: None, seconds: 25.1 }));
        assert_eq!(read("searching from seed 1"), None);
    }

    #[test]
    fn a_file_that_vanished_does_not_stay_in_the_copy() {
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir_all(copy.path().join("src")).unwrap();
        for file in ["src/kept.rs", "src/vanished.rs", "vanished.toml"] {
            fs::write(copy.path().join(file), "").unwrap();
        }
        remove_others(copy.path(), Path::new(""), &BTreeSet::from([Path::new("src/kept.rs")])).unwrap();
        let is_there = |file: &str| copy.path().join(file).exists();
        assert!(is_there("src/kept.rs") && !is_there("src/vanished.rs") && !is_there("vanished.toml"));
    }

    /// Each patch still fits the code, or nobody would know that the table has become wrong.
    #[test]
    fn every_planted_bug_fits_the_code() {
        let patches = patches("").unwrap();
        assert!(patches.len() >= 10, "{patches:?}");
        for patch in patches {
            let words = ["apply", "--check"];
            command(Command::new("git").current_dir(root()).args(words).arg(&patch)).unwrap();
        }
    }
}
