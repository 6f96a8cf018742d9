//! A way for a face to ask whoever runs the service to stop it and start it anew (`Manager.Reset` of the manager
//! `rackfish`).

use tokio::sync::{mpsc, oneshot};

/// What is asked for: whoever runs the service answers with whether it goes on to restart, or why it does not.
pub type Request = oneshot::Sender<Result<(), String>>;

/// The asking side. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Restart(mpsc::Sender<Request>);

impl Restart {
    /// With the side that has to listen.
    pub fn new() -> (Self, mpsc::Receiver<Request>) {
        let (ask, asked) = mpsc::channel(1);
        (Self(ask), asked)
    }

    /// Asks. `Ok`: the service stops as soon as requests under way are answered, and starts anew.
    pub async fn ask(&self) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let gone = || "the service is stopping".to_owned();
        self.0.send(answer).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_is_answered_or_told_that_nobody_listens() {
        let (restart, mut asked) = Restart::new();
        let (said, ()) = tokio::join!(restart.ask(), async { asked.recv().await.unwrap().send(Ok(())).unwrap() });
        assert_eq!(said, Ok(()));
        let (said, ()) = tokio::join!(restart.ask(), async { drop(asked.recv().await) });
        assert!(said.unwrap_err().contains("stopping"));
        drop(asked);
        assert!(restart.ask().await.is_err());
    }
}
