//! What a client wants in a slot, judged before any device hears of it.
//!
//! `Image` is a URI with a host that a controller can fetch from, without user and password: those have members of their
//! own, which nobody is shown. What is fetched is the controller's business: nothing is requested from here.

use reqwest::Url;
use serde_json::Value;

use crate::{
    api::redfish::{error::Error, fields::Fields, messages as m},
    model::{MediaInsert, MediaSlot, Secret, TransferMethod, TransferProtocol},
};

/// Longest URI of an image: what BMCs take ends somewhere between 255 and 2,048 characters.
const MAX_IMAGE: usize = 2048;
/// Longest user name and password for the image's server.
const MAX_LOGIN: usize = 256;

/// What a PATCH asks for.
#[derive(Debug, PartialEq)]
pub enum Patch {
    /// Fill it.
    Insert(Box<MediaInsert>),
    /// Empty it.
    Eject,
    /// It is as it is wanted.
    Nothing,
}

/// The parameters of `InsertMedia`.
pub fn insert(mut fields: Fields, slot: &MediaSlot) -> Result<MediaInsert, Error> {
    if !fields.has("Image") {
        fields.missing("Image");
    }
    let image = fields.string("Image");
    if fields.boolean("Inserted") == Some(false) {
        fields.not_in_list("Inserted", "false", &["true"]);
    }
    let wanted = taken(&mut fields, slot, image.unwrap_or_default());
    fields.finish(None)?;
    Ok(wanted)
}

/// A PATCH of a slot; `current`: the slot as it is shown.
pub fn patch(mut fields: Fields, slot: &MediaSlot, current: &Value) -> Result<Patch, Error> {
    let image = fields.nullable_string("Image");
    let inserted = fields.boolean("Inserted");
    let empties = inserted == Some(false) || image == Some(None);
    let fills = inserted == Some(true) || matches!(image, Some(Some(_)));
    if empties {
        if fills {
            fields.problem(m::PROPERTY_CONFLICT.with(["Image", "Inserted"]).about("Image"));
        }
        // Clients send the slot's other members along.
        for key in ["WriteProtected", "UserName", "Password", "TransferMethod", "TransferProtocolType"] {
            fields.take(key);
        }
        fields.finish(Some(current))?;
        return Ok(Patch::Eject);
    }
    let Some(Some(image)) = image else {
        let more = ["WriteProtected", "UserName", "Password", "TransferMethod", "TransferProtocolType"];
        let alone = inserted == Some(true) && !more.iter().any(|key| fields.has(key));
        if !(alone && slot.is_full()) && fields.is_good() && (inserted.is_some() || more.iter().any(|k| fields.has(k)))
        {
            fields.missing("Image");
        }
        for key in more {
            fields.take(key);
        }
        fields.finish(Some(current))?;
        return Ok(Patch::Nothing);
    };
    let wanted = taken(&mut fields, slot, image);
    fields.finish(Some(current))?;
    Ok(Patch::Insert(Box::new(wanted)))
}

/// All members but `Inserted`; what is wrong with them is noted.
fn taken(fields: &mut Fields, slot: &MediaSlot, image: String) -> MediaInsert {
    let write_protected = fields.boolean("WriteProtected").unwrap_or(true);
    let user = fields.nullable_string("UserName").flatten();
    let password = fields.nullable_string("Password").flatten().map(Secret::new);
    let method = fields.one_of("TransferMethod", TransferMethod::ALL, TransferMethod::as_str);
    let offered = if slot.protocols.is_empty() { TransferProtocol::ALL } else { &slot.protocols };
    let protocol = fields.one_of("TransferProtocolType", offered, TransferProtocol::as_str);
    for (key, text) in [("UserName", user.as_deref()), ("Password", password.as_ref().map(Secret::expose))] {
        if text.is_some_and(|text| text.len() > MAX_LOGIN || text.chars().any(char::is_control)) {
            fields.ill_formed(
                key,
                "given",
                &format!("It has at most {MAX_LOGIN} characters, none to control a terminal."),
            );
        }
    }
    // An image that is missing, or no text, has been noted already.
    if fields.is_good()
        && let Err(why) = check(&image, protocol, slot)
    {
        // What may hold a password is not repeated.
        let shown = if image.contains('@') { "given" } else { &image };
        fields.ill_formed("Image", shown, &why);
    }
    MediaInsert { slot: slot.id.clone(), image, write_protected, user, password, method, protocol }
}

/// Whether an image can be fetched from there, as far as its URI says.
fn check(image: &str, protocol: Option<TransferProtocol>, slot: &MediaSlot) -> Result<(), String> {
    let form = "It has to be a URI that begins with http://, https://, nfs://, cifs://, smb://, ftp://, sftp://, scp:// or tftp://.";
    if image.len() > MAX_IMAGE {
        return Err(format!("{} characters; at most {MAX_IMAGE} are taken.", image.len()));
    }
    if !image.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("{form} Spaces and letters beyond ASCII are percent-encoded in it."));
    }
    let said = TransferProtocol::of_uri(image).ok_or(form)?;
    let url = Url::parse(image).map_err(|error| format!("{form} ({error})"))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(format!("{form} It names no host."));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("It holds a user: send that as UserName and Password, which nobody is shown.".to_owned());
    }
    if url.path().trim_matches('/').is_empty() {
        return Err("It names a host and no image on it.".to_owned());
    }
    if !slot.protocols.is_empty() && protocol.is_none() && !slot.protocols.contains(&said) {
        let words: Vec<_> = slot.protocols.iter().map(|protocol| protocol.as_str()).collect();
        return Err(format!("The node's controller takes {} here.", words.join(", ")));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::{super::tests::full, *};

    fn empty() -> MediaSlot {
        MediaSlot { image: None, image_name: None, inserted: Some(false), ..full() }
    }

    fn keys(error: &Error) -> Vec<&'static str> {
        error.messages.iter().map(|m| m.definition.key).collect()
    }

    fn ask(body: &Value) -> Result<MediaInsert, Error> {
        insert(Fields::parameters(body.to_string().as_bytes(), "VirtualMedia.InsertMedia").unwrap(), &empty())
    }

    fn change(body: &Value, slot: &MediaSlot) -> Result<Patch, Vec<&'static str>> {
        let current = super::super::show::render("n1", slot).finish();
        let current = serde_json::from_slice(&current.bytes).unwrap();
        patch(Fields::properties(body.to_string().as_bytes()).unwrap(), slot, &current).map_err(|e| keys(&e))
    }

    #[test]
    fn what_ironic_sends_is_enough() {
        let wanted = ask(&json!({"Image": "https://10.0.0.1:8088/redfish/boot-1.iso?a=b"})).unwrap();
        assert_eq!((wanted.slot.as_str(), wanted.write_protected, wanted.protocol), ("Cd", true, None));
        let wanted = ask(&json!({
            "Image": "cifs://server/share/a.iso", "Inserted": true, "WriteProtected": false, "UserName": "u",
            "Password": "p", "TransferMethod": "Stream", "TransferProtocolType": "CIFS",
        }))
        .unwrap();
        assert!(!wanted.write_protected && wanted.password == Some(Secret::new("p")));
        assert_eq!((wanted.method, wanted.protocol), (Some(TransferMethod::Stream), Some(TransferProtocol::Cifs)));
        for image in ["nfs://[fe80::1]/a.iso", "smb://server/a", "TFTP://server/a.img", "http://h/%20a.iso"] {
            assert!(ask(&json!({ "Image": image })).is_ok(), "{image}");
        }
    }

    #[test]
    fn images_that_nobody_could_fetch_are_refused() {
        let long = format!("http://h/{}", "x".repeat(MAX_IMAGE));
        for image in [
            "",
            "a.iso",
            "/etc/passwd",
            "file:///etc/passwd",
            "file://h/etc/passwd",
            "javascript://h/a",
            "http:///a.iso",
            "http://",
            "http://h",
            "http://h/",
            "http://h:99999/a.iso",
            "http://h/a b.iso",
            "http://h/\u{e4}.iso",
            "http://h/a\nHost: b",
            "\\\\server\\share\\a.iso",
            "//server/share/a.iso",
            "data://text/plain,a",
            &long,
        ] {
            let error = ask(&json!({ "Image": image })).err().unwrap_or_else(|| Error::not_found(image));
            assert_eq!((error.status, keys(&error)), (400, vec!["ActionParameterValueFormatError"]), "{image:?}");
            assert!(error.text().len() < 600, "{}", error.text());
        }
    }

    #[test]
    fn credentials_are_not_taken_within_the_uri_nor_repeated() {
        for image in ["http://bob:geheim@h/a.iso", "cifs://geheim@h/a.iso", "file://bob:geheim@h/a", "x@geheim"] {
            let error = ask(&json!({ "Image": image })).err().unwrap_or_else(|| Error::not_found(image));
            assert_eq!(error.status, 400, "{image}");
            assert!(!error.text().contains("geheim"), "{}", error.text());
        }
        let long = ask(&json!({"Image": "http://h/a.iso", "Password": "geheim".repeat(100)})).err().unwrap();
        let typed = ask(&json!({"Image": "http://h/a.iso", "Password": ["geheim"]})).err().unwrap();
        assert!(!long.text().contains("geheim") && !typed.text().contains("geheim"));
        assert_eq!(keys(&typed), ["ActionParameterValueTypeError"]);
    }

    #[test]
    fn all_that_is_wrong_is_named() {
        assert_eq!(keys(&ask(&json!({})).err().unwrap()), ["ActionParameterMissing"]);
        assert_eq!(keys(&ask(&json!({"Image": null})).err().unwrap()), ["ActionParameterValueTypeError"]);
        let error = ask(&json!({"Image": 5, "Inserted": false, "TransferMethod": "Pigeon", "Bogus": 1})).err().unwrap();
        assert_eq!(
            keys(&error),
            [
                "ActionParameterValueTypeError",
                "ActionParameterValueNotInList",
                "ActionParameterValueNotInList",
                "ActionParameterUnknown"
            ]
        );
    }

    #[test]
    fn a_protocol_that_the_slot_does_not_take_is_refused() {
        let slot = MediaSlot { protocols: vec![TransferProtocol::Nfs], ..empty() };
        let fields = |body: Value| Fields::parameters(body.to_string().as_bytes(), "VirtualMedia.InsertMedia").unwrap();
        let error = insert(fields(json!({"Image": "http://h/a.iso"})), &slot).err().unwrap();
        assert!(error.text().contains("NFS"), "{}", error.text());
        assert!(insert(fields(json!({"Image": "nfs://h/a.iso"})), &slot).is_ok());
        let http = json!({"Image": "nfs://h/a.iso", "TransferProtocolType": "HTTP"});
        assert_eq!(keys(&insert(fields(http), &slot).err().unwrap()), ["ActionParameterValueNotInList"]);
    }

    #[test]
    fn a_patch_fills_and_empties() {
        let body = json!({"Image": "http://h/a.iso", "Inserted": true, "WriteProtected": true});
        let Ok(Patch::Insert(wanted)) = change(&body, &empty()) else { unreachable!("{body}") };
        assert_eq!(wanted.image, "http://h/a.iso");
        for body in [json!({"Image": null, "Inserted": false}), json!({"Inserted": false}), json!({"Image": null})] {
            assert_eq!(change(&body, &full()), Ok(Patch::Eject), "{body}");
        }
        assert_eq!(change(&json!({"Inserted": true}), &full()), Ok(Patch::Nothing));
        assert_eq!(change(&json!({"Inserted": true}), &empty()), Err(vec!["PropertyMissing"]));
        assert_eq!(change(&json!({"UserName": "u"}), &full()), Err(vec!["PropertyMissing"]));
        assert_eq!(change(&json!({"Image": null, "Inserted": true}), &full()), Err(vec!["PropertyValueConflict"]));
        assert_eq!(
            change(&json!({"Image": "http://h/a", "Inserted": false}), &full()),
            Err(vec!["PropertyValueConflict"])
        );
        assert_eq!(change(&json!({"Image": "nowhere"}), &empty()), Err(vec!["PropertyValueFormatError"]));
        assert_eq!(change(&json!({"MediaTypes": ["CD"]}), &full()), Err(vec!["PropertyNotWritable"]));
        assert_eq!(change(&json!({"Colour": "red"}), &full()), Err(vec!["PropertyUnknown"]));
    }
}
