//! The short form: each target's corpus, then mutations of it for a moment. `FUZZ_SECONDS` makes the moment longer,
//! `FUZZ_SEED` makes it another one. An input that fails is written to `target/fuzz/TARGET-failed` and named.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

use std::{
    cell::RefCell,
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{TARGETS, find, mutate::Mutator};

/// Without `FUZZ_SECONDS`: a number of inputs that is the same everywhere, and little time.
const INPUTS: u32 = 400;
/// Nobody's input may take that long, not even without optimisation on a busy machine.
const SLOW: Duration = Duration::from_secs(5);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder().join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Keeps the input that is under way, and writes it down when the target does not return.
struct Witness {
    name: &'static str,
    input: RefCell<Vec<u8>>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
            let file = place.join(format!("{}-failed", self.name));
            let written = fs::create_dir_all(&place).and_then(|()| fs::write(&file, &*self.input.borrow()));
            eprintln!("{}: input in {} ({written:?}): {:?}", self.name, file.display(), self.input.borrow());
        }
    }
}

impl Witness {
    fn run(&self, target: fn(&[u8]), input: Vec<u8>) {
        *self.input.borrow_mut() = input;
        let begun = Instant::now();
        target(&self.input.borrow());
        assert!(begun.elapsed() < SLOW, "it took {:?}", begun.elapsed());
    }
}

fn short(name: &'static str) {
    let (begun, target) = (Instant::now(), find(name).unwrap());
    let corpus = corpus(name);
    assert!(corpus.len() >= 3, "{name} has a corpus of {}", corpus.len());
    let witness = Witness { name, input: RefCell::default() };
    for input in &corpus {
        witness.run(target, input.clone());
    }
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("FUZZ_SEED")
        .unwrap_or_else(|| name.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(byte.into())));
    let end = number("FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut mutator = Mutator::new(seed);
    let mut made = 0_u32;
    while end.map_or(made < INPUTS, |end| Instant::now() < end) {
        witness.run(target, mutator.make(&corpus));
        made += 1;
    }
    println!("{name}: {} of the corpus, {made} mutations, seed {seed}, {:.1?}", corpus.len(), begun.elapsed());
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { short(stringify!($name)); })*

        #[test]
        fn every_target_is_tested_and_has_a_corpus() {
            let tested = [$(stringify!($name)),*];
            assert_eq!(TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), tested);
            let mut kept: Vec<_> =
                fs::read_dir(folder()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            kept.sort();
            let mut sorted = tested.to_vec();
            sorted.sort_unstable();
            assert_eq!(kept, sorted);
        }
    };
}

targets! {
    rmcp, ipmi_message, sdr, fru, sel, snmp_message, snmp_v3, oid, device_bus, redfish_answer, token, key_set, ldap_message,
    ldap_text, snmp_answer, config, pdu_family, host_list, redfish_query, redfish_body, redfish_path, redfish_request, control_line, documents,
}

#[test]
fn a_target_that_fails_is_noticed() {
    fn bad(data: &[u8]) {
        assert!(data.len() < 3, "as it should");
    }
    let witness = Witness { name: "self-test", input: RefCell::default() };
    witness.run(bad, vec![1, 2]);
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| witness.run(bad, vec![1, 2, 3])));
    assert!(failed.is_err());
}

#[test]
fn the_mutator_repeats_itself_and_changes_something() {
    let corpus = vec![b"one".to_vec(), b"another".to_vec(), Vec::new()];
    let run = |seed| {
        let mut mutator = Mutator::new(seed);
        (0..200).map(|_| mutator.make(&corpus)).collect::<Vec<_>>()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
    assert!(run(5).iter().filter(|made| !corpus.contains(made)).count() > 150);
}
