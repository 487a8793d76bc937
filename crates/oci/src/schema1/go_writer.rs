//! JSON as Go's `json.MarshalIndent(value, "", "   ")` writes it.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, PrettyFormatter, Serializer};

/// The bytes of `value`.
///
/// # Errors
/// What `value` itself reports.
pub(super) fn to_vec(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::new();
    let formatter = GoFormatter(PrettyFormatter::with_indent(b"   "));
    value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))?;
    Ok(bytes)
}

/// serde's pretty form is Go's but for strings: Go also escapes what could end a script in HTML, and two line separators
/// that JavaScript does not know.
struct GoFormatter(PrettyFormatter<'static>);

const fn is_escaped(c: char) -> bool {
    matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

impl Formatter for GoFormatter {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for piece in fragment.split_inclusive(is_escaped) {
            let last = piece.chars().next_back().filter(|c| is_escaped(*c));
            match last.and_then(|c| Some((c, piece.strip_suffix(c)?))) {
                Some((c, plain)) => write!(writer, "{plain}\\u{:04x}", u32::from(c))?,
                None => writer.write_all(piece.as_bytes())?,
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        self.0.write_char_escape(writer, escape)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_and_empty_values_are_as_go_writes_them() {
        let value = json!({"a": "<\"&\\>/\u{7f}é\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{2028}\u{2029}", "b": [], "c": {}, "d": [1, true]});
        let text = String::from_utf8(to_vec(&value).unwrap()).unwrap();
        expect![[r#"
            {
               "a": "\u003c\"\u0026\\\u003e/é\b\f\n\r\t\u0001\u001f\u2028\u2029",
               "b": [],
               "c": {},
               "d": [
                  1,
                  true
               ]
            }"#]]
        .assert_eq(&text);
    }
}
