//! The public items, against `public-api.txt`.

#[test]
fn the_public_api_changes_only_on_purpose() {
    api_listing::check(env!("CARGO_MANIFEST_DIR"));
}
