//! Numbers and texts in header fields.

/// The bytes before the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// An octal number, or a base-256 one (GNU). An empty field is zero. `None` where it is neither, or out of range.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base256(*first, field.get(1..)?),
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Option<i64> {
    let is_filler = |byte: &u8| *byte == b' ' || *byte == 0;
    let start = field.iter().position(|byte| !is_filler(byte)).unwrap_or(field.len());
    let digits = field.get(start..)?;
    let end = digits.iter().position(is_filler).unwrap_or(digits.len());
    let mut value = 0i64;
    for digit in digits.get(..end)? {
        if !(b'0'..=b'7').contains(digit) {
            return None;
        }
        value = value.checked_mul(8)?.checked_add(i64::from(digit - b'0'))?;
    }
    Some(value)
}

/// Two's complement, big-endian, in all bits but the first.
fn base256(first: u8, rest: &[u8]) -> Option<i64> {
    let is_negative = first & 0x40 != 0;
    let mut value = i128::from(first & 0x3f) - if is_negative { 0x40 } else { 0 };
    for byte in rest {
        value = value.checked_mul(256)?.checked_add(i128::from(*byte))?;
        // Twelve bytes fit; a longer field would not, and none is.
    }
    i64::try_from(value).ok()
}

/// A decimal number without sign, as pax records have.
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok().filter(|v| v.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_octal_or_base_256() {
        let check = |field: &[u8], expected: Option<i64>| assert_eq!(number(field), expected, "{field:?}");
        check(b"0000644\0", Some(0o644));
        check(b"   644 \0", Some(0o644));
        check(b"\0\0\0\0", Some(0));
        check(b"", Some(0));
        check(b"9", None);
        check(b"77777777777\0", Some(0o77777777777));
        check(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0], Some(2 << 32));
        check(&[0xff; 12], Some(-1));
        check(&[0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], None);
    }

    #[test]
    fn decimals_have_no_sign() {
        assert_eq!(decimal(b"12"), Some(12));
        assert_eq!(decimal(b"+12"), None);
        assert_eq!(decimal(b""), None);
    }
}
