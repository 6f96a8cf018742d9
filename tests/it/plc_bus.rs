//! What a bus of power-line boards costs: frames of each operation, and buses beside each other.

use std::time::{Duration, Instant};

use rackfish::{
    drivers::{self, Driver},
    model::{Act, Aspect, Fact, PowerAct, Unit},
    sim::plc_bus::{Pty, SimBus, file, serve_pty},
};

struct Bench {
    bus: SimBus,
    driver: Box<dyn Driver>,
}

/// `timeout` is long where every answer comes: a busy machine is no dead board.
fn bench(boards: u32, timeout: &str) -> Bench {
    let bus = SimBus::new(file::usual(boards));
    let pty = Pty::open(None).unwrap();
    let settings = format!("device = '{}'\ntimeout = '{timeout}'", pty.path().display());
    let setup = (drivers::find("plc-bus").unwrap().parse)(&settings.parse().unwrap()).unwrap();
    let serving = bus.clone();
    tokio::spawn(async move { serve_pty(pty, &serving).await });
    Bench { bus, driver: setup.connect() }
}

fn board(number: u32) -> Unit {
    Unit::new(&format!("{number:08x}")).unwrap()
}

impl Bench {
    fn frames(&self) -> u64 {
        self.bus.counters().requests.values().sum()
    }

    /// All pages of one aspect; how many facts came.
    async fn read(&mut self, aspect: Aspect, units: &[Unit]) -> usize {
        let (mut facts, mut at) = (0, None);
        loop {
            let page = self.driver.observe(&aspect, units, at.take()).await.unwrap();
            facts += page
                .items
                .iter()
                .filter(|(_, fact)| matches!(fact, Ok(fact) if !matches!(fact, Fact::Caps(..))))
                .count();
            match page.next {
                Some(next) => at = Some(next),
                None => return facts,
            }
        }
    }
}

/// The wire is the limit: nothing is asked that is not needed.
#[tokio::test]
async fn frames_of_each_operation() {
    let mut bench = bench(4, "5s");
    bench.driver.open().await.unwrap();
    // Nobody answers SAVE: it is on the wire when the scan has ended, and may not have been seen yet.
    for _ in 0..100 {
        if bench.frames() > 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(bench.frames(), 2, "a scan of all, and SAVE");
    bench.driver.close().await;
    bench.driver.open().await.unwrap();
    assert_eq!(bench.frames(), 2, "what a scan has found is kept");
    let one = board(1);
    for (aspect, frames) in
        [(Aspect::Power, 1), (Aspect::Boot, 1), (Aspect::Indicator, 1), (Aspect::Sensors, 4), (Aspect::Inventory, 2)]
    {
        let before = bench.frames();
        assert!(bench.read(aspect.clone(), std::slice::from_ref(&one)).await > 0, "{aspect:?}");
        assert_eq!(bench.frames() - before, frames, "{aspect:?}");
    }
    for act in [PowerAct::On, PowerAct::Cycle { off: None }, PowerAct::Off] {
        let before = bench.frames();
        bench.driver.act(&[(one.clone(), Act::Power(act))]).await.remove(0).unwrap();
        assert_eq!(bench.frames() - before, 1, "{act:?}");
    }
    // An answer ends with its last byte: nobody waits for silence.
    let begun = Instant::now();
    bench.read(Aspect::Power, &[one]).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// Twenty buses of forty boards: one that answers late, and one with dead boards, keep nobody waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_bus_delays_no_other() {
    const BUSES: usize = 20;
    let opened = (0..BUSES).map(|_| {
        tokio::spawn(async {
            let mut bus = bench(40, "500ms");
            assert_eq!(bus.driver.open().await.unwrap().len(), 40 * 7);
            bus
        })
    });
    let mut buses = Vec::new();
    for bus in opened.collect::<Vec<_>>() {
        buses.push(bus.await.unwrap());
    }
    buses[0].bus.command_line("fault delay 100ms").unwrap();
    for number in 1..=5 {
        buses[1].bus.command_line(&format!("board {number:x} gone")).unwrap();
    }
    let units: Vec<Unit> = (1..=40).map(board).collect();
    let polls = buses.into_iter().enumerate().map(|(n, mut bus)| {
        let units = units.clone();
        tokio::spawn(async move {
            let begun = Instant::now();
            (n, bus.read(Aspect::Power, &units).await, begun.elapsed())
        })
    });
    let mut healthy = Vec::new();
    for poll in polls.collect::<Vec<_>>() {
        let (n, facts, took) = poll.await.unwrap();
        assert_eq!(facts, if n == 1 { 35 } else { 40 }, "bus {n}");
        if n > 1 {
            healthy.push(took);
        } else {
            assert!(took > Duration::from_secs(4), "bus {n} is not slow: {took:?}");
        }
    }
    let slowest = healthy.into_iter().max().unwrap();
    println!("slowest of {} healthy buses: {slowest:?} for 40 boards", BUSES - 2);
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
}
