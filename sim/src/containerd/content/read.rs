//! The read stream: a blob from an offset, in messages of at most 1 MiB.

use bytes::Bytes;
use containerd_client::services::v1::ReadContentResponse;
use futures::stream::{self, Stream};
use tonic::Status;

use super::length;

/// containerd's copy buffer, and so the size of its messages.
const CHUNK_BYTES: usize = 1 << 20;

/// # Errors
/// Out of range when `offset` lies behind the end. A negative offset counts as zero; a `size` of zero or one that
/// reaches behind the end means "to the end".
pub(super) fn stream(
    blob: Bytes,
    offset: i64,
    size: i64,
) -> Result<impl Stream<Item = Result<ReadContentResponse, Status>> + Send + use<>, Status> {
    let total = length(&blob);
    let offset = offset.max(0);
    if offset > total {
        return Err(Status::out_of_range(format!("read past object length {total} bytes")));
    }
    let remaining = total - offset;
    let size = if size <= 0 || size > remaining { remaining } else { size };
    let start = usize::try_from(offset).expect("checked against the length");
    let end = start + usize::try_from(size).expect("checked against the length");
    Ok(stream::iter(chunks(blob.slice(start..end))))
}

/// The offset of a message counts from the start of the read, not of the blob.
fn chunks(mut rest: Bytes) -> impl Iterator<Item = Result<ReadContentResponse, Status>> + Send {
    let mut offset = 0;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let data = rest.split_to(CHUNK_BYTES.min(rest.len()));
        let message = ReadContentResponse { offset, data: data.to_vec() };
        offset += length(&data);
        Some(Ok(message))
    })
}
