//! A plugin that stands in the place of `analysis_result` while the tests make tasks as the original did.

use critd_sdk::prelude::*;

plugin! {
    name = "tasks",
    summary = "Makes tasks of analysis services.",
    types = [AnalysisResult],
}

/// A task, as the original stores it.
#[derive(Debug, TloType)]
#[tlo(
    resource = "tasks",
    collection = "analysis_results",
    schema_version = 1,
    top_level = false,
    sources = false,
    keys(analysis_id),
    shared(),
    methods("POST"),
    permission = "Event.write"
)]
struct AnalysisResult {
    /// The task.
    analysis_id: String,
    /// Type of the object.
    object_type: String,
    /// The object.
    object_id: String,
    /// The service.
    service_name: String,
    /// Who started it.
    analyst: String,
    /// State.
    status: String,
    /// When it was started.
    start_date: String,
    /// Log.
    log: Vec<Json>,
    /// Results.
    results: Vec<Json>,
}

/// A new task.
#[derive(Debug, Args)]
struct NewTask {
    /// The task.
    analysis_id: String,
    /// Type of the object.
    object_type: String,
    /// The object.
    object_id: String,
    /// State.
    #[arg(default = "created")]
    status: String,
    /// So many results it has already.
    #[arg(default = 0)]
    results: i64,
}

#[create(AnalysisResult)]
fn create(call: &Call, args: NewTask) -> Outcome {
    let key = params! { "analysis_id" => args.analysis_id };
    let (mut task, _) = Tlo::make::<AnalysisResult>(key)?;
    let results: Vec<Json> = (0..args.results)
        .map(|number| json!({"subtype": "number", "result": number.to_string(), "type": "there before"}))
        .collect();
    task.set_many(params! {
        "object_type" => args.object_type,
        "object_id" => args.object_id,
        "service_name" => "yara",
        "analyst" => call.user(),
        "status" => args.status,
        "start_date" => "2018-06-21 14:03:12.000417",
        "results" => Json::from(results),
    })?;
    Ok(Answer::new("Made.").document(&task))
}
