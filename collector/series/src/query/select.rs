//! `SELECT`: what it reads from, its groups, their rows.
//!
//! A sub-query is prepared with what it inherits (time, interval, grouped tags, order) and then read as if it were a measurement:
//! its series are streams, and the rows of those that fall into one group of the outer query are merged by time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::condition::Condition;
use super::plan::{Dimension, Grouping, Plan, Shape, grouping, plan};
use super::range::TimeRange;
use super::read::Part;
use super::sink::{self, Sink};
use super::view::{Meaning, Stream, View, tag, views};
use super::window::Window;
use super::{Answer, Request, ResultSeries, Value, aggregate, made, range, raw};
use crate::influxql::ast::{Expr, Fill, Page, Select, Source as From};

/// A SELECT that can be run.
pub(crate) struct Prepared<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) plan: Plan,
    /// Of the answer.
    pub(crate) range: TimeRange,
    /// What the query itself says of time.
    own: TimeRange,
    is_inner: bool,
    pub(crate) fill: Fill,
    pub(crate) descending: bool,
    page: Page,
    zone: Option<jiff::tz::TimeZone>,
    pub(crate) sources: Vec<Source<'a>>,
    /// The tags that are grouped by.
    pub(crate) keys: BTreeSet<Arc<str>>,
}

/// What a SELECT reads from, and what its names mean there.
pub(crate) struct Source<'a> {
    pub(crate) view: View,
    /// What each input of the plan is.
    pub(crate) meanings: Vec<Meaning>,
    pub(crate) condition: Condition,
    /// The sub-query whose answer this is, with its groups: the streams of the view.
    pub(crate) inner: Option<(Box<Prepared<'a>>, Vec<Group>)>,
}

/// What an inner query takes over from the outer one.
pub(crate) struct Outer {
    range: TimeRange,
    window: Option<Window>,
    tags: Vec<Arc<str>>,
    descending: bool,
}

/// Name and values of the grouped tags: the order of the answer.
type Key = (Arc<str>, Vec<Arc<str>>);

/// One series of the answer, before its rows are computed.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: Arc<str>,
    /// Of the grouped tags, in their order.
    pub(crate) values: Vec<Arc<str>>,
    pub(crate) parts: Vec<Part>,
}

/// Hands the answer to `sink`, row by row.
pub(crate) fn answer(request: &Request<'_>, select: &Select, sink: &mut dyn Sink) -> Answer<()> {
    let prepared = prepare(request, select, None)?;
    let mut count = 0;
    for group in prepared.groups()? {
        request.budget.check()?;
        let mut begun = false;
        prepared.each_row(&group, prepared.range, &mut |row| {
            if !begun {
                (begun, count) = (true, count + 1);
                request.budget.series(count)?;
                sink.series(prepared.head(&group))?;
            }
            request.budget.rows(1)?;
            Ok(sink.row(row)?)
        })?;
    }
    Ok(())
}

/// All of an answer at once.
pub(crate) fn collect(request: &Request<'_>, select: &Select) -> Answer<Vec<ResultSeries>> {
    let mut all = sink::Series::default();
    answer(request, select, &mut all)?;
    Ok(all.all)
}

/// Reads the names and the time of a SELECT and of those inside it.
pub(crate) fn prepare<'a>(request: &'a Request<'a>, select: &Select, outer: Option<&Outer>) -> Answer<Prepared<'a>> {
    let now = request.options.now_ns;
    let (condition, mut own) = range::split(select.condition.as_ref(), now, select.zone.as_ref())?;
    let Grouping { window, dimensions } = grouping(select, now)?;
    let mut range = outer.map_or(own, |outer| own.intersect(outer.range));
    if window.is_some() && !range.has_end() {
        (own.to, range.to) = (now, now);
    }
    let (descending, fill) = match outer {
        None => (select.descending, select.fill),
        Some(outer) => (inherited_order(select, outer)?, inherited_fill(select, window.as_ref())),
    };
    let inherited = outer.and_then(|outer| outer.window.clone()).filter(|_| window.is_none());
    let mut tags: BTreeSet<Arc<str>> = outer.iter().flat_map(|outer| outer.tags.clone()).collect();
    tags.extend(dimensions.iter().filter_map(Dimension::tag));
    let inside = Outer {
        range,
        window: window.clone().or_else(|| inherited.clone()),
        tags: tags.iter().cloned().collect(),
        descending,
    };
    let (views, inner) = sources(request, select, condition.as_ref(), &inside)?;
    let plan = plan(select, &views, Grouping { window, dimensions }, inherited)?;
    tags.extend(views.iter().flat_map(|view| plan.wide_keys(view)));
    let bind = |(view, inner): (View, Option<_>)| {
        let condition = Condition::bind(condition.as_ref(), &view)?;
        let meanings = plan.inputs.iter().map(|input| input.meaning(&view)).collect();
        Ok(Source { view, meanings, condition, inner })
    };
    let sources = views.into_iter().zip(inner).map(bind).collect::<Answer<Vec<_>>>()?;
    let is_inner = outer.is_some();
    Ok(Prepared {
        request,
        plan,
        range,
        own,
        is_inner,
        fill,
        descending,
        page: select.page,
        zone: select.zone.clone(),
        sources,
        keys: tags,
    })
}

fn inherited_order(select: &Select, outer: &Outer) -> Answer<bool> {
    if select.ordered && select.descending != outer.descending {
        return Err("subqueries must be ordered in the same direction as the query itself".into());
    }
    Ok(outer.descending)
}

/// Empty buckets of an inner query are nothing to the outer one.
fn inherited_fill(select: &Select, window: Option<&Window>) -> Fill {
    match select.fill {
        Fill::Null if window.is_some() => Fill::None,
        fill => fill,
    }
}

type Inner<'a> = Option<(Box<Prepared<'a>>, Vec<Group>)>;

fn sources<'a>(
    request: &'a Request<'a>,
    select: &Select,
    condition: Option<&Expr>,
    inside: &Outer,
) -> Answer<(Vec<View>, Vec<Inner<'a>>)> {
    let stored = select.sources.iter().filter_map(|source| match source {
        From::Measurement(measurement) => Some(measurement),
        From::Query(_) => None,
    });
    let mut all = views(request.store, request.place(), condition, stored)?;
    let mut inner: Vec<Inner<'a>> = all.iter().map(|_| None).collect();
    for source in &select.sources {
        let From::Query(select) = source else { continue };
        let prepared = prepare(request, select, Some(inside))?;
        let groups = prepared.groups()?;
        all.push(made::view(&prepared, &groups));
        inner.push(Some((Box::new(prepared), groups)));
    }
    Ok((all, inner))
}

impl Prepared<'_> {
    /// The series of the answer, in its order. Those that turn out to have no rows are among them.
    pub(crate) fn groups(&self) -> Answer<Vec<Group>> {
        let mut groups: BTreeMap<Key, Vec<Part>> = BTreeMap::new();
        let mut streams = 0;
        for (at, source) in self.sources.iter().enumerate() {
            if !source.meanings.iter().any(|meaning| matches!(meaning, Meaning::Field(..))) {
                continue;
            }
            for stream in &source.view.streams {
                if source.inner.is_none()
                    && matches!(source.condition.for_stream(&stream.tags), Condition::Always(false))
                {
                    continue;
                }
                let values = self.keys.iter().map(|key| tag(&stream.tags, key).into()).collect();
                let parts = groups.entry((stream.name.clone(), values)).or_default();
                match parts.last_mut() {
                    Some(part) if part.source == at => part.streams.push(stream.clone()),
                    _ => parts.push(Part { source: at, streams: vec![stream.clone()] }),
                }
                streams += 1;
            }
        }
        self.request.budget.series(streams)?;
        let group = |((name, values), parts)| Group { name, values, parts };
        let mut groups: Vec<Group> = groups.into_iter().map(group).collect();
        for part in groups.iter_mut().flat_map(|group| &mut group.parts) {
            self.sort(&mut part.streams);
        }
        self.cut_series(&mut groups);
        if self.descending {
            groups.reverse();
        }
        Ok(groups)
    }

    /// In the order of their tags, so that sums of floats do not depend on who wrote first.
    fn sort(&self, streams: &mut [Stream]) {
        streams.sort_by(|a, b| a.tags.cmp(&b.tags));
        if self.descending {
            streams.reverse();
        }
    }

    /// SLIMIT and SOFFSET count in the order of InfluxDB's index, whatever the order of the answer, for each name.
    fn cut_series(&self, groups: &mut Vec<Group>) {
        let Page { series_limit, series_offset, .. } = self.page;
        if series_limit == 0 && series_offset == 0 {
            return;
        }
        let most = if series_limit == 0 { usize::MAX } else { series_limit };
        let mut kept = Vec::new();
        for named in groups.chunk_by(|a, b| a.name == b.name) {
            let mut named = named.to_vec();
            named.sort_by_cached_key(|group| limit_key(&self.keys, &group.values));
            let mut named: Vec<Group> = named.into_iter().skip(series_offset).take(most).collect();
            named.sort_by(|a, b| a.values.cmp(&b.values));
            kept.extend(named);
        }
        *groups = kept;
    }

    /// The rows of one series in a range of time, which may be wider than that of the answer.
    pub(crate) fn rows(&self, group: &Group, range: TimeRange) -> Answer<Vec<Vec<Value>>> {
        let series = self.series(group, range);
        match self.plan.shape {
            Shape::Rows => raw::rows(&series),
            _ => aggregate::rows(&series),
        }
    }

    /// As [`rows`](Self::rows), one by one; rows that are stored are not held.
    fn each_row(&self, group: &Group, range: TimeRange, take: &mut dyn FnMut(Vec<Value>) -> Answer<()>) -> Answer<()> {
        let series = self.series(group, range);
        match self.plan.shape {
            Shape::Rows => raw::each(&series, take),
            _ => aggregate::rows(&series)?.into_iter().try_for_each(take),
        }
    }

    fn series<'s>(&'s self, group: &'s Group, range: TimeRange) -> Series<'s> {
        let most = if self.is_inner { range } else { TimeRange::ALL };
        Series { prepared: self, plan: &self.plan, group, range: self.own.intersect(range), most }
    }

    fn head(&self, group: &Group) -> ResultSeries {
        let names = self.plan.columns.iter().map(|column| column.name.clone());
        ResultSeries {
            name: group.name.clone(),
            tags: self.keys.iter().cloned().zip(group.values.iter().cloned()).collect(),
            columns: std::iter::once(self.plan.time_name.clone()).chain(names).collect(),
            values: Vec::new(),
            zone: self.zone.clone(),
        }
    }
}

/// The keys that are there, then their values.
fn limit_key(keys: &BTreeSet<Arc<str>>, values: &[Arc<str>]) -> String {
    let there = || keys.iter().zip(values).filter(|(_, value)| !value.is_empty());
    let mut key = String::new();
    for part in there().map(|(key, _)| key).chain(there().map(|(_, value)| value)) {
        key.push_str(part);
        key.push('|');
    }
    key
}

/// One series whose rows are being computed.
pub(crate) struct Series<'a> {
    pub(crate) prepared: &'a Prepared<'a>,
    pub(crate) plan: &'a Plan,
    pub(crate) group: &'a Group,
    pub(crate) range: TimeRange,
    /// What may be read to answer the first bucket: a sub-query sees nothing outside the outer one's time.
    pub(crate) most: TimeRange,
}

impl Series<'_> {
    pub(crate) fn fill(&self) -> Fill {
        self.prepared.fill
    }

    pub(crate) fn descending(&self) -> bool {
        self.prepared.descending
    }

    /// The rows that LIMIT and OFFSET leave.
    pub(crate) fn cut(&self, rows: impl Iterator<Item = Vec<Value>>) -> impl Iterator<Item = Vec<Value>> {
        let page = &self.prepared.page;
        let most = if page.limit == 0 { usize::MAX } else { page.limit };
        rows.skip(page.offset).take(most)
    }

    /// As many rows of a stream as the answer can show.
    pub(crate) fn enough_rows(&self) -> usize {
        let page = &self.prepared.page;
        match page.limit {
            0 => usize::MAX,
            limit => limit.saturating_add(page.offset),
        }
    }
}
