//! Errors and tasks, in words.

use serde_json::Value;

use super::value::{clean, list, text, word};

/// Most messages of one error that are shown.
const MOST: usize = 3;

/// What an error body says, for people: its worst extended messages, else its own.
pub fn of_error(body: &Value) -> Option<String> {
    let error = body.get("error").unwrap_or(body);
    let extended = list(error, "@Message.ExtendedInfo");
    // Some give identifiers there, and words in `message` alone.
    let said = join(extended, "Message").or_else(|| text(error, "message"));
    said.or_else(|| join(extended, "MessageId")).or_else(|| text(error, "code"))
}

/// Message identifiers of an error, without registry and version (`ActionParameterNotSupported`).
pub fn keys(body: &Value) -> Vec<&str> {
    let error = body.get("error").unwrap_or(body);
    let all = list(error, "@Message.ExtendedInfo").iter().filter_map(|m| word(m, "MessageId"));
    all.chain(word(error, "code")).map(|id| id.rsplit('.').next().unwrap_or(id)).take(16).collect()
}

fn join(messages: &[Value], key: &str) -> Option<String> {
    let mut said: Vec<String> = Vec::new();
    for message in messages {
        if let Some(line) = text(message, key).filter(|line| !said.contains(line)) {
            said.push(line);
        }
        if said.len() == MOST {
            break;
        }
    }
    (!said.is_empty()).then(|| said.join(" "))
}

/// How a task is going.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Not over.
    Running,
    /// Over, and well.
    Done,
    /// Over, and not done, in its words.
    Failed(String),
}

/// What a task or its monitor says (Task.TaskState); a body that is no task says that it is over.
pub fn task(body: &Value) -> Task {
    let Some(state) = word(body, "TaskState") else { return Task::Done };
    match state {
        "New" | "Starting" | "Running" | "Pending" | "Stopping" | "Service" | "Suspended" | "Interrupted"
        | "Cancelling" => Task::Running,
        "Exception" | "Killed" | "Cancelled" => {
            let said = join(list(body, "Messages"), "Message");
            Task::Failed(said.or_else(|| clean(state)).unwrap_or_default())
        }
        _ if word(body, "TaskStatus") == Some("Critical") => {
            Task::Failed(join(list(body, "Messages"), "Message").unwrap_or_else(|| "its status is Critical".to_owned()))
        }
        _ => Task::Done,
    }
}
