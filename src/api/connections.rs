//! Connections on which nothing is being served: cut off when their time is over.
//!
//! actix-web minds the time of a connection's first head and of an idle connection, but not of a later head that
//! arrives drop by drop: who sends one good request may keep a connection for ever. So each connection is known here by
//! a second descriptor, and is shut down when no request has been complete for too long.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::Shutdown,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use actix_web::{
    Error,
    body::{BodySize, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse},
};

/// Between two looks at all connections.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bytes that a client takes in a second, at least: a large answer has its time too.
const SLOWEST: u64 = 64 * 1024;

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection; lives as long as actix-web's.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    patience: Duration,
    /// When the next request has to be complete; `None` while one is being served.
    until: Mutex<Option<Instant>>,
}

impl Connection {
    /// Its client may take that long for the next piece of an answer without an end.
    pub fn allow(&self, time: Duration) {
        *locked(&self.until) = Some(Instant::now() + time);
    }

    /// Whether its client has hung up: nothing more will come, and nobody takes what is sent.
    pub fn hung_up(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        match socket2::SockRef::from(&self.socket).peek(&mut byte) {
            Ok(seen) => seen == 0,
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }

    fn served(&self, size: u64) {
        let taking = Duration::from_secs(size / SLOWEST);
        *locked(&self.until) = Some(Instant::now() + self.patience + taking);
    }
}

/// All connections of a server.
#[derive(Debug)]
pub struct Connections {
    patience: Duration,
    all: Mutex<Vec<Weak<Connection>>>,
}

impl Connections {
    /// `patience`: how long a connection may be without a complete request.
    pub fn new(patience: Duration) -> Arc<Self> {
        Arc::new(Self { patience, all: Mutex::default() })
    }

    /// A new connection, to be kept with it.
    pub fn enter(&self, socket: &impl AsFd) -> io::Result<Arc<Connection>> {
        let socket = socket.as_fd().try_clone_to_owned()?;
        let until = Mutex::new(Some(Instant::now() + self.patience));
        let connection = Arc::new(Connection { socket, patience: self.patience, until });
        locked(&self.all).push(Arc::downgrade(&connection));
        Ok(connection)
    }

    /// Cuts off whoever is late.
    fn cut(&self, now: Instant) {
        locked(&self.all).retain(|known| {
            let Some(connection) = known.upgrade() else { return false };
            let late = locked(&connection.until).is_some_and(|until| until < now);
            if late {
                // An error means that it is gone already.
                socket2::SockRef::from(&connection.socket).shutdown(Shutdown::Both).ok();
            }
            !late
        });
    }

    /// Looks after them for ever.
    pub async fn watch(&self) -> Infallible {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.cut(Instant::now());
        }
    }
}

/// Middleware: says when a request is being served on its connection.
pub fn minded<S, B>(
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<B>, Error>> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let connection = request.conn_data::<Arc<Connection>>().cloned();
    if let Some(connection) = &connection {
        *locked(&connection.until) = None;
    }
    let answer = service.call(request);
    async move {
        let answer = answer.await;
        if let Some(connection) = connection {
            match answer.as_ref().map(|answer| answer.response().body().size()) {
                Ok(BodySize::Sized(size)) => connection.served(size),
                // Whoever makes the pieces says how long each may take.
                Ok(BodySize::Stream) => {}
                _ => connection.served(0),
            }
        }
        answer
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        io::Read,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn who_is_late_is_cut_off_and_who_is_served_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || (TcpStream::connect(listener.local_addr().unwrap()).unwrap(), listener.accept().unwrap().0);
        let connections = Connections::new(Duration::from_secs(10));
        let ((mut late, one), (busy, two), (taking, three)) = (connect(), connect(), connect());
        let kept = [&one, &two, &three].map(|socket| connections.enter(socket).unwrap());
        let [_, served, large] = &kept;
        two.set_nonblocking(true).unwrap();
        assert!(!served.hung_up());
        *locked(&served.until) = None;
        large.served(60 * SLOWEST);
        connections.cut(Instant::now());
        assert_eq!(locked(&connections.all).len(), 3, "nobody is late yet");
        connections.cut(Instant::now() + Duration::from_secs(11));
        assert_eq!(locked(&connections.all).len(), 2);
        assert_eq!(late.read(&mut [0]).unwrap(), 0, "the end");
        for open in [&busy, &taking] {
            open.set_nonblocking(true).unwrap();
            assert_eq!(open.peek(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
        connections.cut(Instant::now() + Duration::from_secs(71));
        assert_eq!(locked(&connections.all).len(), 1, "a large answer has its time, but not for ever");
        drop(busy);
        assert!((0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            served.hung_up()
        }));
        drop(kept);
        connections.cut(Instant::now());
        assert!(locked(&connections.all).is_empty(), "what has ended is forgotten");
    }
}
