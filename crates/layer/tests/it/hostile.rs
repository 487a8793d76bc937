//! Whatever an archive tries, nothing outside of its directory changes, and it ends with an error or a harmless tree.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use layer::{Form, Limits};
use layer_testing::{Archive, Tree, hostile_archives};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

use crate::support::unpack_with;

/// A place to unpack at, beside files that must stay as they are.
struct Place {
    folder: TempDir,
    before: Tree,
}

impl Place {
    fn new() -> Place {
        // In memory: thousands of files are made, and every Linux has it.
        let folder = TempDir::new_in("/dev/shm").unwrap();
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "not to be touched").unwrap();
        symlink("file", outside.join("link")).unwrap();
        fs::create_dir(folder.path().join("inside")).unwrap();
        let before = Tree::read(&outside).unwrap();
        Place { folder, before }
    }

    /// Unpacks in both forms; answers what went wrong.
    #[track_caller]
    fn unpack(&self, name: &str, archive: &[u8], limits: Limits) -> Vec<String> {
        let mut errors = Vec::new();
        for form in [Form::Lowest, Form::Overlay] {
            let (inside, outside) = (self.folder.path().join("inside"), self.folder.path().join("outside"));
            let unpacked = unpack_with(archive, &inside, form, limits);
            let settled = unpacked.and_then(|(_, deferred)| deferred.settle(std::slice::from_ref(&outside)));
            errors.extend(settled.err().map(|error| error.to_string()));
            assert_eq!(self.before.differences(&Tree::read(&outside).unwrap()), "", "{name}, {form:?}");
            let mut beside: Vec<_> =
                fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
            beside.sort();
            assert_eq!(beside, ["inside", "outside"], "{name}, {form:?}");
            fs::remove_dir_all(&inside).unwrap();
            fs::create_dir(&inside).unwrap();
        }
        errors
    }
}

#[test]
fn no_archive_reaches_outside_of_its_directory() {
    let place = Place::new();
    let mut errors = BTreeSet::new();
    let corpus = hostile_archives(&place.folder.path().join("outside"));
    assert!(corpus.len() > 300, "{}", corpus.len());
    for hostile in corpus {
        errors.extend(place.unpack(&hostile.name, &hostile.archive, Limits::default()));
    }
    assert!(
        errors.iter().all(|error| error.len() < 9000 && !error.contains(char::is_control)),
        "{errors:#?}"
    );
    assert!(errors.len() > 30, "{errors:#?}");
}

#[test]
fn an_archive_cut_at_any_byte_is_an_error_or_a_part_of_the_tree() {
    let place = Place::new();
    let archive = Archive::new()
        .directory("d")
        .file("d/f", "bytes")
        .symlink("d/s", "../../outside/file")
        .hard_link("d/h", "d/f")
        .file("d/.wh.gone", "")
        .finish();
    for length in 0..archive.len() {
        let errors = place.unpack(&format!("cut at {length}"), &archive[..length], Limits::default());
        assert!(errors.iter().all(|error| error.ends_with("it ends too early")), "{length}: {errors:?}");
    }
}

#[test]
fn an_archive_with_flipped_bits_reaches_nothing_outside() {
    let place = Place::new();
    let mut corpus = hostile_archives(&place.folder.path().join("outside"));
    corpus.retain(|hostile| hostile.archive.len() < 20_000);
    let flips = vec((any::<Index>(), 0..8u8), 1..4);
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let result = runner.run(&(any::<Index>(), flips), |(number, flips)| {
        let mut hostile = corpus[number.index(corpus.len())].clone();
        for (at, bit) in flips {
            let at = at.index(hostile.archive.len());
            hostile.archive[at] ^= 1 << bit;
        }
        place.unpack(&hostile.name, &hostile.archive, small());
        Ok(())
    });
    result.unwrap();
}

fn small() -> Limits {
    let mut limits = Limits::default();
    limits.entries_max = 5000;
    limits.bytes_max = 1 << 20;
    limits.kept_bytes_max = 16 << 20;
    limits
}

#[test]
fn a_million_entries_end_at_the_limit() {
    let place = Place::new();
    let once = Archive::new().header(&layer_testing::Header::new(b'5', b"d", 0)).cut();
    let archive: Vec<u8> = once.iter().copied().cycle().take(once.len() * 20_000).collect();
    let errors = place.unpack("directories", &archive, small());
    assert_eq!(errors.len(), 2, "{errors:?}");
    let bomb = (0..9)
        .fold(Archive::new(), |archive, number| archive.file(format!("{number}/{}f", "d/".repeat(2000)), ""));
    let errors = place.unpack("implied directories", &bomb.finish(), small());
    assert!(errors[0].contains("more than the limit of"), "{errors:?}");
}

#[test]
fn a_directory_with_many_directories_is_replaced_at_once() {
    let place = Place::new();
    let many = (0..9000).fold(Archive::new(), |archive, number| {
        archive.header(&layer_testing::Header::new(b'5', format!("d/{number}").as_bytes(), 0))
    });
    let uid = rustix::process::getuid().as_raw();
    // The headers are root's; for others the first one already fails, and nothing is outside.
    let errors = place.unpack("many", &many.file("d", "").finish(), Limits::default());
    assert_eq!(errors.is_empty(), uid == 0, "{errors:?}");
}
