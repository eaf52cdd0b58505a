//! `modify_bucket_list`, `modify_sector_list`

use critd_sdk::merge::Mode;
use critd_sdk::prelude::*;

/// Puts the object into buckets, or takes it out of them.
///
/// # Rules
///
/// NEW-1. The host counts the objects of each bucket.
#[action(
    on = "*",
    permission = "bucketlist_edit",
    refusal = "User does not have permission to modify bucket list.",
    touches = "self.bucket_list",
    answers = "the buckets: {\"bucket_list\": […]}"
)]
#[example("two more, one of them known",
    before = {"bucket_list": ["a"]}, args = {"buckets": "a, b"},
    message = "Bucket list updated.", object = {"bucket_list": ["a", "b"]}, operations = [{"set": ["bucket_list", ["a", "b"]]}])]
#[example("out of a bucket",
    before = {"bucket_list": ["a", "b"]}, args = {"tags": ["a", "x"], "mode": "remove"},
    message = "Bucket list updated.", object = {"bucket_list": ["b"]})]
#[example("nothing to do",
    before = {"bucket_list": ["a"]}, args = {"bucket_list": "a", "mode": "replace"},
    message = "Bucket list updated.", object = {"bucket_list": ["a"]}, operations = [])]
pub(crate) fn modify_bucket_list(tlo: &mut Tlo, args: ModifyBucketList) -> Outcome {
    let list = modified(tlo, "bucket_list", args.mode, args.buckets)?;
    Ok(Answer::new("Bucket list updated.").object(json!({ "bucket_list": list })))
}

#[derive(Args)]
pub(crate) struct ModifyBucketList {
    /// Names of buckets.
    #[arg(synonyms("bucket_list", "tags"), example = "phishing,2026")]
    buckets: Vec<String>,
    /// Whether they are added, taken away or become the list.
    #[arg(default = "add")]
    mode: Mode,
}

/// Names the sectors that the object is about, or takes them away.
///
/// # Rules
///
/// NEW-8. The host counts the objects of each sector.
#[action(
    on = "*",
    permission = "sectors_edit",
    refusal = "User does not have permission to modify sector list.",
    touches = "self.sectors",
    answers = "the sectors: {\"sectors\": […]}"
)]
#[example("a sector",
    before = {"sectors": []}, args = {"sectors": ["Energy"]},
    message = "Sector list updated.", object = {"sectors": ["Energy"]})]
#[example("no such sector", args = {"sectors": "Fun"}, fault = {"invalid": "sectors", "message": "Invalid sector: Fun."})]
pub(crate) fn modify_sector_list(tlo: &mut Tlo, args: ModifySectorList) -> Outcome {
    let list = modified(tlo, "sectors", args.mode, args.sectors)?;
    Ok(Answer::new("Sector list updated.").object(json!({ "sectors": list })))
}

#[derive(Args)]
pub(crate) struct ModifySectorList {
    /// Names of sectors.
    #[arg(
        vocab = "Sectors",
        invalid = "Invalid sector: {value}.",
        example = "Energy"
    )]
    sectors: Vec<String>,
    /// Whether they are added, taken away or become the list.
    #[arg(default = "add")]
    mode: Mode,
}

fn modified(
    tlo: &mut Tlo,
    field: &str,
    mode: Mode,
    given: Vec<String>,
) -> Result<Vec<String>, Fault> {
    let before: Vec<String> = tlo.list(field)?;
    let after = mode.apply(&before, given);
    if after != before {
        tlo.set(field, &after)?;
    }
    Ok(after)
}
