//! Text to tokens. Whether `/` divides or begins a pattern depends on the token before it: after a value it divides.

use winnow::Parser;
use winnow::ascii::{digit1, multispace1};
use winnow::combinator::{alt, opt, preceded, repeat};
use winnow::error::ModalResult;
use winnow::token::{any, none_of, rest, take_till, take_until, take_while};

use super::token::{Kind, Token, word};

/// Marks, longest first.
const MARKS: &[&str] = &[
    "=~", "!~", "!=", "<>", "<=", ">=", "::", "=", "<", ">", "(", ")", ",", ";", ".", ":", "+", "-", "*", "/", "%",
    "&", "|", "^",
];

/// All tokens of a text; the last one is the end. Never fails: what cannot be read is a token of its own.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut input = text;
    let mut tokens: Vec<Token> = Vec::new();
    loop {
        skip(&mut input);
        let at = text.len() - input.len();
        if input.is_empty() {
            tokens.push(Token { kind: Kind::End, at });
            return tokens;
        }
        let after_value = tokens.last().is_some_and(|token| is_value(&token.kind));
        let kind = match token(&mut input, after_value) {
            Ok(kind) => kind,
            Err(_) => Kind::Bad(take_one(&mut input)),
        };
        tokens.push(Token { kind, at });
    }
}

fn is_value(kind: &Kind) -> bool {
    match kind {
        Kind::Mark(mark) => matches!(*mark, ")" | "*"),
        Kind::Word(word) => matches!(*word, "TRUE" | "FALSE" | "TAG" | "FIELD"),
        Kind::End | Kind::Bad(_) => false,
        _ => true,
    }
}

fn take_one(input: &mut &str) -> String {
    let one: ModalResult<char> = any.parse_next(input);
    one.map(String::from).unwrap_or_default()
}

/// Spaces, `-- comments` and `/* comments */`.
fn skip(input: &mut &str) {
    let line = ("--", take_till(0.., '\n')).void();
    let block = ("/*", alt((take_until(0.., "*/"), rest)), opt("*/")).void();
    let mut all = repeat::<_, _, (), _, _>(0.., alt((multispace1.void(), line, block)));
    let skipped: ModalResult<()> = all.parse_next(input);
    // `repeat` from zero on cannot fail.
    let _ = skipped;
}

fn token(input: &mut &str, after_value: bool) -> ModalResult<Kind> {
    if !after_value && input.starts_with('/') {
        return alt((regex, bad_regex)).parse_next(input);
    }
    alt((
        number,
        quoted('"').map(|text| text.map_or_else(Kind::Bad, Kind::Name)),
        quoted('\'').map(|text| text.map_or_else(Kind::Bad, Kind::Text)),
        preceded('$', alt((bare, quoted_name))).map(Kind::Parameter),
        bare.map(|name| word(&name).map_or_else(|| Kind::Name(name), Kind::Word)),
        mark,
    ))
    .parse_next(input)
}

fn bare(input: &mut &str) -> ModalResult<String> {
    let first = |c: char| c.is_alphabetic() || c == '_';
    let rest = |c: char| c.is_alphanumeric() || c == '_';
    (take_while(1, first), take_while(0.., rest)).take().map(str::to_owned).parse_next(input)
}

fn quoted_name(input: &mut &str) -> ModalResult<String> {
    quoted('"').verify_map(Result::ok).parse_next(input)
}

/// `Err` holds what InfluxDB shows for a text without an end or with an unknown escape.
fn quoted<'a>(
    mut quote: char,
) -> impl Parser<&'a str, Result<String, String>, winnow::error::ErrMode<winnow::error::ContextError>> {
    move |input: &mut &'a str| {
        quote.parse_next(input)?;
        let mut text = String::new();
        loop {
            let next: ModalResult<char> = any.parse_next(input);
            match next {
                Ok(letter) if letter == quote => return Ok(Ok(text)),
                Ok('\\') => {
                    let escaped: ModalResult<char> = any.parse_next(input);
                    match escaped {
                        Ok('n') => text.push('\n'),
                        Ok(letter @ ('\\' | '"' | '\'')) => text.push(letter),
                        Ok(letter) => return Ok(Err(format!("\\{letter}"))),
                        Err(_) => return Ok(Err(text)),
                    }
                }
                Ok('\n') | Err(_) => return Ok(Err(text)),
                Ok(letter) => text.push(letter),
            }
        }
    }
}

fn regex(input: &mut &str) -> ModalResult<Kind> {
    let piece = alt(("\\/".value("/"), ('\\', any).take(), none_of(['/', '\n', '\\']).take()));
    let body = repeat(0.., piece).fold(String::new, |mut all, piece: &str| {
        all.push_str(piece);
        all
    });
    ('/', body, '/').map(|(_, body, _)| Kind::Regex(body)).parse_next(input)
}

fn bad_regex(input: &mut &str) -> ModalResult<Kind> {
    rest.map(|text: &str| Kind::Bad(text.to_owned())).parse_next(input)
}

fn mark(input: &mut &str) -> ModalResult<Kind> {
    let found = MARKS.iter().find(|mark| input.starts_with(**mark));
    match found {
        Some(mark) => {
            *input = &input[mark.len()..];
            Ok(Kind::Mark(mark))
        }
        None => winnow::combinator::fail.parse_next(input),
    }
}

/// `12`, `1.5`, `.5`, `1h30m`.
fn number(input: &mut &str) -> ModalResult<Kind> {
    let mut whole = alt(((digit1, opt(('.', digit1))).take(), ('.', digit1).take()));
    let digits: &str = whole.parse_next(input)?;
    if digits.contains('.') {
        return Ok(Kind::Number(digits.to_owned()));
    }
    let unit = |c: char| c.is_ascii_alphanumeric() || c == 'µ';
    if !input.starts_with(|c: char| c.is_ascii_alphabetic() || c == 'µ') {
        return Ok(Kind::Integer(digits.to_owned()));
    }
    let more: &str = take_while(1.., unit).parse_next(input)?;
    let text = format!("{digits}{more}");
    Ok(match duration(&text) {
        Some(nanoseconds) => Kind::Duration(text, nanoseconds),
        None => Kind::BadDuration(text),
    })
}

/// Nanoseconds of `1h30m`.
pub(crate) fn duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let amount: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ns" => 1,
            "u" | "µ" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            _ => return None,
        };
        rest = &rest[letters..];
        total = total.checked_add(amount.checked_mul(unit)?)?;
    }
    Some(total)
}
