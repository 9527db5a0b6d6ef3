//! All rows of one set of data as bodies of line protocol on the disk, made before any clock runs and read while it does.
//!
//! Each of the writers has its own share of the devices, as agents have: the rows of a stream come in order.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::made::{Device, MINUTE_S, Meter, ROWS_A, VALUES_A, VALUES_B};

/// Connections at once.
pub(super) const WRITERS: u64 = 4;

/// Lines in one body, as Telegraf sends at most.
const LINES: usize = 5_000;

/// What one writer sends.
pub(super) struct Lane {
    file: File,
    spans: Vec<(u64, usize)>,
}

impl Lane {
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn body(&self, at: usize) -> Vec<u8> {
        let (from, length) = self.spans[at];
        let mut body = vec![0; length];
        self.file.read_exact_at(&mut body, from).expect("the file was written");
        body
    }

    fn write(&self, each: impl FnOnce(&mut Maker<'_>)) -> Vec<(u64, usize)> {
        let mut maker =
            Maker { out: BufWriter::new(&self.file), text: String::new(), lines: 0, at: 0, spans: Vec::new() };
        each(&mut maker);
        maker.cut();
        maker.out.flush().expect("room for the data");
        maker.spans
    }
}

struct Maker<'a> {
    out: BufWriter<&'a File>,
    text: String,
    lines: usize,
    at: u64,
    spans: Vec<(u64, usize)>,
}

impl Maker<'_> {
    fn line(&mut self, row: &super::made::Row) {
        row.line(&mut self.text);
        self.lines += 1;
        if self.lines == LINES {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.text.is_empty() {
            return;
        }
        self.out.write_all(self.text.as_bytes()).expect("room for the data");
        self.spans.push((self.at, self.text.len()));
        self.at += self.text.len() as u64;
        self.text.clear();
        self.lines = 0;
    }
}

/// A set of data, ready to be sent.
pub(super) struct Bodies {
    pub(super) lanes: Vec<Lane>,
    pub(super) values: u64,
}

fn lanes(make: impl Fn(u64, &Lane) -> Vec<(u64, usize)> + Sync) -> Vec<Lane> {
    std::thread::scope(|scope| {
        let make = &make;
        let lane = |number| {
            scope.spawn(move || {
                let mut lane = Lane { file: tempfile::tempfile().expect("a temporary file"), spans: Vec::new() };
                lane.spans = make(number, &lane);
                lane
            })
        };
        let running: Vec<_> = (0..WRITERS).map(lane).collect();
        running.into_iter().map(|lane| lane.join().expect("no maker panics")).collect()
    })
}

/// Those of the devices that a writer has.
fn share(of: Range<u64>, writer: u64) -> impl Iterator<Item = u64> {
    of.filter(move |number| number % WRITERS == writer)
}

/// Readings of `devices` of data A in these minutes.
pub(super) fn of_devices(devices: u64, minutes: Range<u64>) -> Bodies {
    let lanes = lanes(|writer, lane| {
        let mut mine: Vec<Device> = share(0..devices, writer).map(Device::new).collect();
        lane.write(|maker| {
            for minute in 0..minutes.end {
                for rows in mine.iter_mut().map(Device::read) {
                    debug_assert_eq!(rows.len() as u64, ROWS_A);
                    if minutes.contains(&minute) {
                        rows.iter().for_each(|row| maker.line(row));
                    }
                }
            }
        })
    });
    Bodies { lanes, values: devices * (minutes.end - minutes.start) * VALUES_A }
}

/// Readings of `devices` of data B for so many minutes.
pub(super) fn of_meters(devices: u64, minutes: u64) -> Bodies {
    debug_assert_eq!(MINUTE_S, 60);
    let lanes = lanes(|writer, lane| {
        let mut mine: Vec<Meter> = share(0..devices, writer).map(Meter::new).collect();
        lane.write(|maker| {
            for _ in 0..minutes {
                mine.iter_mut().for_each(|meter| maker.line(&meter.read()));
            }
        })
    });
    Bodies { lanes, values: devices * minutes * VALUES_B }
}
