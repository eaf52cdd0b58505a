//! What analysis services find out about objects, and how an external worker reports it.

mod bounded;
mod literal;
mod results;

use critd_sdk::prelude::*;

plugin! {
    name = "analysis_result",
    summary = "Tasks of analysis services, and the reports of external workers on them.",
    types = [AnalysisResult, ServiceReport],
}

/// A task of an analysis service: one run on one object, its log and its results.
///
/// A POST claims the next task of an external service for a worker. A task is seen by those who see its object and may read
/// its type's tasks.
#[derive(Debug, TloType)]
#[tlo(
    tasks,
    resource = "analysis_results",
    collection = "analysis_results",
    schema_version = 1,
    top_level = false,
    sources = false,
    keys(analysis_id),
    shared(),
    methods("GET", "POST", "PATCH")
)]
pub struct AnalysisResult {
    /// The task: a UUID.
    #[field(required)]
    pub analysis_id: String,
    /// Type of the object.
    #[field(required, indexed)]
    pub object_type: String,
    /// The object.
    #[field(required, indexed)]
    pub object_id: String,
    /// The service.
    #[field(indexed, sortable)]
    pub service_name: String,
    /// Its version.
    pub version: String,
    /// How its results are shown.
    pub template: Option<String>,
    /// Kind of analysis.
    #[field(stored = "type")]
    pub analysis_type: Option<String>,
    /// Who started it.
    #[field(indexed)]
    pub analyst: String,
    /// The service is not a part of the server.
    #[field(indexed)]
    pub distributed: bool,
    /// Options of the run.
    #[field(kind = "map", refers)]
    pub config: Json,
    /// `created`, `started`, `completed` or `error`.
    #[field(indexed, sortable)]
    pub status: String,
    /// Who works on it, while somebody does.
    pub lease: Option<Lease>,
    /// How often it was claimed, not counting what was given back.
    pub attempts: Option<i64>,
    /// When it was claimed last, as a text.
    pub claimed_date: Option<String>,
    /// How many creates by services lie between a client's request and the object, if the task is there because of it.
    pub triage_depth: Option<i64>,
    /// When it was started, as a text.
    #[field(indexed, sortable)]
    pub start_date: String,
    /// When it ended, as a text.
    pub finish_date: Option<String>,
    /// What the service says of its work.
    pub log: Vec<LogLine>,
    /// What it found: maps with `subtype`, `result` and whatever belongs to them.
    #[field(refers)]
    pub results: Vec<Json>,
}

/// Who works on a task of an external service.
#[derive(Debug, Fields)]
pub struct Lease {
    /// The worker.
    pub worker: String,
    /// Until when nobody else gets the task, as a text.
    #[field(indexed)]
    pub expires: String,
}

/// What a worker reports on a task that exists: results, a line of the log, the end.
#[derive(Debug, TloType)]
#[tlo(
    resource = "services",
    part_of = "AnalysisResult",
    permission = "{object_type}.services_execute",
    permission_check = "within"
)]
pub struct ServiceReport {}

/// A line of a task's log.
#[derive(Debug, Fields)]
pub struct LogLine {
    /// What it says.
    pub message: String,
    /// `debug`, `info`, `warning`, `error` or `critical`; others occur.
    pub level: String,
    /// When it was written, as a text.
    pub datetime: String,
}

/// What a worker reports.
#[derive(Debug, Args)]
pub struct Report {
    /// Type of the object.
    #[arg(
        type = "type",
        required,
        missing = "Need an object type, object id, and analysis id.",
        invalid = "Could not find object to add results to.",
        example = "Sample"
    )]
    pub object_type: String,
    /// Id of the object.
    #[arg(
        required,
        missing = "Need an object type, object id, and analysis id.",
        example = "5b2c3d4e5f60718293a4b5c6"
    )]
    pub object_id: String,
    /// The task: a UUID.
    #[arg(
        required,
        missing = "Need an object type, object id, and analysis id.",
        example = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"
    )]
    pub analysis_id: String,
    /// What was found. With `result_is_batch` a JSON list.
    #[arg(max_length = 4_194_304, example = ".text")]
    pub result: Option<Value>,
    /// The type of the result, or a map of all that belongs to it, as JSON or as Python writes it. With `result_is_batch`
    /// a JSON list.
    #[arg(
        max_length = 4_194_304,
        example = "{'md5': 'eeee3333eeee3333eeee3333eeee3333', 'size': 4096}"
    )]
    pub result_type: Option<Value>,
    /// What kind of finding it is. With `result_is_batch` a JSON list.
    #[arg(max_length = 4_194_304, example = "pe_section")]
    pub result_subtype: Option<Value>,
    /// The three are lists of the same length.
    pub result_is_batch: bool,
    /// A line for the log.
    #[arg(type = "text", max_length = 1_048_576, example = "2 hits")]
    pub log_message: Option<String>,
    /// Its level.
    #[arg(default = "info", max_length = 256)]
    pub log_level: String,
    /// The task has ended.
    pub finish: bool,
    /// With `finish`: `error`, or `completed`, which anything else means too.
    #[arg(example = "completed")]
    pub status: Option<String>,
    /// What the claim of the task was answered: the report counts only if nobody else has it meanwhile.
    #[arg(max_length = 256)]
    pub lease_token: Option<String>,
}

const NO_OBJECT: &str = "Could not find object to add results to.";

/// Create.md 5.18: adds results and a line to the log of a task, and ends it; whatever of these is asked for. Nothing is
/// written if anything is wrong.
///
/// # Errors
///
/// What is wrong with each of these, in one text.
#[create(ServiceReport)]
#[example("no task", args = {"object_type": "Sample", "object_id": "0123456789abcdef01234567"}, fault = {"invalid": "analysis_id", "message": "Need an object type, object id, and analysis id."})]
#[example(
    "no type",
    others = [{"type": "Sample", "document": {"_id": {"$oid": "0123456789abcdef01234567"}}}],
    args = {"object_type": "Sample", "object_id": "x", "analysis_id": "x", "result": "a"},
    fault = {"invalid": "result", "message": "When adding a result, also need type and subtype"}
)]
#[example(
    "not allowed",
    may = [],
    args = {"object_type": "Sample", "object_id": "x", "analysis_id": "x"},
    fault = {"refused": "forbidden", "message": "User does not have permission to create Object."}
)]
#[example(
    "no object",
    args = {"object_type": "Sample", "object_id": "0123456789abcdef01234567", "analysis_id": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", "log_message": "x", "finish": true},
    fault = {"missing": "Could not find object to add results to., Could not find object to add results to."}
)]
#[example(
    "no such task",
    others = [{"type": "Sample", "document": {"_id": {"$oid": "0123456789abcdef01234567"}}}],
    args = {"object_type": "Sample", "object_id": "0123456789abcdef01234567", "analysis_id": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
        "result": "r", "result_type": "t", "result_subtype": "s", "log_message": "x", "finish": true},
    fault = {"missing": "Could not find task to add results to., Could not find task to add log to., Could not find task to finish."}
)]
#[example(
    "the task of another object",
    others = [
        {"type": "Sample", "document": {"_id": {"$oid": "0123456789abcdef01234567"}}},
        {"type": "AnalysisResult", "document": {"analysis_id": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", "object_type": "Sample", "object_id": "0123456789abcdef01234568"}}
    ],
    args = {"object_type": "Sample", "object_id": "0123456789abcdef01234567", "analysis_id": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", "finish": true},
    fault = {"missing": "Could not find task to finish."}
)]
#[example(
    "a finding, a line, the end",
    others = [
        {"type": "Sample", "document": {"_id": {"$oid": "0123456789abcdef01234567"}}},
        {"type": "AnalysisResult", "document": {"analysis_id": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", "object_type": "Sample", "object_id": "0123456789abcdef01234567", "status": "started", "log": [], "results": []}}
    ],
    args = {"object_type": "Sample", "object_id": "0123456789ABCDEF01234567", "analysis_id": "{1B9D6BCD-BBFD-4B2D-9B5D-AB8DFBBD4BED}",
        "result": ".text", "result_type": "{'size': 4096}", "result_subtype": "pe_section", "log_message": "1 section", "finish": true},
    message = ""
)]
pub fn create(call: &Call, args: Report) -> Outcome {
    if args.result.is_none() && (args.result_type.is_some() || args.result_subtype.is_some()) {
        call.warn("'result_type' and 'result_subtype' are ignored without 'result'.");
    }
    let sent = results::sent(
        args.result,
        args.result_type,
        args.result_subtype,
        args.result_is_batch,
    )?;
    call.require(&[&args.object_type, ".services_execute"].concat())?;
    let object = match Tlo::by_id(&args.object_type, &args.object_id) {
        Ok(object) => Some(object),
        Err(Fault::Missing(_)) => None,
        Err(other) => return Err(other),
    };
    if let Some(object) = &object {
        object.concerns()?;
    }
    let task = match &object {
        Some(object) => task_of(object, &args.analysis_id)?,
        None => None,
    };
    let entries = sent.map(results::Sent::entries).transpose()?;
    // Who reports nothing is told as well if there is nothing to report on.
    let adds_nothing = args.log_message.is_none() && !args.finish;
    let mut failures = Vec::new();
    let mut check = |asked: bool, is_complete: bool, no_task: &'static str| {
        if !asked {
        } else if object.is_none() {
            failures.push(NO_OBJECT);
        } else if !is_complete {
            failures.push(results::NEEDED);
        } else if task.is_none() {
            failures.push(no_task);
        }
    };
    check(
        entries.is_some() || adds_nothing,
        !matches!(entries, Some(None)),
        "Could not find task to add results to.",
    );
    check(
        args.log_message.is_some(),
        true,
        "Could not find task to add log to.",
    );
    check(args.finish, true, "Could not find task to finish.");
    let (Some(object), Some(mut task), true) = (object, task, failures.is_empty()) else {
        return Err(match failures.iter().all(|text| *text == results::NEEDED) {
            true => invalid("result", failures.join(", ")),
            false => missing(failures.join(", ")),
        });
    };
    let now = call.now().to_string();
    let status = task.text("status")?;
    let has_ended = matches!(status.as_str(), "completed" | "error");
    let lease = Held::of(&task, args.lease_token.as_deref())?;
    if matches!(lease, Held::Other)
        || matches!(lease, Held::Untold)
            && call.setting("services_require_lease").as_deref() == Some("true")
    {
        return Err(refused("conflict", "Lease lost."));
    }
    let adds_something = entries.is_some() || args.log_message.is_some();
    for entry in entries.flatten().unwrap_or_default() {
        task.push("results", entry)?;
    }
    let log = |task: &mut Tlo, message: &str, level: &str| {
        task.push(
            "log",
            json!({ "message": message, "level": level, "datetime": &now }),
        )
    };
    if let Some(message) = &args.log_message {
        log(&mut task, message, &args.log_level)?;
    }
    if args.finish {
        let failed = args
            .status
            .is_some_and(|status| status.eq_ignore_ascii_case("error"));
        let end = if failed { "error" } else { "completed" };
        // The holder that was not told the end was heard says it again: nothing new (check PL-14).
        let is_repeated = status == end && !adds_something && matches!(lease, Held::Yes { .. });
        if is_repeated {
            return Ok(Answer::new("").document(&object));
        }
        // Actions.md 8.3: who comes late is heard, and the log tells.
        if has_ended {
            log(&mut task, &["Finished again: ", end, "."].concat(), "info")?;
        }
        task.set_many(params! { "status" => end, "finish_date" => now })?;
        task.unset("lease")?;
    } else if !has_ended {
        // Rule SVC-25: whoever reports keeps the task.
        if let Held::Yes { worker, seconds } = lease {
            let expires = Date::from_millis(call.now().millis() + seconds * 1_000);
            task.set(
                "lease",
                json!({ "worker": worker, "expires": expires.to_string() }),
            )?;
        }
        if status == "created" {
            task.set("status", "started")?;
        }
    }
    Ok(Answer::new("").document(&object))
}

/// How a report stands to the lease of its task (rule SVC-26).
enum Held {
    /// It comes from who holds the task, or held it last.
    Yes { worker: String, seconds: i64 },
    /// It has the token of somebody who does not.
    Other,
    /// It has no token, and somebody holds the task.
    Untold,
    /// It has no token, and nobody holds the task.
    Free,
}

impl Held {
    fn of(task: &Tlo, token: Option<&str>) -> Result<Self, Fault> {
        let Some(token) = token else {
            let is_held = task.get::<Value>("lease")?.is_some();
            return Ok(if is_held { Self::Untold } else { Self::Free });
        };
        let digest = critd_sdk::digest::sha256(token.trim().as_bytes());
        if task.text("_lease.token")? != digest {
            return Ok(Self::Other);
        }
        Ok(Self::Yes {
            worker: task.text("_lease.worker")?,
            seconds: task.get_json::<i64>("_lease.seconds")?.unwrap_or(300),
        })
    }
}

/// The task with this id, if it is one of the object.
fn task_of(object: &Tlo, analysis_id: &str) -> Result<Option<Tlo>, Fault> {
    for id in spellings(analysis_id) {
        let Some(task) = Tlo::by_key("AnalysisResult", params! { "analysis_id" => id })? else {
            continue;
        };
        let is_its = task.text("object_type")? == object.type_of()?
            && task
                .text("object_id")?
                .eq_ignore_ascii_case(object.id()?.as_str());
        return Ok(is_its.then_some(task));
    }
    Ok(None)
}

/// How a task's id may be stored: tasks of ours have lower-case letters; those of other makers any.
fn spellings(analysis_id: &str) -> Vec<String> {
    let mut all: Vec<String> = uuid(analysis_id)
        .into_iter()
        .flat_map(|id| [id.to_ascii_uppercase(), id])
        .rev()
        .collect();
    if !all.iter().any(|known| known == analysis_id) {
        all.push(analysis_id.to_owned());
    }
    all
}

/// A UUID as it is written most often: lower case, with hyphens, without braces.
fn uuid(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    let bare = lower.strip_prefix("urn:uuid:").unwrap_or(&lower);
    let bare = bare
        .strip_prefix('{')
        .and_then(|bare| bare.strip_suffix('}'))
        .unwrap_or(bare);
    let digits: String = bare.chars().filter(|letter| *letter != '-').collect();
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| &digits[range]);
    let whole = parts.join("-");
    (bare == digits || bare == whole).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<Plugin>();
    }

    #[test]
    fn create_5_18_uuids_are_compared_whatever_their_case() {
        const ID: &str = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed";
        for text in [
            ID,
            "1B9D6BCD-BBFD-4B2D-9B5D-AB8DFBBD4BED",
            "1b9d6bcdbbfd4b2d9b5dab8dfbbd4bed",
            "{1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed}",
            "urn:uuid:1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
        ] {
            assert_eq!(uuid(text).as_deref(), Some(ID), "{text}");
            assert_eq!(spellings(text)[0], ID);
        }
        for text in [
            "",
            "x",
            "1b9d6bcd",
            "1b9d6bc-dbbfd-4b2d-9b5d-ab8dfbbd4bed",
            "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4beg",
            "é",
        ] {
            assert_eq!(uuid(text), None, "{text}");
            assert_eq!(spellings(text), [text]);
        }
        assert_eq!(spellings(ID), [ID.to_owned(), ID.to_ascii_uppercase()]);
        assert_eq!(spellings("{1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed}").len(), 3);
    }
}
