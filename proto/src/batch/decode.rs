//! Batches back to samples.

use bellwether_logic::sample::{Name, Sample, Value};
use bellwether_logic::time::Timestamp;

use super::{
    Column, Encoding, MAX_DICTIONARY_BYTES, MAX_ROWS, MAX_SERIES_PER_STREAM, MAX_SHIFT, MAX_STRING_BYTES,
    MAX_STRINGS_PER_STREAM, MAX_VALUES_PER_BATCH, power, weight_of_series, weight_of_word,
};
use crate::v1::{self, FieldType};

/// Why a batch cannot be read. It is refused whole, and so is the stream that it came by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More of something than this end keeps.
    #[error("{what}: {found}, of which at most {limit} are taken")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there would be.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// A name that is empty, or a text that is too long.
    #[error("{what} of {bytes} bytes: expected 1 to {MAX_STRING_BYTES}")]
    Length {
        /// Of what.
        what: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// A row of a series that was never defined.
    #[error("series {0} was never defined")]
    UnknownSeries(u32),
    /// A definition that contradicts itself.
    #[error(
        "series `{0}`: tags must ascend, decimals be at most 9, shifts 1 to 32, and fields be of a known type and there at all"
    )]
    Definition(String),
    /// A value outside its type: a boolean beside 0 and 1, a word that was never sent.
    #[error("`{0}`: a value outside its type")]
    Value(String),
    /// Fewer or more values or times than the rows call for.
    #[error("{0} do not match the rows")]
    Count(&'static str),
}

/// Turns batches back into samples; holds the receiving side's dictionary.
#[derive(Default)]
pub struct Decoder {
    series: Vec<Known>,
    strings: Vec<String>,
    bytes: usize,
}

struct Known {
    measurement: Name,
    target: String,
    tags: Vec<(Name, String)>,
    fields: Vec<(Name, Column)>,
}

impl Decoder {
    /// An empty dictionary.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The samples of a batch. After an error the dictionary is of no use any more.
    ///
    /// # Errors
    /// What about the batch is malformed.
    pub fn decode(&mut self, batch: &v1::Batch) -> Result<Vec<Sample>, DecodeError> {
        self.learn(batch)?;
        at_most("rows", batch.rows.len(), MAX_ROWS)?;
        at_most("values", batch.values.len() + batch.raws.len(), MAX_VALUES_PER_BATCH)?;
        if !batch.times.is_empty() && batch.times.len() != batch.rows.len() {
            return Err(DecodeError::Count("times"));
        }
        let mut values = batch.values.iter().copied();
        let mut raws = batch.raws.iter().copied();
        let times = batch.times.iter().copied().chain(std::iter::repeat(0));
        let samples = batch
            .rows
            .iter()
            .zip(times)
            .map(|(id, time)| self.row(*id, batch.time_unix_ms.wrapping_add(time), &mut values, &mut raws))
            .collect::<Result<_, _>>()?;
        if values.next().is_some() || raws.next().is_some() {
            return Err(DecodeError::Count("values"));
        }
        Ok(samples)
    }

    fn learn(&mut self, batch: &v1::Batch) -> Result<(), DecodeError> {
        at_most("series", self.series.len() + batch.define.len(), MAX_SERIES_PER_STREAM)?;
        at_most("strings", self.strings.len() + batch.strings.len(), MAX_STRINGS_PER_STREAM)?;
        self.bytes += batch.strings.iter().map(|word| weight_of_word(word)).sum::<usize>();
        self.bytes += batch.define.iter().map(weight_of_series).sum::<usize>();
        at_most("bytes of a dictionary", self.bytes, MAX_DICTIONARY_BYTES)?;
        for word in &batch.strings {
            short("a word", word)?;
            self.strings.push(word.clone());
        }
        for series in &batch.define {
            self.series.push(known(series)?);
        }
        Ok(())
    }

    fn row(
        &mut self,
        id: u32,
        time_ms: i64,
        values: &mut impl Iterator<Item = i64>,
        raws: &mut impl Iterator<Item = u64>,
    ) -> Result<Sample, DecodeError> {
        let at = (id as usize).checked_sub(1).ok_or(DecodeError::UnknownSeries(id))?;
        let series = self.series.get_mut(at).ok_or(DecodeError::UnknownSeries(id))?;
        let mut fields = Vec::with_capacity(series.fields.len());
        for (name, column) in &mut series.fields {
            let value = column.next(values, raws, &self.strings)?;
            fields.push((name.clone(), value.ok_or_else(|| DecodeError::Value(name.to_string()))?));
        }
        Ok(Sample {
            measurement: series.measurement.clone(),
            tags: series.tags.clone(),
            target: series.target.clone(),
            time: Timestamp(time_ms),
            fields,
        })
    }
}

impl Column {
    /// The column's next value; none if it lies outside its type.
    fn next(
        &mut self,
        values: &mut impl Iterator<Item = i64>,
        raws: &mut impl Iterator<Item = u64>,
        strings: &[String],
    ) -> Result<Option<Value>, DecodeError> {
        if self.encoding == Encoding::Float {
            let value = f64::from_bits(raws.next().ok_or(DecodeError::Count("values"))?);
            return Ok(value.is_finite().then_some(Value::Float(value)));
        }
        self.last = self.last.wrapping_add(values.next().ok_or(DecodeError::Count("values"))?);
        let now = self.last;
        Ok(match self.encoding {
            #[expect(clippy::cast_precision_loss, reason = "an honest encoder sends what floats hold exactly")]
            Encoding::Decimal(decimals) => Some(Value::Float(now as f64 / power(decimals))),
            Encoding::Boolean => [false, true].into_iter().find(|word| i64::from(*word) == now).map(Value::Boolean),
            Encoding::Text => {
                let word = usize::try_from(now).ok().and_then(|index| strings.get(index.checked_sub(1)?));
                word.map(|word| Value::Text(word.clone()))
            }
            // None if it does not fit 64 bits.
            Encoding::Integer(shift) => Some(now << shift).filter(|value| value >> shift == now).map(Value::Integer),
            Encoding::Float => None,
        })
    }
}

fn known(series: &v1::Series) -> Result<Known, DecodeError> {
    let wrong = || DecodeError::Definition(series.measurement.chars().take(64).collect());
    short("a measurement's name", &series.measurement)?;
    if series.target_id.len() > MAX_STRING_BYTES {
        return Err(DecodeError::Length { what: "a target", bytes: series.target_id.len() });
    }
    if series.fields.is_empty() || !series.tags.is_sorted_by(|one, next| one.key < next.key) {
        return Err(wrong());
    }
    for text in series.tags.iter().flat_map(|tag| [&tag.key, &tag.value]) {
        short("a tag", text)?;
    }
    let mut fields = Vec::with_capacity(series.fields.len());
    for field in &series.fields {
        short("a field's name", &field.name)?;
        let encoding = match FieldType::try_from(field.r#type).map_err(|_| wrong())? {
            FieldType::FieldDecimal if field.decimals <= 9 => Encoding::Decimal(field.decimals),
            FieldType::FieldDecimal => return Err(wrong()),
            FieldType::FieldFloat => Encoding::Float,
            FieldType::FieldInteger => Encoding::Integer(0),
            FieldType::FieldShifted if (1..=MAX_SHIFT).contains(&field.decimals) => Encoding::Integer(field.decimals),
            FieldType::FieldShifted => return Err(wrong()),
            FieldType::FieldBoolean => Encoding::Boolean,
            FieldType::FieldString => Encoding::Text,
        };
        fields.push((field.name.clone().into(), Column { encoding, last: 0 }));
    }
    Ok(Known {
        measurement: series.measurement.clone().into(),
        target: series.target_id.clone(),
        tags: series.tags.iter().map(|tag| (tag.key.clone().into(), tag.value.clone())).collect(),
        fields,
    })
}

const fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), DecodeError> {
    if found > limit { Err(DecodeError::TooMany { what, found, limit }) } else { Ok(()) }
}

const fn short(what: &'static str, text: &str) -> Result<(), DecodeError> {
    match text.len() {
        1..=MAX_STRING_BYTES => Ok(()),
        bytes => Err(DecodeError::Length { what, bytes }),
    }
}
