//! End to end: the daemon's binary beside real containerds, a real registry, and containers that really run.
//!
//! Run by `cargo xtask e2e [--filter TEXT]`. Every test below is run once for each containerd line.
//!
//! | file | what it shows |
//! |---|---|
//! | `pull.rs` | what we pull, containerd's CRI plugin lists and starts; every format, platform and credential |
//! | `remove.rs` | what we remove is gone there, and what it used is freed |
//! | `behind_our_back.rs` | what `ctr` changes is right in our list within a second |
//! | `crash.rs` | SIGKILL in mid-pull leaves nothing, and the next pull works |
//! | `resume.rs` | the next pull after an interrupted one fetches only the rest |
//! | `in_a_container.rs` | the same node in a container, run by testcontainers |
//! | `conformance.rs` | the simulator's claims about containerd, held against the real one |
//! | `layers/` | layers unpacked by us are the same tree as unpacked by containerd |
//! | `node_credentials.rs` | images of a private registry, with credentials of the node's own |
//! | `check.rs` | `cri-imaged check --probe` says what real registries answer |
//! | `artifact.rs` | files of OCI artifacts, in the chain of snapshots and in an image volume |
//! | `schema1.rs` | Docker schema 1 images run, and are what containerd 1.x makes of them |
//! | `network/` | pulls over networks as nodes have them: certificates, proxies, mirrors, faults |
//! | `errors.rs` | errors as a user meets them: code, one line, nothing left behind |

mod artifact;
mod behind_our_back;
mod check;
mod conformance;
mod crash;
mod errors;
mod in_a_container;
mod layers;
mod mounted;
mod network;
mod node_credentials;
mod pull;
mod remove;
mod resume;
mod schema1;
mod unpack;

/// Makes one test for each containerd line of each body.
macro_rules! for_each_version {
    ($($file:ident: $($body:ident),+;)+) => {
        for_each_version!(@line v1_6 V1_6 $($($file $body)+)+);
        for_each_version!(@line v1_7 V1_7 $($($file $body)+)+);
        for_each_version!(@line v2 V2 $($($file $body)+)+);
    };
    (@line $line:ident $version:ident $($file:ident $body:ident)+) => {
        mod $line {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $body() -> anyhow::Result<()> {
                    super::$file::$body(tests::Version::$version).await
                }
            )+
        }
    };
}

for_each_version! {
    pull: six_layers_run_through_containerds_cri_plugin,
        private_image_over_tls_with_a_token,
        docker_schema_2_image,
        index_picks_this_machine,
        digest_reference_has_no_tag,
        status_says_what_containerds_plugin_says,
        two_pulls_at_once_are_both_answered;
    remove: removed_image_is_gone_in_containerd_too,
        removal_frees_only_what_no_other_image_uses,
        removal_is_idempotent_for_five_at_once,
        unknown_and_empty_names;
    behind_our_back: tag_removed_by_ctr,
        image_removed_by_ctr,
        tag_moved_by_ctr,
        image_pulled_by_containerd,
        containerd_restarted;
    conformance: simulator_behaves_as_this_containerd;
    crash: sigkill_in_mid_pull_leaves_nothing_and_the_next_pull_works;
    resume: a_killed_pull_is_gone_on_with_where_it_was,
        a_file_of_a_killed_pull_is_gone_on_with_where_it_was,
        a_pull_given_up_is_gone_on_with_where_it_was;
    errors: bad_reference,
        unknown_image,
        wrong_password,
        registry_down,
        no_space,
        unsupported_media_type,
        wrong_digest_from_the_registry,
        containerd_away;
    node_credentials: private_image_with_the_nodes_own_credentials,
        private_image_with_credentials_from_a_helper_program;
    layers: generated_layers_are_the_same_tree_as_containerds,
        the_machines_own_files_are_the_same_tree_as_containerds,
        what_containerd_refuses_is_what_the_specification_says;
    unpack: the_daemon_and_the_differ_leave_the_same,
        discarded_layers_are_not_in_the_content_store;
    schema1: image_that_the_registry_made_of_a_newer_one,
        image_that_was_signed_ten_years_ago,
        image_by_digest,
        image_is_refused_where_it_is_switched_off;
    artifact: artifact_shows_its_files,
        helm_chart_is_refused,
        name_that_leads_out_of_a_volume_is_refused;
}

/// One line only: what differs from the tests above is the container, not the containerd.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_in_a_container_pulls_and_runs() -> anyhow::Result<()> {
    in_a_container::node_in_a_container_pulls_and_runs(tests::Version::V1_7).await
}

/// Once: no containerd takes part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_probes_a_plain_registry_behind_a_dead_mirror() -> anyhow::Result<()> {
    check::plain_registry_behind_a_dead_mirror().await
}

/// Once: no containerd takes part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_probes_a_private_registry_over_tls() -> anyhow::Result<()> {
    check::private_registry_over_tls().await
}
