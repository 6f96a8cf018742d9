//! Secrets by reference: `{ file = "..." }` or `{ env = "..." }`.

use std::{collections::HashMap, os::unix::fs::MetadataExt, path::PathBuf, rc::Rc};

use zeroize::Zeroizing;

use super::{
    layers::{Env, read_text},
    problem::Problems,
    section::Section,
    source::{Sources, Spot, Val},
};

/// Bytes of a secret's file: the longest (an SSH or TLS key) fits.
const MAX_BYTES: u64 = 64 << 10;

/// A secret file's text, and whether everybody can read the file; or why it can't be had.
type Kept = Result<(Rc<Zeroizing<String>>, bool), String>;

/// Reads secrets, each file once.
#[derive(Default)]
pub(super) struct Secrets {
    files: HashMap<PathBuf, Kept>,
}

impl Secrets {
    /// The text that `spot` stands for; `None` when it can't be had, which is noted.
    pub fn resolve(
        &mut self,
        p: &mut Problems,
        sources: &Sources,
        env: &Env,
        section: &Section<'_>,
        key: &str,
        spot: &Spot,
    ) -> Option<String> {
        let path = section.key(key);
        let reference = match &spot.val {
            Val::Text(text) => {
                p.warn(
                    spot.at,
                    path,
                    "the secret stands in the configuration itself",
                    format!("write it into a file (mode 0600) and {key} = {{ file = \"...\" }}"),
                );
                // Not filled in: a password may contain "{n}".
                return Some(text.clone());
            }
            Val::Table(map) if map.0.len() == 1 => map.0.iter().next(),
            _ => None,
        };
        let (kind, name) = match reference {
            Some((kind, entry)) if kind == "file" || kind == "env" => match &entry.spot.val {
                Val::Text(name) => (kind.as_str(), section.fill(p, key, spot.at, name)?),
                _ => ("", "".into()),
            },
            _ => ("", "".into()),
        };
        match kind {
            "file" => self.file(p, sources, path, spot, &name),
            "env" => match env.get(name.as_ref()) {
                Some(text) if !text.is_empty() => Some(text.clone()),
                Some(_) => {
                    p.add(spot.at, path, format!("the environment variable {name} is empty"), "put the secret into it");
                    None
                }
                None => {
                    p.add(
                        spot.at,
                        path,
                        format!("there is no environment variable {name}"),
                        "set it for the service, or use { file = \"...\" }",
                    );
                    None
                }
            },
            _ => {
                p.add(
                    spot.at,
                    path,
                    format!("must be a secret, not {}", spot.val.kind()),
                    format!("write {key} = {{ file = \"/path\" }} or {key} = {{ env = \"NAME\" }}"),
                );
                None
            }
        }
    }

    fn file(&mut self, p: &mut Problems, sources: &Sources, key: String, spot: &Spot, name: &str) -> Option<String> {
        let file = sources.resolve(spot.at, name);
        let read = self.files.entry(file.clone()).or_insert_with(|| {
            let text = Zeroizing::new(read_text(&file, MAX_BYTES)?);
            let open = std::fs::metadata(&file).is_ok_and(|meta| meta.mode() & 0o004 != 0);
            let text = text.strip_suffix('\n').unwrap_or(&text);
            Ok((Rc::new(Zeroizing::new(text.strip_suffix('\r').unwrap_or(text).to_owned())), open))
        });
        match read {
            Ok((text, _)) if text.is_empty() => {
                p.add(spot.at, key, format!("the secret file {} is empty", file.display()), "write the secret into it");
                None
            }
            Ok((text, open)) => {
                if *open {
                    p.warn(
                        spot.at,
                        key,
                        format!("everybody on this machine can read the secret file {}", file.display()),
                        format!("chmod 600 {}", file.display()),
                    );
                }
                Some(String::clone(text))
            }
            Err(message) => {
                p.add(
                    spot.at,
                    key,
                    format!("the secret file {} {message}", file.display()),
                    "make the file, readable for the user that rackfish runs as alone",
                );
                None
            }
        }
    }

    /// The files that were read or looked for.
    pub fn into_files(self) -> impl Iterator<Item = PathBuf> {
        self.files.into_keys()
    }
}
