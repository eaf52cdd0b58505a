//! What belongs to one call: the transaction while the call has it, counters of what was used, last words.

use std::sync::Arc;
use std::time::Duration;

use wasmtime_wasi::{WasiCtxView, WasiView};

use super::limits::{Limits, Meter};
use super::wasi::Wasi;
use crate::plugins::value::{Abort, Fault};
use crate::plugins::work::{Request, Work};

/// Longest log message in bytes.
const MESSAGE_BYTES: usize = 4 << 10;
/// How much of what a plugin said before it broke is kept for the error's text.
const LAST_WORDS_BYTES: usize = 2 << 10;

/// Data of a store.
pub(super) struct State {
    /// Name of the plugin.
    pub(super) plugin: String,
    pub(super) meter: Meter,
    limits: Limits,
    used: Used,
    work: Option<Box<Work>>,
    /// What the call is part of; none for `describe`.
    request: Option<Arc<Request>>,
    wasi: Option<Box<Wasi>>,
    last_words: String,
    /// What the request had waited for slow answers when the call began.
    waited_before: Duration,
}

#[derive(Default)]
struct Used {
    host_calls: u64,
    bytes: u64,
    log_lines: u64,
}

impl State {
    pub(super) fn new(plugin: &str, limits: Limits, work: Box<Work>) -> Self {
        Self {
            waited_before: work.request().waits.total(),
            request: Some(work.request().clone()),
            work: Some(work),
            ..Self::outside_of_calls(plugin, limits)
        }
    }

    /// For `describe`: no transaction, no caller.
    pub(super) fn outside_of_calls(plugin: &str, limits: Limits) -> Self {
        Self {
            plugin: plugin.into(),
            meter: Meter::new(limits.memory_mib),
            limits,
            used: Used::default(),
            work: None,
            request: None,
            wasi: None,
            last_words: String::new(),
            waited_before: Duration::ZERO,
        }
    }

    /// The transaction, unless this is no call.
    pub(super) fn work(&mut self) -> Option<&mut Work> {
        self.work.as_deref_mut()
    }

    /// Notes that the store is asked for something, or has answered.
    pub(super) fn waits(&self, for_an_answer: bool) {
        if let Some(request) = &self.request {
            match for_an_answer {
                true => request.waits.begin(),
                false => request.waits.end(),
            }
        }
    }

    /// How long this call, or those that it made, waited for slow answers of the store.
    pub(super) fn waited(&self) -> Duration {
        let total = self.request.as_ref().map(|request| request.waits.total());
        total.unwrap_or_default().saturating_sub(self.waited_before)
    }

    /// Takes the transaction, for a nested call or at the end.
    pub(super) fn take_work(&mut self) -> Option<Box<Work>> {
        self.work.take()
    }

    /// Gives the transaction back after a nested call.
    pub(super) fn put_work(&mut self, work: Box<Work>) {
        self.work = Some(work);
    }

    /// Counts a call of a host function that hands over so many bytes.
    pub(super) fn count(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.used.host_calls += 1;
        if self.used.host_calls > self.limits.host_calls {
            return Err(self.used_up("host calls"));
        }
        self.used.bytes = self.used.bytes.saturating_add(bytes as u64);
        if self.used.bytes > self.limits.bytes {
            return Err(self.used_up("bytes"));
        }
        Ok(())
    }

    fn used_up(&self, what: &str) -> wasmtime::Error {
        Abort::Budget {
            plugin: self.plugin.clone(),
            what: what.into(),
        }
        .into()
    }

    /// A line for the log. Level as in the contract: 0 debug to 4 critical.
    pub(super) fn log(&mut self, level: u8, message: &str) -> wasmtime::Result<()> {
        self.used.log_lines += 1;
        if self.used.log_lines > self.limits.log_lines {
            return Err(self.used_up("log lines"));
        }
        let message = one_line(message, MESSAGE_BYTES);
        if level >= 3 {
            if !self.last_words.is_empty() {
                self.last_words.push_str("; ");
            }
            self.last_words.push_str(cut(
                &message,
                LAST_WORDS_BYTES.saturating_sub(self.last_words.len()),
            ));
        }
        let (request, action, type_name) = match self.work() {
            Some(work) => (
                work.request().request_id.clone(),
                work.action().to_owned(),
                work.type_name().to_owned(),
            ),
            None => Default::default(),
        };
        let plugin = self.plugin.as_str();
        match level {
            0 => tracing::debug!(plugin, action, type_name, request, "{message}"),
            1 => tracing::info!(plugin, action, type_name, request, "{message}"),
            2 => tracing::warn!(plugin, action, type_name, request, "{message}"),
            _ => tracing::error!(plugin, action, type_name, request, "{message}"),
        }
        Ok(())
    }

    /// What was written to stderr by a call that went well.
    pub(super) fn log_stderr(&self) {
        let text = self
            .wasi
            .as_ref()
            .map(|wasi| wasi.stderr())
            .unwrap_or_default();
        if !text.is_empty() {
            tracing::info!(
                plugin = self.plugin.as_str(),
                "stderr: {}",
                one_line(&text, MESSAGE_BYTES)
            );
        }
    }

    /// Why a call was ended.
    pub(super) fn classify(&self, error: &wasmtime::Error) -> Abort {
        if let Some(abort) = error.downcast_ref::<Abort>() {
            return abort.clone();
        }
        if self.meter.denied {
            return Abort::Memory {
                plugin: self.plugin.clone(),
                limit_mib: self.limits.memory_mib,
            };
        }
        let stderr = self
            .wasi
            .as_ref()
            .map(|wasi| wasi.stderr())
            .unwrap_or_default();
        let trap = match error.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::StackOverflow) => "recursion without end".to_owned(),
            Some(wasmtime::Trap::MemoryOutOfBounds) => {
                "memory accessed out of bounds, most often recursion without end".to_owned()
            }
            Some(trap) => trap.to_string(),
            None => one_line(&error.root_cause().to_string(), MESSAGE_BYTES),
        };
        let mut reason = self.last_words.clone();
        if !stderr.is_empty() {
            if !reason.is_empty() {
                reason.push_str("; ");
            }
            reason.push_str(&one_line(&stderr, MESSAGE_BYTES));
        }
        let reason = if reason.is_empty() {
            trap
        } else {
            format!("{reason} ({trap})")
        };
        Abort::Trap {
            plugin: self.plugin.clone(),
            reason,
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (now, seed) = self
            .work
            .as_ref()
            .map_or((0, [0; 32]), |work| (work.now(), work.request().seed));
        self.wasi
            .get_or_insert_with(|| Box::new(Wasi::new(now, seed)))
            .view()
    }
}

/// The answer of a host function that only makes sense in a call.
pub(super) fn outside() -> Fault {
    Fault::Internal("`describe` may call no host function".into())
}

/// At most `bytes` of a text, whole characters.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = (0..=bytes)
        .rev()
        .find(|place| text.is_char_boundary(*place))
        .unwrap_or(0);
    &text[..end]
}

/// A text from a plugin as one line of the log: it can't pretend to be another line.
pub(super) fn one_line(text: &str, bytes: usize) -> String {
    let mut line = String::with_capacity(text.len().min(bytes));
    for character in cut(text, bytes).chars() {
        match character {
            '\n' => line.push_str("\\n"),
            '\t' => line.push(' '),
            other if other.is_control() => line.push('\u{fffd}'),
            other => line.push(other),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_text_stays_one_line() {
        assert_eq!(
            one_line("a\nERROR forged\u{1b}[0m\tb", 100),
            "a\\nERROR forged\u{fffd}[0m b"
        );
        assert_eq!(one_line("aé", 2), "a");
    }

    #[test]
    fn the_201st_line_ends_the_call() {
        let mut state = State::outside_of_calls("chatty", Limits::default());
        for _ in 0..200 {
            state.log(1, "x").unwrap();
        }
        let error = state.log(1, "x").unwrap_err();
        assert_eq!(
            state.classify(&error).to_string(),
            "the plugin `chatty` used up its budget of log lines"
        );
    }

    #[test]
    fn what_a_plugin_said_before_it_broke_is_part_of_the_reason() {
        let mut state = State::outside_of_calls("broken", Limits::default());
        state.log(4, "panicked at src/lib.rs:1:2:\nboom").unwrap();
        let error = wasmtime::Error::from(wasmtime::Trap::UnreachableCodeReached);
        assert_eq!(
            state.classify(&error).to_string(),
            "the plugin `broken` failed: panicked at src/lib.rs:1:2:\\nboom (wasm trap: wasm `unreachable` instruction executed)"
        );
    }
}
