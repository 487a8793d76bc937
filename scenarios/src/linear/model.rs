//! What the operations act on: names, and the images that they may lead to.

use crate::workload::{IMAGES, Name, TAGS};

pub(super) const NAMES: usize = TAGS as usize + 2 * IMAGES as usize + 1;
/// The bit of a set of values that stands for "no record".
pub(super) const ABSENT: u8 = 1 << IMAGES;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Model {
    /// Operations that took effect, and those that are through, by number.
    pub(super) effected: u64,
    pub(super) through: u64,
    /// By name: which values the record may have.
    pub(super) now: [u8; NAMES],
    /// By name: which values it had that may still be seen.
    pub(super) before: [u8; NAMES],
    /// Names that another client changed since the product wrote them last.
    pub(super) fresh: u16,
    /// Names that may lead nowhere although they have a record.
    pub(super) soft: u16,
    /// Images that may be whole, and those that may not be.
    pub(super) whole: u8,
    pub(super) broken: u8,
    /// For each image, whether a removal or commit of it is under way: the number of the operation plus one.
    pub(super) busy: [u8; IMAGES as usize],
}

pub(super) fn index(name: Name) -> usize {
    let (tags, images) = (usize::from(TAGS), usize::from(IMAGES));
    match name {
        Name::Tag(n) => usize::from(n),
        Name::Digest(n) => tags + usize::from(n),
        Name::Id(n) => tags + images + usize::from(n),
        Name::Foreign => NAMES - 1,
    }
}

pub(super) fn bit(image: u8) -> u8 {
    1 << image
}

pub(super) fn images_of(set: u8) -> impl Iterator<Item = u8> {
    (0..IMAGES).filter(move |image| set & bit(*image) != 0)
}

pub(super) fn set(map: &mut [u8; NAMES], name: Name, value: u8) {
    if let Some(slot) = map.get_mut(index(name)) {
        *slot = value;
    }
}

impl Model {
    pub(super) fn visible(&self, name: Name) -> u8 {
        self.now[index(name)] | self.before[index(name)]
    }

    /// Where `name` leads. An id leads to its image for as long as that has any name; without, it is a name like others.
    pub(super) fn leads_to(&self, name: Name) -> u8 {
        let Name::Id(image) = name else { return self.visible(name) };
        let may_have = Name::all().any(|name| self.visible(name) & bit(image) != 0);
        let may_lack = Name::all().all(|name| self.visible(name) & !bit(image) != 0);
        let by_record = if may_lack { self.visible(name) } else { 0 };
        by_record | if may_have { bit(image) } else { 0 }
    }

    pub(super) fn is_soft(&self, name: Name) -> bool {
        self.soft & (1 << index(name)) != 0
    }

    pub(super) fn is_idle(&self, image: u8) -> bool {
        self.busy[usize::from(image)] == 0
    }

    pub(super) fn occupy(&mut self, image: u8, number: usize) {
        self.busy[usize::from(image)] =
            u8::try_from(number + 1).expect("a history has at most 48 operations");
    }

    /// Whether a commit or removal that is under way may have changed the record of `name` already, or not yet.
    pub(super) fn is_busy(&self, name: Name) -> bool {
        (0..IMAGES).any(|image| !self.is_idle(image) && self.visible(name) & bit(image) != 0)
    }

    pub(super) fn may_read(&self, name: Name, seen: Option<u8>) -> bool {
        let visible = self.leads_to(name);
        match seen {
            Some(image) => visible & self.whole & bit(image) != 0,
            None => visible & (ABSENT | self.broken) != 0 || self.is_soft(name),
        }
    }

    pub(super) fn may_list(&self, image: u8, seen: bool) -> bool {
        let visible = |name: Name| self.visible(name);
        if seen {
            self.whole & bit(image) != 0 && Name::all().any(|name| visible(name) & bit(image) != 0)
        } else {
            self.broken & bit(image) != 0
                || Name::all().all(|name| visible(name) & !bit(image) != 0 || self.is_soft(name))
        }
    }

    pub(super) fn pulled(mut self, tag: u8, image: u8, perhaps_broken: bool) -> Model {
        for name in [Name::Id(image), Name::Digest(image), Name::Tag(tag)] {
            let at = index(name);
            self.before[at] |= self.now[at];
            self.now[at] = bit(image);
            self.fresh &= !(1 << at);
            self.soft &= !(1 << at);
        }
        self.whole |= bit(image);
        if !perhaps_broken {
            self.broken &= !bit(image);
        }
        self
    }

    pub(super) fn perhaps_pulled(mut self, tag: u8, image: u8) -> Model {
        for name in [Name::Id(image), Name::Digest(image), Name::Tag(tag)] {
            self.now[index(name)] |= bit(image);
        }
        self.whole |= bit(image);
        self
    }

    pub(super) fn removed(mut self, image: u8) -> Model {
        for at in 0..NAMES {
            if self.now[at] & bit(image) == 0 {
                continue;
            }
            // Where another client's change is not known yet, the record may stay.
            let stays =
                if self.fresh & (1 << at) != 0 || self.soft & (1 << at) != 0 { bit(image) } else { 0 };
            self.now[at] = self.now[at] & !bit(image) | ABSENT | stays;
            self.before[at] |= bit(image);
        }
        self
    }

    pub(super) fn perhaps_removed(mut self, image: u8) -> Model {
        for at in 0..NAMES {
            if self.now[at] & bit(image) != 0 {
                self.now[at] |= ABSENT;
            }
        }
        self
    }

    /// Another client made the record have one of `values`.
    pub(super) fn changed(mut self, name: Name, values: u8) -> Model {
        let at = index(name);
        self.before[at] |= self.now[at];
        self.now[at] = values;
        self.fresh |= 1 << at;
        self.soft &= !(1 << at);
        self
    }
}
