//! Whether a history is explained by some order of its operations.
//!
//! The model is what a caller is promised, not how it is kept: names lead to images. A search in the manner of Wing and
//! Gong (J. Parallel Distrib. Comput. 17, 1993) looks for an order in which each operation takes effect at one moment
//! between its beginning and its end, and each answer is the one that the order gives; states seen before are not
//! searched again.
//!
//! Where the product documents less than that, the model allows it, and nothing beyond:
//! - a commit and a removal write one record after the other, so until they end readers may see a name as it was;
//! - changes by other clients are known by events only: until the history's end readers, and removals, may see a name
//!   as it was before them;
//! - an operation that failed, was given up or lost its daemon may take effect at any later moment (recovery completes
//!   it, and writes again what another client deleted meanwhile), or in part, or not at all;
//! - a record that another client wrote for an image that is not there leads nowhere;
//! - a pull that runs mends, before it takes effect, an image of which another client has taken a part away.

mod model;

use std::collections::BTreeSet;

use crate::workload::{IMAGES, Name};

use model::{ABSENT, Model, NAMES, bit, images_of, index, set};

/// Longest history that is searched: the search may take exponential time.
pub(crate) const OPERATIONS_MAX: usize = 48;
/// States after which a search gives up, as a bug of the model that must be seen.
const STATES_MAX: usize = 2_000_000;

/// What an operation did, as its answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A pull of `tag` made one of `images` (a set); `certain` that it did.
    Pull { tag: u8, images: u8, certain: bool },
    /// A removal of the image that `name` leads to; `certain` that it is whole.
    Remove { name: Name, certain: bool },
    /// `name` was seen to lead to an image, or nowhere.
    Read { name: Name, seen: Option<u8> },
    /// The image was listed, or not.
    Has { image: u8, seen: bool },
    /// Another client deleted a record, or found none; `None` where that is unknown.
    Delete { name: Name, found: Option<bool> },
    /// Another client pointed a record to an image; `certain` that it did.
    Retag { name: Name, to: u8, certain: bool },
    /// Another client took a part of an image away; `certain` that it did.
    Damage { image: u8, certain: bool },
    /// A pull that runs brought what another client had taken away of one of `images` (a set); its names follow later.
    Mend { images: u8 },
    /// Nothing goes on any more, and all events were told.
    Settled,
}

/// An operation of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) act: Act,
    pub(crate) began: u32,
    /// Latest moment of its effect.
    pub(crate) ended: u32,
}

/// Searches for an order that explains `ops`; `pulled` are the tags (of the images of the same number) from before.
///
/// # Errors
/// How far the longest explanation came: numbers of the operations that have no place.
pub(crate) fn explain(ops: &[Op], pulled: &[u8]) -> Result<(), Vec<usize>> {
    if ops.len() > OPERATIONS_MAX {
        return Err(Vec::new());
    }
    let mut model = Model {
        effected: 0,
        through: 0,
        now: [ABSENT; NAMES],
        before: [0; NAMES],
        fresh: 0,
        soft: 0,
        whole: (1 << IMAGES) - 1,
        broken: 0,
        busy: [0; IMAGES as usize],
    };
    for tag in pulled {
        for name in [Name::Tag(*tag), Name::Digest(*tag), Name::Id(*tag)] {
            set(&mut model.now, name, bit(*tag));
        }
    }
    let mut search = Search { ops, seen: BTreeSet::new(), best: (0, Vec::new()) };
    if search.from(model) { Ok(()) } else { Err(search.best.1) }
}

struct Search<'o> {
    ops: &'o [Op],
    seen: BTreeSet<Model>,
    best: (u32, Vec<usize>),
}

impl Search<'_> {
    fn from(&mut self, model: Model) -> bool {
        let missing = |number: &usize| self.is_required(*number) && model.through & (1 << number) == 0;
        let left: Vec<usize> = (0..self.ops.len()).filter(missing).collect();
        if left.is_empty() {
            return true;
        }
        if model.through.count_ones() >= self.best.0 {
            self.best = (model.through.count_ones(), left.clone());
        }
        if self.seen.len() > STATES_MAX || !self.seen.insert(model) {
            return false;
        }
        // What ended before another began takes effect before it.
        let limit =
            left.iter().filter_map(|number| self.ops.get(*number)).map(|op| op.ended).min().unwrap_or(0);
        for number in 0..self.ops.len() {
            let Some(op) = self.ops.get(number) else { continue };
            if model.through & (1 << number) != 0 || op.began > limit {
                continue;
            }
            let next = if model.effected & (1 << number) == 0 {
                self.effect(model, number, op)
            } else {
                finish(model, number, op)
            };
            if next.into_iter().any(|next| self.from(next)) {
                return true;
            }
        }
        false
    }

    fn is_required(&self, number: usize) -> bool {
        self.ops.get(number).is_some_and(|op| match op.act {
            Act::Pull { certain, .. }
            | Act::Remove { certain, .. }
            | Act::Retag { certain, .. }
            | Act::Damage { certain, .. } => certain,
            Act::Delete { found, .. } => found.is_some(),
            Act::Mend { .. } => false,
            _ => true,
        })
    }

    /// The models after the effect of an operation; none where its answer does not fit here.
    fn effect(&self, model: Model, number: usize, op: &Op) -> Vec<Model> {
        let mut next = model;
        next.effected |= 1 << number;
        let mut through = next;
        through.through |= 1 << number;
        match op.act {
            Act::Pull { tag, images, certain } => images_of(images)
                .filter(|image| !certain || model.is_idle(*image))
                .map(|image| {
                    if certain {
                        let mut next = next.pulled(tag, image, self.damage_since(image, op.began));
                        next.occupy(image, number);
                        next
                    } else {
                        through.perhaps_pulled(tag, image)
                    }
                })
                .collect(),
            Act::Remove { name, certain } => {
                let visible = model.leads_to(name);
                let mut after: Vec<Model> = images_of(visible)
                    .filter(|image| !certain || model.is_idle(*image))
                    .map(|image| {
                        if certain {
                            let mut next = next.removed(image);
                            next.occupy(image, number);
                            next
                        } else {
                            through.perhaps_removed(image)
                        }
                    })
                    .collect();
                if visible & ABSENT != 0 || model.is_soft(name) {
                    after.push(through);
                }
                after
            }
            Act::Read { name, seen } => when(model.may_read(name, seen), through),
            Act::Has { image, seen } => when(model.may_list(image, seen), through),
            Act::Delete { name, found } => {
                let has = model.now[index(name)];
                let fits = match found {
                    Some(true) => has & !ABSENT != 0 || model.is_busy(name),
                    Some(false) => has & ABSENT != 0 || model.is_busy(name),
                    None => true,
                };
                let changed = match found {
                    Some(false) => through,
                    Some(true) => through.changed(name, ABSENT),
                    None => through.changed(name, ABSENT | has),
                };
                when(fits, changed)
            }
            Act::Retag { name, to, certain } => {
                let mut changed =
                    through.changed(name, if certain { bit(to) } else { bit(to) | model.now[index(name)] });
                let is_there = Name::all().any(|other| other != name && model.now[index(other)] == bit(to));
                if !is_there || model.broken & bit(to) != 0 || !model.is_idle(to) {
                    changed.soft |= 1 << index(name);
                }
                vec![changed]
            }
            Act::Damage { image, .. } => {
                through.broken |= bit(image);
                through.whole &= !bit(image);
                vec![through]
            }
            Act::Mend { images } => {
                through.whole |= images;
                vec![through]
            }
            Act::Settled => {
                through.before = [0; NAMES];
                through.fresh = 0;
                vec![through]
            }
        }
    }

    /// Whether the image was damaged after `moment`, so that a pull which began then may have missed it.
    fn damage_since(&self, image: u8, moment: u32) -> bool {
        let is_of = |act: &Act| matches!(act, Act::Damage { image: damaged, .. } if *damaged == image);
        self.ops.iter().any(|op| is_of(&op.act) && op.ended >= moment)
    }
}

/// A commit or removal is through: its names are seen as they are, unless another client changed them since.
fn finish(mut model: Model, number: usize, op: &Op) -> Vec<Model> {
    model.through |= 1 << number;
    let held = u8::try_from(number + 1).expect("a history has at most 48 operations");
    let Some(image) = (0..IMAGES).find(|image| model.busy[usize::from(*image)] == held) else {
        return Vec::new();
    };
    model.busy[usize::from(image)] = 0;
    if let Act::Remove { .. } = op.act {
        model = model.removed(image);
    }
    for name in Name::all() {
        let at = index(name);
        let is_its = match op.act {
            Act::Pull { tag, .. } => [Name::Tag(tag), Name::Digest(image), Name::Id(image)].contains(&name),
            _ => model.before[at] & bit(image) != 0,
        };
        if is_its && model.fresh & (1 << at) == 0 {
            model.before[at] = 0;
        }
    }
    vec![model]
}

fn when(fits: bool, model: Model) -> Vec<Model> {
    if fits { vec![model] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(act: Act, began: u32, ended: u32) -> Op {
        Op { act, began, ended }
    }

    fn pull(began: u32, ended: u32) -> Op {
        op(Act::Pull { tag: 0, images: 1, certain: true }, began, ended)
    }

    fn remove(began: u32, ended: u32) -> Op {
        op(Act::Remove { name: Name::Tag(0), certain: true }, began, ended)
    }

    fn read(name: Name, seen: Option<u8>, began: u32, ended: u32) -> Op {
        op(Act::Read { name, seen }, began, ended)
    }

    const TAG: Name = Name::Tag(0);

    #[test]
    fn what_was_pulled_is_there_until_it_is_removed() {
        assert!(
            explain(&[pull(1, 2), read(TAG, Some(0), 3, 4), remove(5, 6), read(TAG, None, 7, 8)], &[])
                .is_ok()
        );
        assert_eq!(explain(&[pull(1, 2), read(TAG, None, 3, 4)], &[]), Err(vec![1]));
        assert_eq!(explain(&[pull(1, 2), remove(3, 4), read(Name::Id(0), Some(0), 5, 6)], &[]), Err(vec![2]));
    }

    #[test]
    fn concurrent_operations_may_go_either_way_but_one_way_for_all_names() {
        let (tag, id) = (read(TAG, Some(0), 5, 6), read(Name::Id(0), None, 7, 8));
        assert!(explain(&[pull(1, 4), remove(2, 3), tag.clone()], &[]).is_ok());
        assert!(explain(&[pull(1, 4), remove(2, 3), read(TAG, None, 5, 6)], &[]).is_ok());
        assert!(explain(&[pull(1, 4), remove(2, 3), tag, id], &[]).is_err(), "half removed");
    }

    #[test]
    fn another_clients_change_may_be_seen_late_but_not_for_ever() {
        let deleted = op(Act::Delete { name: TAG, found: Some(true) }, 1, 2);
        let late = read(TAG, Some(0), 3, 4);
        assert!(explain(&[deleted.clone(), late], &[0]).is_ok());
        let settled = op(Act::Settled, 3, 4);
        assert!(explain(&[deleted, settled, read(TAG, Some(0), 5, 6)], &[0]).is_err());
    }

    #[test]
    fn a_pull_that_runs_may_mend_an_image_before_it_has_its_effect() {
        let damage = op(Act::Damage { image: 0, certain: true }, 1, 2);
        let mend = op(Act::Mend { images: 1 }, 3, 10);
        let history = |read| {
            [damage.clone(), mend.clone(), pull(3, 10), read, remove(6, 7), self::read(TAG, Some(0), 11, 12)]
        };
        assert!(explain(&history(read(TAG, Some(0), 4, 5)), &[0]).is_ok());
        assert!(explain(&history(read(TAG, None, 4, 5)), &[0]).is_ok());
    }

    #[test]
    fn a_damaged_image_is_not_there_until_it_is_pulled_again() {
        let damage = op(Act::Damage { image: 0, certain: true }, 1, 2);
        assert!(explain(&[damage.clone(), read(TAG, Some(0), 3, 4)], &[0]).is_err());
        assert!(
            explain(&[damage, read(TAG, None, 3, 4), pull(5, 6), read(TAG, Some(0), 7, 8)], &[0]).is_ok()
        );
    }
}
