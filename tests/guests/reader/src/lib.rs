//! A plugin that shows the tests what is stored and no resource shows: comments, tasks of analysis services. Built and loaded by the tests only.

use critd_sdk::prelude::*;
use critd_sdk::serde_json::Map;

plugin! {
    name = "reader",
    summary = "Shows what no resource shows.",
    actions = [show_comments, show_tasks],
}

const FIELDS: [&str; 12] = [
    "schema_version",
    "comment",
    "date",
    "edit_date",
    "analyst",
    "obj_type",
    "obj_id",
    "url_key",
    "parent",
    "users",
    "tags",
    "source",
];

/// The comments on an object that the user may see.
#[action(on = "*", permission = "comments_read")]
fn show_comments(tlo: &Tlo) -> Outcome {
    let on_this = json!({ "obj_id": tlo.id()? });
    let mut comments = Vec::new();
    for comment in Tlo::select("Comment", &on_this, 100)? {
        let mut shown = Map::new();
        for field in FIELDS {
            if let Some(value) = comment.get::<Json>(field)? {
                shown.insert(field.to_owned(), value);
            }
        }
        comments.push(Json::Object(shown));
    }
    Ok(Answer::new("Shown.").object(comments))
}

const TASK: [&str; 11] = [
    "schema_version",
    "analysis_id",
    "object_type",
    "object_id",
    "service_name",
    "analyst",
    "status",
    "start_date",
    "finish_date",
    "log",
    "results",
];

/// The tasks on an object that the user may see.
#[action(on = "*", permission = "services_read")]
fn show_tasks(tlo: &Tlo) -> Outcome {
    let on_this = json!({ "object_id": tlo.id()?.as_str() });
    let mut tasks = Vec::new();
    for task in Tlo::select("AnalysisResult", &on_this, 100)? {
        let mut shown = Map::new();
        for field in TASK {
            if let Some(value) = task.get::<Json>(field)? {
                shown.insert(field.to_owned(), value);
            }
        }
        tasks.push(Json::Object(shown));
    }
    Ok(Answer::new("Shown.").object(tasks))
}
