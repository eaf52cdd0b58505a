//! What the handler of an example finds: documents in memory, a user, a time; and the imported functions on them.

use std::cell::RefCell;

use serde_json::{Value as Json, json};

use super::document::Document;
use crate::{Fault, Outcome, RawArg, internal};

/// The state behind the imported functions.
#[derive(Default)]
pub(super) struct World {
    pub(super) documents: Vec<Document>,
    pub(super) current: Option<u32>,
    pub(super) action: String,
    pub(super) type_name: String,
    /// Flags of the user; none: all.
    pub(super) may: Option<Vec<String>>,
    /// Sources that the user may write with.
    pub(super) sources: Vec<String>,
    /// Declared types of the plugin, and its dispatch.
    pub(super) types: Json,
    pub(super) create: Option<fn(&str, Vec<RawArg>) -> Outcome>,
    pub(super) uploads: Vec<(String, Vec<u8>)>,
    /// Stored files: field of the document of the call, and number of the upload.
    pub(super) files: Vec<(String, u32)>,
    /// What a service found, and the lines of its log.
    pub(super) results: Vec<Json>,
    pub(super) log: Vec<Json>,
    /// What only the host could have answered.
    pub(super) unable: Option<String>,
    pub(super) ids: u64,
}

/// 2026-01-01T00:00:00Z, as the host runs examples.
pub(super) const NOW: i64 = 1_767_225_600_000;

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// Runs something on a world of its own.
pub(super) fn within<R>(world: World, run: impl FnOnce() -> R) -> (R, World) {
    WORLD.set(world);
    let result = run();
    (result, WORLD.take())
}

pub(super) fn with<R>(use_it: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(use_it)
}

fn unable(what: &str) {
    with(|world| {
        world
            .unable
            .get_or_insert_with(|| what.to_owned())
            .truncate(200)
    });
}

impl World {
    pub(super) fn add(&mut self, type_name: &str, visible: bool, mut fields: Json) -> u32 {
        self.ids += 1;
        if fields.get("_id").is_none() {
            fields["_id"] = json!({ "$oid": format!("{:024x}", self.ids) });
        }
        self.documents.push(Document {
            type_name: type_name.to_owned(),
            visible,
            fields,
            operations: Vec::new(),
        });
        u32::try_from(self.documents.len()).unwrap_or_default()
    }

    fn document(&mut self, number: u32) -> Result<&mut Document, Fault> {
        let place = number
            .checked_sub(1)
            .and_then(|place| usize::try_from(place).ok());
        let found = place.and_then(|place| self.documents.get_mut(place));
        found.ok_or_else(|| internal(format!("no document number {number} in this call")))
    }

    fn by_key(&self, type_name: &str, key: &Json) -> Option<(u32, bool)> {
        let matches = |document: &Document| {
            document.type_name == type_name && super::document::meets(&document.fields, key)
        };
        let place = self.documents.iter().position(matches)?;
        Some((
            u32::try_from(place + 1).ok()?,
            self.documents[place].visible,
        ))
    }
}

fn key_of(key: &[RawArg]) -> Json {
    let json = |arg: &RawArg| {
        <Json as crate::FromValue>::from_value(arg.value.clone()).unwrap_or_default()
    };
    Json::Object(
        key.iter()
            .map(|arg| (arg.name.clone(), json(arg)))
            .collect(),
    )
}

/// `interface call`
pub(crate) mod call {
    use super::{NOW, with};

    pub(crate) fn user() -> String {
        "example".into()
    }

    pub(crate) fn action() -> String {
        with(|world| world.action.clone())
    }

    pub(crate) fn type_name() -> String {
        with(|world| world.type_name.clone())
    }

    pub(crate) fn now() -> i64 {
        NOW
    }

    pub(crate) fn new_id() -> String {
        with(|world| {
            world.ids += 1;
            format!("{:024x}", world.ids)
        })
    }

    pub(crate) fn random(len: u32) -> Vec<u8> {
        vec![7; len.min(1_024) as usize]
    }

    pub(crate) fn may(flag: &str) -> bool {
        with(|world| {
            world
                .may
                .as_ref()
                .is_none_or(|flags| flags.iter().any(|held| held == flag))
        })
    }

    pub(crate) fn may_write(source: &str) -> bool {
        with(|world| world.sources.iter().any(|name| name == source))
    }

    pub(crate) fn setting(_: &str) -> Option<String> {
        None
    }

    pub(crate) fn depth() -> u32 {
        0
    }

    pub(crate) fn warn(_: &str) {}
}

/// `interface documents`
pub(crate) mod documents {
    use serde_json::{Value as Json, json};

    use super::{NOW, key_of, unable, with};
    use crate::bench::document::meets;
    use crate::bindings::critd::plugin::types::Outcome as WireOutcome;
    use crate::{
        Answer, Fault, FromValue, Origin, RawArg, Relation, Value, element, internal, missing,
        refused,
    };

    pub(crate) fn current() -> Result<u32, Fault> {
        with(|world| world.current).ok_or_else(|| internal("no current document in a create"))
    }

    pub(crate) fn by_id(type_name: &str, id: &str) -> Result<u32, Fault> {
        let found =
            with(|world| world.by_key(type_name, &json!({ "_id": { "$oid": id.to_lowercase() } })));
        found
            .filter(|(_, visible)| *visible)
            .map(|(number, _)| number)
            .ok_or_else(|| missing("Not found."))
    }

    pub(crate) fn by_key(type_name: &str, key: &[RawArg]) -> Result<Option<u32>, Fault> {
        let found = with(|world| world.by_key(type_name, &key_of(key)));
        Ok(found
            .filter(|(_, visible)| *visible)
            .map(|(number, _)| number))
    }

    pub(crate) fn taken(type_name: &str, key: &[RawArg]) -> Result<bool, Fault> {
        Ok(with(|world| world.by_key(type_name, &key_of(key))).is_some())
    }

    pub(crate) fn select(
        type_name: &str,
        condition: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<u32>, Fault> {
        let condition = parse(condition)?;
        Ok(with(|world| {
            let numbered = (1_u32..).zip(&world.documents);
            let hits = numbered.filter(|(_, document)| {
                let id = document.fields["_id"]["$oid"].as_str().unwrap_or_default();
                document.visible
                    && document.type_name == type_name
                    && id > after
                    && meets(&document.fields, &condition)
            });
            hits.map(|(number, _)| number)
                .take(limit as usize)
                .collect()
        }))
    }

    pub(crate) fn make(type_name: &str, key: &[RawArg]) -> Result<(u32, Origin), Fault> {
        let key = key_of(key);
        Ok(with(|world| {
            match world.by_key(type_name, &key).filter(|_| key != json!({})) {
                Some((number, true)) => (number, Origin::Visible),
                Some((number, false)) => (number, Origin::Hidden),
                None => (world.add(type_name, true, key), Origin::Fresh),
            }
        }))
    }

    pub(crate) fn create(type_name: &str, args: &[RawArg]) -> Result<WireOutcome, Fault> {
        let (types, create) = with(|world| (world.types.clone(), world.create));
        let declared = types
            .as_array()
            .into_iter()
            .flatten()
            .find(|declared| declared["name"] == type_name);
        let (Some(declared), Some(create)) = (declared, create) else {
            unable("a create of another plugin's type");
            return Err(internal(format!("the bench has no plugin for {type_name}")));
        };
        let sent = key_of(args);
        let sent = sent.as_object().cloned().unwrap_or_default();
        let mut args = crate::bench::arguments::validate(&declared["args"], &sent, NOW, true)?;
        args.extend(crate::bench::arguments::shared(&declared["args"], &sent));
        create(type_name, args).map(Answer::into_wire)
    }

    pub(crate) fn id(number: u32) -> Result<String, Fault> {
        with(|world| {
            Ok(world.document(number)?.fields["_id"]["$oid"]
                .as_str()
                .unwrap_or_default()
                .to_owned())
        })
    }

    pub(crate) fn type_of(number: u32) -> Result<String, Fault> {
        with(|world| Ok(world.document(number)?.type_name.clone()))
    }

    pub(crate) fn get(number: u32, path: &str) -> Result<Option<Value>, Fault> {
        with(|world| Ok(world.document(number)?.get(path).map(Value::from)))
    }

    pub(crate) fn get_many(number: u32, paths: &[String]) -> Result<Vec<Option<Value>>, Fault> {
        paths.iter().map(|path| get(number, path)).collect()
    }

    pub(crate) fn len(number: u32, path: &str) -> Result<u32, Fault> {
        with(|world| {
            Ok(u32::try_from(world.document(number)?.list(path)?.len()).unwrap_or(u32::MAX))
        })
    }

    pub(crate) fn find(
        number: u32,
        path: &str,
        condition: &str,
        start: u32,
    ) -> Result<Option<u32>, Fault> {
        let condition = parse(condition)?;
        with(|world| {
            let items = world.document(number)?.list(path)?;
            Ok((0_u32..)
                .zip(items)
                .skip(start as usize)
                .find(|(_, item)| meets(item, &condition))
                .map(|(position, _)| position))
        })
    }

    pub(crate) fn set(number: u32, path: &str, value: &Value) -> Result<(), Fault> {
        let value = to_json(value)?;
        with(|world| world.document(number)?.set(path, value))
    }

    pub(crate) fn set_many(number: u32, values: &[RawArg]) -> Result<(), Fault> {
        values
            .iter()
            .try_for_each(|arg| set(number, &arg.name, &arg.value))
    }

    pub(crate) fn unset(number: u32, path: &str) -> Result<(), Fault> {
        with(|world| world.document(number)?.unset(path))
    }

    pub(crate) fn push(number: u32, path: &str, value: &Value) -> Result<(), Fault> {
        let value = to_json(value)?;
        with(|world| world.document(number)?.push(path, value))
    }

    pub(crate) fn push_unique(
        number: u32,
        path: &str,
        value: &Value,
        keys: &[String],
    ) -> Result<bool, Fault> {
        let value = to_json(value)?;
        with(|world| {
            let document = world.document(number)?;
            let agrees = |item: &Json| {
                if keys.is_empty() {
                    *item == value
                } else {
                    keys.iter().all(|key| item.get(key) == value.get(key))
                }
            };
            if document.list(path)?.iter().any(agrees) {
                return Ok(false);
            }
            document.push(path, value).map(|()| true)
        })
    }

    pub(crate) fn pull(number: u32, path: &str, condition: &str, limit: u32) -> Result<u32, Fault> {
        let condition = parse(condition)?;
        with(|world| world.document(number)?.pull(path, &condition, limit))
    }

    /// Whoever asks for it again does not see it.
    pub(crate) fn remove(number: u32) -> Result<(), Fault> {
        with(|world| {
            world.document(number)?.visible = false;
            Ok(())
        })
    }

    pub(crate) fn unrelate(_: u32, _: &str, _: &str, _: &str, _: &[RawArg]) -> Result<bool, Fault> {
        unable("relationships on both sides");
        Ok(true)
    }

    pub(crate) fn change_relation(
        _: u32,
        _: &str,
        _: &str,
        _: &str,
        _: &[RawArg],
        _: &[RawArg],
    ) -> Result<bool, Fault> {
        unable("relationships on both sides");
        Ok(true)
    }

    pub(crate) fn relate(
        left: u32,
        relationship: &str,
        right: u32,
        details: &[RawArg],
    ) -> Result<Relation, Fault> {
        if left == right {
            return Err(refused("conflict", "Cannot forge relationship to oneself"));
        }
        let mut entry = key_of(details);
        entry["relationship"] = relationship.into();
        entry["value"] = id(right)?.into();
        let added = push_unique(
            left,
            "relationships",
            &Value::from(entry),
            &["relationship".into(), "value".into()],
        )?;
        Ok(if added {
            Relation::Added
        } else {
            Relation::Present
        })
    }

    pub(crate) fn add_source(number: u32, source: &str, details: &[RawArg]) -> Result<bool, Fault> {
        if !super::call::may_write(source) {
            return Err(refused(
                "forbidden",
                format!("User does not have permission to add object using source {source}."),
            ));
        }
        let mut instance =
            json!({ "analyst": "example", "date": { "$date": NOW }, "tlp": "amber" });
        for arg in details {
            instance[&arg.name] = to_json(&arg.value)?;
        }
        match find(number, "source", &json!({ "name": source }).to_string(), 0)? {
            Some(position) => {
                let keys = ["analyst", "date", "method", "reference"].map(String::from);
                push_unique(
                    number,
                    &(element("source", position) + ".instances"),
                    &Value::from(instance),
                    &keys,
                )
            }
            None => push(
                number,
                "source",
                &Value::from(json!({ "name": source, "instances": [instance] })),
            )
            .map(|()| true),
        }
    }

    /// The source and the buckets; the rules of the rest are the host's.
    pub(crate) fn merge_shared(number: u32, args: &[RawArg]) -> Result<(), Fault> {
        let sent = key_of(args);
        if let Some(source) = sent["source"].as_str() {
            let details = args
                .iter()
                .filter(|arg| matches!(arg.name.as_str(), "method" | "reference" | "tlp"));
            add_source(number, source, &details.cloned().collect::<Vec<_>>())?;
        }
        for bucket in sent["bucket_list"].as_array().into_iter().flatten() {
            push_unique(number, "bucket_list", &Value::from(bucket), &[])?;
        }
        Ok(())
    }

    pub(crate) fn concerns(number: u32) -> Result<(), Fault> {
        with(|world| world.document(number).map(|_| ()))
    }

    pub(crate) fn inherit_sources(origin: u32, target: u32) -> Result<u32, Fault> {
        let sources =
            with(|world| Ok::<_, Fault>(world.document(origin)?.list("source")?.to_vec()))?;
        let mut added = 0;
        for source in sources {
            let name = source["name"].as_str().unwrap_or_default();
            for instance in source["instances"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|_| super::call::may_write(name))
            {
                let details = instance.as_object().into_iter().flatten();
                let details = details.map(|(name, value)| RawArg {
                    name: name.clone(),
                    value: Value::from(value),
                });
                added += u32::from(add_source(target, name, &details.collect::<Vec<_>>())?);
            }
        }
        Ok(added)
    }

    fn parse(condition: &str) -> Result<Json, Fault> {
        serde_json::from_str(condition).map_err(|error| internal(error.to_string()))
    }

    fn to_json(value: &Value) -> Result<Json, Fault> {
        if let Value::Bytes(_) | Value::File(_) = value {
            unable("bytes in a document");
            return Ok(Json::Bool(true));
        }
        Json::from_value(value.clone()).ok_or_else(|| internal("malformed JSON"))
    }
}

/// `interface uploads`
pub(crate) mod uploads {
    use super::{call, documents, unable, with};
    use crate::{Fault, Value, internal};

    fn file<R>(number: u32, use_it: impl FnOnce(&mut (String, Vec<u8>)) -> R) -> Result<R, Fault> {
        let found = with(|world| world.uploads.get_mut(number as usize).map(use_it));
        found.ok_or_else(|| internal(format!("no upload number {number} in this call")))
    }

    pub(crate) fn name(number: u32) -> Result<String, Fault> {
        file(number, |(name, _)| name.clone())
    }

    pub(crate) fn size(number: u32) -> Result<u64, Fault> {
        file(number, |(_, bytes)| bytes.len() as u64)
    }

    pub(crate) fn digest(number: u32, algorithm: &str) -> Result<Option<String>, Fault> {
        use sha1::Digest as _;

        let digest = file(number, |(_, bytes)| match algorithm {
            "md5" => Some(crate::digest::md5(bytes)),
            "sha1" => Some(crate::digest::hex(&sha1::Sha1::digest(bytes))),
            "sha256" => Some(crate::digest::hex(&sha2::Sha256::digest(bytes))),
            "sha512" => Some(crate::digest::hex(&sha2::Sha512::digest(bytes))),
            _ => None,
        })?;
        if digest.is_none() {
            unable("a digest");
        }
        Ok(digest)
    }

    pub(crate) fn kind(_: u32) -> Result<(String, String), Fault> {
        unable("the kind of a file");
        Ok(("data".into(), "application/octet-stream".into()))
    }

    pub(crate) fn read(number: u32, offset: u64, len: u32) -> Result<Vec<u8>, Fault> {
        file(number, |(_, bytes)| {
            let rest = usize::try_from(offset)
                .ok()
                .and_then(|offset| bytes.get(offset..))
                .unwrap_or_default();
            rest[..rest.len().min(len as usize)].to_vec()
        })
    }

    pub(crate) fn make(name: &str) -> Result<u32, Fault> {
        Ok(with(|world| {
            world.uploads.push((name.to_owned(), Vec::new()));
            u32::try_from(world.uploads.len() - 1).unwrap_or_default()
        }))
    }

    pub(crate) fn append(number: u32, more: &[u8]) -> Result<(), Fault> {
        file(number, |(_, bytes)| bytes.extend_from_slice(more))
    }

    pub(crate) fn keep(number: u32, document: u32, path: &str) -> Result<String, Fault> {
        size(number)?;
        let id = call::new_id();
        documents::set(document, path, &Value::Id(id.clone()))?;
        Ok(id)
    }

    pub(crate) fn open(number: u32, path: &str) -> Result<Option<u32>, Fault> {
        let stored = with(|world| {
            let mut files = world.files.iter().filter(|_| world.current == Some(number));
            files
                .find(|(field, _)| field == path)
                .map(|(_, file)| *file)
        });
        if stored.is_none() {
            unable("a stored file");
        }
        Ok(stored)
    }
}

/// `interface registers`
pub(crate) mod registers {
    use super::{unable, with};
    use crate::Fault;

    pub(crate) fn has(register: &str, name: &str) -> bool {
        if register != "source" {
            unable("a register");
        }
        with(|world| world.sources.iter().any(|source| source == name))
    }

    pub(crate) fn add(_: &str, _: &str) -> Result<bool, Fault> {
        unable("a register");
        Ok(true)
    }

    pub(crate) fn entries(register: &str, _: &str) -> Vec<String> {
        unable("a register");
        with(|world| {
            if register == "source" {
                world.sources.clone()
            } else {
                Vec::new()
            }
        })
    }

    pub(crate) fn canonical(_: &str, text: &str) -> Option<String> {
        unable("a vocabulary");
        Some(text.trim().to_owned())
    }

    pub(crate) fn inverse(relationship: &str) -> Option<String> {
        unable("the relationships");
        Some(relationship.to_owned())
    }

    pub(crate) fn registrable_domain(host: &str) -> Option<String> {
        unable("the public suffix list");
        Some(host.to_owned())
    }

    pub(crate) fn host_name(text: &str) -> Option<String> {
        unable("host names");
        Some(text.trim().to_lowercase())
    }
}

/// `interface log`
pub(crate) mod log {
    pub(crate) fn write(level: u8, message: &str) {
        eprintln!("log {level}: {message}");
    }
}
