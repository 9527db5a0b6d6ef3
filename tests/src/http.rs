//! The collector's HTTP face, as Grafana, scripts and browsers see it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;

/// The database of the collector's own series.
pub const DATABASE: &str = "bellwether";

const LIMIT: Duration = Duration::from_secs(20);

/// A client of one collector; every call blocks.
#[derive(Debug)]
pub struct Http {
    runtime: Runtime,
    client: reqwest::Client,
    base: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub text: String,
    /// Values of `Set-Cookie`.
    pub cookies: Vec<String>,
    /// Where it points to, if anywhere.
    pub location: Option<String>,
}

/// One row of an answer to a query: the series' tags, the column's name, the time and the value.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Tags by which the query grouped.
    pub tags: Value,
    /// The column.
    pub column: String,
    /// The row's time in milliseconds; 0 where the answer has none.
    pub time_ms: i64,
    /// Never null.
    pub value: Value,
}

impl Http {
    /// A client of the collector at `address`.
    ///
    /// # Panics
    /// If the system gives no threads or sockets.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        // Fails if another test of this process was first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).redirect(reqwest::redirect::Policy::none());
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            client: client.build().expect("a client"),
            base: format!("http://{address}"),
        }
    }

    /// GET, with the value of an `Authorization` header if there is one.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn get(&self, path: &str, authorization: Option<&str>) -> Result<Answer, String> {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if let Some(value) = authorization {
            request = request.header("Authorization", value);
        }
        self.send(request)
    }

    /// POST of JSON, with a token of the API.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn post_json(&self, path: &str, token: &str, body: &Value) -> Result<Answer, String> {
        let request = self.client.post(format!("{}{path}", self.base));
        let request = request.header("Authorization", format!("Bearer {token}"));
        self.send(request.header("Content-Type", "application/json").body(body.to_string()))
    }

    /// GET, with a session's cookie.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn get_page(&self, path: &str, cookie: &str) -> Result<Answer, String> {
        self.send(self.client.get(format!("{}{path}", self.base)).header("Cookie", cookie))
    }

    /// POST of a form, as a browser without JavaScript sends it.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn post_form(&self, path: &str, fields: &[(&str, &str)], cookie: &str) -> Result<Answer, String> {
        let encoded = reqwest::Url::parse_with_params("http://form/", fields).map_err(|error| error.to_string())?;
        let request = self.client.post(format!("{}{path}", self.base)).header("Cookie", cookie);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        self.send(request.body(encoded.query().unwrap_or_default().to_owned()))
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, String> {
        self.runtime.block_on(async {
            let response = request.send().await.map_err(|error| format!("{error:?}"))?;
            let status = response.status().as_u16();
            let header = |name| response.headers().get_all(name).iter().filter_map(|it| it.to_str().ok());
            let cookies = header("set-cookie").map(str::to_owned).collect();
            let location = header("location").next().map(str::to_owned);
            let text = response.text().await.map_err(|error| format!("{error:?}"))?;
            Ok(Answer { status, text, cookies, location })
        })
    }

    /// `/query` as Grafana asks it.
    ///
    /// # Errors
    /// If there is no answer, or it is an error.
    pub fn query(&self, token: &str, text: &str) -> Result<Value, String> {
        let parameters = [("db", DATABASE), ("epoch", "ms"), ("q", text)];
        let url = reqwest::Url::parse_with_params(&format!("{}/query", self.base), parameters);
        let url = url.map_err(|error| error.to_string())?;
        let answer = self.send(self.client.get(url).header("Authorization", format!("Token {token}")))?;
        let json: Value =
            serde_json::from_str(&answer.text).map_err(|_| format!("{}: {}", answer.status, answer.text))?;
        let error = json.get("error").or_else(|| json.pointer("/results/0/error"));
        match error {
            Some(error) => Err(format!("{text}: {error}")),
            None if answer.status == 200 => Ok(json),
            None => Err(format!("{}: {}", answer.status, answer.text)),
        }
    }

    /// The values of a query's answer, without the nulls.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn points(&self, token: &str, text: &str) -> Result<Vec<Point>, String> {
        Ok(points(&self.query(token, text)?))
    }

    /// A list of the API.
    ///
    /// # Errors
    /// If there is no answer, or it is no list.
    pub fn list(&self, token: &str, path: &str) -> Result<Vec<Value>, String> {
        let answer = self.get(path, Some(&format!("Bearer {token}")))?;
        let json: Value =
            serde_json::from_str(&answer.text).map_err(|_| format!("{}: {}", answer.status, answer.text))?;
        match json {
            Value::Array(list) => Ok(list),
            // A list may be wrapped, so that it can grow a cursor.
            Value::Object(map) => match map.into_iter().find_map(|(_, value)| value.as_array().cloned()) {
                Some(list) => Ok(list),
                None => Err(format!("{}: {}", answer.status, answer.text)),
            },
            _ => Err(format!("{}: {}", answer.status, answer.text)),
        }
    }
}

fn points(answer: &Value) -> Vec<Point> {
    let mut points = Vec::new();
    let results = answer["results"].as_array().into_iter().flatten();
    for series in results.flat_map(|result| result["series"].as_array().into_iter().flatten()) {
        let columns: Vec<_> = series["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for row in series["values"].as_array().into_iter().flatten() {
            for (column, value) in columns.iter().zip(row.as_array().into_iter().flatten()) {
                if *column != "time" && !value.is_null() {
                    points.push(Point {
                        tags: series["tags"].clone(),
                        column: (*column).to_owned(),
                        time_ms: if columns[0] == "time" { row[0].as_i64().unwrap_or(0) } else { 0 },
                        value: value.clone(),
                    });
                }
            }
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_read_by_series_row_and_column() {
        let answer = json!({"results": [{"series": [
            {"name": "cpu", "tags": {"host": "a"}, "columns": ["time", "mean"], "values": [[10, 1.5], [20, null]]},
        ]}]});
        let expected = Point { tags: json!({"host": "a"}), column: "mean".to_owned(), time_ms: 10, value: json!(1.5) };
        assert_eq!(points(&answer), [expected]);
        assert!(points(&json!({"results": [{"statement_id": 0}]})).is_empty());
    }
}
