//! `EXPLAIN`: what a SELECT would read, without reading it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::plan::{Call, Input};
use super::rolled::{Wanted, rolled};
use super::select::{Prepared, Source, prepare};
use super::tiers::split;
use super::view::{Meaning, Stream};
use super::{Answer, Request, ResultSeries, Value};
use crate::influxql::ast::Select;
use crate::keeping::Step;
use crate::point::FieldKind;
use crate::store::{self, Weight};

/// For each function, or for the rows as they are: the lines that InfluxDB shows. A shard is what we have one of, a file too.
pub(crate) fn answer(request: &Request<'_>, select: &Select) -> Answer<Vec<ResultSeries>> {
    let prepared = prepare(request, select, None)?;
    let mut lines: Vec<String> = Vec::new();
    explain(&prepared, &mut lines)?;
    let values = lines.iter().map(|line| vec![Value::Text(line.as_str().into())]).collect();
    Ok(vec![ResultSeries { columns: vec![Arc::from("QUERY PLAN")], values, ..ResultSeries::default() }])
}

fn explain(prepared: &Prepared<'_>, lines: &mut Vec<String>) -> Answer<()> {
    for (inner, _) in prepared.sources.iter().filter_map(|source| source.inner.as_ref()) {
        explain(inner, lines)?;
    }
    if prepared.sources.iter().any(|source| source.inner.is_some()) {
        return Ok(());
    }
    let plan = &prepared.plan;
    let calls: Vec<usize> = plan.calls.iter().map(|call| call.input).collect();
    let beside: Vec<usize> = (0..plan.inputs.len()).filter(|input| !calls.contains(input)).collect();
    if plan.calls.is_empty() {
        return section(prepared, "<nil>", &beside, &beside, None, lines);
    }
    for call in &plan.calls {
        let expression = format!("{}({})", call.function.name(), named(&plan.inputs[call.input], None));
        section(prepared, &expression, &beside, &[call.input], Some(call), lines)?;
    }
    Ok(())
}

fn section(
    prepared: &Prepared<'_>,
    expression: &str,
    beside: &[usize],
    inputs: &[usize],
    call: Option<&Call>,
    lines: &mut Vec<String>,
) -> Answer<()> {
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(format!("EXPRESSION: {expression}"));
    if !beside.is_empty() {
        let mut names: Vec<String> =
            beside.iter().map(|input| named(&prepared.plan.inputs[*input], Some("tag"))).collect();
        names.sort();
        lines.push(format!("AUXILIARY FIELDS: {}", names.join(", ")));
    }
    let mut series = 0;
    let mut total = Weight::default();
    let mut steps = BTreeSet::new();
    for group in prepared.groups()? {
        for part in &group.parts {
            series += part.streams.len();
            for stream in &part.streams {
                let source = &prepared.sources[part.source];
                total += match call.and_then(|call| rolled(prepared.plan.shape, &[call], source, stream)) {
                    Some(wanted) => rolled_weight(prepared, source, &wanted, stream, &mut steps)?,
                    None => weight(prepared, source, inputs, stream.id)?,
                };
            }
        }
    }
    if !steps.is_empty() {
        // InfluxDB has no such line; it is there only where roll-ups are read.
        let names: Vec<&str> = steps.iter().map(|step: &Step| step.name()).collect();
        lines.push(format!("ROLL-UPS: {}", names.join(", ")));
    }
    lines.push(format!("NUMBER OF SHARDS: {}", usize::from(series > 0)));
    lines.push(format!("NUMBER OF SERIES: {series}"));
    lines.push(format!("CACHED VALUES: {}", total.head_rows));
    lines.push(format!("NUMBER OF FILES: {}", usize::from(total.blocks > 0)));
    lines.push(format!("NUMBER OF BLOCKS: {}", total.blocks));
    lines.push(format!("SIZE OF BLOCKS: {}", total.bytes));
    Ok(())
}

fn weight(prepared: &Prepared<'_>, source: &Source<'_>, inputs: &[usize], stream: u32) -> Answer<Weight> {
    let fields = inputs.iter().filter_map(|input| match source.meanings[*input] {
        Meaning::Field(id, _) => Some(id),
        _ => None,
    });
    let fields: Vec<u32> = fields.collect();
    let range = source.view.kept(prepared.range, prepared.request.options.now_ns);
    Ok(prepared.request.store.weigh(stream, range.from, range.to, &fields)?)
}

/// Of the points and roll-ups that a stream is read from.
fn rolled_weight(
    prepared: &Prepared<'_>,
    source: &Source<'_>,
    wanted: &Wanted,
    stream: &Stream,
    steps: &mut BTreeSet<Step>,
) -> Answer<Weight> {
    let store = prepared.request.store;
    let range = source.view.kept(prepared.range, prepared.request.options.now_ns);
    let mut total = Weight::default();
    let window = prepared.plan.window.as_ref();
    for part in split(range, &store.kept(stream.id), window, wanted.aspects.timed()).segments {
        total += match part.source {
            store::Source::Points => store.weigh(stream.id, part.from, part.to, &wanted.fields)?,
            store::Source::Rolled(step) => {
                steps.insert(step);
                store.weigh_rolled(stream.id, step, part.from, part.to)?
            }
        };
    }
    Ok(total)
}

/// A name with its kind, as InfluxDB writes it.
fn named(input: &Input, without: Option<&str>) -> String {
    let kind = input.kind.map(|kind: FieldKind| kind.to_string()).or_else(|| without.map(str::to_owned));
    kind.map_or_else(|| input.name.clone(), |kind| format!("{}::{kind}", input.name))
}
