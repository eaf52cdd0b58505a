//! `critd service …`: analysis services as an operator sets them up (actions.md 8.1).

use serde_json::{Value, json};

use super::Failure;
use super::grammar::{ExternalService, ServiceCommand, Switch};
use super::output::{Terminal, yes};
use super::records::Shared;
use crate::plugins::analysis::operators::{self, External};
use crate::plugins::analysis::records::{self, Kind, Record};

pub(super) async fn run(
    store: &Shared,
    command: ServiceCommand,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let store = store.as_ref();
    match command {
        ServiceCommand::List => list(&records::all(store).await?, terminal),
        ServiceCommand::Show { name } => show(&operators::show(store, &name).await?, terminal),
        ServiceCommand::Enable { name } => {
            operators::enable(store, &name, true).await?;
            terminal.say(&format!("The service `{name}` is on"));
            Ok(())
        }
        ServiceCommand::Disable { name } => {
            operators::enable(store, &name, false).await?;
            terminal.say(&format!("The service `{name}` is off"));
            Ok(())
        }
        ServiceCommand::Triage { name, on } => {
            operators::set_triage(store, &name, on == Switch::On).await?;
            let is_enabled = operators::show(store, &name).await?.enabled;
            terminal.say(&match on {
                Switch::On => format!("The service `{name}` runs on new objects"),
                Switch::Off => format!("The service `{name}` does not run on new objects"),
            });
            if on == Switch::On && !is_enabled {
                terminal.say(&format!(
                    "hint: it is off: `critd service enable {name}` switches it on"
                ));
            }
            Ok(())
        }
        ServiceCommand::Configure {
            name,
            values,
            unset,
        } => {
            let objection = operators::configure(store, &name, &values, &unset).await?;
            terminal.say(&format!("Changed the options of `{name}`"));
            if let Some(objection) = objection {
                terminal.say(&format!(
                    "note: the service is misconfigured, and so off: {objection}"
                ));
            }
            Ok(())
        }
        ServiceCommand::Add { name, described } => {
            operators::register(store, &name, &external(described)?).await?;
            terminal.say(&format!("Registered the external service `{name}`"));
            terminal.say(&format!(
                "hint: `critd service enable {name}` switches it on; its worker is a user with a key and the flags `TYPE.services_execute`, `TYPE.services_read`"
            ));
            Ok(())
        }
        ServiceCommand::Remove { name } => {
            operators::remove(store, &name).await?;
            terminal.say(&format!(
                "Removed the external service `{name}`; its tasks stay"
            ));
            Ok(())
        }
    }
}

fn external(described: ExternalService) -> Result<External, Failure> {
    let options = match described.options {
        None => Value::Null,
        Some(file) => {
            let failed = |reason: String| Failure::refused(format!("{}: {reason}", file.display()));
            let text = std::fs::read_to_string(&file).map_err(|error| failed(error.to_string()))?;
            serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?
        }
    };
    Ok(External {
        version: described.version,
        description: described.summary.unwrap_or_default(),
        types: described.types,
        required_fields: described.requires,
        options,
        max_attempts: described.max_attempts,
    })
}

fn object(record: &Record) -> Value {
    json!({
        "name": record.name,
        "version": record.version,
        "description": record.description,
        "kind": record.kind.word(),
        "supported_types": record.supported_types,
        "required_fields": record.required_fields,
        "enabled": record.enabled,
        "run_on_triage": record.run_on_triage,
        "status": record.status.word(),
        "config": record.shown_config(),
        "options": record.options.iter().map(|option| option.text.clone()).collect::<Vec<_>>(),
        "max_attempts": (record.kind == Kind::External).then_some(record.max_attempts),
    })
}

fn list(all: &[Record], terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    if terminal.json {
        return terminal.json(&all.iter().map(object).collect());
    }
    let row = |record: &Record| {
        [
            record.name.clone(),
            record.version.clone(),
            record.kind.word().to_owned(),
            record.status.word().to_owned(),
            yes(record.enabled),
            yes(record.run_on_triage),
            record.supported_types.join(", "),
        ]
    };
    terminal.table(
        [
            "SERVICE", "VERSION", "KIND", "STATUS", "ON", "TRIAGE", "TYPES",
        ],
        &all.iter().map(row).collect::<Vec<_>>(),
    )
}

fn show(record: &Record, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    if terminal.json {
        return terminal.json(&object(record));
    }
    terminal.line(&format!(
        "{} {}: {}, {}, {}",
        record.name,
        record.version,
        record.kind.word(),
        record.status.word(),
        if record.enabled { "on" } else { "off" },
    ))?;
    if !record.description.is_empty() {
        terminal.line(&record.description)?;
    }
    let mut facts = vec![
        ("types", record.supported_types.join(", ")),
        ("requires", record.required_fields.join(", ")),
        ("runs on new objects", yes(record.run_on_triage)),
    ];
    if record.kind == Kind::External {
        facts.push(("attempts", record.max_attempts.to_string()));
    }
    for (name, value) in facts {
        terminal.line(&format!("{name}: {value}"))?;
    }
    terminal.line("options:")?;
    let config = record.shown_config();
    for option in &record.options {
        let declared = &option.declared;
        let value = match config.get(&declared.name) {
            Some(value) => value.to_string(),
            None => "not set".to_owned(),
        };
        terminal.line(&format!("  {}: {value}", declared.name))?;
        if !declared.summary.is_empty() {
            terminal.line(&format!("    {}", declared.summary))?;
        }
    }
    Ok(())
}
