//! The endpoint takes what programs of this machine send, and nothing that a page in a browser could.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use hostler_localstack::{Cloud, needs};
use reqwest::{Client, RequestBuilder, StatusCode};

const CREATE_STACK: &str = "Action=CreateStack&StackName=mine&TemplateBody=%7B%7D&Version=2010-05-15";

async fn said(request: RequestBuilder) -> (StatusCode, String) {
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

async fn refused(request: RequestBuilder, why: &str) {
    let (status, text) = said(request).await;
    assert!(status == StatusCode::FORBIDDEN && text.contains(why), "{status}: {text}");
}

#[tokio::test]
async fn no_page_in_a_browser_reaches_the_endpoint() {
    // A container's endpoint is guarded by LocalStack itself, and somebody else's by them.
    needs!(Guard);
    let cloud = Cloud::shared_services().await.unwrap();
    let account = cloud.new_account();
    let client = Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/", cloud.url());
    let credential = format!(
        "AWS4-HMAC-SHA256 Credential={}/20260131/us-east-1/cloudformation/aws4_request, SignedHeaders=host, Signature=0",
        account.id()
    );
    let post =
        || client.post(&url).header("content-type", "application/x-www-form-urlencoded").body(CREATE_STACK);

    // What the browser lets any page send: a form, with the Origin that it adds.
    refused(post().header("origin", "https://evil.example"), "Origin").await;
    refused(post().header("origin", "null"), "Origin").await;
    // The preflight for a page that wants to send headers of its own.
    let preflight = client.request(reqwest::Method::OPTIONS, &url).header("origin", "https://evil.example");
    refused(preflight.header("access-control-request-headers", "authorization"), "Origin").await;
    // A page whose name leads to loopback by now: no Origin on a GET of its own, but its name.
    refused(post().header("host", "evil.example").header("authorization", &credential), "not this machine")
        .await;
    // An image whose address is an action: neither.
    refused(client.get(format!("{url}?{CREATE_STACK}")), "not signed").await;
    refused(client.post(format!("{}/_ministack/reset", cloud.url())), "not signed").await;

    let stacks = aws_sdk_cloudformation::Client::new(&account.sdk_config());
    let stacks = stacks.describe_stacks().send().await.map(|stacks| stacks.stacks().len());
    assert!(!matches!(stacks, Ok(1..)), "a stack was made");
    let (status, text) = said(post().header("authorization", &credential)).await;
    assert_ne!(status, StatusCode::FORBIDDEN, "what is signed is taken: {text}");
}
