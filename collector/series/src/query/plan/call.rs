//! Calls: which function, of what, with which parameters.

use super::{Call, Planner};
use crate::influxql::ast::{Expr, span_text};
use crate::query::Answer;
use crate::query::forecast::{self, Forecast};
use crate::query::functions::{Function, Transform, is_transform};
use crate::query::technical::{self, Technical};

const SECOND: i64 = 1_000_000_000;

impl Planner<'_> {
    pub(super) fn call(&mut self, name: &str, arguments: &[Expr]) -> Answer<Call> {
        if is_transform(name) {
            return self.transform(name, arguments);
        }
        match (name, arguments) {
            ("count", [Expr::Call(inner, of)]) if inner == "distinct" => {
                require_arguments(inner, of, 1, 1)?;
                Ok(Call::of(Function::CountDistinct, self.argument(inner, &of[0])?))
            }
            ("percentile", _) => {
                require_arguments(name, arguments, 2, 2)?;
                let rank = match arguments[1] {
                    Expr::Integer(rank) => rank as f64,
                    Expr::Number(rank) => rank,
                    _ => return Err("expected float argument in percentile()".into()),
                };
                Ok(Call::of(Function::Percentile(rank), self.argument(name, &arguments[0])?))
            }
            ("sample", _) => {
                require_arguments(name, arguments, 2, 2)?;
                let count = match arguments[1] {
                    Expr::Integer(count) if count > 0 => count as usize,
                    Expr::Integer(count) => {
                        return Err(format!("sample window must be greater than 1, got {count}").into());
                    }
                    _ => return Err("expected integer argument in sample()".into()),
                };
                Ok(Call::of(Function::Sample(count), self.argument(name, &arguments[0])?))
            }
            ("top" | "bottom", _) => self.ranked(name, arguments),
            _ => {
                let function = Function::plain(name).ok_or_else(|| format!("undefined function {name}()"))?;
                require_arguments(name, arguments, 1, 1)?;
                Ok(Call::of(function, self.argument(name, &arguments[0])?))
            }
        }
    }

    /// `top(field, tag, ..., count)`.
    fn ranked(&mut self, name: &str, arguments: &[Expr]) -> Answer<Call> {
        if arguments.len() < 2 {
            let got = arguments.len();
            return Err(format!("invalid number of arguments for {name}, expected at least 2, got {got}").into());
        }
        let (last, rest) = arguments.split_last().ok_or("no argument")?;
        let count = match last {
            Expr::Integer(count) if *count > 0 => *count as usize,
            Expr::Integer(count) => {
                return Err(format!("limit ({count}) in {name} function must be at least 1").into());
            }
            other => {
                return Err(format!("expected integer as last argument in {name}(), found {}", shown(other)).into());
            }
        };
        let mut inputs = Vec::new();
        for argument in rest {
            match argument {
                Expr::Reference(field, cast) => inputs.push(self.input(field, *cast)),
                other => {
                    return Err(format!("only fields or tags are allowed in {name}(), found {}", shown(other)).into());
                }
            }
        }
        let function = if name == "top" { Function::Top(count) } else { Function::Bottom(count) };
        let apart = inputs.split_off(1);
        Ok(Call { apart, ..Call::of(function, inputs[0]) })
    }

    fn argument(&mut self, name: &str, argument: &Expr) -> Answer<usize> {
        match argument {
            Expr::Reference(field, cast) => Ok(self.input(field, *cast)),
            Expr::Paren(inner) => self.argument(name, inner),
            _ => Err(format!("expected field argument in {name}()").into()),
        }
    }

    fn transform(&mut self, name: &str, arguments: &[Expr]) -> Answer<Call> {
        if name.starts_with("holt_winters") {
            return self.forecast(name, arguments);
        }
        let technical = technical::Kind::named(name);
        let most = match name {
            _ if technical.is_some() => technical.map_or(0, technical::Kind::most_arguments),
            "cumulative_sum" | "difference" | "non_negative_difference" => 1,
            _ => 2,
        };
        let least = if name == "moving_average" || technical.is_some() { 2 } else { 1 };
        require_arguments(name, arguments, least, most)?;
        let own_buckets = name == "integral";
        let (mut call, over_buckets) = match (&arguments[0], self.window) {
            (Expr::Call(inner, of), Some(_)) if !own_buckets => (self.call(inner, of)?, true),
            (Expr::Call(..), None) if !own_buckets => {
                return Err(format!("{name} aggregate requires a GROUP BY interval").into());
            }
            (argument, Some(_)) if !own_buckets && !matches!(argument, Expr::Call(..)) => {
                return Err(format!("aggregate function required inside the call to {name}").into());
            }
            (argument, _) => (Call::of(Function::Points, self.argument(name, argument)?), false),
        };
        let usual = match self.window {
            Some(window) if over_buckets => window.every,
            _ => SECOND,
        };
        call.transforms.push(match technical {
            Some(kind) => Transform::Technical(Technical::new(kind, name, &arguments[1..])?),
            None => parameter(name, arguments.get(1), usual)?,
        });
        Ok(call)
    }

    /// `holt_winters(function, count, season)`.
    fn forecast(&mut self, name: &str, arguments: &[Expr]) -> Answer<Call> {
        require_arguments(name, arguments, 3, 3)?;
        let whole = |at: usize, place: &str| match arguments[at] {
            Expr::Integer(number) => Ok(number),
            _ => Err(format!("expected integer argument as {place} arg in {name}")),
        };
        let too_many = |number: i64, place: &str, most: i64| match number > most {
            true => Err(format!("{place} arg to {name} cannot be greater than {most}, got {number}")),
            false => Ok(number as usize),
        };
        let (count, season) = (whole(1, "second")?, whole(2, "third")?);
        if count <= 0 {
            return Err(format!("second arg to {name} must be greater than 0, got {count}").into());
        }
        if season < 0 {
            return Err(format!("third arg to {name} cannot be negative, got {season}").into());
        }
        let Expr::Call(inner, of) = &arguments[0] else {
            return Err(format!("must use aggregate function with {name}").into());
        };
        if self.window.is_none() {
            return Err(format!("{name} aggregate requires a GROUP BY interval").into());
        }
        let mut call = self.call(inner, of)?;
        call.transforms.push(Transform::Forecast(Forecast {
            count: too_many(count, "second", forecast::MAX_COUNT)?,
            season: too_many(season, "third", forecast::MAX_SEASON)?,
            with_fit: name == "holt_winters_with_fit",
        }));
        Ok(call)
    }
}

fn shown(expr: &Expr) -> String {
    match expr {
        Expr::Reference(name, _) => name.clone(),
        Expr::Call(name, _) => format!("{name}()"),
        Expr::Text(text) => format!("'{text}'"),
        Expr::Number(number) => format!("{number:.3}"),
        Expr::Integer(number) => number.to_string(),
        Expr::Boolean(value) => value.to_string(),
        _ => "an expression".to_owned(),
    }
}

/// A function may not be asked for more points than the answer may have rows.
pub(super) fn check_limits(calls: &[Call], limit: usize) -> Answer<()> {
    for call in calls {
        if let Function::Top(count) | Function::Bottom(count) = call.function
            && limit > 0
            && count > limit
        {
            let name = call.function.name();
            return Err(format!(
                "limit ({count}) in {name} function can not be larger than the LIMIT ({limit}) in the select statement"
            )
            .into());
        }
    }
    Ok(())
}

fn parameter(name: &str, argument: Option<&Expr>, usual: i64) -> Answer<Transform> {
    let unit = |usual: i64| match argument {
        None => Ok(usual),
        Some(Expr::Duration(unit)) if *unit > 0 => Ok(*unit),
        Some(Expr::Duration(unit)) => Err(format!("duration argument must be positive, got {}", span_text(*unit))),
        Some(other) => Err(format!("second argument to {name} must be a duration, got {}", other.kind_text())),
    };
    Ok(match name {
        "cumulative_sum" => Transform::CumulativeSum,
        "difference" => Transform::Difference { non_negative: false },
        "non_negative_difference" => Transform::Difference { non_negative: true },
        "derivative" => Transform::Derivative { unit: unit(usual)?, non_negative: false },
        "non_negative_derivative" => Transform::Derivative { unit: unit(usual)?, non_negative: true },
        "elapsed" => Transform::Elapsed(unit(1)?),
        "integral" => Transform::Integral(unit(SECOND)?),
        _ => match argument {
            Some(Expr::Integer(count @ 2..=1_000_000)) => Transform::MovingAverage(*count as usize),
            Some(Expr::Integer(count)) => {
                return Err(format!("moving_average window must be greater than 1, got {count}").into());
            }
            other => {
                let got = other.map_or("nothing", Expr::kind_text);
                return Err(format!("second argument for moving_average must be an integer, got {got}").into());
            }
        },
    })
}

pub(super) fn require_arguments(name: &str, arguments: &[Expr], least: usize, most: usize) -> Answer<()> {
    let got = arguments.len();
    if (least..=most).contains(&got) {
        return Ok(());
    }
    let expected = match least == most {
        true => format!("{least}"),
        false => format!("at least {least} but no more than {most}"),
    };
    Err(format!("invalid number of arguments for {name}, expected {expected}, got {got}").into())
}
