//! The host functions. Each counts itself, then asks the transaction; there is no rule in here.

use std::sync::Arc;

use super::bindings::critd::plugin::types::{Arg, Fault, Outcome, Value};
use super::bindings::critd::plugin::{call, documents, log, registers, task, types, uploads};
use super::state::{State, cut, outside};
use super::translate::{
    args_in, fault_out, outcome_out, value_in, value_out, weight, weight_of, weight_of_texts,
};
use super::{Entry, call as run_nested};
use crate::plugins::analysis::Sink;
use crate::plugins::value::{Abort, Arg as Given, Failure, Outcome as Made};
use crate::plugins::work::{Origin, Relation, Work};
use crate::store::StoreError;
use crate::vocabulary;

/// Longest warning in bytes.
const WARNING_BYTES: usize = 500;
/// Most answers of `registers.entries`.
const ENTRIES: usize = 1_000;
/// The register of user names. A plugin may ask for a name that it was told, never for the list.
const USERS: &str = "user";
/// The register of types of actions: those only that are in use and for the call's type.
const ACTION_TYPES: &str = "action-type";

type Host<T> = wasmtime::Result<T>;

/// A fault goes to the guest; all else ends the call.
fn answer<T>(result: Result<T, Failure>) -> Host<Result<T, Fault>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Failure::Fault(fault)) => Ok(Err(fault_out(fault))),
        Err(Failure::Abort(abort)) => Err(abort.into()),
    }
}

fn stored<T>(result: Result<T, StoreError>) -> Host<T> {
    result.map_err(|error| Abort::from(&error).into())
}

/// An answer that may be the store's: while it is waited for, the request says since when.
macro_rules! asked {
    ($state:ident, $answer:expr) => {{
        $state.waits(true);
        let answered = $answer;
        $state.waits(false);
        answered
    }};
}

/// Counts a call that hands over so many bytes, then does it on the transaction.
macro_rules! on_work {
    ($state:ident, $bytes:expr, |$work:ident| $call:expr) => {{
        $state.count($bytes)?;
        asked!(
            $state,
            match $state.work() {
                Some($work) => answer($call),
                None => Ok(Err(fault_out(outside()))),
            }
        )
    }};
}

impl types::Host for State {}

impl call::Host for State {
    async fn user(&mut self) -> Host<String> {
        self.count(0)?;
        Ok(self
            .work()
            .map(|work| work.user().to_owned())
            .unwrap_or_default())
    }

    async fn action(&mut self) -> Host<String> {
        self.count(0)?;
        Ok(self
            .work()
            .map(|work| work.action().to_owned())
            .unwrap_or_default())
    }

    async fn type_name(&mut self) -> Host<String> {
        self.count(0)?;
        Ok(self
            .work()
            .map(|work| work.type_name().to_owned())
            .unwrap_or_default())
    }

    async fn now(&mut self) -> Host<i64> {
        self.count(0)?;
        Ok(self.work().map_or(0, |work| work.now()))
    }

    async fn new_id(&mut self) -> Host<String> {
        self.count(0)?;
        Ok(self
            .work()
            .map(|work| work.new_id().to_hex())
            .unwrap_or_default())
    }

    async fn random(&mut self, len: u32) -> Host<Vec<u8>> {
        self.count(0)?;
        Ok(self.work().map(|work| work.random(len)).unwrap_or_default())
    }

    async fn may(&mut self, flag: String) -> Host<bool> {
        self.count(flag.len())?;
        Ok(self.work().is_some_and(|work| work.may(&flag)))
    }

    async fn may_write(&mut self, source: String) -> Host<bool> {
        self.count(source.len())?;
        Ok(self.work().is_some_and(|work| work.may_write(&source)))
    }

    async fn setting(&mut self, name: String) -> Host<Option<String>> {
        self.count(name.len())?;
        let answered = asked!(
            self,
            match self.work() {
                Some(work) => work.setting(&name).await,
                None => Ok(None),
            }
        );
        match answered {
            Ok(value) => Ok(value),
            Err(Failure::Fault(_)) => Ok(None),
            Err(Failure::Abort(abort)) => Err(abort.into()),
        }
    }

    async fn depth(&mut self) -> Host<u32> {
        self.count(0)?;
        Ok(self.work().map_or(0, |work| work.depth()))
    }

    async fn warn(&mut self, message: String) -> Host<()> {
        self.count(message.len())?;
        if let Some(work) = self.work() {
            work.warn(cut(&message, WARNING_BYTES));
        }
        Ok(())
    }
}

impl documents::Host for State {
    async fn current(&mut self) -> Host<Result<u32, Fault>> {
        on_work!(self, 0, |work| work.current())
    }

    async fn by_id(&mut self, type_name: String, id: String) -> Host<Result<u32, Fault>> {
        on_work!(self, type_name.len() + id.len(), |work| work
            .by_id(&type_name, &id)
            .await)
    }

    async fn by_key(
        &mut self,
        type_name: String,
        key: Vec<Arg>,
    ) -> Host<Result<Option<u32>, Fault>> {
        on_work!(self, type_name.len() + weight_of(&key), |work| work
            .by_key(&type_name, &args_in(key))
            .await)
    }

    async fn taken(&mut self, type_name: String, key: Vec<Arg>) -> Host<Result<bool, Fault>> {
        on_work!(self, type_name.len() + weight_of(&key), |work| work
            .taken(&type_name, &args_in(key))
            .await)
    }

    async fn select(
        &mut self,
        type_name: String,
        where_: String,
        after: String,
        limit: u32,
    ) -> Host<Result<Vec<u32>, Fault>> {
        on_work!(self, type_name.len() + where_.len(), |work| work
            .select(&type_name, &where_, &after, limit)
            .await)
    }

    async fn make(
        &mut self,
        type_name: String,
        key: Vec<Arg>,
    ) -> Host<Result<(u32, documents::Origin), Fault>> {
        on_work!(self, type_name.len() + weight_of(&key), |work| {
            work.make(&type_name, &args_in(key))
                .await
                .map(|(document, origin)| {
                    let origin = match origin {
                        Origin::Fresh => documents::Origin::Fresh,
                        Origin::Visible => documents::Origin::Visible,
                        Origin::Hidden => documents::Origin::Hidden,
                    };
                    (document, origin)
                })
        })
    }

    async fn create(&mut self, type_name: String, args: Vec<Arg>) -> Host<Result<Outcome, Fault>> {
        self.count(type_name.len() + weight_of(&args))?;
        if self.work().is_some_and(|work| work.sink().is_some()) {
            return self.create_at_once(type_name, args_in(args)).await;
        }
        let Some(mut work) = self.take_work() else {
            return Ok(Err(fault_out(outside())));
        };
        let nested = match work.nest_create(&type_name, args_in(args)).await {
            Ok(nested) => nested,
            Err(failure) => {
                self.put_work(work);
                return answer(Err(failure));
            }
        };
        let registry = work.request().registry.clone();
        let Some(loaded) = registry.plugin(&nested.of.plugin) else {
            return Err(Abort::Trap {
                plugin: nested.of.plugin.clone(),
                reason: "its code is not loaded".into(),
            }
            .into());
        };
        let entry = Entry::Create(nested.of.declaration.name.clone());
        let (mut work, result) = Box::pin(run_nested(work, loaded, entry, nested.args)).await?;
        let result = work.end_create(result);
        self.put_work(work);
        answer(result.map(outcome_out))
    }

    async fn id(&mut self, d: u32) -> Host<Result<String, Fault>> {
        on_work!(self, 0, |work| work.id(d))
    }

    async fn type_of(&mut self, d: u32) -> Host<Result<String, Fault>> {
        on_work!(self, 0, |work| work.type_of(d))
    }

    async fn get(&mut self, d: u32, path: String) -> Host<Result<Option<Value>, Fault>> {
        on_work!(self, path.len(), |work| work
            .get(d, &path)
            .map(|value| value.map(value_out)))
    }

    async fn get_many(
        &mut self,
        d: u32,
        paths: Vec<String>,
    ) -> Host<Result<Vec<Option<Value>>, Fault>> {
        on_work!(self, weight_of_texts(&paths), |work| {
            work.get_many(d, &paths).map(|values| {
                values
                    .into_iter()
                    .map(|value| value.map(value_out))
                    .collect()
            })
        })
    }

    async fn len(&mut self, d: u32, path: String) -> Host<Result<u32, Fault>> {
        on_work!(self, path.len(), |work| work.len(d, &path))
    }

    async fn find(
        &mut self,
        d: u32,
        path: String,
        where_: String,
        start: u32,
    ) -> Host<Result<Option<u32>, Fault>> {
        on_work!(self, path.len() + where_.len(), |work| work
            .find(d, &path, &where_, start))
    }

    async fn set(&mut self, d: u32, path: String, v: Value) -> Host<Result<(), Fault>> {
        on_work!(self, path.len() + weight(&v), |work| work.set(
            d,
            &path,
            &value_in(v)
        ))
    }

    async fn set_many(&mut self, d: u32, values: Vec<Arg>) -> Host<Result<(), Fault>> {
        on_work!(self, weight_of(&values), |work| work
            .set_many(d, &args_in(values)))
    }

    async fn unset(&mut self, d: u32, path: String) -> Host<Result<(), Fault>> {
        on_work!(self, path.len(), |work| work.unset(d, &path))
    }

    async fn push(&mut self, d: u32, path: String, v: Value) -> Host<Result<(), Fault>> {
        on_work!(self, path.len() + weight(&v), |work| work.push(
            d,
            &path,
            &value_in(v)
        ))
    }

    async fn push_unique(
        &mut self,
        d: u32,
        path: String,
        v: Value,
        keys: Vec<String>,
    ) -> Host<Result<bool, Fault>> {
        let bytes = path.len() + weight(&v) + weight_of_texts(&keys);
        on_work!(self, bytes, |work| work.push_unique(
            d,
            &path,
            &value_in(v),
            &keys
        ))
    }

    async fn pull(
        &mut self,
        d: u32,
        path: String,
        where_: String,
        limit: u32,
    ) -> Host<Result<u32, Fault>> {
        on_work!(self, path.len() + where_.len(), |work| work
            .pull(d, &path, &where_, limit))
    }

    async fn remove(&mut self, d: u32) -> Host<Result<(), Fault>> {
        on_work!(self, 0, |work| work.remove(d))
    }

    async fn unrelate(
        &mut self,
        left: u32,
        relationship: String,
        right_type: String,
        right_id: String,
        details: Vec<Arg>,
    ) -> Host<Result<bool, Fault>> {
        let bytes = relationship.len() + right_type.len() + right_id.len() + weight_of(&details);
        on_work!(self, bytes, |work| {
            let details = args_in(details);
            work.unrelate(left, &relationship, (&right_type, &right_id), &details)
                .await
        })
    }

    async fn change_relation(
        &mut self,
        left: u32,
        relationship: String,
        right_type: String,
        right_id: String,
        details: Vec<Arg>,
        changes: Vec<Arg>,
    ) -> Host<Result<bool, Fault>> {
        let bytes = relationship.len() + right_type.len() + right_id.len();
        let bytes = bytes + weight_of(&details) + weight_of(&changes);
        on_work!(self, bytes, |work| {
            let (details, changes) = (args_in(details), args_in(changes));
            let right = (right_type.as_str(), right_id.as_str());
            work.change_relation(left, &relationship, right, &details, &changes)
                .await
        })
    }

    async fn relate(
        &mut self,
        left: u32,
        relationship: String,
        right: u32,
        details: Vec<Arg>,
    ) -> Host<Result<documents::Relation, Fault>> {
        on_work!(self, relationship.len() + weight_of(&details), |work| {
            let details = args_in(details);
            let related = match work.sink() {
                Some(_) => relate_at_once(work, left, &relationship, right, details).await,
                None => work.relate(left, &relationship, right, &details).await,
            };
            related.map(|relation| match relation {
                Relation::Added => documents::Relation::Added,
                Relation::Present => documents::Relation::Present,
                Relation::Repaired => documents::Relation::Repaired,
            })
        })
    }

    async fn add_source(
        &mut self,
        d: u32,
        source: String,
        details: Vec<Arg>,
    ) -> Host<Result<bool, Fault>> {
        on_work!(self, source.len() + weight_of(&details), |work| work
            .add_source(d, &source, &args_in(details))
            .await)
    }

    async fn merge_shared(&mut self, d: u32, args: Vec<Arg>) -> Host<Result<(), Fault>> {
        on_work!(self, weight_of(&args), |work| work
            .merge_shared(d, &args_in(args))
            .await)
    }

    async fn inherit_sources(&mut self, origin: u32, target: u32) -> Host<Result<u32, Fault>> {
        on_work!(self, 0, |work| work.inherit_sources(origin, target).await)
    }

    async fn concerns(&mut self, d: u32) -> Host<Result<(), Fault>> {
        on_work!(self, 0, |work| work.concerns(d))
    }
}

impl uploads::Host for State {
    async fn name(&mut self, u: u32) -> Host<Result<String, Fault>> {
        on_work!(self, 0, |work| work.upload_name(u))
    }

    async fn size(&mut self, u: u32) -> Host<Result<u64, Fault>> {
        on_work!(self, 0, |work| work.upload_size(u))
    }

    async fn digest(&mut self, u: u32, algorithm: String) -> Host<Result<Option<String>, Fault>> {
        on_work!(self, algorithm.len(), |work| work
            .upload_digest(u, &algorithm)
            .await)
    }

    async fn kind(&mut self, u: u32) -> Host<Result<(String, String), Fault>> {
        on_work!(self, 0, |work| work.upload_kind(u).await)
    }

    async fn read(&mut self, u: u32, offset: u64, len: u32) -> Host<Result<Vec<u8>, Fault>> {
        on_work!(self, 0, |work| work.upload_read(u, offset, len).await)
    }

    async fn make(&mut self, name: String) -> Host<Result<u32, Fault>> {
        on_work!(self, name.len(), |work| work.upload_make(&name))
    }

    async fn append(&mut self, u: u32, bytes: Vec<u8>) -> Host<Result<(), Fault>> {
        // Files have a budget of their own, see `Budgets::made_bytes`.
        on_work!(self, 0, |work| work.upload_append(u, &bytes).await)
    }

    async fn keep(&mut self, u: u32, d: u32, path: String) -> Host<Result<String, Fault>> {
        on_work!(self, path.len(), |work| work.upload_keep(u, d, &path).await)
    }

    async fn open(&mut self, d: u32, path: String) -> Host<Result<Option<u32>, Fault>> {
        on_work!(self, path.len(), |work| work.upload_open(d, &path).await)
    }
}

impl registers::Host for State {
    async fn has(&mut self, register: String, name: String) -> Host<bool> {
        self.count(register.len() + name.len())?;
        let Some(work) = self.work() else {
            return Ok(false);
        };
        let request = work.request().clone();
        if register == "source" {
            return Ok(request.caller.rights.sources.contains_key(&name));
        }
        if register == USERS {
            return stored(asked!(self, request.services.access.has_user(&name).await));
        }
        let registers = &request.services.registers;
        if register == ACTION_TYPES {
            let of = work.type_name().to_owned();
            return stored(asked!(self, registers.has_action_type(&name, &of).await));
        }
        stored(asked!(self, registers.has(&register, &name).await))
    }

    async fn add(&mut self, register: String, name: String) -> Host<Result<bool, Fault>> {
        on_work!(self, register.len() + name.len(), |work| work
            .register(&register, &name)
            .await)
    }

    async fn entries(&mut self, register: String, after: String) -> Host<Vec<String>> {
        self.count(register.len() + after.len())?;
        let Some(work) = self.work() else {
            return Ok(Vec::new());
        };
        let request = work.request().clone();
        if register == "source" {
            let sources = request.caller.rights.sources.keys();
            return Ok(sources
                .filter(|name| **name > after)
                .take(ENTRIES)
                .cloned()
                .collect());
        }
        let answered = request.services.registers.entries(&register, &after);
        stored(asked!(self, answered.await))
    }

    async fn canonical(&mut self, vocabulary: String, text: String) -> Host<Option<String>> {
        self.count(vocabulary.len() + text.len())?;
        Ok(vocabulary::canonical(&vocabulary, &text).map(str::to_owned))
    }

    async fn inverse(&mut self, relationship: String) -> Host<Option<String>> {
        self.count(relationship.len())?;
        Ok(vocabulary::inverse(&relationship).map(str::to_owned))
    }

    async fn registrable_domain(&mut self, host: String) -> Host<Option<String>> {
        self.count(host.len())?;
        let Some(work) = self.work() else {
            return Ok(None);
        };
        let request = work.request().clone();
        let is_fresh = std::mem::replace(&mut work.knows_suffixes, true);
        if !is_fresh {
            // Another process may have loaded another list.
            stored(asked!(self, request.services.registers.refresh().await))?;
        }
        Ok(request.services.registers.registrable_domain(&host))
    }

    async fn host_name(&mut self, text: String) -> Host<Option<String>> {
        self.count(text.len())?;
        Ok(crate::registers::hosts::host_name(&text))
    }
}

impl log::Host for State {
    async fn write(&mut self, level: u8, message: String) -> Host<()> {
        self.count(0)?;
        self.log(level, &message)
    }
}

/// `documents.relate` in a service.
async fn relate_at_once(
    work: &mut Work,
    left: u32,
    relationship: &str,
    right: u32,
    details: Vec<Given>,
) -> Result<Relation, Failure> {
    let (sink, [left, right]) = work.related_by_sink(left, right)?;
    sink.relate(left, relationship, right, details).await
}

impl State {
    /// `documents.create` in a service.
    async fn create_at_once(
        &mut self,
        type_name: String,
        args: Vec<Given>,
    ) -> Host<Result<Outcome, Fault>> {
        let created = match self.work() {
            Some(work) => create_at_once(work, &type_name, args).await,
            None => Ok(Default::default()),
        };
        answer(created.map(outcome_out))
    }

    /// Where the results of the present run go.
    fn sink(&mut self) -> Option<Arc<dyn Sink>> {
        self.work()?.sink()
    }
}

async fn create_at_once(
    work: &mut Work,
    type_name: &str,
    args: Vec<Given>,
) -> Result<Made, Failure> {
    let (sink, args, files) = work.for_sink(type_name, args).await?;
    let (outcome, concerned) = sink.create(type_name, args, files).await?;
    work.from_sink(outcome, concerned).await
}

/// The answer of `task` outside of services.
fn no_service() -> Fault {
    Fault::Internal("`task` is for services that analyse".into())
}

impl task::Host for State {
    async fn id(&mut self) -> Host<String> {
        self.count(0)?;
        Ok(self.sink().map(|sink| sink.id()).unwrap_or_default())
    }

    async fn add_result(
        &mut self,
        subtype: String,
        text: String,
        details: String,
    ) -> Host<Result<(), Fault>> {
        self.count(subtype.len() + text.len() + details.len())?;
        match self.sink() {
            Some(sink) => answer(sink.add_result(&subtype, &text, &details).await),
            None => Ok(Err(no_service())),
        }
    }

    async fn note(&mut self, level: u8, message: String) -> Host<Result<(), Fault>> {
        self.count(message.len())?;
        match self.sink() {
            Some(sink) => answer(sink.note(level, &message).await),
            None => Ok(Err(no_service())),
        }
    }

    async fn cancelled(&mut self) -> Host<bool> {
        self.count(0)?;
        let Some(sink) = self.sink() else {
            return Ok(false);
        };
        match sink.is_cancelled().await {
            Ok(is_cancelled) => Ok(is_cancelled),
            Err(Failure::Fault(_)) => Ok(false),
            Err(Failure::Abort(abort)) => Err(abort.into()),
        }
    }
}
