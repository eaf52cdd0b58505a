//! Plugins change while the server runs: the directory and the manifest are watched, a change is always answered by
//! a full look at everything, loading happens beside the set that serves, and then one pointer is swapped.
//!
//! Whatever is wrong with a new file, the version before keeps serving, across restarts too; the reason is in the log and
//! in the status. A look depends only on what is on disk, never on which events came in which order.

mod archive;
mod declared;
mod facts;
mod keeper;
mod status;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use notify::{EventKind, RecursiveMode, Watcher};

pub use archive::rollback;
pub use declared::declared;
pub use status::{Origin, PluginStatus, Problem, State, Status, read_status};

use self::keeper::Keeper;
use super::registry::Registry;
use super::runtime::SharedRuntime;
use super::{Options, StartError};
use crate::store::Store;

/// How long it has to be quiet after a change.
const QUIET: Duration = Duration::from_millis(50);
/// How long changes may go on before they are looked at nevertheless.
const LONGEST_UNREST: Duration = Duration::from_secs(2);
/// How often everything is looked at without any sign of a change.
const ROUND: Duration = Duration::from_secs(1);

enum Signal {
    Look,
    Stop,
}

/// The thread that watches; ends when this is dropped.
pub(super) struct Watch {
    signals: Sender<Signal>,
    thread: Option<std::thread::JoinHandle<()>>,
    status: Arc<ArcSwap<Status>>,
    _watcher: Option<notify::RecommendedWatcher>,
}

impl Watch {
    /// Loads everything for the first time, then watches. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// The manifest or the state folder can't be used, or the store does not take up the types.
    pub(super) fn begin(
        runtime: SharedRuntime,
        store: Arc<dyn Store>,
        current: Arc<ArcSwap<Registry>>,
        options: Options,
    ) -> Result<Self, StartError> {
        let (signals, received) = channel();
        let watcher = watch(&options, signals.clone());
        let status = Arc::new(ArcSwap::from_pointee(Status::default()));
        let mut keeper = Keeper::new(
            runtime,
            store,
            current,
            options,
            watcher.is_some(),
            status.clone(),
        )?;
        keeper.first_look()?;
        let thread = std::thread::Builder::new()
            .name("critd-plugins".into())
            .spawn(move || keep_looking(&mut keeper, &received))
            .map_err(|error| {
                StartError::Unusable(format!("a thread to watch the plugins: {error}"))
            })?;
        Ok(Self {
            signals,
            thread: Some(thread),
            status,
            _watcher: watcher,
        })
    }

    /// The plugins as they were last seen.
    pub(super) fn status(&self) -> Arc<Status> {
        self.status.load_full()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Not waited for: it may be compiling.
        let _ = self.signals.send(Signal::Stop);
        drop(self.thread.take());
    }
}

/// None: the system can't watch; then the regular rounds find every change.
fn watch(options: &Options, signals: Sender<Signal>) -> Option<notify::RecommendedWatcher> {
    let manifest = options.manifest.file_name().map(ToOwned::to_owned);
    let concerns = move |event: &notify::Event| {
        let told = |path: &std::path::PathBuf| {
            path.extension()
                .is_some_and(|extension| extension == "wasm")
                || path.file_name() == manifest.as_deref()
        };
        !matches!(event.kind, EventKind::Access(_))
            && (event.paths.is_empty() || event.paths.iter().any(told))
    };
    let handler = move |event: notify::Result<notify::Event>| {
        if event.map_or(true, |event| concerns(&event)) {
            // The thread may have ended.
            let _ = signals.send(Signal::Look);
        }
    };
    let mut watcher = match notify::recommended_watcher(handler) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(
                "the plugin directory can't be watched and is looked at every second: {error}"
            );
            return None;
        }
    };
    let parent = options
        .manifest
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    for folder in [options.directory.as_path(), parent] {
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            tracing::warn!(
                "{} can't be watched and is looked at every second: {error}",
                folder.display()
            );
            return None;
        }
    }
    Some(watcher)
}

fn keep_looking(keeper: &mut Keeper, signals: &Receiver<Signal>) {
    let mut pause = ROUND;
    loop {
        match signals.recv_timeout(pause) {
            Ok(Signal::Look) => {
                if !wait_for_quiet(signals) {
                    return;
                }
            }
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        pause = keeper.look().unwrap_or(ROUND);
    }
}

/// False: stop.
fn wait_for_quiet(signals: &Receiver<Signal>) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < LONGEST_UNREST {
        match signals.recv_timeout(QUIET) {
            Ok(Signal::Look) => {}
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => return true,
        }
    }
    true
}
