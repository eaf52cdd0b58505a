//! What plugins find wrong with arguments of an action, as the host says it (core-api 13.3).

use serde_json::Value as Json;

use crate::plugins::NotDone;
use crate::plugins::registry::ActionEntry;
use crate::plugins::value::Arg;

/// Declared arguments that were not sent and have no default.
pub(super) fn absent_arguments(action: &ActionEntry, args: &[Arg]) -> Vec<String> {
    let declared = action
        .declaration
        .args
        .iter()
        .map(|declared| &declared.name);
    declared
        .filter(|name| !args.iter().any(|arg| arg.name == **name))
        .cloned()
        .collect()
}

/// An argument that was not sent is missing, not invalid: one that is needed only beside certain others. A path is an
/// argument and its key.
pub(super) fn as_of_argument(mut not_done: NotDone, absent: &[String]) -> NotDone {
    let NotDone::Refused(refusal) = &mut not_done else {
        return not_done;
    };
    let Some(named) = refusal.error.get("argument").and_then(Json::as_str) else {
        return not_done;
    };
    let named = named.to_owned();
    if let Some((argument, key)) = named.split_once('.') {
        refusal.error.insert("argument".into(), argument.into());
        refusal.error.insert("key".into(), key.into());
    } else if absent.contains(&named)
        && refusal.error.get("code") == Some(&Json::from("invalid_value"))
    {
        refusal
            .error
            .insert("code".into(), "missing_argument".into());
    }
    not_done
}
