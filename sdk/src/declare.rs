//! How the macros write the declaration: JSON text from parts that are ready at compile time, and from what only the
//! Rust types know.

use serde_json::Value as Json;

use crate::plugin::{Action, Create, Service};
use crate::value::Bytes;
use crate::{Date, Fault, FromValue, ObjectId, RawArg, Upload, Value, internal};

/// What an argument can be declared as.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the type of an argument",
    note = "use String, bool, i64, f64, Date, ObjectId, Json, Value, Upload, Option or Vec of these, or a struct with #[derive(Args)] or an enum with #[derive(Choice)]"
)]
pub trait ArgType: FromValue {
    /// The type it is declared with, then others that `#[arg(type = …)]` may choose.
    const TYPES: &'static [&'static str];
    /// Type of a list's elements.
    const OF: &'static str = "";
    /// Not required unless said so: `Option`.
    const OPTIONAL: bool = false;
    /// Can be made from nothing.
    const ABSENT: bool = false;
    /// JSON of the default.
    const DEFAULT: &'static str = "";
    /// Further members of the declaration, each with a comma before it.
    const MORE: &'static str = "";
    /// Writes the keys of a map.
    fn keys(_: &mut String) {}
}

/// What a stored field can be declared as.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the type of a field",
    note = "use String, bool, i64, f64, Date, ObjectId, Bytes, Json, Option or Vec of these, or a struct with #[derive(Fields)]"
)]
pub trait FieldType: FromValue {
    /// The kind it is declared with, then others that `#[field(kind = …)]` may choose.
    const KINDS: &'static [&'static str];
    /// Kind of a list's elements.
    const OF: &'static str = "";
    /// Writes the fields of an embedded document.
    fn fields(_: &mut String) {}
}

macro_rules! kinds {
    ($($rust:ty: args $args:expr, fields $kinds:expr, absent $absent:expr;)*) => {$(
        impl ArgType for $rust {
            const TYPES: &'static [&'static str] = &$args;
            const ABSENT: bool = $absent;
        }
        impl FieldType for $rust {
            const KINDS: &'static [&'static str] = &$kinds;
        }
    )*};
}

kinds! {
    String: args ["string", "text", "type", "id"], fields ["text", "id", "uuid", "file", "any"], absent true;
    i64: args ["int"], fields ["int", "any"], absent false;
    f64: args ["num"], fields ["num", "any"], absent false;
    Date: args ["date", "ldate"], fields ["date"], absent false;
    ObjectId: args ["id"], fields ["id", "file"], absent false;
}

impl ArgType for bool {
    const TYPES: &'static [&'static str] = &["bool"];
    const ABSENT: bool = true;
    const DEFAULT: &'static str = "false";
}

impl FieldType for bool {
    const KINDS: &'static [&'static str] = &["bool"];
}

impl ArgType for Json {
    const TYPES: &'static [&'static str] = &["map", "list"];
    const ABSENT: bool = true;
}

impl ArgType for Value {
    const TYPES: &'static [&'static str] = &["any"];
    const ABSENT: bool = true;
}

impl FieldType for Json {
    const KINDS: &'static [&'static str] = &["any", "map", "list"];
}

impl ArgType for Upload {
    const TYPES: &'static [&'static str] = &["file"];
}

impl FieldType for Bytes {
    const KINDS: &'static [&'static str] = &["binary", "uuid"];
}

impl<T: ArgType> ArgType for Option<T> {
    const TYPES: &'static [&'static str] = T::TYPES;
    const OF: &'static str = T::OF;
    const OPTIONAL: bool = true;
    const ABSENT: bool = true;
    const MORE: &'static str = T::MORE;
    fn keys(out: &mut String) {
        T::keys(out);
    }
}

impl<T: FieldType> FieldType for Option<T> {
    const KINDS: &'static [&'static str] = T::KINDS;
    const OF: &'static str = T::OF;
    fn fields(out: &mut String) {
        T::fields(out);
    }
}

impl<T: ArgType> ArgType for Vec<T> {
    const TYPES: &'static [&'static str] = &["list"];
    const OF: &'static str = T::TYPES[0];
    const ABSENT: bool = true;
    const MORE: &'static str = T::MORE;
    fn keys(out: &mut String) {
        T::keys(out);
    }
}

impl<T: FieldType> FieldType for Vec<T> {
    const KINDS: &'static [&'static str] = &["list"];
    const OF: &'static str = T::KINDS[0];
    fn fields(out: &mut String) {
        T::fields(out);
    }
}

/// Fails the compilation if `#[arg(type = …)]` does not fit the Rust type.
pub const fn check_arg<T: ArgType>(kind: &str) {
    assert!(
        contains(T::TYPES, kind),
        "this argument type does not fit the Rust type of the field"
    );
}

/// Fails the compilation if `#[field(kind = …)]` does not fit the Rust type.
pub const fn check_field<T: FieldType>(kind: &str) {
    assert!(
        contains(T::KINDS, kind),
        "this kind does not fit the Rust type of the field"
    );
}

/// Fails the compilation if an argument may be missing and its Rust type has no value for that.
pub const fn check_absent<T: ArgType>() {
    assert!(
        T::ABSENT,
        "an argument that is not required needs a default or the type Option"
    );
}

const fn contains(list: &[&str], word: &str) -> bool {
    let mut place = 0;
    while place < list.len() {
        if same(list[place].as_bytes(), word.as_bytes()) {
            return true;
        }
        place += 1;
    }
    false
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut place = 0;
    while place < left.len() {
        if left[place] != right[place] {
            return false;
        }
        place += 1;
    }
    true
}

/// What the attributes of an argument say.
#[derive(Debug)]
pub struct ArgSpec {
    /// Name.
    pub name: &'static str,
    /// Type, or "" for that of the Rust type.
    pub kind: &'static str,
    /// Type of elements, or "".
    pub of: &'static str,
    /// Said to be required or not.
    pub required: Option<bool>,
    /// Has a default among `more`.
    pub has_default: bool,
    /// Further members, each with a comma before it.
    pub more: &'static str,
}

/// Writes one argument.
pub fn arg<T: ArgType>(out: &mut String, spec: &ArgSpec) {
    begin(out, spec.name, "type", or(spec.kind, T::TYPES[0]));
    member(out, "of", or(spec.of, T::OF));
    nested(out, "keys", T::keys);
    let default = if spec.has_default { "" } else { T::DEFAULT };
    let required = spec
        .required
        .unwrap_or(!T::OPTIONAL && !spec.has_default && default.is_empty());
    if required {
        out.push_str(",\"required\":true");
    } else if !default.is_empty() {
        out.push_str(",\"default\":");
        out.push_str(default);
    }
    out.push_str(T::MORE);
    out.push_str(spec.more);
    out.push('}');
}

/// What the attributes of a field say.
#[derive(Debug)]
pub struct FieldSpec {
    /// Name.
    pub name: &'static str,
    /// Kind, or "" for that of the Rust type.
    pub kind: &'static str,
    /// Kind of elements, or "".
    pub of: &'static str,
    /// Further members, each with a comma before it.
    pub more: &'static str,
}

/// Writes one field.
pub fn field<T: FieldType>(out: &mut String, spec: &FieldSpec) {
    begin(out, spec.name, "kind", or(spec.kind, T::KINDS[0]));
    member(out, "of", or(spec.of, T::OF));
    nested(out, "fields", T::fields);
    out.push_str(spec.more);
    out.push('}');
}

/// Writes one type.
pub fn tlo_type<T: Create>(out: &mut String) {
    open(out);
    T::declare_type(out);
    T::declare_create(out);
    out.push('}');
}

/// Writes one action.
pub fn action<A: Action>(out: &mut String) {
    open(out);
    A::declare(out);
    out.push('}');
}

/// Writes one service.
pub fn service<S: Service>(out: &mut String) {
    open(out);
    S::declare(out);
    out.push('}');
}

/// Writes the whole declaration.
#[must_use]
pub fn plugin(
    head: &str,
    types: &[fn(&mut String)],
    actions: &[fn(&mut String)],
    services: &[fn(&mut String)],
) -> String {
    let mut out = String::with_capacity(16 << 10);
    out.push_str(head);
    for (name, items) in [
        ("types", types),
        ("actions", actions),
        ("services", services),
    ] {
        // Plugins without services declare what they always did.
        if name == "services" && items.is_empty() {
            continue;
        }
        out.push_str(",\"");
        out.push_str(name);
        out.push_str("\":[");
        for write in items {
            write(&mut out);
        }
        out.push(']');
    }
    out.push('}');
    out
}

const fn or<'a>(said: &'a str, otherwise: &'a str) -> &'a str {
    if said.is_empty() { otherwise } else { said }
}

fn open(out: &mut String) {
    if out.ends_with('}') {
        out.push(',');
    }
    out.push('{');
}

fn begin(out: &mut String, name: &str, key: &str, kind: &str) {
    open(out);
    out.push_str("\"name\":\"");
    out.push_str(name);
    out.push('"');
    member(out, key, kind);
}

fn member(out: &mut String, key: &str, word: &str) {
    if !word.is_empty() {
        for part in [",\"", key, "\":\"", word, "\""] {
            out.push_str(part);
        }
    }
}

fn nested(out: &mut String, key: &str, write: fn(&mut String)) {
    let before = out.len();
    for part in [",\"", key, "\":["] {
        out.push_str(part);
    }
    let opened = out.len();
    write(out);
    if out.len() == opened {
        out.truncate(before);
    } else {
        out.push(']');
    }
}

/// Takes an argument out of a call's.
///
/// # Errors
///
/// `internal`: it is not as declared, which the host rules out.
pub fn take_arg<T: FromValue>(args: &mut Vec<RawArg>, name: &str) -> Result<T, Fault> {
    let value = match args.iter().position(|arg| arg.name == name) {
        Some(place) => T::from_value(args.swap_remove(place).value),
        None => T::absent(),
    };
    value.ok_or_else(|| internal(["the argument ", name, " is not as declared"].concat()))
}

/// Takes a field out of the answer to `get_many`.
///
/// # Errors
///
/// `internal`: the stored value has another kind, or a field without a value for that is absent.
pub fn take_field<T: FromValue>(
    values: &mut impl Iterator<Item = Option<Value>>,
    name: &str,
) -> Result<T, Fault> {
    let value = match values.next().flatten() {
        Some(value) => T::from_value(value),
        None => T::absent(),
    };
    value.ok_or_else(|| {
        internal(
            [
                "the stored value of ",
                name,
                " is absent or has another kind",
            ]
            .concat(),
        )
    })
}
