//! Answers InfluxQL requests. In the order in which a statement passes through:
//! [`view`] (what is stored of a measurement), [`range`] (time out of WHERE), [`condition`] (the rest of WHERE), [`plan`] (what to
//! compute), [`select`] (groups and series), then [`raw`] rows or [`aggregate`]d buckets with [`fill`] and [`transform`], and
//! the clauses that cut. [`show`] answers from the catalogue alone.
//!
//! Every part works on one series at a time and holds what its answer needs, so memory is bounded by the answer and its limits.

mod aggregate;
mod answer;
mod budget;
pub(crate) mod change;
mod condition;
mod explain;
mod fill;
mod functions;
mod into;
mod made;
mod math;
mod plan;
mod range;
mod raw;
mod read;
mod select;
mod show;
mod transform;
mod view;
mod window;

pub use answer::{Epoch, Message, Parameters, QueryOptions, Response, ResultSeries, StatementResult, Value};

use crate::change::{self as journal, NotTaken, Writer};
use crate::influxql::ast::Statement;
use crate::influxql::parse;
use crate::store::{Place, Store, StoreError};
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

/// Everything that answering a request needs.
pub(crate) struct Request<'a> {
    pub(crate) store: &'a Store,
    pub(crate) database: &'a str,
    pub(crate) options: &'a QueryOptions,
    /// Nobody: the request may only read.
    pub(crate) writer: Option<&'a dyn Writer>,
    pub(crate) budget: Budget<'a>,
}

impl Request<'_> {
    /// Where a source looks that names no place.
    pub(crate) fn place(&self) -> Place<'_> {
        Place { database: self.database, policy: self.options.policy.as_deref() }
    }

    fn commit(&self, change: journal::Change) -> Answer<()> {
        let writer = self.writer.ok_or("not allowed to write")?;
        writer.commit(change).map_err(|error: NotTaken| error.to_string().into())
    }
}

/// Runs every statement of `text`. The first that fails stops the rest, which are answered with `not executed`.
pub(crate) fn run(
    store: &Store,
    database: &str,
    text: &str,
    options: &QueryOptions,
    writer: Option<&dyn Writer>,
) -> Response {
    let limits = &store.options.query;
    let refused = |error: String| Response { error: Some(error), epoch: options.epoch, results: Vec::new() };
    if text.len() > limits.max_query_bytes {
        return refused(format!("the query is longer than {} bytes", limits.max_query_bytes));
    }
    let statements = match parse(text, &options.parameters.0, limits.max_statements, limits.max_depth) {
        Ok(statements) => statements,
        Err(error) => return refused(error.to_string()),
    };
    let request = Request { store, database, options, writer, budget: Budget::new(limits, options) };
    let mut response = Response { epoch: options.epoch, ..Response::default() };
    let mut failed = false;
    for (statement_id, (statement, text)) in statements.iter().enumerate() {
        let mut result = StatementResult { statement_id, ..StatementResult::default() };
        if failed {
            result.error = Some("not executed".to_owned());
        } else {
            match request.statement(statement, text) {
                Ok(series) => result.series = series,
                Err(error) => result.error = Some(error.to_string()),
            }
            failed = result.error.is_some();
            result.messages.extend(request.remark(statement, text));
        }
        response.results.push(result);
    }
    if response.results.is_empty() {
        // Clients index the first result without looking.
        response.results.push(StatementResult::default());
    }
    response
}

impl Request<'_> {
    fn statement(&self, statement: &Statement, text: &str) -> Answer<Vec<ResultSeries>> {
        match statement {
            Statement::Select(select) if select.target.is_some() => into::answer(self, select),
            Statement::Select(select) => select::answer(self, select),
            Statement::Show(show) => show::answer(self, show),
            Statement::Explain(select) => explain::answer(self, select),
            Statement::Change(change) => {
                if text.contains('$') {
                    return Err("parameters cannot be bound in a statement that changes something".into());
                }
                let now_ns = self.options.now_ns;
                if change::judge(self.store, self.database, change, now_ns)? {
                    let (database, text) = (self.database.to_owned(), text.to_owned());
                    self.commit(journal::Change::Statement(journal::Statement { database, text, now_ns }))?;
                }
                Ok(Vec::new())
            }
        }
    }

    /// InfluxDB carries out changes that come by GET, and says that they should not.
    fn remark(&self, statement: &Statement, text: &str) -> Option<Message> {
        let changes = match statement {
            Statement::Change(_) => true,
            Statement::Select(select) => select.target.is_some(),
            Statement::Show(_) | Statement::Explain(_) => false,
        };
        (changes && self.options.by_get).then(|| Message {
            level: "warning",
            text: format!("deprecated use of '{text}' in a read only context, please use a POST request instead"),
        })
    }
}
