//! A body that is too large for one message, taken apart: each part is a body of the same form, with some of its list.

use hostler_events::signal::SignalForm;
use serde_json::Value;

use crate::forms::list_of;

/// The most bytes of a part: what a message holds, less its envelope and what is put beside it on its way.
pub(crate) const PART_BYTES_MAX: usize = 200_000;

/// A body in parts, and what fits none.
pub(crate) struct Parts {
    pub(crate) parts: Vec<Value>,
    /// The places of what is too large, such as `alerts[3]`, each with its bytes.
    pub(crate) too_large: Vec<(String, usize)>,
}

/// Takes a body apart where it must be.
pub(crate) fn parts(form: SignalForm, mut body: Value) -> Parts {
    let bytes = size(&body);
    if bytes <= PART_BYTES_MAX {
        return Parts { parts: vec![body], too_large: Vec::new() };
    }
    let list = list_of(form).and_then(|field| Some((field, body.get_mut(field)?.as_array_mut()?)));
    let Some((field, items)) = list.map(|(field, items)| (field, std::mem::take(items))) else {
        return Parts { parts: Vec::new(), too_large: vec![("the body".to_owned(), bytes)] };
    };
    let rest = size(&body);
    if rest > PART_BYTES_MAX / 2 {
        return Parts { parts: Vec::new(), too_large: vec![(format!("what is beside {field}"), rest)] };
    }
    let (mut groups, mut too_large) = (Vec::<Vec<Value>>::new(), Vec::new());
    let mut filled = PART_BYTES_MAX;
    for (n, item) in items.into_iter().enumerate() {
        let bytes = size(&item) + 1;
        if rest + bytes > PART_BYTES_MAX {
            too_large.push((format!("{field}[{n}]"), bytes));
            continue;
        }
        if filled + bytes > PART_BYTES_MAX {
            groups.push(Vec::new());
            filled = rest;
        }
        filled += bytes;
        if let Some(group) = groups.last_mut() {
            group.push(item);
        }
    }
    let part = |items: Vec<Value>| {
        let mut part = body.clone();
        part[field] = items.into();
        part
    };
    Parts { parts: groups.into_iter().map(part).collect(), too_large }
}

fn size(value: &Value) -> usize {
    value.to_string().len()
}
