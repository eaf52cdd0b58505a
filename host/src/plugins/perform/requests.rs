//! What all runs of the handlers of one request have in common.

use std::sync::Arc;

use crate::access::Caller;
use crate::dates::{self, Zones};
use crate::plugins::registry::Registry;
use crate::plugins::work::{Request, Waits};
use crate::plugins::{NotDone, Plugins, Services};
use crate::store::StagedFile;

impl Plugins {
    pub(super) fn request(
        &self,
        registry: &Arc<Registry>,
        caller: &Arc<Caller>,
        now: i64,
        zones: Zones,
        files: Vec<(String, Arc<StagedFile>)>,
    ) -> Result<Arc<Request>, NotDone> {
        assembled(&self.services, registry, caller, now, zones, files)
    }
}

/// Who, what, when, with a seed of its own.
fn assembled(
    services: &Services,
    registry: &Arc<Registry>,
    caller: &Arc<Caller>,
    now: i64,
    zones: Zones,
    files: Vec<(String, Arc<StagedFile>)>,
) -> Result<Arc<Request>, NotDone> {
    let (mut seed, mut request_id) = ([0; 32], [0; 8]);
    getrandom::fill(&mut seed)
        .and_then(|()| getrandom::fill(&mut request_id))
        .map_err(|error| NotDone::Internal(format!("no random numbers: {error}")))?;
    Ok(Arc::new(Request {
        caller: caller.clone(),
        registry: registry.clone(),
        services: services.clone(),
        now,
        zones,
        seed,
        request_id: hex::encode(request_id),
        files,
        micros: dates::micros_after(now),
        waits: Waits::default(),
    }))
}

/// What a call outside of a client's request is part of, at this moment.
///
/// # Errors
///
/// The operating system has no random numbers.
pub(in crate::plugins) fn new_request(
    services: &Services,
    registry: &Arc<Registry>,
    caller: &Arc<Caller>,
    files: Vec<(String, Arc<StagedFile>)>,
) -> Result<Arc<Request>, NotDone> {
    let zones = services.registers.zones();
    assembled(services, registry, caller, dates::now(), zones, files)
}
