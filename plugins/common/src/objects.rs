//! `add_object`, `delete_object`

use critd_sdk::observable::{self, About, Checked};
use critd_sdk::{merge, prelude::*};

/// Objects of this type are files: their value is the MD5.
const FILE: &str = "File Upload";

/// Adds an object to the list of a document: a value that was seen in it, or a file.
///
/// The value is checked and normalised as that of an indicator of the type. A capture of network traffic also becomes a PCAP,
/// if the user may make one.
///
/// # Rules
///
/// add_object.3 and .4 are the host's. .5: type and value together are the key. .7: what prevents the indicator does not
/// prevent the object, but the lack of `Indicator.write` does, and a type that no indicator has.
#[action(
    on = "*",
    permission = "objects_add",
    refusal = "User does not have permission to add object",
    touches(
        "self.objects",
        "self.relationships",
        "create:Indicator",
        "create:PCAP"
    ),
    answers = "the entry, with `indicator_id` if an indicator was made and `pcap_id` if a PCAP was"
)]
#[example("an address in another spelling",
    before = {"objects": []}, args = {"object_type": "IPv4 Address", "value": "010.1.2.3", "source": "Example"},
    message = "Object added successfully",
    object = {"type": "IPv4 Address", "value": "10.1.2.3", "analyst": "example", "date": {"$date": 1767225600000}, "source": [{"name": "Example",
        "instances": [{"analyst": "example", "date": {"$date": 1767225600000}, "method": "", "reference": "", "tlp": "amber"}]}]})]
#[example("an object that is there already",
    before = {"objects": [{"type": "Mutex", "value": "x"}]}, args = {"object_type": "Mutex", "value": " x ", "source": "Example"},
    fault = {"refused": "already_exists", "message": "Object already exists! [Type: \"Mutex\"][Value: \"x\"]"})]
#[example("a value that is none of its type",
    args = {"object_type": "IPv4 Address", "value": "x", "source": "Example"}, fault = {"invalid": "value", "message": "Invalid IPv4 address"})]
#[example("no value", args = {"object_type": "Mutex", "source": "Example"}, fault = {"invalid": "value"})]
pub(crate) fn add_object(tlo: &mut Tlo, call: &Call, args: AddObject) -> Outcome {
    let Checked { value, about } = value(call, &args)?;
    if args.add_indicator {
        check_indicator(call, &args.object_type)?;
    }
    let reference = match args.filedata {
        Some(file) if args.reference.is_empty() => file.file_name()?,
        _ => args.reference.clone(),
    };
    let (user, now) = (call.user(), call.now());
    let instance = json!({ "analyst": user, "date": now, "method": args.method, "reference": reference, "tlp": args.tlp });
    let mut entry = json!({
        "type": args.object_type, "value": value, "analyst": user, "date": now,
        "source": [{ "name": args.source, "instances": [instance] }],
    });
    if !tlo.push_unique("objects", &entry, &["type", "value"])? {
        refuse!(already_exists: "Object already exists! [Type: \"{}\"][Value: \"{value}\"]", args.object_type);
    }
    let given = params! {
        "source" => &args.source, "method" => &args.method, "reference" => &reference, "tlp" => &args.tlp,
    };
    let mut detail = String::from("Object added successfully");
    if let Some(file) = args.filedata {
        keep(tlo, file, &value)?;
        if file.is_capture()? && call.may("PCAP.write") {
            let pcap = created(tlo, "PCAP", given.clone().with("filedata", file))?;
            entry["pcap_id"] = json!(pcap.id()?);
        }
    }
    if args.add_indicator {
        let given = given.with("add_domain", about != About::Nothing);
        match indicator(tlo, &args.object_type, &value, given) {
            Ok(indicator) => entry["indicator_id"] = json!(indicator.id()?),
            Err(fault) => detail = without_indicator(fault)?,
        }
    }
    Ok(Answer::new(detail).object(entry))
}

#[derive(Args)]
pub(crate) struct AddObject {
    /// What the value is; `File Upload` for a file.
    #[arg(
        vocab = "ObjectTypes",
        invalid = "Invalid object type: {value}.",
        example = "IPv4 Address"
    )]
    object_type: String,
    /// The value. Needed unless there is a file.
    #[arg(example = "192.0.2.17")]
    value: Option<String>,
    /// Name of the source that told of it.
    #[arg(vocab = "writable-sources", example = "Example CERT")]
    source: String,
    /// How the information was acquired.
    #[arg(type = "text", default = "", example = "feed")]
    method: String,
    /// Where the information came from. Of a file, its name if nothing else is said.
    #[arg(
        type = "text",
        default = "",
        example = "https://www.example.com/report"
    )]
    reference: String,
    /// Traffic light protocol level of the source.
    #[arg(
        default = "amber",
        vocab = "TLP",
        invalid = "'{value}' is not a valid TLP.",
        example = "green"
    )]
    tlp: String,
    /// Also make an indicator of the type and value, with the domain or address that it names, related to the document.
    add_indicator: bool,
    /// The file, as a part of a multipart form.
    filedata: Option<Upload>,
}

/// Removes an object from the list of a document. A file goes when no document has it any more, at the latest a day later.
///
/// # Rules
///
/// NEW-7: found by type and value as they are shown; else as `add_object` would store them. The host takes away files that
/// nothing refers to.
#[action(
    on = "*",
    permission = "objects_delete",
    refusal = "User does not have permission to delete objects.",
    touches = "self.objects",
    answers = "the removed entry"
)]
#[example("an address in another spelling",
    before = {"objects": [{"type": "IPv4 Address", "value": "10.1.2.3"}]}, args = {"object_type": "ipv4 address", "value": "010.1.2.3"},
    message = "Object removed.", object = {"type": "IPv4 Address", "value": "10.1.2.3"})]
#[example("what is not there",
    before = {"objects": [{"type": "Mutex", "value": "x"}]}, args = {"object_type": "Mutex", "value": "X"},
    fault = {"missing": "Could not find object to remove!"})]
pub(crate) fn delete_object(tlo: &mut Tlo, args: DeleteObject) -> Outcome {
    let kind = registers::canonical("ObjectTypes", &args.object_type);
    let kind = kind.unwrap_or_else(|| args.object_type.clone());
    let stored = observable::check(&kind, &args.value).map(|checked| checked.value);
    let spellings = [
        Some(json!({ "type": args.object_type, "value": args.value })),
        stored
            .ok()
            .map(|value| json!({ "type": kind, "value": value })),
    ];
    for handle in spellings.into_iter().flatten() {
        if let Some(entry) = tlo.first::<Json>("objects", &handle)? {
            tlo.pull("objects", &handle)?;
            return Ok(Answer::new("Object removed.").object(entry));
        }
    }
    Err(missing("Could not find object to remove!"))
}

#[derive(Args)]
pub(crate) struct DeleteObject {
    /// Type of the object.
    #[arg(vocab = "ObjectTypes", check = "within", example = "IPv4 Address")]
    object_type: String,
    /// Its value.
    #[arg(type = "text", example = "192.0.2.17")]
    value: String,
}

/// The value as it is stored (rules add_object.2 and .8).
fn value(call: &Call, args: &AddObject) -> Result<Checked, Fault> {
    if let Some(file) = args.filedata {
        if args.object_type != FILE {
            return Err(invalid(
                "filedata",
                ["Argument 'filedata' is for objects of type ", FILE, "."].concat(),
            ));
        }
        let md5 = file.digest("md5")?;
        return Ok(Checked {
            value: md5.ok_or_else(|| internal("no MD5 was answered"))?,
            about: About::Nothing,
        });
    }
    let Some(value) = &args.value else {
        return Err(call.missing_argument("value"));
    };
    if value.is_empty() {
        return Err(invalid("value", "Argument 'value' must not be empty."));
    }
    let checked =
        observable::check(&args.object_type, value).map_err(|text| invalid("value", text))?;
    if let Some(doubt) = observable::digest_doubt(&args.object_type, &checked.value) {
        call.warn(&doubt);
    }
    Ok(checked)
}

/// Rule add_object.7, what prevents the whole action.
fn check_indicator(call: &Call, object_type: &str) -> Result<(), Fault> {
    if !call.may("Indicator.write") {
        refuse!("User does not have permission to add object");
    }
    match registers::canonical("IndicatorTypes", object_type) {
        Some(_) => Ok(()),
        None => Err(invalid(
            "object_type",
            ["Not a valid Indicator Type: ", object_type].concat(),
        )),
    }
}

/// Keeps the bytes of a file, which are found by its MD5 (documents.md 4.1).
fn keep(tlo: &mut Tlo, file: Upload, md5: &str) -> Result<(), Fault> {
    let entry = json!({ "type": FILE, "value": md5 });
    let position = tlo
        .find("objects", &entry)?
        .ok_or_else(|| internal("the object is not there"))?;
    let place = critd_sdk::element("objects", position) + ".value";
    file.keep(tlo, &place).map(|_| ())
}

/// Makes a document of another type and relates the document to it.
fn created(tlo: &mut Tlo, type_name: &str, params: Params) -> Result<Tlo, Fault> {
    let made = Tlo::create(type_name, params)?.tlo;
    let made = made.ok_or_else(|| internal("no document was answered"))?;
    tlo.relate("Related To", &made, Params::new())?;
    Ok(made)
}

/// The indicator of an object, attributed to the document's campaigns.
fn indicator(tlo: &mut Tlo, kind: &str, value: &str, given: Params) -> Result<Tlo, Fault> {
    let names: Vec<String> = merge::campaign_names(tlo)?;
    let params = given
        .with("type", kind)
        .with("value", value)
        .with("campaign", (!names.is_empty()).then_some(names));
    let mut indicator = created(tlo, "Indicator", params)?;
    merge::inherit_campaigns(tlo, &mut indicator)?;
    Ok(indicator)
}

/// What is said of an indicator that could not be made.
fn without_indicator(fault: Fault) -> Result<String, Fault> {
    match fault {
        Fault::Invalid((_, text)) | Fault::Refused((_, text)) | Fault::Missing(text) => Ok([
            "Object added successfully, but failed to add Indicator. Error: ",
            &text,
        ]
        .concat()),
        Fault::Internal(_) => Err(fault),
    }
}
