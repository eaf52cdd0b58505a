//! `cargo xtask bench`: measures a real server on this machine and writes `docs/PERFORMANCE.md`.

mod load;
mod reads;
mod reload;
mod report;

use crate::client::{Client, Posted};
use crate::mongod;
use crate::plugins;
use crate::server::{Serve, Server, Store};
use crate::wasm_target;
use crate::workspace::{self, Workspace, step};
use anyhow::{Context as _, Result, bail, ensure};
use critd_mongod::ReplicaSet;
use load::{Latencies, clients, repeated};
use report::{Goal, Report};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const USER: &str = "bench";
const READER: &str = "reader";
/// The reader's role sees this source, up to amber; the other half of the documents is the other source's.
const SEEN: &str = "Seen";
const HIDDEN: &str = "Hidden";
/// So many indicators are stored through the API at most; further ones are copies.
const POSTED: usize = 50_000;
/// Indicators that are copied: all pairs of a letter and a domain (26 × 97), of every source, TLP and bucket.
const TEMPLATES: usize = 2_522;
const WRITERS: usize = 64;
const HOST_WRITERS: usize = 8;
const HOSTS: usize = 2_000;
const HOSTS_FULL: usize = 10_000;
/// Indicators of one request.
const BULK: usize = 100_000;
/// The rate of adding hosts is that of the last ones, when the root domain has most of its relationships.
const HOSTS_TAIL: usize = 500;

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// So many indicators are stored before reading is measured; from 50,000 on by copying within the store.
    #[arg(long, default_value_t = 50_000)]
    documents: usize,
    /// Add 10,000 hosts to one root domain instead of 2,000.
    #[arg(long)]
    full: bool,
    /// Measure this server instead of building one.
    #[arg(long)]
    binary: Option<std::path::PathBuf>,
    /// Only these parts; others are not measured, and no report is written.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Only this store; no report is written then.
    #[arg(long, value_enum)]
    on: Option<On>,
    /// Report to write.
    #[arg(long, default_value = "docs/PERFORMANCE.md")]
    out: std::path::PathBuf,
}

/// What can be measured by itself. Everything but `hosts` needs the indicators, which are stored in any case.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Bulk,
    Tickets,
    DryRun,
    Hosts,
    Reads,
    Reload,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum On {
    Embedded,
    Mongodb,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn wants_others_than(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| *wanted != part)
    }
}

/// Builds, measures, writes the report.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    ensure!(
        options.documents >= 1_000,
        "--documents must be 1000 or more: percentiles of fewer say nothing"
    );
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => {
            step("build the server as it is released, and the plugins");
            workspace::run(workspace.cargo().args([
                "build",
                "--release",
                "--package",
                "critd",
                "--bin",
                "critd",
            ]))?;
            workspace.server("release")
        }
    };
    let target = wasm_target::ensure(workspace)?;
    plugins::build_components(workspace, &target, &binary)?;

    let mut report = Report::new(options.documents)?;
    let measure = |database: Option<String>, report: &mut Report| {
        if options.wants_others_than(Part::Bulk) {
            let folder = tempfile::tempdir_in(&workspace.target)?;
            let bench = Bench::prepare(workspace, folder.path(), &binary, database.clone())?;
            bench.measure(options, &target, report)?;
        }
        if options.wants(Part::Bulk) {
            let folder = tempfile::tempdir_in(&workspace.target)?;
            let database = database.map(|url| url.replace("/?", "/bulk?"));
            Bench::prepare(workspace, folder.path(), &binary, database)?.bulk(report)?;
        }
        anyhow::Ok(())
    };
    if options.on != Some(On::Mongodb) {
        measure(None, &mut report)?;
    }
    if options.on != Some(On::Embedded) {
        let program = mongod::ensure(workspace)?;
        step("the same on MongoDB");
        let set = ReplicaSet::start(&program, &workspace.target.join("mongodb"), 1)?;
        report.turn_to_mongodb();
        measure(Some(set.url()), &mut report)?;
    }
    if !options.only.is_empty() || options.on.is_some() {
        println!("{}", report.table());
        return Ok(());
    }
    let path = workspace.root.join(&options.out);
    fs::write(&path, report.text()).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", report.table());
    println!("Written to {}", workspace.shown(&path));
    Ok(())
}

/// A store of its own with two users.
struct Bench<'w> {
    workspace: &'w Workspace,
    store: Store<'w>,
    folder: &'w Path,
    binary: &'w Path,
    key: String,
    reader_key: String,
}

impl<'w> Bench<'w> {
    fn prepare(
        workspace: &'w Workspace,
        folder: &'w Path,
        binary: &'w Path,
        database: Option<String>,
    ) -> Result<Self> {
        step("prepare a store");
        let plugins = folder.join("plugins");
        fs::create_dir(&plugins)?;
        for entry in fs::read_dir(workspace.plugins())? {
            let path = entry?.path();
            if let Some(name) = path.file_name()
                && path
                    .extension()
                    .is_some_and(|extension| extension == "wasm")
            {
                fs::copy(&path, plugins.join(name))?;
            }
        }
        // What a call costs is shown by the tests' guest that does nothing.
        fs::copy(
            workspace.guests().join("hostile.wasm"),
            plugins.join("hostile.wasm"),
        )?;
        let manifest = fs::read_to_string(workspace.root.join("plugin-manifest.toml"))?;
        let with_guest =
            format!("{manifest}\n[plugins.hostile]\npath = \"hostile.wasm\"\nversion = \"*\"\n");
        fs::write(folder.join("plugin-manifest.toml"), with_guest)?;
        let mut store = Store::new(workspace, binary.to_owned(), folder.join("data"));
        if let Some(url) = database {
            store = store.on_mongodb(url);
        }
        store.command(["init"])?;
        store.command(["set", "enable_api=true"])?;
        store.command(["source", "add", SEEN, HIDDEN])?;
        store.command(["user", "add", USER, "--role", "UberAdmin"])?;
        store.command(["role", "add", "Reader"])?;
        store.command(["role", "grant", "Reader", "api_interface", "Indicator.read"])?;
        store.command([
            "role",
            "source",
            "Reader",
            SEEN,
            "--read",
            "--tlp",
            "amber,green",
        ])?;
        store.command(["user", "add", READER, "--role", "Reader"])?;
        let key = store.add_key(USER)?;
        let reader_key = store.add_key(READER)?;
        Ok(Self {
            workspace,
            store,
            folder,
            binary,
            key,
            reader_key,
        })
    }

    fn serve(&self) -> Result<Server> {
        self.store.serve(&Serve {
            listen: "127.0.0.1:0",
            manifest: &self.folder.join("plugin-manifest.toml"),
            plugins: &self.folder.join("plugins"),
            port_file: None,
            log: &self.folder.join("server.log"),
        })
    }

    fn client(&self, server: &Server) -> Client {
        Client::new(&server.address, USER, &self.key)
    }

    fn reader(&self, server: &Server) -> Client {
        Client::new(&server.address, READER, &self.reader_key)
    }

    fn measure(
        &self,
        options: &Options,
        target: &wasm_target::WasmTarget,
        report: &mut Report,
    ) -> Result<()> {
        step("start for the first time");
        let began = Instant::now();
        let server = self.serve()?;
        self.client(&server).count("indicators")?;
        report.note(
            "first start, every plugin compiled, to the first answer",
            report::shown_seconds(began.elapsed()),
        );
        std::thread::sleep(Duration::from_secs(2));
        report.below(
            "memory, idle, empty store",
            report::megabytes(server.resident()?),
            Goal::megabytes(80.0),
            "",
        );

        self.indicators(&server, options, report)?;
        let server = self.more_indicators(server, options)?;
        if options.wants(Part::Tickets) {
            self.tickets(&server, report)?;
        }
        if options.wants(Part::DryRun) {
            self.dry_run(&server, report)?;
        }
        if options.wants(Part::Hosts) {
            self.hosts(&server, options, report)?;
        }
        if options.wants(Part::Reads) {
            reads::measure(self, &server, options.documents, report)?;
        }
        report.below(
            "memory after the benchmark",
            report::megabytes(server.resident()?),
            Goal::megabytes(300.0),
            "",
        );
        if options.wants(Part::Reload) {
            self.reload(&server, target, report);
        }
        server.stop()?;

        step("restart");
        let began = Instant::now();
        let server = self.serve()?;
        self.client(&server).get("/indicators/?limit=1")?;
        report.below(
            "restart, cache warm, to the first answer",
            report::seconds(began.elapsed()),
            Goal::seconds(0.5),
            "",
        );
        server.stop()
    }

    fn reload(&self, server: &Server, target: &wasm_target::WasmTarget, report: &mut Report) {
        step("replace a plugin under load");
        let replaced = reload::measure(
            self.workspace,
            target,
            self.binary,
            &self.folder.join("plugins"),
            &|| self.client(server),
            report,
        );
        if let Err(reason) = replaced {
            report.note(
                "file saved → new plugin version serving",
                format!("failed: {reason:#}"),
            );
        }
    }

    fn indicators(&self, server: &Server, options: &Options, report: &mut Report) -> Result<()> {
        let posted = options.documents.min(POSTED);
        step(&format!("POST {posted} indicators"));
        let run = clients(
            WRITERS,
            posted,
            || self.client(server),
            |client, number| post_indicator(client, number, &indicator_value(number)).map(drop),
        )?;
        report.above(
            "POST of an indicator, 64 clients, durable",
            run.rate(),
            Goal::rate(3_000.0),
            "85/s",
        );
        report.note("… latency, p50 / p99", run.latencies.shown());
        Ok(())
    }

    /// Many in one request, into an empty store.
    fn bulk(&self, report: &mut Report) -> Result<()> {
        step(&format!("POST {BULK} indicators in one request"));
        let server = self.serve()?;
        let client = self.client(&server);
        let mut lines = String::new();
        for number in 0..BULK {
            let object: serde_json::Map<_, _> = indicator(number, &indicator_value(number))
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            lines.push_str(&serde_json::Value::Object(object).to_string());
            lines.push('\n');
        }
        let began = Instant::now();
        let stored = client.post_many("indicators", &lines)?;
        let rate = stored as f64 / began.elapsed().as_secs_f64();
        ensure!(
            stored == BULK && client.count("indicators")? == BULK as u64,
            "of {BULK} indicators {stored} were stored"
        );
        report.above(
            "POST of 100,000 indicators in one request (bulk=1), durable",
            rate,
            Goal::rate(10_000.0),
            "",
        );
        server.stop()
    }

    /// The others: copies of some that are posted for it, made by the server's program in the store itself.
    fn more_indicators(&self, server: Server, options: &Options) -> Result<Server> {
        if options.documents <= POSTED {
            return Ok(server);
        }
        let templates = TEMPLATES.min(options.documents - POSTED);
        step(&format!("add indicators up to {}", options.documents));
        let client = self.client(&server);
        let mut ids = Vec::with_capacity(templates);
        for number in 0..templates {
            ids.push(post_indicator(&client, number, &template_value(number))?);
        }
        server.stop()?;
        let from = (POSTED + templates).to_string();
        let to = options.documents.to_string();
        let ids = ids.join(",");
        let began = Instant::now();
        self.store.command([
            "multiply",
            "indicators",
            "--like",
            &ids,
            "--from",
            &from,
            "--to",
            &to,
        ])?;
        eprintln!("added in {:.0} s", began.elapsed().as_secs_f64());
        self.serve()
    }

    fn tickets(&self, server: &Server, report: &mut Report) -> Result<()> {
        step("PATCH ticket_add");
        let ids = self.some_ids(server, 1_000)?;
        let run = clients(
            WRITERS,
            20_000,
            || self.client(server),
            |client, number| {
                let body = ticket(number);
                stored(client.act("indicators", &ids[number % ids.len()], "", &body)?)
            },
        )?;
        report.above(
            "PATCH ticket_add, 64 clients, durable",
            run.rate(),
            Goal::rate(3_000.0),
            "70/s",
        );
        report.note("… latency, p50 / p99", run.latencies.shown());
        Ok(())
    }

    /// The whole plugin path without a commit: what one client waits for, less what any request costs.
    fn dry_run(&self, server: &Server, report: &mut Report) -> Result<()> {
        step("PATCH without commit");
        let client = self.client(server);
        let id = self.some_ids(server, 1)?.remove(0);
        let before = client.get(&format!("/indicators/{id}/"))?["tickets"].clone();
        let path = format!("/indicators/{id}/?only=_id");
        let floor = repeated(2_000, |_| client.get_text(&path).map(drop))?.percentile(50.0);
        let less_floor = |body: &dyn Fn(usize) -> serde_json::Value| {
            let run = repeated(2_000, |number| {
                stored(client.act("indicators", &id, "?dry_run=1", &body(number))?)
            })?;
            anyhow::Ok(run.percentile(50.0).saturating_sub(floor))
        };
        let name = "no-op action through the whole plugin path without commit, p50 (dry run less a GET of the same object)";
        let goal = Goal::microseconds(50.0);
        match less_floor(&|_| json!({"action": "hostile_nothing"}))? {
            Duration::ZERO => report.untold(name, "less than the GET varies", goal),
            time => report.below(name, report::microseconds(time), goal, ""),
        }
        let of_ticket = less_floor(&|number| ticket(1_000_000 + number))?;
        report.note(
            "… ticket_add, which looks through the document's tickets",
            format!("{} µs", of_ticket.as_micros()),
        );
        let after = client.get(&format!("/indicators/{id}/"))?["tickets"].clone();
        ensure!(before == after, "a dry run stored something");
        Ok(())
    }

    fn hosts(&self, server: &Server, options: &Options, report: &mut Report) -> Result<()> {
        let total = if options.full { HOSTS_FULL } else { HOSTS };
        step(&format!("POST {total} hosts of one domain"));
        let post = |client: &Client, number: usize| {
            let name = format!("host-{number}.one-root.com");
            stored(client.post("domains", &[("domain", name.as_str()), ("source", SEEN)])?)
        };
        let first = total - HOSTS_TAIL;
        clients(HOST_WRITERS, first, || self.client(server), post)?;
        let run = clients(
            HOST_WRITERS,
            HOSTS_TAIL,
            || self.client(server),
            |client, number| post(client, first + number),
        )?;
        let name = format!("POST of the {total}th host under one root domain, 8 clients");
        report.above(&name, run.rate(), Goal::rate(200.0), "14/s after 150");
        Ok(())
    }

    fn some_ids(&self, server: &Server, number: usize) -> Result<Vec<String>> {
        let page = self
            .client(server)
            .get(&format!("/indicators/?limit={number}&only=_id"))?;
        let ids: Vec<String> = page["objects"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|object| object["_id"].as_str().map(str::to_owned))
            .collect();
        ensure!(
            ids.len() == number,
            "{number} indicators are expected, {} are there",
            ids.len()
        );
        Ok(ids)
    }
}

/// Posts an indicator; answers its id.
fn post_indicator(client: &Client, number: usize, value: &str) -> Result<String> {
    match client.post("indicators", &indicator(number, value))? {
        Posted::Stored(id) => Ok(id),
        Posted::Refused { message, .. } => bail!("the server refused: {message}"),
    }
}

/// What an indicator is made of. Every other one is of the source that the reader does not have.
fn indicator(number: usize, value: &str) -> [(&str, &str); 6] {
    let source = if number.is_multiple_of(2) {
        SEEN
    } else {
        HIDDEN
    };
    let tlp = ["white", "green", "amber", "red"][number / 2 % 4];
    let bucket = if number.is_multiple_of(100) {
        "bench,rare"
    } else {
        "bench"
    };
    [
        ("type", "Domain"),
        ("value", value),
        ("source", source),
        ("tlp", tlp),
        ("bucket_list", bucket),
        ("description", "made by cargo xtask bench"),
    ]
}

/// Values spread over the alphabet, so that neither order nor first letter says which was stored when.
fn indicator_value(number: usize) -> String {
    format!(
        "{}{:07}x-{number}.bench-{}.example.com",
        letter(number),
        number.wrapping_mul(7_368_787) % 10_000_000,
        number % 97
    )
}

/// A value with the marks at which `critd multiply` makes those of its copies.
fn template_value(number: usize) -> String {
    format!(
        "{}m0000000x-n0000000.bench-{}.example.com",
        letter(number),
        number % 97
    )
}

/// The value of the copy with a number.
fn copied_value(number: usize) -> String {
    let template = number % TEMPLATES;
    format!(
        "{}{:07}x-{number}.bench-{}.example.com",
        letter(template),
        number.wrapping_mul(7_368_787) % 10_000_000,
        template % 97
    )
}

fn letter(number: usize) -> char {
    char::from(b'a' + u8::try_from(number * 11 % 26).unwrap_or_default())
}

fn ticket(number: usize) -> serde_json::Value {
    let (hour, minute, second) = (number / 3600 % 24, number / 60 % 60, number % 60);
    let date = format!("2026-01-15 {hour:02}:{minute:02}:{second:02}");
    json!({"action": "ticket_add", "ticket": {"ticket_number": number.to_string(), "date": date}})
}

fn stored(posted: Posted) -> Result<()> {
    match posted {
        Posted::Stored(_) => Ok(()),
        Posted::Refused { message, .. } => bail!("the server refused: {message}"),
    }
}

/// Shown in reports instead of a latency list.
impl Latencies {
    fn shown(&self) -> String {
        format!(
            "{} / {}",
            report::shown_milliseconds(self.percentile(50.0)),
            report::shown_milliseconds(self.percentile(99.0))
        )
    }
}
