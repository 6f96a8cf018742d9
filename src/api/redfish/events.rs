//! Events for subscribers: what happened in the fleet as Redfish `Event` bodies, and subscriptions as the delivery
//! keeps them.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{
    messages::{self as m, Message},
    resources::subscriptions::{SubscribeError, Subscription, Subscriptions, Wanted},
};
use crate::{
    api::delivery::{self, Delivery, NewSubscription, RetryPolicy, SubscriptionError},
    auth::Auth,
    fleet::{Event, Fleet, What},
    model::{Actor, NodeId, PowerState, Secret},
    store::{Store, StoreError},
};

/// `@odata.type` of a delivered body.
const EVENT_TYPE: &str = "#Event.v1_13_0.Event";

/// Starts to deliver the fleet's events to subscribers.
pub async fn start(store: Arc<dyn Store>, fleet: &Fleet, auth: &Auth, local: bool) -> Result<Delivery, StoreError> {
    let (events, fleet, auth) = (fleet.events(), fleet.clone(), auth.clone());
    Delivery::start(store, events, local, move |event, to| render(event, to, &|node| may_see(&fleet, &auth, to, node)))
        .await
}

/// Whether the account that made a subscription may see a node. One that is gone or disabled sees nothing.
fn may_see(fleet: &Fleet, auth: &Auth, to: &delivery::Subscription, node: Option<&NodeId>) -> bool {
    let Some(account) = auth.account(&to.owner).filter(|account| account.enabled) else { return false };
    let unlimited = matches!(&*account.scope, crate::model::Scope::All);
    match node {
        // What is not about a node is for those who may see all of them.
        None => unlimited,
        Some(node) => {
            let who = Actor { role: account.role, scope: account.scope, ..Actor::internal("event") };
            unlimited || fleet.nodes(&who).contains(node)
        }
    }
}

/// The delivery, as the EventService's resources use it.
pub struct Kept(pub Delivery);

/// Where the filters of a subscription lie in its document.
const FILTERS: &str = "filters";

fn kept(found: &delivery::Subscription, delivery: &Delivery) -> Option<Subscription> {
    let mut wanted: Wanted = serde_json::from_value(found.extra.get(FILTERS)?.clone()).ok()?;
    retry_word(found.retry).clone_into(&mut wanted.retry);
    let trouble = match &found.suspended {
        Some(suspended) => Some(suspended.reason.clone()),
        None => delivery.health(&found.id).and_then(|health| health.failing),
    };
    Some(Subscription { id: found.id.to_string(), wanted, trouble })
}

fn retry_word(policy: RetryPolicy) -> &'static str {
    match policy {
        RetryPolicy::RetryForever => "RetryForever",
        RetryPolicy::TerminateAfterRetries => "TerminateAfterRetries",
        RetryPolicy::SuspendRetries => "SuspendRetries",
    }
}

#[async_trait]
impl Subscriptions for Kept {
    fn list(&self) -> Vec<Subscription> {
        self.0.list().iter().filter_map(|found| kept(found, &self.0)).collect()
    }

    fn get(&self, id: &str) -> Option<Subscription> {
        self.0.get(id).and_then(|found| kept(&found, &self.0))
    }

    async fn create(&self, mut wanted: Wanted) -> Result<Subscription, SubscribeError> {
        // Headers may hold credentials: they are kept apart from what is shown.
        let headers = std::mem::take(&mut wanted.http_headers);
        let failed = |e: SubscriptionError| match e {
            SubscriptionError::Full => SubscribeError::Limit,
            SubscriptionError::Store(e) => SubscribeError::Store(e.to_string()),
            other => SubscribeError::Destination(other.to_string()),
        };
        let filters = serde_json::to_value(&wanted).map_err(|e| SubscribeError::Store(e.to_string()))?;
        let new = NewSubscription {
            owner: Arc::from(wanted.principal.as_str()),
            destination: wanted.destination.clone(),
            context: Some(wanted.context.clone()),
            event_types: wanted.event_types.clone(),
            format: "Event".to_owned(),
            headers: headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
            retry: match wanted.retry.as_str() {
                "TerminateAfterRetries" => RetryPolicy::TerminateAfterRetries,
                "SuspendRetries" => RetryPolicy::SuspendRetries,
                _ => RetryPolicy::RetryForever,
            },
            verify_certificate: wanted.verify_certificate,
            extra: [(FILTERS.to_owned(), filters)].into_iter().collect(),
        };
        let made = self.0.create(new).await.map_err(failed)?;
        Ok(Subscription { id: made.id.to_string(), wanted, trouble: None })
    }

    async fn remove(&self, id: &str) -> Result<bool, SubscribeError> {
        match self.0.remove(id, None).await {
            Ok(()) => Ok(true),
            Err(SubscriptionError::NotFound(_)) => Ok(false),
            Err(e) => Err(SubscribeError::Store(e.to_string())),
        }
    }
}

/// An event as a message about a resource.
struct About {
    message: Message,
    kind: &'static str,
    resource: &'static str,
    origin: String,
    node: Option<NodeId>,
}

fn about(event: &Event) -> About {
    let system = |node: &str| format!("/redfish/v1/Systems/{node}");
    let (message, kind, resource, origin, node) = match &event.what {
        What::Power { node, old, new, .. } => {
            let message = match new {
                Some(PowerState::On) => m::POWERED_ON.with([node.as_str()]),
                Some(PowerState::Off) => m::POWERED_OFF.with([node.as_str()]),
                other => {
                    let word = |p: Option<PowerState>| p.map_or("unknown", PowerState::as_str);
                    m::POWER_CHANGED.with([node.as_str(), word(*old), word(*other)])
                }
            };
            (message, "StatusChange", "ComputerSystem", system(node.as_str()), Some(node.clone()))
        }
        What::Operation { target, op, error } => {
            let message = match error {
                None => m::OPERATION_DONE.with([target, op]),
                Some(error) => m::OPERATION_FAILED.with([target, op, error]),
            };
            (message, "Alert", "ComputerSystem", system(target), NodeId::new(target).ok())
        }
        What::Endpoint { endpoint, fault } => {
            let message = match fault {
                Some(fault) => m::ENDPOINT_LOST.with([endpoint.as_str(), fault]),
                None => m::ENDPOINT_RESTORED.with([endpoint.as_str()]),
            };
            (message, "Alert", "Manager", "/redfish/v1/Managers/rackfish".to_owned(), None)
        }
        What::Boot { node, text } => {
            let message = m::BOOT_CHANGED.with([node.as_str(), text]);
            (message, "ResourceUpdated", "ComputerSystem", system(node.as_str()), Some(node.clone()))
        }
        What::Hold { target, text } => {
            let message = m::HOLD_CHANGED.with([target, text]);
            (message, "Alert", "Manager", "/redfish/v1/Managers/rackfish".to_owned(), NodeId::new(target).ok())
        }
        What::Config { text } => {
            let message = m::CONFIGURATION_CHANGED.with([text]);
            (message, "Alert", "Manager", "/redfish/v1/Managers/rackfish".to_owned(), None)
        }
    };
    About { message, kind, resource, origin, node }
}

/// The body for a subscriber; `None`: not for this one.
fn render(event: &Event, to: &delivery::Subscription, sees: &dyn Fn(Option<&NodeId>) -> bool) -> Option<Value> {
    let About { message, kind, resource, origin, node } = about(event);
    let filters: Wanted = serde_json::from_value(to.extra.get(FILTERS)?.clone()).ok()?;
    let id = message.definition.id();
    let wants = |list: &[String], value: &str| list.is_empty() || list.iter().any(|item| item == value);
    let prefix = id.split('.').next().unwrap_or_default();
    let wanted = wants(&filters.event_types, kind)
        && wants(&filters.registry_prefixes, prefix)
        && wants(&filters.resource_types, resource)
        && wants(&filters.message_ids, &id)
        && wants(&filters.origin_resources, &origin);
    if !wanted || !sees(node.as_ref()) {
        return None;
    }
    let severity = message.definition.severity.as_str();
    Some(json!({
        "@odata.type": EVENT_TYPE,
        "Id": event.id.to_string(),
        "Name": "rackfish event",
        "Context": to.context.clone().unwrap_or_default(),
        "Events": [{
            "MemberId": "0",
            "EventType": kind,
            "EventId": event.id.to_string(),
            "EventTimestamp": event.at.format(&Rfc3339).unwrap_or_default(),
            "Severity": severity,
            "MessageSeverity": severity,
            "Message": message.text(),
            "MessageId": id,
            "MessageArgs": message.args,
            "OriginOfCondition": {"@odata.id": origin},
        }],
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::model::Origin;

    fn subscription(filters: &Wanted) -> delivery::Subscription {
        delivery::Subscription {
            id: Arc::from("1"),
            revision: 1,
            owner: Arc::from("admin"),
            created: OffsetDateTime::UNIX_EPOCH,
            destination: "https://h/".to_owned(),
            context: Some("c".to_owned()),
            event_types: Vec::new(),
            format: "Event".to_owned(),
            headers: Vec::new(),
            retry: RetryPolicy::RetryForever,
            verify_certificate: true,
            extra: [(FILTERS.to_owned(), serde_json::to_value(filters).unwrap())].into_iter().collect(),
            suspended: None,
        }
    }

    #[test]
    fn a_power_change_is_told_to_those_who_want_and_may_see_it() {
        let node: NodeId = "n1".parse().unwrap();
        let what = What::Power { node, old: Some(PowerState::Off), new: Some(PowerState::On), origin: Origin::Read };
        let event = Event { id: 7, at: OffsetDateTime::UNIX_EPOCH, what, who: None };
        let all = |_: Option<&NodeId>| true;
        let body = render(&event, &subscription(&Wanted::default()), &all).unwrap();
        assert_eq!(body["Context"], "c");
        assert_eq!(body["Events"][0]["MessageId"], "ResourceEvent.1.4.ResourcePoweredOn");
        assert_eq!(body["Events"][0]["OriginOfCondition"]["@odata.id"], "/redfish/v1/Systems/n1");
        assert!(render(&event, &subscription(&Wanted::default()), &|_| false).is_none());
        let alerts = Wanted { event_types: vec!["Alert".to_owned()], ..Wanted::default() };
        assert!(render(&event, &subscription(&alerts), &all).is_none());
    }
}
