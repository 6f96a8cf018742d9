//! Clients: each request is sent until it is answered, as sushy does, through cut connections and dead services.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use super::world::{Happened, Shared};
use crate::{
    fleet::{Fleet, Fresh, Layer, Op, OpError, Outcome, Target},
    model::{Actor, BootEnabled, BootPatch, BootTarget, NodeId, ResetType},
};

/// sushy gives up after that many.
const ATTEMPTS: usize = 10;

/// What a client wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    Reset(ResetType),
    /// A one-time boot from the network.
    Pxe,
}

/// How far a request has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    Open,
    /// Told that it is done.
    Done(Duration),
    /// Told that it goes on.
    Promised(Duration),
    /// Told that it failed or was refused.
    Failed(Duration, String),
    GaveUp(Duration),
}

/// One request of one client.
#[derive(Debug, Clone)]
pub struct Request {
    pub who: &'static str,
    pub node: String,
    pub layer: Layer,
    pub want: Want,
    pub at: Duration,
    /// When each attempt was sent.
    pub sent: Vec<Duration>,
    /// How each attempt ended, whether the client saw it or not; `None`: cut, or lost with the process.
    pub ends: Vec<Option<Result<(), String>>>,
    pub stage: Stage,
}

impl Request {
    pub fn new(who: &'static str, node: &str, layer: Layer, want: Want, at: Duration) -> Self {
        Self { who, node: node.to_owned(), layer, want, at, sent: Vec::new(), ends: Vec::new(), stage: Stage::Open }
    }

    /// When the client stopped caring; `None`: not yet.
    pub fn ended(&self) -> Option<Duration> {
        match self.stage {
            Stage::Open => None,
            Stage::Done(at) | Stage::Promised(at) | Stage::Failed(at, _) | Stage::GaveUp(at) => Some(at),
        }
    }
}

/// All requests of a schedule.
#[derive(Clone, Default)]
pub struct Clients(Arc<Mutex<Vec<Request>>>);

impl Clients {
    pub fn new(requests: Vec<Request>) -> Self {
        Self(Arc::new(Mutex::new(requests)))
    }

    pub fn get(&self) -> MutexGuard<'_, Vec<Request>> {
        self.0.lock().unwrap()
    }

    /// Sends what is still to be sent, in this life.
    pub fn live(&self, world: &Shared, fleet: &Fleet) {
        let now = world.now();
        for (n, request) in self.get().iter().enumerate().filter(|(_, r)| r.stage == Stage::Open) {
            // Who was cut by the death of the service is back soon; who comes later comes later.
            let first = if request.sent.is_empty() {
                request.at.saturating_sub(now)
            } else {
                world.get().dice(&format!("client {n}")).between(100, 1500)
            };
            let (clients, world, fleet) = (self.clone(), world.clone(), fleet.clone());
            tokio::spawn(async move {
                tokio::time::sleep(first).await;
                clients.see_through(&world, &fleet, n).await;
            });
        }
    }

    async fn see_through(&self, world: &Shared, fleet: &Fleet, n: usize) {
        loop {
            let (cut, lost, twice) = {
                let mut world = world.get();
                let dice = world.dice(&format!("client {n}"));
                let cut = if dice.chance(25) { dice.between(0, 12_000) } else { Duration::from_mins(1) };
                (cut, dice.chance(10), dice.chance(8))
            };
            let send = self.attempt(world, fleet, n);
            let end = if twice {
                // A packet that was doubled on the way: both copies arrive.
                let (end, _) = tokio::join!(tokio::time::timeout(cut, send), self.attempt(world, fleet, n));
                end
            } else {
                tokio::time::timeout(cut, send).await
            };
            let now = world.now();
            let stage = match end {
                Ok(_) if lost => None,
                Err(_) => None,
                Ok(Ok(Outcome::Running { .. })) => Some(Stage::Promised(now)),
                Ok(Ok(_)) => Some(Stage::Done(now)),
                Ok(Err(error)) => Some(Stage::Failed(now, error.to_string())),
            };
            let tries = self.get()[n].sent.len();
            let stage = stage.or_else(|| (tries >= ATTEMPTS).then_some(Stage::GaveUp(now)));
            if let Some(stage) = stage {
                world.get().note(Happened::Client(format!("{n} {stage:?}")));
                self.get()[n].stage = stage;
                return;
            }
            let pause = world.get().dice(&format!("client {n}")).between(200, 2500);
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, world: &Shared, fleet: &Fleet, n: usize) -> Result<Outcome, OpError> {
        let (request, which) = {
            let now = world.now();
            let mut all = self.get();
            all[n].sent.push(now);
            all[n].ends.push(None);
            (all[n].clone(), all[n].sent.len() - 1)
        };
        world
            .get()
            .note(Happened::Client(format!("{n} sends {} {:?} {:?}", request.node, request.layer, request.want)));
        let who = Actor { principal: Arc::from(request.who), ..Actor::internal("safety") };
        let target = Target::Node(NodeId::new(&request.node).unwrap(), request.layer.clone());
        let op = match request.want {
            Want::Reset(kind) => Op::Reset(kind),
            Want::Pxe => Op::Boot(
                BootPatch { target: Some(BootTarget::Pxe), enabled: Some(BootEnabled::Once), ..BootPatch::default() },
                None,
            ),
        };
        let result = match (&request.layer, &request.want) {
            // A face that switches outlets.
            (Layer::Unit(unit), Want::Reset(kind)) => {
                let act = match kind {
                    ResetType::ForceOff => crate::model::PowerAct::Off,
                    ResetType::On => crate::model::PowerAct::On,
                    _ => crate::model::PowerAct::Cycle { off: None },
                };
                let op = Op::Act(crate::model::Act::Power(act));
                fleet.run(&who, Target::Unit(unit.clone()), op, Fresh::Cached).await
            }
            _ => fleet.run(&who, target, op, Fresh::Cached).await,
        };
        let end = result.as_ref().map(|_| ()).map_err(ToString::to_string);
        self.get()[n].ends[which] = Some(end);
        result
    }
}
