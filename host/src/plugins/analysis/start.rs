//! `run_service`: from a request to a task (actions.md 2.14).

use std::sync::Arc;

use bson::Bson;
use bson::oid::ObjectId;
use serde_json::{Map, Value as Json, json};

use super::records::{self, Kind, Record};
use super::tasks::NewTask;
use super::{number, text};
use crate::access::AdminError;
use crate::dates;
use crate::plugins::registry::{ServiceEntry, TypeEntry};
use crate::plugins::runtime;
use crate::plugins::value::{Abort, Arg, Failure, Fault, Outcome, Value};
use crate::plugins::work::{Budgets, Eyes, Request, Work};
use crate::store::FieldPath;

/// Longest time (s) that a request waits for the end of its task.
const LONGEST_WAIT: i64 = 60;

/// Why a service can't be run on an object.
pub(super) enum Objection {
    /// `unavailable`.
    Unavailable(String),
    /// `unsupported_for_type`.
    Unsupported(String),
    /// `invalid_value`.
    Invalid(String),
}

impl From<Objection> for Failure {
    fn from(objection: Objection) -> Self {
        match objection {
            Objection::Unavailable(text) => Work::refused("unavailable", text),
            Objection::Unsupported(text) => Work::refused("unsupported_for_type", text),
            Objection::Invalid(text) => Fault::Invalid("name".to_owned(), text).into(),
        }
    }
}

impl Objection {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Unavailable(text) | Self::Unsupported(text) | Self::Invalid(text) => text,
        }
    }
}

/// What the administrative records could not answer.
pub(super) fn admin_failed(error: AdminError) -> Failure {
    Abort::Store(error.to_string()).into()
}

/// Rules run_service.1 to run_service.4.
pub(super) async fn run_service(work: &mut Work, args: &[Arg]) -> Result<Outcome, Failure> {
    let request = Arc::clone(work.request());
    let name = text(args, "name").unwrap_or_default();
    let wait = number(args, "wait").unwrap_or_default();
    if !(0..=LONGEST_WAIT).contains(&wait) {
        return Err(Fault::Invalid(
            "wait".to_owned(),
            format!("Argument 'wait' must be between 0 and {LONGEST_WAIT}."),
        )
        .into());
    }
    let sent = match custom_config(args) {
        Json::Object(sent) => sent,
        _ => Map::new(),
    };
    let unknown = || Objection::Unavailable(format!("Service {name} is unknown or not enabled."));
    let record = records::named(request.services.store.as_ref(), name)
        .await
        .map_err(admin_failed)?
        .filter(Record::is_usable)
        .ok_or_else(unknown)?;
    let (of, id) = work
        .subject()
        .ok_or_else(|| Fault::Internal("no document".to_owned()))?;
    let document = work.current()?;
    let mut lacking = None;
    for field in &record.required_fields {
        let path = FieldPath::parse(field).map_err(|error| Fault::Internal(error.to_string()))?;
        if lacking.is_none() && is_lacking(work.get(document, path.as_str())?.as_ref()) {
            lacking = Some(field.clone());
        }
    }
    check(&request, &record, &of, id, lacking.as_deref(), Eyes::Users).await?;
    let effective = record
        .effective(&request.registry, &request.zones, &sent)
        .map_err(|message| Fault::Invalid("custom_config".to_owned(), message))?;
    let tasks = request
        .registry
        .tasks()
        .ok_or_else(|| Fault::Internal("there is no type of tasks".to_owned()))?;
    let (new_id, random) = (work.new_id(), work.random(16));
    let now = dates::text(work.now());
    let task = NewTask {
        id: new_id,
        random: &random,
        record: &record,
        of: &of,
        tasks,
        object: id,
        analyst: &request.caller.user,
        config: kept(&record, &effective)?,
        triage_depth: None,
        now: &now,
    };
    let body = task.document().map_err(Fault::Internal)?;
    work.insert(tasks, new_id, &body)?;
    let object = json!({
        "analysis_id": task.analysis_id(),
        "service_name": record.name,
        "status": super::tasks::status_of(&record),
    });
    Ok(Outcome {
        document: None,
        message: format!("Service {} started.", record.name),
        extra: json!({ "object": object }).to_string(),
    })
}

fn custom_config(args: &[Arg]) -> Json {
    let sent = args.iter().find(|arg| arg.name == "custom_config");
    sent.and_then(|arg| arg.value.to_json().ok())
        .unwrap_or_default()
}

/// Is there nothing to analyse in a required field?
pub(super) fn is_lacking(value: Option<&Value>) -> bool {
    match value {
        None => true,
        Some(Value::Text(text)) => text.is_empty(),
        Some(Value::Json(text)) => matches!(text.as_str(), "[]" | "{}"),
        Some(_) => false,
    }
}

/// The same of a stored value.
pub(super) fn is_lacking_in(value: Option<&Bson>) -> bool {
    is_lacking(value.and_then(Value::from_bson).as_ref())
}

/// The options that a task keeps: all but the secrets (rule SVC-4).
pub(super) fn kept(record: &Record, effective: &[Arg]) -> Result<Map<String, Json>, Failure> {
    let kept = effective
        .iter()
        .filter(|arg| !record.is_secret(&arg.name))
        .map(|arg| Ok((arg.name.clone(), arg.value.to_json()?)));
    kept.collect::<Result<_, String>>()
        .map_err(|reason| Fault::Internal(reason).into())
}

/// The checks of run_service.1 on a service that is enabled, in their order. `lacking`: a required field that is not there.
pub(super) async fn check(
    request: &Arc<Request>,
    record: &Record,
    of: &Arc<TypeEntry>,
    id: ObjectId,
    lacking: Option<&str>,
    eyes: Eyes,
) -> Result<(), Failure> {
    let name = &record.name;
    let service =
        match record.kind {
            Kind::External => None,
            Kind::Internal => Some(request.registry.service(name).ok_or_else(|| {
                Objection::Unavailable("Unable to get service class.".to_owned())
            })?),
        };
    let type_name = &of.declaration.name;
    if !of.declaration.top_level || !record.supports(type_name) {
        return Err(Objection::Unsupported(format!(
            "Service not supported for type '{type_name}'"
        ))
        .into());
    }
    if let Some(field) = lacking {
        return Err(Objection::Invalid(format!("Service {name} requires field '{field}'.")).into());
    }
    match service {
        Some(service) => accepted(request, service, of, id, eyes).await,
        None => Ok(()),
    }
}

/// Asks the service whether the object is something for it.
async fn accepted(
    request: &Arc<Request>,
    service: &ServiceEntry,
    of: &Arc<TypeEntry>,
    id: ObjectId,
    eyes: Eyes,
) -> Result<(), Failure> {
    let name = &service.declaration.name;
    let no_class = || Objection::Unavailable("Unable to get service class.".to_owned());
    let plugin = request
        .registry
        .plugin(&service.plugin)
        .ok_or_else(no_class)?;
    let mut work = Box::new(Work::new(Arc::clone(request), Budgets::default()));
    if !work.begin_service(service, of, id, eyes, None).await? {
        return Err(Objection::Unavailable("Could not find object.".to_owned()).into());
    }
    match runtime::accepts(work, plugin, name).await {
        Ok((_, Ok(()))) => Ok(()),
        Ok((_, Err(Fault::Internal(reason)))) => {
            tracing::error!(service = name, "`accepts` failed: {reason}");
            Err(could_not_say(name).into())
        }
        Ok((_, Err(fault))) => Err(Objection::Invalid(text_of(fault)).into()),
        Err(abort @ (Abort::Unavailable(_) | Abort::Conflict(_) | Abort::Store(_))) => {
            Err(abort.into())
        }
        Err(abort) => {
            tracing::error!(service = name, "`accepts` failed: {abort}");
            Err(could_not_say(name).into())
        }
    }
}

fn could_not_say(name: &str) -> Objection {
    Objection::Unavailable(format!(
        "Service {name} failed to say whether the object is something for it."
    ))
}

/// What a fault says to people.
pub(super) fn text_of(fault: Fault) -> String {
    match fault {
        Fault::Invalid(_, text)
        | Fault::Refused(_, text)
        | Fault::Missing(text)
        | Fault::Internal(text) => text,
    }
}
