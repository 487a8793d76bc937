//! An image of the store as CRI shows it.

use cri_api::v1 as pb;
use imagestore::Image;

/// Field by field what containerd's CRI plugin answers (v2.3.4 `internal/cri/server/images/image_status.go`).
pub(super) fn to_cri(image: &Image) -> pb::Image {
    let (uid, username) = user(&image.details.user);
    pb::Image {
        id: image.id().to_string(),
        repo_tags: image.repo_tags.clone(),
        repo_digests: image.repo_digests.clone(),
        size: image.details.size_bytes,
        uid: uid.map(|value| pb::Int64Value { value }),
        username,
        spec: None,
        pinned: image.pinned,
    }
}

/// The user part of `user[:group]`, as a number where it is one.
fn user(user: &str) -> (Option<i64>, String) {
    let name = user.split(':').next().unwrap_or_default();
    match name.parse::<i64>() {
        Ok(uid) => (Some(uid), String::new()),
        Err(_) => (None, name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_uid_or_a_name() {
        for (given, uid, name) in [
            ("", None, ""),
            ("0", Some(0), ""),
            ("1000:1000", Some(1000), ""),
            ("nobody", None, "nobody"),
            ("nobody:nogroup", None, "nobody"),
            (":7", None, ""),
        ] {
            assert_eq!(user(given), (uid, name.to_owned()), "{given}");
        }
    }
}
