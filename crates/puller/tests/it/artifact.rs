//! Pulls of OCI artifacts: what they leave in containerd, and how they fail.

use puller::Layers;
use sim::containerd::{Containerd, Inventory, Options};
use sim::image::{Artifact, Blob, Format, Pushable};
use sim::registry::{Fault, Match, Registry, Rule};

use crate::node::{Node, image, on_host};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const TITLE: &str = "org.opencontainers.image.title";

/// Two files, one below a directory, and an empty one.
fn model(seed: u8) -> Artifact {
    Artifact::new([
        ("config.json", b"{\"layers\":1}".to_vec()),
        ("weights/part-1", vec![seed; 700_000]),
        ("weights/empty", Vec::new()),
    ])
}

fn labels<'a>(node: &'a Inventory, digest: &str) -> Vec<(&'a str, &'a str)> {
    let labels = &node.content[digest].labels;
    labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// Methods and kinds of the requests since the last look.
fn asked(node: &Node) -> Vec<String> {
    let requests = node.registry.requests();
    node.registry.clear_requests();
    let kind = |path: &str| if path.contains("/blobs/") { "blob" } else { "manifest" };
    requests.iter().map(|request| format!("{} {}", request.method, kind(&request.path))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pulled_artifact_is_an_image_with_its_files() {
    let node = Node::start().await;
    let model = model(1);
    let digest = node.registry.push("model", Some("1"), &model);
    let pulled = node.pull(&on_host("model:1")).await.unwrap();
    node.settle().await;
    node.assert_at_rest();
    node.containerd.collect();
    let inventory = node.inventory();
    assert_eq!(pulled.image_id.as_str(), model.config().digest());
    assert_eq!(pulled.target.digest.as_str(), model.converted().digest());
    assert_eq!(pulled.converted_from.unwrap().digest().as_str(), digest);
    let names: Vec<&str> = inventory.images.keys().map(String::as_str).collect();
    assert_eq!(names, [&on_host("model:1"), model.config().digest()]);
    for record in inventory.images.values() {
        assert_eq!(record.target, model.converted().digest());
    }
    let id = &inventory.images[model.config().digest()];
    assert_eq!(id.labels.get("cri-imaged.io/converted-artifact"), Some(&digest));
    assert_eq!(inventory.content.len(), 5, "manifest, config and three layers");
    assert_eq!(inventory.snapshots.len(), 3);
    let layers: Vec<Blob> = model.layers().iter().map(|layer| layer.blob(Format::Oci)).collect();
    assert_eq!(
        labels(&inventory, model.converted().digest()),
        [
            ("containerd.io/gc.ref.content.config", model.config().digest()),
            ("containerd.io/gc.ref.content.l.0", layers[0].digest()),
            ("containerd.io/gc.ref.content.l.1", layers[1].digest()),
            ("containerd.io/gc.ref.content.l.2", layers[2].digest()),
        ],
        "no registry has the manifest"
    );
    for layer in &layers {
        let keys: Vec<&str> = labels(&inventory, layer.digest()).iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["containerd.io/uncompressed", "cri-imaged.io/artifact-file"], "no registry has it");
    }
    let status = node.store.status(&on_host("model:1")).await.unwrap().unwrap();
    assert_eq!(status.repo_tags, [on_host("model:1")]);
    assert!(status.repo_digests.is_empty(), "{:?}", status.repo_digests);
    node.store.remove(&on_host("model:1")).await.unwrap();
    node.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_artifact_costs_one_request_by_any_tag() {
    let node = Node::start().await;
    let digest = node.registry.push("model", Some("1"), &model(1));
    node.registry.tag("model", "latest", &digest);
    let pulled = node.pull(&on_host("model:1")).await.unwrap();
    asked(&node);
    for name in [on_host("model:1"), on_host("model:latest"), on_host(&format!("model@{digest}"))] {
        assert_eq!(node.pull(&name).await.unwrap(), pulled);
        assert_eq!(asked(&node), ["HEAD manifest"], "{name}");
    }
    let status = node.store.status(&on_host("model:1")).await.unwrap().unwrap();
    assert_eq!(status.repo_tags, [on_host("model:1"), on_host("model:latest")]);
    assert_eq!(status.repo_digests, [on_host(&format!("model@{digest}"))]);
}

#[tokio::test(start_paused = true)]
async fn files_that_another_artifact_has_are_not_fetched() {
    let node = Node::start().await;
    node.registry.push("model", Some("1"), &model(1));
    node.registry.push("model", Some("2"), &model(2));
    node.pull(&on_host("model:1")).await.unwrap();
    asked(&node);
    let second = node.pull(&on_host("model:2")).await.unwrap();
    assert_eq!(second.image_id.as_str(), model(2).config().digest());
    let gets: Vec<String> = asked(&node).into_iter().filter(|asked| asked == "GET blob").collect();
    assert_eq!(gets.len(), 1, "the one file that differs");
}

/// Nobody has the layers but this node, so that they are made again.
#[tokio::test(start_paused = true)]
async fn an_artifact_whose_layers_and_snapshots_are_gone_is_made_again() {
    let node = Node::start().await;
    node.registry.push("model", Some("1"), &model(1));
    let pulled = node.pull(&on_host("model:1")).await.unwrap();
    let client = containerd::Client::new(node.containerd.connect(), "k8s.io").unwrap();
    let snapshots = client.snapshots("overlayfs");
    let chain = sim::image::chain_id(model(1).layers().iter().map(|layer| layer.diff_id()));
    snapshots.remove(&chain).await.unwrap();
    assert_eq!(node.pull(&on_host("model:1")).await.unwrap(), pulled);
    snapshots.remove(&chain).await.unwrap();
    let layer = model(1).layers()[1].blob(Format::Oci);
    client.content().delete(&refparse::Digest::parse(layer.digest()).unwrap()).await.unwrap();
    asked(&node);
    assert_eq!(node.pull(&on_host("model:1")).await.unwrap(), pulled);
    assert_eq!(asked(&node), ["HEAD manifest", "GET manifest", "GET blob"]);
}

#[tokio::test(start_paused = true)]
async fn discarded_layers_of_an_artifact_are_not_kept_and_not_fetched_for_the_next_pull() {
    let containerd = Containerd::new(Options::default());
    let registry = Registry::new(sim::registry::Options::default());
    let node =
        Node::configured(containerd, registry, "first", |_, unpack| unpack.layers = Layers::Discard).await;
    node.registry.push("model", Some("1"), &model(1));
    let pulled = node.pull(&on_host("model:1")).await.unwrap();
    node.settle().await;
    let content: Vec<String> = node.inventory().content.into_keys().collect();
    let mut documents = [model(1).config().digest().to_owned(), model(1).converted().digest().to_owned()];
    documents.sort();
    assert_eq!(content, documents);
    asked(&node);
    assert_eq!(node.pull(&on_host("model:1")).await.unwrap(), pulled);
    assert_eq!(asked(&node), ["HEAD manifest"]);
}

fn with(media_type: &str, config: &'static str, blobs: &[(&'static str, &[(&str, &str)])]) -> Artifact {
    let owned = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let blobs = blobs.iter().map(|(bytes, annotations)| {
        (Blob::new("application/vnd.oci.image.layer.v1.tar+gzip", *bytes), owned(annotations))
    });
    Artifact::with(Blob::new(media_type, config), blobs.collect())
}

/// Whatever the config is, and whatever the blobs are said to be.
#[tokio::test(start_paused = true)]
async fn artifacts_of_every_kind_are_their_named_files() {
    let node = Node::start().await;
    let blobs: &[(&str, &[(&str, &str)])] = &[
        ("no archive", &[(TITLE, "file.tar.gz")]),
        ("weights", &[("org.cncf.model.filepath", "model/weights")]),
        ("not asked for", &[]),
    ];
    for (media_type, config) in [
        ("application/vnd.unknown.config.v1+json", "{}"),
        ("application/vnd.cncf.model.config.v1+json", "{\"descriptor\":{}}"),
        ("application/vnd.oci.image.config.v1+json", "{}"),
    ] {
        let artifact = with(media_type, config, blobs);
        node.registry.push("model", Some("1"), &artifact);
        let pulled = node.pull(&on_host("model:1")).await.unwrap();
        assert_eq!(pulled.image_id.as_str(), artifact.config().digest(), "{media_type}");
        let unnamed = artifact.blobs()[2].digest().to_owned();
        assert!(!node.registry.requests().iter().any(|request| request.path.ends_with(&unnamed)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_that_the_manifest_holds_is_not_asked_for() {
    let node = Node::start().await;
    let (config, held) = (oci::sha256(b"{}"), oci::sha256(b"held"));
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{config}","size":2}},
        "layers":[{{"digest":"{held}","size":4,"data":"aGVsZA==","annotations":{{"{TITLE}":"held.txt"}}}}]}}"#
    );
    node.registry.push("model", Some("1"), &manifest_of(manifest));
    node.pull(&on_host("model:1")).await.unwrap();
    assert!(!asked(&node).contains(&"GET blob".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_index_leads_to_the_artifact_for_this_node() {
    let node = Node::start().await;
    let model = model(1);
    let digest = node.registry.push("model", None, &model);
    let platform = oci::Platform::host();
    let entry = |digest: &str, architecture: &str, size: u64| {
        format!(
            r#"{{"mediaType":"{MANIFEST}","digest":"{digest}","size":{size},
            "platform":{{"os":"linux","architecture":"{architecture}"}}}}"#
        )
    };
    let other = entry(oci::sha256(b"other").as_str(), "another", 1);
    let ours = entry(&digest, &platform.architecture, model.target().size());
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{other},{ours}]}}"#);
    let index = Blob::new("application/vnd.oci.image.index.v1+json", index);
    node.registry.push("model", Some("1"), &Raw(index.clone()));
    let pulled = node.pull(&on_host("model:1")).await.unwrap();
    node.settle().await;
    assert_eq!(pulled.image_id.as_str(), model.config().digest());
    assert!(!node.inventory().content.contains_key(index.digest()), "no record holds the index");
    asked(&node);
    assert_eq!(node.pull(&on_host("model:1")).await.unwrap(), pulled);
    assert_eq!(asked(&node), ["HEAD manifest"]);
    // By the manifest's own digest it is the same image, for which nothing is fetched again.
    let by_digest = node.pull(&on_host(&format!("model@{digest}"))).await.unwrap();
    assert_eq!(by_digest.image_id, pulled.image_id);
    assert!(!asked(&node).contains(&"GET blob".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_image_with_an_artifact_type_is_an_image() {
    let node = Node::start().await;
    let image = image(1);
    let text = String::from_utf8(image.manifest().bytes().to_vec()).unwrap();
    let text = text.replacen('{', "{\"artifactType\":\"application/vnd.example\",", 1);
    node.registry.push("app", None, &image);
    node.registry.push("app", Some("1"), &manifest_of(text));
    let pulled = node.pull(&on_host("app:1")).await.unwrap();
    assert_eq!((pulled.image_id.as_str(), pulled.converted_from), (image.config().digest(), None));
}

/// A document without its blobs.
struct Raw(Blob);

impl Pushable for Raw {
    fn target(&self) -> Blob {
        self.0.clone()
    }
    fn manifests(&self) -> Vec<Blob> {
        vec![self.0.clone()]
    }
    fn blobs(&self) -> Vec<Blob> {
        Vec::new()
    }
}

fn manifest_of(text: String) -> Raw {
    Raw(Blob::new(MANIFEST, text))
}

/// Pulls `name`, which fails and leaves nothing, and answers the error with its causes.
async fn failed(node: &Node, name: &str) -> String {
    let error = node.pull(&on_host(name)).await.unwrap_err();
    node.settle().await;
    node.assert_at_rest();
    node.assert_empty();
    let error: &dyn std::error::Error = &*error;
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Pulls `artifact`, which fails before a blob is asked for.
async fn refused(node: &Node, artifact: &impl Pushable) -> String {
    node.registry.push("odd", Some("1"), artifact);
    asked(node);
    let told = failed(node, "odd:1").await;
    assert!(!asked(node).contains(&"GET blob".to_owned()));
    told
}

#[tokio::test(start_paused = true)]
async fn an_artifact_that_cannot_be_laid_out_is_a_clear_error_before_a_file_is_fetched() {
    let node = Node::start().await;
    const HELM: &str = "application/vnd.cncf.helm.config.v1+json";
    const EMPTY: &str = "application/vnd.oci.empty.v1+json";
    let told = refused(&node, &with(HELM, "{\"name\":\"chart\"}", &[("chart", &[])])).await;
    assert!(told.contains("no file in an artifact of 1 blobs"), "{told}");
    let told = refused(&node, &with(EMPTY, "{}", &[])).await;
    assert!(told.contains("no file in an artifact of 0 blobs"), "{told}");
    let told = refused(&node, &with(EMPTY, "{}", &[("{}", &[])])).await;
    assert!(told.contains("no file in an artifact of 1 blobs"), "{told}");
    for (titles, fault) in [
        (&["/etc/passwd"][..], "called `/etc/passwd`, which is absolute"),
        (&["../up"], "called `../up`, which has `..`"),
        (&["a", ""], "called ``, which names no file"),
        (&[r"a\u0000b"], "called `a\\0b`, which has a control character"),
        (&["d/.wh.a"], "called `d/.wh.a`, which layers take for a removal"),
        (&["a", "./a"], "called `a`, as another blob is"),
        (&["a", "a/b"], "called `a/b`, which is below another blob's file"),
    ] {
        let blob = oci::sha256(b"blob");
        let blobs = titles
            .iter()
            .map(|title| format!(r#"{{"digest":"{blob}","size":4,"annotations":{{"{TITLE}":"{title}"}}}}"#));
        let (config, blobs) = (oci::sha256(b"{}"), blobs.collect::<Vec<_>>().join(","));
        let text = format!(r#"{{"config":{{"digest":"{config}","size":2}},"layers":[{blobs}]}}"#);
        let told = refused(&node, &manifest_of(text)).await;
        assert!(told.contains("convert artifact `sha256:") && told.contains(fault), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_not_what_the_artifact_names_is_refused_and_leaves_nothing() {
    let node = Node::start().await;
    let blob = model(1).blobs()[1].clone();
    node.registry.push("model", Some("1"), &model(1));
    node.registry.inject(Rule::new(Match::path(blob.digest()), Fault::Corrupt(blob.size() - 1)));
    let told = failed(&node, "model:1").await;
    assert!(told.starts_with("verify layer: ") && told.contains("other bytes than announced"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_file_whose_connection_breaks_goes_on() {
    let node = Node::start().await;
    node.registry.push("model", Some("1"), &model(1));
    let blob = model(1).blobs()[1].clone();
    node.registry.inject(Rule::new(Match::path(blob.digest()), Fault::Reset(300_000)).times(1));
    let pulled = node.pull(&on_host("model:1")).await.unwrap();
    assert_eq!(pulled.image_id.as_str(), model(1).config().digest());
}
