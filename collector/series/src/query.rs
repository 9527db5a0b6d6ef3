//! Answers InfluxQL requests. In the order in which a statement passes through:
//! [`view`] (what is stored of a measurement), [`range`] (time out of WHERE), [`condition`] (the rest of WHERE), [`plan`] (what to
//! compute), [`select`] (groups and series), then [`raw`] rows or [`aggregate`]d buckets with [`fill`] and [`transform`], and
//! the clauses that cut. [`show`] answers from the catalogue alone.
//!
//! Every part works on one series at a time and hands its rows to a [`sink`]. Rows as they are stored flow through; what functions need
//! is held, and bounded by limits.

mod aggregate;
pub(crate) mod answer;
pub(crate) mod budget;
pub(crate) mod change;
mod condition;
mod explain;
mod fill;
mod forecast;
mod functions;
mod into;
mod made;
mod math;
mod narrow;
mod plan;
mod range;
mod raw;
mod read;
pub(crate) mod remarks;
mod rolled;
mod select;
mod show;
pub(crate) mod sink;
mod technical;
mod tiers;
mod transform;
mod types;
mod view;
mod window;

pub use answer::{Epoch, Message, Parameters, QueryOptions, Response, ResultSeries, StatementResult, Value};

use crate::change::{self as journal, NotTaken, Writer};
use crate::influxql::ast::Statement;
use crate::influxql::parse;
use crate::store::{Place, Reading, Store, StoreError};
use budget::{Budget, Ended};
use remarks::Remarks;
use sink::{Gone, Sink, pour};

/// Why a statement has no answer, as InfluxDB says it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    /// What the client did wrong, or a limit.
    #[error("{0}")]
    Refused(String),
    /// Nobody wants the answer any more.
    #[error(transparent)]
    Gone(#[from] Gone),
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
    pub(crate) remarks: Remarks,
    pub(crate) reading: Reading<'a>,
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

/// Runs every statement of `text` and keeps the answer.
pub(crate) fn run(
    store: &Store,
    database: &str,
    text: &str,
    options: &QueryOptions,
    writer: Option<&dyn Writer>,
) -> Response {
    let mut collected = sink::Collected::default();
    let most_rows = store.options.query.max_rows;
    let error = read(store, text, options)
        .and_then(|statements| {
            let budget = Budget::new(&store.options.query, options, most_rows);
            let (remarks, reading) = (Remarks::default(), Reading::new(store));
            let request = Request { store, database, options, writer, budget, remarks, reading };
            request.run(&statements, &mut collected).map_err(|gone| gone.to_string())
        })
        .err();
    Response { epoch: options.epoch, error, ..collected.response }
}

/// The statements of a text that was read.
pub(crate) type Statements<'a> = Vec<(Statement, &'a str)>;

/// Reads a text. What is wrong with it fails the request as a whole.
pub(crate) fn read<'a>(store: &Store, text: &'a str, options: &QueryOptions) -> Result<Statements<'a>, String> {
    let limits = &store.options.query;
    if text.len() > limits.max_query_bytes {
        return Err(format!("the query is longer than {} bytes", limits.max_query_bytes));
    }
    parse(text, &options.parameters.0, limits.max_statements, limits.max_depth).map_err(|error| error.to_string())
}

impl Request<'_> {
    /// Hands the answers of all statements to `sink`. The first that fails stops the rest, which are answered with `not executed`.
    pub(crate) fn run(&self, statements: &[(Statement, &str)], sink: &mut dyn Sink) -> Result<(), Gone> {
        let answered = self.answer(statements, sink);
        let ended = if answered.is_err() { Some(Ended::Interrupted) } else { self.budget.ended() };
        if let Some(ended) = ended {
            self.store.count_ended(ended);
        }
        answered
    }

    fn answer(&self, statements: &[(Statement, &str)], sink: &mut dyn Sink) -> Result<(), Gone> {
        let mut failed = false;
        for (id, (statement, text)) in statements.iter().enumerate() {
            sink.statement(id)?;
            if failed {
                sink.end(Vec::new(), Some("not executed".to_owned()))?;
                continue;
            }
            let error = match self.statement(statement, text, sink) {
                Err(QueryError::Gone(gone)) if self.budget.ended().is_none() => return Err(gone),
                answered => answered.err().map(|error| error.to_string()),
            };
            failed = error.is_some();
            let messages = self.remark(statement, text).into_iter().chain(self.remarks.take());
            sink.end(messages.collect(), error)?;
        }
        if statements.is_empty() {
            // Clients index the first result without looking.
            sink.statement(0)?;
            sink.end(Vec::new(), None)?;
        }
        Ok(())
    }

    fn statement(&self, statement: &Statement, text: &str, sink: &mut dyn Sink) -> Answer<()> {
        match statement {
            Statement::Select(select) if select.target.is_some() => pour(into::answer(self, select)?, sink),
            Statement::Select(select) => select::answer(self, select, sink),
            Statement::Show(show) => pour(show::answer(self, show)?, sink),
            Statement::Explain(select) => pour(explain::answer(self, select)?, sink),
            Statement::Change(change) => {
                if text.contains('$') {
                    return Err("parameters cannot be bound in a statement that changes something".into());
                }
                let now_ns = self.options.now_ns;
                if change::judge(self.store, self.database, change, now_ns)? {
                    let (database, text) = (self.database.to_owned(), text.to_owned());
                    self.commit(journal::Change::Statement(journal::Statement { database, text, now_ns }))?;
                }
                Ok(())
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
