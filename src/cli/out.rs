//! Standard output: aligned tables for people, JSON for programs.

use std::io::{self, Write};

use serde::Serialize;

/// Where and how a subcommand writes.
pub struct Out<W: Write = io::StdoutLock<'static>> {
    writer: W,
    /// JSON instead of text.
    pub json: bool,
}

impl Out {
    /// Standard output.
    pub fn stdout(json: bool) -> Self {
        Self { writer: io::stdout().lock(), json }
    }
}

impl<W: Write> Out<W> {
    /// Any writer, for tests.
    pub fn to(writer: W, json: bool) -> Self {
        Self { writer, json }
    }

    /// A line of text.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.writer, "{}", clean(text))?;
        self.writer.flush()
    }

    /// Text as it is, for files and scripts.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)?;
        self.writer.flush()
    }

    /// One JSON document.
    pub fn document(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.writer, value)?;
        writeln!(self.writer)?;
        self.writer.flush()
    }

    /// Rows under headings, each column as wide as its widest cell.
    pub fn table(&mut self, headings: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        let cleaned: Vec<Vec<String>> = std::iter::once(headings.iter().map(|h| (*h).to_owned()).collect())
            .chain(rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()))
            .collect();
        let columns = headings.len();
        let width = |column: usize| {
            cleaned.iter().filter_map(|row: &Vec<String>| row.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &cleaned {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
            }
            writeln!(self.writer, "{}", line.trim_end())?;
        }
        self.writer.flush()
    }

    /// `key: value` lines, values aligned; empty values are left out.
    pub fn facts(&mut self, facts: &[(&str, String)]) -> io::Result<()> {
        let width = facts.iter().filter(|(_, v)| !v.is_empty()).map(|(k, _)| k.len()).max().unwrap_or(0) + 1;
        for (key, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            writeln!(self.writer, "{:width$} {}", format!("{key}:"), clean(value))?;
        }
        self.writer.flush()
    }
}

/// Without characters that a device could use to steer the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// A line on standard error; that it can't be written is nobody's concern any more.
pub fn complain(text: &str) {
    writeln!(io::stderr().lock(), "rackfish: {}", clean(text)).unwrap_or_default();
}

/// A remark on standard error.
pub fn remark(text: &str) {
    writeln!(io::stderr().lock(), "{}", clean(text)).unwrap_or_default();
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_and_tame() {
        let mut bytes = Vec::new();
        let rows = vec![vec!["n1".to_owned(), "On".to_owned()], vec!["node-2".to_owned(), "\x1b[2J".to_owned()]];
        Out::to(&mut bytes, false).table(&["NODE", "POWER"], &rows).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), "NODE    POWER\nn1      On\nnode-2  \u{fffd}[2J\n");
    }
}
