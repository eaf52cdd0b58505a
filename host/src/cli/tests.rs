//! Commands on a real store, with what they print.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::path::Path;

use super::output::Terminal;
use super::run;
use crate::store::sqlite::{Options, SqliteStore};

/// Exit code, standard output, standard error.
type Answer = (u8, String, String);

fn critd_with(input: &str, arguments: &[&str]) -> Answer {
    let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), input.as_bytes());
    let arguments = std::iter::once("critd")
        .chain(arguments.iter().copied())
        .map(OsString::from);
    let code = run(
        arguments,
        &mut Terminal::new(&mut out, &mut err, &mut input),
    );
    (
        code,
        String::from_utf8(out).expect("text"),
        String::from_utf8(err).expect("text"),
    )
}

fn critd(arguments: &[&str]) -> Answer {
    critd_with("", arguments)
}

/// A store of its own.
struct Site(tempfile::TempDir);

impl Site {
    fn fresh() -> Self {
        let site = Self(tempfile::tempdir().expect("folder"));
        let (code, out, err) = site.critd(&["init"]);
        assert_eq!((code, out.as_str()), (0, ""), "{err}");
        site
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn critd(&self, arguments: &[&str]) -> Answer {
        self.critd_with("", arguments)
    }

    fn critd_with(&self, input: &str, arguments: &[&str]) -> Answer {
        let folder = self.folder().to_str().expect("path");
        critd_with(input, &[&["--data", folder], arguments].concat())
    }

    /// A command that is done: what it printed.
    fn done(&self, arguments: &[&str]) -> (String, String) {
        let (code, out, err) = self.critd(arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        (out, err)
    }

    fn says(&self, arguments: &[&str], message: &str) {
        assert_eq!(
            self.done(arguments),
            (String::new(), message.to_owned()),
            "{arguments:?}"
        );
    }

    fn prints(&self, arguments: &[&str], data: &str) {
        assert_eq!(
            self.done(arguments),
            (data.to_owned(), String::new()),
            "{arguments:?}"
        );
    }

    fn refuses(&self, arguments: &[&str], message: &str) {
        assert_eq!(
            self.critd(arguments),
            (1, String::new(), message.to_owned()),
            "{arguments:?}"
        );
    }
}

#[test]
fn init_says_what_to_do_next_and_may_be_repeated() {
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path().join("new/data");
    let data = data.to_str().expect("path");
    let (code, out, err) = critd(&["--data", data, "init"]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert_eq!(
        err,
        format!(
            "Made a store in {data} with the roles UberAdmin, Read Only, Analyst\n\
             hint: next: `critd user add NAME --role UberAdmin`, `critd source add NAME`, `critd key add NAME`, `critd set enable_api=true`\n"
        )
    );
    let (code, _, err) = critd(&["--data", data, "init"]);
    assert_eq!(
        (code, err),
        (
            0,
            format!("There is a store in {data} already; what was missing has been added\n")
        )
    );
}

#[test]
fn a_missing_store_is_refused_with_the_command_that_makes_one() {
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path().join("none");
    let data = data.to_str().expect("path");
    for command in [&["source", "list"][..], &["serve"], &["get"]] {
        let (code, out, err) = critd(&[&["--data", data], command].concat());
        assert_eq!((code, out), (1, String::new()));
        assert_eq!(
            err,
            format!(
                "error: there is no store in {data}\nhint: `critd --data {data} init` makes one\n"
            )
        );
    }
    assert!(!Path::new(data).exists());
}

#[test]
fn usage_errors_have_exit_code_2() {
    for wrong in [
        &[][..],
        &["nonsense"],
        &["source", "add"],
        &["user", "set", "alice"],
        &["role", "set", "r"],
        &["role", "set", "r", "--active", "perhaps"],
        &["role", "source", "r", "A", "--tlp", "white"],
        &["key", "add", "u", "--expires", "tomorrow"],
        &["key", "add", "u", "--from", "10.0.0.0/40"],
        &["register", "add", "source", "A"],
        &["register", "list", "nothing"],
        &["set"],
        &["set", "enable_api"],
        &["backup", "x"],
    ] {
        let (code, out, err) = critd(&[&["--data", "/nowhere"], wrong].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{wrong:?}");
        assert!(!err.is_empty());
    }
    let (_, _, err) = critd(&["--data", "/nowhere", "set", "enable_api"]);
    assert!(err.starts_with("error: invalid value 'enable_api' for '<KEY=VALUE>...': settings are written KEY=VALUE\n"), "{err}");
    let (_, _, err) = critd(&["key", "add", "u", "--from", "x"]);
    assert!(err.starts_with("error: invalid value 'x' for '--from <CIDR,…>': `x` is not a network such as 10.0.0.0/8 or 2001:db8::/32\n"), "{err}");
}

#[test]
fn help_and_version_are_data() {
    let (code, out, err) = critd(&["--version"]);
    assert_eq!(
        (code, out, err.as_str()),
        (0, format!("critd {}\n", env!("CARGO_PKG_VERSION")), "")
    );
    let (code, out, _) = critd(&["--help"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("Exit codes: 0 done, 1 refused or failed, 2 usage."),
        "{out}"
    );
}

#[test]
fn sources() {
    let site = Site::fresh();
    site.prints(&["source", "list"], "");
    site.says(
        &["source", "add", "Beta", "Alpha"],
        "Added the source `Beta`\nAdded the source `Alpha`\n",
    );
    site.says(
        &["source", "add", "Alpha"],
        "There is a source `Alpha` already\n",
    );
    site.prints(&["source", "list"], "Alpha\nBeta\n");
    site.prints(
        &["source", "list", "--json"],
        "[\n  \"Alpha\",\n  \"Beta\"\n]\n",
    );
    site.refuses(
        &["source", "add", " x"],
        "error: \" x\" is not a name: 1 to 200 characters, no blanks around it\n",
    );
}

#[test]
fn users() {
    let site = Site::fresh();
    site.says(&["user", "add", "bob"], "Added the user `bob`\nhint: without a role it may do nothing: `critd user set bob --role R`\n");
    site.says(
        &[
            "user",
            "add",
            "alice",
            "--role",
            "Analyst",
            "--role",
            "Read Only",
            "--organization",
            "Org",
        ],
        "Added the user `alice`\nhint: `critd key add alice` makes an API key\n",
    );
    site.refuses(
        &["user", "add", "alice"],
        "error: there is a user `alice` already\nhint: `critd user set` changes one\n",
    );
    site.refuses(
        &["user", "add", "a b"],
        "error: `a b` is not a user name: 1 to 30 letters, digits and `@ . + - _`\n",
    );
    site.refuses(
        &["user", "add", "carl", "--role", "Nobody"],
        "error: there is no role `Nobody`\nhint: `critd role list` shows the roles, `critd role add` makes one\n",
    );
    site.refuses(&["user", "set", "carl", "--role", "Analyst"], "error: there is no user `carl`\nhint: `critd user list` shows the users, `critd user add` makes one\n");
    site.says(
        &["user", "set", "bob", "--role", "Analyst"],
        "Changed the user `bob`\n",
    );
    site.says(
        &["user", "deactivate", "bob"],
        "The user `bob` is locked out from the next request on\n",
    );
    site.says(
        &["user", "deactivate", "bob"],
        "The user `bob` was locked out already\n",
    );
    site.prints(
        &["user", "list"],
        "USER   ACTIVE  KEYS  ORGANIZATION  ROLES\nalice  yes     0     Org           Analyst, Read Only\nbob    no      0     My Company    Analyst\n",
    );
    site.says(
        &["user", "activate", "bob"],
        "The user `bob` is let in again\n",
    );
    site.says(
        &["user", "activate", "bob"],
        "The user `bob` was let in already\n",
    );
    let (out, _) = site.done(&["--json", "user", "list"]);
    let listed: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        listed[1],
        serde_json::json!({"name": "bob", "active": true, "organization": "My Company", "roles": ["Analyst"], "keys": []})
    );
}

#[test]
fn passwords_come_from_standard_input_and_are_not_kept() {
    let site = Site::fresh();
    let (code, _, err) = site.critd_with("", &["user", "add", "alice", "--password-stdin"]);
    assert_eq!(
        (code, err.as_str()),
        (
            1,
            "error: there is no password on standard input; nothing was changed\n"
        )
    );
    let (code, _, err) = site.critd_with(
        &"x".repeat(5_000),
        &["user", "add", "alice", "--password-stdin"],
    );
    assert_eq!(
        (code, err.as_str()),
        (
            1,
            "error: the password is longer than 4,096 bytes; nothing was changed\n"
        )
    );
    let (code, out, _) = site.critd_with(
        "correct horse\n",
        &["user", "add", "alice", "--password-stdin"],
    );
    assert_eq!((code, out.as_str()), (0, ""));
    let (code, ..) = site.critd_with(
        "battery staple\n",
        &["user", "set", "alice", "--password-stdin"],
    );
    assert_eq!(code, 0);
    let bytes = std::fs::read(site.folder().join("critd.db")).expect("file");
    let contains = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(contains(b"pbkdf2_sha256$600000$"));
    assert!(!contains(b"correct horse") && !contains(b"battery staple"));
}

#[test]
fn roles() {
    let site = Site::fresh();
    site.done(&["source", "add", "Alpha"]);
    site.says(
        &["role", "add", "feeds"],
        "Added the role `feeds`; it allows nothing yet\nhint: `critd role grant` gives it flags (`api_interface` to use the API), `critd role source` gives it sources\n",
    );
    site.refuses(
        &["role", "add", "feeds"],
        "error: there is a role `feeds` already\n",
    );
    site.says(
        &["role", "grant", "feeds", "api_interface", "Domain.write", "Botnet.read"],
        "The role `feeds` allows `Botnet.read` now\nThe role `feeds` allows `Domain.write` now\nThe role `feeds` allows `api_interface` now\n\
         note: `Botnet.read` is none of the usual flags; it has an effect only if a plugin asks for it\n",
    );
    site.says(
        &["role", "grant", "feeds", "Domain.write"],
        "The role `feeds` allows `Domain.write` anyway\n",
    );
    site.refuses(
        &["role", "grant", "feeds", "Domain.read", "tickets_add"],
        "error: `tickets_add` is not a flag; nothing was changed\n\
         hint: flags are written `Type.flag` (`Domain.read`) or are general ones (`api_interface`); `critd role show UberAdmin` lists them all\n",
    );
    site.says(&["role", "revoke", "feeds", "Botnet.read"], "The role `feeds` does not allow `Botnet.read` now\nnote: `Botnet.read` is none of the usual flags; it has an effect only if a plugin asks for it\n");
    site.says(
        &[
            "role",
            "source",
            "feeds",
            "Alpha",
            "--read",
            "--write",
            "--tlp",
            "red,green",
        ],
        "The role `feeds` allows on the source `Alpha`: read, write, tlp red,green\n",
    );
    site.refuses(
        &["role", "source", "feeds", "Beta", "--read"],
        "error: there is no source `Beta`\nhint: `critd source add \"Beta\"` adds it\n",
    );
    site.prints(&["role", "show", "feeds"], "feeds: active\nsources:\n  Alpha: read, write, tlp red,green\nflags:\n  Domain.write\n  api_interface\n");
    site.says(
        &["role", "source", "feeds", "Alpha", "--tlp", "red"],
        "The role `feeds` allows on the source `Alpha`: tlp red\nhint: TLPs have no effect without `--read`\n",
    );
    site.says(
        &["role", "source", "feeds", "Alpha"],
        "The role `feeds` allows on the source `Alpha`: nothing but what is TLP white\n",
    );
    site.says(
        &["role", "set", "feeds", "--active", "off"],
        "The role `feeds` allows nothing any more\n",
    );
    site.prints(
        &["role", "show", "feeds", "--json"],
        "{\n  \"name\": \"feeds\",\n  \"active\": false,\n  \"description\": \"\",\n  \"all_sources\": false,\n  \"sources\": [\n    {\n      \"name\": \"Alpha\",\n      \
         \"read\": false,\n      \"write\": false,\n      \"tlp\": []\n    }\n  ],\n  \"flags\": [\n    \"Domain.write\",\n    \"api_interface\"\n  ]\n}\n",
    );
    site.says(
        &["role", "set", "feeds", "--active", "on"],
        "The role `feeds` counts\n",
    );
    let (out, _) = site.done(&["role", "list"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "ROLE       ACTIVE  FLAGS  SOURCES  DESCRIPTION");
    assert_eq!(
        lines[1],
        "Analyst    yes     687    0        May do everything to objects except delete; add sources."
    );
    assert_eq!(lines[4], "feeds      yes     2      1");
    site.refuses(
        &["role", "revoke", "UberAdmin", "Domain.read"],
        "error: the role `UberAdmin` can't be edited\nhint: make a role of your own with `critd role add NAME`\n",
    );
    for command in [
        &["role", "set", "UberAdmin", "--active", "off"][..],
        &["role", "source", "UberAdmin", "Alpha"],
    ] {
        assert_eq!(site.critd(command).0, 1, "{command:?}");
    }
    site.refuses(&["role", "show", "none"], "error: there is no role `none`\nhint: `critd role list` shows the roles, `critd role add` makes one\n");
}

const VALUE: &str = "00112233445566778899aabbccddeeff00112233";

#[test]
fn keys() {
    let site = Site::fresh();
    site.done(&["user", "add", "alice"]);
    let (out, err) = site.done(&["key", "add", "alice"]);
    assert!(
        crate::access::keys::is_well_formed(out.trim_end()) && out.len() == 41,
        "{out:?}"
    );
    assert_eq!(
        err,
        "Made the key `default` of `alice`; it can't be shown again\n"
    );
    site.refuses(&["key", "add", "alice"], "error: `alice` has a key `default` already\nhint: choose another with `--name`, or revoke that one\n");
    let given = [
        "key",
        "add",
        "alice",
        "--name",
        "feed",
        "--value",
        VALUE,
        "--expires",
        "2999-01-31T00:00:00Z",
        "--read-only",
        "--from",
        "10.1.2.3/8,192.0.2.7",
    ];
    assert_eq!(site.done(&given).0, format!("{VALUE}\n"));
    for wrong in ["00", &VALUE.to_uppercase()] {
        let (code, out, err) =
            site.critd(&["key", "add", "alice", "--name", "x", "--value", wrong]);
        assert_eq!(
            (code, out.as_str(), err.as_str()),
            (
                1,
                "",
                "error: the value of a key is 40 lower-case hex digits\n"
            )
        );
    }
    site.refuses(
        &["key", "add", "alice", "--name", "x", "--value", VALUE],
        "error: `alice` has a key with this value already\n",
    );
    site.refuses(&["key", "add", "nobody"], "error: there is no user `nobody`\nhint: `critd user list` shows the users, `critd user add` makes one\n");
    site.refuses(
        &[
            "key",
            "add",
            "alice",
            "--name",
            "x",
            "--expires",
            "2001-01-31T00:00:00Z",
        ],
        "error: the key would have expired already\n",
    );
    let (out, _) = site.done(&["key", "list", "alice"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[0],
        "KEY      MADE                  DEFAULT  EXPIRES               MAY          FROM"
    );
    assert!(
        lines[1].starts_with("default  20")
            && lines[1].ends_with("Z  yes      -                     read, write  -"),
        "{out}"
    );
    assert!(
        lines[2]
            .ends_with("Z  no       2999-01-31T00:00:00Z  read         10.0.0.0/8, 192.0.2.7/32"),
        "{out}"
    );
    let (json, _) = site.done(&["key", "list", "alice", "--json"]);
    assert!(!json.contains("sha256") && !json.contains(VALUE), "{json}");
    site.says(
        &["key", "default", "alice", "feed"],
        "The default key of `alice` is `feed` now\n",
    );
    site.says(
        &["key", "revoke", "alice", "feed"],
        "Revoked the key `feed` of `alice`\nThe default is `default` now\n",
    );
    site.refuses(
        &["key", "revoke", "alice", "feed"],
        "error: Key not found.\nhint: `critd key list alice` shows the keys\n",
    );
    site.refuses(
        &["key", "default", "alice", "feed"],
        "error: Key not found.\nhint: `critd key list alice` shows the keys\n",
    );
    let (json, _) = site.done(&[
        "--json",
        "key",
        "add",
        "alice",
        "--name",
        "new",
        "--read-only",
    ]);
    let made: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (
            &made["user"],
            &made["name"],
            &made["default"],
            &made["read_only"]
        ),
        (&"alice".into(), &"new".into(), &false.into(), &true.into())
    );
    assert_eq!(made["key"].as_str().map(str::len), Some(40));
}

#[test]
fn registers() {
    let site = Site::fresh();
    site.prints(&["register", "list", "raw-data-type"], "JSON\nText\n");
    site.prints(
        &["register", "list", "signature-type"],
        "Bro\nSnort\nYara\n",
    );
    site.prints(
        &["register", "list", "identifier-type"],
        "Domain\nEmail Address\nHandle\nIPv4 Address\nTelephone\n",
    );
    site.prints(
        &["register", "list", "action-type"],
        "Blocked Outbound At Desktop Firewall\nBlocked Outbound At Firewall\n",
    );
    site.prints(&["register", "list", "signature-dependency"], "");
    assert_eq!(
        site.done(&["register", "list", "location"])
            .0
            .lines()
            .count(),
        250
    );
    site.says(
        &["register", "add", "raw-data-type", "YAML"],
        "Added `YAML` to the register `raw-data-type`\n",
    );
    site.says(
        &["register", "add", "raw-data-type", "YAML"],
        "The register `raw-data-type` has `YAML` already\n",
    );
    site.prints(&["register", "list", "raw-data-type"], "JSON\nText\nYAML\n");
    // A second `init` does not bring back what is not wanted, nor doubles what is there.
    site.done(&["init"]);
    site.prints(&["register", "list", "raw-data-type"], "JSON\nText\nYAML\n");
}

#[test]
fn suffix_lists() {
    let site = Site::fresh();
    let file = site.folder().join("list.dat");
    let path = file.to_str().expect("path");
    std::fs::write(&file, "com\nco.example\n").expect("written");
    site.says(
        &["register", "load-suffixes", path],
        &format!("Loaded 2 public suffixes from {path}; a running server uses them from the next request on\n"),
    );
    std::fs::write(&file, "<html>\n").expect("written");
    site.refuses(
        &["register", "load-suffixes", path],
        "error: not a public suffix list: line 1: `<html>` is not a rule\n",
    );
    site.refuses(
        &["register", "load-suffixes", "/no/such/file"],
        "error: /no/such/file: No such file or directory (os error 2)\n",
    );
}

#[test]
fn settings() {
    let site = Site::fresh();
    site.prints(&["get", "enable_api"], "false\n");
    site.says(
        &["set", "enable_api=yes", "api_max_limit=50"],
        "api_max_limit = 50\nenable_api = true\n",
    );
    site.prints(&["get", "enable_api"], "true\n");
    site.says(
        &["set", "zip7_password=geheim"],
        "zip7_password = (not shown)\n",
    );
    site.prints(&["get", "zip7_password"], "(not shown)\n");
    site.refuses(
        &["set", "debug=true", "post_created_status=204"],
        "error: `post_created_status` takes one of 200, 201, not `204`; nothing was changed\n",
    );
    site.prints(&["get", "debug"], "false\n");
    site.refuses(&["set", "colour=blue"], "error: there is no setting `colour`; nothing was changed\nhint: `critd get` lists the settings\n");
    site.refuses(
        &["get", "colour"],
        "error: there is no setting `colour`\nhint: `critd get` lists the settings\n",
    );
    let (out, _) = site.done(&["get"]);
    assert!(out.contains("\nenable_api                 true         set      answer below /api/; takes effect at once\n"), "{out}");
    assert!(!out.contains("geheim"), "{out}");
    let (out, _) = site.done(&["get", "zip7_password", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (&value["value"], &value["origin"]),
        (&serde_json::Value::Null, &"set".into())
    );
}

#[test]
fn a_second_server_on_one_store_is_refused() {
    let site = Site::fresh();
    let store = SqliteStore::open(site.folder(), Options::default()).expect("store");
    store.lock_exclusively().expect("lock");
    let (code, out, err) = site.critd(&["serve", "--listen", "127.0.0.1:0", "--log", "off"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(
        err,
        format!(
            "error: another critd serves {} already\n",
            site.folder().display()
        )
    );
    // Commands go on working beside it.
    site.says(&["source", "add", "A"], "Added the source `A`\n");
}

/// Sends SIGTERM to this process when dropped, also by a failed assertion. Only for a time when a server listens for it.
struct Terminate;

impl Drop for Terminate {
    fn drop(&mut self) {
        let _ = std::process::Command::new("kill")
            .args(["-TERM", &std::process::id().to_string()])
            .status();
    }
}

/// Status line and body of a GET.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = std::net::TcpStream::connect(address).expect("connected");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("received");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    (
        head.lines().next().unwrap_or_default().to_owned(),
        body.to_owned(),
    )
}

#[test]
fn k12_serve_is_off_until_enabled_and_sigterm_ends_it_with_exit_code_0() {
    let site = Site::fresh();
    let at = |name: &str| site.folder().join(name).to_str().expect("path").to_owned();
    std::fs::create_dir(at("wasm")).expect("folder");
    std::fs::write(at("manifest.toml"), "").expect("written");
    let (port, manifest, wasm) = (at("port"), at("manifest.toml"), at("wasm"));
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--log",
        "off",
        "--port-file",
        &port,
        "--manifest",
        &manifest,
        "--plugins",
        &wasm,
    ];
    std::thread::scope(|scope| {
        // The port file is written after the server listens for signals.
        let server = scope.spawn(|| site.critd(&serve));
        let address = loop {
            match std::fs::read_to_string(&port) {
                Ok(text) => break text.trim_end().to_owned(),
                Err(_) => assert!(!server.is_finished(), "the server ended"),
            }
            std::thread::yield_now();
        };
        let stop = Terminate;
        assert_eq!(get(&address, "/api/v1/").0, "HTTP/1.1 404 Not Found");
        site.done(&["set", "enable_api=true"]);
        assert_eq!(get(&address, "/api/v1/").0, "HTTP/1.1 200 OK");
        let (status, body) = get(&address, "/api/v1/events/");
        assert_ne!(status, "HTTP/1.1 200 OK", "{body}");
        let (out, err) = site.done(&["plugin", "list"]);
        assert_eq!(
            (out.as_str(), err.as_str()),
            ("PLUGIN  STATE  VERSION  TYPES  ACTIONS  WHAT IT IS\n", "")
        );
        site.refuses(
            &["plugin", "show", "none"],
            "error: there is no plugin `none`\nhint: `critd plugin list` shows the plugins\n",
        );
        site.refuses(
            &["plugin", "rollback", "none"],
            "error: no server has loaded plugins here yet\n",
        );
        drop(stop);
        assert_eq!(
            server.join().expect("thread"),
            (0, String::new(), String::new())
        );
        assert!(!Path::new(&port).exists());
    });
}

#[test]
fn plugin_commands_say_what_is_missing() {
    let site = Site::fresh();
    site.refuses(
        &["plugin", "list"],
        "error: no server has loaded plugins here yet\nhint: `critd serve` loads the plugins\n",
    );
    site.refuses(
        &["plugin", "check", "/no/such.wasm"],
        "error: /no/such.wasm: No such file or directory (os error 2)\n",
    );
    let bad = site.folder().join("bad.wasm");
    std::fs::write(&bad, b"not a plugin").expect("written");
    let path = bad.to_str().expect("path");
    let (code, out, err) = site.critd(&["plugin", "check", path]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with(&format!("error: {path}: ")), "{err}");
    let made = site.folder().join("made.wasm");
    let (code, out, err) = critd(&[
        "plugin",
        "build",
        path,
        "--out",
        made.to_str().expect("path"),
    ]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with(&format!("error: {path}: ")), "{err}");
    assert!(!made.exists());
}
