//! What the installation knows: registers, vocabularies, the public suffix list.

use crate::Fault;
use crate::sys::registers;

/// Is the name in the register? `source` (only those that the user has), `identifier-type`, `raw-data-type`,
/// `signature-type`, `signature-dependency`, `action-type`, `sector`, `location`, `user` (whose names can't be listed).
#[must_use]
pub fn has(register: &str, name: &str) -> bool {
    registers::has(register, name)
}

/// Adds an entry to a register when the call succeeds. False: it is there. Needs `touches("registry:REGISTER")`.
/// Registers: `identifier-type`, `raw-data-type`, `signature-type`, `signature-dependency`, `action-type`.
///
/// # Errors
///
/// `refused(forbidden)`: the user does not hold the flag of that register, such as `add_new_signature_dependency`.
/// `invalid(name)`: no name of 1 to 200 characters without blanks around it.
pub fn add(register: &str, name: &str) -> Result<bool, Fault> {
    registers::add(register, name)
}

/// All names of a register, in alphabetic order.
#[must_use]
pub fn entries(register: &str) -> Vec<String> {
    let mut all = registers::entries(register, "");
    // The host hands out at most 1,000 at a time.
    while let Some(last) = all
        .last()
        .filter(|_| all.len().is_multiple_of(1_000))
        .cloned()
    {
        let more = registers::entries(register, &last);
        if more.is_empty() {
            break;
        }
        all.extend(more);
    }
    all
}

/// The current spelling of a vocabulary value (trimmed, any case, old names): ("IndicatorTypes", "uri - url") is "URI".
/// None: not in it.
#[must_use]
pub fn canonical(vocabulary: &str, text: &str) -> Option<String> {
    registers::canonical(vocabulary, text)
}

/// A relationship read from the other side: "Supra-domain Of" is "Sub-domain Of".
#[must_use]
pub fn inverse(relationship: &str) -> Option<String> {
    registers::inverse(relationship)
}

/// The registrable domain by the public suffix list. None: unknown suffix, an address, a bare suffix.
#[must_use]
pub fn registrable_domain(host: &str) -> Option<String> {
    registers::registrable_domain(host)
}

/// A host name in the one spelling in which it is stored. None: no host name.
#[must_use]
pub fn host_name(text: &str) -> Option<String> {
    registers::host_name(text)
}
