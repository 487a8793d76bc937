//! The impl blocks of a crate by the name of their type: public inherent items, and traits with their associated types.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens;
use syn::{Attribute, ImplItem, Item, ItemImpl, Path, Token, Type, Visibility, punctuated::Punctuated};

use crate::print;
use crate::sources::{Module, is_test_only};

/// What impl blocks add to one type.
#[derive(Debug, Default)]
pub(crate) struct Impls {
    /// Public methods and constants, one line each.
    pub(crate) inherent: BTreeSet<String>,
    /// `impl Trait for Type`, with associated types on lines of their own; derives included.
    pub(crate) traits: BTreeSet<String>,
}

/// Everything that the crate implements, by the last segment of the type's path.
pub(crate) fn impls(root: &Module) -> BTreeMap<String, Impls> {
    let mut found: BTreeMap<String, Impls> = BTreeMap::new();
    root.walk(&mut |module| {
        for item in &module.items {
            match item {
                Item::Impl(item) if !is_test_only(&item.attrs) => {
                    if let Some(name) = type_name(&item.self_ty) {
                        add(item, found.entry(name).or_default());
                    }
                }
                Item::Struct(item) => derives(&item.attrs, &item.ident, &mut found),
                Item::Enum(item) => derives(&item.attrs, &item.ident, &mut found),
                _ => {}
            }
        }
    });
    found
}

fn type_name(of: &Type) -> Option<String> {
    match of {
        Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        Type::Reference(reference) => type_name(&reference.elem),
        _ => None,
    }
}

fn add(item: &ItemImpl, to: &mut Impls) {
    if item.trait_.is_some() {
        let mut entry = print::header(item);
        for member in &item.items {
            if let ImplItem::Type(member) = member {
                entry.push_str(&format!("\n    type {} = {}", member.ident, print::tokens(&member.ty)));
            }
        }
        to.traits.insert(entry);
        return;
    }
    let public = |visibility: &Visibility| matches!(visibility, Visibility::Public(_));
    for member in &item.items {
        match member {
            ImplItem::Fn(member) if public(&member.vis) && !is_test_only(&member.attrs) => {
                to.inherent.insert(print::function(&member.attrs, &member.sig));
            }
            ImplItem::Const(member) if public(&member.vis) => {
                to.inherent.insert(format!("pub const {}: {}", member.ident, print::tokens(&member.ty)));
            }
            _ => {}
        }
    }
}

fn derives(attributes: &[Attribute], of: &syn::Ident, found: &mut BTreeMap<String, Impls>) {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        let paths = attribute
            .parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)
            .expect("a derive that compiles holds a list of paths");
        for path in paths {
            let derived = path.to_token_stream().to_string().replace(' ', "");
            found.entry(of.to_string()).or_default().traits.insert(format!("impl {derived} for {of}"));
        }
    }
}
