//! Pull after pull from a registry that misbehaves.

use scenarios::{Unpacking, soak};

/// `cargo xtask soak network` makes ten thousand.
#[test]
fn pulls_from_a_misbehaving_registry_end_and_leave_nothing() {
    for unpacking in Unpacking::ALL {
        let soaked = soak(unpacking, 1, 0, 80).unwrap();
        // Both ways to end are common, or the registry does not misbehave as it should.
        assert!(soaked.pulled > 20 && soaked.failed > 20, "{soaked:?}");
    }
}
