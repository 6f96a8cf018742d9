//! Hooks: a command, an HTTP request, or a file per MAC.

use std::{path::PathBuf, time::Duration};

use crate::model::Secret;

use super::{
    keys,
    load::Cx,
    section::Section,
    source::Val,
    types::{Hook, HookAction},
};

/// Words in braces that a hook's texts may hold.
const PLACEHOLDERS: &[&str] = &["node", "mac", "target", "mode", "enabled"];
/// Methods of a hook's request.
const METHODS: &[(&str, &str)] =
    &[("GET", "GET"), ("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH"), ("DELETE", "DELETE")];
/// How long a hook may take when nothing is said.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads a hook's table. `files`: whether a file per MAC is a choice here.
pub(super) fn read(cx: &mut Cx<'_>, s: &Section<'_>, files: bool) -> Option<Hook> {
    let known: Vec<&str> = keys::HOOK.iter().copied().filter(|key| files || *key != "files").collect();
    s.only(&mut cx.p, &known);
    let timeout =
        s.duration(&mut cx.p, "timeout", Duration::from_millis(100)..=Duration::from_hours(1)).unwrap_or(TIMEOUT);
    let given: Vec<&str> = ["command", "http", "files"].into_iter().filter(|key| s.map.get(key).is_some()).collect();
    let action = match given.as_slice() {
        ["command"] => command(cx, s),
        ["http"] => http(cx, s),
        ["files"] if files => s.path(&mut cx.p, cx.sources, "files").map(HookAction::Files),
        ["files"] => None,
        [] => {
            cx.p.add(
                s.at,
                s.path.as_ref(),
                "does nothing",
                "add command = [\"program\", \"argument\"] or http = { url = \"...\" }",
            );
            None
        }
        several => {
            cx.p.add(s.at, s.path.as_ref(), format!("has {}", several.join(" and ")), "one of them is allowed");
            None
        }
    };
    action.map(|action| Hook { action, timeout })
}

fn command(cx: &mut Cx<'_>, s: &Section<'_>) -> Option<HookAction> {
    if let Some(entry) = s.entry("command")
        && let Val::Text(text) = &entry.spot.val
    {
        let words: Vec<String> = text.split_whitespace().map(|word| format!("{word:?}")).collect();
        s.wrong(
            &mut cx.p,
            "command",
            "must be a list: no shell takes it apart",
            format!("write command = [{}]", words.join(", ")),
        );
        return None;
    }
    let words = s.texts(&mut cx.p, cx.sources, "command")?;
    for (_, word) in &words {
        placeholders(cx, s, "command", word);
    }
    let words: Vec<String> = words.into_iter().map(|(_, word)| word.into_owned()).collect();
    let Some(program) = words.first().filter(|program| !program.is_empty()) else {
        s.wrong(
            &mut cx.p,
            "command",
            "names no program",
            "for example command = [\"/usr/local/bin/hook\", \"{node}\"]",
        );
        return None;
    };
    let path = PathBuf::from(program);
    if path.is_absolute() && !path.exists() {
        let at = s.at("command");
        cx.p.warn(at, s.key("command"), format!("{program} does not exist"), "the hook will fail until it does");
    }
    Some(HookAction::Command(words))
}

fn http(cx: &mut Cx<'_>, s: &Section<'_>) -> Option<HookAction> {
    let http = s.table(&mut cx.p, "http")?;
    http.only(&mut cx.p, keys::HTTP);
    let method = http.word(&mut cx.p, "method", METHODS).unwrap_or("POST").to_owned();
    let body = http.text(&mut cx.p, "body").map(|body| {
        placeholders(cx, &http, "body", &body);
        body.into_owned()
    });
    let authorization = match http.entry("authorization") {
        None => None,
        Some(entry) => {
            cx.secrets.resolve(&mut cx.p, cx.sources, cx.env, &http, "authorization", &entry.spot).and_then(|text| {
                if text.contains(['\r', '\n']) {
                    http.wrong(
                        &mut cx.p,
                        "authorization",
                        "has more than one line",
                        "the header's value is one line, as in \"Bearer ...\"",
                    );
                    return None;
                }
                Some(Secret::new(text))
            })
        }
    };
    if http.entry("url").is_none() {
        cx.p.add(http.at, http.path.as_ref(), "has no url", "add url = \"https://...\"");
        return None;
    }
    let url = http.text(&mut cx.p, "url")?;
    placeholders(cx, &http, "url", &url);
    match reqwest::Url::parse(&url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => {}
        Ok(_) => {
            http.wrong(&mut cx.p, "url", format!("{url:?} is not an http or https URL"), "");
            return None;
        }
        Err(error) => {
            http.wrong(
                &mut cx.p,
                "url",
                format!("{url:?} is not a URL: {error}"),
                "for example \"https://host/path/{node}\"",
            );
            return None;
        }
    }
    Some(HookAction::Http { method, url: url.into_owned(), body, authorization })
}

/// Warns of `{word}` that nothing replaces. JSON in a body has braces too, but not around one bare word.
fn placeholders(cx: &mut Cx<'_>, s: &Section<'_>, key: &str, text: &str) {
    for tail in text.split('{').skip(1) {
        if let Some((word, _)) = tail.split_once('}')
            && !word.is_empty()
            && word.bytes().all(|b| b.is_ascii_lowercase())
            && !PLACEHOLDERS.contains(&word)
        {
            let way_out = cx.p.did_you_mean(
                word,
                PLACEHOLDERS.iter().copied(),
                format!("replaced are {}", PLACEHOLDERS.join(", ")),
            );
            let at = s.at(key);
            cx.p.warn(at, s.key(key), format!("{{{word}}} stays as it is: nothing replaces it"), way_out);
        }
    }
}
