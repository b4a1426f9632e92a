//! The one spelling of JSON that is signed: members sorted by name, no spaces, as few escapes as JSON allows, numbers in
//! their shortest form.
//!
//! What has no such spelling is refused, never guessed at: two texts that differ in what they say never have the same.

use std::borrow::Cow;
use std::ops::Range;

use serde::Serialize;
use serde_json::Number;

/// How deep values may be nested: no reader of ours goes deeper.
const DEPTH_MAX: usize = 127;
/// Members of this name mean something else to the parser than they say.
const RESERVED: &str = "$serde_json::private::";

/// Why a payload has no canonical spelling, and can therefore be neither signed nor verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCanonical {
    /// It is nested too deeply.
    #[error("the payload is nested deeper than {DEPTH_MAX} levels: send flatter data")]
    TooDeep,
    /// A number does not fit into 64 bits without loss.
    #[error("the payload's number {number} cannot be kept in 64 bits as it is written: send it as text")]
    Number {
        /// Its beginning.
        number: String,
    },
    /// An object says something twice.
    #[error("the payload has the member {name:?} twice in one object: send it once")]
    Twice {
        /// The member.
        name: String,
    },
    /// A name that our parser keeps to itself.
    #[error("the payload has a member {name:?}, a name that JSON parsers keep to themselves: rename it")]
    Reserved {
        /// The member.
        name: String,
    },
    /// It is no JSON.
    #[error("the payload is not JSON at byte {at}")]
    NotJson {
        /// Where.
        at: usize,
    },
}

/// The canonical spelling of a JSON text.
///
/// # Errors
/// [`NotCanonical`].
pub(crate) fn canonical(text: &str) -> Result<String, NotCanonical> {
    let mut reader = Reader { text, at: 0 };
    let mut out = String::with_capacity(text.len());
    reader.value(&mut out, 0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.not_json());
    }
    Ok(out)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn not_json(&self) -> NotCanonical {
        NotCanonical::NotJson { at: self.at }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes this byte, if it is the next one after spaces.
    fn takes(&mut self, byte: u8) -> bool {
        self.space();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, out: &mut String, depth: usize) -> Result<(), NotCanonical> {
        self.space();
        match self.peek() {
            Some(b'{' | b'[') if depth == DEPTH_MAX => Err(NotCanonical::TooDeep),
            Some(b'{') => self.object(out, depth + 1),
            Some(b'[') => self.array(out, depth + 1),
            Some(b'"') => {
                let text = self.string()?;
                spell(&text, out);
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => self.number(out),
            _ => {
                let rest = &self.text[self.at..];
                let word = ["null", "true", "false"].into_iter().find(|word| rest.starts_with(word));
                let word = word.ok_or_else(|| self.not_json())?;
                self.at += word.len();
                out.push_str(word);
                Ok(())
            }
        }
    }

    fn array(&mut self, out: &mut String, depth: usize) -> Result<(), NotCanonical> {
        self.at += 1;
        out.push('[');
        if !self.takes(b']') {
            loop {
                self.value(out, depth)?;
                if !self.takes(b',') {
                    break;
                }
                out.push(',');
            }
            if !self.takes(b']') {
                return Err(self.not_json());
            }
        }
        out.push(']');
        Ok(())
    }

    fn object(&mut self, out: &mut String, depth: usize) -> Result<(), NotCanonical> {
        self.at += 1;
        out.push('{');
        // Each member is spelt where it stands, and only moved when the members are not sorted, as ours mostly are.
        let begin = out.len();
        let mut members: Vec<(Cow<'a, str>, Range<usize>)> = Vec::new();
        let mut is_sorted = true;
        if !self.takes(b'}') {
            loop {
                if !members.is_empty() {
                    out.push(',');
                }
                self.space();
                let name = self.string()?;
                if name.starts_with(RESERVED) {
                    return Err(NotCanonical::Reserved { name: name.into_owned() });
                }
                if !self.takes(b':') {
                    return Err(self.not_json());
                }
                let from = out.len();
                spell(&name, out);
                out.push(':');
                self.value(out, depth)?;
                is_sorted &= members.last().is_none_or(|(before, _)| *before < name);
                members.push((name, from - begin..out.len() - begin));
                if !self.takes(b',') {
                    break;
                }
            }
            if !self.takes(b'}') {
                return Err(self.not_json());
            }
        }
        if !is_sorted {
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            if let Some([(name, _), _]) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(NotCanonical::Twice { name: name.clone().into_owned() });
            }
            let spelt = out.split_off(begin);
            for (number, (_, place)) in members.into_iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                out.push_str(&spelt[place]);
            }
        }
        out.push('}');
        Ok(())
    }

    /// What a string says.
    fn string(&mut self) -> Result<Cow<'a, str>, NotCanonical> {
        let rest = &self.text[self.at..];
        let plain = rest.strip_prefix('"').and_then(|rest| {
            let end = rest.bytes().position(is_spelt_otherwise)?;
            rest[end..].starts_with('"').then(|| &rest[..end])
        });
        if let Some(plain) = plain {
            self.at += plain.len() + 2;
            return Ok(Cow::Borrowed(plain));
        }
        let mut strings = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        match strings.next() {
            Some(Ok(text)) => {
                self.at += strings.byte_offset();
                Ok(Cow::Owned(text))
            }
            _ => Err(self.not_json()),
        }
    }

    fn number(&mut self, out: &mut String) -> Result<(), NotCanonical> {
        let rest = &self.text[self.at..];
        let is_part = |byte: &u8| matches!(byte, b'+' | b'-' | b'.' | b'0'..=b'9' | b'e' | b'E');
        let token = &rest[..rest.bytes().take_while(|byte| is_part(byte)).count()];
        let inexact = || NotCanonical::Number { number: token.chars().take(40).collect() };
        // A whole number that certainly fits is spelt as it is.
        let digits = token.strip_prefix('-').unwrap_or(token);
        if matches!(digits.as_bytes(), [b'1'..=b'9', more @ ..] if more.len() < 18 && more.iter().all(u8::is_ascii_digit))
        {
            self.at += token.len();
            out.push_str(token);
            return Ok(());
        }
        let is_whole = token != "-0" && !token.contains(['.', 'e', 'E']);
        let whole =
            || token.parse().ok().map(|n: u64| n.into()).or_else(|| Some(token.parse::<i64>().ok()?.into()));
        // The standard library reads the nearest float, which serde_json does not always do.
        let float = || token.parse().ok().and_then(Number::from_f64);
        let number = if is_whole { whole() } else { float() };
        let spelt = number.ok_or_else(inexact)?.to_string();
        // The form of numbers in JSON is narrower than in Rust, and one may say more than a float holds.
        let is_json = || serde_json::from_str::<serde::de::IgnoredAny>(token).is_ok();
        if spelt != token && !(is_json() && decimal(&spelt) == decimal(token)) {
            return Err(inexact());
        }
        self.at += token.len();
        out.push_str(&spelt);
        Ok(())
    }
}

/// Whether a byte of a text is not written as it is.
const fn is_spelt_otherwise(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1f)
}

fn spell(text: &str, out: &mut String) {
    if !text.bytes().any(is_spelt_otherwise) {
        out.push('"');
        out.push_str(text);
        out.push('"');
        return;
    }
    // A text is always written.
    let mut bytes = Vec::with_capacity(text.len() + 2);
    if text.serialize(&mut serde_json::Serializer::new(&mut bytes)).is_ok() {
        out.push_str(&String::from_utf8_lossy(&bytes));
    }
}

/// What a number says: its sign, its digits without zeros around them, and the power of ten of the last digit.
fn decimal(token: &str) -> Option<(bool, String, i64)> {
    let (is_negative, token) = match token.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, token),
    };
    let (mantissa, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_end_matches('0');
    if trimmed.is_empty() {
        return Some((is_negative, String::new(), 0));
    }
    let cut = i64::try_from(digits.len() - trimmed.len()).ok()?;
    let after = i64::try_from(fraction.len()).ok()?;
    let power = exponent.parse::<i64>().ok()?.checked_sub(after)?.checked_add(cut)?;
    Some((is_negative, trimmed.trim_start_matches('0').to_owned(), power))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn nested(depth: usize) -> String {
        "[".repeat(depth) + &"]".repeat(depth)
    }

    #[test]
    fn what_says_the_same_is_spelt_the_same() {
        let text =
            " { \"b\" : [ 1 , -2, 1.50, 1e2, true ], \"a\\u0041\" : \"\\u00e9\\/\\n\\u0001\", \"\" : {} } ";
        let spelt = "{\"\":{},\"aA\":\"é/\\n\\u0001\",\"b\":[1,-2,1.5,100.0,true]}";
        assert_eq!(canonical(text).unwrap(), spelt);
        assert_eq!(canonical(spelt).unwrap(), spelt);
    }

    #[test]
    fn what_has_no_spelling_is_refused() {
        assert!(canonical(&nested(DEPTH_MAX)).is_ok());
        for depth in [DEPTH_MAX + 1, 200, 100_000] {
            assert_eq!(canonical(&nested(depth)), Err(NotCanonical::TooDeep));
        }
        for number in
            ["9999999999999999.5", "18446744073709551616", "1e400", "1e-400", "0.1000000000000000055511"]
        {
            let refused = canonical(&format!("{{\"n\":{number}}}"));
            assert_eq!(refused, Err(NotCanonical::Number { number: number.to_owned() }));
        }
        let raw = canonical("{\"\\u0024serde_json::private::RawValue\":\"1\"}");
        assert!(matches!(raw, Err(NotCanonical::Reserved { .. })), "{raw:?}");
        assert_eq!(canonical("{\"a\":1,\"\\u0061\":2}"), Err(NotCanonical::Twice { name: "a".to_owned() }));
        for broken in ["", "{", "[1,]", "{\"a\"}", "{\"a\":1,}", "nul", "1 2", "\"", "[1}", "--1", "01"] {
            assert!(canonical(broken).is_err(), "{broken}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// What was signed by earlier versions was spelt by a tree.
        #[test]
        fn whatever_we_write_is_spelt_as_a_tree_spells_it(mut value in any_json()) {
            value.sort_all_objects();
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                prop_assert_eq!(canonical(&text).unwrap(), value.to_string());
            }
        }
    }

    #[test]
    fn small_and_large_numbers_of_ours_are_spelt() {
        for number in [0.0, -0.0, 1e-7, 5e-324, f64::MAX, 0.1 + 0.2, 1e21, 123_456_789.125] {
            let text = json!(number).to_string();
            assert_eq!(canonical(&text).unwrap(), text);
        }
    }
}
