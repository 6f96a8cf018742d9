//! Pieces of Redfish requests. Whole ones: `http`.

use std::sync::LazyLock;

use super::made;
use crate::api::{
    delivery,
    redfish::{admit, call, descriptor::Queries, expand, fields::Fields, query::Query, route::Router, table},
};

/// Query parameters, and what they do to a resource.
pub fn query(data: &[u8]) {
    const BODY: &[u8] = br#"{"@odata.id": "/redfish/v1/Systems", "Members": [{"@odata.id": "/redfish/v1/Systems/a"}],
        "Links": {"Chassis": [{"@odata.id": "/redfish/v1/Chassis/b"}]}, "Boot": {"Target": null, "List": [1, {"x": 2}]}}"#;
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(why) = delivery::filter::Query::parse(text) {
        assert!(!why.is_empty(), "refused without a word");
    }
    for queries in [Queries::None, Queries::Single, Queries::Collection] {
        let Ok(query) = Query::parse(text, queries) else { continue };
        if let Some(paths) = &query.select {
            let body = expand::select(BODY, paths);
            assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok(), "what is selected is no JSON");
        }
        if let Some(which) = query.expand {
            let body = expand::expand(BODY, which, |uri| Some(format!("{{\"@odata.id\": \"{uri}\"}}").into_bytes()));
            assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok(), "what is expanded is no JSON");
        }
    }
}

/// Bodies: members are taken in every way that handlers do.
pub fn body(data: &[u8]) {
    let take = |mut fields: Fields| {
        made(&fields.string("Name"));
        made(&fields.nullable_string("AssetTag"));
        made(&fields.boolean("Enabled"));
        made(&fields.strings("EventTypes"));
        made(&fields.one_of("ResetType", &[0_usize, 1], |n| if n == 0 { "On" } else { "Off" }));
        if let Some(mut boot) = fields.object("Boot") {
            made(&boot.string("BootSourceOverrideTarget"));
            fields.absorb(boot, None);
        }
        made(&fields.finish(None));
    };
    if let Ok(fields) = Fields::properties(data) {
        take(fields);
    }
    if let Ok(fields) = Fields::parameters(data, "ComputerSystem.Reset") {
        take(fields);
    }
}

/// Paths, and the headers that are taken apart.
pub fn path(data: &[u8]) {
    static ROUTER: LazyLock<Router> = LazyLock::new(|| Router::new(table::ALL));
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some((entry, params)) = ROUTER.find(text) {
        assert!(!entry.resource.uris.is_empty());
        assert_eq!(params.get(9), "", "more names than a path has");
    }
    made(&admit::basic(text));
    made(&call::names_etag(text, "\"a\""));
    if let Some(uri) = expand::only_member(data) {
        assert!(text.len() >= uri.len(), "a member from nowhere");
    }
}
