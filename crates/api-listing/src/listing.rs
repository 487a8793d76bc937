//! Puts declarations and impls together into one text with a section for every exported path.

use std::collections::BTreeSet;
use std::path::Path;

use syn::Item;

use crate::exports::{Export, exports, public_ident};
use crate::impls::impls;
use crate::print;
use crate::sources::Module;

/// The public items of the crate whose sources lie in `src_dir`, as text that changes only when they do.
///
/// Sections are ordered by path; in each come the declaration, the public methods, and the traits that are implemented
/// or derived; at the end, what the crate implements for types of other crates. `pub use` of items in private modules
/// is resolved.
///
/// # Panics
///
/// When a source file cannot be read or parsed: this runs in tests, where that is the finding.
pub fn listing(src_dir: &Path) -> String {
    let root = Module::read(src_dir);
    let implemented = impls(&root);
    let mut text = String::new();
    for (path, export) in exports(&root) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("## {path}\n"));
        match export {
            Export::Foreign(from) => text.push_str(&format!("pub use {from}\n")),
            Export::Item(item) => {
                text.push_str(&print::declaration(item));
                text.push('\n');
                let name = public_ident(item).expect("exports hold public items only").to_string();
                if let Some(implemented) = implemented.get(&name) {
                    let lines = implemented.inherent.iter().chain(&implemented.traits);
                    lines.for_each(|line| text.push_str(&format!("{line}\n")));
                }
            }
        }
    }
    let declared = type_names(&root);
    let foreign = implemented.iter().filter(|(name, _)| !declared.contains(*name));
    for (name, implemented) in foreign.filter(|(_, implemented)| !implemented.traits.is_empty()) {
        text.push_str(&format!("\n## {name} (of another crate)\n"));
        implemented.traits.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    }
    text
}

/// The types that the crate declares, whoever may see them.
fn type_names(root: &Module) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    root.walk(&mut |module| {
        names.extend(module.items.iter().filter_map(|item| match item {
            Item::Enum(item) => Some(item.ident.to_string()),
            Item::Struct(item) => Some(item.ident.to_string()),
            Item::Trait(item) => Some(item.ident.to_string()),
            Item::Type(item) => Some(item.ident.to_string()),
            Item::Union(item) => Some(item.ident.to_string()),
            _ => None,
        }));
    });
    names
}
