//! The line: a tty in raw mode without flow control, or the socket of a serial server.

use std::{io, time::Duration};

use futures_util::FutureExt as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time,
};
use tokio_serial::SerialPortBuilderExt as _;

use super::settings::{Device, Settings};

/// A serial server answers its SYN within that time, or not at all.
const CONNECT: Duration = Duration::from_secs(3);
/// A frame is on the wire within that time: without flow control only a dead line takes longer.
const WRITE: Duration = Duration::from_secs(2);
/// What may have come in between two exchanges: more is babble, which the exchange itself is bounded against.
const MOST_DISCARDED: usize = 64 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// An open line.
pub(super) struct Port(Box<dyn Stream>);

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it was closed at its other end")
}

impl Port {
    pub(super) async fn open(settings: &Settings) -> io::Result<Self> {
        match &settings.device {
            Device::Tty(path) => {
                // 8 data bits, no parity, 1 stop bit, no flow control: the builder's own.
                let stream = tokio_serial::new(path.to_string_lossy(), settings.bps).open_native_async()?;
                Ok(Self(Box::new(stream)))
            }
            Device::Socket(address) => {
                let stream = time::timeout(CONNECT, TcpStream::connect(address.as_str()))
                    .await
                    .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer to the connection"))??;
                stream.set_nodelay(true)?;
                Ok(Self(Box::new(stream)))
            }
        }
    }

    /// Throws away what has come in. An error: the line is gone.
    pub(super) fn discard(&mut self) -> io::Result<()> {
        let (mut buffer, mut left) = ([0; 1024], MOST_DISCARDED);
        while left > 0 {
            match self.0.read(&mut buffer).now_or_never() {
                None => break,
                Some(Ok(0)) => return Err(ended()),
                Some(Ok(count)) => left = left.saturating_sub(count),
                Some(Err(error)) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        time::timeout(WRITE, self.0.write_all(bytes))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it takes no more bytes"))?
    }

    /// At least one byte.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer).await? {
            0 => Err(ended()),
            count => Ok(count),
        }
    }
}
