//! Boards as Grafana reads them: every query with its variables expanded.

use serde_json::Value;

/// Milliseconds.
const SECOND: i64 = 1000;

/// What Grafana knows when it expands a query.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Start of the time shown.
    pub from_ms: i64,
    /// Its end.
    pub to_ms: i64,
    /// From one point to the next, as Grafana chose it for the width of the panel.
    pub interval_ms: i64,
}

/// A query of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The panel's title, or the variable's name.
    pub of: String,
    /// The text to be sent.
    pub text: String,
}

/// Every query of `board`: its variables' and its panels', rows included. `values` are what a person chose for each
/// variable; one that is not listed has its first choice, *All*.
///
/// # Panics
/// If the board has a query of another kind than these tests know how to run.
#[must_use]
pub fn queries(board: &Value, view: View, values: &[(&str, &[&str])]) -> Vec<Query> {
    let variables: Vec<_> = list(board, "/templating/list").collect();
    let expand = |text: &str, view: View| {
        let text = variables.iter().fold(text.to_owned(), |text, variable| substitute(&text, variable, values));
        macros(&text, view)
    };
    let mut queries = Vec::new();
    for variable in variables.iter().filter(|it| it["type"] == "query") {
        let text = variable["query"].as_str().expect("a variable's query is text");
        queries.push(Query { of: format!("variable {}", variable["name"]), text: expand(text, view) });
    }
    let panels = list(board, "/panels").flat_map(|panel| std::iter::once(panel).chain(list(panel, "/panels")));
    for panel in panels {
        let title = panel["title"].as_str().expect("a panel has a title");
        // A panel's own least interval is in its `interval`.
        let least_ms = panel["interval"].as_str().map_or(0, duration_ms);
        let view = View { interval_ms: view.interval_ms.max(least_ms), ..view };
        for target in list(panel, "/targets") {
            let text = target["query"].as_str().unwrap_or_else(|| panic!("{title}: not a raw query"));
            queries.push(Query { of: title.to_owned(), text: expand(text, view) });
        }
    }
    queries
}

fn list<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

/// A variable with several values, or with all, becomes a group of alternatives, each escaped for a pattern.
fn substitute(text: &str, variable: &Value, values: &[(&str, &[&str])]) -> String {
    let name = variable["name"].as_str().expect("a variable has a name");
    let chosen = values.iter().find(|(of, _)| *of == name).map(|(_, chosen)| *chosen);
    let value = match chosen {
        Some([one]) => escape(one),
        Some(several) => format!("({})", several.iter().map(|it| escape(it)).collect::<Vec<_>>().join("|")),
        None => variable["allValue"].as_str().unwrap_or(".*").to_owned(),
    };
    text.replace(&format!("${{{name}}}"), &value).replace(&format!("${name}"), &value)
}

fn macros(text: &str, view: View) -> String {
    let filter = format!("time >= {}ms and time <= {}ms", view.from_ms, view.to_ms);
    text.replace("$timeFilter", &filter)
        .replace("$__interval_ms", &view.interval_ms.to_string())
        .replace("$__interval", &interval(view.interval_ms))
}

/// As Grafana writes it: the largest unit that divides it.
fn interval(ms: i64) -> String {
    let units = [(86_400 * SECOND, "d"), (3600 * SECOND, "h"), (60 * SECOND, "m"), (SECOND, "s")];
    let fitting = units.iter().find(|(unit, _)| ms >= *unit && ms % unit == 0);
    fitting.map_or_else(|| format!("{ms}ms"), |(unit, name)| format!("{}{name}", ms / unit))
}

fn duration_ms(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => panic!("an interval is in s, m or h: {text}"),
    };
    number.parse::<i64>().expect("an interval begins with a number") * unit
}

fn escape(value: &str) -> String {
    let special = |c: char| "\\^$.*+?()[]{}|/".contains(c);
    value.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const VIEW: View = View { from_ms: 1000, to_ms: 61_000, interval_ms: 10_000 };

    fn board(query: &str) -> Value {
        json!({
            "templating": {"list": [{"name": "host", "type": "query", "query": "SHOW TAG VALUES", "allValue": ".*"}]},
            "panels": [{"title": "CPU?", "interval": "1m", "targets": [{"query": query}]}],
        })
    }

    fn expanded(query: &str, values: &[(&str, &[&str])]) -> String {
        queries(&board(query), VIEW, values).remove(1).text
    }

    #[test]
    fn macros_become_what_grafana_sends() {
        let query = "SELECT x WHERE $timeFilter GROUP BY time($__interval) / $__interval_ms";
        let expected = "SELECT x WHERE time >= 1000ms and time <= 61000ms GROUP BY time(1m) / 60000";
        assert_eq!(expanded(query, &[]), expected);
        assert_eq!(interval(90_000), "90s");
        assert_eq!(interval(1500), "1500ms");
    }

    #[test]
    fn variables_become_patterns() {
        assert_eq!(expanded("/^$host$/", &[]), "/^.*$/");
        assert_eq!(expanded("/^$host$/", &[("host", &["a.b"])]), "/^a\\.b$/");
        assert_eq!(expanded("/^${host}$/", &[("host", &["a", "b/c"])]), "/^(a|b\\/c)$/");
    }
}
