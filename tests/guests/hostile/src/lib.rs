//! A plugin that misbehaves: what a server must withstand (checks PL). Built and loaded by the tests only.

use std::hint::black_box;

use critd_sdk::prelude::*;

plugin! {
    name = "hostile",
    summary = "Misbehaves in every way the tests ask for.",
    types = [Oddity],
    actions = [
        hostile_nothing, hostile_loop, hostile_memory, hostile_recursion, hostile_panic, hostile_log_flood,
        hostile_trap_after_writes, hostile_host_calls, hostile_slow_read, hostile_forbidden_field, hostile_owned_key,
    ],
}

/// What a POST makes that goes wrong in the way its name says.
#[derive(Debug, TloType)]
#[tlo(resource = "oddities", collection = "oddities", keys((name)))]
pub struct Oddity {
    /// What goes wrong, if it is `panic` or `loop`.
    #[field(required)]
    pub name: String,
}

/// What a new oddity is made of.
#[derive(Debug, Args)]
pub struct NewOddity {
    /// What goes wrong.
    #[arg(required, example = "panic")]
    pub name: String,
}

/// Writes, then goes wrong.
#[create(Oddity)]
#[example("nothing goes wrong", args = {"name": "fine", "source": "Example"}, message = "Made.")]
pub fn create(args: NewOddity, shared: &Shared) -> Outcome {
    let (mut oddity, _) = Tlo::make::<Oddity>(params! { "name" => &args.name })?;
    oddity.merge_shared(shared)?;
    match args.name.as_str() {
        "panic" => panic!("after a write"),
        "loop" => loop {
            black_box(());
        },
        _ => Ok(Answer::new("Made.").document(&oddity)),
    }
}

/// Does nothing, properly: what a call costs.
#[action(on = "*", permission = "status_edit", touches = "self.description")]
fn hostile_nothing() -> Outcome {
    Ok(Answer::new("Nothing done."))
}

/// Never ends.
#[action(on = "*", permission = "status_edit", touches = "self.description")]
fn hostile_loop() -> Outcome {
    let mut turns = 0u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Takes memory without end.
#[action(on = "*", permission = "status_edit", touches = "self.description")]
fn hostile_memory() -> Outcome {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        kept.push(black_box(vec![1; 1 << 20]));
    }
}

/// Calls itself without end.
#[action(on = "*", permission = "status_edit", touches = "self.description")]
fn hostile_recursion() -> Outcome {
    fn deeper(level: u64) -> u64 {
        let frame = black_box([level; 64]);
        if frame[0] == u64::MAX {
            return 0;
        }
        deeper(black_box(level + 1)) + frame[7]
    }
    Ok(Answer::new(deeper(0).to_string()))
}

/// Panics.
#[action(on = "*", permission = "status_edit", touches = "self.description")]
fn hostile_panic() -> Outcome {
    panic!("a panic on purpose")
}

/// Writes log lines without end.
#[action(on = "*", permission = "status_edit", touches = "self.description")]
fn hostile_log_flood() -> Outcome {
    loop {
        critd_sdk::log::info!("flood");
    }
}

/// Writes, then panics.
#[action(
    on = "*",
    permission = "status_edit",
    touches("self.description", "self.tickets")
)]
fn hostile_trap_after_writes(tlo: &mut Tlo) -> Outcome {
    tlo.set("description", "half done")?;
    tlo.push("tickets", json!({ "ticket_number": "half" }))?;
    panic!("after two writes")
}

/// Asks the host without end.
#[action(on = "*", permission = "status_edit", touches = "self.description")]
fn hostile_host_calls(tlo: &Tlo) -> Outcome {
    loop {
        black_box(tlo.get_json::<Json>("description")?);
    }
}

/// Reads a list, takes its time, and adds to it: whoever changed it meanwhile was first.
#[action(on = "*", permission = "status_edit", touches = "self.tickets")]
fn hostile_slow_read(tlo: &mut Tlo) -> Outcome {
    let seen = tlo.get::<Json>("tickets")?;
    let mut turns = 0u64;
    while turns < 30_000_000 {
        turns = black_box(turns + 1);
    }
    black_box(seen);
    tlo.push("tickets", json!({ "ticket_number": "late" }))?;
    Ok(Answer::new("Read and added."))
}

/// Writes a field it has not declared to touch.
#[action(on = "*", permission = "status_edit", touches = "self.description")]
fn hostile_forbidden_field(tlo: &mut Tlo) -> Outcome {
    tlo.set("status", "Analyzed")?;
    Ok(Answer::new("Written."))
}

/// Answers a key that belongs to the host.
#[action(on = "*", permission = "status_edit", touches = "self.description")]
fn hostile_owned_key() -> Outcome {
    Ok(Answer::new("Forged.").extra("return_code", 7))
}
