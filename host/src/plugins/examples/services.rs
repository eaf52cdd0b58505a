//! Examples of analysis services: the options and a document with its files → results, lines of the log, the last line or a
//! fault.

use std::sync::Arc;

use async_trait::async_trait;
use bson::oid::ObjectId;
use parking_lot::Mutex;
use serde_json::{Map, Value as Json, json};

use super::{NOW, caller, empty_store, fill, request, services_on, staged, subject_of, with_types};
use crate::dates::Zones;
use crate::plugins::analysis::{Sink, tasks};
use crate::plugins::arguments;
use crate::plugins::declaration::{ServiceDeclaration, ServiceExample};
use crate::plugins::registry::{Loaded, Registry, ServiceEntry};
use crate::plugins::runtime;
use crate::plugins::value::{Arg, Failure, Fault, Outcome};
use crate::plugins::work::{Budgets, Eyes, Relation, Work};
use crate::store::{StagedFile, Store as _};

/// Runs the examples of a plugin's services; answers how many there were.
///
/// # Errors
///
/// A sentence about the first that does not do what it says.
pub(super) async fn run(registry: &Arc<Registry>, loaded: &Arc<Loaded>) -> Result<usize, String> {
    let mut count = 0;
    for service in &loaded.declaration.services {
        let entry = registry
            .service(&service.name)
            .ok_or("its services are not in the registry")?;
        for shown in &service.examples {
            one(registry, loaded, entry, shown)
                .await
                .map_err(|reason| {
                    format!(
                        "the example `{}` of service `{}` failed: {reason}",
                        shown.example.name, service.name
                    )
                })?;
            count += 1;
        }
    }
    Ok(count)
}

/// What a service told.
#[derive(Default)]
struct Told {
    results: Mutex<Vec<Json>>,
    log: Mutex<Vec<Json>>,
}

#[async_trait]
impl Sink for Told {
    fn id(&self) -> String {
        "00000000-0000-4000-8000-000000000000".into()
    }

    async fn add_result(&self, subtype: &str, text: &str, details: &str) -> Result<(), Failure> {
        let mut result = Map::new();
        result.insert("subtype".into(), subtype.into());
        result.insert("result".into(), text.into());
        if !details.is_empty() {
            let details: Map<String, Json> = serde_json::from_str(details)
                .map_err(|error| Fault::Internal(format!("details of a result: {error}")))?;
            result.extend(details);
        }
        self.results.lock().push(Json::Object(result));
        Ok(())
    }

    async fn note(&self, level: u8, message: &str) -> Result<(), Failure> {
        self.log
            .lock()
            .push(json!({ tasks::level(level): message }));
        Ok(())
    }

    async fn is_cancelled(&self) -> Result<bool, Failure> {
        Ok(false)
    }

    async fn create(
        &self,
        _: &str,
        _: Vec<Arg>,
        _: Vec<Arc<StagedFile>>,
    ) -> Result<(Outcome, Option<(String, ObjectId)>), Failure> {
        Err(nothing_changes())
    }

    async fn relate(
        &self,
        _: (String, ObjectId),
        _: &str,
        _: (String, ObjectId),
        _: Vec<Arg>,
    ) -> Result<Relation, Failure> {
        Err(nothing_changes())
    }
}

/// What a service does at once can't be taken back after an example.
fn nothing_changes() -> Failure {
    Fault::Internal("examples of services change nothing".into()).into()
}

async fn one(
    registry: &Arc<Registry>,
    loaded: &Arc<Loaded>,
    entry: &Arc<ServiceEntry>,
    shown: &ServiceExample,
) -> Result<(), String> {
    let ServiceExample { on, example } = shown;
    let service: &ServiceDeclaration = &entry.declaration;
    let name = on
        .clone()
        .unwrap_or_else(|| subject_of(registry, &service.on));
    let files = example.files.as_ref().and_then(Json::as_object);
    let fields: Vec<&str> = files
        .into_iter()
        .flatten()
        .map(|(field, _)| field.as_str())
        .collect();
    let registry = with_types(registry, &name, example, &fields)?;
    let of = registry
        .type_named(&name)
        .ok_or("its type is not in the registry")?;
    let mut store = empty_store()?;
    let mut before = example.before.clone().unwrap_or_else(|| json!({}));
    for (field, file) in files.into_iter().flatten() {
        let staged = staged(&store, file).await?;
        let id = store.keep_file("", &staged).await;
        let id = id.map_err(|error| error.to_string())?;
        before[field] = json!({ "$oid": id.to_hex() });
    }
    let before = fill(
        &mut store,
        &registry,
        &of.declaration,
        Some(&before),
        example,
    )?;
    let before = before.ok_or("no document")?;
    let services = services_on(store);
    let caller = Arc::new(caller(example));
    let request = request(&caller, &registry, &services, Vec::new());
    let begin = async |sink| {
        let mut work = Box::new(Work::new(Arc::clone(&request), Budgets::default()));
        let begun = work
            .begin_service(entry, of, before, Eyes::Users, sink)
            .await;
        match begun.map_err(|failure| failure.to_string())? {
            true => Ok(work),
            false => Err("the user of the example may not see its document".to_owned()),
        }
    };

    let told = Arc::new(Told::default());
    let asked = runtime::accepts(begin(None).await?, loaded, &service.name).await;
    let (_, accepted) = asked.map_err(|abort| abort.to_string())?;
    let said = match accepted {
        Err(fault) => Err(fault),
        Ok(()) => {
            let given = example.args.as_object().ok_or("`args` is no object")?;
            let declared = service.options.iter().map(|option| &option.declared);
            match arguments::for_service(&registry, &Zones::default(), NOW, declared, given) {
                Err(refusal) => Err(refusal.into()),
                Ok(options) => {
                    let work = begin(Some(Arc::clone(&told) as Arc<dyn Sink>)).await?;
                    let analysed =
                        runtime::analyse(work, loaded, &service.name, options, entry.limits).await;
                    analysed.map_err(|abort| abort.to_string())?.1
                }
            }
        }
    };
    compare(&example.expect, said, &told)
}

fn compare(expect: &Json, said: Result<String, Fault>, told: &Told) -> Result<(), String> {
    match said {
        Err(fault) => super::compare_fault(expect, &fault)?,
        Ok(line) => super::compare(
            expect,
            &Outcome {
                document: None,
                message: line,
                extra: String::new(),
            },
        )?,
    }
    let (results, log) = (told.results.lock(), told.log.lock());
    if let Some(wanted) = expect["results"]
        .as_array()
        .filter(|wanted| !agree(wanted, &results))
    {
        return Err(format!(
            "expected the results {}, got {}",
            Json::from(wanted.as_slice()),
            Json::from(results.as_slice())
        ));
    }
    match expect["log"].as_array().filter(|wanted| **wanted != *log) {
        None => Ok(()),
        Some(wanted) => Err(format!(
            "expected the log {}, got {}",
            Json::from(wanted.as_slice()),
            Json::from(log.as_slice())
        )),
    }
}

/// All and in order; of each, the members that the example names.
fn agree(wanted: &[Json], found: &[Json]) -> bool {
    wanted.len() == found.len()
        && wanted.iter().zip(found).all(|(wanted, found)| {
            let mut members = wanted.as_object().into_iter().flatten();
            members.all(|(name, value)| found.get(name) == Some(value))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_service_tells_is_compared_with_the_example() {
        let told = Told::default();
        told.add_result("url", "http://a.example/", r#"{"offset": 7}"#)
            .await
            .unwrap();
        told.note(2, "Cut off.").await.unwrap();
        assert!(told.add_result("url", "", "[1]").await.is_err());
        let result = json!({"subtype": "url", "result": "http://a.example/", "offset": 7});
        let done = || Ok("Done.".to_owned());
        for expected in [
            json!({"message": "Done.", "results": [{"offset": 7}], "log": [{"warning": "Cut off."}]}),
            json!({"results": [{"subtype": "url", "result": "http://a.example/"}]}),
        ] {
            assert_eq!(compare(&expected, done(), &told), Ok(()), "{expected}");
        }
        for (expected, reason) in [
            (
                json!({"message": "All."}),
                "expected the message \"All.\", got \"Done.\"".to_owned(),
            ),
            (
                json!({"results": []}),
                format!("expected the results [], got [{result}]"),
            ),
            (
                json!({"results": [{"offset": 8}]}),
                format!("expected the results [{{\"offset\":8}}], got [{result}]"),
            ),
            (
                json!({"log": []}),
                "expected the log [], got [{\"warning\":\"Cut off.\"}]".to_owned(),
            ),
            (
                json!({"fault": {"missing": "No."}}),
                "expected the fault {\"missing\":\"No.\"}, got the answer \"Done.\"".to_owned(),
            ),
        ] {
            assert_eq!(compare(&expected, done(), &told), Err(reason), "{expected}");
        }
        let fault = || Err(Fault::Missing("No.".to_owned()));
        let expected = json!({"fault": {"missing": "No."}, "results": [{}]});
        assert_eq!(compare(&expected, fault(), &told), Ok(()));
        assert!(compare(&json!({"message": "Done."}), fault(), &told).is_err());
    }

    #[test]
    fn examples_of_services_may_name_their_type() {
        let text = json!({"name": "n", "on": "Event", "args": {}, "expect": {}});
        let shown: ServiceExample = serde_json::from_value(text).unwrap();
        assert_eq!(
            (shown.on.as_deref(), shown.example.name.as_str()),
            (Some("Event"), "n")
        );
        for bad in [
            json!({"name": "n", "on": 1, "args": {}, "expect": {}}),
            json!({"name": "n", "args": {}, "expect": {}, "unheard": 1}),
        ] {
            assert!(serde_json::from_value::<ServiceExample>(bad).is_err());
        }
    }
}
