//! `add_domain` and `add_relationship`: the domain or address that an indicator's value names.

use critd_sdk::merge;
use critd_sdk::observable::About;
use critd_sdk::prelude::*;

const RELATION: &str = "Related To";
/// What the posted arguments say of the indicator, and so of its domain.
const DOMAIN_TAKES: [&str; 7] = [
    "source",
    "method",
    "reference",
    "tlp",
    "campaign",
    "confidence",
    "bucket_list",
];

/// Adds the domain (with its registrable domain) or the address, or brings it up to date, with all sources and campaigns
/// of the indicator; relates it to the indicator.
///
/// # Errors
///
/// The faults of creating it.
pub(crate) fn add(
    call: &Call,
    indicator: &mut Tlo,
    origin: Origin,
    about: &About,
    shared: &Shared,
) -> Result<(), Fault> {
    let given = shared.params().clone().only(&DOMAIN_TAKES);
    let (mut tlo, root) = match about {
        About::Nothing => {
            call.warn("The value names no domain and no IP address: add_domain added nothing.");
            return Ok(());
        }
        About::Domain(name) => {
            let tlo = create("Domain", given.with("domain", &name.host))?;
            let root = if name.root == name.host {
                None
            } else {
                Tlo::by_key("Domain", [("domain", &name.root)])?
            };
            (tlo, root)
        }
        About::Address(kind, address) => {
            let given = given.with("ticket", shared.params().get("ticket").cloned());
            (
                create("IP", given.with("ip", address).with("ip_type", kind.name()))?,
                None,
            )
        }
    };
    // A new indicator has no other sources and campaigns than those posted.
    if origin != Origin::Fresh {
        inherit(indicator, &mut tlo)?;
        if let Some(mut root) = root {
            inherit(indicator, &mut root)?;
        }
    }
    tlo.relate(RELATION, indicator, Params::new())?;
    Ok(())
}

/// Relates the indicator to the domain or address if that exists and the user may see it.
///
/// # Errors
///
/// None that a client can cause.
pub(crate) fn relate_known(indicator: &mut Tlo, about: &About) -> Result<(), Fault> {
    let known = match about {
        About::Nothing => None,
        About::Domain(name) => Tlo::by_key("Domain", [("domain", &name.host)])?,
        About::Address(_, address) => Tlo::by_key("IP", [("ip", address)])?,
    };
    if let Some(mut known) = known {
        known.relate(RELATION, indicator, Params::new())?;
    }
    Ok(())
}

fn create(type_name: &str, params: Params) -> Result<Tlo, Fault> {
    Tlo::create(type_name, params)?
        .tlo
        .ok_or_else(|| internal(format!("no {type_name} was answered")))
}

fn inherit(indicator: &Tlo, target: &mut Tlo) -> Result<(), Fault> {
    target.inherit_sources(indicator)?;
    merge::inherit_campaigns(indicator, target)
}
