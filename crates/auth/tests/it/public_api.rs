//! The committed listing of the public surface, so that it changes only on purpose.

#[test]
fn public_api_is_the_committed_one() {
    api_listing::check(env!("CARGO_MANIFEST_DIR"));
}
