//! The cable: a pseudo-terminal of our own, another's tty, or a TCP port as a serial server has it.

use std::{
    io,
    os::{fd::OwnedFd, unix::fs::symlink},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    pty::openpty,
    sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr},
    unistd::ttyname,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, unix::pipe},
    time,
};
use tokio_serial::SerialPortBuilderExt as _;

use super::{SimBus, bus::Said};

/// Nonsense that is sent at a time, and how often: about what 115200 bits a second carry.
const BABBLE: ([u8; 64], Duration) = ([0xa5; 64], Duration::from_millis(6));
/// Babble ends after that long, whoever forgets to end it.
const LONGEST_BABBLE: Duration = Duration::from_mins(1);
/// Between two looks at whether the adapter was pulled or put back.
const LOOK: Duration = Duration::from_millis(20);

/// A pseudo-terminal: boards at one end, its path is the other.
pub struct Pty {
    /// The boards' end. It polls as a pipe's ends do.
    heard: pipe::Receiver,
    said: pipe::Sender,
    /// Kept open, so that a master may come and go.
    _master: OwnedFd,
    path: PathBuf,
    link: Option<PathBuf>,
}

impl Pty {
    /// Opens one. `link`: a symbolic link that leads to it, made anew.
    pub fn open(link: Option<&Path>) -> io::Result<Self> {
        let pair = openpty(None, None)?;
        let mut settings = tcgetattr(&pair.slave)?;
        cfmakeraw(&mut settings);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &settings)?;
        fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let path = ttyname(&pair.slave)?;
        if let Some(link) = link {
            if link.is_symlink() {
                std::fs::remove_file(link)?;
            }
            symlink(&path, link)?;
        }
        let heard = pipe::Receiver::from_owned_fd_unchecked(pair.master.try_clone()?)?;
        let said = pipe::Sender::from_owned_fd_unchecked(pair.master)?;
        Ok(Self { heard, said, _master: pair.slave, path, link: link.map(Path::to_owned) })
    }

    /// The tty that a master opens.
    pub fn path(&self) -> &Path {
        self.link.as_deref().unwrap_or(&self.path)
    }

    /// Answers until the adapter is pulled.
    async fn serve(&mut self, bus: &SimBus) -> io::Result<()> {
        let mut buffer = [0; 1024];
        loop {
            let count = tokio::select! {
                count = self.heard.read(&mut buffer) => count?,
                () = time::sleep(LOOK) => 0,
            };
            if bus.is_pulled() {
                return Ok(());
            }
            for said in bus.hear(buffer.get(..count).unwrap_or_default()) {
                time::sleep(said.after).await;
                if bus.is_pulled() {
                    return Ok(());
                }
                // A line that nobody reads takes no more than it can hold.
                let sent = time::timeout(Duration::from_secs(5), self.said.write_all(&said.bytes)).await;
                sent.unwrap_or(Ok(()))?;
                let begun = time::Instant::now();
                while said.babble && bus.babbles() && begun.elapsed() < LONGEST_BABBLE && !bus.is_pulled() {
                    time::timeout(BABBLE.1, self.said.write_all(&BABBLE.0)).await.unwrap_or(Ok(()))?;
                    time::sleep(BABBLE.1).await;
                }
            }
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            std::fs::remove_file(link).ok(); // somebody has cleared the folder
        }
    }
}

/// Serves a pseudo-terminal for ever; a new one, under the same link, each time that the adapter is put back.
pub async fn serve_pty(mut pty: Pty, bus: &SimBus) -> io::Result<()> {
    loop {
        pty.serve(bus).await?;
        let link = pty.link.clone();
        drop(pty);
        while bus.is_pulled() {
            time::sleep(LOOK).await;
        }
        bus.fresh();
        pty = Pty::open(link.as_deref())?;
    }
}

/// Serves a tty that another has made (a pair of socat's).
pub(super) async fn serve_tty(path: &Path, bus: &SimBus) -> io::Result<()> {
    let stream = tokio_serial::new(path.to_string_lossy(), 115_200).open_native_async()?;
    serve_stream(stream, bus).await
}

/// Serves one client after the other, as a serial server does.
pub async fn serve_tcp(listener: TcpListener, bus: &SimBus) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        bus.fresh();
        if let Err(error) = serve_stream(stream, bus).await {
            tracing::debug!(%error, "client is gone");
        }
        while bus.is_pulled() {
            time::sleep(LOOK).await;
        }
    }
}

async fn serve_stream(mut stream: impl AsyncRead + AsyncWrite + Unpin, bus: &SimBus) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let count = tokio::select! {
            count = stream.read(&mut buffer) => match count? { 0 => return Ok(()), count => count },
            () = time::sleep(LOOK) => 0,
        };
        if bus.is_pulled() {
            return Ok(());
        }
        for Said { after, bytes, .. } in bus.hear(buffer.get(..count).unwrap_or_default()) {
            time::sleep(after).await;
            stream.write_all(&bytes).await?;
        }
    }
}
