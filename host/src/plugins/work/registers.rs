//! Entries that a request adds to registers.

use super::{Work, internal, store_failed};
use crate::plugins::value::{Failure, Fault};
use crate::registers::{Register, check_name};
use crate::store::WriteSet;

impl Work {
    /// `registers.add`.
    ///
    /// # Errors
    ///
    /// Fault `internal`: no such register, or one that plugins can't add to, or not declared; `refused`: the caller does
    /// not hold its flag; `invalid`: no name.
    pub async fn register(&mut self, register: &str, name: &str) -> Result<bool, Failure> {
        self.refuse_in_services()?;
        let frame = self
            .frame()
            .ok_or_else(|| internal("no call is under way"))?;
        let known = Register::named(register).and_then(|known| Some((known, known.flag()?)));
        let Some((known, flag)) = known else {
            return Err(internal(format!("plugins add nothing to `{register}`")));
        };
        let declared = frame
            .touches
            .iter()
            .any(|touched| touched.strip_prefix("registry:") == Some(register));
        if !declared {
            return Err(internal(format!(
                "`{}` adds to `{register}` without declaring `registry:{register}`",
                frame.plugin
            )));
        }
        if !self.request.caller.rights.may(flag) {
            let text = format!("User does not have permission to add to the register {register}.");
            return Err(Fault::Refused("forbidden".into(), text).into());
        }
        check_name(name).map_err(|problem| Fault::Invalid("name".into(), problem))?;
        let entry = (known, name.to_owned());
        let is_there = self.registered.contains(&entry)
            || self
                .request
                .services
                .registers
                .has(register, name)
                .await
                .map_err(|error| store_failed(&error))?;
        if !is_there {
            self.registered.push(entry);
        }
        Ok(!is_there)
    }

    /// The entries as writes. Two requests that add the same one at once meet, and then one runs again and finds it.
    pub(super) fn add_registered(&mut self, set: &mut WriteSet) {
        for (register, name) in std::mem::take(&mut self.registered) {
            let id = self.new_id();
            if let Some((key, write)) = register.insertion(id, &name) {
                set.keys.push(key);
                set.writes.push(write);
            }
        }
    }
}
