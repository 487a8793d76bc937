//! What a user of the crate can name: `pub` items of public modules, and items that a `pub use` lifts out of private ones.

use std::collections::BTreeMap;

use syn::{Ident, Item, Visibility};

use crate::sources::{Import, Module, imports, is_test_only};

/// What stands behind an exported path.
#[derive(Debug)]
pub(crate) enum Export<'a> {
    /// An item of this crate.
    Item(&'a Item),
    /// A path of another crate that is passed on.
    Foreign(String),
}

/// Every exported path with what it names, in order of the path.
pub(crate) fn exports(root: &Module) -> BTreeMap<String, Export<'_>> {
    let mut found = BTreeMap::new();
    collect(root, root, "", &mut found);
    found
}

fn collect<'a>(root: &'a Module, module: &'a Module, prefix: &str, found: &mut BTreeMap<String, Export<'a>>) {
    for item in &module.items {
        if let Item::Use(item) = item {
            if matches!(item.vis, Visibility::Public(_)) && !is_test_only(&item.attrs) {
                imports(&item.tree).iter().for_each(|import| lift(root, module, import, prefix, found));
            }
        } else if let Some(ident) = public_ident(item) {
            found.insert(format!("{prefix}{ident}"), Export::Item(item));
        }
    }
    for (name, child) in &module.children {
        if child.public {
            collect(root, &child.module, &format!("{prefix}{name}::"), found);
        }
    }
}

/// Adds what one `pub use` makes visible.
fn lift<'a>(
    root: &'a Module,
    module: &'a Module,
    import: &Import,
    prefix: &str,
    found: &mut BTreeMap<String, Export<'a>>,
) {
    let Some(name) = &import.name else {
        match descend(module, &import.path).or_else(|| descend(root, &import.path)) {
            Some(target) => collect(root, target, prefix, found),
            None => _ = found.insert(format!("{prefix}*"), Export::Foreign(import.path.join("::") + "::*")),
        }
        return;
    };
    let (last, parents) = import.path.split_last().expect("a named import has at least its name");
    // Paths are relative to the module first and to the crate's root second, as `crate::` was cut off.
    let target = [module, root].into_iter().find_map(|start| {
        let parent = descend(start, parents)?;
        if let Some(child) = parent.children.get(last) {
            return Some(Found::Module(&child.module));
        }
        let item = parent.items.iter().find(|item| public_ident(item).is_some_and(|ident| ident == last));
        item.map(Found::Item)
    });
    match target {
        Some(Found::Item(item)) => _ = found.insert(format!("{prefix}{name}"), Export::Item(item)),
        Some(Found::Module(child)) => collect(root, child, &format!("{prefix}{name}::"), found),
        None => _ = found.insert(format!("{prefix}{name}"), Export::Foreign(import.path.join("::"))),
    }
}

enum Found<'a> {
    Item(&'a Item),
    Module(&'a Module),
}

fn descend<'a>(start: &'a Module, path: &[String]) -> Option<&'a Module> {
    path.iter().try_fold(start, |module, segment| Some(&module.children.get(segment)?.module))
}

/// The name of an item that is declared `pub` (or is an exported macro), unless it is for tests only.
pub(crate) fn public_ident(item: &Item) -> Option<&Ident> {
    let (attributes, visibility, ident) = match item {
        Item::Const(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Enum(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Fn(item) => (&item.attrs, &item.vis, &item.sig.ident),
        Item::Static(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Struct(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Trait(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Type(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Union(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Macro(item) if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")) => {
            return item.ident.as_ref();
        }
        _ => return None,
    };
    (matches!(visibility, Visibility::Public(_)) && !is_test_only(attributes)).then_some(ident)
}
