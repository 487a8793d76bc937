//! Which token requests are one.

use auth::{BearerChallenge, Credential, ScopeSet, Secret, TokenKey};

use crate::{basic, challenge_of};

fn key(realm: &str, service: Option<&str>, scopes: &str, credential: Option<&Credential>) -> TokenKey {
    let challenge = BearerChallenge { service: service.map(str::to_owned), ..challenge_of(realm) };
    TokenKey::new(&challenge, &ScopeSet::parse(scopes).expect("scopes"), credential)
}

#[test]
fn everything_that_a_token_depends_on_tells_keys_apart() {
    let realm = "https://auth.example/token";
    let token = Credential::IdentityToken(Secret::from("password"));
    let keys = [
        key(realm, None, "", None),
        key("https://other.example/token", None, "", None),
        key(realm, Some("service"), "", None),
        key(realm, None, "repository:a:pull", None),
        key(realm, None, "repository:a:pull,push", None),
        key(realm, None, "", Some(&basic("password"))),
        key(realm, None, "", Some(&basic("other"))),
        key(realm, None, "", Some(&token)),
    ];
    for (index, left) in keys.iter().enumerate() {
        for (other_index, right) in keys.iter().enumerate() {
            assert_eq!(left == right, index == other_index, "{left:?} and {right:?}");
            assert_eq!(left.cmp(right).reverse(), right.cmp(left));
        }
    }
    let swapped = key(realm, None, "openid repository:a:push repository:a:pull", None);
    assert_eq!(swapped, key(realm, None, "repository:a:pull,push openid", None));
}

#[test]
fn a_key_covers_one_that_differs_by_fewer_scopes() {
    let (user, other) = (basic("password"), basic("other"));
    let wide = key("https://a/", None, "repository:a:pull,push repository:b:pull", Some(&user));
    let narrow = |credential| key("https://a/", None, "repository:a:pull", credential);
    assert!(wide.covers(&wide));
    assert!(wide.covers(&narrow(Some(&user))));
    assert!(!wide.covers(&narrow(Some(&other))));
    assert!(!wide.covers(&narrow(None)));
    assert!(!narrow(Some(&user)).covers(&wide));
    assert!(!wide.covers(&key("https://b/", None, "repository:a:pull", Some(&user))));
    assert!(!wide.covers(&key("https://a/", Some("s"), "repository:a:pull", Some(&user))));
}
