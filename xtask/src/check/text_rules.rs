//! Rules that every file of the repository keeps, whatever is in it.

use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// A Rust file longer than this is hard to find one's way in.
const LONGEST: usize = 800;
/// Git keeps a file for ever.
const LARGEST: u64 = 1_000_000;

/// Text that no file may hold, and why. Written in two parts so that this file keeps its own rule.
const FORBIDDEN: [(&str, &str, &str); 9] = [
    ("/wo", "rk/", "names a folder of one machine"),
    ("/ro", "ot/", "names a folder of one machine"),
    ("/ho", "me/", "names a folder of one machine"),
    ("/Us", "ers/", "names a folder of one machine"),
    ("../sh", "ared", "names a folder outside this repository"),
    (
        "registry.npm",
        "js.org",
        "names a registry's host; name the package alone",
    ),
    (
        "pythonhos",
        "ted.org",
        "names a registry's host; name the package alone",
    ),
    (
        "deb.deb",
        "ian.org",
        "names a registry's host; name the package alone",
    ),
    (
        "static.cra",
        "tes.io",
        "names a registry's host; name the package alone",
    ),
];

/// Marks of unfinished work in Rust files.
const UNFINISHED: [(&str, &str); 6] = [
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X"),
    ("todo", "!("),
    ("unimplemented", "!("),
    ("#[ign", "ore"),
];

/// Every line that breaks a rule.
pub(crate) fn faults(root: &Path, files: &[PathBuf]) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for file in files {
        let shown = file.display().to_string();
        let path = root.join(file);
        if fs::metadata(&path)?.len() > LARGEST {
            faults.push(format!("{shown}: larger than {LARGEST} bytes"));
        }
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let is_rust = file.extension().is_some_and(|extension| extension == "rs");
        faults_of(&shown, &text, is_rust, &mut faults);
    }
    Ok(faults)
}

fn faults_of(shown: &str, text: &str, is_rust: bool, faults: &mut Vec<String>) {
    for (number, line) in (1..).zip(text.lines()) {
        for (left, right, why) in FORBIDDEN {
            if line.contains(&format!("{left}{right}")) {
                faults.push(format!("{shown}:{number}: {why}"));
            }
        }
        for (left, right) in UNFINISHED {
            if is_rust && line.contains(&format!("{left}{right}")) {
                faults.push(format!("{shown}:{number}: unfinished work ({left}{right})"));
            }
        }
    }
    let lines = text.lines().count();
    if is_rust && lines > LONGEST {
        faults.push(format!("{shown}: {lines} lines, more than {LONGEST}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, is_rust: bool) -> Vec<String> {
        let mut faults = Vec::new();
        faults_of("f", text, is_rust, &mut faults);
        faults
    }

    #[test]
    fn a_machines_folder_is_a_fault_everywhere() {
        let text = format!("a\nsee {}{}x", "/ro", "ot/");
        assert_eq!(found(&text, false), ["f:2: names a folder of one machine"]);
    }

    #[test]
    fn unfinished_work_is_a_fault_in_rust_files() {
        let text = format!("// {}{}: later", "TO", "DO");
        assert_eq!(
            found(&text, true),
            [format!("f:1: unfinished work ({}{})", "TO", "DO")]
        );
        assert_eq!(found(&text, false), Vec::<String>::new());
    }

    #[test]
    fn a_long_file_is_a_fault() {
        assert_eq!(
            found(&"\n".repeat(801), true),
            ["f: 801 lines, more than 800"]
        );
        assert_eq!(found(&"\n".repeat(800), true), Vec::<String>::new());
    }
}
