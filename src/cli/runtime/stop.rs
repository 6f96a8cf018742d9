//! Signals, the watch over files, and the end.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{Running, failed, notify::Notify, reload::Reloader, socket};
use crate::{
    api::restart::Request,
    cli::{CliError, control},
    config::{Config, Loaded, watch::Watch},
};

/// How often last uses of sessions are written down.
const SAVE_EVERY: Duration = Duration::from_mins(1);

/// How often a certificate that we made is looked at: it is made anew a month before its end, and never while nobody
/// looks. A configured one that was replaced is taken over by then too, if files are not watched.
const RENEW_EVERY: Duration = Duration::from_hours(12);

/// Tasks of a moment (a sweep, an event's delivery) let go of the state within that time.
const LET_GO: Duration = Duration::from_secs(5);

/// The signals we live by. Made before anything else, so that none is missed.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes them over.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Serves the control socket and reloads, until SIGTERM or SIGINT, or until a restart is asked for: then with the
/// configuration that it is to start with.
pub async fn until_asked(
    signals: &mut Signals,
    config: &Config,
    running: &Arc<Running>,
    reloader: Arc<Reloader>,
    notify: &Notify,
    mut restarts: mpsc::Receiver<Request>,
) -> Result<Option<Loaded>, CliError> {
    let end = CancellationToken::new();
    let control = {
        let (reloader, end) = (Arc::clone(&reloader), end.clone());
        let path = socket(config);
        let (fleet, auth, store) = (running.fleet.clone(), running.auth.clone(), Arc::clone(&running.store));
        let reload = move || {
            let reloader = Arc::clone(&reloader);
            async move { reloader.reload().await }
        };
        tokio::spawn(
            async move { control::serve_control(&path, fleet, auth, store, reload, end.cancelled_owned()).await },
        )
    };
    let watching = config.server.watch.then(|| {
        let reloader = Arc::clone(&reloader);
        tokio::spawn(async move {
            let mut watch = Watch::new(reloader.files());
            loop {
                watch.changed().await;
                tracing::info!("configuration files have changed");
                // What is wrong is logged; a change of a file may heal it.
                reloader.reload().await.ok();
                watch.retarget(reloader.files());
            }
        })
    });
    let saving = {
        let auth = running.auth.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SAVE_EVERY).await;
                auth.save().await;
            }
        })
    };
    let renewing = running.tls.clone().map(|tls| {
        let fleet = running.fleet.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                let config = fleet.config();
                let server = &config.server;
                if let Err(error) = tls.reload(&server.tls, &server.state_dir, &config.named_addresses()) {
                    tracing::error!(%error, "the certificate stays as it is");
                }
            }
        })
    });
    let mut control = control;
    let mut ended_early = None;
    let mut anew = None;
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hangup.recv() => { reloader.reload().await.ok(); } // logged
            Some(request) = restarts.recv() => match reloader.read().await {
                Ok(loaded) => {
                    // Whoever asked may be gone.
                    request.send(Ok(())).ok();
                    anew = Some(loaded);
                    break;
                }
                Err(why) => {
                    tracing::error!("restart refused: {why}");
                    request.send(Err(why)).ok();
                }
            },
            result = &mut control, if ended_early.is_none() => {
                let error = match result {
                    Ok(Ok(())) => "it ended".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                ended_early = Some(error);
                break;
            }
        }
    }
    if anew.is_some() {
        tracing::info!("restarting");
        notify.reloading();
    } else {
        notify.stopping();
    }
    // Nobody else is heard.
    drop(restarts);
    end.cancel();
    // Awaited: a task that is only told to end still holds what it uses.
    for task in [Some(saving), watching, renewing].into_iter().flatten() {
        task.abort();
        if let Err(error) = task.await
            && !error.is_cancelled()
        {
            tracing::warn!(%error, "a task of the service");
        }
    }
    if let Some(error) = ended_early {
        let socket = socket(config);
        return Err(failed("control-socket", format!("the control socket {}: {error}", socket.display())));
    }
    match control.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "control socket"),
        Err(error) => tracing::warn!(%error, "control socket"),
    }
    Ok(anew)
}

/// Says that the service lives, for as long as the runtime does.
pub fn keep_alive(notify: &Notify) {
    let Some(every) = notify.watchdog() else { return };
    let notify = notify.clone();
    // On the fleet's own runtime: when that stands still, so does this, and the manager starts us anew. It goes on
    // while operations under way come to their end, until the runtime is gone.
    tokio::spawn(async move {
        loop {
            notify.alive();
            tokio::time::sleep(every).await;
        }
    });
}

/// Stops in the order in which things depend on each other: first nobody comes in, then what runs ends. False: something
/// still holds the state, so that it can't be opened anew in this process.
pub async fn stop(running: Arc<Running>) -> bool {
    tracing::info!("stopping");
    let Ok(running) = Arc::try_unwrap(running).map_err(|shared| Arc::strong_count(&shared)) else {
        tracing::error!("the service is still in use; ending without ceremony");
        return false;
    };
    let Running { fleet, auth, server, store, delivery, .. } = running;
    // Streams would never end by themselves.
    delivery.end_streams();
    // Both wait for operations under way: beside each other, because requests wait for operations.
    tokio::join!(server.stop(), fleet.stop());
    delivery.stop().await;
    auth.save().await;
    if let Err(error) = store.flush().await {
        tracing::error!(%error, "the store could not be flushed");
    }
    drop((fleet, auth, delivery));
    let begun = tokio::time::Instant::now();
    while Arc::strong_count(&store) > 1 && begun.elapsed() < LET_GO {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let last = Arc::strong_count(&store) == 1;
    // Ours is the last: with it the lock of the state goes, and not before. It waits for the writing thread.
    let closed = tokio::task::spawn_blocking(move || drop(store)).await.is_ok();
    tracing::info!("stopped");
    last && closed
}
