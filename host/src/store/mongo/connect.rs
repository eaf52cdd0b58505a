//! Finding the deployment, and saying clearly what is wrong with it.

use std::time::Duration;

use bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{
    ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, ServerAddress, Tls, WriteConcern,
};
use mongodb::{Client, Database};

use super::Options;
use super::errors::{code_of, said};
use crate::store::{Result, StoreError};

/// `maxWireVersion` of MongoDB 6.0.
const OLDEST: i32 = 17;

/// Code of the server for a refused log-in.
const AUTHENTICATION_FAILED: i32 = 18;

/// What a log-in needs.
const UNAUTHORIZED: i32 = 13;

/// What the server calls our connections.
pub(super) const APP_NAME: &str = "critd";

/// Database, if the URL names none: that of the original.
const DATABASE: &str = "crits";

/// Writes are answered when most nodes have them on disk.
pub(super) fn durable() -> WriteConcern {
    let mut concern = WriteConcern::majority();
    concern.journal = Some(true);
    concern
}

/// Connects, and checks that the deployment will do.
///
/// # Errors
///
/// [`StoreError::Unusable`] if the URL, the log-in or the kind of deployment is at fault; [`StoreError::Unavailable`] if
/// nobody answers. No text contains the password.
pub(super) async fn connect(url: &str, options: &Options) -> Result<(Client, Database)> {
    let hidden = Hidden::of(url);
    let parsed = ClientOptions::parse(url).await.map_err(|error| {
        StoreError::Unusable(format!(
            "the URL of the store can't be used: {}",
            hidden.clean(&said(&error))
        ))
    })?;
    let target = Target::of(&parsed);
    let client = Client::with_options(prepared(parsed, options)).map_err(|error| {
        StoreError::Unusable(format!(
            "the URL of the store can't be used: {}",
            hidden.clean(&said(&error))
        ))
    })?;
    let database = client.database(&target.database);
    let hello = match database.run_command(doc! { "hello": 1 }).await {
        Ok(hello) => hello,
        Err(error) => return Err(explain(&target, &hidden, options, &error).await),
    };
    let version = match client
        .database("admin")
        .run_command(doc! { "buildInfo": 1 })
        .await
    {
        Ok(info) => info.get_str("version").unwrap_or("?").to_owned(),
        Err(_) => "?".to_owned(),
    };
    judge(&hello, &version, &target)?;
    // The first command that needs a log-in.
    if let Err(error) = database.list_collection_names().await {
        return Err(explain(&target, &hidden, options, &error).await);
    }
    Ok((client, database))
}

fn prepared(mut parsed: ClientOptions, options: &Options) -> ClientOptions {
    parsed.app_name = Some(APP_NAME.to_owned());
    parsed.server_selection_timeout = Some(options.find_server);
    parsed.connect_timeout = Some(options.find_server);
    parsed.heartbeat_freq = Some(options.heartbeat);
    parsed.retry_reads = Some(true);
    parsed.retry_writes = Some(true);
    parsed.read_concern = Some(ReadConcern::majority());
    parsed.write_concern = Some(durable());
    parsed.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    parsed
}

/// Whom the URL means.
struct Target {
    hosts: Vec<ServerAddress>,
    set: Option<String>,
    database: String,
    user: Option<String>,
    options: ClientOptions,
}

impl Target {
    fn of(options: &ClientOptions) -> Self {
        Self {
            hosts: options.hosts.clone(),
            set: options.repl_set_name.clone(),
            database: options
                .default_database
                .clone()
                .unwrap_or_else(|| DATABASE.to_owned()),
            user: options
                .credential
                .as_ref()
                .and_then(|credential| credential.username.clone()),
            options: options.clone(),
        }
    }

    fn shown(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        hosts.join(", ")
    }
}

/// Is it a deployment that has transactions?
fn judge(hello: &Document, version: &str, target: &Target) -> Result<()> {
    let unusable = |text: String| Err(StoreError::Unusable(text));
    let shown = target.shown();
    if hello
        .get_i32("maxWireVersion")
        .is_ok_and(|wire| wire < OLDEST)
    {
        return unusable(format!(
            "MongoDB {version} at {shown} is too old: critd needs 6.0 or newer"
        ));
    }
    let router = hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
    match hello.get_str("setName") {
        _ if router => Ok(()),
        Ok(name) => match &target.set {
            Some(wanted) if wanted != name => unusable(format!(
                "the replica set at {shown} is called `{name}`, not `{wanted}`: correct `replicaSet` in the URL of the store"
            )),
            _ => Ok(()),
        },
        Err(_) if hello.get_bool("isreplicaset").is_ok_and(|is| is) => unusable(format!(
            "MongoDB at {shown} is to be part of a replica set that was never made: run `rs.initiate()` there"
        )),
        Err(_) => unusable(format!(
            "MongoDB at {shown} is a single server without transactions: start it with `--replSet NAME` and run `rs.initiate()`, also if it stays alone"
        )),
    }
}

/// What went wrong with the first command.
async fn explain(target: &Target, hidden: &Hidden, options: &Options, error: &Error) -> StoreError {
    let shown = target.shown();
    if let Some(refusal) = refusal(target, error) {
        return StoreError::Unusable(refusal);
    }
    if let ErrorKind::ServerSelection { .. } = error.kind.as_ref() {
        // Who is there, if anybody? The driver only says that nobody suits.
        for host in &target.hosts {
            if let Some(hello) = ask_directly(target, host, options.find_server).await {
                if let Err(error) = judge(&hello, "of this version", target) {
                    return error;
                }
                return StoreError::Unavailable(format!(
                    "the replica set at {shown} has no primary at the moment"
                ));
            }
        }
        return StoreError::Unavailable(match target.options.tls {
            Some(Tls::Enabled(_)) => format!(
                "nobody answers as MongoDB with TLS at {shown}: does it run, is the address in the URL right, and its certificate trusted (`tlsCAFile`)?"
            ),
            _ => format!(
                "nobody answers as MongoDB at {shown}: does it run, and is the address in the URL right?"
            ),
        });
    }
    StoreError::Unavailable(hidden.clean(&format!("MongoDB at {shown}: {}", said(error))))
}

/// The text for a log-in that is refused.
fn refusal(target: &Target, error: &Error) -> Option<String> {
    let refused = matches!(error.kind.as_ref(), ErrorKind::Authentication { .. })
        || code_of(error) == Some(AUTHENTICATION_FAILED);
    let shown = target.shown();
    if refused {
        let user = target.user.as_deref().unwrap_or_default();
        return Some(format!(
            "MongoDB at {shown} refuses the user `{user}`: wrong name or password, or `authSource` in the URL is not the database that has the user"
        ));
    }
    if code_of(error) != Some(UNAUTHORIZED) {
        return None;
    }
    Some(match &target.user {
        Some(user) => format!(
            "the user `{user}` may not use the database `{}` of MongoDB at {shown}: grant the role `readWrite` on it",
            target.database
        ),
        None => format!("MongoDB at {shown} wants a user and a password in the URL of the store"),
    })
}

/// What one node says of itself.
async fn ask_directly(
    target: &Target,
    host: &ServerAddress,
    longest: Duration,
) -> Option<Document> {
    let mut options = target.options.clone();
    options.hosts = vec![host.clone()];
    options.direct_connection = Some(true);
    options.repl_set_name = None;
    options.credential = None;
    options.server_selection_timeout = Some(longest);
    options.connect_timeout = Some(longest);
    let client = Client::with_options(options).ok()?;
    let hello = client
        .database("admin")
        .run_command(doc! { "hello": 1 })
        .await
        .ok();
    client.shutdown().immediate(true).await;
    hello
}

/// Parts of a URL that nobody may read.
struct Hidden(Vec<String>);

impl Hidden {
    /// Everything before the last `@`, also where the URL is written wrongly.
    fn of(url: &str) -> Self {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let Some((user, _)) = rest.rsplit_once('@') else {
            return Self(Vec::new());
        };
        let secret = user.split_once(':').map_or(user, |(_, secret)| secret);
        let decoded = percent_encoding::percent_decode_str(secret)
            .decode_utf8_lossy()
            .into_owned();
        let mut parts = vec![secret.to_owned(), decoded];
        let pieces = secret.split(['@', ':', '/', '?', '%', '#']);
        parts.extend(
            pieces
                .filter(|piece| piece.len() > 2)
                .map(ToOwned::to_owned),
        );
        parts.retain(|part| !part.is_empty());
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        Self(parts)
    }

    fn clean(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, part| {
            text.replace(part.as_str(), "…")
        })
    }
}

/// A URL without its password, to be shown.
#[must_use]
pub fn shown_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "…".to_owned();
    };
    match rest.rsplit_once('@') {
        Some((user, place)) => {
            let user = user.split_once(':').map_or("…", |(user, _)| user);
            format!("{scheme}://{user}:…@{place}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn target(url: &str) -> Target {
        Target::of(&ClientOptions::parse(url).await.unwrap())
    }

    #[tokio::test]
    async fn deployments_without_transactions_are_refused_with_what_to_do() {
        let plain = target("mongodb://h:1/").await;
        let named = target("mongodb://h:1,i:2/?replicaSet=rs").await;
        let cases = [
            (
                doc! { "maxWireVersion": 13, "setName": "rs" },
                &plain,
                "MongoDB 5.0.9 at h:1 is too old: critd needs 6.0 or newer",
            ),
            (
                doc! { "maxWireVersion": 17, "isWritablePrimary": true },
                &plain,
                "MongoDB at h:1 is a single server without transactions: start it with `--replSet NAME` and run `rs.initiate()`, also if it stays alone",
            ),
            (
                doc! { "maxWireVersion": 17, "isreplicaset": true },
                &plain,
                "MongoDB at h:1 is to be part of a replica set that was never made: run `rs.initiate()` there",
            ),
            (
                doc! { "maxWireVersion": 17, "setName": "other" },
                &named,
                "the replica set at h:1, i:2 is called `other`, not `rs`: correct `replicaSet` in the URL of the store",
            ),
        ];
        for (hello, target, wanted) in cases {
            let refusal = judge(&hello, "5.0.9", target).unwrap_err();
            assert_eq!(refusal.to_string(), wanted);
        }
        for hello in [
            doc! { "maxWireVersion": 17, "setName": "rs" },
            doc! { "maxWireVersion": 21, "msg": "isdbgrid" },
        ] {
            judge(&hello, "6.0.5", &named).unwrap();
        }
    }

    #[test]
    fn passwords_are_hidden_even_in_urls_that_are_written_wrongly() {
        for url in [
            "mongodb://me:geheim@h/",
            "mongodb://me:ge/he@im@h/",
            "mongodb://me:ge%2Fheim@h/",
            "geheim@h",
        ] {
            let hidden = Hidden::of(url);
            let shown = hidden.clean(&format!("bad: {url} geheim ge/heim"));
            for secret in ["geheim", "ge/he@im", "ge%2Fheim"] {
                assert!(
                    !url.contains(secret) || !shown.contains(secret),
                    "{url}: {shown}"
                );
            }
            assert!(!shown_url(url).contains("he"), "{}", shown_url(url));
        }
        assert_eq!(
            shown_url("mongodb://me:x@h:1/db?a=b"),
            "mongodb://me:…@h:1/db?a=b"
        );
        assert_eq!(shown_url("mongodb://h:1/db"), "mongodb://h:1/db");
    }
}
