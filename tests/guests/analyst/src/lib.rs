//! Analysis services that do what a test asks for: find something, fail, wait, create, go wrong. Built and loaded by the tests
//! only.

use std::hint::black_box;

use critd_sdk::prelude::*;

plugin! {
    name = "analyst",
    summary = "Analyses as the tests ask for.",
    services = [probe, picky, impatient, reads_file, breeder, peinfo],
    needs = { "create:Domain" = "what it finds becomes an object", "create:Event" = "the same" },
}

/// What is to be done.
#[derive(Debug, Args)]
pub struct Options {
    /// What.
    #[arg(default = "find", scope = "runtime", max_length = 32)]
    pub task: String,
    /// How much is found.
    #[arg(default = 3)]
    pub count: i64,
    /// The name of what is created.
    #[arg(default = "found.example.com", scope = "runtime")]
    pub name: String,
    /// Kept by the operator alone.
    #[arg(scope = "stored", secret)]
    pub api_key: Option<String>,
}

/// Does what its options say.
///
/// # Errors
///
/// As asked for.
#[service(
    on("*", "-Campaign"),
    touches("create:Domain"),
    template = "probe.html"
)]
pub fn probe(tlo: &Tlo, task: &Task, call: &Call, options: Options) -> Analysis {
    match options.task.as_str() {
        "find" => {
            task.info("looking")?;
            for number in 0..options.count {
                task.result("number", number.to_string(), json!({ "of": options.count }))?;
            }
            Ok("looked".into())
        }
        "options" => {
            task.result(
                "options",
                options.api_key.unwrap_or_else(|| "none".into()),
                json!({ "count": options.count }),
            )?;
            Ok(String::new())
        }
        "fail" => {
            task.result("before", "kept", ())?;
            Err(refused("limit", "no more"))
        }
        "note" => {
            task.note(Level::Error, "something is wrong")?;
            Ok("went on".into())
        }
        "trap" => {
            task.result("before", "kept", ())?;
            panic!("on purpose")
        }
        "write" => {
            let mut tlo = Tlo::by_id(&tlo.type_of()?, tlo.id()?)?;
            let outcome = tlo.set("description", "changed");
            task.result(
                "write",
                if outcome.is_err() { "refused" } else { "done" },
                (),
            )?;
            let unrelated = Tlo::create("IP", params! { "ip" => "10.0.0.1", "source" => "Alpha" });
            task.result(
                "undeclared",
                if unrelated.is_err() {
                    "refused"
                } else {
                    "done"
                },
                (),
            )?;
            Ok(String::new())
        }
        "create" => {
            let args = params! { "domain" => &options.name, "source" => "Alpha" };
            let created = Tlo::create("Domain", args)?;
            let Some(domain) = created.tlo else {
                return Ok("it is not to be seen".into());
            };
            let mut tlo = Tlo::by_id(&tlo.type_of()?, tlo.id()?)?;
            tlo.relate("Related To", &domain, Params::new())?;
            task.result(
                "domain",
                domain.text("domain")?,
                json!({ "user": call.user() }),
            )?;
            panic!("after what is stored at once")
        }
        // Until the object of this name is there.
        "wait" => {
            task.result("waiting", &options.name, ())?;
            loop {
                if task.cancelled() {
                    task.info("heeded")?;
                    return Ok("cancelled".into());
                }
                let key = params! { "domain" => &options.name };
                if Tlo::by_key("Domain", key)?.is_some() {
                    return Ok("it came".into());
                }
            }
        }
        "loop" => forever(),
        "flood" => loop {
            task.result("flood", "x".repeat(1 << 16), ())?;
        },
        other => Err(invalid("task", format!("What is {other}?"))),
    }
}

fn forever() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn is_fine(event: &Tlo) -> Result<(), Fault> {
    match event.text("title")?.as_str() {
        "trap" => panic!("on purpose"),
        "odd" => Err(invalid("title", "Nothing odd, please.")),
        _ => Ok(()),
    }
}

/// Takes events of most titles.
///
/// # Errors
///
/// None.
#[service(on = "Event", accepts = is_fine)]
pub fn picky(event: &Tlo, task: &Task) -> Analysis {
    task.result("title", event.text("title")?, ())?;
    Ok("seen".into())
}

/// Never ends, and has not much time.
///
/// # Errors
///
/// None.
#[service(on = "Event", limits = { time_ms = 300 })]
pub fn impatient(task: &Task) -> Analysis {
    task.result("before", "kept", ())?;
    forever()
}

/// Makes another event of each that it looks at.
///
/// # Errors
///
/// The user may not.
#[service(on = "Event", touches("create:Event"))]
pub fn breeder() -> Analysis {
    let args = params! {
        "title" => "bred", "event_type" => "Phishing", "description" => "d", "source" => "Alpha",
    };
    Tlo::create("Event", args)?;
    Ok("bred".into())
}

/// Reads the file of an object.
///
/// # Errors
///
/// It is not there.
#[service(on = "Sample", requires = "filedata")]
pub fn reads_file(sample: &Tlo, task: &Task) -> Analysis {
    let Some(file) = Upload::open(sample, "filedata")? else {
        return Err(missing("no file"));
    };
    task.result("size", file.size()?.to_string(), ())?;
    Ok(String::new())
}

/// How much of a program is told.
#[derive(Debug, Args)]
pub struct Detail {
    /// Its resources, too.
    #[arg(scope = "runtime")]
    pub resource: bool,
}

/// Says what it was asked for: the service of the specification's example.
///
/// # Errors
///
/// None.
#[service(on = "Sample", requires = "filedata")]
pub fn peinfo(task: &Task, options: Detail) -> Analysis {
    task.result("resource", options.resource.to_string(), ())?;
    Ok(String::new())
}
