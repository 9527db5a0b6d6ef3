//! Answers InfluxQL requests. In the order in which a statement passes through:
//! [`view`] (what is stored of a measurement), [`range`] (time out of WHERE), [`condition`] (the rest of WHERE), [`plan`] (what to
//! compute), [`select`] (groups and series), then [`raw`] rows or [`aggregate`]d buckets with [`fill`] and [`transform`], and
//! the clauses that cut. [`show`] answers from the catalogue alone.
//!
//! Every part works on one series at a time and holds what its answer needs, so memory is bounded by the answer and its limits.

mod aggregate;
mod answer;
mod budget;
mod condition;
mod fill;
mod functions;
mod math;
mod plan;
mod range;
mod raw;
mod select;
mod show;
mod transform;
mod view;
mod window;

pub use answer::{Epoch, Message, QueryOptions, Response, ResultSeries, StatementResult, Value};

use crate::influxql::ast::Statement;
use crate::influxql::parse;
use crate::store::{Store, StoreError};
use budget::Budget;

/// Why a statement has no answer, as InfluxDB says it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    /// What the client did wrong, or a limit.
    #[error("{0}")]
    Refused(String),
    /// What the store could not do.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<&str> for QueryError {
    fn from(text: &str) -> Self {
        Self::Refused(text.to_owned())
    }
}

impl From<String> for QueryError {
    fn from(text: String) -> Self {
        Self::Refused(text)
    }
}

pub(crate) type Answer<T> = Result<T, QueryError>;

/// Runs every statement of `text`. The first that fails stops the rest, which are answered with `not executed`.
pub(crate) fn run(store: &Store, database: &str, text: &str, options: &QueryOptions) -> Response {
    let limits = &store.options.query;
    let refused = |error: String| Response { error: Some(error), epoch: options.epoch, results: Vec::new() };
    if text.len() > limits.max_query_bytes {
        return refused(format!("the query is longer than {} bytes", limits.max_query_bytes));
    }
    let statements = match parse(text, limits.max_statements, limits.max_depth) {
        Ok(statements) => statements,
        Err(error) => return refused(error.to_string()),
    };
    let budget = Budget::new(limits, options);
    let mut response = Response { epoch: options.epoch, ..Response::default() };
    let mut failed = false;
    for (statement_id, statement) in statements.iter().enumerate() {
        let mut result = StatementResult { statement_id, ..StatementResult::default() };
        if failed {
            result.error = Some("not executed".to_owned());
        } else {
            match statement_answer(store, database, statement, options, &budget) {
                Ok(series) => result.series = series,
                Err(error) => result.error = Some(error.to_string()),
            }
            failed = result.error.is_some();
        }
        response.results.push(result);
    }
    if response.results.is_empty() {
        // Clients index the first result without looking.
        response.results.push(StatementResult::default());
    }
    response
}

fn statement_answer(
    store: &Store,
    database: &str,
    statement: &Statement,
    options: &QueryOptions,
    budget: &Budget<'_>,
) -> Answer<Vec<ResultSeries>> {
    match statement {
        Statement::Select(select) => select::answer(store, database, select, options.now_ns, budget),
        Statement::Show(show) => show::answer(store, database, show, options.now_ns, budget),
        Statement::CreateDatabase(name) => show::create_database(store, name),
    }
}
