//! Content as lines of text, in the form in which InfluxDB's own tools write and read it (`influx_inspect export`, `influx -import`):
//! statements that make databases and policies under `# DDL`, lines under `# DML`, and comments that say where the lines go.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, Write};
use std::sync::Arc;

use crate::change::{Lines, Statement};
use crate::chunk::Chunk;
use crate::line::{self, Precision};
use crate::point::Point;
use crate::query::change;
use crate::store::{Flow, Scan, Store, StoreError, Tags};

/// Lines that are taken in at once.
const BATCH_BYTES: usize = 4 << 20;
/// A line that is longer is none: the file is something else, or a quoted text has no end.
const LINE_BYTES: usize = 4 << 20;
/// Reasons that are kept.
const MAX_REASONS: usize = 20;

/// What is exported.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// One database; all if there is none.
    pub database: Option<&'a str>,
    /// From this time on, in nanoseconds since 1970.
    pub from: i64,
    /// Until this time, which is included.
    pub to: i64,
}

/// What was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Points.
    pub points: u64,
    /// Lines that were refused: they can't be read, don't fit what is stored, or are older than is kept.
    pub refused: u64,
    /// The first twenty reasons.
    pub reasons: Vec<String>,
}

/// Why an export or an import ended early. What was done until then stays done.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is read or written.
    #[error("cannot read or write the lines")]
    Text(#[from] io::Error),
    /// There is no such database.
    #[error("there is no database {0:?}")]
    NoDatabase(String),
    /// Lines of which nobody says where they go.
    #[error("line {0} belongs to no database: name one, or begin with `# CONTEXT-DATABASE:name`")]
    Nowhere(u64),
    /// This is no text of lines.
    #[error("line {0} is longer than {LINE_BYTES} bytes")]
    TooLong(u64),
}

/// Whose points come next: what is copied out of the catalogue, so that it is not held while they are written.
struct Series {
    stream: u32,
    measurement: Arc<str>,
    tags: Tags,
    fields: Vec<u32>,
}

impl Store {
    /// Writes points, in the order of their times for each series, and what makes their databases. Says how many points. Roll-ups of
    /// older times are none.
    ///
    /// # Errors
    /// When the store can't be read, or `out` not be written.
    pub fn export(&self, wanted: &Wanted<'_>, out: &mut dyn Write) -> Result<u64, ExchangeError> {
        let places = self.places(wanted.database)?;
        writeln!(out, "# INFLUXDB EXPORT\n# DDL")?;
        for (database, policies) in &places {
            let name = database.replace('"', "\\\"");
            writeln!(out, "CREATE DATABASE \"{name}\"")?;
            for (policy, duration) in policies {
                let policy = policy.replace('"', "\\\"");
                let duration = if *duration == 0 { "INF".to_owned() } else { format!("{}s", duration / 1_000_000_000) };
                writeln!(out, "CREATE RETENTION POLICY \"{policy}\" ON \"{name}\" DURATION {duration} REPLICATION 1")?;
            }
        }
        writeln!(out, "# DML")?;
        let mut points = 0;
        for (database, policies) in &places {
            for (policy, _) in policies {
                writeln!(out, "# CONTEXT-DATABASE:{database}\n# CONTEXT-RETENTION-POLICY:{policy}")?;
                for series in self.series_of(database, policy) {
                    points += self.export_series(&series, wanted, out)?;
                }
            }
        }
        out.flush()?;
        Ok(points)
    }

    /// Databases with their policies and how long those keep points.
    #[expect(clippy::type_complexity, reason = "used once, above")]
    fn places(&self, only: Option<&str>) -> Result<BTreeMap<Arc<str>, Vec<(Arc<str>, i64)>>, ExchangeError> {
        let memory = self.memory();
        let wanted = memory.catalog.databases.iter().filter(|(name, _)| only.is_none_or(|only| only == &***name));
        let places: BTreeMap<_, _> = wanted
            .map(|(name, database)| {
                let policies = database.policies.iter().map(|(name, policy)| (name.clone(), policy.duration));
                (name.clone(), policies.collect())
            })
            .collect();
        match only {
            Some(name) if places.is_empty() => Err(ExchangeError::NoDatabase(name.to_owned())),
            _ => Ok(places),
        }
    }

    fn series_of(&self, database: &str, policy: &str) -> Vec<Series> {
        let memory = self.memory();
        let catalog = &memory.catalog;
        let measurements = catalog.databases.get(database).and_then(|database| database.policies.get(policy));
        let mut found = Vec::new();
        for (name, id) in measurements.into_iter().flat_map(|policy| &policy.measurements) {
            let measurement = &catalog.measurements[*id as usize];
            for stream in &measurement.streams {
                found.push(Series {
                    stream: *stream,
                    measurement: name.clone(),
                    tags: catalog.streams[*stream as usize].tags.clone(),
                    fields: measurement.fields.values().copied().collect(),
                });
            }
        }
        found
    }

    fn export_series(&self, series: &Series, wanted: &Wanted<'_>, out: &mut dyn Write) -> Result<u64, ExchangeError> {
        let names: HashMap<u32, Arc<str>> = {
            let memory = self.memory();
            series.fields.iter().map(|field| (*field, memory.catalog.fields[*field as usize].name.clone())).collect()
        };
        let (mut points, mut failed, mut text) = (0, None, String::new());
        let scan =
            Scan { stream: series.stream, from: wanted.from, to: wanted.to, fields: &series.fields, descending: false };
        self.scan(&scan, |piece| {
            text.clear();
            points += lines_of(series, &names, piece, &mut text);
            match out.write_all(text.as_bytes()) {
                Ok(()) => Flow::More,
                Err(error) => {
                    failed = Some(error);
                    Flow::Enough
                }
            }
        })?;
        failed.map_or(Ok(points), |error| Err(error.into()))
    }

    /// Takes in lines and the statements before them. `place` is the database of lines of which the text does not say where they
    /// go. Nobody else may write meanwhile; what was taken in is durable with the next checkpoint.
    ///
    /// # Errors
    /// When the text can't be read or is no such text, or the disk does not take it.
    pub fn import(&self, from: &mut dyn BufRead, place: Option<&str>, now_ns: i64) -> Result<Imported, ExchangeError> {
        let mut import = Import {
            store: self,
            now_ns,
            database: place.unwrap_or_default().to_owned(),
            policy: String::new(),
            statements: false,
            text: Vec::new(),
            done: Imported::default(),
        };
        if let Some(name) = place {
            import.state(&format!("CREATE DATABASE \"{}\"", name.replace('"', "\\\"")))?;
        }
        import.read(from)?;
        Ok(import.done)
    }
}

fn lines_of(series: &Series, names: &HashMap<u32, Arc<str>>, piece: &Chunk, text: &mut String) -> u64 {
    let tags: Vec<_> = series.tags.iter().map(|(key, value)| ((&**key).into(), (&**value).into())).collect();
    let mut point = Point { measurement: (&*series.measurement).into(), tags, time: 0, fields: Vec::new() };
    let mut points = 0;
    for (row, time) in piece.times.iter().enumerate() {
        let there = piece.columns.iter().filter_map(|column| Some((&*names[&column.field], column.get(row)?)));
        point.fields = there.map(|(name, value)| (name.into(), value)).collect();
        point.time = *time;
        if !point.fields.is_empty() {
            line::write(text, &point);
            points += 1;
        }
    }
    points
}

/// An import that is under way.
struct Import<'a> {
    store: &'a Store,
    now_ns: i64,
    database: String,
    policy: String,
    /// Whether statements come, not lines.
    statements: bool,
    /// Lines that are not taken in yet.
    text: Vec<u8>,
    done: Imported,
}

impl Import<'_> {
    fn read(&mut self, from: &mut dyn BufRead) -> Result<(), ExchangeError> {
        // Where the line begins that is being read: a newline within a quoted text does not end it.
        let (mut number, mut begin) = (0, 0);
        loop {
            let open = self.text.len();
            let read = io::Read::take(&mut *from, LINE_BYTES as u64 + 1).read_until(b'\n', &mut self.text)?;
            number += 1;
            if read == 0 {
                return self.flush(number);
            }
            if self.text.len() - begin > LINE_BYTES {
                return Err(ExchangeError::TooLong(number));
            }
            // Only a quote can end what is quoted: without one the line is not looked through again.
            let goes_on = open > begin && !self.text[open..].contains(&b'"');
            if goes_on || !is_whole(&self.text[begin..]) {
                continue;
            }
            let line = self.text[begin..].trim_ascii();
            if line.starts_with(b"#") || self.statements {
                let line = String::from_utf8_lossy(line).into_owned();
                self.text.truncate(begin);
                self.flush(number)?;
                self.obey(&line)?;
            } else if self.text.len() >= BATCH_BYTES {
                self.flush(number)?;
            }
            begin = self.text.len();
        }
    }

    /// What stands in a comment, or a statement.
    fn obey(&mut self, line: &str) -> Result<(), ExchangeError> {
        let said = line.trim_start_matches('#').trim();
        match (line.starts_with('#'), said) {
            (true, "DDL") => self.statements = true,
            (true, "DML") => self.statements = false,
            (true, said) => {
                if let Some(name) = said.strip_prefix("CONTEXT-DATABASE:") {
                    (self.database, self.policy) = (name.trim().to_owned(), String::new());
                } else if let Some(name) = said.strip_prefix("CONTEXT-RETENTION-POLICY:") {
                    self.policy = name.trim().to_owned();
                }
            }
            (false, "") => {}
            (false, statement) => self.state(statement)?,
        }
        Ok(())
    }

    fn state(&mut self, text: &str) -> Result<(), ExchangeError> {
        let statement = Statement { database: String::new(), text: text.to_owned(), now_ns: self.now_ns };
        Ok(change::apply(self.store, self.store.applied(), &statement)?)
    }

    /// Takes in what is there.
    fn flush(&mut self, number: u64) -> Result<(), ExchangeError> {
        if self.text.trim_ascii().is_empty() {
            self.text.clear();
            return Ok(());
        }
        if self.database.is_empty() {
            return Err(ExchangeError::Nowhere(number));
        }
        let (database, policy) = (self.database.clone(), self.policy.clone());
        let text = std::mem::take(&mut self.text).into();
        let lines = Lines { database, policy, precision: Precision::Nanoseconds, now_ns: self.now_ns, text };
        if self.store.keeps(lines.place()).is_none() {
            return Err(ExchangeError::NoDatabase(format!("{}.{}", lines.database, lines.policy)));
        }
        let mut sifted = self.store.sift(lines);
        self.done.refused += (sifted.unreadable_lines + sifted.conflicts.len() + sifted.old) as u64;
        let room = MAX_REASONS.saturating_sub(self.done.reasons.len());
        self.done.reasons.extend(sifted.unreadable.drain(..).chain(sifted.conflicts.drain(..)).take(room));
        if let Some(lines) = sifted.lines.take() {
            let applied = self.store.apply_change(self.store.applied(), &crate::Change::Lines(lines))?;
            self.done.points += (sifted.points as u64).saturating_sub(applied.refused_points);
            self.done.refused += applied.refused_points;
        }
        // A checkpoint when one is due, whatever the time is.
        self.store.maintain(self.now_ns)?;
        Ok(())
    }
}

/// Whether a text of lines ends with the end of one.
fn is_whole(text: &[u8]) -> bool {
    line::places(text).last().is_none_or(|last| last.end < text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, QueryOptions};

    const NOW: i64 = 100 * crate::keeping::DAY;

    fn exported(store: &Store, database: Option<&str>) -> String {
        let mut out = Vec::new();
        store.export(&Wanted { database, from: i64::MIN, to: i64::MAX }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn store(folder: &std::path::Path) -> Store {
        Store::open(folder, Options { databases: Vec::new(), ..Options::default() }).unwrap()
    }

    #[test]
    fn what_was_exported_is_the_same_when_it_was_imported_elsewhere() {
        let text = "# DDL\nCREATE DATABASE \"own \\\"one\\\"\"\nCREATE DATABASE empty\n\
            CREATE RETENTION POLICY \"weeks\" ON \"empty\" DURATION 3024000s REPLICATION 1\n# DML\n\
            # CONTEXT-DATABASE:own \"one\"\n# CONTEXT-RETENTION-POLICY:autogen\n\
            c\\,pu,host=a\\ b i=1i,f=0.5,u=3u,b=true,t=\"two\nlines # DML \\\"and\\\" quotes\" 1000\n\
            c\\,pu,host=a\\ b f=1e100 1001\nother v=1 86400000000000\n\
            # CONTEXT-DATABASE:empty\n# CONTEXT-RETENTION-POLICY:weeks\nlate v=1 8553600000000000\n";
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = store(one.path());
        let done = first.import(&mut text.as_bytes(), None, NOW).unwrap();
        assert_eq!(done, Imported { points: 4, refused: 0, reasons: Vec::new() });
        first.seal_all().unwrap();
        let out = exported(&first, None);
        assert!(out.contains("c\\,pu,host=a\\ b i=1i,f=0.5,u=3u,b=true,t=\"two\nlines"), "{out}");
        let second = store(two.path());
        assert_eq!(second.import(&mut out.as_bytes(), None, NOW).unwrap().points, 4);
        assert_eq!(exported(&second, None), out);
        assert!(!exported(&second, Some("empty")).contains("pu"));
    }

    #[test]
    fn lines_without_a_place_go_to_the_named_database_or_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let mut text = "m v=1 1\nm v=\"text\" 2\nbroken\nm v=3 3\n".as_bytes();
        let refused = store.import(&mut &*text, None, NOW);
        assert!(matches!(refused, Err(ExchangeError::Nowhere(_))), "{refused:?}");
        let done = store.import(&mut text, Some("db"), NOW).unwrap();
        assert_eq!((done.points, done.refused, done.reasons.len()), (2, 2, 2), "{done:?}");
        let answer = store.query("db", "SELECT sum(v) FROM m", &QueryOptions::at(NOW));
        assert_eq!(format!("{:?}", answer.results[0].series[0].values[0][1]), "Float(4.0)");
        assert!(matches!(
            store.export(&Wanted { database: Some("no"), from: 0, to: 1 }, &mut Vec::new()),
            Err(ExchangeError::NoDatabase(_))
        ));
    }

    #[test]
    fn a_text_without_an_end_is_refused_before_it_fills_the_memory() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let text = format!("m v=1 1\nm t=\"{}", "and on and on\n".repeat(LINE_BYTES / 10));
        let refused = store.import(&mut text.as_bytes(), Some("db"), NOW);
        assert!(matches!(refused, Err(ExchangeError::TooLong(_))), "{refused:?}");
    }

    #[test]
    fn many_lines_are_taken_in_batches() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let text: String =
            (0..100_000).map(|at| format!("measurement,host=one value={at}i,other=0.5 {at}\n")).collect();
        assert!(text.len() > BATCH_BYTES);
        assert_eq!(store.import(&mut text.as_bytes(), Some("db"), NOW).unwrap().points, 100_000);
    }
}
