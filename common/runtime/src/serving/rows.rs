//! Rows of the views.

use hostler_core::Failure;
use serde_json::{Value, json};

use super::AnswerQueries;
use crate::ports::Row;
use crate::serving::http::{Request, Response};

/// How many rows or commits one answer has, unless the caller asks for fewer.
pub(super) const LIMIT_MAX: usize = 500;

/// The most bytes of rows or commits in one answer: Lambda takes 6 MB, in which the body is quoted as text.
const ANSWER_BYTES_MAX: usize = 2_500_000;

/// How many of these, from the first on, fit one answer. One at least, so that whoever pages gets on.
pub(super) fn fitting(values: &[Value]) -> usize {
    let mut left = ANSWER_BYTES_MAX;
    let fits = |value: &&Value| {
        let bytes = value.to_string().len();
        let fits = bytes <= left;
        left = left.saturating_sub(bytes);
        fits
    };
    values.iter().take_while(fits).count().max(1)
}

/// How many the caller asks for.
pub(super) fn limit(request: &Request) -> Result<usize, Response> {
    match request.query.get("limit") {
        None => Ok(LIMIT_MAX),
        Some(text) => match text.parse() {
            Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
            _ => Err(Response::error(
                400,
                "invalid",
                format!("limit is {text:?}: give a whole number from 1 to {LIMIT_MAX}"),
            )),
        },
    }
}

impl AnswerQueries {
    pub(super) async fn list(&self, view: &str, request: &Request) -> Result<Response, Response> {
        let query = |name: &str| request.query.get(name).map(String::as_str);
        let page = self
            .views
            .list(view, query("group"), query("after"), limit(request)?)
            .await
            .map_err(|error| Response::failure(&Failure::from(error)))?;
        let keys: Vec<String> = page.rows.iter().map(|row| row.key.clone()).collect();
        let mut rows: Vec<Value> = page.rows.into_iter().map(row_body).collect();
        let shown = fitting(&rows);
        let next = if shown < rows.len() { keys.into_iter().nth(shown - 1) } else { page.next };
        rows.truncate(shown);
        Ok(Response::new(200, json!({ "rows": rows, "next": next })))
    }

    pub(super) async fn row(&self, view: &str, id: &str) -> Result<Response, Response> {
        match self.views.get(view, id).await {
            Ok(Some(row)) => Ok(Response::new(200, row_body(row))),
            Ok(None) => Err(unknown(view, id)),
            Err(error) => Err(Response::failure(&Failure::from(error))),
        }
    }
}

/// A row as it is shown: its content, and what it reflects.
fn row_body(row: Row) -> Value {
    let mut body = row.body;
    if let Value::Object(fields) = &mut body {
        fields.insert("version".to_owned(), json!(row.version));
        fields.insert("updatedAt".to_owned(), json!(row.updated_at));
    }
    body
}

/// The answer for an id that nothing is known of.
pub(super) fn unknown(view: &str, id: &str) -> Response {
    let message = format!("nothing is known of {id:?} in {view}: list them with GET /{view}");
    Response::error(404, "unknown", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_as_much_as_fits_and_one_at_least() {
        let row = |bytes: usize| json!("x".repeat(bytes));
        assert_eq!(fitting(&[row(10), row(10)]), 2);
        assert_eq!(fitting(&[row(2_000_000), row(400_000), row(200_000), row(1)]), 2);
        assert_eq!(fitting(&[row(3_000_000), row(10)]), 1);
        assert_eq!(fitting(&[]), 1);
    }
}
