//! What can be written on the command line.

use std::path::PathBuf;

use bson::oid::ObjectId;
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::place::StoreUrl;
use crate::access::keys::parse_network;
use crate::access::roles::{Activity, ReadableTlp};
use crate::registers::Register;

/// A server for the CRITs authenticated API whose types and actions are WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(
    name = "critd",
    version,
    propagate_version = false,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 usage."
)]
pub(crate) struct Arguments {
    /// Folder of the embedded store; with --store, of what a server keeps beside it
    #[arg(long, value_name = "DIR", env = "CRITD_DATA", global = true)]
    pub(crate) data: Option<PathBuf>,
    /// URL of a MongoDB store: mongodb://HOST,HOST/DATABASE?replicaSet=NAME
    #[arg(
        long,
        value_name = "URL",
        env = "CRITD_STORE",
        global = true,
        hide_env_values = true
    )]
    pub(crate) store: Option<StoreUrl>,
    /// Print data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create the store with the three default roles, vocabularies and registers
    Init,
    /// Sources that objects come from
    #[command(subcommand)]
    Source(SourceCommand),
    /// Users
    #[command(subcommand)]
    User(UserCommand),
    /// Roles: what their holders may do
    #[command(subcommand)]
    Role(RoleCommand),
    /// API keys of users
    #[command(subcommand)]
    Key(KeyCommand),
    /// Sets of values that objects are checked against
    #[command(subcommand)]
    Register(RegisterCommand),
    /// Analysis services: which there are, which are on, how they are set up
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Change settings; takes effect at once, also on a running server
    Set {
        /// For example enable_api=true
        #[arg(value_name = "KEY=VALUE", required = true, value_parser = key_value)]
        values: Vec<(String, String)>,
    },
    /// Show settings
    Get {
        /// Only this one
        #[arg(value_name = "KEY")]
        name: Option<String>,
    },
    /// Copy a store into an empty one, which must not be served meanwhile; goes on where it was broken off
    #[command(
        after_help = "A store is the folder of an embedded store, or a URL as for --store. Stop the servers of both first. A password is better kept out of the command line: set CRITD_FROM and CRITD_TO instead."
    )]
    Migrate {
        /// The store that is copied; it stays as it is
        #[arg(
            long,
            value_name = "DIR|URL",
            env = "CRITD_FROM",
            hide_env_values = true
        )]
        from: String,
        /// The store that is made
        #[arg(long, value_name = "DIR|URL", env = "CRITD_TO", hide_env_values = true)]
        to: String,
    },
    /// Print a number for all documents and files, the same for equal stores of any kind
    Digest,
    /// Say how a list is found: which indexes, how many rows and documents are looked at, how long it takes
    #[command(
        after_help = "The list is carried out, but nothing of it is shown. Types are those of the server whose folder --data is."
    )]
    Explain {
        /// As clients send it, such as '/api/v1/indicators/?c-value=x'; credentials in it are not used nor shown
        #[arg(value_name = "URL")]
        url: String,
        /// Whose rights count, instead of those of `username=` in the URL
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// Add copies of documents to a collection, to measure with many; not for stores in use
    #[command(hide = true)]
    Multiply {
        #[arg(value_name = "COLLECTION")]
        collection: String,
        /// Documents that are copied in turn
        #[arg(long, value_name = "ID,…", value_delimiter = ',', required = true)]
        like: Vec<ObjectId>,
        /// Number of the first copy
        #[arg(long, value_name = "N", default_value_t = 0)]
        from: u64,
        /// Number after that of the last copy
        #[arg(long, value_name = "N")]
        to: u64,
    },
    /// Serve the API
    Serve(ServeArguments),
    /// Plugins: the types and actions that the server offers
    #[command(subcommand)]
    Plugin(PluginCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// Add sources
    Add {
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// List the sources
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user
    Add {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        properties: UserProperties,
    },
    /// List the users
    List,
    /// Change a user
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true).args(["roles", "organization", "password_stdin"]))]
    Set {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        properties: UserProperties,
    },
    /// Lock a user out, from the next request on
    Deactivate {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Let a user in again
    Activate {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Tell a user of changes, in `/api/v1/notifications/`
    Subscribe {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        to: SubscriptionTo,
    },
    /// Tell a user of them no longer
    Unsubscribe {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        to: SubscriptionTo,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SubscriptionTo {
    /// Whatever has this source
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,
    /// An object
    #[arg(long, value_name = "TYPE/ID", value_parser = object)]
    pub(crate) object: Option<(String, ObjectId)>,
}

fn object(text: &str) -> Result<(String, ObjectId), String> {
    let wanted = "a type and the 24 hex digits of an id, with a slash between them";
    let parts = text.split_once('/');
    let read = parts.and_then(|(type_name, id)| {
        let is_word = type_name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_type = is_word && !type_name.is_empty() && type_name != "Source";
        let id = ObjectId::parse_str(id).ok()?;
        is_type.then(|| (type_name.to_owned(), id))
    });
    read.ok_or_else(|| wanted.to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct UserProperties {
    /// A role; may be repeated. `set` replaces all roles
    #[arg(long = "role", value_name = "R")]
    pub(crate) roles: Vec<String>,
    /// Organization
    #[arg(long, value_name = "O")]
    pub(crate) organization: Option<String>,
    /// Read a password from standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// List the roles
    List,
    /// Show a role's flags and sources
    Show {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Add a role that allows nothing yet
    Add {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Switch a role on or off
    Set {
        #[arg(value_name = "NAME")]
        name: String,
        /// Whether the role counts
        #[arg(long, value_name = "on|off")]
        active: Switch,
    },
    /// Switch flags on
    Grant {
        #[arg(value_name = "NAME")]
        name: String,
        /// `Type.flag` or a general flag
        #[arg(value_name = "FLAG", required = true)]
        flags: Vec<String>,
    },
    /// Switch flags off
    Revoke {
        #[arg(value_name = "NAME")]
        name: String,
        /// `Type.flag` or a general flag
        #[arg(value_name = "FLAG", required = true)]
        flags: Vec<String>,
    },
    /// Say what a role allows on a source, instead of what it allowed
    Source {
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(value_name = "SOURCE")]
        source: String,
        /// May see objects of the source, together with --tlp
        #[arg(long)]
        read: bool,
        /// May add objects under the source
        #[arg(long)]
        write: bool,
        /// Which TLPs may be seen; they do not include each other
        #[arg(long, value_name = "red,amber,green", value_delimiter = ',')]
        tlp: Vec<Tlp>,
    },
}

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

impl From<Switch> for Activity {
    fn from(switch: Switch) -> Self {
        match switch {
            Switch::On => Self::On,
            Switch::Off => Self::Off,
        }
    }
}

/// A TLP that needs a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tlp {
    Red,
    Amber,
    Green,
}

impl From<Tlp> for ReadableTlp {
    fn from(tlp: Tlp) -> Self {
        match tlp {
            Tlp::Red => Self::Red,
            Tlp::Amber => Self::Amber,
            Tlp::Green => Self::Green,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key; it is printed once
    Add {
        #[arg(value_name = "USER")]
        user: String,
        /// What it is called
        #[arg(long, value_name = "N", default_value = "default")]
        name: String,
        /// A key that was made elsewhere: 40 lower-case hex digits
        #[arg(long, value_name = "HEX40")]
        value: Option<String>,
        /// When it becomes worthless, such as 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME", value_parser = moment)]
        expires: Option<i64>,
        /// Only for reading
        #[arg(long)]
        read_only: bool,
        /// Networks or addresses that requests must come from
        #[arg(long, value_name = "CIDR,…", value_delimiter = ',', value_parser = parse_network)]
        from: Vec<IpNet>,
    },
    /// List a user's keys; the values are not known any more
    List {
        #[arg(value_name = "USER")]
        user: String,
    },
    /// Make a key worthless, from the next request on
    Revoke {
        #[arg(value_name = "USER")]
        user: String,
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Make a key the default one
    Default {
        #[arg(value_name = "USER")]
        user: String,
        #[arg(value_name = "NAME")]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RegisterCommand {
    /// Add an entry
    Add {
        #[arg(value_name = "KIND")]
        kind: Extensible,
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List the entries
    List {
        #[arg(value_name = "KIND", value_parser = register)]
        kind: Register,
    },
    /// Use this public suffix list instead of the built-in one
    LoadSuffixes {
        /// File in the format of publicsuffix.org
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// List the services
    List,
    /// Show a service and its options; secrets are not shown
    Show {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Switch a service on
    Enable {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Switch a service off
    Disable {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Say whether a service runs on new objects
    Triage {
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(value_name = "on|off")]
        on: Switch,
    },
    /// Set options of a service
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true).args(["values", "unset"]))]
    Configure {
        #[arg(value_name = "NAME")]
        name: String,
        /// For example depth=3
        #[arg(value_name = "OPTION=VALUE", value_parser = key_value)]
        values: Vec<(String, String)>,
        /// An option that is to have its default again; may be repeated
        #[arg(long, value_name = "OPTION")]
        unset: Vec<String>,
    },
    /// Register a service that runs elsewhere, whose workers claim tasks; or describe it anew
    Add {
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        described: ExternalService,
    },
    /// Remove a service that runs elsewhere
    Remove {
        #[arg(value_name = "NAME")]
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ExternalService {
    /// N.N or N.N.N
    #[arg(long, value_name = "N.N", default_value = "1.0")]
    pub(crate) version: String,
    /// What it does
    #[arg(long, value_name = "TEXT")]
    pub(crate) summary: Option<String>,
    /// A type of objects, -TYPE for all others; may be repeated [default: all]
    #[arg(long = "type", value_name = "TYPE", allow_hyphen_values = true)]
    pub(crate) types: Vec<String>,
    /// A stored field that objects must have; may be repeated
    #[arg(long, value_name = "FIELD")]
    pub(crate) requires: Vec<String>,
    /// How often a task is claimed before it is given up [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) max_attempts: Option<u32>,
    /// File with the declarations of its options, a JSON list as in plugins
    #[arg(long, value_name = "FILE")]
    pub(crate) options: Option<PathBuf>,
}

/// A register that entries are added to by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(
    clippy::enum_variant_names,
    reason = "these are the words of the command line"
)]
pub(crate) enum Extensible {
    RawDataType,
    SignatureType,
    IdentifierType,
    ActionType,
}

impl From<Extensible> for Register {
    fn from(kind: Extensible) -> Self {
        match kind {
            Extensible::RawDataType => Self::RawDataType,
            Extensible::SignatureType => Self::SignatureType,
            Extensible::IdentifierType => Self::IdentifierType,
            Extensible::ActionType => Self::ActionType,
        }
    }
}

/// What `serve` is given as flags and in the environment; `critd.toml` comes after both.
#[derive(Debug, Default, Args)]
pub(crate) struct ServeArguments {
    /// Address and port; port 0 picks a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT", env = "CRITD_LISTEN")]
    pub(crate) listen: Option<String>,
    /// Path below which the server is mounted, such as /crits: others are not found, and URLs in answers begin with it
    #[arg(long, value_name = "PATH", env = "CRITD_PREFIX", value_parser = prefix)]
    pub(crate) prefix: Option<String>,
    /// Which plugins run and what they may do [default: plugin-manifest.toml]
    #[arg(long, value_name = "FILE", env = "CRITD_MANIFEST")]
    pub(crate) manifest: Option<PathBuf>,
    /// Folder of the plugins [default: plugins]
    #[arg(long, value_name = "DIR", env = "CRITD_PLUGINS")]
    pub(crate) plugins: Option<PathBuf>,
    /// Folder of compiled plugins, which servers may share [default: in the store's folder]
    #[arg(long, value_name = "DIR", env = "CRITD_COMPILE_CACHE")]
    pub(crate) compile_cache: Option<PathBuf>,
    /// Receives host:port when the server accepts connections
    #[arg(long, value_name = "FILE", env = "CRITD_PORT_FILE")]
    pub(crate) port_file: Option<PathBuf>,
    /// Form of the log on standard error [default: text]
    #[arg(long, value_name = "text|json", env = "CRITD_LOG_FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// What is logged, such as info or critd=debug,warn [default: info]
    #[arg(long, value_name = "FILTER", env = "CRITD_LOG")]
    pub(crate) log: Option<String>,
    /// File with these options [default: critd.toml, if there is one]
    #[arg(long, value_name = "FILE", env = "CRITD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// A path prefix: empty, or segments that need no escapes, each after a slash.
///
/// # Errors
///
/// A sentence without the value, which clap shows.
pub(crate) fn prefix(text: &str) -> Result<String, String> {
    let path = text.trim_matches('/');
    let is_plain = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    match path.is_empty() {
        true => Ok(String::new()),
        false if path.split('/').all(is_plain) => Ok(format!("/{path}")),
        false => Err("a path of letters, digits and -._~, such as /crits, is expected".to_owned()),
    }
}

/// Form of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List the plugins of the store with their state
    List,
    /// Show what a plugin offers
    Show {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Say whether a file could be loaded, and why not; needs no store
    Check {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Go back to the version before
    Rollback {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Make a plugin file from a compiled module or component; needs no store
    Build {
        /// A .wasm file
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// Where the plugin goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("settings are written KEY=VALUE".to_owned()),
    }
}

fn moment(text: &str) -> Result<i64, String> {
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "a time is written 2027-01-31T00:00:00Z".to_owned())?;
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000)
        .map_err(|_| "the time is too far away".to_owned())
}

fn register(text: &str) -> Result<Register, String> {
    let kinds = || Register::ALL.map(Register::name).join(", ");
    Register::named(text).ok_or_else(|| format!("registers are {}", kinds()))
}
