//! Screenshots: pictures that belong to objects of other types.

mod picture;

use std::io::BufReader;

use critd_sdk::merge;
use critd_sdk::prelude::*;

use picture::Picture;

plugin! {
    name = "screenshot",
    summary = "Screenshots: pictures that belong to objects of other types, with thumbnails.",
    types = [Screenshot],
    needs = {
        "other:*" = "A screenshot's id is kept by the object that it shows.",
    },
}

/// A picture of something: a lure document, a phishing page. Objects keep the ids of their screenshots.
///
/// Every picture is drawn anew as a PNG; nothing else of the file sent is kept. The MD5 of the file sent is the key.
/// To add one, the flag `screenshots_add` of the object's type is needed.
#[derive(Debug, TloType)]
#[tlo(
    resource = "screenshots",
    collection = "screenshots",
    schema_version = 1,
    top_level = false,
    keys(md5),
    lookup = "md5",
    shared("source"),
    methods("GET", "POST"),
    permission = "{otype}.screenshots_add",
    permission_check = "within",
    read_permission = ""
)]
pub struct Screenshot {
    /// The picture, a PNG.
    #[field(required, kind = "file", bucket = "screenshots")]
    pub screenshot: Option<ObjectId>,
    /// The picture at most 128 by 128 pixels large, a PNG.
    #[field(required, sortable, kind = "file", bucket = "screenshots")]
    pub thumb: Option<ObjectId>,
    /// MD5 of the file that was sent, not of the PNG.
    #[field(sortable, indexed, searchable)]
    pub md5: String,
    /// Name of the file that was sent.
    #[field(searchable)]
    pub filename: String,
    /// What it shows.
    #[field(sortable, searchable)]
    pub description: Option<String>,
    /// Who added it.
    #[field(indexed)]
    pub analyst: String,
    /// Pixels.
    pub width: i64,
    /// Pixels.
    pub height: i64,
    /// Words by which objects find it: those of their bucket list.
    #[field(sortable, indexed)]
    pub tags: Vec<String>,
    /// When it was added.
    #[field(default = "now", sortable)]
    pub created: Date,
    /// When it was changed.
    #[field(default = "now", sortable)]
    pub modified: Date,
}

/// What a new screenshot is made of.
#[derive(Debug, Args)]
pub struct NewScreenshot {
    /// `screenshot` for a picture, `ids` to give screenshots that are there to another object.
    #[arg(
        required,
        enum("ids", "screenshot"),
        missing = "Must provide an upload type.",
        invalid = "Not a valid upload type.",
        example = "screenshot"
    )]
    pub upload_type: String,
    /// The picture, as a file part of a multipart form: PNG, JPEG, GIF, BMP, WebP or TIFF.
    #[arg(example = "lure.png")]
    pub filedata: Option<Upload>,
    /// Ids of screenshots that are there, separated by commas.
    #[arg(required = false, example = "5b2c3d4e5f60718293a4b5d9")]
    pub screenshot_ids: Vec<String>,
    /// Id of the object that it belongs to. Required.
    #[arg(example = "5b2c3d4e5f60718293a4b5c6")]
    pub oid: Option<String>,
    /// Type of that object. Required.
    #[arg(
        type = "type",
        invalid = "Could not find the top-level object.",
        example = "Sample"
    )]
    pub otype: Option<String>,
    /// Name of the source that it comes from. Required.
    #[arg(synonyms("source_name"), example = "Example CERT")]
    pub source: Option<String>,
    /// What it shows. Of a picture that exists it changes nothing.
    #[arg(example = "Lure document")]
    pub description: Option<String>,
    /// Words by which objects find it, separated by commas.
    #[arg(required = false, example = "invoice-lure")]
    pub tags: Vec<String>,
}

/// Larger files are no screenshots.
const LARGEST: u64 = 64 << 20;
/// Types whose objects have no screenshots.
const WITHOUT: [&str; 3] = ["Screenshot", "ActorIdentifier", "Comment"];

/// Create.md 5.17: adds a screenshot to an object.
///
/// # Errors
///
/// No picture, or one that can't be read; no such object; no source, or one that the user may not write with.
#[create(Screenshot, touches("other:*"))]
#[example("no picture", args = {"upload_type": "screenshot", "oid": "5b2c3d4e5f60718293a4b5c6", "otype": "Event", "source": "Example"}, fault = {"invalid": "filedata", "message": "Upload type of 'screenshot' but no file uploaded."})]
#[example("no object", args = {"upload_type": "ids", "screenshot_ids": "5b2c3d4e5f60718293a4b5d9", "source": "Example"}, fault = {"invalid": "oid", "message": "You must provide a valid set of information."})]
pub fn create(call: &Call, args: NewScreenshot, shared: &Shared) -> Outcome {
    let is_picture = args.upload_type == "screenshot";
    let picture = args.filedata.filter(|_| is_picture);
    if is_picture && picture.is_none() {
        let text = "Upload type of 'screenshot' but no file uploaded.";
        return Err(invalid("filedata", text));
    }
    let (Some(oid), Some(otype), Some(_)) = (&args.oid, &args.otype, shared.source()) else {
        return Err(incomplete());
    };
    if !is_picture && args.screenshot_ids.is_empty() {
        return Err(incomplete());
    }
    call.require(&[otype.as_str(), ".screenshots_add"].concat())?;
    let mut object = match Tlo::by_id(otype, oid) {
        Ok(object) if !WITHOUT.contains(&object.type_of()?.as_str()) => object,
        Ok(_) | Err(Fault::Missing(_)) => {
            return Err(missing("Could not find the top-level object."));
        }
        Err(fault) => return Err(fault),
    };
    let tags = merge::distinct(&args.tags);
    let shown = match picture {
        Some(picture) => vec![add(call, picture, &args, shared)?],
        None => known(&args.screenshot_ids)?,
    };
    let mut last = None;
    for mut screenshot in shown {
        screenshot.merge_shared(shared)?;
        for tag in &tags {
            screenshot.push_unique("tags", tag, &[])?;
        }
        object.push_unique("screenshots", screenshot.id()?.as_str(), &[])?;
        last = Some(screenshot);
    }
    let last = last.ok_or_else(|| missing("No valid screenshots found."))?;
    Ok(Answer::new("Screenshot(s) successfully uploaded!").document(&last))
}

fn incomplete() -> Fault {
    invalid("oid", "You must provide a valid set of information.")
}

/// The screenshots of these ids that there are.
fn known(ids: &[String]) -> Result<Vec<Tlo>, Fault> {
    let mut found = Vec::new();
    for id in ids {
        match Tlo::by_id("Screenshot", id.trim().to_lowercase()) {
            Ok(screenshot) => found.push(screenshot),
            Err(Fault::Missing(_)) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(found)
}

/// The screenshot of this file, drawn if it is not there.
fn add(call: &Call, file: Upload, args: &NewScreenshot, shared: &Shared) -> Result<Tlo, Fault> {
    let unreadable = || invalid("filedata", "Invalid image file.");
    if file.size()? > LARGEST {
        return Err(unreadable());
    }
    let md5 = file.digest("md5")?;
    let md5 = md5.ok_or_else(|| internal("no MD5 was answered"))?;
    let (mut screenshot, origin) = Tlo::make::<Screenshot>([("md5", &md5)])?;
    let is_drawn = origin != Origin::Fresh && Upload::open(&screenshot, "screenshot")?.is_some();
    let picture = if is_drawn {
        None
    } else {
        let reader = BufReader::new(file.reader()?);
        Some(picture::read(reader).ok_or_else(unreadable)?)
    };
    shared.require_source(SourceText::Object)?;
    if let Some(picture) = picture {
        draw(&picture, "screenshot", &mut screenshot)?;
        draw(&picture.thumb(), "thumb", &mut screenshot)?;
        screenshot
            .set_many(params! { "width" => picture.width(), "height" => picture.height() })?;
    }
    if origin == Origin::Fresh {
        screenshot.set_many(params! {
            "filename" => file.file_name()?,
            "description" => args.description.as_deref(),
            "analyst" => call.user(),
        })?;
    }
    Ok(screenshot)
}

/// Draws a picture as the file of a field.
fn draw(picture: &Picture, field: &str, screenshot: &mut Tlo) -> Result<(), Fault> {
    let mut writer = Upload::writer("")?;
    let drawn = picture.write(&mut writer);
    let file = writer.finish()?;
    drawn.map_err(|error| internal(format!("drawing a picture: {error}")))?;
    file.keep(screenshot, field)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
