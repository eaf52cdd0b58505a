//! Between the generated types of the contract and those of [`crate::plugins::value`].

use super::bindings::critd::plugin::types as wire;
use crate::plugins::value::{Arg, Fault, Outcome, Value};

pub(super) fn value_in(value: wire::Value) -> Value {
    match value {
        wire::Value::Null => Value::Null,
        wire::Value::Flag(flag) => Value::Flag(flag),
        wire::Value::Int(int) => Value::Int(int),
        wire::Value::Num(num) => Value::Num(num),
        wire::Value::Text(text) => Value::Text(text),
        wire::Value::Bytes(bytes) => Value::Bytes(bytes),
        wire::Value::Date(date) => Value::Date(date),
        wire::Value::Id(id) => Value::Id(id),
        wire::Value::Json(json) => Value::Json(json),
        wire::Value::File(upload) => Value::File(upload),
    }
}

pub(super) fn value_out(value: Value) -> wire::Value {
    match value {
        Value::Null => wire::Value::Null,
        Value::Flag(flag) => wire::Value::Flag(flag),
        Value::Int(int) => wire::Value::Int(int),
        Value::Num(num) => wire::Value::Num(num),
        Value::Text(text) => wire::Value::Text(text),
        Value::Bytes(bytes) => wire::Value::Bytes(bytes),
        Value::Date(date) => wire::Value::Date(date),
        Value::Id(id) => wire::Value::Id(id),
        Value::Json(json) => wire::Value::Json(json),
        Value::File(upload) => wire::Value::File(upload),
    }
}

pub(super) fn args_in(args: Vec<wire::Arg>) -> Vec<Arg> {
    args.into_iter()
        .map(|arg| Arg {
            name: arg.name,
            value: value_in(arg.value),
        })
        .collect()
}

pub(super) fn arg_out(arg: Arg) -> wire::Arg {
    wire::Arg {
        name: arg.name,
        value: value_out(arg.value),
    }
}

pub(super) fn fault_in(fault: wire::Fault) -> Fault {
    match fault {
        wire::Fault::Invalid((argument, message)) => Fault::Invalid(argument, message),
        wire::Fault::Refused((code, message)) => Fault::Refused(code, message),
        wire::Fault::Missing(message) => Fault::Missing(message),
        wire::Fault::Internal(message) => Fault::Internal(message),
    }
}

pub(super) fn fault_out(fault: Fault) -> wire::Fault {
    match fault {
        Fault::Invalid(argument, message) => wire::Fault::Invalid((argument, message)),
        Fault::Refused(code, message) => wire::Fault::Refused((code, message)),
        Fault::Missing(message) => wire::Fault::Missing(message),
        Fault::Internal(message) => wire::Fault::Internal(message),
    }
}

pub(super) fn outcome_in(outcome: wire::Outcome) -> Outcome {
    Outcome {
        document: outcome.document,
        message: outcome.message,
        extra: outcome.extra,
    }
}

pub(super) fn outcome_out(outcome: Outcome) -> wire::Outcome {
    wire::Outcome {
        document: outcome.document,
        message: outcome.message,
        extra: outcome.extra,
    }
}

/// Bytes that a value brings.
pub(super) fn weight(value: &wire::Value) -> usize {
    match value {
        wire::Value::Text(text) | wire::Value::Id(text) | wire::Value::Json(text) => text.len(),
        wire::Value::Bytes(bytes) => bytes.len(),
        wire::Value::Null
        | wire::Value::Flag(_)
        | wire::Value::Int(_)
        | wire::Value::Num(_)
        | wire::Value::Date(_)
        | wire::Value::File(_) => 8,
    }
}

/// Bytes that a list of named values brings.
pub(super) fn weight_of(args: &[wire::Arg]) -> usize {
    args.iter()
        .map(|arg| arg.name.len() + weight(&arg.value))
        .sum()
}

/// Bytes that a list of texts brings.
pub(super) fn weight_of_texts(texts: &[String]) -> usize {
    texts.iter().map(|text| text.len() + 8).sum()
}
