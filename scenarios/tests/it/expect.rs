//! What scenarios expect of one image.

use std::collections::BTreeSet;

use scenarios::{HOST, World};
use sim::image::Image;

use crate::explore::{Told, ensure, told};

/// Names of the records of `image` after a pull of `repository:tag`.
pub(crate) fn names(image: &Image, repository: &str, tag: &str) -> BTreeSet<String> {
    let digest = format!("{HOST}/{repository}@{}", image.manifest().digest());
    BTreeSet::from([image.config().digest().to_owned(), digest, format!("{HOST}/{repository}:{tag}")])
}

/// Names of the records that lead to `image`.
pub(crate) fn records(world: &World, image: &Image) -> BTreeSet<String> {
    let images = world.inventory().images;
    let of_image = images.iter().filter(|(_, record)| record.target == image.manifest().digest());
    of_image.map(|(name, _)| name.clone()).collect()
}

/// The daemon shows `image`, which has the three records of a pull of `repository:tag`, at rest.
pub(crate) async fn fully_there(world: &World, image: &Image, repository: &str, tag: &str) -> Told<()> {
    told(world.check_at_rest().await)?;
    let (has, wants) = (records(world, image), names(image, repository, tag));
    ensure(wants.is_subset(&has), format_args!("records {has:?} instead of {wants:?}"))?;
    ensure(is_shown(world, image.config().digest()).await?, "the image is not shown")
}

/// Nothing leads to `image`, at rest.
pub(crate) async fn fully_gone(world: &World, image: &Image) -> Told<()> {
    told(world.check_at_rest().await)?;
    let has = records(world, image);
    ensure(has.is_empty(), format_args!("records {has:?} are left"))?;
    let content = world.inventory().content;
    ensure(!content.contains_key(image.manifest().digest()), "the manifest is left")?;
    ensure(!is_shown(world, image.config().digest()).await?, "the image is shown")
}

/// [`fully_there`] or [`fully_gone`]; answers which.
pub(crate) async fn there_or_gone(world: &World, image: &Image, repository: &str, tag: &str) -> Told<bool> {
    world.settle().await;
    if records(world, image).is_empty() {
        fully_gone(world, image).await?;
        return Ok(false);
    }
    fully_there(world, image, repository, tag).await?;
    Ok(true)
}

/// A pull of `repository:tag` works and ends with `image`.
pub(crate) async fn pull_works(world: &World, image: &Image, repository: &str, tag: &str) -> Told<()> {
    let pulled = told(world.daemon().pull(&format!("{HOST}/{repository}:{tag}")).await)?;
    ensure(pulled.image_id.as_str() == image.config().digest(), "another image was pulled")?;
    fully_there(world, image, repository, tag).await
}

/// Whether the daemon answers a status for `name`.
pub(crate) async fn is_shown(world: &World, name: &str) -> Told<bool> {
    Ok(told(world.daemon().store().status(name).await)?.is_some())
}

/// The first byte that was asked for of the blob since the request number `from`.
pub(crate) fn begun_at(world: &World, from: usize, digest: &str) -> Option<u64> {
    let requests = world.registry().requests().into_iter().skip(from);
    let ranges = requests.filter(|request| request.path.ends_with(digest)).map(|request| request.range);
    let first = |range: Option<String>| match range {
        None => 0,
        Some(range) => {
            let first = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
            first.unwrap().0.parse().unwrap()
        }
    };
    ranges.map(first).min()
}
