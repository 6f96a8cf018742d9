//! Virtual media of BMCs that differ: the System's, the Manager's, by action, by PATCH, and some that are never content.

use super::*;
use crate::model::{MediaInsert, MediaSlot};

const SLOTS: &str = "/redfish/v1/Systems/1/VirtualMedia";
const CD: &str = "/redfish/v1/Systems/1/VirtualMedia/Cd";
const INSERT: &str = "/redfish/v1/Systems/1/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia";
const EJECT: &str = "/redfish/v1/Systems/1/VirtualMedia/Cd/Actions/VirtualMedia.EjectMedia";
const IMAGE: &str = "https://images/a.iso";

/// A BMC whose `owner` links `slots`, which holds `Cd`.
async fn with_slot(owner: &str, slots: &str, slot: serde_json::Value) -> Fake {
    let fake = Fake::start().await;
    let mut bmc = fake.bmc();
    bmc.resources.get_mut(owner).unwrap()["VirtualMedia"] = json!({ "@odata.id": slots });
    bmc.resources.insert(slots.to_owned(), json!({ "Members": [{ "@odata.id": format!("{slots}/Cd/") }] }));
    bmc.resources.insert(format!("{slots}/Cd"), slot);
    drop(bmc);
    fake
}

fn by_action() -> serde_json::Value {
    json!({
        "Id": "Cd", "Name": "Virtual CD", "MediaTypes": ["CD"], "Image": null, "Inserted": false,
        "Actions": {
            "#VirtualMedia.InsertMedia": { "target": INSERT }, "#VirtualMedia.EjectMedia": { "target": EJECT },
        },
    })
}

fn insert() -> Act {
    Act::InsertMedia(Box::new(MediaInsert {
        slot: "Cd".to_owned(),
        image: IMAGE.to_owned(),
        write_protected: true,
        user: None,
        password: None,
        method: None,
        protocol: None,
    }))
}

async fn slots(driver: &mut Box<dyn Driver>) -> Vec<MediaSlot> {
    match read(driver, Aspect::Media).await.unwrap().pop() {
        Some(Fact::Media(slots)) => slots,
        other => panic!("{other:?}"),
    }
}

fn posted(fake: &Fake, path: &str) -> Vec<String> {
    let begins = format!("POST {path} ");
    fake.bmc().asked.iter().filter_map(|asked| asked.strip_prefix(&begins)).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_bmc_without_slots_has_no_virtual_media() {
    let fake = Fake::start().await;
    let caps = caps(&mut fake.driver("")).await;
    assert!(!caps.aspects.has(AspectKind::Media) && !caps.acts.has(ActKind::InsertMedia));
    // A collection that is linked and empty, or not there, is nothing either.
    let fake = with_slot(SYSTEM, SLOTS, by_action()).await;
    fake.bmc().resources.insert(SLOTS.to_owned(), json!({ "Members": [] }));
    assert!(!super::caps(&mut fake.driver("")).await.aspects.has(AspectKind::Media));
    fake.bmc().resources.remove(SLOTS);
    assert!(!super::caps(&mut fake.driver("")).await.aspects.has(AspectKind::Media));
}

#[tokio::test]
async fn what_is_asked_is_posted_and_nothing_else() {
    let fake = with_slot(SYSTEM, SLOTS, by_action()).await;
    fake.odd(&format!("POST {INSERT}"), 0, say(204, ""));
    fake.odd(&format!("POST {EJECT}"), 0, say(204, ""));
    let mut driver = fake.driver("");
    let caps = caps(&mut driver).await;
    assert!(caps.acts.has(ActKind::InsertMedia) && caps.acts.has(ActKind::EjectMedia));
    assert_eq!(slots(&mut driver).await.iter().map(|s| (s.id.as_str(), s.takes)).collect::<Vec<_>>(), [("Cd", true)]);
    assert_eq!(act(&mut driver, insert()).await, Ok(Done::Accepted));
    assert_eq!(posted(&fake, INSERT), [json!({ "Image": IMAGE }).to_string()]);
    assert_eq!(act(&mut driver, Act::EjectMedia("Cd".to_owned())).await, Ok(Done::Completed), "it is empty");
    assert!(posted(&fake, EJECT).is_empty());
    fake.bmc().resources.get_mut(CD).unwrap()["Inserted"] = json!(true);
    assert_eq!(act(&mut driver, Act::EjectMedia("Cd".to_owned())).await, Ok(Done::Accepted));
    assert_eq!(posted(&fake, EJECT), ["{}"]);
    let fault = act(&mut driver, Act::EjectMedia("Tape".to_owned())).await.unwrap_err();
    assert!(fault.to_string().contains("it has Cd"), "{fault}");
}

#[tokio::test]
async fn a_managers_slots_are_found_and_patched_where_there_are_no_actions() {
    let slots_at = "/redfish/v1/Managers/1/VirtualMedia";
    let slot = json!({"Name": "CD", "Image": null, "Inserted": false});
    let fake = with_slot("/redfish/v1/Managers/1", slots_at, slot.clone()).await;
    let path = format!("{slots_at}/Cd");
    fake.bmc().tagged = true;
    let mut driver = fake.driver("");
    driver.open().await.unwrap();
    assert!(!slots(&mut driver).await[0].takes, "it does not say that it can be patched");
    assert!(matches!(act(&mut driver, insert()).await, Err(Fault::Unsupported(_))));
    fake.bmc().allow = Some("GET, HEAD, PATCH");
    assert!(slots(&mut driver).await[0].takes);
    assert_eq!(act(&mut driver, insert()).await, Ok(Done::Accepted));
    let shown = slots(&mut driver).await.remove(0);
    assert!(shown.holds(IMAGE) && shown.write_protected == Some(true));
    assert_eq!(act(&mut driver, Act::EjectMedia("Cd".to_owned())).await, Ok(Done::Accepted));
    assert!(!slots(&mut driver).await[0].is_full());
    assert_eq!(fake.bmc().count(&format!("PATCH {path}")), 2);
}

#[tokio::test]
async fn what_a_bmc_misses_is_added() {
    let fake = with_slot(SYSTEM, SLOTS, by_action()).await;
    let error = json!({"error": {"@Message.ExtendedInfo": [{
        "MessageId": "Base.1.8.ActionParameterMissing",
        "Message": "The action needs the parameter TransferProtocolType to be present in the request body.",
    }]}});
    fake.odd(&format!("POST {INSERT}"), 1, say(400, &error.to_string()));
    fake.odd(&format!("POST {INSERT}"), 1, say(400, "{\"error\": {\"message\": \"TransferMethod is wanted\"}}"));
    fake.odd(&format!("POST {INSERT}"), 0, say(204, ""));
    let mut driver = fake.driver("");
    assert_eq!(act(&mut driver, insert()).await, Ok(Done::Accepted));
    let last: serde_json::Value = serde_json::from_str(posted(&fake, INSERT).last().unwrap()).unwrap();
    assert_eq!(last, json!({"Image": IMAGE, "TransferProtocolType": "HTTPS", "TransferMethod": "Stream"}));
    // One that is never content is asked three times at most.
    let fake = with_slot(SYSTEM, SLOTS, by_action()).await;
    let all = "{\"error\": {\"message\": \"TransferProtocolType TransferMethod UserName\"}}";
    fake.odd(&format!("POST {INSERT}"), 0, say(400, all));
    let fault = act(&mut fake.driver(""), insert()).await.unwrap_err();
    assert!(matches!(fault, Fault::Refused(Why::Rejected(_))), "{fault:?}");
    assert_eq!(posted(&fake, INSERT).len(), 3);
}

#[tokio::test]
async fn a_lost_answer_to_an_insertion_is_uncertain_and_not_sent_again() {
    for odd in [Odd::Late(Duration::from_millis(600)), Odd::HangUp, say(500, ""), say(200, "{not json")] {
        let fake = with_slot(SYSTEM, SLOTS, by_action()).await;
        fake.odd(&format!("POST {INSERT}"), 1, odd);
        let fault = act(&mut fake.driver(""), insert()).await.unwrap_err();
        assert!(matches!(fault, Fault::Uncertain(_)), "{fault:?}");
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(posted(&fake, INSERT).len(), 1);
    }
    // Before the command itself nothing counts.
    let fake = with_slot(SYSTEM, SLOTS, by_action()).await;
    let mut driver = fake.driver("");
    driver.open().await.unwrap();
    fake.odd(&format!("GET {CD}"), 1, Odd::Late(Duration::from_millis(600)));
    let fault = act(&mut driver, insert()).await.unwrap_err();
    assert!(fault.act_may_retry(), "{fault:?}");
}

#[tokio::test]
async fn a_broken_slot_is_left_out_and_a_broken_list_is_told() {
    let fake = with_slot(SYSTEM, SLOTS, by_action()).await;
    let members = json!({"Members": [{"@odata.id": CD}, {"@odata.id": format!("{SLOTS}/Gone")}, {"@odata.id": CD}, 5]});
    fake.bmc().resources.insert(SLOTS.to_owned(), members);
    let mut driver = fake.driver("");
    driver.open().await.unwrap();
    assert_eq!(slots(&mut driver).await.len(), 1);
    fake.odd(&format!("GET {CD}"), 1, say(503, ""));
    assert!(matches!(read(&mut driver, Aspect::Media).await, Err(Fault::Busy { .. })));
    fake.bmc().resources.remove(SLOTS);
    assert!(matches!(read(&mut driver, Aspect::Media).await, Err(Fault::Unsupported(_))));
}
