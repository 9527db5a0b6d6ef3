//! The parser reads everything and never panics; what it refuses it names as InfluxDB does.

use proptest::prelude::*;

use super::parse;

fn error(text: &str) -> String {
    parse(text, &Default::default(), 10, 32).err().map_or_else(String::new, |error| error.to_string())
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = parse(&text, &Default::default(), 10, 32);
    }

    #[test]
    fn no_pile_of_words_makes_the_parser_panic(words in prop::collection::vec(prop::sample::select(vec![
        "SELECT", "mean", "(", ")", "\"a\"", "*", "FROM", "/x/", "WHERE", "time", ">", "now", "-", "1h", "5", "1.5",
        "'t'", "AND", "OR", "=~", "!~", "GROUP", "BY", "fill", "none", "ORDER", "DESC", "LIMIT", ",", ";", "::", "tag",
        "SHOW", "TAG", "VALUES", "WITH", "KEY", "IN", "=", ".", "AS", "tz", "µ", "/*", "--", "\n", "DISTINCT", "$p",
    ]), 0..40)) {
        let _ = parse(&words.join(" "), &Default::default(), 10, 32);
    }
}

#[test]
fn nesting_is_limited() {
    let deep = format!("SELECT {}a{} FROM m", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(error(&deep), "error parsing query: nested more than 32 deep");
    let minus = format!("SELECT {}a FROM m", "-".repeat(100_000));
    assert!(error(&minus).contains("expected"));
    let tower = format!("SELECT {}a FROM m", "-(".repeat(100_000));
    assert!(error(&tower).contains("nested"));
}

#[test]
fn a_request_holds_a_limited_number_of_statements() {
    assert!(parse(&"SHOW DATABASES;".repeat(10), &Default::default(), 10, 32).is_ok());
    assert!(error(&"SHOW DATABASES;".repeat(11)).contains("at most 10 statements"));
}

#[test]
fn what_is_wrong_is_said_as_influxdb_says_it() {
    let cases = [
        ("SELECT", "found EOF, expected identifier, string, number, bool at line 1, char 8"),
        ("SELECT mean(\"load1\" FROM \"system\"", "found FROM, expected ) at line 1, char 21"),
        ("SELECT a FROM m ORDER BY a", "only ORDER BY time supported at this time"),
        ("SELECT a FROM m LIMIT x", "found x, expected integer at line 1, char 23"),
        ("SELECT a FROM m\nWHERE", "found EOF, expected identifier, string, number, bool at line 2, char 7"),
    ];
    for (text, expected) in cases {
        assert_eq!(error(text), format!("error parsing query: {expected}"));
    }
}

#[test]
fn what_dashboards_write_is_read() {
    let texts = [
        "SELECT mean(\"a\") *8 FROM m WHERE h =~ /sd[a-z]$/AND time > now() - 1h GROUP BY time(10s), * fill(none) ORDER BY asc",
        "select last(x)as \"in\", first(\"y\"::field) AS CLOSED from \"rp\".\"m\" where a='b' tz('Europe/Berlin');",
        "SELECT /^x/, *::tag FROM /cpu|mem/, db..other -- the end",
        "SELECT a / 2 + b /* why */ FROM \"autogen\".cpu WHERE -1 < a AND (c != '' OR d <> 'x\\'y') SLIMIT 1 SOFFSET 2",
        "SHOW TAG VALUES FROM system WITH KEY=host; SHOW TAG VALUES WITH KEY IN (\"a\", b) WHERE x =~ /y/ LIMIT 1",
        "SHOW MEASUREMENTS WITH MEASUREMENT =~ /(?i)x/ LIMIT 100",
    ];
    for text in texts {
        assert_eq!(error(text), "", "{text}");
    }
}
