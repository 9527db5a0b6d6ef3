//! Parameters of an address or a form body.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};

/// The first value of a name stands; a form's values stand over the address's.
pub(super) type Parameters = BTreeMap<String, String>;

/// True if the body is a form. The influx shell sends a POST with everything in the address and no body.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

pub(super) fn decode(text: &str) -> Parameters {
    let mut parameters = Parameters::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters.entry(plain(name)).or_insert_with(|| plain(value));
    }
    parameters
}

/// `+` is a space, `%41` a byte; a `%` without two digits stands for itself.
fn plain(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.filter(|two| !two.starts_with('+')).and_then(|two| u8::from_str_radix(two, 16).ok());
        match (bytes[at], byte) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (other, _) => out.push(other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let parameters = decode("q=SELECT+%22a%22+%2B1&db=x&bad=%zz%4&pretty&db=y");
        assert_eq!(parameters["q"], "SELECT \"a\" +1");
        assert_eq!(parameters["db"], "x");
        assert_eq!(parameters["bad"], "%zz%4");
        assert_eq!(parameters["pretty"], "");
    }
}
