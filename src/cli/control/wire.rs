//! What goes over the control socket. Both ends are the same program; the version is there for the case that a
//! service still runs from before an update.

use serde::{Deserialize, Serialize, Serializer};
use time::OffsetDateTime;

use crate::{
    cli::exit::Failure,
    fleet,
    model::{BootPatch, Led, Privileges, ResetType, Role, Secret},
};

/// Grows when an old client and a new service would misunderstand each other.
pub const VERSION: u32 = 1;

/// Longest line either end reads.
pub const MAX_LINE: usize = 4 << 20;

/// A request with its version.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`] of the client.
    pub version: u32,
    /// What is asked.
    pub ask: Ask,
}

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// About the service.
    Status,
    /// Read the configuration again.
    Reload,
    /// Nodes, all without a list.
    Nodes {
        /// Host list.
        list: Option<String>,
        /// With readings and everything else.
        details: bool,
    },
    /// Something with nodes.
    Node {
        /// Host list.
        list: String,
        /// What.
        what: NodeAsk,
    },
    /// Endpoints, all without a list.
    Endpoints {
        /// Host list of endpoint names.
        list: Option<String>,
    },
    /// Something with endpoints.
    Endpoint {
        /// Host list of endpoint names.
        list: String,
        /// What.
        what: EndpointAsk,
    },
    /// Accounts.
    Account(AccountAsk),
    /// The state, as [`BackupPart`]s.
    Backup,
}

/// A piece of a backup: a file is announced, then its bytes come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupPart {
    /// A file begins.
    File {
        /// Its path below the state folder.
        name: String,
        /// Bytes.
        size: u64,
        /// Permissions.
        mode: u32,
        /// Seconds since 1970.
        modified: u64,
    },
    /// Base64 of its next bytes.
    Bytes(String),
}

/// What can be done with a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeAsk {
    /// Power.
    Reset {
        /// How.
        reset: ResetType,
        /// Which of its layers.
        layer: Layer,
    },
    /// Boot override.
    Boot(BootPatch),
    /// Identification light.
    Led(Led),
    /// Refuse starts.
    Hold {
        /// Why.
        reason: String,
        /// Ends by itself.
        #[serde(with = "time::serde::rfc3339::option")]
        until: Option<OffsetDateTime>,
    },
    /// End a hold.
    Release,
}

/// What can be done with an endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointAsk {
    /// Try it now, whatever its breaker or refused credentials say, and tell what is known then.
    Probe,
    /// Stop all traffic.
    Hold {
        /// Why.
        reason: String,
        /// Ends by itself.
        #[serde(with = "time::serde::rfc3339::option")]
        until: Option<OffsetDateTime>,
    },
    /// End a hold.
    Release,
    /// Try it now.
    Retry,
}

/// What can be done with accounts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountAsk {
    /// All of them.
    List,
    /// A new one.
    Add {
        /// Its name.
        name: String,
        /// Its password.
        #[serde(serialize_with = "in_the_clear")]
        password: Secret,
        /// Its role.
        role: Role,
        /// Nodes it is limited to; with `groups` empty too: not limited.
        nodes: Vec<String>,
        /// Groups it is limited to.
        groups: Vec<String>,
        /// It has to choose another password first.
        must_change: bool,
    },
    /// A new password.
    Passwd {
        /// Whose.
        name: String,
        /// The password.
        #[serde(serialize_with = "in_the_clear")]
        password: Secret,
        /// It has to choose another first.
        must_change: bool,
    },
    /// Away with it.
    Remove {
        /// Whose.
        name: String,
    },
    /// Something about roles.
    Role(RoleAsk),
}

/// What can be done with roles.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleAsk {
    /// All of them.
    List,
    /// A new one.
    Add {
        /// Its name.
        name: String,
        /// What it is good for.
        privileges: Privileges,
    },
    /// Other privileges.
    Set {
        /// Whose.
        name: String,
        /// What it is good for.
        privileges: Privileges,
    },
    /// Away with it.
    Remove {
        /// Which.
        name: String,
    },
}

/// The socket is the one place where a secret is sent: to the same user on the same machine.
fn in_the_clear<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// [`fleet::Layer`] with a spelling.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Whatever makes the node run: the host if there is one, else the feeds.
    #[default]
    Effective,
    /// The host (BMC) alone.
    Host,
    /// The feeds (mains) alone.
    Mains,
}

impl From<Layer> for fleet::Layer {
    fn from(layer: Layer) -> Self {
        match layer {
            Layer::Effective => Self::Effective,
            Layer::Host => Self::Host,
            Layer::Mains => Self::Mains,
        }
    }
}

/// One line of an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// One of several.
    Item(serde_json::Value),
    /// That was all.
    End,
    /// The request as a whole failed: that was all, too.
    Failed(Failure),
}

/// The result of one operation on one node, endpoint or account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpResult {
    /// Its name.
    pub name: String,
    /// `done`, `running` or `failed`.
    pub result: String,
    /// The task to ask, when it is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

impl OpResult {
    /// It was done.
    pub fn done(name: impl Into<String>) -> Self {
        Self { name: name.into(), result: "done".to_owned(), task: None, error: None }
    }

    /// It goes on.
    pub fn running(name: impl Into<String>, task: impl Into<String>) -> Self {
        Self { name: name.into(), result: "running".to_owned(), task: Some(task.into()), error: None }
    }

    /// It failed.
    pub fn failed(name: impl Into<String>, error: Failure) -> Self {
        Self { name: name.into(), result: "failed".to_owned(), task: None, error: Some(error) }
    }
}
