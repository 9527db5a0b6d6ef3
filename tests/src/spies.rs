//! Finding a name in bytes, however it is written: in any case, in the two bytes a letter of Windows, and in base64.

use data_encoding::BASE64;

/// How a word was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A byte a letter.
    Plain,
    /// UTF-16, in either order of bytes.
    Wide,
    /// Base64 of the plain letters, wherever in the encoded text it begins.
    Base64,
    /// Base64 of UTF-16.
    WideBase64,
}

/// Whether an ASCII word of at least six letters is in `bytes`, and in which form. Plain and wide letters match in
/// whatever case; base64 matches a word written small, large, or with a capital.
///
/// # Panics
/// If the word is no such word: a shorter one would be found by chance.
#[must_use]
pub fn find(bytes: &[u8], word: &str) -> Option<Form> {
    assert!(word.len() >= 6 && word.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{word}");
    let small = word.to_ascii_lowercase();
    let lowered = bytes.to_ascii_lowercase();
    if has(&lowered, small.as_bytes()) {
        return Some(Form::Plain);
    }
    // The other order of bytes is this one, a byte later.
    if has(&lowered, &wide(&small)[..2 * small.len() - 1]) {
        return Some(Form::Wide);
    }
    let large = small.to_ascii_uppercase();
    let capital = format!("{}{}", &large[..1], &small[1..]);
    for written in [small, large, capital] {
        for (letters, form) in [(written.clone().into_bytes(), Form::Base64), (wide(&written), Form::WideBase64)] {
            if (0..3).any(|before| has(bytes, &encoded(&letters, before))) {
                return Some(form);
            }
        }
    }
    None
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn wide(word: &str) -> Vec<u8> {
    word.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// What base64 surely has of these letters if so many bytes stand before them, whatever stands around.
fn encoded(letters: &[u8], before: usize) -> Vec<u8> {
    let whole = [vec![0; before], letters.to_vec()].concat();
    let text = BASE64.encode(&whole);
    let from = (before * 8).div_ceil(6);
    let until = whole.len() * 8 / 6;
    text.as_bytes()[from..until].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_in_every_form_and_a_like_one_is_not() {
        let plain = b"xx-QuillFeather's laptop".to_vec();
        assert_eq!(find(&plain, "quillfeather"), Some(Form::Plain));
        let big_endian = "aQUILLFEATHERb".encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        assert_eq!(find(&big_endian, "quillfeather"), Some(Form::Wide));
        assert_eq!(find(&wide("aQuillFeatherb"), "quillfeather"), Some(Form::Wide));
        for before in 0..5 {
            for word in ["quillfeather", "QUILLFEATHER", "Quillfeather"] {
                let text = format!("{}{word}-and-more", "z".repeat(before));
                let encoded = BASE64.encode(text.as_bytes());
                assert_eq!(find(encoded.as_bytes(), "quillfeather"), Some(Form::Base64), "{encoded}");
                let encoded = BASE64.encode(&wide(&text));
                assert_eq!(find(encoded.as_bytes(), "quillfeather"), Some(Form::WideBase64), "{encoded}");
            }
        }
        assert_eq!(find(b"quill-feather quillfeathe", "quillfeather"), None);
        assert_eq!(find(&[], "quillfeather"), None);
    }
}
