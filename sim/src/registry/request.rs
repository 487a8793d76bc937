//! Requests, taken apart.

use http::{HeaderMap, Method, header};

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Base,
    Token,
    Manifest {
        repository: String,
        reference: String,
    },
    Blob {
        repository: String,
        digest: String,
    },
    Tags {
        repository: String,
    },
    /// The object store that blobs are redirected to.
    Storage {
        repository: String,
        digest: String,
    },
    Unknown,
}

impl Route {
    pub(super) fn parse(path: &str) -> Route {
        match path {
            "/v2" | "/v2/" => return Route::Base,
            "/token" => return Route::Token,
            _ => {}
        }
        let split = |path: &str, middle: &str| {
            let (repository, last) = path.rsplit_once(middle)?;
            (!repository.is_empty() && !last.contains('/')).then(|| (repository.to_owned(), last.to_owned()))
        };
        if let Some((repository, digest)) = path.strip_prefix("/storage/").and_then(|rest| split(rest, "/")) {
            return Route::Storage { repository, digest };
        }
        let Some(rest) = path.strip_prefix("/v2/") else { return Route::Unknown };
        if let Some((repository, reference)) = split(rest, "/manifests/") {
            Route::Manifest { repository, reference }
        } else if let Some((repository, digest)) = split(rest, "/blobs/") {
            Route::Blob { repository, digest }
        } else if let Some(repository) = rest.strip_suffix("/tags/list") {
            Route::Tags { repository: repository.to_owned() }
        } else {
            Route::Unknown
        }
    }

    pub(super) fn repository(&self) -> Option<&str> {
        match self {
            Route::Manifest { repository, .. }
            | Route::Blob { repository, .. }
            | Route::Tags { repository } => Some(repository),
            _ => None,
        }
    }
}

/// A request without its body.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) host: String,
    pub(super) dialled: Option<String>,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
}

impl Head {
    pub(super) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Values of a query parameter, decoded.
    pub(super) fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        pairs(self.query.as_deref().unwrap_or_default())
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value)
    }
}

/// Pairs of a query string or an urlencoded form.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(value))
    })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => {
                let digit =
                    |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                if let (Some(high), Some(low)) = (digit(high), digit(low)) {
                    bytes.push(high * 16 + low);
                    rest = after;
                } else {
                    bytes.push(b'%');
                }
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The bytes that a `Range` header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// The whole: no range, or one that a server may ignore (several parts, other units, malformed).
    Whole,
    /// From, and up to but not including.
    Part(u64, u64),
    /// Nothing that exists.
    Unsatisfiable,
}

impl Range {
    /// RFC 9110, section 14.
    pub(super) fn parse(header: Option<&str>, length: u64) -> Range {
        let parsed = header
            .and_then(|header| header.strip_prefix("bytes="))
            .filter(|ranges| !ranges.contains(','))
            .and_then(|range| range.split_once('-'));
        let Some((first, last)) = parsed else { return Range::Whole };
        match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
            (Ok(first), _) if first >= length => Range::Unsatisfiable,
            (Ok(first), Ok(last)) if last >= first => Range::Part(first, length.min(last + 1)),
            (Ok(first), Err(_)) if last.trim().is_empty() => Range::Part(first, length),
            (Err(_), Ok(0)) if first.trim().is_empty() => Range::Unsatisfiable,
            (Err(_), Ok(suffix)) if first.trim().is_empty() => {
                Range::Part(length.saturating_sub(suffix), length)
            }
            _ => Range::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Range, Route, pairs};

    #[test]
    fn ranges() {
        for (header, expected) in [
            (None, Range::Whole),
            (Some("bytes=0-"), Range::Part(0, 10)),
            (Some("bytes=3-5"), Range::Part(3, 6)),
            (Some("bytes=3-99"), Range::Part(3, 10)),
            (Some("bytes=-4"), Range::Part(6, 10)),
            (Some("bytes=10-"), Range::Unsatisfiable),
            (Some("bytes=5-3"), Range::Whole),
            (Some("bytes=0-1,3-4"), Range::Whole),
            (Some("lines=0-1"), Range::Whole),
        ] {
            assert_eq!(Range::parse(header, 10), expected, "{header:?}");
        }
    }

    #[test]
    fn routes() {
        let manifest = Route::Manifest { repository: "a/b".to_owned(), reference: "latest".to_owned() };
        assert_eq!(Route::parse("/v2/a/b/manifests/latest"), manifest);
        let blob = Route::Blob { repository: "a".to_owned(), digest: "sha256:0".to_owned() };
        assert_eq!(Route::parse("/v2/a/blobs/sha256:0"), blob);
        assert_eq!(Route::parse("/v2/a/b"), Route::Unknown);
    }

    #[test]
    fn forms_are_decoded() {
        let decoded: Vec<_> = pairs("scope=repository%3Aa%2Fb%3Apull&x=1+2&y").collect();
        let expected = [("scope", "repository:a/b:pull"), ("x", "1 2"), ("y", "")];
        assert_eq!(decoded, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}
