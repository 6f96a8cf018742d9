//! From files to a checked [`Config`].
//!
//! What is in this type has been checked: every reference resolves, every secret was read, every address parses.
//! Reading, merging, ranges and messages with file and line are in the rooms below:
//!
//! | file | what it does |
//! | --- | --- |
//! | `load` | the way through: [`load`] |
//! | `layers` | main file, includes, drop-ins, environment, laid on each other |
//! | `source` | texts, lines, and the tree of values with places |
//! | `names`, [`range`] | `[nodes."node-[01-24]"]` written out |
//! | `section`, [`duration`], `secret` | typed values, bounds, secrets by reference |
//! | `server`, `ldap`, `oauth`, `endpoint`, `node`, `facts`, `hook` | one table each |
//! | `check` | what can only be seen when everything is read |
//! | `problem` | what is wrong, with place and way out |
//! | [`keys`] | every key there is |
//! | [`watch`] | when files have changed and come to rest |

mod check;
pub mod duration;
mod endpoint;
mod facts;
pub mod glob;
mod hook;
pub mod keys;
mod layers;
mod ldap;
mod load;
mod names;
mod node;
mod oauth;
mod problem;
pub mod range;
mod secret;
mod section;
mod server;
mod source;
mod types;
pub mod watch;

#[cfg(test)]
mod tests;

pub use facts::mac;
pub use layers::Env;
pub use ldap::{Ldap, LdapNested, LdapRole, LdapSchema, LdapServer, USER as LDAP_USER};
pub use load::{Broken, Loaded, load, load_with, process_env, state_dir};
pub use oauth::{OAuthIssuer, OAuthKeys, OAuthRole};
pub use problem::{Problem, nearest};
pub use types::{
    AuthConfig, BootPolicy, Chassis, Config, Endpoint, EndpointPolicy, Facts, Feed, Hook, HookAction, Inrush, Lockout,
    LogFormat, MAX_LOCKOUT, MAX_NAMED_DOORS, MAX_PASSWORD_DAYS, MAX_PASSWORD_HISTORY, Node, Order, Patience, Restore,
    Server, Tls,
};
