//! `SELECT`: measurements, groups, series.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::condition::Condition;
use super::plan::{Dimension, Plan, Shape, plan};
use super::range::TimeRange;
use super::view::{Meaning, View, tag, views};
use super::{Answer, ResultSeries, Value, aggregate, range, raw};
use crate::influxql::ast::{Fill, Page, Select, Source};
use crate::query::budget::Budget;
use crate::store::{Store, Tags};

/// Everything that the computation of one series needs.
pub(crate) struct Series<'a> {
    pub(crate) store: &'a Store,
    pub(crate) budget: &'a Budget<'a>,
    pub(crate) plan: &'a Plan,
    pub(crate) range: TimeRange,
    pub(crate) fill: Fill,
    pub(crate) descending: bool,
    pub(crate) page: Page,
    /// What each input is in this measurement.
    pub(crate) meanings: &'a [Meaning],
    pub(crate) condition: &'a Condition,
    pub(crate) streams: &'a [(u32, Tags)],
}

pub(crate) fn answer(
    store: &Store,
    database: &str,
    select: &Select,
    now: i64,
    budget: &Budget<'_>,
) -> Answer<Vec<ResultSeries>> {
    let sources = select.sources.iter().map(|source| match source {
        Source::Measurement(measurement) => Ok(measurement),
        Source::Query(_) => Err("sub-queries are not supported".into()),
    });
    let sources: Vec<_> = sources.collect::<Answer<_>>()?;
    let views = views(store, database, sources.into_iter())?;
    let (condition, mut range) = range::split(select.condition.as_ref(), now, select.zone.as_ref())?;
    let plan = plan(select, &views, now)?;
    if plan.window.is_some() && !range.has_end() {
        range.to = now;
    }
    let keys: BTreeSet<Arc<str>> = views.iter().flat_map(|view| grouped_keys(view, &plan)).collect();
    let mut all = Vec::new();
    let mut ordered: Vec<&View> = views.iter().collect();
    if select.descending {
        ordered.reverse();
    }
    for view in ordered {
        let condition = Condition::bind(condition.as_ref(), view)?;
        let meanings: Vec<Meaning> = plan.inputs.iter().map(|input| view.meaning(&input.name, input.cast)).collect();
        if !meanings.iter().any(|meaning| matches!(meaning, Meaning::Field(..))) {
            continue;
        }
        let one = |(tags, streams): Group| {
            budget.check()?;
            let series = Series {
                store,
                budget,
                plan: &plan,
                range,
                fill: select.fill,
                descending: select.descending,
                page: select.page,
                meanings: &meanings,
                condition: &condition,
                streams: &streams,
            };
            series.answer(view, &keys, tags)
        };
        let groups = groups(view, &keys, &condition, select, budget)?;
        for group in groups {
            all.extend(one(group)?);
        }
        budget.series(all.len())?;
    }
    Ok(all)
}

fn grouped_keys(view: &View, plan: &Plan) -> Vec<Arc<str>> {
    let mut keys: Vec<Arc<str>> = Vec::new();
    for dimension in &plan.dimensions {
        match dimension {
            Dimension::Tag(name) => keys.push(name.as_str().into()),
            wide => keys.extend(view.tag_keys.iter().filter(|key| wide.covers(key)).cloned()),
        }
    }
    keys
}

/// Values of the grouped tags, and the streams that have them.
type Group = (Vec<Arc<str>>, Vec<(u32, Tags)>);

/// The streams that the tags of the condition allow, by the values of the grouped tags, in the order of the answer.
fn groups(
    view: &View,
    keys: &BTreeSet<Arc<str>>,
    condition: &Condition,
    select: &Select,
    budget: &Budget<'_>,
) -> Answer<Vec<Group>> {
    let mut groups: BTreeMap<Vec<Arc<str>>, Vec<(u32, Tags)>> = BTreeMap::new();
    let mut streams = 0;
    for (id, tags) in &view.streams {
        if matches!(condition.for_stream(tags), Condition::Always(false)) {
            continue;
        }
        let values = keys.iter().map(|key| tag(tags, key).into()).collect();
        groups.entry(values).or_default().push((*id, tags.clone()));
        streams += 1;
    }
    budget.series(streams)?;
    let mut groups: Vec<_> = groups.into_iter().collect();
    for (_, streams) in &mut groups {
        // In the order of their tags, so that sums of floats do not depend on who wrote first.
        streams.sort_by(|a, b| a.1.cmp(&b.1));
    }
    let Page { series_limit, series_offset, .. } = select.page;
    if series_limit > 0 || series_offset > 0 {
        let most = if series_limit == 0 { usize::MAX } else { series_limit };
        groups.sort_by_cached_key(|(values, _)| limit_key(keys, values));
        groups = groups.into_iter().skip(series_offset).take(most).collect();
        groups.sort_by(|a, b| a.0.cmp(&b.0));
    }
    if select.descending {
        groups.reverse();
        groups.iter_mut().for_each(|(_, streams)| streams.reverse());
    }
    Ok(groups)
}

/// SLIMIT and SOFFSET count in the order of InfluxDB's index, whatever the order of the answer: the keys that are there, then their values.
fn limit_key(keys: &BTreeSet<Arc<str>>, values: &[Arc<str>]) -> String {
    let there = || keys.iter().zip(values).filter(|(_, value)| !value.is_empty());
    let mut key = String::new();
    for part in there().map(|(key, _)| key).chain(there().map(|(_, value)| value)) {
        key.push_str(part);
        key.push('|');
    }
    key
}

impl Series<'_> {
    fn answer(&self, view: &View, keys: &BTreeSet<Arc<str>>, values: Vec<Arc<str>>) -> Answer<Option<ResultSeries>> {
        let rows = match self.plan.shape {
            Shape::Rows => raw::rows(self)?,
            _ => aggregate::rows(self)?,
        };
        if rows.is_empty() {
            return Ok(None);
        }
        self.budget.rows(rows.len())?;
        let names = self.plan.columns.iter().map(|column| column.name.clone());
        Ok(Some(ResultSeries {
            name: view.name.clone(),
            tags: keys.iter().cloned().zip(values).collect(),
            columns: std::iter::once(self.plan.time_name.clone()).chain(names).collect(),
            values: rows,
        }))
    }

    /// The rows that LIMIT and OFFSET leave.
    pub(crate) fn cut(&self, rows: impl Iterator<Item = Vec<Value>>) -> Vec<Vec<Value>> {
        let most = if self.page.limit == 0 { usize::MAX } else { self.page.limit };
        rows.skip(self.page.offset).take(most).collect()
    }
}
