//! The URL of the image that a BMC is told to insert: it carries where, and for which step, the host answers.

use std::fmt;

use reqwest::Url;

/// BMCs keep the URL in small buffers; longer ones are refused here instead of cut off there.
pub const IMAGE_URL_CHARS_MAX: usize = 2_000;

const CALLBACK: &str = "callback";
const HOST: &str = "host";
const STEP: &str = "step";

/// Why an image URL can not be built or read.
#[derive(Debug, thiserror::Error)]
pub enum ImageUrlError {
    /// A part is not an absolute `http` or `https` URL.
    #[error("the {part} is not an absolute http(s) URL; correct it where it is configured")]
    NotAUrl {
        /// Which part: `image` or `callback`.
        part: &'static str,
        /// What the parser said, if it did.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A part of the query is missing or empty.
    #[error("the image URL has no `{part}` in its query; it was not made for a deployment")]
    Missing {
        /// Its name in the query.
        part: &'static str,
    },
    /// The whole is longer than BMCs take.
    #[error(
        "the image URL would have {chars} characters, and BMCs take {IMAGE_URL_CHARS_MAX}; shorten the image URL \
             or the callback URL"
    )]
    TooLong {
        /// How long it would be.
        chars: usize,
    },
}

/// An image to boot a host from, and the host's way to answer. The callback holds a token: it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct BootImage {
    /// The URL of the image itself.
    pub image: String,
    /// Where the host sends its outcome; holds the token of the step.
    pub callback: String,
    /// The id of the host.
    pub host: String,
    /// The id of the step that waits for the answer.
    pub step: String,
}

impl fmt::Debug for BootImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BootImage")
            .field("image", &self.image)
            .field("callback", &"<redacted>")
            .field("host", &self.host)
            .field("step", &self.step)
            .finish()
    }
}

impl BootImage {
    /// The URL that the BMC is told to insert: the image URL with `callback`, `host` and `step` in its query, in the
    /// usual form encoding. Equal parts give equal URLs, which is how a repeat recognises its image.
    ///
    /// # Errors
    /// [`ImageUrlError`] when a part is no URL or empty, or the whole too long.
    pub fn url(&self) -> Result<String, ImageUrlError> {
        let mut url = http_url(&self.image, "image")?;
        http_url(&self.callback, CALLBACK)?;
        for (part, value) in [(HOST, &self.host), (STEP, &self.step)] {
            if value.is_empty() {
                return Err(ImageUrlError::Missing { part });
            }
        }
        let own = own_query(&url);
        url.query_pairs_mut()
            .clear()
            .extend_pairs(own)
            .append_pair(CALLBACK, &self.callback)
            .append_pair(HOST, &self.host)
            .append_pair(STEP, &self.step);
        let text = url.to_string();
        if text.len() > IMAGE_URL_CHARS_MAX {
            return Err(ImageUrlError::TooLong { chars: text.len() });
        }
        Ok(text)
    }

    /// Reads such a URL back.
    ///
    /// # Errors
    /// [`ImageUrlError`] when it is no URL or a part is missing.
    pub fn parse(text: &str) -> Result<Self, ImageUrlError> {
        let mut url = http_url(text, "image")?;
        let part = |name: &'static str| {
            url.query_pairs()
                .find(|(key, value)| key == name && !value.is_empty())
                .map(|(_, value)| value.into_owned())
                .ok_or(ImageUrlError::Missing { part: name })
        };
        let (callback, host, step) = (part(CALLBACK)?, part(HOST)?, part(STEP)?);
        http_url(&callback, CALLBACK)?;
        let own = own_query(&url);
        if own.is_empty() {
            url.set_query(None);
        } else {
            url.query_pairs_mut().clear().extend_pairs(own);
        }
        Ok(Self { image: url.to_string(), callback, host, step })
    }
}

/// The pairs of the query that belong to the image server.
fn own_query(url: &Url) -> Vec<(String, String)> {
    url.query_pairs()
        .filter(|(key, _)| ![CALLBACK, HOST, STEP].contains(&key.as_ref()))
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect()
}

fn http_url(text: &str, part: &'static str) -> Result<Url, ImageUrlError> {
    let url =
        Url::parse(text).map_err(|error| ImageUrlError::NotAUrl { part, source: Some(Box::new(error)) })?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(ImageUrlError::NotAUrl { part, source: None })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail loudly
    use super::*;

    fn image() -> BootImage {
        BootImage {
            image: "http://images.local:8080/debian-12.iso".to_owned(),
            callback: "https://api.example/hosts/h-01/deployments?token=ab%2Fcd&x=1 2".to_owned(),
            host: "h-01".to_owned(),
            step: "0198-ab".to_owned(),
        }
    }

    #[test]
    fn the_url_is_the_image_with_an_encoded_query() {
        assert_eq!(
            image().url().unwrap(),
            "http://images.local:8080/debian-12.iso?callback=https%3A%2F%2Fapi.example%2Fhosts%2Fh-01%2Fdeployments\
             %3Ftoken%3Dab%252Fcd%26x%3D1+2&host=h-01&step=0198-ab"
        );
    }

    #[test]
    fn what_is_built_can_be_read_back() {
        assert_eq!(BootImage::parse(&image().url().unwrap()).unwrap(), image());
    }

    #[test]
    fn the_image_servers_own_query_stays() {
        let with_query =
            BootImage { image: "http://images.local/i?arch=x86+64&sum=a%26b".to_owned(), ..image() };
        let url = with_query.url().unwrap();
        assert!(url.starts_with("http://images.local/i?arch=x86+64&sum=a%26b&callback="));
        assert_eq!(BootImage::parse(&url).unwrap(), with_query);
        let twice = BootImage { image: url.clone(), ..image() };
        assert_eq!(twice.url().unwrap(), url, "a query of ours is replaced, not doubled");
    }

    #[test]
    fn bad_parts_are_named() {
        let no_url = BootImage { image: "debian.iso".to_owned(), ..image() };
        assert!(no_url.url().unwrap_err().to_string().contains("image"));
        let no_http = BootImage { callback: "file:///etc/passwd".to_owned(), ..image() };
        assert!(no_http.url().unwrap_err().to_string().contains("callback"));
        let no_host = BootImage { host: String::new(), ..image() };
        assert!(no_host.url().unwrap_err().to_string().contains("host"));
        let plain = BootImage::parse("http://images.local/debian.iso").unwrap_err();
        assert!(plain.to_string().contains("`callback`"));
        let long = BootImage { step: "s".repeat(2_001), ..image() };
        assert!(matches!(long.url(), Err(ImageUrlError::TooLong { .. })));
    }

    #[test]
    fn the_token_is_not_shown() {
        assert!(!format!("{:?}", image()).contains("token"));
    }
}
