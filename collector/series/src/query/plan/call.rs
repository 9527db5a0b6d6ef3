//! Calls: which function, of what, with which parameters.

use super::{Call, Planner};
use crate::influxql::ast::Expr;
use crate::query::Answer;
use crate::query::functions::{Function, Transform, is_transform};

const SECOND: i64 = 1_000_000_000;

impl Planner<'_> {
    pub(super) fn call(&mut self, name: &str, arguments: &[Expr]) -> Answer<Call> {
        if is_transform(name) {
            return self.transform(name, arguments);
        }
        if let ("count", [Expr::Call(inner, of)]) = (name, arguments)
            && inner == "distinct"
        {
            require_arguments(inner, of, 1, 1)?;
            let input = self.argument(inner, &of[0])?;
            return Ok(Call { function: Function::CountDistinct, input, transform: None });
        }
        let function = if name == "percentile" {
            require_arguments(name, arguments, 2, 2)?;
            match arguments[1] {
                Expr::Integer(rank) => Function::Percentile(rank as f64),
                Expr::Number(rank) => Function::Percentile(rank),
                _ => return Err("expected float argument in percentile()".into()),
            }
        } else {
            let function = Function::plain(name).ok_or_else(|| unknown(name))?;
            require_arguments(name, arguments, 1, 1)?;
            function
        };
        Ok(Call { function, input: self.argument(name, &arguments[0])?, transform: None })
    }

    fn argument(&mut self, name: &str, argument: &Expr) -> Answer<usize> {
        match argument {
            Expr::Reference(field, cast) => Ok(self.input(field, *cast)),
            Expr::Paren(inner) => self.argument(name, inner),
            _ => Err(format!("expected field argument in {name}()").into()),
        }
    }

    fn transform(&mut self, name: &str, arguments: &[Expr]) -> Answer<Call> {
        let most = match name {
            "cumulative_sum" | "difference" | "non_negative_difference" => 1,
            _ => 2,
        };
        let least = if name == "moving_average" { 2 } else { 1 };
        require_arguments(name, arguments, least, most)?;
        let (mut call, over_buckets) = match (&arguments[0], self.window) {
            (Expr::Call(inner, of), Some(_)) => (self.call(inner, of)?, true),
            (Expr::Call(..), None) => {
                return Err(format!("{name} aggregate requires a GROUP BY interval").into());
            }
            (_, Some(_)) => {
                return Err(format!("aggregate function required inside the call to {name}").into());
            }
            (argument, None) => {
                let input = self.argument(name, argument)?;
                (Call { function: Function::Points, input, transform: None }, false)
            }
        };
        if call.transform.is_some() {
            return Err(format!("{name}() of another transformation is not supported").into());
        }
        let usual = match self.window {
            Some(window) if over_buckets => window.every,
            _ => SECOND,
        };
        call.transform = Some(parameter(name, arguments.get(1), usual)?);
        Ok(call)
    }
}

fn parameter(name: &str, argument: Option<&Expr>, usual: i64) -> Answer<Transform> {
    let unit = |usual: i64| match argument {
        None => Ok(usual),
        Some(Expr::Duration(unit)) if *unit > 0 => Ok(*unit),
        Some(Expr::Duration(_)) => Err(format!("duration argument must be positive in {name}()")),
        Some(_) => Err(format!("second argument to {name} must be a duration")),
    };
    Ok(match name {
        "cumulative_sum" => Transform::CumulativeSum,
        "difference" => Transform::Difference { non_negative: false },
        "non_negative_difference" => Transform::Difference { non_negative: true },
        "derivative" => Transform::Derivative { unit: unit(usual)?, non_negative: false },
        "non_negative_derivative" => Transform::Derivative { unit: unit(usual)?, non_negative: true },
        "elapsed" => Transform::Elapsed(unit(1)?),
        _ => match argument {
            Some(Expr::Integer(count @ 2..=1_000_000)) => Transform::MovingAverage(*count as usize),
            Some(Expr::Integer(count)) => {
                return Err(format!("moving_average window must be greater than 1, got {count}").into());
            }
            _ => return Err("second argument for moving_average must be an integer".into()),
        },
    })
}

fn unknown(name: &str) -> String {
    match name {
        "bottom" | "top" | "sample" | "integral" | "holt_winters" | "holt_winters_with_fit" => {
            format!("{name}() is not supported")
        }
        _ => format!("undefined function {name}()"),
    }
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
