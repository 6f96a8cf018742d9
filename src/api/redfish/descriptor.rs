//! The resource descriptor: the one source of a resource's route, `Allow` header, privileges, `Link` header, schema
//! reference in `$metadata`, and row in `docs/redfish.md`.

use std::fmt::Write as _;

use futures_util::future::LocalBoxFuture;

use super::{call::Call, error::Error, reply::Reply};

/// A method that resources take. HEAD and OPTIONS follow from GET.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Read.
    Get,
    /// Create, or carry out an action.
    Post,
    /// Change.
    Patch,
    /// Remove.
    Delete,
}

impl Method {
    /// The word in HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// The method of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Get, Self::Post, Self::Patch, Self::Delete].into_iter().find(|m| m.as_str() == word)
    }
}

/// Redfish privileges of which the caller needs one; empty: open to anyone, without a login.
pub type Privileges = &'static [&'static str];

/// No login needed.
pub const OPEN: Privileges = &[];
/// Any account.
pub const LOGIN: Privileges = &["Login"];
/// Operators and administrators.
pub const COMPONENTS: Privileges = &["ConfigureComponents"];
/// Administrators.
pub const MANAGER: Privileges = &["ConfigureManager"];
/// Administrators.
pub const USERS: Privileges = &["ConfigureUsers"];
/// Administrators, and anyone for what is their own: the handler looks.
pub const USERS_OR_SELF: Privileges = &["ConfigureUsers", "ConfigureSelf"];
/// Administrators, and anyone for what is their own: the handler looks.
pub const MANAGER_OR_SELF: Privileges = &["ConfigureManager", "ConfigureSelf"];

/// How a method is carried out.
pub enum Run {
    /// From memory, at once: what a GET is.
    Now(fn(&Call<'_>) -> Result<Reply, Error>),
    /// May wait.
    Later(for<'a> fn(&'a Call<'a>) -> LocalBoxFuture<'a, Result<Reply, Error>>),
}

/// A method of a resource.
pub struct Verb {
    /// Which.
    pub method: Method,
    /// Who may.
    pub privileges: Privileges,
    /// How.
    pub run: Run,
}

impl Verb {
    /// A read from memory.
    pub const fn get(privileges: Privileges, run: fn(&Call<'_>) -> Result<Reply, Error>) -> Self {
        Self { method: Method::Get, privileges, run: Run::Now(run) }
    }

    /// Anything that may wait.
    pub const fn of(
        method: Method,
        privileges: Privileges,
        run: for<'a> fn(&'a Call<'a>) -> LocalBoxFuture<'a, Result<Reply, Error>>,
    ) -> Self {
        Self { method, privileges, run: Run::Later(run) }
    }
}

/// Which query parameters mean something on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queries {
    /// None: `$metadata`, actions.
    None,
    /// `$select`, `$expand`.
    Single,
    /// Also `only`, `$top`, `$skip`.
    Collection,
    /// The resource reads them on its own.
    Own,
}

/// A kind of resource, with all that is known of it before a request comes.
pub struct Resource {
    /// `ComputerSystem`; of an action `ComputerSystem.Reset`; of a document without a schema its name.
    pub schema: &'static str,
    /// `v1_27_0`; empty for collections, actions and documents without a schema.
    pub version: &'static str,
    /// Where it is: `{name}` stands for one path segment.
    pub uris: &'static [&'static str],
    /// What can be done with it.
    pub verbs: &'static [Verb],
    /// One line for the docs.
    pub summary: &'static str,
    /// Query parameters.
    pub queries: Queries,
}

impl Resource {
    /// The verb for `method`.
    pub fn verb(&self, method: Method) -> Option<&'static Verb> {
        self.verbs.iter().find(|v| v.method == method)
    }

    /// `ComputerSystem.v1_27_0` or `ComputerSystemCollection`: the id of its JSON schema.
    pub fn schema_id(&self) -> String {
        if self.version.is_empty() { self.schema.to_owned() } else { format!("{}.{}", self.schema, self.version) }
    }

    /// Whether it is an action (its schema's name has a dot) rather than a resource.
    pub fn is_action(&self) -> bool {
        self.schema.contains('.')
    }

    /// Whether it has a schema of DMTF's: all but actions, and documents of other kinds, whose names are in small letters.
    pub fn has_schema(&self) -> bool {
        !self.is_action() && self.schema.starts_with(|c: char| c.is_ascii_uppercase())
    }

    /// The `Allow` header.
    pub fn allow(&self) -> String {
        let mut out = String::new();
        for verb in self.verbs {
            if !out.is_empty() {
                out.push_str(", ");
            }
            out.push_str(verb.method.as_str());
            if verb.method == Method::Get {
                out.push_str(", HEAD");
            }
        }
        out
    }
}

/// The table of resources in `docs/redfish.md`.
pub fn docs_table(resources: &[&Resource]) -> String {
    let mut out = String::from(
        "| Resource | Version | URIs | Methods (privilege) | What it is |\n| --- | --- | --- | --- | --- |\n",
    );
    for r in resources {
        let uris = r.uris.iter().map(|u| format!("`{u}`")).collect::<Vec<_>>().join("<br>");
        let verbs = r
            .verbs
            .iter()
            .map(|v| {
                let who = if v.privileges.is_empty() { "open".to_owned() } else { v.privileges.join(" or ") };
                format!("{} ({who})", v.method.as_str())
            })
            .collect::<Vec<_>>()
            .join("<br>");
        let version = r.version.trim_start_matches('v').replace('_', ".");
        // Writing into a String can't fail.
        writeln!(out, "| {} | {} | {uris} | {verbs} | {} |", r.schema, version, r.summary).unwrap_or_default();
    }
    out
}
