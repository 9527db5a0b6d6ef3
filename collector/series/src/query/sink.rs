//! Where an answer goes, piece by piece, so that nobody needs to hold all of it.

use super::{Answer, Message, Response, ResultSeries, StatementResult, Value};

/// Takes in an answer. For each statement: [`statement`](Sink::statement), for each of its series [`series`](Sink::series) and
/// the rows, then [`end`](Sink::end).
pub(crate) trait Sink {
    /// A statement begins.
    fn statement(&mut self, id: usize) -> Result<(), Gone>;
    /// A series begins: all of it but its values.
    fn series(&mut self, series: ResultSeries) -> Result<(), Gone>;
    /// A row of that series.
    fn row(&mut self, row: Vec<Value>) -> Result<(), Gone>;
    /// The statement has ended, well or badly.
    fn end(&mut self, messages: Vec<Message>, error: Option<String>) -> Result<(), Gone>;
}

/// Nobody takes the answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("query interrupted")]
pub(crate) struct Gone;

impl From<std::io::Error> for Gone {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

/// Gives a sink series that are there already.
pub(crate) fn pour(all: Vec<ResultSeries>, sink: &mut dyn Sink) -> Answer<()> {
    for mut series in all {
        let rows = std::mem::take(&mut series.values);
        sink.series(series)?;
        for row in rows {
            sink.row(row)?;
        }
    }
    Ok(())
}

/// Keeps everything.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) response: Response,
}

impl Collected {
    fn result(&mut self) -> Result<&mut StatementResult, Gone> {
        self.response.results.last_mut().ok_or(Gone)
    }
}

impl Sink for Collected {
    fn statement(&mut self, statement_id: usize) -> Result<(), Gone> {
        self.response.results.push(StatementResult { statement_id, ..StatementResult::default() });
        Ok(())
    }

    fn series(&mut self, series: ResultSeries) -> Result<(), Gone> {
        self.result()?.series.push(series);
        Ok(())
    }

    fn row(&mut self, row: Vec<Value>) -> Result<(), Gone> {
        self.result()?.series.last_mut().ok_or(Gone)?.values.push(row);
        Ok(())
    }

    fn end(&mut self, messages: Vec<Message>, error: Option<String>) -> Result<(), Gone> {
        let result = self.result()?;
        result.messages = messages;
        // Half an answer looks like a whole one.
        if error.is_some() {
            result.series.clear();
        }
        result.error = error;
        Ok(())
    }
}

/// The series alone, of one statement.
#[derive(Default)]
pub(crate) struct Series {
    pub(crate) all: Vec<ResultSeries>,
}

impl Sink for Series {
    fn statement(&mut self, _: usize) -> Result<(), Gone> {
        Ok(())
    }

    fn series(&mut self, series: ResultSeries) -> Result<(), Gone> {
        self.all.push(series);
        Ok(())
    }

    fn row(&mut self, row: Vec<Value>) -> Result<(), Gone> {
        self.all.last_mut().ok_or(Gone)?.values.push(row);
        Ok(())
    }

    fn end(&mut self, _: Vec<Message>, _: Option<String>) -> Result<(), Gone> {
        Ok(())
    }
}
