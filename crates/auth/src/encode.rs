//! Percent-encoding into URL queries and form bodies, which agree: everything outside of RFC 3986's unreserved characters
//! is escaped, so a space is `%20`, which both read, and never `+`, which only forms do.

/// Appends `name=value` to `target`, after the separator.
pub(crate) fn push_parameter(target: &mut String, separator: &str, name: &str, value: &str) {
    target.push_str(separator);
    push_encoded(target, name);
    target.push('=');
    push_encoded(target, value);
}

/// The bytes that [`push_parameter`] may append at most, with a separator of one byte; for sizing a string that holds a secret.
pub(crate) fn parameter_bytes_max(name: &str, value: &str) -> usize {
    2 + 3 * (name.len() + value.len())
}

fn push_encoded(target: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            target.push(char::from(byte));
        } else {
            push_escape(target, byte);
        }
    }
}

/// Appends `%XX`, upper case as RFC 3986, section 2.1, prefers.
pub(crate) fn push_escape(target: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    target.push('%');
    target.push(char::from(DIGITS[usize::from(byte >> 4)]));
    target.push(char::from(DIGITS[usize::from(byte & 15)]));
}
