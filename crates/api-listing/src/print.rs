//! Text of single items: no bodies, no docs, no private fields, only the attributes that a user notices.

use syn::{
    Attribute, Fields, File, Item, ItemFn, ItemImpl, Signature, TraitItem, Type, Visibility, parse_quote,
};

/// The attributes that are part of the surface.
const SHOWN_ATTRIBUTES: [&str; 3] = ["non_exhaustive", "must_use", "deprecated"];

/// An item as its declaration, over several lines where it has members.
pub(crate) fn declaration(item: &Item) -> String {
    match item.clone() {
        Item::Fn(item) => function(&item.attrs, &item.sig),
        Item::Const(item) => format!("pub const {}: {}", item.ident, tokens(&item.ty)),
        Item::Static(item) => format!("pub static {}: {}", item.ident, tokens(&item.ty)),
        Item::Macro(item) => {
            format!("macro_rules! {}", item.ident.expect("exported macros have a name"))
        }
        Item::Struct(mut item) => {
            keep_shown(&mut item.attrs);
            let hidden = hide_private(&mut item.fields);
            mark_hidden(unparse(Item::Struct(item)), hidden)
        }
        Item::Enum(mut item) => {
            keep_shown(&mut item.attrs);
            for variant in &mut item.variants {
                keep_shown(&mut variant.attrs);
                variant.fields.iter_mut().for_each(|field| field.attrs.clear());
            }
            unparse(Item::Enum(item))
        }
        Item::Trait(mut item) => {
            keep_shown(&mut item.attrs);
            for member in &mut item.items {
                match member {
                    TraitItem::Fn(member) => {
                        keep_shown(&mut member.attrs);
                        member.default = member.default.is_some().then(|| parse_quote!({}));
                    }
                    TraitItem::Const(member) => keep_shown(&mut member.attrs),
                    TraitItem::Type(member) => keep_shown(&mut member.attrs),
                    _ => {}
                }
            }
            unparse(Item::Trait(item))
        }
        Item::Type(mut item) => {
            keep_shown(&mut item.attrs);
            unparse(Item::Type(item))
        }
        other => unparse(other),
    }
}

/// A public function's attributes and signature on one line.
pub(crate) fn function(attributes: &[Attribute], signature: &Signature) -> String {
    let mut attrs = attributes.to_vec();
    keep_shown(&mut attrs);
    let item = ItemFn { attrs, vis: parse_quote!(pub), sig: signature.clone(), block: parse_quote!({}) };
    let text = one_line(&unparse(Item::Fn(item)));
    text.strip_suffix("{}").unwrap_or(&text).trim_end().to_owned()
}

/// The head of an impl block on one line.
pub(crate) fn header(item: &ItemImpl) -> String {
    let mut item = item.clone();
    item.attrs.clear();
    item.items.clear();
    let text = one_line(&unparse(Item::Impl(item)));
    text.strip_suffix("{}").unwrap_or(&text).trim_end().to_owned()
}

/// A type as written in a source file.
pub(crate) fn tokens(of: &Type) -> String {
    let text = unparse(parse_quote!(type T = #of;));
    let text = one_line(&text);
    text.trim_start_matches("type T = ").trim_end_matches(';').to_owned()
}

fn unparse(item: Item) -> String {
    let file = File { shebang: None, attrs: Vec::new(), items: vec![item] };
    prettyplease::unparse(&file).trim_end().to_owned()
}

/// Joins the lines that the printer broke, and takes back the commas that breaking added.
fn one_line(text: &str) -> String {
    let joined = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    joined.replace("( ", "(").replace(", )", ")").replace("< ", "<").replace(", >", ">")
}

fn keep_shown(attributes: &mut Vec<Attribute>) {
    attributes.retain(|attribute| SHOWN_ATTRIBUTES.iter().any(|shown| attribute.path().is_ident(shown)));
}

/// Removes private fields; answers whether there were any.
fn hide_private(fields: &mut Fields) -> bool {
    let public = |field: &syn::Field| matches!(field.vis, Visibility::Public(_));
    let hidden = !fields.iter().all(public);
    match fields {
        Fields::Named(named) => {
            named.named = std::mem::take(&mut named.named).into_iter().filter(public).collect();
            named.named.iter_mut().for_each(|field| field.attrs.clear());
        }
        // Positions count in a tuple struct, so one private field hides them all.
        Fields::Unnamed(_) if hidden => *fields = Fields::Unit,
        Fields::Unnamed(unnamed) => unnamed.unnamed.iter_mut().for_each(|field| field.attrs.clear()),
        Fields::Unit => {}
    }
    hidden
}

fn mark_hidden(text: String, hidden: bool) -> String {
    if !hidden {
        return text;
    }
    if let Some(head) = text.strip_suffix("{}") {
        return format!("{head}{{ .. }}");
    }
    match text.strip_suffix('}') {
        Some(head) => format!("{head}    ..\n}}"),
        None => text.strip_suffix(';').map(|head| format!("{head}(..);")).unwrap_or(text),
    }
}
