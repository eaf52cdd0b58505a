//! The contract's files are frozen: a plugin that was built against one must load for ever. A change is a new file or folder.

use crate::workspace::{Workspace, digest};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const CONTRACT: &str = "sdk/wit";
const RECORD: &str = "xtask/wit-frozen.txt";

/// Compares the contract with the record.
pub(crate) fn faults(workspace: &Workspace) -> Result<Vec<String>> {
    Ok(compare(&recorded(workspace)?, &present(workspace)?))
}

/// Records the files that are new.
///
/// # Errors
/// When a recorded file was edited or removed.
pub(crate) fn record(workspace: &Workspace) -> Result<()> {
    let (mut known, present) = (recorded(workspace)?, present(workspace)?);
    let edited: Vec<&String> = known
        .iter()
        .filter(|&(path, hash)| present.get(path) != Some(hash))
        .map(|(path, _)| path)
        .collect();
    if !edited.is_empty() {
        bail!("recorded files are frozen, but these were edited or removed: {edited:?}");
    }
    known.extend(present);
    let mut text = String::new();
    for (path, hash) in &known {
        writeln!(text, "{hash}  {path}")?;
    }
    let path = workspace.root.join(RECORD);
    fs::write(&path, text).with_context(|| format!("cannot write {RECORD}"))
}

fn compare(recorded: &BTreeMap<String, String>, present: &BTreeMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, hash) in recorded {
        match present.get(path) {
            Some(found) if found == hash => {}
            Some(_) => faults.push(format!(
                "{path}: the contract was edited in place; undo that and put the change into a new interface or version folder"
            )),
            None => faults.push(format!("{path}: a file of the contract is gone; plugins built against it still exist")),
        }
    }
    for path in present.keys().filter(|path| !recorded.contains_key(*path)) {
        faults.push(format!("{path}: new in the contract and not recorded; run `cargo xtask wit-record` when it is final"));
    }
    faults
}

fn recorded(workspace: &Workspace) -> Result<BTreeMap<String, String>> {
    let path = workspace.root.join(RECORD);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = fs::read_to_string(&path)?;
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (hash, path) = line
                .split_once("  ")
                .with_context(|| format!("{RECORD} has the line '{line}'"))?;
            Ok((path.to_owned(), hash.to_owned()))
        })
        .collect()
}

fn present(workspace: &Workspace) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    collect(&workspace.root, &workspace.root.join(CONTRACT), &mut found)?;
    Ok(found)
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "wit") {
            let name = path.strip_prefix(root)?.display().to_string();
            found.insert(name, digest(&fs::read(&path)?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter()
            .map(|(path, hash)| ((*path).to_owned(), (*hash).to_owned()))
            .collect()
    }

    #[test]
    fn an_unchanged_contract_has_no_fault() {
        let both = files(&[("a.wit", "1")]);
        assert_eq!(compare(&both, &both), Vec::<String>::new());
    }

    #[test]
    fn edited_removed_and_unrecorded_files_are_faults() {
        let recorded = files(&[("a.wit", "1"), ("b.wit", "2")]);
        let present = files(&[("a.wit", "9"), ("c.wit", "3")]);
        let expected = [
            "a.wit: the contract was edited in place; undo that and put the change into a new interface or version folder",
            "b.wit: a file of the contract is gone; plugins built against it still exist",
            "c.wit: new in the contract and not recorded; run `cargo xtask wit-record` when it is final",
        ];
        assert_eq!(compare(&recorded, &present), expected);
    }
}
