//! What a handler answers, before it becomes HTTP.

use std::fmt;

use actix_web::{HttpRequest, body::BoxBody};

use super::{
    doc::{Body, Doc},
    error::Error,
    messages::Message,
};
use crate::model::Secret;

/// An answer.
#[derive(Debug, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Empty bytes: no body.
    pub body: Body,
    /// `None`: JSON.
    pub content_type: Option<&'static str>,
    /// `Location`
    pub location: Option<String>,
    /// `X-Auth-Token`
    pub token: Option<Secret>,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// A body that goes on for as long as the client listens.
    pub open: Option<Open>,
}

/// Opens an endless body, once nothing stands against the request any more.
pub struct Open(Opener);

type Opener = Box<dyn FnOnce(&HttpRequest) -> Result<BoxBody, Error>>;

impl Open {
    /// `open` makes the body.
    pub fn new(open: impl FnOnce(&HttpRequest) -> Result<BoxBody, Error> + 'static) -> Self {
        Self(Box::new(open))
    }

    /// Makes the body.
    pub fn body(self, request: &HttpRequest) -> Result<BoxBody, Error> {
        (self.0)(request)
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Open")
    }
}

impl Reply {
    /// 200 with a resource.
    pub fn ok(doc: Doc) -> Self {
        Self { status: 200, body: doc.finish(), ..Self::default() }
    }

    /// 201 with the new resource and where it is.
    pub fn created(doc: Doc, location: String) -> Self {
        Self { status: 201, body: doc.finish(), location: Some(location), ..Self::default() }
    }

    /// Adds messages to a body that is an object.
    #[must_use]
    pub fn with_messages(mut self, messages: &[Message]) -> Self {
        let bytes = &mut self.body.bytes;
        if self.content_type.is_none() && bytes.last() == Some(&b'}') && bytes.len() > 2 {
            let mut more = Doc::plain();
            Message::extended_info(&mut more, messages);
            bytes.pop();
            bytes.push(b',');
            bytes.extend_from_slice(more.finish().bytes.get(1..).unwrap_or(b"}"));
        }
        self
    }

    /// 202: a task goes on with it.
    pub fn accepted(task: Doc, monitor: String) -> Self {
        Self { status: 202, body: task.finish(), location: Some(monitor), retry_after: Some(2), ..Self::default() }
    }

    /// 204
    pub fn done() -> Self {
        Self { status: 204, ..Self::default() }
    }

    /// 200 with something that is not JSON.
    pub fn raw(content_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { status: 200, body: Body { bytes, etag: None }, content_type: Some(content_type), ..Self::default() }
    }
}
