//! An image is the same tree whoever unpacked its layers: containerd's differ or ours.

mod generate;
mod gnu_tar;
mod model;
mod ours;
mod specification;
mod theirs;

use std::collections::BTreeSet;

use anyhow::{Context as _, bail, ensure};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tests::{Containerd, Version};

use generate::{Draft, Stack};
use theirs::{Applied, Theirs};

pub(crate) use gnu_tar::the_machines_own_files_are_the_same_tree_as_containerds;
pub(crate) use specification::what_containerd_refuses_is_what_the_specification_says;

/// Stacks for each containerd line: half a minute. `CRI_IMAGED_E2E_STACKS` sets another number.
const STACKS: u64 = 150;

pub(crate) async fn generated_layers_are_the_same_tree_as_containerds(
    version: Version,
) -> anyhow::Result<()> {
    let containerd = Containerd::start(version).await?;
    let mut theirs = Theirs::new(&containerd).await?;
    let number = |name: &str, default| match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("`{name}` is no number")),
        Err(_) => Ok(default),
    };
    let (stacks, seed) = (number("CRI_IMAGED_E2E_STACKS", STACKS)?, number("CRI_IMAGED_E2E_SEED", 1)?);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let (mut refused, mut kinds) = (Vec::new(), BTreeSet::new());
    for stack in 0..stacks {
        let mut drafts = generate::drafts().new_tree(&mut runner).map_err(anyhow::Error::msg)?;
        let found = judge(&mut theirs, &drafts.current()).await?;
        kinds.extend(Stack::new(&drafts.current()).kinds());
        match found {
            Found::Same => {}
            Found::Refused(why) => refused.push(why),
            Found::Different(_) => {
                let mut smallest = (drafts.current(), found);
                let mut is_progress = drafts.simplify();
                while is_progress {
                    let found = judge(&mut theirs, &drafts.current()).await?;
                    is_progress = if matches!(found, Found::Different(_)) {
                        smallest = (drafts.current(), found);
                        drafts.simplify()
                    } else {
                        drafts.complicate()
                    };
                }
                let (drafts, Found::Different(differences)) = smallest else { continue };
                bail!(
                    "stack {stack} of seed {seed} differs, theirs first:\n{differences}{drafts:#?}\n{:#?}",
                    Stack::new(&drafts)
                );
            }
        }
    }
    let few = refused.len() as u64 * 20 <= stacks;
    ensure!(
        few,
        "containerd refuses {} of {stacks} stacks, which compares too little:\n{refused:#?}",
        refused.len()
    );
    ensure!(kinds.len() == 5, "only {kinds:?} were made");
    Ok(())
}

enum Found {
    Same,
    Refused(String),
    Different(String),
}

async fn judge(theirs: &mut Theirs, drafts: &[Vec<Draft>]) -> anyhow::Result<Found> {
    let stack = Stack::new(drafts);
    let expected = match theirs.tree(&stack.archives).await? {
        Applied::Tree(tree) => stack.comparable(tree),
        Applied::Refused(layer, why) => return Ok(Found::Refused(format!("layer {layer}: {why}"))),
    };
    let actual = match ours::tree(&stack.archives) {
        Ok(tree) => stack.comparable(tree),
        Err(error) => return Ok(Found::Different(format!("we cannot unpack it: {error:#}\n"))),
    };
    let differences = expected.differences(&actual);
    Ok(if differences.is_empty() { Found::Same } else { Found::Different(differences) })
}
