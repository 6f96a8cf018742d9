//! `VirtualMedia`: slots, and what is sent to fill and to empty them.
//!
//! By action where there are actions, else by PATCH: some BMCs (Lenovo's older ones) have no others. What BMCs want
//! beside `Image` differs: some refuse what others insist on, so nothing is sent that was not asked for, until it is
//! missed ([`missed`]).

use serde_json::{Map, Value, json};

use super::{
    Path,
    sensors::identifier,
    system,
    value::{allowed, clean, flag, list, text, word},
};
use crate::model::{ConnectedVia, MediaInsert, MediaSlot, MediaType, TransferMethod, TransferProtocol};

/// Longest URI of an image that is shown.
const LONGEST: usize = 2048;
/// Most types and protocols of a slot.
const MOST_WORDS: usize = 16;

/// How a slot is told something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// An action is posted there.
    Action(Path),
    /// The slot itself is patched.
    Patch,
    /// Not at all.
    None,
}

/// How a slot is filled and emptied. `allow`: the `Allow` header that came with it.
pub fn ways(slot: &Value, allow: Option<&str>) -> (Way, Way) {
    let patched = allow.is_some_and(|methods| methods.split(',').any(|m| m.trim().eq_ignore_ascii_case("PATCH")));
    let way = |name: &str| match system::action(slot, name, "TransferProtocolType") {
        Some(action) => Way::Action(action.target),
        None if patched => Way::Patch,
        None => Way::None,
    };
    (way("#VirtualMedia.InsertMedia"), way("#VirtualMedia.EjectMedia"))
}

/// A slot's id: the last segment of its path, which is unique in its collection.
pub fn id(path: &Path) -> String {
    identifier(path.last())
}

/// A slot as it is shown at `path`.
pub fn slot(path: &Path, body: &Value, allow: Option<&str>) -> MediaSlot {
    let id = id(path);
    let (insert, eject) = ways(body, allow);
    let action = body.get("Actions").and_then(|actions| actions.get("#VirtualMedia.InsertMedia"));
    let protocols = action.and_then(|action| allowed(action, "TransferProtocolType")).unwrap_or_default();
    let types = list(body, "MediaTypes").iter().take(MOST_WORDS).filter_map(|word| MediaType::of(word.as_str()?));
    let mut slot = MediaSlot {
        name: text(body, "Name").unwrap_or_else(|| id.clone()),
        types: Vec::new(),
        image: word(body, "Image").and_then(shown),
        image_name: text(body, "ImageName").map(|name| without_user(&name)),
        inserted: flag(body, "Inserted"),
        write_protected: flag(body, "WriteProtected"),
        connected: word(body, "ConnectedVia").and_then(ConnectedVia::of),
        method: word(body, "TransferMethod").and_then(TransferMethod::of),
        protocol: word(body, "TransferProtocolType").and_then(TransferProtocol::of),
        user: text(body, "UserName"),
        protocols: Vec::new(),
        takes: insert != Way::None,
        ejects: eject != Way::None,
        id,
    };
    for kind in types {
        if !slot.types.contains(&kind) {
            slot.types.push(kind);
        }
    }
    for protocol in protocols.iter().take(MOST_WORDS).filter_map(|word| TransferProtocol::of(word)) {
        if !slot.protocols.contains(&protocol) {
            slot.protocols.push(protocol);
        }
    }
    slot
}

/// An image's URI, presentable; a longer one is none that anybody has inserted.
fn shown(uri: &str) -> Option<String> {
    if uri.len() > LONGEST || uri.chars().any(char::is_control) {
        return clean(uri).map(|uri| without_user(&uri));
    }
    Some(without_user(uri))
}

/// Takes user and password out of a URI: BMCs show what they were given.
pub fn without_user(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{path}"),
        None => uri.to_owned(),
    }
}

/// What is sent to insert something. A PATCH says all of it; an action's defaults are what is wanted
/// (DSP8010: `Inserted` and `WriteProtected` are true), and X11 boards of Supermicro refuse to be told.
pub fn insert(wanted: &MediaInsert, way: &Way) -> Map<String, Value> {
    let mut members = Map::new();
    let mut put = |key: &str, value: Value| members.insert(key.to_owned(), value);
    put("Image", json!(wanted.image));
    if *way == Way::Patch {
        put("Inserted", json!(true));
        put("WriteProtected", json!(wanted.write_protected));
    } else if !wanted.write_protected {
        put("WriteProtected", json!(false));
    }
    if let Some(user) = &wanted.user {
        put("UserName", json!(user));
    }
    if let Some(password) = &wanted.password {
        put("Password", json!(password.expose()));
    }
    if let Some(method) = wanted.method {
        put("TransferMethod", json!(method.as_str()));
    }
    if let Some(protocol) = wanted.protocol {
        put("TransferProtocolType", json!(protocol.as_str()));
    }
    members
}

/// What is patched to empty a slot.
pub fn eject() -> Value {
    json!({"Image": null, "Inserted": false})
}

/// Adds what a BMC says it misses; false: nothing that we know. `said`: its error, in words and keys.
pub fn missed(members: &mut Map<String, Value>, said: &str, uri: &str) -> bool {
    let mut add = |key: &str, word: Option<&str>| match word {
        Some(word) if said.contains(key) && !members.contains_key(key) => {
            members.insert(key.to_owned(), json!(word));
            true
        }
        _ => false,
    };
    add("TransferProtocolType", TransferProtocol::of_uri(uri).map(TransferProtocol::as_str))
        || add("TransferMethod", Some(TransferMethod::Stream.as_str()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn path() -> Path {
        Path::of("/a/b/Cd(1)").unwrap()
    }

    fn wanted() -> MediaInsert {
        MediaInsert {
            slot: "Cd".to_owned(),
            image: "https://a/b.iso".to_owned(),
            write_protected: true,
            user: None,
            password: None,
            method: None,
            protocol: None,
        }
    }

    #[test]
    fn a_slot_is_read_as_it_is_shown() {
        let body = json!({
            "Id": "Cd", "Name": "Virtual CD", "MediaTypes": ["CD", "DVD", "CD", "Tape", 5], "Image": "", "ImageName": "",
            "Inserted": false, "WriteProtected": true, "ConnectedVia": "NotConnected", "UserName": "",
            "Actions": {
                "#VirtualMedia.InsertMedia": {
                    "target": "/a", "TransferProtocolType@Redfish.AllowableValues": ["NFS", "HTTPS", "OEM"]
                },
                "#VirtualMedia.EjectMedia": {"target": "/b"},
            },
        });
        let found = slot(&path(), &body, None);
        assert_eq!((found.id.as_str(), found.name.as_str()), ("Cd_1_", "Virtual CD"));
        assert_eq!(found.types, [MediaType::Cd, MediaType::Dvd]);
        assert_eq!((found.image.as_ref(), found.inserted, found.user.as_ref()), (None, Some(false), None));
        assert_eq!(found.protocols, [TransferProtocol::Nfs, TransferProtocol::Https]);
        assert!(found.takes && found.ejects);
        assert_eq!(found.connected, Some(ConnectedVia::NotConnected));
    }

    #[test]
    fn nothing_is_believed_that_makes_no_sense() {
        let body =
            json!({"Name": 5, "MediaTypes": "CD", "Image": ["x"], "Inserted": "yes", "Actions": [], "UserName": {}});
        let found = slot(&path(), &body, None);
        let plain = MediaSlot { id: found.id.clone(), name: "5".to_owned(), ..MediaSlot::default() };
        assert_eq!(found, plain);
        assert_eq!(slot(&path(), &Value::Null, Some("GET, PATCH")).name, found.id);
        let long = json!({"Image": format!("http://a/{}\n", "x".repeat(5000))});
        assert!(slot(&path(), &long, None).image.unwrap().len() <= LONGEST);
    }

    #[test]
    fn without_actions_it_is_a_patch_where_that_is_allowed() {
        let bare = json!({"@odata.id": "/x/Cd"});
        assert_eq!(ways(&bare, Some("GET, HEAD, patch")), (Way::Patch, Way::Patch));
        assert_eq!(ways(&bare, Some("GET, HEAD")), (Way::None, Way::None));
        assert_eq!(ways(&bare, None), (Way::None, Way::None));
        let named = json!({"@odata.id": "/x/Cd", "Actions": {"#VirtualMedia.EjectMedia": {}}});
        let at = Path::of("/x/Cd/Actions/VirtualMedia.EjectMedia").unwrap();
        assert_eq!(ways(&named, None), (Way::None, Way::Action(at)));
    }

    #[test]
    fn credentials_in_an_image_are_not_shown() {
        assert_eq!(without_user("cifs://bob:se@cret@host/a@b.iso"), "cifs://host/a@b.iso");
        assert_eq!(without_user("http://host/a@b.iso"), "http://host/a@b.iso");
        assert_eq!(without_user("nfs://u:p@host"), "nfs://host");
        assert_eq!(without_user("host:/share/a.iso"), "host:/share/a.iso");
        let body = json!({"Image": "http://u:p@h/x.iso", "ImageName": "http://u:p@h/x.iso"});
        let found = slot(&path(), &body, None);
        assert_eq!(
            (found.image.as_deref(), found.image_name.as_deref()),
            (Some("http://h/x.iso"), Some("http://h/x.iso"))
        );
    }

    #[test]
    fn an_action_is_told_no_more_than_it_has_to_know() {
        let action = Way::Action(path());
        assert_eq!(Value::Object(insert(&wanted(), &action)), json!({"Image": "https://a/b.iso"}));
        let all = json!({"Image": "https://a/b.iso", "Inserted": true, "WriteProtected": true});
        assert_eq!(Value::Object(insert(&wanted(), &Way::Patch)), all);
        let writable = MediaInsert { write_protected: false, user: Some("u".to_owned()), ..wanted() };
        assert_eq!(
            Value::Object(insert(&writable, &action)),
            json!({"Image": "https://a/b.iso", "WriteProtected": false, "UserName": "u"})
        );
    }

    #[test]
    fn what_is_missed_is_added_once() {
        let mut members = insert(&wanted(), &Way::Action(path()));
        let said = "The action needs the parameter TransferProtocolType.";
        assert!(missed(&mut members, said, "https://a/b.iso"));
        assert_eq!(members["TransferProtocolType"], "HTTPS");
        assert!(!missed(&mut members, said, "https://a/b.iso"));
        assert!(missed(&mut members, "TransferMethod!", "https://a/b.iso"));
        assert_eq!(members["TransferMethod"], "Stream");
        assert!(!missed(&mut members, "no space left", "https://a/b.iso"));
    }
}
