//! What must hold, worked out from what the world and the clients saw.

use std::time::Duration;

use super::{
    clients::{Request, Stage, Want},
    world::{Happened, World},
};
use crate::{
    fleet::Layer,
    model::{BootEnabled, BootTarget, Ref, ResetType},
};

/// One node of a schedule.
#[derive(Debug, Clone)]
pub struct Member {
    pub id: String,
    pub host: Option<Ref>,
    pub feeds: Vec<Ref>,
}

impl Member {
    fn units(&self) -> impl Iterator<Item = &Ref> {
        self.host.iter().chain(&self.feeds)
    }

    /// What makes it run.
    fn main(&self) -> Vec<&Ref> {
        self.host.as_ref().map_or_else(|| self.feeds.iter().collect(), |host| vec![host])
    }
}

/// What a schedule left behind.
pub struct Evidence<'a> {
    pub world: &'a mut World,
    pub requests: &'a [Request],
    pub members: &'a [Member],
    /// Operations that ended with an error, by node: when, and which.
    pub failures: &'a [(Duration, String, String)],
    /// Boot overrides at the end, by node.
    pub boots: Vec<(String, BootEnabled)>,
    /// Nodes on which something still runs at the end.
    pub busy: Vec<String>,
    /// Tasks that have not ended.
    pub open_tasks: usize,
}

/// A durable write takes no longer.
const SOON: Duration = Duration::from_millis(10);

const OFF_TIME: Duration = Duration::from_secs(5);

fn reset(request: &Request) -> Option<ResetType> {
    match request.want {
        Want::Reset(kind) => Some(kind),
        Want::Pxe => None,
    }
}

fn starts(request: &Request) -> bool {
    reset(request).is_some_and(ResetType::may_start)
}

fn cuts(request: &Request) -> bool {
    reset(request).is_some_and(|kind| !matches!(kind, ResetType::On | ResetType::ForceOn | ResetType::Nmi))
}

/// All that is wrong.
pub fn judge(mut evidence: Evidence<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for member in evidence.members {
        let of_node: Vec<&Request> = evidence.requests.iter().filter(|r| r.node == member.id).collect();
        let failures = evidence.failures.iter().filter(|(_, node, _)| *node == member.id).count()
            + unheard(evidence.world, &member.id);
        counts(&evidence, member, &of_node, failures, &mut wrong);
        after_off(&evidence, member, &of_node, &mut wrong);
        off_times(&evidence, member, &mut wrong);
        left(&mut evidence, member, &of_node, &mut wrong);
        boots(&evidence, member, &of_node, failures, &mut wrong);
    }
    if !evidence.busy.is_empty() || evidence.open_tasks > 0 {
        wrong.push(format!("not over: {:?}, {} tasks open", evidence.busy, evidence.open_tasks));
    }
    wrong
}

/// Failures that were stored right before a death, so that nobody heard of them.
fn unheard(world: &World, node: &str) -> usize {
    let died = |at: Duration| world.log.iter().any(|(d, w)| *w == Happened::Died && (at..at + SOON).contains(d));
    let failed = |text: &str| text.starts_with(&format!("{node}:")) && text.ends_with("\"failed\"");
    world.log.iter().filter(|(at, w)| matches!(w, Happened::Stored(text) if failed(text)) && died(*at)).count()
}

fn switched<'a>(world: &'a World, unit: &'a Ref) -> impl Iterator<Item = (Duration, bool)> + 'a {
    world.log.iter().filter_map(move |(at, what)| match what {
        Happened::Switched(u, on) if u == unit => Some((*at, *on)),
        _ => None,
    })
}

/// How often a request counts as one: sent again after somebody's different command it is a new one, because nobody can
/// tell (rule 3); sent again without, it is the same.
fn asked(request: &Request, all: &[&Request]) -> usize {
    let between = |from: Duration, to: Duration| {
        let others = all
            .iter()
            .filter(|r| !std::ptr::eq::<Request>(**r, request) && (reset(r).is_some() || r.who == request.who));
        // A change of the boot override counts from when it is stored.
        let stored = |r: &Request| if r.want == Want::Pxe { r.ended() } else { None };
        others.flat_map(|r| r.sent.iter().copied().chain(stored(r))).any(|at| (from..=to).contains(&at))
    };
    let again = request.sent.windows(2).filter(|pair| matches!(pair, [a, b] if between(*a, *b))).count();
    1 + again
}

/// No unit moves more often than it was asked to; none that nobody asked for.
fn counts(e: &Evidence<'_>, member: &Member, requests: &[&Request], failures: usize, wrong: &mut Vec<String>) {
    for unit in member.units() {
        let mine = |r: &&&Request| !matches!(&r.layer, Layer::Unit(only) if only != unit);
        let allowed = |r: &&Request| asked(r, requests);
        let may_start: usize = requests.iter().filter(mine).filter(|r| starts(r)).map(allowed).sum();
        let may_cut: usize = requests.iter().filter(mine).filter(|r| cuts(r)).map(allowed).sum();
        let (mut ons, mut offs) = (0, 0);
        for (_, on) in switched(e.world, unit) {
            if on { ons += 1 } else { offs += 1 }
        }
        let resets = e.world.log.iter().filter(|(_, what)| matches!(what, Happened::Reset(u) if u == unit)).count();
        // A failed operation may be asked for again by a client that never heard of its end.
        if ons + resets > if may_start == 0 { 0 } else { may_start + failures } {
            wrong.push(format!("{unit}: {ons} starts and {resets} resets for {may_start} requests, {failures} failed"));
        }
        if offs > if may_cut == 0 { 0 } else { may_cut + failures } {
            wrong.push(format!("{unit}: {offs} cuts for {may_cut} requests, {failures} failed"));
        }
    }
}

/// After an acknowledged off nothing starts but for a request that was sent later.
fn after_off(e: &Evidence<'_>, member: &Member, requests: &[&Request], wrong: &mut Vec<String>) {
    for off in requests.iter().filter(|r| reset(r) == Some(ResetType::ForceOff)) {
        let (Stage::Done(acked), Some(sent)) = (&off.stage, off.sent.last()) else { continue };
        let units: Vec<&Ref> = match &off.layer {
            Layer::Unit(unit) => vec![unit],
            _ => member.main(),
        };
        for unit in units {
            let first = switched(e.world, unit).find(|(at, on)| *on && at > acked);
            let Some((at, _)) = first else { continue };
            let wanted = requests.iter().any(|r| starts(r) && r.sent.iter().any(|s| s >= sent && *s <= at));
            if !wanted {
                wrong.push(format!(
                    "{unit} went on at {at:?}, after the off of {sent:?} that was told done at {acked:?}"
                ));
            }
        }
    }
}

fn off_times(e: &Evidence<'_>, member: &Member, wrong: &mut Vec<String>) {
    for unit in &member.feeds {
        let mut off_at = None;
        for (at, on) in switched(e.world, unit) {
            match (on, off_at) {
                (false, _) => off_at = Some(at),
                (true, Some(off)) if at < off + OFF_TIME => {
                    wrong.push(format!("{unit} was off for {:?} only, at {at:?}", at.saturating_sub(off)));
                }
                _ => {}
            }
        }
    }
}

/// Where the last request leaves the node, if it can be told which was the last.
fn left(e: &mut Evidence<'_>, member: &Member, requests: &[&Request], wrong: &mut Vec<String>) {
    if requests.iter().any(|r| matches!(r.layer, Layer::Unit(_))) && member.units().count() > 1 {
        return; // a half of its supplies may have been switched by itself: nobody's last word
    }
    let all: Vec<&&Request> = requests.iter().filter(|r| reset(r).is_some() && !r.sent.is_empty()).collect();
    let Some(last) = all.iter().max_by_key(|r| r.sent.first()) else { return };
    let Some(begun) = last.sent.first().copied() else { return };
    // Clear only when all others were over before it was first sent.
    let clear = all.iter().filter(|r| !std::ptr::eq::<Request>(***r, **last)).all(|r| match r.stage {
        Stage::Done(at) => at < begun,
        // Promised or given up: it may have come later than the last.
        _ => false,
    });
    let failed = e.failures.iter().any(|(at, node, _)| *node == member.id && *at >= begun);
    let on = member.main().iter().any(|unit| e.world.is_on(unit));
    let kind = reset(last);
    if kind == Some(ResetType::ForceOff) {
        let told = matches!(last.stage, Stage::Done(_) | Stage::Promised(_));
        if clear && told && !failed && on {
            wrong.push(format!("{} is on after {:?}", member.id, last));
        }
        return;
    }
    if !starts(last) {
        return;
    }
    let told = matches!(last.stage, Stage::Done(_) | Stage::Promised(_));
    if clear && told && !failed && !on {
        wrong.push(format!("{} is off after {:?}", member.id, last));
    }
    // Told or not: what this request has switched off it has to switch on again.
    let cut = member.main().iter().any(|unit| switched(e.world, unit).any(|(at, on)| !on && at >= begun));
    if clear && cut && !failed && !on {
        wrong.push(format!("{} was left off by {:?}", member.id, last));
    }
}

/// A one-time override that was acknowledged is there until a start uses it, and is used once.
fn boots(e: &Evidence<'_>, member: &Member, requests: &[&Request], failures: usize, wrong: &mut Vec<String>) {
    let patches: Vec<_> = requests.iter().filter(|r| r.want == Want::Pxe).collect();
    let seen = e
        .world
        .log
        .iter()
        .filter(|(_, what)| {
            matches!(what, Happened::Booted(unit, Some(BootTarget::Pxe)) if member.host.as_ref() == Some(unit))
        })
        .count();
    // A PATCH that is sent again after it was used arms anew: nobody can tell it from a new one.
    if seen > patches.iter().map(|r| r.sent.len()).sum::<usize>() {
        wrong.push(format!("{} booted {seen} times from the network for {} requests", member.id, patches.len()));
    }
    let Some(end) = e.boots.iter().find(|(node, _)| *node == member.id).map(|(_, enabled)| *enabled) else { return };
    let told = |r: &Request| matches!(r.stage, Stage::Done(_));
    let Some(patch) = patches.iter().filter(|r| told(r)).max_by_key(|r| r.ended()) else { return };
    let Some(acked) = patch.ended() else { return };
    let starts_sent = requests.iter().filter(|r| starts(r)).flat_map(|r| &r.sent).any(|_| true);
    if !starts_sent && end != BootEnabled::Once {
        wrong.push(format!("{}: the override told stored at {acked:?} is gone", member.id));
    }
    // A whole start after it, from sent to done, that really moved something: it must be used up.
    let used = requests.iter().any(|r| {
        let restarts = matches!(reset(r), Some(ResetType::ForceRestart | ResetType::PowerCycle));
        let Stage::Done(done) = r.stage else { return false };
        restarts
            && r.who == patch.who
            && r.layer == Layer::Effective
            && r.sent.first().is_some_and(|s| *s > acked)
            && done > acked
    });
    let armed_later = patches.iter().any(|r| r.sent.iter().any(|s| *s > acked) || r.ended().is_none());
    if used && !armed_later && failures == 0 && end == BootEnabled::Once {
        wrong.push(format!("{}: the override of {acked:?} was not used by a later start", member.id));
    }
}
