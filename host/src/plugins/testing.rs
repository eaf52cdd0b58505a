//! Plugins for tests of this part: core modules written by hand in the text format, made real plugins by
//! [`super::build::freeze`]. They are built for contract 1.0, which has to run on every host of 1.x.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::build::freeze;
use super::{Options, Plugins, Services};
use crate::access::{Access, Caller, Rights, SourceRights};
use crate::registers::Registers;

/// What a test plugin does, in WebAssembly's text format.
#[derive(Debug, Clone, Default)]
pub(super) struct Guest {
    /// The declaration.
    pub(super) declaration: Json,
    /// What `describe` answers, if not that.
    pub(super) describes: Option<String>,
    /// Imports and functions besides the fixed ones.
    pub(super) more: &'static str,
    /// Body of `run`; leaves the address of its answer. Empty: answers `done`.
    pub(super) run: &'static str,
    /// Body of `create`, likewise.
    pub(super) create: &'static str,
}

/// The least a declaration needs, with one action on everything.
pub(super) fn declaration(name: &str, version: &str) -> Json {
    json!({
        "format": 1, "contract": "1.0", "name": name, "version": version, "summary": "A test.",
        "actions": [{"name": format!("{name}_act"), "on": ["*"], "permission": "status_edit", "args": [], "touches": ["self.description"]}]
    })
}

/// A type `Note` with the key `title`.
pub(super) fn note_type() -> Json {
    json!([{"name": "Note", "resource": "notes", "collection": "notes", "sources": true, "keys": [["title"]],
        "fields": [{"name": "title", "kind": "text"}, {"name": "description", "kind": "text"}],
        "shared": ["source"],
        "args": [{"name": "title", "type": "string", "required": true}]}])
}

/// Imports and the body of a `create` that makes a document of the type from its first argument and the shared ones.
pub(super) const MAKES: (&str, &str) = (
    r#"(import "critd:plugin/documents@1.0.0" "make" (func $make (param i32 i32 i32 i32 i32)))
    (import "critd:plugin/documents@1.0.0" "merge-shared" (func $merge (param i32 i32 i32 i32)))"#,
    "(call $make (local.get 0) (local.get 1) (local.get 2) (i32.const 1) (i32.const 200))
    (if (i32.load8_u (i32.const 200)) (then (unreachable)))
    (call $merge (i32.load (i32.const 204)) (local.get 2) (local.get 3) (i32.const 240))
    (if (i32.load8_u (i32.const 240)) (then (unreachable)))
    (i32.store8 (i32.const 64) (i32.const 0)) (i32.store8 (i32.const 68) (i32.const 1))
    (i32.store (i32.const 72) (i32.load (i32.const 204)))
    (i32.store (i32.const 76) (i32.const 512)) (i32.store (i32.const 80) (i32.const 4))
    (i32.store (i32.const 84) (i32.const 0)) (i32.store (i32.const 88) (i32.const 0))
    (i32.const 64)",
);

/// Imports of `current`, `set` and `write`, and functions `$describe_done`, which sets `description` to `done`, and
/// `$say`, which logs `done` as critical.
pub(super) const TOOLS: &str = r#"
    (import "critd:plugin/documents@1.0.0" "current" (func $current (param i32)))
    (import "critd:plugin/documents@1.0.0" "set" (func $set (param i32 i32 i32 i32 i64 i32 i32)))
    (import "critd:plugin/log@1.0.0" "write" (func $write (param i32 i32 i32)))
    (func $describe_done
      (call $current (i32.const 200))
      (call $set (i32.load (i32.const 204)) (i32.const 520) (i32.const 11) (i32.const 4) (i64.const 512) (i32.const 4) (i32.const 240))
      (if (i32.load8_u (i32.const 240)) (then (unreachable))))
    (func $say (call $write (i32.const 4) (i32.const 512) (i32.const 4)))
    (func $deeper (param i32) (result i32) (i32.add (call $deeper (local.get 0)) (i32.const 1)))"#;

/// Writes an answer at 64: ok, no document, the text at 512 as message, no extra.
pub(super) const DONE: &str = "
    (i32.store8 (i32.const 64) (i32.const 0)) (i32.store8 (i32.const 68) (i32.const 0))
    (i32.store (i32.const 76) (i32.const 512)) (i32.store (i32.const 80) (i32.const 4))
    (i32.store (i32.const 84) (i32.const 0)) (i32.store (i32.const 88) (i32.const 0))
    (i32.const 64)";

impl Guest {
    pub(super) fn of(declaration: Json) -> Self {
        Self {
            declaration,
            ..Self::default()
        }
    }

    /// The core module as a compiler would leave it.
    pub(super) fn module(&self) -> Vec<u8> {
        let text = self
            .describes
            .clone()
            .unwrap_or_else(|| self.declaration.to_string());
        let or_done = |body: &'static str| if body.is_empty() { DONE } else { body };
        let source = format!(
            r#"(module
  {more}
  (memory (export "memory") 4)
  (global $free (mut i32) (i32.const 131072))
  (data (i32.const 512) "done")
  (data (i32.const 520) "description")
  (data (i32.const 540) "critd:test")
  (data (i32.const 1024) "{escaped}")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get 3))))
  (func (export "critd:plugin/plugin@1.0.0#describe") (result i32)
    (i32.store (i32.const 8) (i32.const 1024)) (i32.store (i32.const 12) (i32.const {length}))
    (i32.const 8))
  (func (export "critd:plugin/handler@1.0.0#run") (param i32 i32 i32 i32) (result i32) {run})
  (func (export "critd:plugin/handler@1.0.0#create") (param i32 i32 i32 i32) (result i32) {create}))"#,
            more = self.more,
            escaped = escaped(&text),
            length = text.len(),
            run = or_done(self.run),
            create = or_done(self.create),
        );
        let mut module = wat::parse_str(&source).unwrap();
        let mut resolve = wit_parser::Resolve::default();
        let (package, _) = resolve
            .push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/wit/1.0"))
            .unwrap();
        let world = resolve
            .select_world(&[package], Some("object-plugin"))
            .unwrap();
        wit_component::embed_component_metadata(
            &mut module,
            &resolve,
            world,
            wit_component::StringEncoding::UTF8,
        )
        .unwrap();
        module
    }

    /// The plugin file.
    pub(super) fn file(&self) -> Vec<u8> {
        freeze(&self.module()).unwrap()
    }
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "\\{byte:02x}");
        out
    })
}

/// A store, a plugin directory and a manifest in a temporary folder.
pub(super) struct Site {
    pub(super) folder: tempfile::TempDir,
    pub(super) services: Services,
}

impl Site {
    pub(super) async fn new(manifest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let store = crate::store::testing::open(&folder.path().join("data")).await;
        store
            .declare(&crate::access::specifications())
            .await
            .unwrap();
        let services = Services {
            access: Arc::new(Access::new(store.clone())),
            registers: Arc::new(Registers::new(store.clone())),
            store,
        };
        let site = Self { folder, services };
        site.manifest(manifest);
        site
    }

    pub(super) fn options(&self) -> Options {
        let at = |name: &str| self.folder.path().join(name);
        Options {
            directory: at("plugins"),
            manifest: at("plugin-manifest.toml"),
            state: at("state"),
            compile_cache: None,
            permits: Some(4),
            is_alone: true,
        }
    }

    pub(super) async fn start(&self) -> Plugins {
        Plugins::start(self.services.clone(), self.options())
            .await
            .unwrap()
    }

    pub(super) fn manifest(&self, text: &str) {
        std::fs::write(self.folder.path().join("plugin-manifest.toml"), text).unwrap();
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder
            .path()
            .join("plugins")
            .join(format!("{name}.wasm"))
    }

    pub(super) fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.file(name), bytes).unwrap();
    }
}

/// Somebody who may do everything under the source `Example`.
pub(super) fn anybody() -> Arc<Caller> {
    let all = SourceRights {
        read: true,
        write: true,
        red: true,
        amber: true,
        green: true,
    };
    let rights = Rights {
        flags: BTreeSet::from(["*".into()]),
        sources: BTreeMap::from([("Example".into(), all)]),
    };
    Arc::new(Caller {
        user: "tester".into(),
        organization: "Example".into(),
        rights: Arc::new(rights),
        read_only: false,
    })
}
