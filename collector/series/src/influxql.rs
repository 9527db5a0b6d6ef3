//! The language: text to tokens ([`lexer`]), tokens to a tree ([`parser`]). Knows nothing of stored data.
//!
//! The tokens are read by `winnow`. The grammar above them is plain recursive descent, because InfluxDB's messages name the one token
//! that was found and all that would have been right there, and clients show them to people.

pub(crate) mod ast;
pub(crate) mod lexer;
pub(crate) mod parser;
pub(crate) mod token;

pub(crate) use parser::parse;

/// Why a text is not InfluxQL, as InfluxDB says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing query: {0}")]
pub(crate) struct ParseError(pub(crate) String);

#[cfg(test)]
mod tests;
