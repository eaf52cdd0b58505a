//! Compiled code on disk. Named by the content it was compiled from and by what the engine would compile differently,
//! so an entry is never stale; written by this server only, into a folder that only its user can write.

use std::hash::{Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wasmtime::Engine;
use wasmtime::component::Component;

/// Entries that no start has used for so long are removed.
const KEPT_UNUSED: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// The folder of compiled code.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    engine: u64,
}

impl Cache {
    /// Opens the folder, making it if need be, and removes old entries.
    ///
    /// # Errors
    ///
    /// It can't be made.
    pub(super) fn open(folder: &Path, engine: &Engine) -> std::io::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let cache = Self {
            folder: folder.into(),
            engine: hasher.finish(),
        };
        cache.remove_unused();
        Ok(cache)
    }

    /// The component for these bytes, whose SHA-256 is `digest`: mapped from the cache, else compiled and kept there.
    ///
    /// # Errors
    ///
    /// It does not compile.
    pub(super) fn component(
        &self,
        engine: &Engine,
        bytes: &[u8],
        digest: &[u8; 32],
    ) -> wasmtime::Result<Component> {
        let path = self.folder.join(format!(
            "{}-{:016x}.cwasm",
            hex::encode(digest),
            self.engine
        ));
        if path.exists() {
            match trusted::map(engine, &path) {
                Ok(component) => {
                    let used = std::fs::File::open(&path)
                        .and_then(|file| file.set_modified(SystemTime::now()));
                    if let Err(error) = used {
                        tracing::debug!("{}: {error}", path.display());
                    }
                    return Ok(component);
                }
                Err(error) => tracing::warn!(
                    "compiled anew, since {} is unusable: {error:#}",
                    path.display()
                ),
            }
        }
        let component = Component::from_binary(engine, bytes)?;
        // What is mapped takes memory only where it runs.
        let kept = self
            .keep(&path, &component)
            .and_then(|()| trusted::map(engine, &path));
        let component = kept.unwrap_or_else(|error| {
            tracing::warn!(
                "compiled code could not be kept in {}: {error:#}",
                path.display()
            );
            component
        });
        trusted::give_memory_back();
        Ok(component)
    }

    fn keep(&self, path: &Path, component: &Component) -> wasmtime::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&component.serialize()?)?;
        // A torn entry would be run as machine code: it gets its name only when all of it is on disk.
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }

    fn remove_unused(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return;
        };
        for entry in entries.flatten() {
            let age = entry
                .metadata()
                .and_then(|facts| facts.modified())
                .ok()
                .and_then(|time| time.elapsed().ok());
            if age.is_some_and(|age| age > KEPT_UNUSED)
                && let Err(error) = std::fs::remove_file(entry.path())
            {
                tracing::debug!("{}: {error}", entry.path().display());
            }
        }
    }
}

/// The one place with `unsafe` code: compiled code is mapped into memory and run as it is; and what compiling took is given back.
///
/// Mapping is sound as long as the file was written by this engine and not changed since. The caller vouches for it: the
/// file lies in the cache folder, which only the server's user can write, got its name after it was complete and on disk,
/// and is never opened for writing again; bytes of a plugin's author never come here. A file of another engine version
/// or configuration is recognised and refused by the engine itself.
mod trusted {
    #![expect(
        unsafe_code,
        reason = "the engine offers no safe way to use compiled code again, nor the allocator one to be told; see the module's text"
    )]

    use std::path::Path;

    use wasmtime::Engine;
    use wasmtime::component::Component;

    pub(super) fn map(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
        // SAFETY: see the module's text.
        unsafe { Component::deserialize_file(engine, path) }
    }

    /// The compiler works on as many threads as there are processors, and takes some 100 MB for twenty plugins. The system's allocator would
    /// keep that for those threads, which have nothing to do until the next plugin comes.
    pub(super) fn give_memory_back() {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        // SAFETY: it takes a number and may be called at any time, by any thread.
        unsafe {
            libc::malloc_trim(0);
        }
    }
}
