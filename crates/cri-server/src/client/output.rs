//! The daemon's answers, for people and for scripts.

use std::collections::BTreeMap;
use std::io::{self, Write};

use cri_api::v1::Image;
use serde::Serialize;
use serde_json::Value;

/// Form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people; may change.
    #[default]
    Text,
    /// One JSON document, with names as in the CRI's own JSON form (`crictl -o json`).
    Json,
}

/// Columns of an id in text: enough to tell images apart, and accepted wherever an id is.
const SHORT_ID_CHARS: usize = 12;

impl Output {
    pub(super) fn pulled(self, image_id: &str, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Output::Text => writeln!(out, "{image_id}"),
            Output::Json => json(&serde_json::json!({ "imageRef": image_id }), out),
        }
    }

    pub(super) fn removed(self, reference: &str, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Output::Text => writeln!(out, "removed {reference}"),
            Output::Json => json(&serde_json::json!({ "removed": reference }), out),
        }
    }

    pub(super) fn images(self, images: &[Image], out: &mut dyn Write) -> io::Result<()> {
        let mut images: Vec<&Image> = images.iter().collect();
        images.sort_by_key(|image| (names(image).next(), &image.id));
        match self {
            Output::Text => table(&images, out),
            Output::Json => {
                let images: Vec<_> = images.into_iter().map(ImageJson::new).collect();
                json(&serde_json::json!({ "images": images }), out)
            }
        }
    }

    pub(super) fn status(
        self,
        image: &Image,
        info: &BTreeMap<String, String>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        match self {
            Output::Text => {
                writeln!(out, "id:      {}", image.id)?;
                for name in image.repo_tags.iter().chain(&image.repo_digests) {
                    writeln!(out, "name:    {name}")?;
                }
                writeln!(out, "size:    {} bytes", image.size)?;
                match &image.uid {
                    Some(uid) => writeln!(out, "uid:     {}", uid.value)?,
                    None if !image.username.is_empty() => writeln!(out, "user:    {}", image.username)?,
                    None => {}
                }
                writeln!(out, "pinned:  {}", image.pinned)?;
                info.iter().try_for_each(|(name, text)| writeln!(out, "{name}: {text}"))
            }
            Output::Json => {
                // The values are JSON by the CRI's word; what is none is shown as the text it is.
                let info: BTreeMap<_, _> = info
                    .iter()
                    .map(|(name, text)| {
                        (name, serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())))
                    })
                    .collect();
                json(&serde_json::json!({ "status": ImageJson::new(image), "info": info }), out)
            }
        }
    }
}

/// The names of an image: its tags, or without any, its digests.
fn names(image: &Image) -> impl Iterator<Item = &str> {
    let names = if image.repo_tags.is_empty() { &image.repo_digests } else { &image.repo_tags };
    names.iter().map(String::as_str)
}

/// A line for each name; an image without one has a line too.
fn table(images: &[&Image], out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<(&str, String, String)> = images
        .iter()
        .flat_map(|image| {
            let mut names: Vec<&str> = names(image).collect();
            if names.is_empty() {
                names.push("<none>");
            }
            names.into_iter().map(|name| (name, short_id(&image.id), megabytes(image.size)))
        })
        .collect();
    let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0).max("IMAGE".len());
    writeln!(out, "{:width$}  {:SHORT_ID_CHARS$}  {:>10}", "IMAGE", "ID", "SIZE")?;
    rows.iter()
        .try_for_each(|(name, id, size)| writeln!(out, "{name:width$}  {id:SHORT_ID_CHARS$}  {size:>10}"))
}

fn short_id(id: &str) -> String {
    id.strip_prefix("sha256:").unwrap_or(id).chars().take(SHORT_ID_CHARS).collect()
}

/// Decimal, as registries and the kubelet count: `4.3 MB`.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageJson<'a> {
    id: &'a str,
    repo_tags: &'a [String],
    repo_digests: &'a [String],
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<i64>,
    username: &'a str,
    pinned: bool,
}

impl<'a> ImageJson<'a> {
    fn new(image: &'a Image) -> Self {
        ImageJson {
            id: &image.id,
            repo_tags: &image.repo_tags,
            repo_digests: &image.repo_digests,
            size: image.size,
            uid: image.uid.as_ref().map(|uid| uid.value),
            username: &image.username,
            pinned: image.pinned,
        }
    }
}

fn json(document: &Value, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    out.write_all(b"\n")
}
