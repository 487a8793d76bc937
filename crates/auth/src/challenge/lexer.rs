//! The grammar of `WWW-Authenticate` (RFC 9110, sections 5.6 and 11), over one header value. Knows no scheme.
//!
//! ```text
//! list       = *( "," OWS ) challenge *( OWS "," [ OWS challenge ] )
//! challenge  = token [ 1*SP ( token68 / auth-param *( OWS "," [ OWS auth-param ] ) ) ]
//! auth-param = token BWS "=" BWS ( token / quoted-string )
//! ```
//!
//! After a comma, a token with `=` behind it is a further parameter, and any other begins the next challenge.

use super::ChallengeError;
use crate::bounds::PARAMETER_COUNT_MAX;

/// A challenge of any scheme. A token68 is dropped: neither Basic nor Bearer challenges have one.
pub(super) struct Raw<'a> {
    pub(super) scheme: &'a str,
    parameters: Vec<(&'a str, String)>,
}

impl Raw<'_> {
    /// Removes the value of a parameter, whose name has no case.
    pub(super) fn take(&mut self, name: &'static str) -> Result<Option<String>, ChallengeError> {
        let is_named = |(present, _): &(&str, String)| present.eq_ignore_ascii_case(name);
        let Some(index) = self.parameters.iter().position(is_named) else { return Ok(None) };
        let (_, value) = self.parameters.swap_remove(index);
        if self.parameters.iter().any(is_named) {
            return Err(ChallengeError::Duplicate { name });
        }
        Ok(Some(value))
    }
}

pub(super) struct Lexer<'a> {
    header: &'a str,
    /// Always on a character boundary: it moves by whole ASCII characters and by what `find` returns.
    offset: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(header: &'a str) -> Lexer<'a> {
        Lexer { header, offset: 0 }
    }

    /// The next challenge, or `None` at the end of the header.
    pub(super) fn next_challenge(&mut self) -> Result<Option<Raw<'a>>, ChallengeError> {
        self.skip_separators();
        if self.rest().is_empty() {
            return Ok(None);
        }
        let scheme = self.token().ok_or_else(|| self.expected("authentication scheme"))?;
        let mut raw = Raw { scheme, parameters: Vec::new() };
        let has_space = self.skip_space();
        if self.at_separator() {
            return Ok(Some(raw));
        }
        if !has_space {
            return Err(self.expected("space after the authentication scheme"));
        }
        if self.skip_token68() {
            return Ok(Some(raw));
        }
        raw.parameters.push(self.parameter()?.ok_or_else(|| self.expected("parameter"))?);
        loop {
            self.skip_space();
            if !self.at_separator() {
                return Err(self.expected("comma after a parameter"));
            }
            self.skip_separators();
            match self.parameter()? {
                Some(_) if raw.parameters.len() == PARAMETER_COUNT_MAX => {
                    return Err(ChallengeError::ParameterCount);
                }
                Some(parameter) => raw.parameters.push(parameter),
                None => return Ok(Some(raw)),
            }
        }
    }

    /// `name = value`, or `None` without having moved if that does not stand here.
    fn parameter(&mut self) -> Result<Option<(&'a str, String)>, ChallengeError> {
        let start = self.offset;
        let Some(name) = self.token() else { return Ok(None) };
        self.skip_space();
        if !self.skip("=") {
            self.offset = start;
            return Ok(None);
        }
        self.skip_space();
        Ok(Some((name, self.value()?)))
    }

    fn value(&mut self) -> Result<String, ChallengeError> {
        if self.rest().starts_with('"') {
            return self.quoted();
        }
        let value = self.take_while(|byte| byte.is_ascii_graphic() && !matches!(byte, b',' | b'"'));
        if value.is_empty() {
            return Err(self.expected("parameter value"));
        }
        Ok(value.to_owned())
    }

    /// A quoted string without its quotes and escapes.
    fn quoted(&mut self) -> Result<String, ChallengeError> {
        let start = self.offset;
        let mut value = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((index, character)) = characters.next() {
            match character {
                '"' => {
                    self.offset = start + index + 1;
                    return Ok(value);
                }
                '\\' => match characters.next() {
                    Some((_, escaped)) => value.push(escaped),
                    None => break,
                },
                character => value.push(character),
            }
        }
        Err(ChallengeError::OpenQuote { offset: start })
    }

    /// Skips a token68 if one stands here: it must reach to the end of its list element.
    fn skip_token68(&mut self) -> bool {
        let start = self.offset;
        let text = self.take_while(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        self.take_while(|byte| byte == b'=');
        self.skip_space();
        let found = !text.is_empty() && self.at_separator();
        if !found {
            self.offset = start;
        }
        found
    }

    fn token(&mut self) -> Option<&'a str> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        Some(self.take_while(is_token)).filter(|token| !token.is_empty())
    }

    fn rest(&self) -> &'a str {
        self.header.get(self.offset..).unwrap_or_default()
    }

    fn take_while(&mut self, is_wanted: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        // Only ASCII is ever wanted, so the first other byte is the start of a character.
        let end = rest.bytes().position(|byte| !byte.is_ascii() || !is_wanted(byte)).unwrap_or(rest.len());
        let (taken, _) = rest.split_at(end);
        self.offset += end;
        taken
    }

    fn skip(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.offset += text.len();
        }
        found
    }

    fn skip_space(&mut self) -> bool {
        !self.take_while(|byte| matches!(byte, b' ' | b'\t')).is_empty()
    }

    fn skip_separators(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t' | b','));
    }

    fn at_separator(&self) -> bool {
        self.rest().is_empty() || self.rest().starts_with(',')
    }

    fn expected(&self, expected: &'static str) -> ChallengeError {
        ChallengeError::Syntax { expected, offset: self.offset }
    }
}
