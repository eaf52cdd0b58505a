//! `comment_update`, `comment_remove`: what one has said oneself about an object. Comments are documents of their own; the
//! object itself stays as it is.

use critd_sdk::prelude::*;

use crate::mentions;

/// Changes one's own comment on the object, which is found by its date.
///
/// # Rules
///
/// actions.md section 10. Of several comments of this date one's own counts. ACT-18: an equal text changes nothing.
#[action(
    on = "*",
    permission = "comments_edit",
    refusal = "User does not have permission to edit comments.",
    touches = "other:Comment",
    answers = "the comment: {\"comment\": …, \"date\": …, \"edit_date\": …, \"analyst\": …, \"users\": […], \"tags\": […]}"
)]
#[example("other words",
    before = {"_id": {"$oid": "5b2c3d4e5f60718293a40001"}},
    others = [{"type": "Comment", "document": {"comment": "old", "date": {"$date": 1768471200000}, "analyst": "example",
        "obj_id": {"$oid": "5b2c3d4e5f60718293a40001"}, "source": [{"name": "Example", "instances": [{"tlp": "red"}]}]}}],
    args = {"date": "2026-01-15 10:00:00.000000", "comment": "new #packer"},
    message = "Comment updated.")]
#[example("somebody else's",
    before = {"_id": {"$oid": "5b2c3d4e5f60718293a40001"}},
    others = [{"type": "Comment", "document": {"comment": "old", "date": {"$date": 1768471200000}, "analyst": "other",
        "obj_id": {"$oid": "5b2c3d4e5f60718293a40001"}}}],
    args = {"date": "2026-01-15 10:00:00.000000", "comment": "new"},
    fault = {"refused": "forbidden", "message": "You cannot edit comments from other analysts!"})]
#[example("none of this date",
    before = {}, args = {"date": "2026-01-15 10:00:00.000000", "comment": "new"}, fault = {"missing": "Cannot find comment to update!"})]
pub(crate) fn comment_update(tlo: &Tlo, call: &Call, args: CommentUpdate) -> Outcome {
    let Found { mut comment, own } =
        find(tlo, call, args.date)?.ok_or_else(|| missing("Cannot find comment to update!"))?;
    if !own {
        refuse!("You cannot edit comments from other analysts!");
    }
    if comment.text("comment")? != args.comment {
        comment.set_many(params! {
            "comment" => &args.comment,
            "edit_date" => call.now(),
            "users" => mentions::users(&args.comment),
            "tags" => mentions::tags(&args.comment),
        })?;
    }
    shown("Comment updated.", &comment)
}

#[derive(Debug, Args)]
pub(crate) struct CommentUpdate {
    /// When the comment was made.
    #[arg(example = "2026-01-15 10:00:00.000000")]
    date: Date,
    /// What is said now. `@name` names a user, `#word` is a tag.
    #[arg(
        type = "text",
        nonempty,
        example = "Same packer as last week, @asmith #packer"
    )]
    comment: String,
}

/// Removes one's own comment on the object, which is found by its date.
///
/// # Rules
///
/// actions.md section 10. Answers to it stay.
#[action(
    on = "*",
    permission = "comments_delete",
    refusal = "User does not have permission to delete comments.",
    touches = "other:Comment",
    answers = "the removed comment, as of `comment_update`"
)]
#[example("one's own, though somebody else said something at the same time",
    before = {"_id": {"$oid": "5b2c3d4e5f60718293a40001"}},
    others = [
        {"type": "Comment", "document": {"comment": "theirs", "date": {"$date": 1768471200000}, "analyst": "other",
            "obj_id": {"$oid": "5b2c3d4e5f60718293a40001"}}},
        {"type": "Comment", "document": {"comment": "mine", "date": {"$date": 1768471200000}, "edit_date": {"$date": 1768471200000},
            "analyst": "example", "users": [], "tags": [], "obj_id": {"$oid": "5b2c3d4e5f60718293a40001"}}}],
    args = {"date": "2026-01-15 10:00:00.000000"},
    message = "Comment removed.")]
#[example("somebody else's",
    before = {"_id": {"$oid": "5b2c3d4e5f60718293a40001"}},
    others = [{"type": "Comment", "document": {"comment": "old", "date": {"$date": 1768471200000}, "analyst": "other",
        "obj_id": {"$oid": "5b2c3d4e5f60718293a40001"}}}],
    args = {"date": "2026-01-15 10:00:00.000000"},
    fault = {"refused": "forbidden", "message": "You cannot delete comments from other analysts!"})]
#[example("none of this date",
    before = {}, args = {"date": "2026-01-15 10:00:00.000000"}, fault = {"missing": "Could not find comment to remove!"})]
pub(crate) fn comment_remove(tlo: &Tlo, call: &Call, args: CommentRemove) -> Outcome {
    let Found { comment, own } =
        find(tlo, call, args.date)?.ok_or_else(|| missing("Could not find comment to remove!"))?;
    if !own {
        refuse!("You cannot delete comments from other analysts!");
    }
    let answer = shown("Comment removed.", &comment)?;
    comment.remove()?;
    Ok(answer)
}

#[derive(Debug, Args)]
pub(crate) struct CommentRemove {
    /// When the comment was made.
    #[arg(example = "2026-01-15 10:00:00.000000")]
    date: Date,
}

/// A comment of a date, and whether it is the user's own.
struct Found {
    comment: Tlo,
    own: bool,
}

/// The user's own comment of this date on the object, else somebody else's that the user may see.
fn find(object: &Tlo, call: &Call, date: Date) -> Result<Option<Found>, Fault> {
    let of_date = json!({ "obj_id": object.id()?, "date": date });
    let mut of_user = of_date.clone();
    of_user["analyst"] = call.user().into();
    if let Some(comment) = Tlo::select("Comment", &of_user, 1)?.pop() {
        return Ok(Some(Found { comment, own: true }));
    }
    let theirs = Tlo::select("Comment", &of_date, 1)?.pop();
    Ok(theirs.map(|comment| Found {
        comment,
        own: false,
    }))
}

fn shown(message: &str, comment: &Tlo) -> Outcome {
    let object = json!({
        "comment": comment.text("comment")?,
        "date": comment.get::<Date>("date")?,
        "edit_date": comment.get::<Date>("edit_date")?,
        "analyst": comment.text("analyst")?,
        "users": comment.list::<String>("users")?,
        "tags": comment.list::<String>("tags")?,
    });
    Ok(Answer::new(message).object(object))
}
