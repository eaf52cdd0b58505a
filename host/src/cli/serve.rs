//! The server: opens the store, starts the plugins, answers requests until it is told to stop.

use std::future::Future;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::grammar::LogFormat;
use super::options::Options;
use super::place::Place;
use super::{Failure, plugin};
use crate::access::Access;
use crate::api;
use crate::plugins::{self, Plugins, Services};
use crate::registers::Registers;
use crate::store::Store;

/// How long requests under way may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(20);

/// How often what nobody needs any more is looked for.
const TIDY: Duration = Duration::from_secs(60 * 60);

/// Opens the store, starts the plugins and serves until the process is told to stop.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    start_log(options.log_format, &options.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let place = Place {
            data: options.data.clone(),
            store: options.store.clone(),
        };
        let store = place.open_to_serve().await?;
        let done = serve(Arc::clone(&store), place.state()?, options).await;
        store.close().await?;
        tracing::info!("stopped");
        done
    })
}

async fn serve(store: Arc<dyn Store>, folder: &Path, options: &Options) -> Result<(), Failure> {
    let services = Services {
        access: Arc::new(Access::new(Arc::clone(&store))),
        registers: Arc::new(Registers::new(Arc::clone(&store))),
        store,
    };
    if !services.registers.current().await?.is_on("enable_api") {
        tracing::warn!(
            "the API is off: every path below /api/ answers 404; `critd set enable_api=true` switches it on at once"
        );
    }
    // Heard from here on, so that a stop during the start is not lost.
    let stop = told_to_stop()?;
    let listener = bind(&options.listen).await?;
    let state = plugin::state_folder(folder);
    let setup = plugins::Options {
        directory: options.plugins.clone(),
        manifest: options.manifest.clone(),
        state,
        compile_cache: options.compile_cache.clone(),
        permits: None,
        is_alone: options.store.is_none(),
    };
    let plugins = Plugins::start(services.clone(), setup)
        .await
        .map_err(|error| Failure::refused(error.to_string()))?;
    let plugins = Arc::new(plugins);
    let tidying = tokio::spawn(tidy(Arc::clone(&plugins)));
    let running = tokio::spawn(Arc::clone(&plugins).run_tasks());
    let api = api::State::new(Arc::clone(&plugins), &services).below(&options.prefix);
    let router = api::router(api);
    let done = answer(listener, router, options.port_file.as_deref(), async {
        let signal = stop.await;
        tracing::info!(signal, "stopping: requests under way are finished");
    })
    .await;
    tidying.abort();
    plugins.stop_tasks();
    if let Err(error) = running.await {
        tracing::error!("what runs analysis services broke: {error}");
    }
    done
}

/// Removes, from time to time, what nobody needs any more: files that no document came to refer to, keys of requests that
/// are honoured no longer, notifications of long ago.
async fn tidy(plugins: Arc<Plugins>) {
    loop {
        tokio::time::sleep(TIDY).await;
        for (what, removed) in [
            ("files without a document", plugins.sweep_files().await),
            ("keys of requests", plugins.forget_request_keys().await),
            ("old notifications", plugins.forget_notifications().await),
        ] {
            match removed {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, what, "removed"),
                Err(error) => tracing::warn!(%error, what, "could not be looked for"),
            }
        }
    }
}

/// Sends the log to standard error. In one process only the first call has an effect.
fn start_log(format: LogFormat, filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|error| Failure::refused(format!("`{filter}` is no log filter: {error}")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // An error here says that there is a log already.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// Opens the socket. Port 0: a free one.
async fn bind(listen: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(listen).await.map_err(|error| {
        Failure::with_hint(
            format!("can't listen on {listen}: {error}"),
            "`--listen 127.0.0.1:0` picks a free port",
        )
    })
}

/// Writes `host:port` so that nobody ever reads half of it.
fn write_port_file(file: &Path, address: SocketAddr) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::refused(format!("the port file {}: {error}", file.display()))
    };
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut fresh = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut fresh, format!("{address}\n").as_bytes()).map_err(failed)?;
    fresh.persist(file).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Resolves when the process is asked to end, to the name of the signal; signals count from the call on.
fn told_to_stop() -> Result<impl Future<Output = &'static str>, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

/// Answers requests until `stop` resolves and those under way are done, or the grace period is over.
async fn answer(
    listener: TcpListener,
    router: Router,
    port_file: Option<&Path>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let address = listener.local_addr()?;
    let (close, closing) = tokio::sync::oneshot::channel::<()>();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async {
        let _ = closing.await;
    });
    let mut serving = tokio::spawn(server.into_future());
    if let Some(file) = port_file {
        write_port_file(file, address)?;
    }
    tracing::info!(%address, "serving");
    stop.await;
    let _ = close.send(());
    let ended = tokio::time::timeout(GRACE, &mut serving).await;
    if let Some(file) = port_file {
        // Who reads it from now on would look for a server that is not there.
        let _ = std::fs::remove_file(file);
    }
    match ended {
        Ok(Ok(result)) => result.map_err(Failure::from),
        Ok(Err(error)) => Err(Failure::refused(format!("the server broke: {error}"))),
        Err(_) => {
            tracing::warn!(
                seconds = GRACE.as_secs(),
                "some requests did not end in time; they are given up"
            );
            serving.abort();
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;

    use super::*;

    async fn ask(address: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream
            .write_all(
                format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes(),
            )
            .await
            .expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("received");
        text
    }

    async fn port(file: &Path) -> String {
        loop {
            if let Ok(text) = std::fs::read_to_string(file) {
                return text.trim_end().to_owned();
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_port_file_has_an_address_that_answers_and_a_stop_lets_requests_finish() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("port");
        let (begun, go_on, stop) = (
            Arc::new(Notify::new()),
            Arc::new(Notify::new()),
            Arc::new(Notify::new()),
        );
        let (in_handler, awaited) = (Arc::clone(&begun), Arc::clone(&go_on));
        let slow = move || {
            let (begun, go_on) = (Arc::clone(&in_handler), Arc::clone(&awaited));
            async move {
                begun.notify_one();
                go_on.notified().await;
                "late"
            }
        };
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/slow", get(slow));
        let listener = bind("127.0.0.1:0").await.expect("bound");
        let (path, told) = (file.clone(), Arc::clone(&stop));
        let server =
            tokio::spawn(
                async move { answer(listener, router, Some(&path), told.notified()).await },
            );
        let address = port(&file).await;
        assert!(
            address.starts_with("127.0.0.1:") && !address.ends_with(":0"),
            "{address}"
        );
        assert!(ask(&address, "/").await.ends_with("here"));
        let at = address.clone();
        let late = tokio::spawn(async move { ask(&at, "/slow").await });
        begun.notified().await;
        stop.notify_one();
        // The server has heard of the stop when the file is gone or it refuses; the request under way still gets its answer.
        go_on.notify_one();
        assert!(late.await.expect("task").ends_with("late"));
        server.await.expect("task").expect("stopped");
        assert!(!file.exists());
        assert!(TcpStream::connect(&address).await.is_err());
    }

    #[tokio::test]
    async fn an_address_in_use_is_said() {
        let first = bind("127.0.0.1:0").await.expect("bound");
        let address = first.local_addr().expect("address").to_string();
        let Err(Failure::Refused { message, hint }) = bind(&address).await else {
            panic!("bound twice")
        };
        assert_eq!(
            message,
            format!("can't listen on {address}: Address already in use (os error 98)")
        );
        assert_eq!(
            hint.as_deref(),
            Some("`--listen 127.0.0.1:0` picks a free port")
        );
    }

    #[test]
    fn a_bad_log_filter_is_said() {
        let Err(Failure::Refused { message, .. }) = start_log(LogFormat::Text, "critd=loud") else {
            panic!("accepted")
        };
        assert_eq!(
            message,
            "`critd=loud` is no log filter: error parsing level filter: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5"
        );
    }

    #[test]
    fn a_port_file_that_cannot_be_written_is_said() {
        let Err(Failure::Refused { message, .. }) = write_port_file(
            Path::new("/no/such/folder/port"),
            "127.0.0.1:1".parse().expect("address"),
        ) else {
            panic!("written");
        };
        assert!(
            message.starts_with("the port file /no/such/folder/port: No such file or directory"),
            "{message}"
        );
    }
}
