//! Log lines on standard error, as text or JSON, with a filter that a reload can change.

use std::{
    borrow::Cow,
    io::{self, IsTerminal},
    path::Path,
};

use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    field::MakeExt as _,
    filter::{dynamic_filter_fn, filter_fn},
    fmt,
    fmt::format::debug_fn,
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

use super::audit::{AuditFile, TARGET};
use crate::config::LogFormat;

/// A filter that can't be used, or logging that was set up twice.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// As `server.log` says it.
    #[error("server.log: {0:?} is not a log filter; for example \"info\" or \"warn,rackfish::drivers=debug\"")]
    Filter(String),
    /// The audit file can't be opened.
    #[error("{0}")]
    Audit(#[from] io::Error),
    /// Somebody else logs already.
    #[error("logging is set up already")]
    Twice,
}

/// Logging that runs.
#[derive(Clone)]
pub struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    audit: AuditFile,
}

impl Logging {
    /// Starts it for the whole process. The format stays until the process ends.
    pub fn start(format: LogFormat, filter: &str, audit_file: Option<&Path>) -> Result<Self, LoggingError> {
        let audit = AuditFile::default();
        audit.open(audit_file)?;
        let (filter, handle) = reload::Layer::new(parse(filter)?);
        // An entry is in the file if there is one, else in the normal log.
        let (to_file, to_log) = (audit.clone(), audit.clone());
        let entries = fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(audit.clone())
            .with_filter(filter_fn(move |meta| meta.target() == TARGET && to_file.is_open()));
        let log = lines(format, io::stderr)
            .with_filter(dynamic_filter_fn(move |meta, _| meta.target() != TARGET || !to_log.is_open()));
        let registry = tracing_subscriber::registry().with(filter).with(log).with(entries);
        registry.try_init().map_err(|_| LoggingError::Twice)?;
        Ok(Self { filter: handle, audit })
    }

    /// Opens the audit file anew: it may have been moved away, or be another one.
    pub fn set_audit(&self, audit_file: Option<&Path>) -> Result<(), LoggingError> {
        self.audit.open(audit_file).map_err(LoggingError::from)
    }

    /// Puts another filter in force.
    pub fn set_filter(&self, filter: &str) -> Result<(), LoggingError> {
        let filter = parse(filter)?;
        self.filter.reload(filter).map_err(|_| LoggingError::Twice)
    }
}

fn parse(filter: &str) -> Result<EnvFilter, LoggingError> {
    // The HTTP server says at every start what we say ourselves.
    EnvFilter::builder()
        .parse(format!("actix_server=warn,{filter}"))
        .map_err(|_| LoggingError::Filter(filter.to_owned()))
}

fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    // A full or closed standard error is nothing that could be reported anywhere.
    let layer = fmt::layer().with_writer(writer).log_internal_errors(false);
    match format {
        LogFormat::Text => {
            // Devices and clients choose some of the text: it must neither steer a terminal nor look like a line of its own.
            let fields = debug_fn(|out, field, value| {
                let shown = format!("{value:?}");
                let value = tame(&shown);
                if field.name() == "message" { write!(out, "{value}") } else { write!(out, "{field}={value}") }
            });
            layer.with_ansi(io::stderr().is_terminal()).fmt_fields(fields.delimited(" ")).boxed()
        }
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    }
}

/// Control characters as Rust writes them in a text.
fn tame(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn json_lines_hold_the_fields_of_event_and_span() {
        let kept = Kept::default();
        let writer = kept.clone();
        let (filter, handle) = reload::Layer::new(parse("info").unwrap());
        let subscriber =
            tracing_subscriber::registry().with(filter).with(lines(LogFormat::Json, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("request", request = "r1").entered();
            tracing::info!(endpoint = "pdu01", "down");
            tracing::debug!("not now");
            handle.reload(parse("debug").unwrap()).unwrap();
            tracing::debug!("now");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0]["message"], "down");
        assert_eq!(lines[0]["endpoint"], "pdu01");
        assert_eq!(lines[0]["span"]["request"], "r1");
        assert_eq!(lines[1]["message"], "now");
    }

    #[test]
    fn nobody_writes_lines_of_their_own() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let kept = Kept::default();
            let writer = kept.clone();
            let subscriber = tracing_subscriber::registry().with(lines(format, move || writer.clone()));
            let evil = "x\x1b[2J\nERROR forged\r\u{9b}2J";
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!(text = evil, shown = %evil, "{evil}");
            });
            let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            // In JSON a C1 character stands for itself; whoever shows it decides.
            let steering = |c: char| c.is_control() && c != '\n' && (c.is_ascii() || format == LogFormat::Text);
            assert!(!text.contains(steering), "{text:?}");
        }
    }

    #[test]
    fn a_bad_filter_is_refused() {
        assert!(parse("rackfish=loud").is_err());
        assert!(parse("warn,rackfish::fleet=debug").is_ok());
    }
}
