//! Loads data through the HTTP API.

use super::journal::Journal;
use super::packages::Data;
use super::stix::{Plan, Planned, plan};
use crate::client::{Client, Posted};
use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// So many connections post at once: enough for the store to take many writes into one commit.
const CONNECTIONS: usize = 16;
/// The source that all demonstration data is from.
pub(crate) const SOURCE: &str = "Demonstration";

/// STIX says more precisely how two things are related than these types of objects can.
const RELATION: &str = "Related To";

/// What one run of the loader did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) loaded: usize,
    pub(crate) already_there: usize,
    /// Reason → what was refused for it.
    pub(crate) refused: BTreeMap<String, Refused>,
}

/// Things refused for one reason.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    number: usize,
    /// The first of them.
    example: String,
}

impl Tally {
    fn refuse(&mut self, reason: String, what: &str) {
        self.refused
            .entry(reason)
            .or_insert_with(|| Refused {
                number: 0,
                example: what.to_owned(),
            })
            .number += 1;
    }

    fn absorb(&mut self, other: Self) {
        self.loaded += other.loaded;
        self.already_there += other.already_there;
        for (reason, refused) in other.refused {
            let known = self.refused.entry(reason).or_default();
            known.number += refused.number;
            known.example = refused.example;
        }
    }
}

/// Where the loader posts, and as whom.
pub(crate) struct Target<'a> {
    pub(crate) address: &'a str,
    pub(crate) user: &'a str,
    pub(crate) key: &'a str,
    /// Set when the person asked to stop.
    pub(crate) stop: &'a AtomicBool,
}

impl Target<'_> {
    fn client(&self) -> Client {
        Client::new(self.address, self.user, self.key)
    }

    fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            bail!("stopped while loading; the next run goes on from here");
        }
        Ok(())
    }
}

/// Loads everything and says on standard error what was loaded and what was not, and why.
pub(crate) fn load(target: &Target<'_>, data: &Data, journal: &Journal) -> Result<()> {
    let began = Instant::now();
    let names = names(target, data, journal)?;
    say(&format!("domains from {}", data.names_from), &names, began);
    for (name, bundle) in &data.reports {
        let began = Instant::now();
        let plan = plan(bundle);
        let mut tally = Tally::default();
        report(target, name, &plan, journal, &mut tally)?;
        say(
            &format!(
                "objects and relationships of the report '{name}' from {}",
                data.reports_from
            ),
            &tally,
            began,
        );
        if tally.loaded > 0 {
            for (reason, number) in &plan.left_out {
                eprintln!("    {number} left out: {reason}");
            }
        }
    }
    Ok(())
}

fn say(what: &str, tally: &Tally, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    eprint!("  {} {what} loaded", tally.loaded);
    if tally.loaded > 0 {
        eprint!(
            " in {seconds:.1} s ({:.0} a second)",
            tally.loaded as f64 / seconds.max(0.001)
        );
    }
    if tally.already_there > 0 {
        eprint!(", {} were there already", tally.already_there);
    }
    eprintln!();
    for (reason, Refused { number, example }) in &tally.refused {
        eprintln!("    {number} refused by the server, for example '{example}': {reason}");
    }
}

fn names(target: &Target<'_>, data: &Data, journal: &Journal) -> Result<Tally> {
    let bar = ProgressBar::new(data.names.len() as u64);
    bar.set_style(ProgressStyle::with_template(
        "  {bar:40} {pos}/{len} domains, {per_sec}, {eta} left",
    )?);
    let next = AtomicUsize::new(0);
    let total = Mutex::new(Tally::default());
    let result = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| names_of_one_connection(target, data, journal, &next, &bar, &total))
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(_) => bail!("a loading thread panicked"),
            })
    });
    bar.finish_and_clear();
    result?;
    Ok(total.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn names_of_one_connection(
    target: &Target<'_>,
    data: &Data,
    journal: &Journal,
    next: &AtomicUsize,
    bar: &ProgressBar,
    total: &Mutex<Tally>,
) -> Result<()> {
    let client = target.client();
    let mut tally = Tally::default();
    let mut result = Ok(());
    while let Some(name) = data.names.get(next.fetch_add(1, Ordering::Relaxed)) {
        result = target
            .go_on()
            .and_then(|()| one_name(&client, name, &data.names_from, journal, &mut tally));
        if result.is_err() {
            // The others need not go on against a server that is gone.
            next.store(data.names.len(), Ordering::Relaxed);
            break;
        }
        bar.inc(1);
    }
    total
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .absorb(tally);
    result
}

fn one_name(
    client: &Client,
    name: &str,
    reference: &str,
    journal: &Journal,
    tally: &mut Tally,
) -> Result<()> {
    let key = format!("domain {name}");
    if journal.find(&key).is_some() {
        tally.already_there += 1;
        return Ok(());
    }
    let form = [
        ("domain", name),
        ("source", SOURCE),
        ("reference", reference),
    ];
    match client.post("domains", &form)? {
        Posted::Stored(id) => {
            tally.loaded += 1;
            journal.note(&key, &id)
        }
        Posted::Refused { message, .. } => {
            tally.refuse(message, name);
            Ok(())
        }
    }
}

fn report(
    target: &Target<'_>,
    name: &str,
    plan: &Plan,
    journal: &Journal,
    tally: &mut Tally,
) -> Result<()> {
    let client = target.client();
    let bar = ProgressBar::new((plan.objects.len() + plan.relations.len()) as u64);
    bar.set_style(ProgressStyle::with_template(
        "  {bar:40} {pos}/{len} objects and relationships",
    )?);
    let mut ids: Vec<Option<String>> = Vec::with_capacity(plan.objects.len());
    for object in &plan.objects {
        target.go_on()?;
        // Everything in a report is related to its event, which comes first.
        let event = ids.first().cloned().flatten();
        ids.push(one_object(
            &client,
            name,
            object,
            event.as_deref(),
            journal,
            tally,
        )?);
        bar.inc(1);
    }
    for &(left, right) in &plan.relations {
        target.go_on()?;
        let ends = (&plan.objects[left], &plan.objects[right]);
        match (&ids[left], &ids[right]) {
            (Some(left), Some(right)) => {
                relate(&client, name, ends, (left, right), journal, tally)?
            }
            _ => tally.refuse(
                "one end was refused".to_owned(),
                &format!("{} to {}", ends.0.key, ends.1.key),
            ),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn one_object(
    client: &Client,
    report: &str,
    object: &Planned,
    event: Option<&str>,
    journal: &Journal,
    tally: &mut Tally,
) -> Result<Option<String>> {
    let key = format!("{report} {} {}", object.type_name, object.key);
    if let Some(id) = journal.find(&key) {
        tally.already_there += 1;
        return Ok(Some(id));
    }
    let mut form: Vec<(&str, &str)> = object
        .form
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    form.push(("source", SOURCE));
    if let Some(event) = event {
        form.extend([
            ("related_id", event),
            ("related_type", "Event"),
            ("relationship", RELATION),
        ]);
    }
    let posted = client.post(object.resource, &form).with_context(|| {
        format!(
            "{} '{}' of the report '{report}'",
            object.type_name, object.key
        )
    })?;
    match posted {
        Posted::Stored(id) if id.is_empty() => bail!("the server stored {key} and named no id"),
        Posted::Stored(id) => {
            tally.loaded += 1;
            journal.note(&key, &id)?;
            Ok(Some(id))
        }
        Posted::Refused {
            existing: Some(id), ..
        } => {
            tally.already_there += 1;
            journal.note(&key, &id)?;
            Ok(Some(id))
        }
        Posted::Refused {
            existing: None,
            message,
        } => {
            tally.refuse(message, &object.key);
            Ok(None)
        }
    }
}

fn relate(
    client: &Client,
    report: &str,
    ends: (&Planned, &Planned),
    ids: (&str, &str),
    journal: &Journal,
    tally: &mut Tally,
) -> Result<()> {
    let key = format!("{report} relation {} {}", ids.0, ids.1);
    if journal.find(&key).is_some() {
        tally.already_there += 1;
        return Ok(());
    }
    let (left, right) = ends;
    let body = json!({
        "action": "forge_relationship",
        "right_type": right.type_name,
        "right_id": ids.1,
        "rel_type": RELATION,
        "rel_reason": format!("the report '{report}'"),
    });
    let mut posted = client.act(left.resource, ids.0, "", &body)?;
    if matches!(&posted, Posted::Refused { message, .. } if message.ends_with("is not a valid action."))
    {
        // A server without that action still relates what is posted again.
        if left.type_name == "Indicator" {
            posted = post_again(client, left, right.type_name, ids.1)?;
        } else if right.type_name == "Indicator" {
            posted = post_again(client, right, left.type_name, ids.0)?;
        }
    }
    match posted {
        Posted::Stored(_) => {
            tally.loaded += 1;
            journal.note(&key, ids.1)
        }
        Posted::Refused { message, .. } => {
            tally.refuse(
                message,
                &format!("{} related to {}", left.type_name, right.type_name),
            );
            Ok(())
        }
    }
}

/// Posts an indicator that is there already, this time as related to something else.
fn post_again(
    client: &Client,
    indicator: &Planned,
    related_type: &str,
    related_id: &str,
) -> Result<Posted> {
    let mut form: Vec<(&str, &str)> = indicator
        .form
        .iter()
        .filter(|(name, _)| *name != "description")
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    form.extend([
        ("source", SOURCE),
        ("related_id", related_id),
        ("related_type", related_type),
        ("relationship", RELATION),
    ]);
    client.post(indicator.resource, &form)
}
