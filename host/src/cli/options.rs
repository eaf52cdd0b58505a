//! What `serve` takes from flags, environment and `critd.toml`, in this order of precedence.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Failure;
use super::grammar::{self, LogFormat, ServeArguments};
use super::place::{Place, StoreUrl};

/// How to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// Folder of the embedded store, or of what lies beside a MongoDB store.
    pub(crate) data: Option<PathBuf>,
    /// URL of a MongoDB store.
    pub(crate) store: Option<StoreUrl>,
    /// `host:port`.
    pub(crate) listen: String,
    /// Path below which the server is mounted; empty: none (rule U7).
    pub(crate) prefix: String,
    /// The manifest.
    pub(crate) manifest: PathBuf,
    /// Folder of the plugins.
    pub(crate) plugins: PathBuf,
    /// Folder of compiled plugins, if not beside the store.
    pub(crate) compile_cache: Option<PathBuf>,
    /// Receives `host:port`.
    pub(crate) port_file: Option<PathBuf>,
    /// Form of the log.
    pub(crate) log_format: LogFormat,
    /// What is logged.
    pub(crate) log: String,
}

/// The file. Relative paths in it start at its folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data: Option<PathBuf>,
    store: Option<StoreUrl>,
    listen: Option<String>,
    prefix: Option<String>,
    manifest: Option<PathBuf>,
    plugins: Option<PathBuf>,
    compile_cache: Option<PathBuf>,
    port_file: Option<PathBuf>,
    log_format: Option<LogFormat>,
    log: Option<String>,
}

const USUAL: &str = "critd.toml";

impl Options {
    /// Puts together what was given. `place`: from flags or the environment.
    ///
    /// # Errors
    ///
    /// The file can't be read or has keys that are not known.
    pub(crate) fn gather(given: ServeArguments, place: Place) -> Result<Self, Failure> {
        let file = match &given.config {
            Some(path) => read(path)?,
            None if Path::new(USUAL).exists() => read(Path::new(USUAL))?,
            None => File::default(),
        };
        let prefix = given.prefix.or(prefix_of(&file)?).unwrap_or_default();
        Ok(Self {
            data: place.data.or(file.data),
            store: place.store.or(file.store),
            listen: given
                .listen
                .or(file.listen)
                .unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
            prefix,
            manifest: given
                .manifest
                .or(file.manifest)
                .unwrap_or_else(|| "plugin-manifest.toml".into()),
            plugins: given
                .plugins
                .or(file.plugins)
                .unwrap_or_else(|| "plugins".into()),
            compile_cache: given.compile_cache.or(file.compile_cache),
            port_file: given.port_file.or(file.port_file),
            log_format: given.log_format.or(file.log_format).unwrap_or_default(),
            log: given.log.or(file.log).unwrap_or_else(|| "info".to_owned()),
        })
    }
}

fn prefix_of(file: &File) -> Result<Option<String>, Failure> {
    let Some(text) = &file.prefix else {
        return Ok(None);
    };
    grammar::prefix(text)
        .map(Some)
        .map_err(|error| Failure::refused(format!("`{text}` is no `prefix`: {error}")))
}

fn read(path: &Path) -> Result<File, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::refused(format!("{}: {error}", path.display())))?;
    let mut file: File = toml::from_str(&text).map_err(|error| {
        // The line at fault is shown, unless it could be one with a password.
        let shown = error.to_string();
        let shown = if shown.contains('@') {
            error.message()
        } else {
            shown.trim_end()
        };
        Failure::refused(format!("{}: {shown}", path.display()))
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for place in [
        &mut file.data,
        &mut file.manifest,
        &mut file.plugins,
        &mut file.compile_cache,
        &mut file.port_file,
    ]
    .into_iter()
    .flatten()
    {
        *place = folder.join(&*place);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(data: Option<&str>) -> Place {
        Place {
            data: data.map(PathBuf::from),
            store: None,
        }
    }

    #[test]
    fn a_mistake_beside_a_password_does_not_show_it() {
        let folder = tempfile::tempdir().expect("folder");
        let config = folder.path().join("c.toml");
        std::fs::write(&config, "stor = \"mongodb://me:geheim@h/\"\n").expect("written");
        let given = ServeArguments {
            config: Some(config.clone()),
            ..ServeArguments::default()
        };
        let Err(Failure::Refused { message, .. }) = Options::gather(given, place(None)) else {
            panic!("accepted");
        };
        assert!(!message.contains("geheim"), "{message}");
        assert!(message.contains("unknown field `stor`"), "{message}");
    }

    #[test]
    fn flags_come_before_the_file_and_the_file_before_the_defaults() {
        let folder = tempfile::tempdir().expect("folder");
        let config = folder.path().join("critd.toml");
        std::fs::write(&config, "listen = \"0.0.0.0:80\"\nplugins = \"wasm\"\ndata = \"/var/lib/critd\"\nprefix = \"crits/\"\nlog_format = \"json\"\n").expect("written");
        let given = ServeArguments {
            listen: Some("127.0.0.1:0".to_owned()),
            config: Some(config),
            ..ServeArguments::default()
        };
        let options = Options::gather(given, place(None)).expect("options");
        assert_eq!(
            options,
            Options {
                data: Some("/var/lib/critd".into()),
                store: None,
                listen: "127.0.0.1:0".to_owned(),
                prefix: "/crits".to_owned(),
                manifest: "plugin-manifest.toml".into(),
                plugins: folder.path().join("wasm"),
                compile_cache: None,
                port_file: None,
                log_format: LogFormat::Json,
                log: "info".to_owned(),
            }
        );
    }

    #[test]
    fn u7_a_prefix_is_a_path_without_escapes() {
        for (given, kept) in [
            ("", ""),
            ("/", ""),
            ("crits", "/crits"),
            ("/a/b-1/", "/a/b-1"),
        ] {
            assert_eq!(grammar::prefix(given).as_deref(), Ok(kept), "{given}");
        }
        for wrong in ["/a//b", "/../a", "a b", "/\u{e9}", "?x", "https://h"] {
            assert!(grammar::prefix(wrong).is_err(), "{wrong}");
        }
        let folder = tempfile::tempdir().expect("folder");
        let config = folder.path().join("c.toml");
        std::fs::write(&config, "prefix = \"a b\"\n").expect("written");
        let given = ServeArguments {
            config: Some(config),
            ..ServeArguments::default()
        };
        let Err(Failure::Refused { message, .. }) = Options::gather(given, place(None)) else {
            panic!("accepted");
        };
        assert_eq!(
            message,
            "`a b` is no `prefix`: a path of letters, digits and -._~, such as /crits, is expected"
        );
    }

    #[test]
    fn op6_the_default_is_loopback() {
        let options =
            Options::gather(ServeArguments::default(), place(Some("d"))).expect("options");
        assert_eq!(options.listen, "127.0.0.1:8080");
    }

    #[test]
    fn an_unknown_key_of_the_file_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        let config = folder.path().join("c.toml");
        std::fs::write(&config, "lisden = \"x\"\n").expect("written");
        let Err(Failure::Refused { message, .. }) = Options::gather(
            ServeArguments {
                config: Some(config.clone()),
                ..ServeArguments::default()
            },
            place(None),
        ) else {
            panic!("accepted");
        };
        assert!(
            message.starts_with(&format!(
                "{}: TOML parse error at line 1, column 1",
                config.display()
            )),
            "{message}"
        );
        assert!(
            message.contains(
                "unknown field `lisden`, expected one of `data`, `store`, `listen`, `prefix`, `manifest`"
            ),
            "{message}"
        );
    }
}
