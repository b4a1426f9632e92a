//! Requests and responses of an API Gateway HTTP API.

use std::collections::BTreeMap;

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::http::{HeaderMap, HeaderName, HeaderValue};
use hostler_runtime::serving::http::{HttpHandler, Request, Response};

/// Has a handler answer a request.
pub(super) async fn answer(
    event: ApiGatewayV2httpRequest,
    handler: &impl HttpHandler,
) -> ApiGatewayV2httpResponse {
    match request(event) {
        Ok(request) => response(handler.answer(&request).await),
        Err(refused) => response(refused),
    }
}

fn request(event: ApiGatewayV2httpRequest) -> Result<Request, Response> {
    let body = event.body.unwrap_or_default();
    let body = if event.is_base64_encoded { decode_body(&body)? } else { body };
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let query = event.query_string_parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let authorizer = event.request_context.authorizer;
    Ok(Request {
        method: event.request_context.http.method.as_str().to_owned(),
        path: event.raw_path.unwrap_or_default(),
        query: query.collect(),
        headers: event.headers.iter().filter_map(text).collect(),
        body,
        caller: authorizer.and_then(|authorizer| authorizer.iam).and_then(|iam| iam.user_arn),
    })
}

fn decode_body(body: &str) -> Result<String, Response> {
    // The same decoder that the gateway's own types use.
    let bytes: Result<aws_lambda_events::encodings::Base64Data, _> = serde_json::from_value(body.into());
    bytes
        .ok()
        .and_then(|bytes| String::from_utf8(bytes.0).ok())
        .ok_or_else(|| Response::error(400, "malformed", "the body is not UTF-8 text: send JSON"))
}

fn response(response: Response) -> ApiGatewayV2httpResponse {
    let pair = |(name, value): (String, String)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    let json = ("content-type".to_owned(), "application/json".to_owned());
    let headers: BTreeMap<String, String> = response.headers.into_iter().chain([json]).collect();
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = i64::from(response.status);
    answer.headers = headers.into_iter().filter_map(pair).collect::<HeaderMap>();
    answer.body = Some(Body::Text(response.body.to_string()));
    answer
}
