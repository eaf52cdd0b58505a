//! Arguments as a client sends them → as a handler gets them. The host's own validation says more and has the exact
//! texts; here is what examples need.

use serde_json::{Map, Value as Json};

use crate::{Fault, FromValue, RawArg, Value, invalid};

/// Validates what an example sends.
pub(super) fn validate(
    declared: &Json,
    sent: &Map<String, Json>,
    now: i64,
    creating: bool,
) -> Result<Vec<RawArg>, Fault> {
    let declared = declared.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut args = Vec::new();
    if creating {
        for arg in declared
            .iter()
            .filter(|arg| arg["required"] == true && arg["check"] != "within")
        {
            if absent_in_a_create(lookup(arg, sent)) {
                return Err(missing(arg));
            }
        }
    }
    for arg in declared {
        let given =
            lookup(arg, sent).filter(|value| !(creating && absent_in_a_create(Some(*value))));
        if let Some(value) = decode(arg, given, now)? {
            args.push(RawArg {
                name: text(arg, "name").to_owned(),
                value,
            });
        }
    }
    Ok(args)
}

/// Shared arguments of a create that the type does not declare itself.
pub(super) fn shared(declared: &Json, sent: &Map<String, Json>) -> Vec<RawArg> {
    let is_declared = |name: &str| {
        declared
            .as_array()
            .into_iter()
            .flatten()
            .any(|arg| arg["name"] == name)
    };
    let rest = sent
        .iter()
        .filter(|(name, value)| !is_declared(name) && !absent_in_a_create(Some(value)));
    rest.map(|(name, value)| {
        let value = match value {
            Json::String(text) if matches!(name.as_str(), "bucket_list" | "ticket" | "sectors") => {
                Value::from(
                    text.split(',')
                        .map(|part| part.trim().to_owned())
                        .collect::<Vec<_>>(),
                )
            }
            Json::String(text) => Value::from(text.trim()),
            other => Value::from(other),
        };
        RawArg {
            name: name.clone(),
            value,
        }
    })
    .collect()
}

/// Rule create 4-G3.
fn absent_in_a_create(value: Option<&Json>) -> bool {
    value.is_none_or(|value| {
        value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
    })
}

fn lookup<'a>(arg: &Json, sent: &'a Map<String, Json>) -> Option<&'a Json> {
    let synonyms = arg["synonyms"].as_array().into_iter().flatten();
    let mut names = std::iter::once(&arg["name"])
        .chain(synonyms)
        .filter_map(Json::as_str);
    names
        .find_map(|name| sent.get(name))
        .filter(|value| !value.is_null())
}

fn text<'a>(arg: &'a Json, key: &str) -> &'a str {
    arg[key].as_str().unwrap_or_default()
}

fn missing(arg: &Json) -> Fault {
    let said = arg["missing"].as_str().map(str::to_owned);
    invalid(
        text(arg, "name"),
        said.unwrap_or_else(|| format!("Missing required argument '{}'.", text(arg, "name"))),
    )
}

fn wrong(arg: &Json, value: &Json) -> Fault {
    let said = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    invalid(
        text(arg, "name"),
        arg["invalid"]
            .as_str()
            .unwrap_or("Not valid: {value}")
            .replace("{value}", &said),
    )
}

fn decode(arg: &Json, given: Option<&Json>, now: i64) -> Result<Option<Value>, Fault> {
    if arg["empty"] == "now" && given.is_some_and(|value| *value == "") {
        return Ok(Some(Value::Date(now)));
    }
    // Rule ACT-12: an empty text is a value for texts and lists, else the same as absent.
    let keeps_empty = matches!(text(arg, "type"), "string" | "text" | "list");
    let given = given.filter(|value| keeps_empty || value.as_str() != Some(""));
    let Some(given) = given else {
        return match arg.get("default") {
            Some(default) if default == "now" => Ok(Some(Value::Date(now))),
            Some(default) => convert(arg, default, now).map(Some),
            None if arg["required"] == true && arg["check"] != "within" => Err(missing(arg)),
            None => Ok(None),
        };
    };
    let value = convert(arg, given, now)?;
    let allowed = arg["enum"].as_array().filter(|_| arg["check"] != "within");
    let value = match (value, allowed) {
        (Value::Text(text), Some(allowed)) => {
            let mut spellings = allowed.iter().filter_map(Json::as_str);
            match spellings.find(|spelling| spelling.eq_ignore_ascii_case(&text)) {
                Some(spelling) => Value::from(spelling),
                None => return Err(wrong(arg, given)),
            }
        }
        (value, _) => value,
    };
    match &value {
        Value::Text(text) if arg["nonempty"] == true && text.is_empty() => Err(wrong(arg, given)),
        _ => Ok(Some(value)),
    }
}

fn convert(arg: &Json, given: &Json, now: i64) -> Result<Value, Fault> {
    let as_text = String::from_json(given.clone());
    let value = match text(arg, "type") {
        "string" | "type" => as_text.map(|text| Value::from(text.trim())),
        "text" => as_text.map(Value::from),
        "bool" => Some(Value::Flag(match given {
            Json::Bool(flag) => *flag,
            other => {
                as_text.is_some_and(|text| {
                    !matches!(
                        text.to_lowercase().as_str(),
                        "" | "0" | "false" | "no" | "off" | "none"
                    )
                }) && !other.is_null()
            }
        })),
        "int" => as_text.and_then(|text| text.parse().ok()).map(Value::Int),
        "num" => as_text.and_then(|text| text.parse().ok()).map(Value::Num),
        "id" => crate::ObjectId::from_json(given.clone()).map(Value::from),
        "date" => as_text.and_then(|text| date(&text, true)).map(Value::Date),
        "ldate" => as_text.and_then(|text| date(&text, false)).map(Value::Date),
        "any" => Some(Value::from(given)),
        "list" => return list(arg, given, now),
        "map" => return map(arg, given, now),
        _ => None,
    };
    match value.ok_or_else(|| wrong(arg, given))? {
        Value::Text(text) if arg["unescape"] == true => Ok(Value::Text(unescape(&text))),
        value => Ok(value),
    }
}

/// Rule ACT-11.
fn list(arg: &Json, given: &Json, now: i64) -> Result<Value, Fault> {
    let items: Vec<Json> = match given {
        Json::Array(items) => items.clone(),
        Json::String(text) => text.split(',').map(Json::from).collect(),
        Json::Number(number) => vec![number.to_string().into()],
        _ => return Err(wrong(arg, given)),
    };
    let element = {
        let mut element = arg.clone();
        element["type"] = arg["of"].clone();
        element["nonempty"] = false.into();
        element
    };
    let mut list: Vec<Json> = Vec::new();
    for item in &items {
        let Some(value) = decode(&element, Some(item), now)? else {
            continue;
        };
        let json = Json::from_value(value).unwrap_or_default();
        if json != "" && !list.contains(&json) {
            list.push(json);
        }
    }
    Ok(Value::from(list))
}

fn map(arg: &Json, given: &Json, now: i64) -> Result<Value, Fault> {
    let Some(sent) = given.as_object() else {
        return Err(wrong(arg, given));
    };
    let Some(keys) = arg.get("keys") else {
        return Ok(Value::Json(given.to_string()));
    };
    let decoded = validate(keys, sent, now, false).map_err(|fault| match fault {
        Fault::Invalid((_, message)) => invalid(text(arg, "name"), message),
        other => other,
    })?;
    let members = decoded
        .into_iter()
        .map(|arg| (arg.name, Json::from_value(arg.value).unwrap_or_default()));
    Ok(Value::Json(Json::Object(members.collect()).to_string()))
}

/// Rule ACT-14: once, so `&amp;lt;` is `&lt;`.
fn unescape(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(place) = rest.find('&') {
        let (before, from) = rest.split_at(place);
        out.push_str(before);
        let entities = [
            ("&amp;", "&"),
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&quot;", "\""),
            ("&#39;", "'"),
        ];
        let (entity, plain) = entities
            .into_iter()
            .find(|(entity, _)| from.starts_with(entity))
            .unwrap_or(("&", "&"));
        out.push_str(plain);
        rest = &from[entity.len()..];
    }
    out + rest
}

/// `2026-01-15 10:20:30.123456` in milliseconds; not strict: also without the fraction or the time.
fn date(text: &str, strict: bool) -> Option<i64> {
    let (day, time) = text
        .trim()
        .split_once([' ', 'T'])
        .or_else(|| (!strict).then_some((text, "00:00:00.0")))?;
    let (clock, fraction) = time
        .split_once('.')
        .or_else(|| (!strict).then_some((time, "0")))?;
    let numbers = |text: &str, separator: char| {
        text.split(separator)
            .map(|part| part.parse::<i64>().ok())
            .collect::<Option<Vec<_>>>()
    };
    let ([year, month, day], [hour, minute, second]) = (
        numbers(day, '-')?.try_into().ok()?,
        numbers(clock, ':')?.try_into().ok()?,
    );
    if fraction.is_empty()
        || fraction.len() > 6
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    // Days of the civil calendar: years begin in March.
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + millis)
}

#[cfg(test)]
mod tests {
    use super::{date, unescape};

    #[test]
    fn dates_are_read_as_they_are_shown() {
        for text in [
            "2026-01-15 10:20:30.123000",
            "1970-01-01 00:00:00.000000",
            "2024-02-29 23:59:59.999000",
        ] {
            let read = date(text, true).map(|millis| crate::Date::from_millis(millis).to_string());
            assert_eq!(read.as_deref(), Some(text));
        }
        assert_eq!(date("2026-01-15", true), None);
        assert_eq!(
            date("2026-01-15", false),
            date("2026-01-15 00:00:00.0", true)
        );
    }

    #[test]
    fn act_14_entities_are_decoded_once() {
        assert_eq!(unescape("a &lt;b&gt; &amp;amp; & c"), "a <b> &amp; & c");
    }
}
