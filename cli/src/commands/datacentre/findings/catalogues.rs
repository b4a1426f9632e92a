//! The catalogues KEV and EPSS, as their publishers offer them as files (November 2026).

use std::collections::BTreeMap;
use std::path::Path;

use hostler_events::findings::EpssScore;
use serde::Deserialize;

use crate::error::CliError;

/// The largest file: EPSS has some 300,000 lines of 30 bytes.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// *Known Exploited Vulnerabilities Catalog* (cisa.gov): since when each is known to be exploited.
#[derive(Deserialize)]
struct Kev {
    vulnerabilities: Vec<Exploited>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exploited {
    #[serde(rename = "cveID")]
    cve: String,
    date_added: String,
}

/// *EPSS API* (first.org).
#[derive(Deserialize)]
struct Epss {
    data: Vec<Scored>,
}

#[derive(Deserialize)]
struct Scored {
    cve: String,
    epss: String,
    date: String,
}

/// Since when each vulnerability is known to be exploited.
///
/// # Errors
/// Where the file does not read as the catalogue.
pub(super) fn exploited(path: &Path) -> Result<BTreeMap<String, String>, CliError> {
    let kev: Kev =
        serde_json::from_str(&text(path)?).map_err(|error| misread(path, "CISA's catalogue", &error))?;
    Ok(kev.vulnerabilities.into_iter().map(|of| (of.cve, of.date_added)).collect())
}

/// How likely it is that each vulnerability will be exploited.
///
/// # Errors
/// Where the file is neither form.
pub(super) fn scores(path: &Path) -> Result<BTreeMap<String, EpssScore>, CliError> {
    let text = text(path)?;
    if text.trim_start().starts_with('{') {
        let epss: Epss = serde_json::from_str(&text).map_err(|error| misread(path, "EPSS", &error))?;
        let scored = epss.data.into_iter().map(|of| {
            let score = of
                .epss
                .parse()
                .map_err(|_| misread(path, "EPSS", &format!("the score of {} is no number", of.cve)))?;
            Ok((of.cve, EpssScore { score, date: of.date }))
        });
        return scored.collect();
    }
    lines(&text).ok_or_else(|| {
        misread(path, "EPSS", &"its first line names no score_date, or its second is not cve,epss,percentile")
    })
}

/// The lines of the CSV; the first says the day of all scores: `#model_version:…,score_date:2026-11-28T00:00:00+0000`.
fn lines(text: &str) -> Option<BTreeMap<String, EpssScore>> {
    let mut lines = text.lines();
    let date = lines.next()?.split_once("score_date:")?.1.get(..10)?.to_owned();
    lines.next().filter(|header| header.starts_with("cve,epss"))?;
    let score = |line: &str| {
        let (cve, rest) = line.split_once(',')?;
        let score = rest.split(',').next()?.parse().ok()?;
        Some((cve.to_owned(), EpssScore { score, date: date.clone() }))
    };
    Some(lines.filter_map(score).collect())
}

fn text(path: &Path) -> Result<String, CliError> {
    let bytes = std::fs::metadata(path).map_err(CliError::file("read", path))?.len();
    if bytes > BYTES_MAX {
        let path = path.display();
        return Err(CliError::Usage(format!(
            "{path} has {bytes} bytes, and a catalogue has {BYTES_MAX} at most"
        )));
    }
    std::fs::read_to_string(path).map_err(CliError::file("read", path))
}

fn misread(path: &Path, what: &str, error: &dyn std::fmt::Display) -> CliError {
    CliError::Usage(format!(
        "{} does not read as {what}: {error}; give the file as its publisher offers it, unpacked",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    /// The forms as their publishers document them.
    #[test]
    fn catalogues_read_as_they_are_published() {
        let kev = file(
            r#"{"title":"CISA Catalog of Known Exploited Vulnerabilities","catalogVersion":"2026.11.28","count":1,
            "vulnerabilities":[{"cveID":"CVE-2021-44228","vendorProject":"Apache","product":"Log4j2","dateAdded":"2021-12-10","dueDate":"2021-12-24","knownRansomwareCampaignUse":"Known"}]}"#,
        );
        assert_eq!(exploited(kev.path()).unwrap()["CVE-2021-44228"], "2021-12-10");
        let csv = file(
            "#model_version:v2025.03.14,score_date:2026-11-28T12:55:00+0000\ncve,epss,percentile\nCVE-2021-44228,0.94358,0.99957\n",
        );
        let json = file(
            r#"{"status":"OK","data":[{"cve":"CVE-2021-44228","epss":"0.943580000","percentile":"0.999570000","date":"2026-11-28"}]}"#,
        );
        for epss in [csv, json] {
            let score = scores(epss.path()).unwrap()["CVE-2021-44228"].clone();
            assert_eq!(score, EpssScore { score: 0.94358, date: "2026-11-28".to_owned() });
        }
        for wrong in ["", "cve,epss\n", "{}", "#score_date:x\ncve,epss"] {
            let said = scores(file(wrong).path()).unwrap_err().to_string();
            assert!(said.contains("does not read as EPSS"), "{said}");
        }
    }
}
