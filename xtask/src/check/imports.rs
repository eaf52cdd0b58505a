//! A plugin may import nothing but the contract.

use anyhow::{Context as _, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use wasmparser::{Parser, Payload};

const CONTRACT: &str = "critd:plugin/";

/// Reads a plugin's core module and refuses any import from elsewhere.
pub(crate) fn check(name: &str, module: &Path) -> Result<()> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let strangers: Vec<String> = imported_modules(&bytes)?
        .into_iter()
        .filter(|from| !from.starts_with(CONTRACT))
        .collect();
    if strangers.is_empty() {
        return Ok(());
    }
    bail!(
        "the plugin '{name}' imports from {}: only {CONTRACT}… is allowed; a dependency probably expects a browser or WASI",
        strangers.join(", ")
    )
}

fn imported_modules(bytes: &[u8]) -> Result<BTreeSet<String>> {
    let mut modules = BTreeSet::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                modules.insert(import?.module.to_owned());
            }
        }
    }
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with one imported function of type `() -> ()`.
    fn module_importing(from: &str) -> Vec<u8> {
        let mut entry = vec![1, from.len() as u8];
        entry.extend(from.as_bytes());
        entry.extend([1, b'f', 0, 0]);
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend([1, 4, 1, 0x60, 0, 0]);
        module.extend([2, entry.len() as u8]);
        module.extend(entry);
        module
    }

    #[test]
    fn an_import_from_elsewhere_is_named() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.wasm");
        fs::write(&path, module_importing("critd:plugin/documents@1.0.0"))?;
        check("a", &path)?;
        fs::write(&path, module_importing("__wbindgen_placeholder__"))?;
        let refusal = check("a", &path).err().map(|error| error.to_string());
        let expected = "the plugin 'a' imports from __wbindgen_placeholder__: only critd:plugin/… is allowed; \
                        a dependency probably expects a browser or WASI";
        assert_eq!(refusal.as_deref(), Some(expected));
        Ok(())
    }
}
