//! Write critd plugins in Rust: types of top-level objects, actions on them, and analysis services. `README.md` beside this crate is the
//! guide, the WIT file in `wit/` the contract below it.
//!
//! ```
//! use critd_sdk::prelude::*;
//!
//! /// Notes that the object was looked at.
//! #[action(on = "*", permission = "status_edit", refusal = "User does not have permission to edit status.", touches = "self.status")]
//! #[example("a new object", before = {"status": "New"}, args = {}, message = "Looked at.")]
//! fn look_at(tlo: &mut Tlo, call: &Call, args: LookAt) -> Outcome {
//!     if tlo.text("status")? == "New" {
//!         tlo.set("status", "In Progress")?;
//!     }
//!     log::info!("{} says: {}", call.user(), args.note.unwrap_or_default());
//!     Ok("Looked at.".into())
//! }
//!
//! #[derive(Args)]
//! struct LookAt {
//!     /// A word for the log.
//!     note: Option<String>,
//! }
//!
//! plugin! { name = "look", version = "1.0.0", summary = "Looking.", actions = [look_at] }
//! # fn main() { assert!(<Plugin as critd_sdk::Plugin>::declaration().contains(r#""name":"look_at""#)); }
//! ```

/// The standard library's allocator in a version that uses the memory that a module has from the beginning (`--initial-heap` of
/// the linker) before it asks the host for more, which costs a call more than anything else that an allocator does.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

// The macros name this crate as plugins see it; its own tests and examples use them too.
extern crate self as critd_sdk;

mod answer;
#[cfg(not(target_arch = "wasm32"))]
pub mod bench;
#[doc(hidden)]
pub mod bindings;
mod call;
mod date;
#[doc(hidden)]
pub mod declare;
pub mod digest;
pub mod log;
pub mod merge;
pub mod net;
pub mod observable;
mod params;
mod plugin;
pub mod registers;
mod sys;
mod task;
mod tlo;
mod uploads;
mod value;
pub mod versions;

pub use answer::{Answer, Outcome, internal, invalid, missing, refused};
pub use bindings::critd::plugin::types::{Arg as RawArg, Fault, Value};
pub use call::Call;
pub use critd_sdk_macros::{
    Args, Choice, Fields, TloType, action, create, example, plugin, service,
};
pub use date::{Date, ObjectId};
pub use params::{Params, Shared, SourceText, source_refusal};
pub use plugin::{Action, Args, Create, Plugin, Service, TloType};
pub use serde;
pub use serde_json;
pub use serde_json::{Value as Json, json};
pub use task::{Analysis, Level, Task};
pub use tlo::{Created, Origin, Relation, Tlo, element};
pub use uploads::{Pieces, Upload, UploadReader, UploadWriter};
pub use value::{Bytes, FromValue, take_member};

/// What libraries of Windows export by number, named as fuzzy and other digests of imports want it: the name of a library, then a
/// line `NUMBER NAME` for each. The host's `impfuzzy` is made with the same list.
pub const ORDINALS: &str = include_str!("ordinals.txt");

/// The guide's code is compiled with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// All that a plugin usually needs.
pub mod prelude {
    pub use crate::{
        Analysis, Answer, Args, Bytes, Call, Choice, Created, Date, Fault, Fields, Json, Level,
        ObjectId, Origin, Outcome, Params, Relation, Shared, SourceText, Task, Tlo, TloType,
        Upload, Value, action, create, example, internal, invalid, json, log, missing, params,
        plugin, refuse, refused, registers, service,
    };
}
