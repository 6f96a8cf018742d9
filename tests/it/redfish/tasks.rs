//! Actions that outlast their client's patience: 202, a monitor, a task, and how it ends.

use super::{rack::Rack, *};

const TASKS: &str = "/redfish/v1/TaskService/Tasks";

/// A rack whose clients are patient for 200 ms, and the answer to a Reset that takes longer.
async fn begun(change: impl FnOnce(&Rack)) -> (Rig, Answer) {
    let rig = Rig::with(1, |c| c.patience.action = Duration::from_millis(200)).await;
    change(&rig.rack);
    let started = std::time::Instant::now();
    let answer = rig.reset("pdu-1", "On").await;
    assert!(started.elapsed() < Duration::from_secs(2), "the client was kept waiting");
    assert_eq!(answer.status, 202, "{}", answer.body);
    (rig, answer)
}

/// Asks the monitor until it is done with 202.
async fn ended(rig: &Rig, monitor: &str) -> Answer {
    for _ in 0..200 {
        let answer = rig.get(monitor).await;
        if answer.status != 202 {
            return answer;
        }
        assert_eq!((answer.header("location"), &answer.body["TaskState"]), (monitor, &json!("Running")));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the task does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_takes_long_becomes_a_task_that_completes() {
    let (rig, answer) = begun(|rack| rack.pdu.state().delay = Duration::from_secs(3)).await;
    let monitor = answer.header("location").to_owned();
    assert!(monitor.starts_with("/redfish/v1/TaskService/TaskMonitors/"), "{monitor}");
    let uri = answer.body["@odata.id"].as_str().unwrap().to_owned();
    assert!(uri.starts_with(&format!("{TASKS}/")), "{uri}");
    assert_eq!((&answer.body["TaskState"], &answer.body["TaskMonitor"]), (&json!("Running"), &json!(monitor)));
    // While it runs: in the collection, by itself, and on its node.
    let service = rig.get("/redfish/v1/TaskService").await.body;
    assert_eq!(service["Tasks"]["@odata.id"], TASKS);
    assert_eq!(rig.get(TASKS).await.body["Members"], json!([{"@odata.id": uri}]));
    let task = rig.get(&uri).await;
    assert_eq!((task.status.as_u16(), &task.body["TaskState"]), (200, &json!("Running")));
    assert!(task.body["EndTime"].is_null() && task.body["PercentComplete"].is_null());
    assert_eq!(rig.power("pdu-1").await, "Off", "it is not shown before it is so");
    let done = ended(&rig, &monitor).await;
    assert_eq!((done.status.as_u16(), &done.body["TaskState"]), (200, &json!("Completed")), "{}", done.body);
    assert_eq!((&done.body["TaskStatus"], &done.body["PercentComplete"]), (&json!("OK"), &json!(100)));
    assert!(done.body["Name"].as_str().unwrap().contains("On of pdu-1"));
    assert!(done.body["EndTime"].as_str().unwrap() >= done.body["StartTime"].as_str().unwrap());
    assert_eq!(rig.get(&uri).await.body["TaskState"], "Completed");
    assert_eq!(rig.power("pdu-1").await, "On");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fails_says_on_which_node_and_device() {
    let (rig, answer) = begun(|rack| rack.pdu.state().stuck = true).await;
    let failed = ended(&rig, answer.header("location")).await;
    assert_eq!((failed.status.as_u16(), &failed.body["TaskState"]), (200, &json!("Exception")), "{}", failed.body);
    assert_eq!(failed.body["TaskStatus"], "Critical");
    let message = &failed.body["Messages"][0];
    let text = message["Message"].as_str().unwrap();
    for part in ["pdu-1", "pdu01", "still shows Off"] {
        assert!(text.contains(part), "{part} is not in {text:?}");
    }
    assert!(message["MessageId"].as_str().unwrap().starts_with("TaskEvent."), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_its_accounts_own_and_an_administrators() {
    let rig = Rig::with(1, |c| c.patience.action = Duration::from_millis(200)).await;
    rig.rack.pdu.state().delay = Duration::from_secs(3);
    let reset = format!("{SYSTEMS}/pdu-1/Actions/ComputerSystem.Reset");
    let made = rig.as_user("operator", Method::POST, &reset, Some(json!({"ResetType": "On"}))).await;
    assert_eq!(made.status, 202);
    let uri = made.body["@odata.id"].as_str().unwrap();
    for (user, status) in [("operator", 200), ("admin", 200), ("reader", 404), ("tenant", 404)] {
        assert_eq!(rig.as_user(user, Method::GET, uri, None).await.status, status, "{user}");
        let count = rig.as_user(user, Method::GET, TASKS, None).await.body["Members@odata.count"].clone();
        assert_eq!(count, u32::from(status == 200), "{user}");
    }
    // The same again, while it runs, is the same operation.
    let again = rig.as_user("operator", Method::POST, &reset, Some(json!({"ResetType": "On"}))).await;
    assert_eq!((again.status.as_u16(), &again.body["@odata.id"]), (202, &json!(uri)));
    ended(&rig, made.header("location")).await;
    assert_eq!(rig.rack.pdu.state().acts, 1);
    assert_eq!(rig.get("/redfish/v1/TaskService/TaskMonitors/nothing").await.status, 404);
}
