//! Comments: what people say about objects.

mod edit;
mod mentions;

use critd_sdk::prelude::*;

use edit::{comment_remove, comment_update};

plugin! {
    name = "comment",
    summary = "Comments: what people say about objects.",
    types = [Comment],
    actions = [comment_update, comment_remove],
}

/// What somebody says about an object. Comments are added and not read here.
///
/// A comment belongs to its author: its only source is the author's organisation.
#[derive(Debug, TloType)]
#[tlo(
    resource = "comments",
    collection = "comments",
    schema_version = 1,
    top_level = false,
    author_source,
    shared(),
    methods("POST"),
    permission = "{object_type}.comments_add",
    refusal = "You do not have permission to add comment to type {object_type}.",
    answer_keys = {"success": {"success": true}, "failure": {"success": false}, "forbidden": {"status_code": 1}},
    notifies = {"type": "obj_type", "id": "obj_id", "mentioned": "users"}
)]
pub struct Comment {
    /// What is said.
    pub comment: String,
    /// When it was said.
    #[field(stored = "date", default = "now", sortable)]
    pub created: Date,
    /// When it was last changed.
    #[field(default = "now")]
    pub edit_date: Date,
    /// Who said it.
    #[field(indexed)]
    pub analyst: String,
    /// Type of the object.
    #[field(indexed)]
    pub obj_type: String,
    /// The object.
    #[field(kind = "id", indexed)]
    pub obj_id: String,
    /// The page it was said on; here the object's id.
    pub url_key: String,
    /// The comment that it answers.
    #[field(refers)]
    pub parent: Option<Parent>,
    /// Users that it names.
    #[field(indexed)]
    pub users: Vec<String>,
    /// Tags that it names.
    #[field(indexed)]
    pub tags: Vec<String>,
}

/// The comment that another one answers: on the same object, by time and author.
#[derive(Debug, Fields)]
pub struct Parent {
    /// When it was said.
    pub date: Date,
    /// Who said it.
    pub analyst: String,
}

/// What a new comment is made of.
#[derive(Debug, Args)]
pub struct NewComment {
    /// Type of the object.
    #[arg(
        type = "type",
        required,
        missing = "Must provide an object type.",
        invalid = "Could not find the top-level object.",
        example = "Sample"
    )]
    pub object_type: String,
    /// Id of the object.
    #[arg(
        required,
        missing = "Must provide an object id.",
        example = "5b2c3d4e5f60718293a4b5c6"
    )]
    pub object_id: String,
    /// What is said. `@name` names a user, `#word` is a tag.
    #[arg(
        type = "text",
        required,
        missing = "Must provide a comment.",
        example = "Same packer as last week, @asmith #packer"
    )]
    pub comment: String,
    /// When the comment that it answers was said.
    #[arg(type = "ldate", invalid = "Invalid date: {value}.")]
    pub parent_date: Option<Date>,
    /// Who said the comment that it answers.
    pub parent_analyst: Option<String>,
}

/// Create.md 5.6: adds a comment to an object that the user sees.
///
/// # Errors
///
/// There is no such object; half of a parent.
#[create(Comment)]
#[example(
    "no such object",
    args = {"object_type": "Comment", "object_id": "0123456789abcdef01234567", "comment": "x"},
    fault = {"missing": "Could not find the top-level object."}
)]
#[example("no type", args = {"object_id": "0123456789abcdef01234567", "comment": "x"}, fault = {"invalid": "object_type", "message": "Must provide an object type."})]
#[example("no id", args = {"object_type": "Nonsense", "comment": "x"}, fault = {"invalid": "object_id", "message": "Must provide an object id."})]
#[example("no comment", args = {"object_type": "Nonsense", "object_id": "x"}, fault = {"invalid": "comment", "message": "Must provide a comment."})]
pub fn create(call: &Call, args: NewComment) -> Outcome {
    let parent = match (args.parent_date, &args.parent_analyst) {
        (Some(date), Some(analyst)) => Some(json!({ "date": date, "analyst": analyst })),
        (None, None) => None,
        (None, Some(_)) | (Some(_), None) => {
            return Err(invalid(
                "parent_date",
                "Must provide both parent_date and parent_analyst.",
            ));
        }
    };
    let object = Tlo::by_id(&args.object_type, &args.object_id).map_err(|fault| match fault {
        Fault::Missing(_) => missing("Could not find the top-level object."),
        other => other,
    })?;
    let (mut comment, _) = Tlo::make::<Comment>(Params::new())?;
    comment.set_many(params! {
        "comment" => &args.comment,
        "analyst" => call.user(),
        "obj_type" => object.type_of()?,
        "obj_id" => object.id()?,
        "url_key" => object.id()?.as_str(),
        "parent" => parent,
        "users" => mentions::users(&args.comment),
        "tags" => mentions::tags(&args.comment),
    })?;
    Ok(Answer::new("Comment added successfully!").document(&comment))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
