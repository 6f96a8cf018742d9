//! Changing a resource: PATCH with the ETag that was read right before, and tasks.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::{
    faults::{Failure, Tried},
    http::{Answer, Request},
    session::Session,
};
use crate::{
    model::{Done, Fault, Why},
    wire::redfish::{
        Path,
        message::{self, Task},
        value::word,
    },
};

/// Between two looks at a task, if the BMC does not say.
const LOOK: Duration = Duration::from_millis(500);
/// Most looks at one task.
const LOOKS: u32 = 60;

/// The ETag of an answer: the header, or what the body says.
fn tag(answer: &Answer) -> Option<String> {
    answer.etag.clone().or_else(|| word(&answer.body, "@odata.etag").map(str::to_owned))
}

/// A PATCH of what was just read. Others may change the resource in between, and some BMCs change the tag by
/// themselves: once more then, with the tag as it is now.
pub(super) async fn patch(session: &mut Session, path: &Path, body: &Value) -> Tried<Answer> {
    let before = session.send(&Request::get(path)).await.map_err(Failure::before)?;
    patch_tagged(session, path, body, tag(&before)).await
}

/// The same, with the tag at hand.
async fn patch_tagged(session: &mut Session, path: &Path, body: &Value, had: Option<String>) -> Tried<Answer> {
    let request = |tag| Request { method: Method::PATCH, if_match: tag, ..Request::post(path, body) };
    let result = session.send(&request(had.as_deref())).await;
    let again = match result.as_ref().err().and_then(Failure::code) {
        Some(412) => {
            let now = session.send(&Request::get(path)).await.map_err(Failure::before)?;
            match (tag(&now), had.as_ref()) {
                // It is as it was: some can't compare the weak form that they give out.
                (Some(now), Some(had)) if now == *had => now.strip_prefix("W/").map(str::to_owned),
                (now, _) => now,
            }
        }
        // "Precondition Required", from one that gave no tag.
        Some(428) => Some("*".to_owned()),
        _ => return result,
    };
    session.send(&request(again.as_deref())).await
}

/// Members of `Boot`, to the System or its settings object, together as some BMCs want them; apart where they are
/// refused together.
pub(super) async fn patch_boot(
    session: &mut Session,
    path: &Path,
    members: Map<String, Value>,
) -> Tried<Option<Answer>> {
    if members.is_empty() {
        return Ok(None);
    }
    let body = |members: &Map<String, Value>| json!({ "Boot": members });
    let refused = match patch(session, path, &body(&members)).await {
        Err(failure @ Failure::Status { code: 400 | 409, .. }) => failure,
        other => return other.map(Some),
    };
    let (mode, rest): (Map<_, _>, Map<_, _>) =
        members.into_iter().partition(|(key, _)| key == "BootSourceOverrideMode");
    if mode.is_empty() || rest.is_empty() {
        return Err(refused);
    }
    patch(session, path, &body(&mode)).await?;
    patch(session, path, &body(&rest)).await.map(Some)
}

/// After a command was taken: a task that it became is watched for `patience`, so that one that fails at once is not
/// taken for done. The state that is read afterwards is the proof.
pub(super) async fn follow(session: &mut Session, answer: Answer, patience: Duration) -> Result<Done, Fault> {
    let failed = |why: String| Fault::Refused(Why::Rejected(format!("the BMC's task failed: {why}")));
    let monitor =
        Path::at(&answer.body, "TaskMonitor").or(answer.location).or_else(|| Path::at(&answer.body, "@odata.id"));
    match message::task(&answer.body) {
        Task::Failed(why) => return Err(failed(why)),
        _ if answer.code != 202 => return Ok(Done::Accepted),
        _ => {}
    }
    let Some(monitor) = monitor else { return Ok(Done::Accepted) };
    let (end, mut pause) = (Instant::now() + patience, answer.retry_after);
    for _ in 0..LOOKS {
        let next = Instant::now() + pause.unwrap_or(LOOK).clamp(LOOK, Duration::from_secs(5));
        if next > end {
            break;
        }
        sleep(next - Instant::now()).await;
        match session.send(&Request::get(&monitor)).await {
            Ok(now) => match message::task(&now.body) {
                Task::Failed(why) => return Err(failed(why)),
                Task::Done if now.code != 202 => return Ok(Done::Accepted),
                _ => pause = now.retry_after,
            },
            // A monitor that is gone belonged to a task that is over; how it ended, the state tells.
            Err(Failure::Status { code: 404 | 410, .. }) => return Ok(Done::Accepted),
            // The monitor answers what the command itself would have answered.
            Err(failure @ Failure::Status { code: 400..=499, .. }) if failure.code() != Some(429) => {
                return Err(failure.into_fault());
            }
            Err(_) => break,
        }
    }
    Ok(Done::Accepted)
}
