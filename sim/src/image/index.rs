//! An index over images of several platforms.

use oci_spec::image::{Arch, ImageIndexBuilder, MediaType, Os, PlatformBuilder};

use super::builder::{Format, Image, descriptor, to_json};
use super::{Blob, Pushable};

/// An index and the images it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    blob: Blob,
    images: Vec<Image>,
}

impl Index {
    /// Lists `images` in their order.
    pub fn new(format: Format, images: impl IntoIterator<Item = Image>) -> Index {
        let images: Vec<Image> = images.into_iter().collect();
        let manifests: Vec<_> = images
            .iter()
            .map(|image| {
                let mut platform = PlatformBuilder::default()
                    .os(Os::from(image.platform().os.as_str()))
                    .architecture(Arch::from(image.platform().architecture.as_str()));
                if let Some(variant) = image.variant() {
                    platform = platform.variant(variant);
                }
                let mut child = descriptor(image.manifest());
                child.set_platform(Some(platform.build().expect("every required field is set")));
                child
            })
            .collect();
        let index = ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::from(format.index()))
            .manifests(manifests)
            .build()
            .expect("every required field is set");
        Index { blob: Blob::new(format.index(), to_json(&index)), images }
    }

    /// The index document.
    pub fn blob(&self) -> &Blob {
        &self.blob
    }

    /// The images.
    pub fn images(&self) -> &[Image] {
        &self.images
    }
}

impl Pushable for Index {
    fn target(&self) -> Blob {
        self.blob.clone()
    }

    fn manifests(&self) -> Vec<Blob> {
        self.images.iter().map(|image| image.manifest().clone()).chain([self.blob.clone()]).collect()
    }

    fn blobs(&self) -> Vec<Blob> {
        self.images.iter().flat_map(Pushable::blobs).collect()
    }
}
