//! TaskService: operations that took longer than their client's patience.
//!
//! A monitor answers 202 with the Task while it runs and 200 with the Task afterwards: Ironic's client reads the
//! monitor's URI as a Task in the end.

use time::OffsetDateTime;

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        messages as m,
        reply::Reply,
    },
    collection,
};
use crate::fleet::TaskView;

/// The service.
pub const URI: &str = "/redfish/v1/TaskService";
const TASKS: &str = "/redfish/v1/TaskService/Tasks";
const MONITORS: &str = "/redfish/v1/TaskService/TaskMonitors";

/// Nodes that failed, of a task for many, that are named.
const MOST_FAILURES: usize = 1_000;

/// The service.
pub static SERVICE: Resource = Resource {
    schema: "TaskService",
    version: "v1_3_0",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, service)],
    summary: "Operations that go on after their request was answered with 202.",
    queries: Queries::Single,
};

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "TaskCollection",
    version: "",
    uris: &[TASKS],
    verbs: &[Verb::get(LOGIN, list)],
    summary: "Tasks.",
    queries: Queries::Collection,
};

/// A task.
pub static TASK: Resource = Resource {
    schema: "Task",
    version: "v1_7_4",
    uris: &["/redfish/v1/TaskService/Tasks/{task}"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "A task: how far it is, and how it ended.",
    queries: Queries::Single,
};

/// The monitor of a task.
pub static MONITOR: Resource = Resource {
    schema: "task-monitor",
    version: "",
    uris: &["/redfish/v1/TaskService/TaskMonitors/{task}"],
    verbs: &[Verb::get(LOGIN, monitor)],
    summary: "202 with the Task while it runs, then 200 with the Task.",
    queries: Queries::None,
};

#[allow(clippy::unnecessary_wraps)]
fn service(call: &Call<'_>) -> Result<Reply, Error> {
    let mut doc = Doc::resource(&SERVICE, URI);
    doc.set("Id", "TaskService")
        .set("Name", "Task service")
        .set("ServiceEnabled", true)
        .set("CompletedTaskOverWritePolicy", "Oldest")
        .set("LifeCycleEventOnTaskStateChange", call.face.subscriptions.is_some())
        .obj("Status", |o| {
            o.set("State", "Enabled").set("Health", "OK");
        })
        .volatile(|o| {
            o.set("DateTime", OffsetDateTime::now_utc());
        })
        .link("Tasks", TASKS);
    Ok(Reply::ok(doc))
}

#[allow(clippy::unnecessary_wraps)]
fn list(call: &Call<'_>) -> Result<Reply, Error> {
    let mut tasks = call.face.fleet.tasks(call.actor);
    tasks.retain(|task| call.shows(task.node.as_ref()));
    Ok(collection(call, "Tasks", TASKS, tasks.iter().map(|t| t.id.as_str())))
}

fn task(call: &Call<'_>) -> Result<TaskView, Error> {
    let task = call.face.fleet.task(call.actor, call.param(0));
    task.filter(|task| call.shows(task.node.as_ref())).ok_or_else(|| call.not_found())
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    Ok(Reply::ok(render(&task(call)?)))
}

fn monitor(call: &Call<'_>) -> Result<Reply, Error> {
    let task = task(call)?;
    if task.ended.is_some() {
        return Ok(Reply::ok(render(&task)));
    }
    Ok(Reply::accepted(render(&task), monitor_uri(&task.id)))
}

/// The URI of a task.
pub fn uri(id: &str) -> String {
    format!("{TASKS}/{id}")
}

fn monitor_uri(id: &str) -> String {
    format!("{MONITORS}/{id}")
}

/// The answer to a request that goes on as the task `id`.
pub fn accepted(call: &Call<'_>, id: &str) -> Reply {
    match call.face.fleet.task(call.actor, id) {
        Some(task) => Reply::accepted(render(&task), monitor_uri(id)),
        None => Reply { status: 202, location: Some(monitor_uri(id)), ..Reply::default() },
    }
}

fn render(task: &TaskView) -> Doc {
    let mut doc = Doc::resource(&TASK, &format!("{TASKS}/{}", task.id));
    let (state, health, message) = match (task.ended, &task.error) {
        (None, _) => ("Running", "OK", m::TASK_STARTED.with([&task.id])),
        (Some(_), None) => ("Completed", "OK", m::TASK_DONE.with([&task.id])),
        (Some(_), Some(cause)) => {
            let what = format!("{}: {}.", task.name, cause.trim_end_matches('.'));
            ("Exception", "Critical", m::TASK_ABORTED.with([&task.id]).detail(what))
        }
    };
    doc.set("Id", &task.id)
        .set("Name", &task.name)
        .set("TaskState", state)
        .set("TaskStatus", health)
        .set("StartTime", task.started)
        .opt("EndTime", task.ended)
        .opt("PercentComplete", percent(task))
        .set("TaskMonitor", monitor_uri(&task.id))
        .arr("Messages", |a| {
            a.item_obj(|o| message.write(o, false));
            for failure in task.progress.iter().flat_map(|progress| &progress.failed).take(MOST_FAILURES) {
                a.item_obj(|o| m::RESET_FAILED.with([failure.node.as_str(), &failure.error]).write(o, false));
            }
        });
    doc
}

fn percent(task: &TaskView) -> Option<u32> {
    match &task.progress {
        _ if task.ended.is_some() => Some(100),
        // Not before its end.
        Some(progress) => {
            u32::try_from(progress.ended * 100 / progress.total.max(1)).ok().map(|percent| percent.min(99))
        }
        None => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::Value;
    use time::macros::datetime;

    use super::*;
    use crate::fleet::{Progress, view::Failure};

    #[test]
    fn a_task_ends_well_or_says_why_not() {
        let mut task = TaskView {
            id: "7".into(),
            name: "ForceRestart of node-01".into(),
            principal: "admin".into(),
            node: None,
            started: datetime!(2026-01-01 00:00 UTC),
            ended: None,
            error: None,
            progress: None,
        };
        let value = |t: &TaskView| serde_json::from_slice::<Value>(&render(t).finish().bytes).unwrap();
        assert_eq!(value(&task)["TaskState"], "Running");
        task.ended = Some(datetime!(2026-01-01 00:01 UTC));
        assert_eq!((&value(&task)["TaskState"], &value(&task)["TaskStatus"]), (&"Completed".into(), &"OK".into()));
        task.error = Some("relay stuck".into());
        let v = value(&task);
        assert_eq!(v["TaskState"], "Exception");
        let message = v["Messages"][0]["Message"].as_str().unwrap();
        assert!(message.ends_with("ForceRestart of node-01: relay stuck."), "{message}");
    }

    #[test]
    fn a_task_for_many_says_how_far_it_is_and_who_failed() {
        let failed = vec![Failure { node: "n2".parse().unwrap(), error: "relay stuck".into() }];
        let mut task = TaskView {
            id: "8".into(),
            name: "On of 4 nodes".into(),
            principal: "admin".into(),
            node: None,
            started: datetime!(2026-01-01 00:00 UTC),
            ended: None,
            error: None,
            progress: Some(Progress { total: 4, begun: 4, ended: 3, failed, ..Progress::default() }),
        };
        let value = |t: &TaskView| serde_json::from_slice::<Value>(&render(t).finish().bytes).unwrap();
        assert_eq!(value(&task)["PercentComplete"], 75);
        assert_eq!(value(&task)["Messages"][1]["MessageArgs"][0], "n2");
        task.progress.as_mut().unwrap().ended = 4;
        assert_eq!(value(&task)["PercentComplete"], 99, "not before its end");
        task.ended = Some(task.started);
        assert_eq!(value(&task)["PercentComplete"], 100);
    }
}
