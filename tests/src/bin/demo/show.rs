//! What the demo prints.

#![expect(clippy::print_stdout, reason = "printing is what a demo is for")]

use k8s_cri::v1::Image;

/// One step of the story.
pub(crate) fn step(text: &str) {
    println!("\n* {text}");
}

/// The fields of an image that the CRI reports.
pub(crate) fn image(image: &Image) {
    println!("    id           {}", image.id);
    for tag in &image.repo_tags {
        println!("    repo tag     {tag}");
    }
    for digest in &image.repo_digests {
        println!("    repo digest  {digest}");
    }
    println!("    size         {} bytes", image.size);
    if let Some(uid) = &image.uid {
        println!("    uid          {}", uid.value);
    }
}

/// One line below a step.
pub(crate) fn line(text: &str) {
    println!("    {text}");
}
