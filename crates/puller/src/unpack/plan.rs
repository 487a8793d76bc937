//! Which layers an image has, and what each becomes.

use containerd::labels::SNAPSHOT_REF;
use oci::{ChainId, Descriptor, DiffId, chain_ids};

use crate::documents::Documents;
use crate::gc_labels::Labels;

/// One layer: what is fetched, what it unpacks to, where that goes.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) number: usize,
    pub(crate) descriptor: Descriptor,
    pub(crate) diff_id: DiffId,
    pub(crate) chain_id: ChainId,
    pub(crate) parent: Option<ChainId>,
}

impl Layer {
    /// Labels of its snapshot, while it is written and after.
    pub(crate) fn snapshot_labels(&self) -> Labels {
        Labels::from([(SNAPSHOT_REF.to_owned(), self.chain_id.to_string())])
    }
}

/// The layers of an image, the lowest first.
pub(crate) fn layers(documents: &Documents) -> Vec<Layer> {
    let diff_ids = &documents.config.diff_ids;
    let chain = chain_ids(diff_ids);
    let parents = std::iter::once(None).chain(chain.iter().cloned().map(Some));
    let each = documents.manifest.layers.iter().zip(diff_ids).zip(&chain).zip(parents);
    each.enumerate()
        .map(|(number, (((descriptor, diff_id), chain_id), parent))| Layer {
            number,
            descriptor: descriptor.clone(),
            diff_id: diff_id.clone(),
            chain_id: chain_id.clone(),
            parent,
        })
        .collect()
}
