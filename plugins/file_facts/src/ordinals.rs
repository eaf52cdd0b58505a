//! What programs of Windows import by number, named as the import hash wants it.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Names by library and number.
static NAMES: LazyLock<HashMap<(&str, u16), &str>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    let mut library = "";
    for line in critd_sdk::ORDINALS.lines() {
        match line.split_once(' ') {
            Some(("#", _)) => {}
            Some((number, name)) => {
                if let Ok(number) = number.parse() {
                    names.insert((library, number), name);
                }
            }
            None => library = line,
        }
    }
    names
});

/// A library as the import hash names it: `KERNEL32.dll` is `kernel32`.
pub(crate) fn stem(library: &str) -> String {
    let library = library.to_lowercase();
    match library.rsplit_once('.') {
        Some((stem, "dll" | "ocx" | "sys")) => stem.to_owned(),
        _ => library,
    }
}

/// The name of what a library exports under this number.
pub(crate) fn name(stem: &str, number: u16) -> String {
    // The digests that are around were made with one list for both libraries of sockets.
    let listed = match stem {
        "wsock32" => "ws2_32",
        other => other,
    };
    match NAMES.get(&(listed, number)) {
        Some(name) => (*name).to_owned(),
        None => format!("ord{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{name, stem};

    #[test]
    fn numbers_have_names_where_the_list_has_them() {
        assert_eq!(stem("KERNEL32.dll"), "kernel32");
        assert_eq!(stem("a.b.OCX"), "a.b");
        assert_eq!(stem("ntdll.exe"), "ntdll.exe");
        assert_eq!(name("ws2_32", 19), "send");
        assert_eq!(name("wsock32", 19), "send");
        assert_eq!(name("ws2_32", 65_534), "ord65534");
        assert_eq!(name("kernel32", 19), "ord19");
    }
}
