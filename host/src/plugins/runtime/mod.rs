//! WebAssembly: compiled code, fresh instances, host functions, limits.
//!
//! Every call gets a store and an instance of its own, dropped after every outcome: nothing is kept between calls, and an
//! instance that broke is never used again. A call ends by itself, or by its clock, its memory or another budget; all
//! of these are an [`Abort`], and a guest can't catch one.

mod bindings;
mod cache;
mod engine;
mod imports;
pub(crate) mod lanes;
pub(crate) mod limits;
mod state;
mod translate;
mod wasi;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Engine, Store};

use self::bindings::FullPlugin;
use self::bindings::exports::critd::plugin::{handler, plugin, service};
use self::state::State;
use super::registry::Loaded;
use super::value::{Abort, Arg, Fault, Outcome};
use super::work::Work;

pub(crate) use self::engine::Allocator;
pub(crate) use self::limits::Limits;

/// Compiles plugins and runs them.
pub(crate) struct Runtime {
    engine: Engine,
    linker: Linker<State>,
    cache: Option<cache::Cache>,
    /// How instances get their memory.
    pub(crate) allocator: Allocator,
}

/// A compiled plugin whose imports are resolved.
pub(crate) struct Code {
    instances: InstancePre<State>,
    plugin: plugin::GuestIndices,
    handler: Option<handler::GuestIndices>,
    service: Option<service::GuestIndices>,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code")
            .field("handles", &self.handler.is_some())
            .field("serves", &self.service.is_some())
            .finish_non_exhaustive()
    }
}

impl Code {
    /// It exports `handler`.
    pub(crate) fn handles(&self) -> bool {
        self.handler.is_some()
    }

    /// It exports `service`.
    pub(crate) fn serves(&self) -> bool {
        self.service.is_some()
    }
}

/// What is to be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A PATCH action.
    Run(String),
    /// A POST of this type.
    Create(String),
}

/// A call that ended by itself: the transaction goes on, with the handler's answer.
pub(crate) type Ended = (Box<Work>, Result<Outcome, Fault>);

impl Runtime {
    /// A runtime for a server: `instances` at once, compiled code kept in `cache`.
    ///
    /// # Errors
    ///
    /// The machine can't run WebAssembly, or the folder can't be made.
    pub(crate) fn pooling(instances: u32, cache: &Path) -> Result<Self, String> {
        let (engine, allocator) = engine::pooling(instances)
            .map_err(|error| format!("the WebAssembly engine: {error:#}"))?;
        let cache = cache::Cache::open(cache, &engine).map_err(|error| {
            format!(
                "the folder of compiled plugins, {}: {error}",
                cache.display()
            )
        })?;
        Self::new(engine, allocator, Some(cache))
    }

    /// A runtime for the command line: no pool, nothing kept.
    ///
    /// # Errors
    ///
    /// The machine can't run WebAssembly.
    pub(crate) fn on_demand() -> Result<Self, String> {
        let (engine, allocator) =
            engine::on_demand().map_err(|error| format!("the WebAssembly engine: {error:#}"))?;
        Self::new(engine, allocator, None)
    }

    fn new(
        engine: Engine,
        allocator: Allocator,
        cache: Option<cache::Cache>,
    ) -> Result<Self, String> {
        let mut linker = Linker::new(&engine);
        FullPlugin::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)
            .and_then(|()| wasmtime_wasi::p2::add_to_linker_async(&mut linker))
            .map_err(|error| format!("the host functions: {error:#}"))?;
        Ok(Self {
            engine,
            linker,
            cache,
            allocator,
        })
    }

    /// Compiles a component, whose SHA-256 is `digest`, or finds it compiled; resolves its imports.
    ///
    /// # Errors
    ///
    /// A sentence: it does not compile, wants something the host does not have, or lacks an export.
    pub(crate) fn prepare(&self, bytes: &[u8], digest: &[u8; 32]) -> Result<Code, String> {
        let component = match &self.cache {
            Some(cache) => cache.component(&self.engine, bytes, digest),
            None => Component::from_binary(&self.engine, bytes),
        }
        .map_err(|error| format!("it does not compile: {error:#}"))?;
        let instances = self
            .linker
            .instantiate_pre(&component)
            .map_err(|error| format!("it does not fit this server's contract 1.1: {error:#}"))?;
        let plugin = plugin::GuestIndices::new(&instances)
            .map_err(|error| format!("it does not export `critd:plugin/plugin@1`: {error:#}"))?;
        let handler = handler::GuestIndices::new(&instances).ok();
        let service = service::GuestIndices::new(&instances).ok();
        Ok(Code {
            instances,
            plugin,
            handler,
            service,
        })
    }

    /// Calls `describe` in an instance that is then thrown away.
    ///
    /// # Errors
    ///
    /// How it failed.
    pub(crate) async fn describe(&self, name: &str, code: &Code) -> Result<String, Abort> {
        let limits = Limits::default();
        let mut store = store(&self.engine, limits, State::outside_of_calls(name, limits));
        let call = async {
            let instance = code.instances.instantiate_async(&mut store).await?;
            let guest = code.plugin.load(&mut store, &instance)?;
            guest.call_describe(&mut store).await
        };
        let answer = tokio::time::timeout(Duration::from_millis(limits.time_ms), call).await;
        match answer {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(error)) => Err(store.data().classify(&error)),
            Err(_) => Err(Abort::Time {
                plugin: name.into(),
                limit_ms: limits.time_ms,
            }),
        }
    }
}

/// Runs one exported function in a fresh instance. The transaction's innermost frame must be that of the call.
///
/// # Errors
///
/// The call was ended; the transaction is gone, nothing of it may be stored.
pub(crate) async fn call(
    work: Box<Work>,
    loaded: &Loaded,
    entry: Entry,
    args: Vec<Arg>,
) -> Result<Ended, Abort> {
    let name = &loaded.declaration.name;
    let broken = |reason: &str| Abort::Trap {
        plugin: name.clone(),
        reason: reason.into(),
    };
    let code = loaded
        .code
        .as_ref()
        .ok_or_else(|| broken("its code is not loaded"))?;
    let handler = code
        .handler
        .as_ref()
        .ok_or_else(|| broken("it exports no `handler`"))?;
    let limits = loaded.limits;
    let args = args.into_iter().map(translate::arg_out).collect::<Vec<_>>();
    let mut store = store(
        code.instances.engine(),
        limits,
        State::new(name, limits, work),
    );
    let running = async {
        let instance = code.instances.instantiate_async(&mut store).await?;
        let guest = handler.load(&mut store, &instance)?;
        match &entry {
            Entry::Run(action) => guest.call_run(&mut store, action, &args).await,
            Entry::Create(type_name) => guest.call_create(&mut store, type_name, &args).await,
        }
    };
    let answer = tokio::time::timeout(Duration::from_millis(limits.time_ms), running).await;
    let (work, answer) = settled(answer, store, name, limits)?;
    let answer = answer
        .map(translate::outcome_in)
        .map_err(translate::fault_in);
    if let Ok(outcome) = &answer
        && (outcome.message.len() + outcome.extra.len()) as u64 > limits.bytes
    {
        return Err(Abort::Budget {
            plugin: name.clone(),
            what: "bytes of output".into(),
        });
    }
    Ok((work, answer))
}

/// What a call came to within its time: the transaction and the guest's answer.
fn settled<T>(
    answer: Result<wasmtime::Result<T>, tokio::time::error::Elapsed>,
    store: Store<State>,
    name: &str,
    limits: Limits,
) -> Result<(Box<Work>, T), Abort> {
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(store.data().classify(&error)),
        // It waited for slow answers of the store for much of its time: that is no fault of the plugin.
        Err(_) if store.data().waited() >= Duration::from_millis(limits.time_ms / 4) => {
            return Err(Abort::Unavailable(format!(
                "the store did not answer `{name}` within {} ms",
                limits.time_ms
            )));
        }
        Err(_) => {
            return Err(Abort::Time {
                plugin: name.to_owned(),
                limit_ms: limits.time_ms,
            });
        }
    };
    let mut state = store.into_data();
    state.log_stderr();
    let work = state.take_work().ok_or_else(|| Abort::Trap {
        plugin: name.to_owned(),
        reason: "its transaction was lost".into(),
    })?;
    Ok((work, answer))
}

/// Asks a service whether the object of the call is something for it, within the limits of a handler.
///
/// # Errors
///
/// The call was ended.
pub(crate) async fn accepts(
    work: Box<Work>,
    loaded: &Loaded,
    service: &str,
) -> Result<(Box<Work>, Result<(), Fault>), Abort> {
    let (code, guest) = service_of(loaded)?;
    let (name, limits) = (&loaded.declaration.name, loaded.limits);
    let mut store = store(
        code.instances.engine(),
        limits,
        State::new(name, limits, work),
    );
    let running = async {
        let instance = code.instances.instantiate_async(&mut store).await?;
        let guest = guest.load(&mut store, &instance)?;
        guest.call_accepts(&mut store, service).await
    };
    let answer = tokio::time::timeout(Duration::from_millis(limits.time_ms), running).await;
    let (work, answer) = settled(answer, store, name, limits)?;
    Ok((work, answer.map_err(translate::fault_in)))
}

/// Has a service analyse the object of the call, with its options; the answer is the last line of the task's log.
///
/// # Errors
///
/// The call was ended.
pub(crate) async fn analyse(
    work: Box<Work>,
    loaded: &Loaded,
    service: &str,
    options: Vec<Arg>,
    limits: Limits,
) -> Result<(Box<Work>, Result<String, Fault>), Abort> {
    let (code, guest) = service_of(loaded)?;
    let name = &loaded.declaration.name;
    let options = options
        .into_iter()
        .map(translate::arg_out)
        .collect::<Vec<_>>();
    let mut store = store(
        code.instances.engine(),
        limits,
        State::new(name, limits, work),
    );
    let running = async {
        let instance = code.instances.instantiate_async(&mut store).await?;
        let guest = guest.load(&mut store, &instance)?;
        guest.call_analyse(&mut store, service, &options).await
    };
    let answer = tokio::time::timeout(Duration::from_millis(limits.time_ms), running).await;
    let (work, answer) = settled(answer, store, name, limits)?;
    Ok((work, answer.map_err(translate::fault_in)))
}

/// The code of a plugin that provides services.
fn service_of(loaded: &Loaded) -> Result<(&Code, &service::GuestIndices), Abort> {
    let broken = |reason: &str| Abort::Trap {
        plugin: loaded.declaration.name.clone(),
        reason: reason.into(),
    };
    let code = loaded
        .code
        .as_ref()
        .ok_or_else(|| broken("its code is not loaded"))?;
    let service = code
        .service
        .as_ref()
        .ok_or_else(|| broken("it exports no `service`"))?;
    Ok((code, service))
}

fn store(engine: &Engine, limits: Limits, state: State) -> Store<State> {
    let mut store = Store::new(engine, state);
    // What one host call may make the host allocate for its parameters: a list of empty texts is small in the guest only.
    store.set_hostcall_fuel(
        usize::try_from(limits.bytes.saturating_mul(2))
            .unwrap_or(usize::MAX)
            .max(4 << 20),
    );
    store.limiter(|state| &mut state.meter);
    // At each tick the guest lets others have the thread; what ends it is the timeout around the call.
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    store
}

/// Shares compiled code.
pub(crate) type SharedRuntime = Arc<Runtime>;
