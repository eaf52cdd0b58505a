//! Campaigns: what many objects have in common, known to everybody.

mod aliases;

use critd_sdk::merge;
use critd_sdk::prelude::*;

use aliases::update_campaign_aliases;

plugin! {
    name = "campaign",
    summary = "Campaigns: series of attacks by the same people, to which other objects are attributed.",
    types = [Campaign],
    actions = [update_campaign_aliases],
}

/// A series of attacks that are thought to come from the same people. Other objects are attributed to it by name.
///
/// Campaigns have no sources: whoever may read campaigns sees all of them.
#[derive(Debug, TloType)]
#[tlo(
    resource = "campaigns",
    collection = "campaigns",
    schema_version = 3,
    sources = false,
    keys(name),
    lookup = "name",
    shared("bucket_list", "ticket", "status", "sectors", "related")
)]
pub struct Campaign {
    /// Name, by which other objects refer to it.
    #[field(required = false, sortable, indexed, searchable)]
    pub name: String,
    /// `on`, or `off` for a campaign that is over. Events are attributed to active ones only.
    #[field(default = "on", indexed)]
    pub active: String,
    /// Other names it goes by.
    #[field(sortable, indexed, searchable)]
    pub aliases: Vec<String>,
    /// Tactics, techniques and procedures.
    pub ttps: Vec<Ttp>,
    /// Number of actors attributed to it; like all of these, counted by a batch job.
    #[field(default = 0)]
    pub actor_count: i64,
    /// Number of backdoors attributed to it.
    #[field(default = 0)]
    pub backdoor_count: i64,
    /// Number of domains attributed to it.
    #[field(default = 0)]
    pub domain_count: i64,
    /// Number of e-mails attributed to it.
    #[field(default = 0)]
    pub email_count: i64,
    /// Number of events attributed to it.
    #[field(default = 0)]
    pub event_count: i64,
    /// Number of exploits attributed to it.
    #[field(default = 0)]
    pub exploit_count: i64,
    /// Number of indicators attributed to it.
    #[field(default = 0)]
    pub indicator_count: i64,
    /// Number of IP addresses attributed to it.
    #[field(default = 0)]
    pub ip_count: i64,
    /// Number of network captures attributed to it.
    #[field(default = 0)]
    pub pcap_count: i64,
    /// Number of samples attributed to it.
    #[field(default = 0)]
    pub sample_count: i64,
}

/// How the people behind a campaign work.
#[derive(Debug, Fields)]
pub struct Ttp {
    /// The tactic, technique or procedure.
    #[field(required)]
    pub ttp: String,
    /// Who added it.
    pub analyst: String,
    /// When it was added.
    pub date: Date,
}

/// What a new campaign is made of.
#[derive(Debug, Args)]
pub struct NewCampaign {
    /// Its name, which no other campaign has.
    #[arg(required, missing = "Need a Campaign name.", example = "Example Bear")]
    pub name: String,
    /// Other names it goes by, separated by commas.
    #[arg(required = false, example = "EB, Bear")]
    pub aliases: Vec<String>,
    /// What is known about it.
    #[arg(example = "Fictional campaign")]
    pub description: Option<String>,
}

/// Create.md 5.4: adds a campaign; never changes one. Documents.md 3.5: a document that a batch job made, with a name
/// and counters and nothing else, becomes the campaign.
///
/// # Errors
///
/// There is a campaign of that name.
#[create(Campaign)]
#[example(
    "a new campaign",
    args = {"name": " Example Bear ", "aliases": "EB,, Bear, EB", "description": "Fictional campaign"},
    message = "Campaign created successfully!"
)]
#[example(
    "a campaign of that name exists",
    before = {"name": "Example Bear", "active": "on"},
    args = {"name": "Example Bear"},
    fault = {"refused": "already_exists", "message": "Campaign already exists."}
)]
#[example("no name", args = {"description": "Fictional campaign"}, fault = {"invalid": "name", "message": "Need a Campaign name."})]
pub fn create(args: NewCampaign, shared: &Shared) -> Outcome {
    let (mut campaign, origin) = Tlo::make::<Campaign>([("name", args.name)])?;
    if origin != Origin::Fresh {
        if !is_stub(&campaign)? {
            campaign.concerns()?;
            refuse!(already_exists: "Campaign already exists.");
        }
        campaign.set_many(params! { "active" => "on", "status" => "New" })?;
    }
    let aliases = merge::distinct(args.aliases);
    if !aliases.is_empty() {
        campaign.set("aliases", aliases)?;
    }
    campaign.set("description", args.description)?;
    campaign.merge_shared(shared)?;
    Ok(Answer::new("Campaign created successfully!").document(&campaign))
}

/// Made by a batch job that counts the uses of names: every campaign made by POST is active or not.
fn is_stub(campaign: &Tlo) -> Result<bool, Fault> {
    Ok(campaign
        .get_many(&["schema_version", "active"])?
        .iter()
        .all(Option::is_none))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
