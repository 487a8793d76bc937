//! Rules for manifests: one lint table, one place for versions, and the direction of dependencies.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;

/// What each of our crates may build on. A new edge is a decision about the cut: write it here and in ARCHITECTURE.md.
const MAY_DEPEND_ON: [(&str, &[&str]); 18] = [
    ("api-listing", &[]),
    ("auth", &["refparse"]),
    (
        "benches",
        &["auth", "containerd", "imagestore", "layer", "oci", "puller", "refparse", "registry", "sim"],
    ),
    ("containerd", &["cri-api", "oci", "refparse"]),
    ("cri-api", &[]),
    (
        "cri-server",
        &["auth", "containerd", "cri-api", "imagestore", "layer", "oci", "puller", "refparse", "registry"],
    ),
    ("imagestore", &["containerd", "oci", "refparse"]),
    ("inflate", &[]),
    ("layer", &["inflate", "oci", "refparse"]),
    // Writes what `layer` reads, and reads what it wrote.
    ("layer-testing", &["layer"]),
    ("oci", &["refparse"]),
    ("puller", &["auth", "containerd", "imagestore", "layer", "oci", "refparse", "registry"]),
    ("refparse", &[]),
    ("registry", &["auth", "oci", "refparse"]),
    // The product in the simulator's world.
    ("scenarios", &["auth", "containerd", "imagestore", "oci", "puller", "refparse", "registry", "sim"]),
    // What is tested must not be what it is tested with: a shared mistake would cancel out.
    ("sim", &[]),
    // Judges the daemon by its sockets alone.
    ("tests", &["sim"]),
    // It brings `protoc` to the others, so nothing of theirs may be needed to build it.
    ("xtask", &[]),
];

/// The one crate that may not use a crate of ours in its tests either.
const STRICT: &str = "sim";

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let sections = sections(text);
    let Some(package) = sections.get("package") else { return Vec::new() };
    // A package of its own, with its own workspace table, is outside of the rules.
    if sections.contains_key("workspace") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if sections.get("lints").is_none_or(|lines| !lines.contains(&"workspace = true")) {
        findings.push(format!("{path}: `[lints] workspace = true` is missing: one lint table for all"));
    }
    let name =
        package.iter().find_map(|line| line.strip_prefix("name = ")).unwrap_or_default().trim_matches('"');
    let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(package, _)| *package == name) else {
        findings.push(format!("{path}: `{name}` is not in xtask's table of allowed dependencies"));
        return findings;
    };
    let ours: BTreeSet<&str> = MAY_DEPEND_ON.iter().map(|(package, _)| *package).collect();
    for (section, lines) in &sections {
        if !section.ends_with("dependencies") {
            continue;
        }
        for line in lines {
            let dependency = line.split([' ', '.', '=']).next().unwrap_or_default();
            if !line.contains("workspace = true") {
                findings.push(format!(
                    "{path}: `{dependency}` is not taken from the workspace: versions stand once"
                ));
            }
            let is_judged = !section.ends_with("dev-dependencies") || name == STRICT;
            if is_judged && ours.contains(dependency) && !allowed.contains(&dependency) {
                findings.push(format!("{path}: `{name}` must not depend on `{dependency}`"));
            }
        }
    }
    findings
}

/// Section names to their lines, without comments. Manifests here keep each dependency on one line.
fn sections(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut current = "";
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(name) => {
                current = name.trim_matches(['[', ']']);
                sections.entry(current).or_default();
            }
            None => sections.entry(current).or_default().push(line),
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::check;

    fn manifest(name: &str, dependencies: &str) -> String {
        format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n{dependencies}")
    }

    #[test]
    fn each_rule_is_noticed() {
        let count = |name, dependencies| check("Cargo.toml", &manifest(name, dependencies)).len();
        assert_eq!(count("registry", "[dependencies]\nauth.workspace = true\n"), 0);
        assert_eq!(count("registry", "[dependencies]\ncontainerd.workspace = true\n"), 1);
        assert_eq!(count("registry", "[dependencies]\nhttp = \"1\"\n"), 1);
        assert_eq!(count("refparse", "[dev-dependencies]\nauth.workspace = true\n"), 0);
        assert_eq!(count("sim", "[dev-dependencies]\nauth.workspace = true\n"), 1);
        assert_eq!(count("unheard-of", ""), 1);
        assert_eq!(check("Cargo.toml", "[package]\nname = \"oci\"\n").len(), 1);
    }
}
