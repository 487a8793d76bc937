//! Compares the listing with the committed `public-api.txt`; writes it only when asked by the environment.

use std::path::Path;

use crate::listing;

/// The variable that makes [`check`] write the file instead of comparing.
const UPDATE_VARIABLE: &str = "UPDATE_PUBLIC_API";

/// Holds the listing of `manifest_dir/src` against `manifest_dir/public-api.txt`.
///
/// With `UPDATE_PUBLIC_API=1` in the environment the file is written instead.
///
/// # Panics
///
/// When the two differ (the message shows the first line that does), or a file cannot be read or written.
#[track_caller]
pub fn check(manifest_dir: impl AsRef<Path>) {
    let manifest_dir = manifest_dir.as_ref();
    let file = manifest_dir.join("public-api.txt");
    let actual = listing(&manifest_dir.join("src"));
    if std::env::var_os(UPDATE_VARIABLE).is_some_and(|value| value == "1") {
        std::fs::write(&file, actual)
            .unwrap_or_else(|error| panic!("cannot write `{}`: {error}", file.display()));
        return;
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("cannot read `{}` ({UPDATE_VARIABLE}=1 creates it): {error}", file.display())
    });
    if committed != actual {
        let (line, was, is) = first_difference(&committed, &actual);
        panic!(
            "the public API changed at line {line} of `{}`:\n  was: {was}\n  is:  {is}\nIf that is on purpose, \
             run the test with {UPDATE_VARIABLE}=1 and say so in the changelog.",
            file.display()
        );
    }
}

/// The number of the first differing line and both its forms; an absent line is empty.
fn first_difference<'a>(left: &'a str, right: &'a str) -> (usize, &'a str, &'a str) {
    let (mut left, mut right) = (left.lines(), right.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (left.next(), right.next()) {
            (Some(a), Some(b)) if a == b => {}
            (a, b) => return (number, a.unwrap_or_default(), b.unwrap_or_default()),
        }
    }
}
