//! PATCH of a node: boot override, identification light, asset tag. All or nothing as far as the request can be
//! judged; `If-Match` is checked under the node's lock, right before the first write.

use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    super::{
        call::{Call, names_etag},
        error::{Asked, Error},
        fields::Fields,
        messages as m,
        reply::Reply,
    },
    systems,
};
use crate::{
    fleet::{BootView, Layer, NodeView, Op, Precondition, Target},
    model::{BootEnabled, BootMode, BootPatch, BootTarget, Led},
};

/// Longest asset tag that is kept.
const MAX_ASSET_TAG: usize = 128;

/// What a PATCH asks for.
#[derive(Debug, Default, PartialEq)]
struct Wanted {
    boot: Option<BootPatch>,
    led: Option<Led>,
    asset_tag: Option<String>,
}

/// The handler.
pub async fn patch(call: &Call<'_>) -> Result<Reply, Error> {
    let node = systems::node(call)?;
    let current = systems::render(&node, OffsetDateTime::now_utc()).finish();
    let value: Value = serde_json::from_slice(&current.bytes).unwrap_or_default();
    let wanted = read(call.properties()?, &node, &value)?;
    let target = Target::Node(node.id.clone(), Layer::Effective);
    let mut condition = precondition(call.if_match);
    let mut task = None;
    call.note(format!("{} of {}", wanted.text(), node.id));
    if let Some(boot) = wanted.boot {
        let op = Op::Boot(boot, condition.take());
        task = call.run(target.clone(), op, Asked::Property("Boot/BootSourceOverrideTarget")).await?.or(task);
    }
    if let Some(led) = wanted.led {
        let op = Op::Indicator(led, condition.take());
        task = call.run(target.clone(), op, Asked::Property("IndicatorLED")).await?.or(task);
    }
    if let Some(tag) = wanted.asset_tag {
        let op = Op::AssetTag(tag, condition.take());
        task = call.run(target, op, Asked::Property("AssetTag")).await?.or(task);
    }
    match task {
        Some(task) => Ok(task),
        None => Ok(Reply::ok(systems::render(&systems::node(call)?, OffsetDateTime::now_utc()))),
    }
}

/// The same body, and so the same tag, that a GET would give at that moment.
fn precondition(if_match: Option<&str>) -> Precondition {
    let header = if_match?.to_owned();
    Some(Arc::new(move |node: &NodeView| {
        let body = systems::render(node, OffsetDateTime::UNIX_EPOCH).finish();
        body.etag.is_some_and(|etag| names_etag(&header, &etag))
    }))
}

impl Wanted {
    fn text(&self) -> String {
        let mut parts = Vec::new();
        if let Some(boot) = &self.boot {
            let words = [
                boot.target.map(|t| t.as_str().to_owned()),
                boot.enabled.map(|e| e.as_str().to_owned()),
                boot.mode.map(|m| m.as_str().to_owned()),
                boot.http_boot_uri.clone().map(|u| u.unwrap_or_else(|| "no URI".to_owned())),
            ];
            parts.push(format!("Boot {}", words.into_iter().flatten().collect::<Vec<_>>().join(" ")));
        }
        parts.extend(self.led.map(|l| format!("IndicatorLED {}", l.as_str())));
        parts.extend(self.asset_tag.as_ref().map(|t| format!("AssetTag {t:?}")));
        parts.join(", ")
    }
}

fn read(mut fields: Fields, node: &NodeView, current: &Value) -> Result<Wanted, Error> {
    let mut wanted = Wanted::default();
    if let Some(mut inner) = fields.object("Boot") {
        wanted.boot = boot(&mut inner, &node.boot);
        fields.absorb(inner, current.get("Boot"));
    }
    if node.indicator.is_some() {
        wanted.led = fields.one_of("IndicatorLED", &[Led::Lit, Led::Blinking, Led::Off], Led::as_str);
        if let Some(active) = fields.boolean("LocationIndicatorActive") {
            wanted.led = wanted.led.or(Some(if active { Led::Lit } else { Led::Off }));
        }
    }
    // null takes the tag back.
    wanted.asset_tag = fields.nullable_string("AssetTag").map(Option::unwrap_or_default);
    if let Some(tag) = wanted.asset_tag.as_ref().filter(|t| t.chars().count() > MAX_ASSET_TAG) {
        let message = m::PROPERTY_FORMAT.with(["given", "AssetTag"]);
        fields.problem(
            message.detail(format!("{} characters; {MAX_ASSET_TAG} are kept.", tag.chars().count())).about("AssetTag"),
        );
    }
    fields.finish(Some(current))?;
    if wanted == Wanted::default() {
        return Err(Error::new(400, m::NO_OPERATION.with([])));
    }
    Ok(wanted)
}

fn boot(fields: &mut Fields, boot: &BootView) -> Option<BootPatch> {
    let patch = BootPatch {
        target: fields.one_of("BootSourceOverrideTarget", &systems::targets(boot), BootTarget::as_str),
        enabled: fields.one_of("BootSourceOverrideEnabled", systems::enables(boot), BootEnabled::as_str),
        mode: fields.one_of("BootSourceOverrideMode", &modes(boot), BootMode::as_str),
        http_boot_uri: if systems::targets(boot).contains(&BootTarget::UefiHttp) {
            fields.nullable_string("HttpBootUri")
        } else {
            None
        },
    };
    (patch != BootPatch::default()).then_some(patch)
}

fn modes(boot: &BootView) -> Vec<BootMode> {
    if boot.modes.is_empty() { vec![boot.mode] } else { boot.modes.clone() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::redfish::resources::samples;

    fn ask(body: &Value, node: &NodeView) -> Result<Wanted, Vec<&'static str>> {
        let fields = Fields::properties(body.to_string().as_bytes()).unwrap();
        let current = serde_json::from_slice(&systems::render(node, samples::NOW).finish().bytes).unwrap();
        read(fields, node, &current).map_err(|e| e.messages.iter().map(|m| m.definition.key).collect())
    }

    #[test]
    fn what_ironic_sends_is_understood() {
        let node = samples::ipmi_node();
        let wanted =
            ask(&json!({"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}}), &node);
        let boot = wanted.unwrap().boot.unwrap();
        assert_eq!((boot.target, boot.enabled, boot.mode), (Some(BootTarget::Pxe), Some(BootEnabled::Once), None));
        let wanted = ask(&json!({"Boot": {"BootSourceOverrideMode": "UEFI"}}), &node).unwrap();
        assert_eq!(wanted.boot.unwrap().mode, Some(BootMode::Uefi));
        assert_eq!(ask(&json!({"IndicatorLED": "Blinking"}), &node).unwrap().led, Some(Led::Blinking));
        assert_eq!(ask(&json!({"LocationIndicatorActive": true}), &node).unwrap().led, Some(Led::Lit));
        assert_eq!(ask(&json!({"LocationIndicatorActive": false}), &node).unwrap().led, Some(Led::Off));
        let uri =
            ask(&json!({"Boot": {"HttpBootUri": null}}), &samples::pdu_node()).unwrap().boot.unwrap().http_boot_uri;
        assert_eq!(uri, Some(None));
    }

    #[test]
    fn what_a_node_has_not_can_not_be_written() {
        let node = samples::pdu_node();
        assert_eq!(ask(&json!({"IndicatorLED": "Lit"}), &node), Err(vec!["PropertyUnknown"]));
        assert_eq!(ask(&json!({"PowerState": "On"}), &node), Err(vec!["PropertyNotWritable"]));
        assert_eq!(
            ask(&json!({"Boot": {"BootSourceOverrideTarget": "SDCard"}}), &node),
            Err(vec!["PropertyValueNotInList"])
        );
        assert_eq!(
            ask(&json!({"Boot": {"BootNext": "x"}, "AssetTag": 5}), &node),
            Err(vec!["PropertyUnknown", "PropertyValueTypeError"])
        );
        assert_eq!(ask(&json!({"AssetTag": "x".repeat(129)}), &node), Err(vec!["PropertyValueFormatError"]));
    }

    #[test]
    fn if_match_follows_what_counts() {
        let node = samples::ipmi_node();
        let etag = systems::render(&node, samples::NOW).finish().etag.unwrap();
        let check = precondition(Some(&etag)).unwrap();
        assert!(check(&node));
        let mut other = node.clone();
        other.boot.target = BootTarget::Pxe;
        assert!(!check(&other));
        assert!(precondition(None).is_none());
    }
}
