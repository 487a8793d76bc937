//! The listing of small crates that are written to a folder for the test.

use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};

/// Writes `files` (path, text) below a temporary `src` and compares its listing.
#[track_caller]
fn check(files: &[(&str, &str)], expected: Expect) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("folders can be made");
        fs::write(path, text).expect("files can be written");
    }
    expected.assert_eq(&api_listing::listing(folder.path()));
}

#[test]
fn private_modules_show_only_what_is_lifted_out_of_them() {
    check(
        &[
            ("lib.rs", "pub use noun::Noun; pub use std::fmt::Debug; mod noun; pub mod open;"),
            (
                "noun.rs",
                "#[derive(Clone, PartialEq)] pub struct Noun(String); pub struct Kept; pub(crate) fn gone() {}",
            ),
            ("open.rs", "pub const LIMIT: usize = 3; pub use inner::*; mod inner;"),
            ("open/inner.rs", "/// Doc.\npub fn verb<T: Clone>(of: &T) -> Option<T> { None }"),
        ],
        expect![[r#"
            ## Debug
            pub use std::fmt::Debug

            ## Noun
            pub struct Noun(..);
            impl Clone for Noun
            impl PartialEq for Noun

            ## open::LIMIT
            pub const LIMIT: usize

            ## open::verb
            pub fn verb<T: Clone>(of: &T) -> Option<T>
        "#]],
    );
}

#[test]
fn methods_are_listed_without_bodies_and_private_fields_without_names() {
    check(
        &[(
            "lib.rs",
            "#[derive(Debug)] #[non_exhaustive] pub enum Kind { /// doc\n A { at: usize }, B(char) }
             pub struct Mixed<'a> { pub shown: &'a str, hidden: usize }
             pub struct Closed { hidden: usize }
             impl<'a> Mixed<'a> {
                 #[must_use] pub fn rename(&mut self, a_long_parameter_name: &'a str, another_long_parameter_name: usize) -> Result<Mixed<'a>, Kind> { todo!() }
                 fn private(&self) {}
                 pub const MAX: usize = 7;
             }
             impl std::str::FromStr for Closed { type Err = Kind; fn from_str(s: &str) -> Result<Self, Kind> { todo!() } }
             impl From<&Closed> for String { fn from(c: &Closed) -> String { String::new() } }
             pub trait Verb { type Out; fn act(&self) -> Self::Out; fn given(&self) -> usize { 4 } }
             #[cfg(test)] mod tests { pub fn unseen() {} }",
        )],
        expect![[r#"
            ## Closed
            pub struct Closed { .. }
            impl std::str::FromStr for Closed
                type Err = Kind

            ## Kind
            #[non_exhaustive]
            pub enum Kind {
                A { at: usize },
                B(char),
            }
            impl Debug for Kind

            ## Mixed
            pub struct Mixed<'a> {
                pub shown: &'a str,
                ..
            }
            #[must_use] pub fn rename(&mut self, a_long_parameter_name: &'a str, another_long_parameter_name: usize) -> Result<Mixed<'a>, Kind>
            pub const MAX: usize

            ## Verb
            pub trait Verb {
                type Out;
                fn act(&self) -> Self::Out;
                fn given(&self) -> usize {}
            }

            ## String (of another crate)
            impl From<&Closed> for String
        "#]],
    );
}

#[test]
fn a_changed_file_is_reported_by_its_first_different_line() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    fs::create_dir(folder.path().join("src")).expect("folders can be made");
    fs::write(folder.path().join("src/lib.rs"), "pub fn now() {}").expect("files can be written");
    fs::write(folder.path().join("public-api.txt"), "## now\npub fn before()\n")
        .expect("files can be written");
    let outcome = std::panic::catch_unwind(|| api_listing::check(folder.path()));
    let message = outcome.expect_err("the listing differs");
    let message = message.downcast_ref::<String>().expect("the panic has a formatted message");
    assert!(message.contains("changed at line 2"), "{message}");
    assert!(message.contains("was: pub fn before()"), "{message}");
    assert!(message.contains("is:  pub fn now()"), "{message}");
}
