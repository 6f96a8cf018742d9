//! The safety of power, over thousands of schedules: kills, losses, delays, doubled requests and conflicting commands
//! from several clients and faces, each from a seed, on a clock of its own, with a disk and devices that outlive
//! rackfish.
//!
//! A failing seed is printed; `SAFETY_SEED=N cargo test --lib safety -- --nocapture` replays it with all that happened.
//! `SAFETY_SEEDS=N` runs that many (200 by default); `conformance/run safety` runs ten thousand.

// What a replay shows is what it is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod clients;
mod devices;
mod disk;
mod judge;
mod world;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clients::{Clients, Request, Want};
use devices::Device;
use disk::Disk;
use judge::{Evidence, Member, judge};
use world::{Death, Happened, Odds, Shared};

use super::rig::node;
use crate::{
    config::{Config, Endpoint, EndpointPolicy, Inrush},
    drivers::Pace,
    fleet::{Fleet, Layer, What, clock},
    model::{Actor, EndpointId, Ref, ResetType},
    store::Store,
};

/// Requests are sent within that time.
const BUSY: u64 = 60_000;
/// After the last of them the world is sound, and everything has to come to its end within that time.
const QUIET: Duration = Duration::from_mins(7);

struct Plan {
    world: Shared,
    config: Arc<Config>,
    members: Vec<Member>,
    clients: Clients,
    deaths: Vec<Death>,
}

fn unit(text: &str) -> Ref {
    text.parse().unwrap()
}

/// What a seed stands for.
fn plan(seed: u64) -> Plan {
    let world = Shared::new(seed);
    let mut w = world.get();
    // Taken out, so that the world can be changed while they are thrown.
    let mut d = w.dice("plan").taken();
    let calm = d.chance(30);
    if !calm {
        w.odds = Odds { lose_request: 6, lose_answer: 6, slow: 15, busy: 3 };
    }
    let relay = d.between(0, 6_000);
    let batch = if d.chance(50) { 8 } else { 1 };
    let boots = d.between(2_000, 20_000);
    let mut members = Vec::new();
    for (id, pdu) in [("n1", 1), ("n2", 2), ("n3", 3)] {
        let on = d.chance(60);
        let feed = unit(&format!("pdu/{pdu}"));
        let (host, feeds) = match d.pick(4) {
            0 => (None, vec![feed]),
            1 => (None, vec![feed, unit(&format!("pdv/{pdu}"))]),
            2 => (Some(unit(&format!("bmc{pdu}/host"))), vec![]),
            _ => (Some(unit(&format!("bmc{pdu}/host"))), vec![feed]),
        };
        for feed in &feeds {
            w.add(feed.clone(), on || host.is_some(), relay, None);
        }
        if let Some(host) = &host {
            let mains = feeds.first().map(|feed| (feed.clone(), boots));
            w.add(host.clone(), on, Duration::from_millis(300), mains);
        }
        members.push(Member { id: id.to_owned(), host, feeds });
    }
    // The last one is only watched: nothing of it may ever move.
    let mut requests = Vec::new();
    for member in &members[..2] {
        let count = 1 + [70, 50, 30].into_iter().filter(|percent| d.chance(*percent)).count();
        for n in 0..count {
            let at = d.between(0, BUSY / 2);
            let who = ["ironic", "operator", "lab"][d.pick(3)];
            let want = match d.pick(12) {
                0 | 1 => Want::Reset(ResetType::On),
                2..=4 => Want::Reset(ResetType::ForceOff),
                8 => Want::Reset(ResetType::PowerCycle),
                9 if member.host.is_some() && !member.feeds.is_empty() => Want::Reset(ResetType::FullPowerCycle),
                10 | 11 => Want::Pxe,
                _ => Want::Reset(ResetType::ForceRestart),
            };
            let by_outlet = member.host.is_none() && matches!(want, Want::Reset(_)) && d.chance(15);
            let layer = if by_outlet {
                let which = d.pick(member.feeds.len());
                Layer::Unit(member.feeds[which].clone())
            } else {
                Layer::Effective
            };
            // Some follow at once, as MAAS does; some come when it suits them.
            let at = if n > 0 && d.chance(30) {
                requests.last().map_or(at, |r: &Request| r.at) + Duration::from_millis(5)
            } else {
                at
            };
            requests.push(Request::new(who, &member.id, layer, want, at));
        }
    }
    let mut deaths = Vec::new();
    for _ in 0..d.pick(4) {
        let happens = d.chance(50);
        let nth = u32::try_from(d.pick(8)).unwrap();
        deaths.push(match d.pick(3) {
            0 => Death::At(d.between(100, BUSY)),
            1 => Death::Write(nth, happens),
            _ => Death::Act(nth, happens),
        });
    }
    if !calm && d.chance(30) {
        let from = d.between(0, BUSY);
        let to = from + d.between(500, 20_000);
        let which = ["pdu", "pdv", "bmc1", "bmc2"][d.pick(4)].to_owned();
        w.dark.push((which, from, to));
    }
    let budget = d.chance(20).then_some(2.0);
    drop(w);
    let config = config(&world, &members, batch, budget);
    Plan { world, config: Arc::new(config), members, clients: Clients::new(requests), deaths }
}

fn config(world: &Shared, members: &[Member], batch: u16, budget: Option<f64>) -> Config {
    let mut config = Config { inrush: Inrush { starts_per_second: budget, per_group: None }, ..Config::default() };
    for member in members {
        for unit in member.host.iter().chain(&member.feeds) {
            let id = unit.endpoint.clone();
            let name: &'static str =
                ["pdu", "pdv", "bmc1", "bmc2", "bmc3"].into_iter().find(|n| *n == id.as_str()).unwrap();
            let bmc = name.starts_with("bmc");
            let device = Device { id: name, bmc, batch: if bmc { 1 } else { batch }, world: world.clone() };
            let endpoint = Endpoint {
                id: EndpointId::clone(&id),
                setup: Arc::new(device),
                policy: EndpointPolicy::new(Pace::default()),
                fingerprint: name.to_owned(),
            };
            config.endpoints.insert(id, Arc::new(endpoint));
        }
        let host = member.host.as_ref().map(ToString::to_string);
        let feeds: Vec<String> = member.feeds.iter().map(ToString::to_string).collect();
        let feeds: Vec<&str> = feeds.iter().map(String::as_str).collect();
        let node = node(&member.id, host.as_deref(), &feeds);
        config.nodes.insert(node.id.clone(), Arc::new(node));
    }
    config
}

/// Operations that ended with an error: when, on which node, and which.
type Failures = Arc<Mutex<Vec<(Duration, String, String)>>>;

/// What one seed gave.
struct Verdict {
    wrong: Vec<String>,
    trace: Vec<(Duration, Happened)>,
    deaths: usize,
    requests: Vec<Request>,
}

fn run(seed: u64) -> Verdict {
    let plan = plan(seed);
    let Plan { world, config, members, clients, mut deaths } = plan;
    let failures = Arc::new(Mutex::new(Vec::new()));
    let mut disk = Disk::new(world.clone());
    let mut lives = 0;
    loop {
        let death = deaths.pop();
        let last = death.is_none();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let evidence = runtime.block_on(async {
            {
                let mut w = world.get();
                w.begin();
                w.death = death;
                w.dead = Arc::default();
                let now = w.now();
                drop(w);
                clock::test::set_wall(Some(
                    time::OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + now,
                ));
            }
            let dead = Arc::clone(&world.get().dead);
            let life = live(&world, &config, &disk, &clients, &failures, last);
            let until =
                if let Some(Death::At(at)) = death { at.saturating_sub(world.now()) } else { Duration::from_hours(1) };
            let words = tokio::select! {
                biased;
                () = dead.notified() => None,
                () = tokio::time::sleep(until) => None,
                fleet = life => Some(last_words(&fleet, &members)),
            };
            // What was written behind some time ago has reached the disk.
            disk.settle(false).await.unwrap();
            // On this runtime's clock, which ends with it.
            let mut w = world.get();
            w.note(Happened::Died);
            let pause = w.dice("death").between(100, 3_000);
            w.end(pause);
            words
        });
        lives += 1;
        drop(runtime);
        clock::test::set_wall(None);
        if let Some((boots, busy, open_tasks)) = evidence.filter(|_| last) {
            let requests = clients.get().clone();
            let failures = failures.lock().unwrap().clone();
            let mut w = world.get();
            let evidence = Evidence {
                world: &mut w,
                requests: &requests,
                members: &members,
                failures: &failures,
                boots,
                busy,
                open_tasks,
            };
            let wrong = judge(evidence);
            return Verdict { wrong, trace: w.log.clone(), deaths: lives - 1, requests };
        }
        disk = disk.after_death();
    }
}

type Words = (Vec<(String, crate::model::BootEnabled)>, Vec<String>, usize);

fn last_words(fleet: &Fleet, members: &[Member]) -> Words {
    let who = Actor::internal("judge");
    let views: Vec<_> = members.iter().filter_map(|m| fleet.node(&who, &m.id)).collect();
    let boots = views.iter().map(|v| (v.id.to_string(), v.boot.enabled)).collect();
    let busy = views.iter().filter(|v| v.operation.is_some()).map(|v| v.id.to_string()).collect();
    let open = fleet.tasks(&who).iter().filter(|task| task.ended.is_none()).count();
    (boots, busy, open)
}

/// One life of rackfish; in the last one everything comes to rest.
async fn live(
    world: &Shared,
    config: &Arc<Config>,
    disk: &Arc<Disk>,
    clients: &Clients,
    failures: &Failures,
    last: bool,
) -> Fleet {
    let fleet = Fleet::open(Arc::clone(config), Arc::clone(disk) as Arc<dyn Store>).await.unwrap();
    let (mut events, failures, seen) = (fleet.events(), Arc::clone(failures), world.clone());
    tokio::spawn(async move {
        while let Ok(event) = events.recv().await {
            if let What::Operation { target, op, error: Some(error) } = event.what
                && !error.contains("cancelled")
            {
                let now = seen.now();
                seen.get().note(Happened::Client(format!("{op} of {target} failed: {error}")));
                failures.lock().unwrap().push((now, target, error));
            }
        }
    });
    clients.live(world, &fleet);
    let rest = Duration::from_millis(BUSY).saturating_sub(world.now());
    tokio::time::sleep(rest).await;
    if last {
        {
            let mut w = world.get();
            w.odds = Odds::default();
            w.dark.clear();
        }
        tokio::time::sleep(QUIET).await;
    } else {
        // It dies of something that never came: as good a moment as any.
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    fleet
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn fingerprint(verdict: &Verdict) -> u64 {
    let mut hasher = DefaultHasher::new();
    // What happens at one moment has no order.
    let mut trace: Vec<_> = verdict.trace.iter().map(|(at, what)| (*at, format!("{what:?}"))).collect();
    trace.sort();
    trace.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn schedules() {
    if let Some(seed) = number("SAFETY_SEED") {
        let verdict = run(seed);
        for (at, what) in &verdict.trace {
            println!("{:>9.3} {what:?}", at.as_secs_f64());
        }
        for request in &verdict.requests {
            println!("{request:?}");
        }
        assert!(verdict.wrong.is_empty(), "seed {seed}: {:#?}", verdict.wrong);
        return;
    }
    let (from, count) = (number("SAFETY_FROM").unwrap_or(1), number("SAFETY_SEEDS").unwrap_or(200));
    let next = AtomicU64::new(from);
    let (bad, deaths, moves) = (Mutex::new(Vec::new()), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + count {
                        break;
                    }
                    let verdict = run(seed);
                    deaths.fetch_add(verdict.deaths as u64, Ordering::Relaxed);
                    let switched =
                        verdict.trace.iter().filter(|(_, w)| matches!(w, Happened::Switched(..) | Happened::Reset(_)));
                    moves.fetch_add(switched.count() as u64, Ordering::Relaxed);
                    if !verdict.wrong.is_empty() {
                        eprintln!("seed {seed}: {:#?}", verdict.wrong);
                        bad.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let bad = bad.into_inner().unwrap();
    println!(
        "{count} schedules, {} deaths, {} transitions, {} wrong",
        deaths.into_inner(),
        moves.into_inner(),
        bad.len()
    );
    assert!(bad.is_empty(), "replay with SAFETY_SEED=N: {bad:?}");
}

#[test]
fn a_seed_replays() {
    for seed in 1..20 {
        assert_eq!(fingerprint(&run(seed)), fingerprint(&run(seed)), "seed {seed}");
    }
}
