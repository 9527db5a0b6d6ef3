//! A form with a file, as browsers send it (RFC 7578): taken apart here, because no more of it is needed than this.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{StatusCode, header};

use super::Desk;
use super::access::{Visitor, same};
use super::page::PageError;

/// Fields of one form; ours have three.
const FIELDS_MAX: usize = 16;

/// A form with a file, of someone who is logged in, from a page of their session.
#[derive(Debug)]
pub(super) struct Uploaded {
    pub(super) visitor: Visitor,
    fields: BTreeMap<String, Field>,
}

/// One field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Field {
    /// The name of the file on the machine that it came from; empty for what is no file.
    file: String,
    content: Vec<u8>,
}

impl Uploaded {
    /// A file's name, without folders, and its content; none if no file was chosen.
    pub(super) fn file(&self, name: &str) -> Option<(&str, &[u8])> {
        let field = self.fields.get(name).filter(|field| !field.file.is_empty())?;
        let short = field.file.rsplit(['/', '\\']).next().unwrap_or_default();
        Some((short, &field.content))
    }
}

impl FromRequest<Desk> for Uploaded {
    type Rejection = PageError;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, desk).await?;
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let boundary = kind.and_then(boundary).ok_or_else(unreadable)?.to_owned();
        let bytes = Bytes::from_request(Request::from_parts(parts, body), desk)
            .await
            .map_err(|refused| PageError::Plain(refused.status(), "This file is too large.".into()))?;
        let fields = fields(&bytes, &boundary).ok_or_else(unreadable)?;
        let token = fields.get("csrf").map(|field| String::from_utf8_lossy(&field.content).into_owned());
        if !same(&token.unwrap_or_default(), &visitor.csrf) {
            let text =
                "This form is of an older session, so nothing was changed. Go back, reload the page and try again.";
            return Err(PageError::Plain(StatusCode::FORBIDDEN, text.into()));
        }
        Ok(Self { visitor, fields })
    }
}

fn unreadable() -> PageError {
    PageError::Plain(StatusCode::UNPROCESSABLE_ENTITY, "This form could not be read.".into())
}

fn boundary(kind: &str) -> Option<&str> {
    let (form, rest) = kind.split_once(';')?;
    let value = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    let value = value.trim_matches('"');
    // RFC 2046 has no longer ones.
    (form.trim().eq_ignore_ascii_case("multipart/form-data") && (1..=70).contains(&value.len())).then_some(value)
}

/// Every field by its name; none if the form is cut off or no form at all.
fn fields(bytes: &[u8], boundary: &str) -> Option<BTreeMap<String, Field>> {
    let dashes = format!("\r\n--{boundary}");
    let mut rest = bytes.strip_prefix(&dashes.as_bytes()[2..])?;
    let mut all = BTreeMap::new();
    while !rest.starts_with(b"--") {
        if all.len() >= FIELDS_MAX {
            return None;
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let (head, after) = split(rest, b"\r\n\r\n")?;
        let (content, next) = split(after, dashes.as_bytes())?;
        let head = String::from_utf8_lossy(head);
        let name = head.lines().find_map(|line| parameter(line, "name"))?;
        let file = head.lines().find_map(|line| parameter(line, "filename")).unwrap_or_default();
        all.insert(name, Field { file, content: content.to_vec() });
        rest = next;
    }
    Some(all)
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let place = bytes.windows(at.len()).position(|window| window == at)?;
    Some((&bytes[..place], &bytes[place + at.len()..]))
}

/// A quoted parameter of `Content-Disposition`.
fn parameter(line: &str, name: &str) -> Option<String> {
    let (header, value) = line.split_once(':')?;
    if !header.trim().eq_ignore_ascii_case("content-disposition") {
        return None;
    }
    let begin = format!("{name}=\"");
    let part = value.split("; ").find_map(|part| part.trim().strip_prefix(begin.as_str()))?;
    Some(part.split('"').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "--XyZ\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\nabc\r\n--XyZ\r\n\
        Content-Disposition: form-data; name=\"list\"; filename=\"C:\\lists\\devices.csv\"\r\nContent-Type: text/csv\r\n\r\n\
        Asset tag,Price\r\n\r\nL1,--5\r\n\r\n--XyZ--\r\n";

    #[test]
    fn a_form_with_a_file_is_taken_apart() {
        let all = fields(FORM.as_bytes(), "XyZ").unwrap();
        assert_eq!(all["csrf"], Field { file: String::new(), content: b"abc".to_vec() });
        assert_eq!(all["list"].content, b"Asset tag,Price\r\n\r\nL1,--5\r\n");
        assert_eq!(all["list"].file, "C:\\lists\\devices.csv");
        assert_eq!(boundary("multipart/form-data; boundary=\"XyZ\""), Some("XyZ"));
    }

    #[test]
    fn what_is_cut_off_anywhere_is_no_form_and_never_a_panic() {
        let end = FORM.len() - "--\r\n".len();
        for cut in 0..end {
            assert_eq!(fields(&FORM.as_bytes()[..cut], "XyZ"), None, "{cut}");
        }
        for kind in ["text/plain", "multipart/form-data", "multipart/form-data; boundary=", "a; boundary=b"] {
            assert_eq!(boundary(kind), None, "{kind}");
        }
    }
}
