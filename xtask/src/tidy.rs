//! `cargo xtask tidy`: the rules of this repository that no other tool checks, each with the reason it exists.

mod manifests;
mod promises;
mod sources;

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::cargo::root;
use crate::step::output;

/// One broken rule: where, and what to do about it.
type Finding = String;

pub(crate) fn run() -> anyhow::Result<()> {
    let findings = findings(root())?;
    if !findings.is_empty() {
        bail!("{} findings:\n{}", findings.len(), findings.join("\n"));
    }
    Ok(())
}

fn findings(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut functions = promises::Functions::default();
    for path in files(root)? {
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_source = name.ends_with(".rs");
        if !is_source && name != "Cargo.toml" {
            continue;
        }
        // A file that git still lists may be deleted in the work tree.
        let Ok(text) = std::fs::read_to_string(root.join(&path)) else { continue };
        match is_source {
            true => {
                functions.read(&path, &text);
                findings.extend(sources::check(&path, &text));
            }
            false => findings.extend(manifests::check(&path, &text)),
        }
    }
    let specification = std::fs::read_to_string(root.join(promises::FILE)).unwrap_or_default();
    findings.extend(promises::check(&specification, &functions));
    Ok(findings)
}

/// What git tracks and what it would track: the build's output is neither.
fn files(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut git = std::process::Command::new("git");
    git.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let listed = output(&mut git).context("the rules are checked in a git checkout")?;
    Ok(listed.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_repository_is_tidy() {
        let findings = super::findings(crate::cargo::root()).expect("the checkout is readable");
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }
}
