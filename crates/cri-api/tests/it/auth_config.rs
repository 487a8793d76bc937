//! A message with credentials prints without them.

use cri_api::v1::{AuthConfig, PullImageRequest};
use expect_test::expect;

#[test]
fn debug_masks_every_secret_wherever_the_message_is() {
    let auth = AuthConfig {
        username: "mia".into(),
        password: "s3cret-password".into(),
        auth: "s3cret-auth".into(),
        server_address: "registry.example".into(),
        identity_token: "s3cret-identity".into(),
        registry_token: String::new(),
    };
    let request = PullImageRequest { image: None, auth: Some(auth), sandbox_config: None };
    expect![[
        r#"PullImageRequest { image: None, auth: Some(AuthConfig { username: "mia", password: ***, auth: ***, server_address: "registry.example", identity_token: ***, registry_token: absent }), sandbox_config: None }"#
    ]]
    .assert_eq(&format!("{request:?}"));
}
