//! `cri-imaged check --probe` against real registries. No daemon runs, and no containerd.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};
use tests::{Access, Authority, Format, Registry, certs_d, daemon_program, push, small};

/// Exit code and report of `check REF --probe --output json` with this `certs.d` and these lines of configuration.
async fn check(folder: &Path, reference: &str, more: &str) -> anyhow::Result<(Option<i32>, Value)> {
    let config = folder.join("config.toml");
    fs::write(
        &config,
        format!("[registry]\nconfig_path = \"{}\"\n{more}", folder.join("certs.d").display()),
    )?;
    let mut command = tokio::process::Command::new(daemon_program());
    command.args(["check", reference, "--probe", "--output", "json", "--config"]).arg(&config);
    let output = command.kill_on_drop(true).output().await?;
    let text = String::from_utf8(output.stdout)?;
    let report =
        serde_json::from_str(&text).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok((output.status.code(), report))
}

/// Step, status and whether it failed, of each step of the host at `index`.
fn steps(report: &Value, index: usize) -> Vec<(String, Option<u64>, bool)> {
    let steps = report["hosts"][index]["probe"]["steps"].as_array().cloned().unwrap_or_default();
    let step = |step: &Value| {
        (
            step["step"].as_str().unwrap_or_default().to_owned(),
            step["status"].as_u64(),
            !step["error"].is_null(),
        )
    };
    steps.iter().map(step).collect()
}

fn step(name: &str, status: Option<u64>, failed: bool) -> (String, Option<u64>, bool) {
    (name.to_owned(), status, failed)
}

pub(crate) async fn plain_registry_behind_a_dead_mirror() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = Registry::start(Access::Plain).await?;
    let digest = push(&registry, "app:1", &small("checked")?, Format::Oci).await?;
    let host = registry.host();
    certs_d(&folder.path().join("certs.d"), &host, None)?;
    let hosts = folder.path().join("certs.d").join(&host).join("hosts.toml");
    fs::write(&hosts, format!("server = \"http://{host}\"\n[host.\"http://127.0.0.1:1\"]\n"))?;

    let (code, report) = check(folder.path(), &registry.reference("app:1"), "").await?;
    assert_eq!((code, &report["served"]), (Some(0), &json!(true)), "{report}");
    assert_eq!(steps(&report, 0), [step("connect", None, true)]);
    let good =
        [step("connect", None, false), step("base", Some(200), false), step("manifest", Some(200), false)];
    assert_eq!(steps(&report, 1), good);
    assert_eq!(report["hosts"][1]["probe"]["steps"][2]["says"], json!([digest]));

    // What is not there is served by nobody, and neither is what only the registry itself has and may not be asked for.
    let (code, report) = check(folder.path(), &registry.reference("app:2"), "").await?;
    assert_eq!((code, &report["served"]), (Some(1), &json!(false)), "{report}");
    assert_eq!(steps(&report, 1)[2], step("manifest", Some(404), true));
    let never = format!("[registry.\"{host}\"]\nfallback = \"never\"\n");
    let (code, report) = check(folder.path(), &registry.reference("app:1"), &never).await?;
    assert_eq!((code, report["hosts"].as_array().map(Vec::len)), (Some(1), Some(1)), "{report}");
    Ok(())
}

pub(crate) async fn private_registry_over_tls() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = Registry::start(Access::TlsAndToken).await?;
    push(&registry, "app:1", &small("private")?, Format::Oci).await?;
    let (host, reference) = (registry.host(), registry.reference("app:1"));
    let certificates = folder.path().join("certs.d");

    // An authority, but another one's.
    let stranger = folder.path().join("stranger.crt");
    Authority::new()?.write_certificate(&stranger)?;
    certs_d(&certificates, &host, Some(stranger))?;
    let (code, report) = check(folder.path(), &reference, "").await?;
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(steps(&report, 0), [step("connect", None, false), step("tls", None, true)]);
    let error = report["hosts"][0]["probe"]["steps"][1]["error"].to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");

    // The right one, and nothing to log in with.
    registry.announce(&certificates)?;
    let (code, report) = check(folder.path(), &reference, "").await?;
    assert_eq!(code, Some(1), "{report}");
    let up_to_base = [step("connect", None, false), step("tls", None, false), step("base", Some(401), false)];
    assert_eq!(steps(&report, 0)[..3], up_to_base);
    assert_eq!(report["hosts"][0]["probe"]["steps"][2]["says"], json!(["Bearer"]));
    assert_eq!(steps(&report, 0)[3], step("manifest", Some(401), true));

    // The node's own credentials.
    let auth = registry.auth().context("a registry with tokens has an account")?;
    let secret = folder.path().join("credentials");
    fs::write(&secret, format!("username = \"{}\"\npassword = \"{}\"\n", auth.username, auth.password))?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let table = format!("[registry.\"{host}\"]\ncredentials.file = \"{}\"\n", secret.display());
    let (code, report) = check(folder.path(), &reference, &table).await?;
    assert_eq!((code, &report["served"]), (Some(0), &json!(true)), "{report}");
    assert_eq!(steps(&report, 0)[3], step("manifest", Some(200), false));
    assert!(!report.to_string().contains(&auth.password), "{report}");
    Ok(())
}
