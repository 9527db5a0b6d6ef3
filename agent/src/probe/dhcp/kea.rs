//! Kea's answer to `stat-lease4-get` (Kea Administrator Reference Manual, "Statistics Commands Hook Library").

use serde::Deserialize;

/// What is asked.
pub(super) const QUESTION: &str = r#"{"command":"stat-lease4-get","service":["dhcp4"]}"#;

/// More subnets than a district has; the rest is not told.
const SCOPES_MAX: usize = 1_024;

/// One subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// The subnet's number in Kea's configuration; empty for a file of leases.
    pub name: String,
    pub total: u64,
    pub assigned: u64,
    pub declined: Option<u64>,
}

/// The control agent answers with a list, one for each service; a server's own socket with one answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reply {
    Many(Vec<Answer>),
    One(Answer),
}

#[derive(Deserialize)]
struct Answer {
    result: i64,
    arguments: Option<Arguments>,
}

#[derive(Deserialize)]
struct Arguments {
    #[serde(rename = "result-set")]
    result_set: Table,
}

#[derive(Deserialize)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<i64>>,
}

/// Every subnet; none if it is no such answer. Columns are found by name: later versions have more.
pub(super) fn parse(body: &[u8]) -> Option<Vec<Scope>> {
    let answer = match serde_json::from_slice(body).ok()? {
        Reply::Many(answers) => answers.into_iter().next()?,
        Reply::One(answer) => answer,
    };
    let table = match (answer.result, answer.arguments) {
        (0, Some(arguments)) => arguments.result_set,
        // "No rows found" is an answer, too.
        (3, _) => return Some(Vec::new()),
        _ => return None,
    };
    let column = |name: &str| table.columns.iter().position(|column| column == name);
    let (subnet, total) = (column("subnet-id")?, column("total-addresses")?);
    let (assigned, declined) = (column("assigned-addresses")?, column("declined-addresses"));
    let scope = |row: &Vec<i64>| {
        let number = |place: usize| u64::try_from(*row.get(place)?).ok();
        Some(Scope {
            name: number(subnet)?.to_string(),
            total: number(total)?,
            assigned: number(assigned)?,
            declined: declined.and_then(number),
        })
    };
    table.rows.iter().take(SCOPES_MAX).map(scope).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Kea's manual.
    const ANSWER: &str = r#"[{"result":0,"text":"stat-lease4-get: 2 rows found","arguments":{"result-set":{
        "columns":["subnet-id","total-addresses","cumulative-assigned-addresses","assigned-addresses","declined-addresses"],
        "rows":[[10,256,300,111,0],[20,4098,5000,2034,4]],"timestamp":"2018-05-04 15:03:37.000000"}}}]"#;

    #[test]
    fn every_subnet_is_told() {
        let scope = |name: &str, total, assigned, declined| Scope {
            name: name.to_owned(),
            total,
            assigned,
            declined: Some(declined),
        };
        let scopes = vec![scope("10", 256, 111, 0), scope("20", 4_098, 2_034, 4)];
        assert_eq!(parse(ANSWER.as_bytes()), Some(scopes.clone()));
        let alone = ANSWER.trim_start_matches('[').trim_end_matches(']');
        assert_eq!(parse(alone.as_bytes()), Some(scopes), "from the server's own socket");
    }

    #[test]
    fn an_error_and_nonsense_are_not_understood_and_no_subnets_are_none() {
        assert_eq!(parse(br#"[{"result":2,"text":"'stat-lease4-get' command not supported."}]"#), None);
        assert_eq!(parse(br#"[{"result":3,"text":"stat-lease4-get: 0 rows found"}]"#), Some(Vec::new()));
        for nonsense in
            ["", "[]", "{}", "<html>", r#"[{"result":0,"arguments":{"result-set":{"columns":[],"rows":[[1]]}}}]"#]
        {
            assert_eq!(parse(nonsense.as_bytes()), None, "{nonsense}");
        }
    }
}
