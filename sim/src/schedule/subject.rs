//! What a request is about, read from its first bytes without decoding the message.

/// Bytes of a subject; what is longer is cut.
const SUBJECT_BYTES_MAX: usize = 256;

/// The compression flag and the length before a gRPC message.
const PREFIX_BYTES: usize = 5;

/// Where the field is that a request is about: field numbers from the outermost message inwards.
fn path(method: &str) -> &'static [u64] {
    match method {
        // The image, or the info of a blob, then its name or digest.
        "Images/Create" | "Images/Update" | "Content/Update" => &[1, 1],
        "Content/Write" => &[2],
        "Diff/Apply" => &[1, 2],
        "Leases/AddResource" | "Leases/DeleteResource" => &[2, 1],
        "Snapshots/Commit" => &[3],
        "Snapshots/Update" => &[2, 1],
        method if method.starts_with("Snapshots/") => &[2],
        // A CRI image spec, then the image.
        "ImageService/ImageStatus" | "ImageService/RemoveImage" | "ImageService/PullImage" => &[1, 1],
        _ => &[1],
    }
}

/// The subject of a request to `method` whose body begins with `frame`; empty when it has none.
pub(crate) fn subject<'a>(method: &str, frame: &'a [u8]) -> &'a str {
    let mut message = frame.get(PREFIX_BYTES..).unwrap_or_default();
    for wanted in path(method) {
        match field(message, *wanted) {
            Some(value) => message = value,
            None => return "",
        }
    }
    let end = message.len().min(SUBJECT_BYTES_MAX);
    match std::str::from_utf8(&message[..end]) {
        Ok(text) => text,
        // A character was cut, or this is no text.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&message[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => "",
    }
}

/// The first length-delimited field with this number.
fn field(mut message: &[u8], wanted: u64) -> Option<&[u8]> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => {
                varint(&mut message)?;
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                // What reaches behind the first frame is cut, for a subject is short and comes early.
                let value = message.get(..length.min(message.len()))?;
                if tag >> 3 == wanted {
                    return Some(value);
                }
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    None
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use containerd_client::services::v1 as api;
    use prost::Message;

    use super::subject;

    fn frame(message: &impl Message) -> Vec<u8> {
        [vec![0; 5], message.encode_to_vec()].concat()
    }

    #[test]
    fn it_is_found_where_the_message_has_it() {
        let image = api::Image { name: "docker.io/a:1".to_owned(), ..Default::default() };
        let create = frame(&api::CreateImageRequest { image: Some(image), source_date_epoch: None });
        assert_eq!(subject("Images/Create", &create), "docker.io/a:1");
        let write = api::WriteContentRequest { action: 1, r#ref: "r".to_owned(), ..Default::default() };
        assert_eq!(subject("Content/Write", &frame(&write)), "r");
        let delete = frame(&api::DeleteRequest { id: "l".to_owned(), sync: true });
        assert_eq!(subject("Leases/Delete", &delete), "l");
    }

    #[test]
    fn anything_else_has_none() {
        assert_eq!(subject("Version/Version", &[0; 5]), "");
        assert_eq!(subject("Images/Get", &[]), "");
        assert_eq!(subject("Images/Get", &[0, 0, 0, 0, 9, 10, 200, 255, 255]), "");
        assert_eq!(subject("Images/Get", &[0, 0, 0, 0, 9, 255, 255]), "");
        let long = frame(&api::GetImageRequest { name: "é".repeat(1000) });
        assert_eq!(subject("Images/Get", &long), "é".repeat(128));
    }
}
