//! Reading template.yaml: YAML with CloudFormation's short tags to JSON with the long `Fn::` forms.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Number, Value, json};
use yaml_serde::Value as Yaml;

use crate::error::Error;

const BYTES_MAX: u64 = 1_000_000;

/// A template as JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// The whole template, with `Fn::` long forms.
    pub body: Value,
    path: PathBuf,
}

impl Template {
    /// Reads a template file.
    ///
    /// # Errors
    /// [`Error::File`] when it can't be read, [`Error::Template`] when it is no YAML, is larger than
    /// CloudFormation takes (1 MB), or has no resources.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let size = fs::metadata(path).map_err(Error::file("read", path))?.len();
        if size > BYTES_MAX {
            let reason = format!("it has {size} bytes, and CloudFormation takes at most {BYTES_MAX}");
            return Err(Error::Template { path: path.to_owned(), reason });
        }
        let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
        Self::parse(&text, path)
    }

    /// Reads a template from text; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Template`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Template { path: path.to_owned(), reason };
        let mut yaml: Yaml = yaml_serde::from_str(text).map_err(|error| wrong(error.to_string()))?;
        yaml.apply_merge().map_err(|error| wrong(error.to_string()))?;
        let body = to_json(yaml).map_err(wrong)?;
        if !body.get("Resources").is_some_and(Value::is_object) {
            return Err(wrong("it has no Resources".to_owned()));
        }
        Ok(Self { body, path: path.to_owned() })
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resources of a type, as `AWS::SQS::Queue`, with their logical ids.
    pub fn resources<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let resources = self.body.get("Resources").and_then(Value::as_object);
        resources
            .into_iter()
            .flatten()
            .filter(move |(_, resource)| resource["Type"] == kind)
            .map(|(id, resource)| (id.as_str(), resource))
    }

    /// The resources of a type, to change them.
    pub fn resources_mut<'a>(&'a mut self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a mut Value)> {
        let resources = self.body.get_mut("Resources").and_then(Value::as_object_mut);
        resources
            .into_iter()
            .flatten()
            .filter(move |(_, resource)| resource["Type"] == kind)
            .map(|(id, resource)| (id.as_str(), resource))
    }
}

fn to_json(yaml: Yaml) -> Result<Value, String> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::Number(number) => Value::Number(number_to_json(&number)?),
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(to_json).collect::<Result<_, _>>()?),
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                object.insert(key_to_json(key)?, to_json(value)?);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            long_form(tag.trim_start_matches('!'), to_json(tagged.value)?)
        }
    })
}

/// `!Sub x` is `{"Fn::Sub": "x"}`, and so on; `Ref` and `Condition` have no prefix.
fn long_form(tag: &str, value: Value) -> Value {
    match (tag, value) {
        ("Ref" | "Condition", value) => json!({ tag: value }),
        ("GetAtt", Value::String(text)) => match text.split_once('.') {
            Some((resource, attribute)) => json!({ "Fn::GetAtt": [resource, attribute] }),
            None => json!({ "Fn::GetAtt": text }),
        },
        (function, value) => json!({ format!("Fn::{function}"): value }),
    }
}

fn key_to_json(key: Yaml) -> Result<String, String> {
    match key {
        Yaml::String(text) => Ok(text),
        Yaml::Number(number) => Ok(number.to_string()),
        Yaml::Bool(value) => Ok(value.to_string()),
        other => Err(format!("a key must be text, not {other:?}")),
    }
}

fn number_to_json(number: &yaml_serde::Number) -> Result<Number, String> {
    let integer = number.as_i64().map(Number::from).or_else(|| number.as_u64().map(Number::from));
    integer
        .or_else(|| number.as_f64().and_then(Number::from_f64))
        .ok_or_else(|| format!("{number} is no number that JSON knows"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn parse(text: &str) -> Result<Template, Error> {
        Template::parse(text, Path::new("template.yaml"))
    }

    #[test]
    fn short_tags_become_long_forms() {
        let template = parse(
            "AWSTemplateFormatVersion: 2010-09-09\n\
             Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      A: !Ref X\n      \
             B: !GetAtt Dead.Nested.Arn\n      C: !Sub 'a-${X}'\n      D: !Sub ['${y}', {y: !Ref X}]\n      \
             E: !If [Big, 10, 2.5]\n      F: {Version: 2012-10-17}\n",
        )
        .unwrap();
        let (id, queue) = template.resources("AWS::SQS::Queue").next().unwrap();
        assert_eq!(id, "Q");
        assert_eq!(
            queue["Properties"],
            json!({
                "A": {"Ref": "X"},
                "B": {"Fn::GetAtt": ["Dead", "Nested.Arn"]},
                "C": {"Fn::Sub": "a-${X}"},
                "D": {"Fn::Sub": ["${y}", {"y": {"Ref": "X"}}]},
                "E": {"Fn::If": ["Big", 10, 2.5]},
                "F": {"Version": "2012-10-17"},
            })
        );
        assert_eq!(template.body["AWSTemplateFormatVersion"], "2010-09-09");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        assert!(parse("Resources: [").is_err());
        assert!(parse("Description: nothing else\n").is_err());
        assert!(parse("Resources:\n  A: {Type: x}\n  A: {Type: y}\n").is_err());
    }
}
