//! The token endpoint: GET with Basic or nothing, POST with a password or a refresh token (docker's token and
//! oauth2 specifications, distribution v2.8).

use std::collections::BTreeSet;

use http::{Method, StatusCode, header};
use serde_json::json;

use super::State;
use super::access::{Access, Principal};
use super::request::{Head, pairs};
use super::respond::{Answer, error};

/// Answers a token request; the repositories opened are those of its scopes that the caller may read.
pub(super) fn answer(state: &mut State, head: &Head, form: &str) -> Answer {
    let (principal, scopes, offline) = match head.method {
        Method::GET => {
            let principal = match head.header(header::AUTHORIZATION) {
                None => Some(Principal::Anonymous),
                Some(value) => state.access.basic(value),
            };
            let offline = head.parameters("offline_token").any(|value| value == "true");
            (principal, head.parameters("scope").collect::<Vec<_>>(), offline)
        }
        Method::POST => {
            let field = |name: &str| pairs(form).find(|(key, _)| key == name).map(|(_, value)| value);
            let principal = match field("grant_type").as_deref() {
                Some("refresh_token") => {
                    field("refresh_token").and_then(|token| state.access.refresh_token(&token))
                }
                Some("password") => match (field("username"), field("password")) {
                    (Some(name), Some(password)) => state.access.password(&name, &password),
                    _ => None,
                },
                _ => return error(StatusCode::BAD_REQUEST, "UNSUPPORTED", "unsupported grant type"),
            };
            let offline = field("access_type").as_deref() == Some("offline");
            (principal, field("scope").into_iter().collect(), offline)
        }
        _ => return error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "method not allowed"),
    };
    let Some(principal) = principal else {
        return error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "incorrect credentials");
    };
    let anonymous_pull = match state.options.access {
        Access::Token { anonymous_pull } => anonymous_pull,
        Access::Open => true,
        Access::Basic => false,
    };
    let private = &state.options.private_repositories;
    let repositories: BTreeSet<String> = scopes
        .iter()
        .flat_map(|scopes| scopes.split(' '))
        .filter_map(pulled_repository)
        .filter(|repository| state.access.may_read(&principal, repository, anonymous_pull, private))
        .collect();
    let ttl = state.options.token_ttl;
    let token = state.access.issue_token(principal.clone(), repositories, ttl);
    let mut answer = json!({ "token": token, "access_token": token, "expires_in": ttl.as_secs() });
    if let (true, Principal::User(name)) = (offline, &principal) {
        answer["refresh_token"] = json!(state.access.issue_refresh_token(name));
    }
    Answer::json(StatusCode::OK, &answer)
}

/// The repository of a scope `repository:<name>:<actions>` with the action `pull`.
fn pulled_repository(scope: &str) -> Option<String> {
    let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
    actions.split(',').any(|action| action == "pull" || action == "*").then(|| name.to_owned())
}
