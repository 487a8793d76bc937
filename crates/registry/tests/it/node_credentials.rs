//! Credentials of the node itself: where they come from, when they are looked for, and to whom they are shown.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use auth::Host;
use registry::{ClientConfig, CredentialSource, Kind, RegistrySettings};
use tempfile::TempDir;

use crate::support::{MANIFEST, Reply, Seen, World, basic, descriptor_of, line};

// `jane:hunter2`.
const BASIC: &str = "Basic amFuZTpodW50ZXIy";
const FILE: &str = "username = \"jane\"\npassword = \"hunter2\"\n";

/// A folder with secrets and programs, and what is configured from it.
struct Node {
    folder: TempDir,
    registries: Vec<(Host, RegistrySettings)>,
}

impl Node {
    fn new() -> Node {
        Node { folder: tempfile::tempdir().unwrap(), registries: Vec::new() }
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn with(mut self, host: &str, source: CredentialSource) -> Node {
        let settings = RegistrySettings { credentials: Some(source), ..RegistrySettings::default() };
        self.registries.push((Host::parse(host).unwrap(), settings));
        self
    }

    fn with_file(self, host: &str, text: &str) -> Node {
        let path = self.write(host, text, 0o600);
        self.with(host, CredentialSource::File(path))
    }

    fn configure(&self) -> impl FnOnce(&mut ClientConfig) {
        let (registries, folder) = (self.registries.clone(), self.folder.path().to_owned());
        move |config| {
            config.registries = registries.into_iter().collect();
            config.helper_path = vec![folder];
        }
    }

    /// The registry `r.test` with the mirror `m.test`, both by plain http.
    fn world(&self) -> World {
        World::configured(self.configure(), None)
            .hosts("r.test", "server = \"http://r.test\"\n[host.\"http://m.test\"]")
    }
}

/// Serves a manifest to whoever shows `accepted`, and asks everyone else for it.
fn guarded(accepted: &'static str) -> impl Fn(&Seen) -> Reply + Send + Sync {
    move |seen| match seen.header("authorization") {
        Some(shown) if shown == accepted => Reply::ok(MANIFEST),
        _ => Reply::new(401).header("www-authenticate", "Basic realm=\"r\""),
    }
}

fn shown(world: &World) -> Vec<(String, Option<String>)> {
    let shown = |seen: Seen| (seen.server.clone(), seen.header("authorization").map(str::to_owned));
    world.network.seen().into_iter().map(shown).collect()
}

async fn fetch(world: &World) -> Result<(), registry::FetchError> {
    world.session("r.test/app:1").manifest(&descriptor_of(MANIFEST)).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_file_answers_its_own_host_once_it_asks_and_no_other() {
    let node = Node::new().with_file("r.test", FILE);
    let world = node.world();
    world.network.serve("m.test:80", guarded("nothing"));
    world.network.serve("r.test:80", guarded(BASIC));
    fetch(&world).await.unwrap();
    let (mirror, own) = (|| "m.test:80".to_owned(), || "r.test:80".to_owned());
    assert_eq!(shown(&world), [(mirror(), None), (own(), None), (own(), Some(BASIC.to_owned()))]);
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_is_named_has_its_own() {
    let node = Node::new().with_file("m.test", FILE);
    let world = node.world();
    world.network.serve("m.test:80", guarded(BASIC));
    world.network.serve("r.test:80", guarded("nothing"));
    fetch(&world).await.unwrap();
    assert!(shown(&world).iter().all(|(server, _)| server == "m.test:80"));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_is_not_read() {
    // Neither the file nor the program is there.
    let missing = Node::new().with("r.test", CredentialSource::File("/nonexistent/secret".into()));
    let node = missing.with("m.test", CredentialSource::Helper("nonexistent".to_owned()));
    let world = node.world();
    world.network.serve("m.test:80", |_| Reply::new(404));
    world.network.serve("r.test:80", |_| Reply::ok(MANIFEST));
    fetch(&world).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_callers_credentials_go_first() {
    let node = Node::new().with_file("r.test", FILE);
    let world = node.world();
    world.network.serve("m.test:80", |_| Reply::new(404));
    world.network.serve("r.test:80", guarded(BASIC));
    let session = world.session_as("r.test/app:1", &basic("r.test", "joe", "wrong"));
    let error = session.manifest(&descriptor_of(MANIFEST)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized { credentials_given: true });
    assert!(shown(&world).iter().all(|(_, header)| header.as_deref() != Some(BASIC)));
}

#[tokio::test(start_paused = true)]
async fn callers_credentials_for_another_host_do_not_hide_the_nodes() {
    let node = Node::new().with_file("r.test", FILE);
    let world = node.world();
    world.network.serve("m.test:80", |_| Reply::new(404));
    world.network.serve("r.test:80", guarded(BASIC));
    let session = world.session_as("r.test/app:1", &basic("other.test", "joe", "pw"));
    session.manifest(&descriptor_of(MANIFEST)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_redirect_to_a_host_with_credentials_does_not_bring_them_out() {
    let node = Node::new().with_file("r.test", FILE).with_file("secret.test", FILE);
    let world = node.world();
    world.network.serve("m.test:80", |_| Reply::new(302).header("location", "http://secret.test/v2/x"));
    world.network.serve("secret.test:80", guarded(BASIC));
    // The registry that asks for a password for somebody else's realm gets its own and no more.
    world.network.serve("r.test:80", guarded(BASIC));
    fetch(&world).await.unwrap();
    let at_secret: Vec<_> =
        shown(&world).into_iter().filter(|(server, _)| server == "secret.test:80").collect();
    assert!(!at_secret.is_empty() && at_secret.iter().all(|(_, header)| header.is_none()), "{at_secret:?}");
}

#[tokio::test(start_paused = true)]
async fn a_registry_token_is_sent_after_the_challenge_and_to_no_realm() {
    let node = Node::new().with_file("r.test", "registry_token = \"tok\"");
    let world = node.world();
    world.network.serve("m.test:80", |_| Reply::new(404));
    world.network.serve("r.test:80", |seen| match seen.header("authorization") {
        Some("Bearer tok") => Reply::ok(MANIFEST),
        _ => Reply::new(401).header("www-authenticate", "Bearer realm=\"http://auth.test/token\""),
    });
    fetch(&world).await.unwrap();
    assert!(!world.network.dialled().contains(&"auth.test:80".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_everyone_may_read_is_refused_and_not_sent() {
    let node = Node::new();
    let path = node.write("open", FILE, 0o644);
    let node = node.with("r.test", CredentialSource::File(path.clone()));
    let world = node.world();
    world.network.serve("m.test:80", |_| Reply::new(404));
    world.network.serve("r.test:80", guarded(BASIC));
    let error = fetch(&world).await.unwrap_err();
    assert_eq!((error.kind(), error.origin()), (Kind::Config, registry::Origin::Local));
    let line = line(&error);
    let expected = format!(
        "host `r.test`: no credentials: cannot use the credentials in `{}`: the file has mode 0644, so every user of \
         this machine may read or change it: `chmod o-rw` it",
        path.display()
    );
    assert!(line.ends_with(&expected), "{line}");
    assert!(shown(&world).iter().all(|(_, header)| header.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_docker_configuration_has_them_by_registry() {
    let node = Node::new();
    // `jane:hunter2`, and somebody else's.
    let text = r#"{"auths":{"r.test":{"auth":"amFuZTpodW50ZXIy"},"x.test":{"auth":"eDp5"}}}"#;
    let path = node.write("config.json", text, 0o600);
    let node = node.with("r.test", CredentialSource::DockerConfig(path));
    let world = node.world();
    world.network.serve("m.test:80", |_| Reply::new(404));
    world.network.serve("r.test:80", guarded(BASIC));
    fetch(&world).await.unwrap();
}

/// Notes that it ran, and answers what helpers answer for `r.test`.
const HELPER: &str = r#"#!/bin/sh
echo "$1 $(cat)" >> "${0%/*}/ran"
echo '{"ServerURL":"r.test","Username":"jane","Secret":"hunter2"}'
"#;

#[tokio::test]
async fn a_helper_is_run_once_for_all_layers_of_an_image() {
    let node = Node::new().with("r.test", CredentialSource::Helper("test".to_owned()));
    node.write("docker-credential-test", HELPER, 0o755);
    let world = node.world();
    world.network.serve("m.test:80", |_| Reply::new(404));
    world.network.serve("r.test:80", guarded(BASIC));
    let session = world.session("r.test/app:1");
    let blob = descriptor_of(MANIFEST);
    let opened = futures::future::join_all((0..8).map(|_| session.blob(&blob, 0))).await;
    assert!(opened.into_iter().all(|blob| blob.is_ok()));
    assert_eq!(fs::read_to_string(node.folder.path().join("ran")).unwrap(), "get r.test\n");
}

#[tokio::test]
async fn a_docker_configuration_may_name_a_helper() {
    let node = Node::new();
    node.write("docker-credential-test", HELPER, 0o755);
    let path = node.write("config.json", r#"{"credHelpers":{"r.test":"test"}}"#, 0o600);
    let node = node.with("r.test", CredentialSource::DockerConfig(path));
    let world = node.world();
    world.network.serve("m.test:80", |_| Reply::new(404));
    world.network.serve("r.test:80", guarded(BASIC));
    fetch(&world).await.unwrap();
}

/// The end of the error of a pull that needs the helper `script`, or that finds no such program.
async fn helper_error(script: Option<&str>) -> String {
    let node = Node::new().with("r.test", CredentialSource::Helper("test".to_owned()));
    if let Some(script) = script {
        node.write("docker-credential-test", &format!("#!/bin/sh\n{script}\n"), 0o755);
    }
    let world = node.world();
    world.network.serve("m.test:80", |_| Reply::new(404));
    world.network.serve("r.test:80", guarded(BASIC));
    let error = fetch(&world).await.unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    let folder = node.folder.path().display().to_string();
    let line = line(&error).replace(&folder, "DIR");
    line.rsplit_once("no credentials: ").map_or(line.clone(), |(_, end)| end.to_owned())
}

#[tokio::test]
async fn a_helper_that_fails_is_named_and_its_words_are_not() {
    let at_fault = "credential helper failed: `docker-credential-test`";
    assert_eq!(
        helper_error(None).await,
        "cannot run the credential helper `docker-credential-test`: not found in `DIR`"
    );
    assert_eq!(
        helper_error(Some("echo hunter2; echo hunter2 >&2; exit 1")).await,
        format!("{at_fault} failed to get the credentials for `r.test`")
    );
    assert_eq!(
        helper_error(Some("echo hunter2")).await,
        format!("{at_fault} wrote something else than the expected JSON at line 1, column 1")
    );
    assert_eq!(
        helper_error(Some("while echo hunter2hunter2hunter2hunter2; do :; done")).await,
        format!("{at_fault} wrote 131073 bytes, more than the 131072 that are read")
    );
    // A helper without credentials for the host leaves the pull anonymous.
    let refused = helper_error(Some("echo 'credentials not found in native keychain'; exit 1")).await;
    assert!(refused.ends_with("host `r.test`: credentials required"), "{refused}");
}

#[tokio::test]
async fn a_helper_that_does_not_end_is_killed_in_bounded_time() {
    let node = Node::new().with("r.test", CredentialSource::Helper("test".to_owned()));
    // The clock of this test runs on by itself once nothing else is to be done, so the helper must not be waited for
    // before it is there.
    node.write("docker-credential-test", "#!/bin/sh\necho $$ > \"${0%/*}/pid\"\nexec sleep 1000\n", 0o755);
    let world = node.world();
    world.network.serve("m.test:80", |_| Reply::new(404));
    world.network.serve("r.test:80", guarded(BASIC));
    let (session, pid) = (world.session("r.test/app:1"), node.folder.path().join("pid"));
    let pull = tokio::spawn(async move { session.manifest(&descriptor_of(MANIFEST)).await.unwrap_err() });
    let pid = loop {
        match fs::read_to_string(&pid) {
            Ok(pid) if pid.ends_with('\n') => break pid.trim().to_owned(),
            _ => tokio::task::yield_now().await,
        }
    };
    tokio::time::pause();
    let error = pull.await.unwrap();
    assert!(line(&error).ends_with("no answer within 30s"), "{}", line(&error));
    tokio::time::resume();
    // The signal is sent; the process goes once the system has delivered it.
    let is_gone = || match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(state) => state.contains(") Z") || state.contains(") X"),
        Err(_no_such_process) => true,
    };
    let gone = async {
        while !is_gone() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the helper was killed");
}
