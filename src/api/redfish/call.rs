//! One request as its handler sees it: who asks, what for, and the ways to answer.

use std::{cell::RefCell, net::IpAddr};

use super::{
    Redfish,
    descriptor::Resource,
    error::{Asked, Error},
    fields::{Fields, LeftAlone},
    messages as m,
    query::Query,
    reply::Reply,
    resources::tasks,
    route::Params,
};
use crate::{
    auth::Principal,
    fleet::{Fresh, Op, Outcome, Target},
    model::{Actor, NodeId},
};

/// One request.
pub struct Call<'a> {
    /// The face: fleet, accounts, subscriptions.
    pub face: &'a Redfish,
    /// Who asks; on open resources somebody without a name.
    pub actor: &'a Actor,
    /// How they proved who they are; `None` on open resources.
    pub principal: Option<&'a Principal>,
    /// The node whose door this is; `None`: the service's own listener.
    pub door: Option<&'a NodeId>,
    /// What was asked for.
    pub resource: &'static Resource,
    /// The path as sent.
    pub uri: &'a str,
    /// Names in the path.
    pub params: Params<'a>,
    /// Query parameters.
    pub query: &'a Query,
    /// `If-Match`
    pub if_match: Option<&'a str>,
    /// The client's address.
    pub peer: Option<IpAddr>,
    /// The body as sent.
    pub body: &'a [u8],
    /// For the audit log: what the request asks for, in words.
    pub what: &'a RefCell<String>,
    /// What of a PATCH can never be written, beside what was.
    pub left: LeftAlone,
}

impl Call<'_> {
    /// The name at `index` in the path.
    pub fn param(&self, index: usize) -> &str {
        self.params.get(index)
    }

    /// 404 for this path.
    pub fn not_found(&self) -> Error {
        Error::not_found(self.uri)
    }

    /// The body of a PATCH or of a POST that creates.
    pub fn properties(&self) -> Result<Fields, Error> {
        Ok(Fields::properties(self.body)?.leaving(&self.left))
    }

    /// The body of an action; none at all is an empty one.
    pub fn parameters(&self, action: &'static str) -> Result<Fields, Error> {
        Fields::parameters(self.body, action)
    }

    /// Says in the audit log what is asked for.
    pub fn note(&self, what: impl Into<String>) {
        self.what.replace(what.into());
    }

    /// Whether the caller's role has `privilege`.
    pub fn has(&self, privilege: &str) -> bool {
        self.principal.is_some_and(|p| p.privileges.has(privilege))
    }

    /// Whether `account` is the caller's own.
    pub fn is_self(&self, account: &str) -> bool {
        self.principal.is_some_and(|p| p.name.as_ref() == account)
    }

    /// Has the fleet do something, on the runtime that the fleet lives on: the operation neither ends with this
    /// request nor with this listener. `Some` is the answer if it goes on as a task.
    pub async fn run(&self, on: Target, op: Op, asked: Asked<'_>) -> Result<Option<Reply>, Error> {
        match self.outcome(on, op, Fresh::Cached, asked).await? {
            Outcome::Done | Outcome::Facts(_) => Ok(None),
            Outcome::Running { task } => Ok(Some(tasks::accepted(self, &task))),
        }
    }

    /// As [`Self::run`], with all that came of it.
    pub async fn outcome(&self, on: Target, op: Op, fresh: Fresh, asked: Asked<'_>) -> Result<Outcome, Error> {
        let fleet = self.face.fleet.clone();
        let who = self.actor.clone();
        let work = self.face.runtime.spawn(async move { fleet.run(&who, on, op, fresh).await });
        match work.await {
            Ok(result) => result.map_err(|e| Error::of_operation(&e, asked, self.uri)),
            Err(cause) => {
                tracing::error!(%cause, request = %self.actor.request, "an operation ended unexpectedly");
                Err(Error::new(500, m::INTERNAL_ERROR.with([])))
            }
        }
    }
}

/// Whether an `If-Match` or `If-None-Match` header names `etag`. Weak tags count as their strong form: ours leave
/// volatile parts out either way.
pub fn names_etag(header: &str, etag: &str) -> bool {
    header.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::names_etag;

    #[test]
    fn etags_are_compared_whole() {
        assert!(names_etag("\"a\"", "\"a\""));
        assert!(names_etag("W/\"a\"", "\"a\""));
        assert!(names_etag("\"b\", \"a\"", "\"a\""));
        assert!(names_etag("*", "\"a\""));
        assert!(!names_etag("\"a\"foobar", "\"a\""));
        assert!(!names_etag("a", "\"a\""));
        assert!(!names_etag("", "\"a\""));
    }
}
