//! Platforms: normal form, and which entry of an index a host takes.
//!
//! The rules are those of `github.com/containerd/platforms` 1.0 (`Normalize`, `Only`), because containerd's CRI
//! plugin reads our images with them: another choice here would give an image id that the plugin does not see.

use serde::Deserialize;

use crate::Descriptor;
use crate::lenient::null_default;

/// Operating system, architecture and variant, as Go names them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct Platform {
    /// `linux`.
    #[serde(default, deserialize_with = "null_default")]
    pub os: String,
    /// `amd64`, `arm64`, `arm`, `386`, `ppc64le`, `s390x`, `riscv64`, …
    #[serde(default, deserialize_with = "null_default")]
    pub architecture: String,
    /// `v7` on arm; mostly empty.
    #[serde(default, deserialize_with = "null_default")]
    pub variant: String,
    /// Features that the host must have. No host that this daemon serves has any.
    #[serde(rename = "os.features", default, deserialize_with = "null_default")]
    pub os_features: Vec<String>,
}

impl Platform {
    /// A platform without features, as written.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Platform {
        Platform {
            os: os.into(),
            architecture: architecture.into(),
            variant: variant.into(),
            os_features: Vec::new(),
        }
    }

    /// The platform that this process runs on.
    pub fn host() -> Platform {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            "loongarch64" => "loong64",
            other => other,
        };
        let variant = if architecture == "arm" { arm_variant() } else { String::new() };
        Platform::new("linux", architecture, &variant)
    }

    /// The form in which platforms are compared: Go's names, lower case, default variants left out or filled in.
    #[must_use]
    pub fn normalized(&self) -> Platform {
        let os = match self.os.to_ascii_lowercase().as_str() {
            "" => "linux".to_owned(),
            "macos" => "darwin".to_owned(),
            _ => self.os.to_ascii_lowercase(),
        };
        let variant = self.variant.to_ascii_lowercase();
        let architecture = self.architecture.to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", other) => ("amd64", other),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
            ("aarch64", other) => ("arm64", other),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("arm", "" | "7") => ("arm", "v7"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "6") => ("arm", "v6"),
            ("arm", "8") => ("arm", "v8"),
            (architecture, variant) => (architecture, variant),
        };
        Platform { os_features: self.os_features.clone(), ..Platform::new(&os, architecture, variant) }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

/// `v5` to `v8` from the kernel's word; unreadable counts as `v7`, the normal form of a bare `arm`.
fn arm_variant() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let version: String = field("cpu architecture").unwrap_or_default().chars().take(1).collect();
    // A Raspberry Pi with an ARMv6 core reports architecture 7.
    let is_v6 = field("model name").is_some_and(|m| m.to_ascii_lowercase().starts_with("armv6-compatible"));
    match version.as_str() {
        "7" if is_v6 => "v6".to_owned(),
        "5" | "6" | "7" | "8" => format!("v{version}"),
        _ => "v7".to_owned(),
    }
}

/// Which platforms a host runs, best first.
#[derive(Clone, Debug)]
pub struct PlatformMatcher {
    ranked: Vec<Platform>,
}

impl PlatformMatcher {
    /// What a host of `platform` runs: itself, then the lesser variants and the 32-bit architecture that the same
    /// processor executes (`amd64` runs `386`; `arm64` runs older `arm64` and then `arm` v8 to v5).
    pub fn only(platform: Platform) -> PlatformMatcher {
        let platform = platform.normalized();
        let os = platform.os.clone();
        let of =
            |architecture: &str, variant: String| Platform::new(&os, architecture, &variant).normalized();
        let number = platform.variant.trim_start_matches('v').parse::<u8>().ok();
        let mut ranked = Vec::new();
        match platform.architecture.as_str() {
            "amd64" => {
                ranked.push(platform.clone());
                for lesser in (1..number.unwrap_or(1)).rev() {
                    ranked.push(of("amd64", format!("v{lesser}")));
                }
                ranked.push(of("386", String::new()));
            }
            "arm" => {
                ranked.push(platform.clone());
                for lesser in (5..number.unwrap_or(5)).rev() {
                    ranked.push(of("arm", format!("v{lesser}")));
                }
            }
            "arm64" => {
                for variant in arm64_variants(&platform.variant) {
                    ranked.push(of("arm64", variant));
                }
                for lesser in (5..=8).rev() {
                    ranked.push(of("arm", format!("v{lesser}")));
                }
            }
            _ => ranked.push(platform.clone()),
        }
        PlatformMatcher { ranked }
    }

    /// [`PlatformMatcher::only`] of the host.
    pub fn host() -> PlatformMatcher {
        PlatformMatcher::only(Platform::host())
    }

    /// The platform that was asked for.
    pub fn platform(&self) -> &Platform {
        // `only` pushes at least one platform on each of its branches; the fallback keeps the accessor total.
        static NONE: Platform = Platform {
            os: String::new(),
            architecture: String::new(),
            variant: String::new(),
            os_features: Vec::new(),
        };
        self.ranked.first().unwrap_or(&NONE)
    }

    /// Whether the host runs `platform`.
    pub fn matches(&self, platform: &Platform) -> bool {
        self.rank(platform).is_some()
    }

    /// The entry of an index that the host takes: the best platform, the earliest among equals. An entry without a
    /// platform comes after all that have a fitting one; whether it fits, only its config says.
    pub fn select<'a>(&self, entries: &'a [Descriptor]) -> Option<&'a Descriptor> {
        entries
            .iter()
            .filter_map(|entry| match &entry.platform {
                Some(platform) => self.rank(platform).map(|rank| (rank, entry)),
                None => Some((usize::MAX, entry)),
            })
            // `min_by_key` keeps the first of equals, as a stable sort does.
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, entry)| entry)
    }

    fn rank(&self, platform: &Platform) -> Option<usize> {
        let platform = platform.normalized();
        self.ranked.iter().position(|candidate| *candidate == platform)
    }
}

/// `arm64` variants from the host's down: v9.x runs v9.0 to v9.x and v8.0 to v8.(x+5), v8.x runs v8.0 to v8.x
/// (Arm Architecture Reference Manual, "Armv9-A extends Armv8.5-A"). An unknown variant runs none.
fn arm64_variants(variant: &str) -> Vec<String> {
    let variant = if variant.is_empty() { "v8" } else { variant };
    let (major, minor) =
        variant.trim_start_matches('v').split_once('.').unwrap_or((variant.trim_start_matches('v'), "0"));
    let Ok(minor) = minor.parse::<u8>() else { return Vec::new() };
    let down = |major: u8, from: u8| {
        (0..=from).rev().map(move |m| if m == 0 { format!("v{major}") } else { format!("v{major}.{m}") })
    };
    match major {
        "8" if minor <= 9 => down(8, minor).collect(),
        "9" if minor <= 7 => down(9, minor).chain(down(8, (minor + 5).min(9))).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, platform: Option<Platform>) -> Descriptor {
        let mut descriptor =
            Descriptor::new("application/vnd.oci.image.manifest.v1+json", crate::sha256(b""), number);
        descriptor.platform = platform;
        descriptor
    }

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/');
        let mut next = || parts.next().unwrap_or_default().to_owned();
        Platform { os: next(), architecture: next(), variant: next(), os_features: Vec::new() }
    }

    #[track_caller]
    fn check(host: &str, index: &[&str], expected: Option<usize>) {
        let entries: Vec<Descriptor> = index
            .iter()
            .zip(0..)
            .map(|(text, number)| entry(number, (*text != "-").then(|| platform(text))))
            .collect();
        let got = PlatformMatcher::only(platform(host)).select(&entries).map(|d| d.size);
        assert_eq!(got, expected.map(|e| e as u64), "{host} of {index:?}");
    }

    #[test]
    fn a_host_takes_what_containerd_would_take() {
        check("linux/amd64", &["linux/arm64", "linux/amd64"], Some(1));
        check("linux/amd64", &["linux/386", "linux/amd64"], Some(1));
        check("linux/amd64", &["linux/386"], Some(0));
        check("linux/amd64", &["linux/amd64/v2"], None);
        check("linux/amd64", &["linux/amd64/v1"], Some(0));
        check("linux/x86_64", &["linux/amd64"], Some(0));
        check("linux/amd64/v3", &["linux/amd64", "linux/amd64/v2"], Some(1));
        check("linux/arm64", &["linux/arm/v7", "linux/arm64/v8"], Some(1));
        check("linux/arm64", &["linux/arm/v5", "linux/arm/v7"], Some(1));
        check("linux/arm64/v9.1", &["linux/arm64/v8.6", "linux/arm64/v9"], Some(1));
        check("linux/arm64/v9.1", &["linux/arm64/v8.7"], None);
        check("linux/arm/v7", &["linux/arm/v6", "linux/arm"], Some(1));
        check("linux/arm/v6", &["linux/arm/v7"], None);
        check("linux/amd64", &["unknown/unknown", "windows/amd64"], None);
    }

    #[test]
    fn the_earliest_of_equals_wins_and_unnamed_platforms_come_last() {
        check("linux/amd64", &["linux/amd64", "linux/amd64"], Some(0));
        check("linux/amd64", &["-", "linux/386"], Some(1));
        check("linux/amd64", &["linux/s390x", "-", "-"], Some(1));
    }

    #[test]
    fn an_entry_that_wants_features_is_not_taken() {
        let mut wanting = platform("linux/amd64");
        wanting.os_features = vec!["erofs".into()];
        let entries = [entry(0, Some(wanting)), entry(1, Some(platform("linux/amd64")))];
        assert_eq!(PlatformMatcher::only(platform("linux/amd64")).select(&entries).map(|d| d.size), Some(1));
    }
}
