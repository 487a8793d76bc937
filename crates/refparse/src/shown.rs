//! How input appears in error texts: escaped, so that it cannot forge log lines or hide characters, and bounded.

use std::fmt;

/// How many bytes of an input an error text shows at most, before escaping.
const SHOWN_BYTES_MAX: usize = 256;

/// A character as an error text shows it.
pub(crate) struct Shown(pub(crate) char);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // `escape_debug` would escape quotes and the backslash too, which do no harm between backticks.
            c @ ' '..='~' => write!(f, "{c}"),
            c => write!(f, "{}", c.escape_debug()),
        }
    }
}

/// An input between backticks; a long one ends in `…` and its length.
pub(crate) struct Excerpt<'a>(pub(crate) &'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Excerpt(input) = self;
        let bound = input.len().min(SHOWN_BYTES_MAX);
        let end = (0..=bound).rev().find(|end| input.is_char_boundary(*end)).unwrap_or_default();
        let (head, rest) = input.split_at(end);
        f.write_str("`")?;
        head.chars().try_for_each(|c| Shown(c).fmt(f))?;
        f.write_str("`")?;
        if rest.is_empty() { Ok(()) } else { write!(f, "… ({} bytes)", input.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expected: &str) {
        assert_eq!(Excerpt(input).to_string(), expected);
    }

    #[test]
    fn printable_text_stays_as_it_is() {
        check("a'b\"c\\d é", "`a'b\"c\\d é`");
    }

    #[test]
    fn control_and_invisible_characters_are_escaped() {
        check("a\nb\u{1b}[31m\u{202e}\u{0}", "`a\\nb\\u{1b}[31m\\u{202e}\\0`");
    }

    #[test]
    fn a_long_input_is_cut_between_characters() {
        let input = format!("{}é{}", "a".repeat(255), "b".repeat(1000));
        check(&input, &format!("`{}`… (1257 bytes)", "a".repeat(255)));
    }
}
