//! One look at the directory and the manifest, and what follows from it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::archive::{Archive, Before, Good, Pin};
use super::facts::Facts;
use super::status::{Origin, PluginStatus, Problem, State, Status, write_status};
use crate::dates;
use crate::plugins::analysis::records;
use crate::plugins::declaration::check::is_plugin_name;
use crate::plugins::loader::{Examined, Rejected, admit, check_grants, check_replacement, examine};
use crate::plugins::manifest::{Entry, Manifest, Unlisted};
use crate::plugins::registry::{Loaded, Registry};
use crate::plugins::runtime::SharedRuntime;
use crate::plugins::{Options, StartError, examples};
use crate::store::Store;

/// After which time a file that changed must still be the same.
const STILL: Duration = Duration::from_millis(20);
/// When to look again at a file that seems to be still written.
const UNFINISHED: Duration = Duration::from_millis(250);
/// How long a file may look unfinished before anybody is told.
const PATIENCE: Duration = Duration::from_millis(500);

/// Looks, and keeps what it knows from one look to the next.
pub(super) struct Keeper {
    runtime: SharedRuntime,
    store: Arc<dyn Store>,
    current: Arc<ArcSwap<Registry>>,
    options: Options,
    watched: bool,
    executor: tokio::runtime::Runtime,
    archive: Archive,
    manifest: Manifest,
    manifest_text: Option<Vec<u8>>,
    /// Another text that was read once: it may be half written.
    manifest_pending: Option<Option<Vec<u8>>>,
    manifest_error: Option<Problem>,
    kept: BTreeMap<String, Kept>,
    generation: u64,
    status: Arc<ArcSwap<Status>>,
}

/// What is known of one plugin.
#[derive(Default)]
struct Kept {
    serving: Option<Serving>,
    /// The file, entry and pin that were judged last.
    judged: Option<Judged>,
    /// The file as it was at the last look, if it has changed and was not judged yet.
    pending: Option<Facts>,
    rejected: Option<Problem>,
    previous: Option<Before>,
}

#[derive(Clone)]
struct Serving {
    loaded: Arc<Loaded>,
    examined: Examined,
    origin: Origin,
    since: i64,
}

struct Judged {
    facts: Facts,
    entry: Entry,
    pin: Option<Pin>,
    /// SHA-256 of the file.
    sha256: String,
}

/// A version that may come to serve.
struct Candidate {
    loaded: Arc<Loaded>,
    examined: Examined,
    origin: Origin,
    /// Its bytes, unless they are kept already.
    bytes: Option<Vec<u8>>,
}

/// What a look at one file came to.
enum Seen {
    /// Nothing new.
    Unchanged,
    /// To be looked at again after this time.
    Later(Duration),
    Good(Box<Candidate>),
    Bad(Rejected),
}

impl Keeper {
    pub(super) fn new(
        runtime: SharedRuntime,
        store: Arc<dyn Store>,
        current: Arc<ArcSwap<Registry>>,
        options: Options,
        watched: bool,
        status: Arc<ArcSwap<Status>>,
    ) -> Result<Self, StartError> {
        let unusable =
            |what: &str, error: std::io::Error| StartError::Unusable(format!("{what}: {error}"));
        let archive = Archive::open(&options.state)
            .map_err(|error| unusable(&options.state.display().to_string(), error))?;
        let executor = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| unusable("a runtime to load plugins", error))?;
        let manifest_text = std::fs::read(&options.manifest).ok();
        let manifest = Manifest::read(&options.manifest)?;
        let kept = archive.set.iter().map(|(name, good)| {
            (
                name.clone(),
                Kept {
                    previous: good.previous.clone(),
                    ..Kept::default()
                },
            )
        });
        Ok(Self {
            kept: kept.collect(),
            runtime,
            store,
            current,
            options,
            watched,
            executor,
            archive,
            manifest,
            manifest_text,
            manifest_pending: None,
            manifest_error: None,
            generation: 0,
            status,
        })
    }

    /// Loads everything, with nothing serving yet: a bad file is replaced by the last good version.
    ///
    /// # Errors
    ///
    /// The store does not take up the types' collections.
    pub(super) fn first_look(&mut self) -> Result<(), StartError> {
        let wanted = self.wanted();
        self.forget_unwanted(&wanted);
        let mut candidates = BTreeMap::new();
        for (name, (entry, path)) in &wanted {
            self.kept.entry(name.clone()).or_default().pending = Facts::of(path).ok();
            match self.judge(name, entry, path) {
                Seen::Good(candidate) => {
                    candidates.insert(name.clone(), *candidate);
                }
                Seen::Bad(rejected) => {
                    self.reject(name, rejected);
                }
                Seen::Unchanged | Seen::Later(_) => {}
            }
        }
        // Of each plugin whose file is no good, or turns out not to fit, what served last.
        loop {
            for (name, (entry, _)) in &wanted {
                if !candidates.contains_key(name)
                    && let Some(last) = self.last_good(name, entry)
                {
                    candidates.insert(name.clone(), last);
                }
            }
            let refused = self.resolve(&mut candidates);
            let fallback = refused.iter().any(|(name, refused)| {
                refused.origin != Origin::LastGood
                    && wanted
                        .get(name)
                        .is_some_and(|(entry, _)| self.last_good(name, entry).is_some())
            });
            if !fallback {
                break;
            }
        }
        self.serve(candidates, true)?;
        self.tell();
        Ok(())
    }

    /// Looks at everything; answers when to look again, if soon.
    pub(super) fn look(&mut self) -> Option<Duration> {
        let looked = catch_unwind(AssertUnwindSafe(|| self.look_at_all()));
        looked.unwrap_or_else(|_| {
            tracing::error!("looking at the plugins broke; the set that serves stays as it is");
            None
        })
    }

    fn look_at_all(&mut self) -> Option<Duration> {
        let begin = Instant::now();
        let (mut told, mut again) = self.read_manifest();
        let wanted = self.wanted();
        let removed = self.forget_unwanted(&wanted) | self.revoke(&wanted);
        let mut candidates = BTreeMap::new();
        for (name, (entry, path)) in &wanted {
            match self.judge(name, entry, path) {
                Seen::Unchanged => {}
                Seen::Later(pause) => again = Some(again.map_or(pause, |other| other.min(pause))),
                Seen::Good(candidate) => {
                    candidates.insert(name.clone(), *candidate);
                }
                Seen::Bad(rejected) => told |= self.reject(name, rejected),
            }
        }
        let new = !candidates.is_empty();
        if new {
            self.resolve(&mut candidates);
        }
        if !candidates.is_empty() || removed {
            if let Err(error) = self.serve(candidates, removed) {
                tracing::error!("the set of plugins that serves stays as it is: {error}");
            }
            tracing::debug!("plugins loaded in {} ms", begin.elapsed().as_millis());
        }
        if told || new || removed {
            self.tell();
        }
        again
    }

    /// Whether there is something to tell, and when to look again. A manifest counts when two looks have found it so:
    /// one that is just being written would take all plugins away.
    fn read_manifest(&mut self) -> (bool, Option<Duration>) {
        let text = std::fs::read(&self.options.manifest).ok();
        if text == self.manifest_text {
            self.manifest_pending = None;
            return (false, None);
        }
        if self.manifest_pending.as_ref() != Some(&text) {
            self.manifest_pending = Some(text);
            return (false, Some(STILL));
        }
        self.manifest_pending = None;
        let problem = match Manifest::read(&self.options.manifest) {
            Ok(manifest) => {
                tracing::info!("{} was read anew", self.options.manifest.display());
                self.manifest = manifest;
                None
            }
            Err(error) => Some(error.to_string()),
        };
        self.manifest_text = text;
        let reason = problem.as_deref();
        if reason
            == self
                .manifest_error
                .as_ref()
                .map(|problem| problem.reason.as_str())
        {
            return (reason.is_none(), None);
        }
        if let Some(reason) = reason {
            tracing::error!("the manifest as it was before stays in force: {reason}");
        }
        self.manifest_error = problem.map(|reason| Problem {
            reason,
            since: dates::now(),
            version: None,
        });
        (true, None)
    }

    /// The plugins that should serve, each with its entry and file.
    fn wanted(&self) -> BTreeMap<String, (Entry, PathBuf)> {
        let directory = &self.options.directory;
        let listed = self
            .manifest
            .plugins
            .iter()
            .filter(|(_, entry)| entry.enabled);
        let mut wanted: BTreeMap<_, _> = listed
            .map(|(name, entry)| {
                (
                    name.clone(),
                    (entry.clone(), self.manifest.file_of(name, directory)),
                )
            })
            .collect();
        if self.manifest.unlisted == Unlisted::Allow {
            for file in self.unlisted() {
                let name = file.trim_end_matches(".wasm");
                if is_plugin_name(name) && !self.manifest.plugins.contains_key(name) {
                    wanted.insert(name.to_owned(), (Entry::default(), directory.join(&file)));
                }
            }
        }
        wanted
    }

    /// Files of the directory that no entry is about.
    fn unlisted(&self) -> Vec<String> {
        let directory = &self.options.directory;
        let known: Vec<PathBuf> = self
            .manifest
            .plugins
            .keys()
            .map(|name| self.manifest.file_of(name, directory))
            .collect();
        let mut files: Vec<String> = std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| !known.contains(&entry.path()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.ends_with(".wasm") && !name.starts_with('.'))
            .collect();
        files.sort();
        files
    }

    /// True: something that served no longer does.
    fn forget_unwanted(&mut self, wanted: &BTreeMap<String, (Entry, PathBuf)>) -> bool {
        let before = self.kept.len();
        self.kept.retain(|name, kept| {
            let stays = wanted.contains_key(name);
            if !stays && kept.serving.is_some() {
                tracing::info!(
                    plugin = name.as_str(),
                    "is no longer served, as the manifest wants it"
                );
            }
            stays
        });
        self.kept.len() != before
    }

    /// An operator who takes a grant back does not wait for a new file. True: something that served no longer does.
    fn revoke(&mut self, wanted: &BTreeMap<String, (Entry, PathBuf)>) -> bool {
        let mut revoked = false;
        for (name, kept) in &mut self.kept {
            let Some((entry, _)) = wanted.get(name) else {
                continue;
            };
            let Some(serving) = &kept.serving else {
                continue;
            };
            if let Err(rejected) = check_grants(&serving.loaded.declaration, entry) {
                tracing::error!(plugin = name.as_str(), "is no longer served: {rejected}");
                kept.rejected = Some(Problem {
                    reason: rejected.reason,
                    since: dates::now(),
                    version: rejected.version,
                });
                kept.serving = None;
                revoked = true;
            }
        }
        revoked
    }

    /// Looks at one plugin's file, entry and pin.
    fn judge(&mut self, name: &str, entry: &Entry, path: &Path) -> Seen {
        let pin = self.archive.pin(name);
        let kept = self.kept.entry(name.to_owned()).or_default();
        let facts = match Facts::of(path) {
            Ok(facts) => facts,
            Err(error) => {
                (kept.judged, kept.pending) = (None, None);
                let reason = match error.kind() {
                    std::io::ErrorKind::NotFound => format!("the file is gone: {}", path.display()),
                    _ => format!("{}: {error}", path.display()),
                };
                return Seen::Bad(Rejected {
                    reason,
                    perhaps_unfinished: false,
                    version: None,
                });
            }
        };
        if kept.judged.as_ref().is_some_and(|judged| {
            judged.facts == facts && judged.entry == *entry && judged.pin == pin
        }) {
            return Seen::Unchanged;
        }
        let same_file = kept
            .judged
            .as_ref()
            .is_some_and(|judged| judged.facts == facts);
        if !same_file && kept.pending.as_ref() != Some(&facts) {
            kept.pending = Some(facts);
            return Seen::Later(STILL);
        }
        let bytes = std::fs::read(path);
        let unchanged = Facts::of(path).is_ok_and(|after| after == facts);
        let Ok(bytes) = bytes else {
            return Seen::Later(STILL);
        };
        if !unchanged {
            kept.pending = None;
            return Seen::Later(STILL);
        }
        let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&bytes));
        let seen = self.weigh(name, entry, pin.as_ref(), bytes, &sha256);
        let age = facts.modified.and_then(|modified| modified.elapsed().ok());
        if let Seen::Bad(rejected) = &seen
            && rejected.perhaps_unfinished
            && age.is_some_and(|age| age < PATIENCE)
            && self.generation > 0
        {
            return Seen::Later(UNFINISHED);
        }
        let kept = self.kept.entry(name.to_owned()).or_default();
        kept.pending = None;
        // A pin that was done with is gone now.
        kept.judged = Some(Judged {
            facts,
            entry: entry.clone(),
            pin: self.archive.pin(name),
            sha256,
        });
        seen
    }

    /// Whether these bytes, or what is pinned in their place, may serve.
    fn weigh(
        &mut self,
        name: &str,
        entry: &Entry,
        pin: Option<&Pin>,
        bytes: Vec<u8>,
        sha256: &str,
    ) -> Seen {
        let serving = self.kept.get(name).and_then(|kept| kept.serving.clone());
        let mut origin = Origin::Directory;
        let (mut bytes, mut sha256) = (bytes, sha256.to_owned());
        if let Some(pin) = pin {
            match self.archive.file(&pin.serve) {
                Some(pinned) if pin.instead_of == sha256 && pin.serve != sha256 => {
                    (bytes, sha256, origin) = (pinned, pin.serve.clone(), Origin::Rollback);
                }
                _ => self.archive.unpin(name),
            }
        }
        let known = serving
            .as_ref()
            .filter(|serving| serving.loaded.sha256 == sha256);
        let examined = match known {
            Some(serving) => Ok(serving.examined.clone()),
            None => self.examine(&bytes),
        };
        let judged = examined.and_then(|examined| {
            let loaded = admit(&examined, name, entry, &self.manifest)?;
            if let Some(serving) = &serving {
                check_replacement(&serving.loaded, &loaded)?;
            }
            Ok(Candidate {
                loaded: Arc::new(loaded),
                examined,
                origin,
                bytes: Some(bytes),
            })
        });
        match judged {
            Ok(candidate) => Seen::Good(Box::new(candidate)),
            Err(rejected) => Seen::Bad(rejected),
        }
    }

    fn examine(&self, bytes: &[u8]) -> Result<Examined, Rejected> {
        let examined = catch_unwind(AssertUnwindSafe(|| {
            self.executor.block_on(examine(&self.runtime, bytes))
        }));
        examined.unwrap_or_else(|_| {
            Err(Rejected {
                reason: "examining the file broke the host".into(),
                perhaps_unfinished: false,
                version: None,
            })
        })
    }

    /// What the server kept of an earlier run.
    fn last_good(&self, name: &str, entry: &Entry) -> Option<Candidate> {
        let good = self.archive.set.get(name)?;
        let bytes = self.archive.file(&good.sha256)?;
        let examined = self.examine(&bytes).ok()?;
        let loaded = admit(&examined, name, entry, &self.manifest).ok()?;
        Some(Candidate {
            loaded: Arc::new(loaded),
            examined,
            origin: Origin::LastGood,
            bytes: None,
        })
    }

    /// Takes out what does not fit: conflicts, examples that fail. Answers what was taken out.
    fn resolve(
        &mut self,
        candidates: &mut BTreeMap<String, Candidate>,
    ) -> Vec<(String, Candidate)> {
        let mut refused = Vec::new();
        loop {
            let (name, reason) = match Registry::of(self.set_with(candidates), self.generation + 1)
            {
                Err(conflict) if candidates.contains_key(&conflict.plugin) => {
                    (conflict.plugin.clone(), conflict.to_string())
                }
                Err(conflict) => {
                    let turned = crate::plugins::Conflict {
                        plugin: conflict.holder.clone(),
                        holder: conflict.plugin,
                        ..conflict
                    };
                    (turned.plugin.clone(), turned.to_string())
                }
                Ok(registry) => match self.failing_example(&Arc::new(registry), candidates) {
                    Some(failing) => failing,
                    None => return refused,
                },
            };
            let Some(candidate) = candidates.remove(&name) else {
                return refused;
            };
            let version = Some(candidate.loaded.declaration.version.to_string());
            self.reject(
                &name,
                Rejected {
                    reason,
                    perhaps_unfinished: false,
                    version,
                },
            );
            refused.push((name, candidate));
        }
    }

    fn failing_example(
        &self,
        registry: &Arc<Registry>,
        candidates: &BTreeMap<String, Candidate>,
    ) -> Option<(String, String)> {
        for (name, candidate) in candidates {
            let known = self.kept.get(name).and_then(|kept| kept.serving.as_ref());
            if known.is_some_and(|serving| serving.loaded.sha256 == candidate.loaded.sha256) {
                continue;
            }
            let run = catch_unwind(AssertUnwindSafe(|| {
                self.executor
                    .block_on(examples::run(registry, &candidate.loaded))
            }));
            if let Err(reason) = run.unwrap_or_else(|_| Err("its examples broke the host".into())) {
                return Some((name.clone(), reason));
            }
        }
        None
    }

    /// What would serve with these candidates.
    fn set_with(&self, candidates: &BTreeMap<String, Candidate>) -> Vec<Arc<Loaded>> {
        let mut set: BTreeMap<&String, Arc<Loaded>> = BTreeMap::new();
        for (name, kept) in &self.kept {
            if let Some(serving) = &kept.serving {
                set.insert(name, serving.loaded.clone());
            }
        }
        for (name, candidate) in candidates {
            set.insert(name, candidate.loaded.clone());
        }
        set.into_values().collect()
    }

    /// Makes the candidates serve: collections first, then the swap, then what is kept on disk.
    fn serve(
        &mut self,
        candidates: BTreeMap<String, Candidate>,
        anyhow: bool,
    ) -> Result<(), StartError> {
        let registry = Registry::of(self.set_with(&candidates), self.generation + 1)
            .map_err(|conflict| StartError::Unusable(conflict.to_string()))?;
        let declared = self
            .executor
            .block_on(self.store.declare(&registry.collection_specs()))?;
        for warning in declared {
            tracing::warn!("{warning}");
        }
        let refreshed = records::refresh(self.store.as_ref(), &registry);
        if let Err(error) = self.executor.block_on(refreshed) {
            tracing::error!("the records of analysis services stay as they are: {error}");
        }
        let mut changed = anyhow;
        for (name, candidate) in candidates {
            changed |= self.take_up(&name, candidate);
        }
        if changed {
            self.generation += 1;
            self.current.store(Arc::new(registry));
        }
        let set = self
            .kept
            .iter()
            .filter_map(|(name, kept)| Some((name.clone(), good(kept)?)))
            .collect();
        if let Err(error) = self.archive.save(set) {
            tracing::error!("the set of plugins could not be kept for the next start: {error}");
        }
        Ok(())
    }

    /// True: something is different now.
    fn take_up(&mut self, name: &str, candidate: Candidate) -> bool {
        let Candidate {
            loaded,
            examined,
            origin,
            bytes,
        } = candidate;
        if let Some(bytes) = bytes
            && let Err(error) = self.archive.keep(&loaded.sha256, &bytes)
        {
            tracing::error!(
                plugin = name,
                "could not be kept for the next start: {error}"
            );
        }
        let kept = self.kept.entry(name.to_owned()).or_default();
        if origin != Origin::LastGood {
            kept.rejected = None;
        }
        let version = &loaded.declaration.version;
        let before = kept.serving.as_ref();
        let same_code = before.is_some_and(|before| before.loaded.sha256 == loaded.sha256);
        if same_code
            && before.is_some_and(|before| {
                before.loaded.limits == loaded.limits
                    && before.loaded.service_limits == loaded.service_limits
                    && before.origin == origin
            })
        {
            return false;
        }
        match before {
            Some(before) if !same_code => {
                let old = &before.loaded.declaration.version;
                tracing::info!(plugin = name, "{old} → {version}");
                if version < old {
                    tracing::warn!(
                        plugin = name,
                        "the new version {version} is lower than {old}"
                    );
                }
                kept.previous = Some(Before {
                    sha256: before.loaded.sha256.clone(),
                    version: old.to_string(),
                });
            }
            Some(_) => tracing::info!(plugin = name, "{version} with other limits"),
            None => tracing::info!(plugin = name, "{version}"),
        }
        let since = before
            .filter(|_| same_code)
            .map_or_else(dates::now, |before| before.since);
        kept.serving = Some(Serving {
            loaded,
            examined,
            origin,
            since,
        });
        true
    }

    /// True: it was not known yet.
    fn reject(&mut self, name: &str, rejected: Rejected) -> bool {
        let kept = self.kept.entry(name.to_owned()).or_default();
        if kept
            .rejected
            .as_ref()
            .is_some_and(|known| known.reason == rejected.reason)
        {
            return false;
        }
        let file = self.manifest.file_of(name, &self.options.directory);
        let instead = match &kept.serving {
            Some(serving) => format!(
                "version {} keeps serving",
                serving.loaded.declaration.version
            ),
            None => "it does not serve".to_owned(),
        };
        tracing::error!(plugin = name, file = %file.display(), "{}; {instead}", rejected.reason);
        kept.rejected = Some(Problem {
            reason: rejected.reason,
            since: dates::now(),
            version: rejected.version,
        });
        true
    }

    /// Tells operators.
    fn tell(&self) {
        let mut plugins: Vec<PluginStatus> = self
            .kept
            .iter()
            .map(|(name, kept)| self.status_of(name, kept))
            .collect();
        let disabled = self
            .manifest
            .plugins
            .iter()
            .filter(|(_, entry)| !entry.enabled);
        plugins.extend(disabled.map(|(name, _)| PluginStatus {
            state: State::Disabled,
            ..self.status_of(name, &Kept::default())
        }));
        plugins.sort_by(|one, other| one.name.cmp(&other.name));
        let allowed = self.manifest.unlisted == Unlisted::Allow;
        let status = Status {
            generation: self.generation,
            updated: dates::now(),
            process: std::process::id(),
            directory: self.options.directory.clone(),
            manifest: self.options.manifest.clone(),
            manifest_error: self.manifest_error.clone(),
            allocator: self.runtime.allocator.to_string(),
            watched: self.watched,
            plugins,
            unlisted: if allowed { Vec::new() } else { self.unlisted() },
        };
        write_status(&self.options.state, &status);
        self.status.store(Arc::new(status));
    }

    fn status_of(&self, name: &str, kept: &Kept) -> PluginStatus {
        let serving = kept.serving.as_ref();
        let declaration = serving.map(|serving| &serving.loaded.declaration);
        PluginStatus {
            name: name.to_owned(),
            state: if serving.is_some() {
                State::Serving
            } else {
                State::Rejected
            },
            version: declaration.map(|declaration| declaration.version.to_string()),
            sha256: serving.map(|serving| serving.loaded.sha256.clone()),
            file: self.manifest.file_of(name, &self.options.directory),
            origin: serving.map(|serving| serving.origin),
            since: serving.map(|serving| serving.since),
            summary: declaration
                .map(|declaration| declaration.summary.clone())
                .unwrap_or_default(),
            types: declaration
                .iter()
                .flat_map(|all| &all.types)
                .map(|of| of.name.clone())
                .collect(),
            actions: declaration
                .iter()
                .flat_map(|all| &all.actions)
                .map(|action| action.name.clone())
                .collect(),
            services: declaration
                .iter()
                .flat_map(|all| &all.services)
                .map(|service| service.name.clone())
                .collect(),
            needs: declaration
                .iter()
                .flat_map(|all| all.capabilities())
                .map(str::to_owned)
                .collect(),
            limits: serving.map(|serving| serving.loaded.limits),
            previous: kept.previous.as_ref().map(|before| before.version.clone()),
            rejected: kept.rejected.clone(),
        }
    }
}

fn good(kept: &Kept) -> Option<Good> {
    let serving = kept.serving.as_ref()?;
    Some(Good {
        sha256: serving.loaded.sha256.clone(),
        version: serving.loaded.declaration.version.to_string(),
        previous: kept.previous.clone(),
        in_directory: kept.judged.as_ref().map(|judged| judged.sha256.clone()),
    })
}
