//! The module tree of a crate, read from its `src` folder; items under `#[cfg(test)]` are left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, UseTree};

/// One module: its items without the nested modules, and those modules by name.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) items: Vec<Item>,
    pub(crate) children: BTreeMap<String, Child>,
}

/// A nested module and whether it is declared `pub`.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) public: bool,
    pub(crate) module: Module,
}

impl Module {
    /// Reads the tree that starts at `src_dir/lib.rs`.
    pub(crate) fn read(src_dir: &Path) -> Module {
        from_items(read_file(&src_dir.join("lib.rs")), src_dir)
    }

    /// This module and everything below it, parents first.
    pub(crate) fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Module)) {
        visit(self);
        for child in self.children.values() {
            child.module.walk(visit);
        }
    }
}

fn read_file(path: &Path) -> Vec<Item> {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()));
    syn::parse_file(&text).unwrap_or_else(|error| panic!("cannot parse `{}`: {error}", path.display())).items
}

/// Sorts `items` into one module whose nested files lie in `folder`.
fn from_items(items: Vec<Item>, folder: &Path) -> Module {
    let mut module = Module::default();
    for item in items {
        match item {
            Item::Mod(item) if is_test_only(&item.attrs) => {}
            Item::Mod(item) => {
                let name = item.ident.to_string();
                let below = folder.join(&name);
                let nested = match item.content {
                    Some((_, items)) => items,
                    None => read_file(&module_file(folder, &name)),
                };
                let public = matches!(item.vis, syn::Visibility::Public(_));
                module.children.insert(name, Child { public, module: from_items(nested, &below) });
            }
            item => module.items.push(item),
        }
    }
    module
}

fn module_file(folder: &Path, name: &str) -> PathBuf {
    let flat = folder.join(format!("{name}.rs"));
    if flat.exists() { flat } else { folder.join(name).join("mod.rs") }
}

/// Whether the attributes hold `#[cfg(test)]`.
pub(crate) fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

/// One name that a `use` brings in.
#[derive(Debug)]
pub(crate) struct Import {
    /// The path as written, without a leading `crate` or `self`.
    pub(crate) path: Vec<String>,
    /// The name it gets here; `None` for a glob.
    pub(crate) name: Option<String>,
}

/// Flattens a `use` tree into its imports.
pub(crate) fn imports(tree: &UseTree) -> Vec<Import> {
    let mut found = Vec::new();
    flatten(tree, &mut Vec::new(), &mut found);
    found
}

fn flatten(tree: &UseTree, prefix: &mut Vec<String>, found: &mut Vec<Import>) {
    match tree {
        UseTree::Path(path) => {
            let segment = path.ident.to_string();
            let kept = !(prefix.is_empty() && (segment == "crate" || segment == "self"));
            if kept {
                prefix.push(segment);
            }
            flatten(&path.tree, prefix, found);
            if kept {
                prefix.pop();
            }
        }
        UseTree::Name(name) => push(prefix, &name.ident.to_string(), name.ident.to_string(), found),
        UseTree::Rename(rename) => push(prefix, &rename.ident.to_string(), rename.rename.to_string(), found),
        UseTree::Glob(_) => found.push(Import { path: prefix.clone(), name: None }),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, prefix, found)),
    }
}

fn push(prefix: &[String], segment: &str, name: String, found: &mut Vec<Import>) {
    let path = prefix.iter().map(String::as_str).chain([segment]).map(str::to_owned).collect();
    found.push(Import { path, name: Some(name) });
}
