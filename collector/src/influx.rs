//! InfluxDB as the store: what leaves for it, and what is asked of it.
//!
//! A reader of the journal translates the same records that the embedded store applies into line protocol and sends them in
//! their order, gzip-packed, by `/api/v2/write` (InfluxDB 1.8, 2.x, 3.x) or `/write` (1.x). Its place moves on once everything up to it
//! was answered with 204, so a crash, a restart of either side or a cut line repeats points and loses none; a repeated point
//! overwrites itself.
//!
//! | answer | what follows |
//! | --- | --- |
//! | 204 | the next batch; any other success is not believed, since a proxy's page says 200, too |
//! | 413 | the batch is sent in halves |
//! | 400, 422 | the lines that are refused are found, written to the [reject file](rejects::FILE) with the server's words, and the rest is sent |
//! | 401, 403 | said plainly, tried again once a minute |
//! | 404 | a missing database of 1.x is made; what others wrote into one that can't be made is rejected; our own waits |
//! | 429, 503, other 5xx | tried again after `Retry-After`, at most [`answer::RETRY_AFTER_MAX`], and never sooner than the reader's own pace |
//! | none | tried again at the reader's own pace |
//!
//! Statements of others that delete or alter go to `/query` where the server can carry them out; else they are counted and named.
//!
//! While the server is away the journal keeps what it has not had. When the journal is full, this reader alone loses the oldest
//! part: it is counted, shown, and with `kind = "both"` sent again from the embedded store.

pub mod answer;
pub mod batch;
pub mod client;
pub mod compare;
pub mod gather;
pub mod history;
pub mod outbox;
pub mod reads;
pub mod rejects;

/// Points in one request, as InfluxDB recommends.
pub const BATCH_POINTS: usize = 5_000;

/// Bytes of lines in one request before packing: a tenth of what InfluxDB takes, so that long texts are no reason for a 413.
pub const BATCH_BYTES: usize = 2_500_000;

#[cfg(test)]
mod tests;
