//! Scopes and sets of them.

use std::collections::{BTreeMap, BTreeSet};

use auth::{Scope, ScopeError, ScopeSet};
use expect_test::{Expect, expect};
use proptest::prelude::*;

#[track_caller]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&match Scope::parse(text) {
        Ok(scope) => scope.to_string(),
        Err(error) => format!("error: {error}"),
    });
}

#[test]
fn a_scope_is_type_name_and_actions() {
    check("repository:library/busybox:pull", expect!["repository:library/busybox:pull"]);
    check("repository:app:push,pull,pull", expect!["repository:app:pull,push"]);
    check("repository:localhost:5000/app:pull", expect!["repository:localhost:5000/app:pull"]);
    check("repository(plugin):app:*", expect!["repository(plugin):app:*"]);
    check("registry:catalog:*", expect!["registry:catalog:*"]);
    check("repository:app:", expect!["repository:app:"]);
    check("repository:app:,pull,,", expect!["repository:app:pull"]);
    assert_eq!(Scope::repository_pull("library/busybox").to_string(), "repository:library/busybox:pull");
}

#[test]
fn scopes_of_another_shape_are_kept() {
    check("openid", expect!["openid"]);
    check("aud:push,pull", expect!["aud:push,pull"]);
    check("https://example.com/scope", expect!["https://example.com/scope"]);
}

#[test]
fn what_cannot_be_a_scope_is_refused() {
    check("", expect!["error: a scope is empty"]);
    check("a b", expect!["error: a scope has a character that is not allowed at byte 1"]);
    check("a\"b", expect!["error: a scope has a character that is not allowed at byte 1"]);
    check("a\\b", expect!["error: a scope has a character that is not allowed at byte 1"]);
    check("ä", expect!["error: a scope has a character that is not allowed at byte 0"]);
    check("a\n", expect!["error: a scope has a character that is not allowed at byte 1"]);
    check(&"x".repeat(1025), expect!["error: a scope has 1025 bytes, more than the 1024 that are read"]);
    assert!(Scope::parse(&"x".repeat(1024)).is_ok());
}

#[test]
fn covering_is_having_all_actions_on_the_same_resource() {
    for (granted, wanted, covers) in [
        ("repository:a:pull,push", "repository:a:pull", true),
        ("repository:a:pull", "repository:a:pull,push", false),
        ("repository:a:*", "repository:a:pull,push", true),
        ("repository:a:pull", "repository:b:pull", false),
        ("repository:a:pull", "repository:a:*", false),
        ("repository:a:pull", "repository:a:", true),
        ("repository:a:", "repository:a:pull", false),
        ("registry:catalog:*", "repository:catalog:pull", false),
        ("openid", "openid", true),
        ("openid", "profile", false),
    ] {
        let parsed = (Scope::parse(granted).expect("a scope"), Scope::parse(wanted).expect("a scope"));
        assert_eq!(parsed.0.covers(&parsed.1), covers, "{granted} over {wanted}");
    }
}

#[test]
fn a_set_merges_by_resource() {
    let set: ScopeSet =
        "repository:b:pull  repository:a:push openid repository:a:pull ".parse().expect("scopes");
    assert_eq!(set.to_string(), "openid repository:a:pull,push repository:b:pull");
    assert_eq!(set.len(), 3);
    assert!(ScopeSet::parse(" ").expect("nothing").is_empty());
    assert!(!ScopeSet::parse("repository:app:pull").expect("a scope").is_empty());
    assert_eq!(ScopeSet::parse("a b\"c"), Err(ScopeError::Character { offset: 1 }));
}

/// A set as a plain map, of scopes that all have actions.
type Model = BTreeMap<String, BTreeSet<String>>;

fn model(scopes: &[(String, Vec<String>)]) -> Model {
    let mut model = Model::new();
    for (name, actions) in scopes {
        model.entry(name.clone()).or_default().extend(actions.iter().cloned());
    }
    model
}

fn set(scopes: &[(String, Vec<String>)]) -> ScopeSet {
    let text: Vec<String> =
        scopes.iter().map(|(name, actions)| format!("t:{name}:{}", actions.join(","))).collect();
    text.join(" ").parse().expect("scopes")
}

fn scopes() -> impl Strategy<Value = Vec<(String, Vec<String>)>> {
    prop::collection::vec(("[ab:]{1,2}", prop::collection::vec("[xyz*]", 0..3)), 0..5)
}

proptest! {
    #[test]
    fn sets_act_like_maps(left in scopes(), right in scopes()) {
        let (left_model, right_model) = (model(&left), model(&right));
        let written: Vec<String> = left_model.iter().map(|(name, actions)| {
            format!("t:{name}:{}", actions.iter().cloned().collect::<Vec<_>>().join(","))
        }).collect();
        prop_assert_eq!(set(&left).to_string(), written.join(" "));

        let both: Vec<_> = left.iter().chain(&right).cloned().collect();
        prop_assert_eq!(set(&left).merge(&set(&right)), set(&both));
        prop_assert_eq!(set(&left) == set(&right), left_model == right_model);

        let covers = right_model.iter().all(|(name, wanted)| {
            left_model.get(name).is_some_and(|granted| granted.contains("*") || wanted.is_subset(granted))
        });
        prop_assert_eq!(set(&left).covers(&set(&right)), covers);
        prop_assert!(set(&both).covers(&set(&left)));
    }

    #[test]
    fn any_text_prints_to_itself_or_is_refused(text in ".{0,24}|[a-z:,*]{0,16}") {
        if let Ok(scope) = Scope::parse(&text) {
            prop_assert_eq!(Scope::parse(&scope.to_string()), Ok(scope.clone()));
            prop_assert!(scope.covers(&scope));
        }
        if let Ok(set) = ScopeSet::parse(&text) {
            prop_assert_eq!(ScopeSet::parse(&set.to_string()), Ok(set.clone()));
            prop_assert!(set.covers(&set) && set.covers(&ScopeSet::new()));
        }
    }
}
