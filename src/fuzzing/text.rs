//! What people write: configuration, PDU family files, host lists.

use std::{cell::RefCell, fs, path::PathBuf};

use crate::{
    cli::hostlist::{self, Host},
    config::{self, range},
    drivers::snmp_pdu::fuzz,
};

thread_local! {
    /// A file of this thread's own: the loader reads files.
    static FILE: RefCell<Option<PathBuf>> = RefCell::new(file());
}

fn file() -> Option<PathBuf> {
    let folder = ["/dev/shm", "/tmp"].into_iter().map(PathBuf::from).find(|folder| folder.is_dir())?;
    let folder = folder.join(format!("rackfish-fuzz-{}-{:016x}", std::process::id(), rand::random::<u64>()));
    fs::create_dir(&folder).ok()?;
    Some(folder.join("rackfish.toml"))
}

/// A configuration file: either it checks out, or everything that is wrong has a place and a text.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A file that includes others could read anything on this machine, for minutes.
    if text.contains("include") || text.contains("file") {
        return;
    }
    let env = [("SECRET".to_owned(), "a secret".to_owned())].into();
    FILE.with_borrow(|file| {
        let Some(file) = file.as_ref().filter(|file| fs::write(file, text).is_ok()) else { return };
        match config::load(file, &env) {
            Ok(loaded) => assert!(loaded.config.nodes.len() <= range::MAX_NAMES, "more nodes than allowed"),
            Err(broken) => {
                assert!(!broken.problems.is_empty(), "refused without a word");
                let lines = text.lines().count() + 1;
                for problem in &broken.problems {
                    assert!(!problem.message.is_empty(), "a problem that says nothing");
                    assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "a problem beyond the end");
                }
            }
        }
    });
}

/// A PDU family file.
pub fn family(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        fuzz::family(text);
    }
}

/// A host list: it names hosts that exist, or is refused.
pub fn host_list(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let gpu = ["gpu".to_owned()];
    let names = ["node1", "node2", "node10", "rack2-a", "rack2-b", "r1-n01"];
    let hosts: Vec<Host<'_>> = names.iter().map(|name| Host { name, groups: &gpu }).collect();
    if let Ok(chosen) = hostlist::select(text, "node", &hosts) {
        assert!(chosen.iter().all(|name| names.contains(&name.as_str())), "a host that does not exist");
    }
}
