//! What analysis services find out about objects, and how an external worker reports it.

mod bounded;
mod literal;
mod results;

use critd_sdk::prelude::*;

plugin! {
    name = "analysis_result",
    summary = "Tasks of analysis services, and the reports of external workers on them.",
    types = [AnalysisResult],
}

/// A task of an analysis service: one run on one object, its log and its results.
///
/// A worker that is no part of the server reports here on a task that exists: results, a line of the log, the end. Tasks
/// are not made or read here.
#[derive(Debug, TloType)]
#[tlo(
    resource = "services",
    collection = "analysis_results",
    schema_version = 1,
    top_level = false,
    sources = false,
    keys(analysis_id),
    shared(),
    methods("POST"),
    permission = "{object_type}.services_execute",
    permission_check = "within"
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
    pub distributed: bool,
    /// Options of the run.
    #[field(kind = "map", refers)]
    pub config: Json,
    /// `created`, `started`, `completed` or `error`.
    #[field(indexed, sortable)]
    pub status: String,
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
}

const NO_OBJECT: &str = "Could not find object to add results to.";

/// Create.md 5.18: adds results and a line to the log of a task, and ends it; whatever of these is asked for. Nothing is
/// written if anything is wrong.
///
/// # Errors
///
/// What is wrong with each of these, in one text.
#[create(AnalysisResult)]
#[example("no task", args = {"object_type": "Sample", "object_id": "0123456789abcdef01234567"}, fault = {"invalid": "analysis_id", "message": "Need an object type, object id, and analysis id."})]
#[example(
    "no type",
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
    let status = task.text("status")?;
    if args.finish {
        let failed = args
            .status
            .is_some_and(|status| status.eq_ignore_ascii_case("error"));
        let end = if failed { "error" } else { "completed" };
        // Actions.md 8.3: who comes late is heard, and the log tells.
        if matches!(status.as_str(), "completed" | "error") {
            log(&mut task, &["Finished again: ", end, "."].concat(), "info")?;
        }
        task.set_many(params! { "status" => end, "finish_date" => now })?;
    } else if status == "created" {
        task.set("status", "started")?;
    }
    Ok(Answer::new("").document(&object))
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
