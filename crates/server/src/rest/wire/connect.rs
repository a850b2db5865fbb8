//! The login, which is the driver's: it begins on a stream that is lent to it, and the stream comes back.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpSocket, TcpStream, UnixStream, lookup_host},
};
use tokio_postgres::{
    Config, NoTls,
    config::Host,
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Stream, Wire};
use crate::rest::session::NoSession;

/// The version of the protocol with which a login begins.
const PROTOCOL: [u8; 4] = 196_608_u32.to_be_bytes();

/// What makes of a login one that may follow changes.
const REPLICATION: &[u8] = b"replication\0database\0";

/// Connects to the first host that answers.
///
/// # Errors
/// What the last one said.
pub async fn connect(config: &Config, tls: &MakeRustlsConnect, time_max: Duration) -> Result<Wire, NoSession> {
    Ok(Wire::over(stream(config, tls, time_max, false).await?))
}

/// The same for replication: a stream on which the login is over.
///
/// # Errors
/// What the last one said.
pub(crate) fn connect_for_replication<'a>(
    config: &'a Config,
    tls: &'a MakeRustlsConnect,
    time_max: Duration,
) -> Connecting<'a> {
    Box::pin(stream(config, tls, time_max, true))
}

/// A connection on its way.
pub(crate) type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, NoSession>> + Send + 'a>>;

async fn stream(
    config: &Config,
    tls: &MakeRustlsConnect,
    time_max: Duration,
    replicates: bool,
) -> Result<Box<dyn Stream>, NoSession> {
    let mut last = NoSession::Unreachable(io::Error::new(io::ErrorKind::NotFound, "no host is named"));
    let addresses = config.get_hostaddrs();
    for (at, host) in config.get_hosts().iter().enumerate() {
        let ports = config.get_ports();
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        let one = async {
            match host {
                Host::Unix(folder) => {
                    let stream = UnixStream::connect(folder.join(format!(".s.PGSQL.{port}")));
                    plain(config, stream.await.map_err(NoSession::Unreachable)?, replicates).await
                }
                Host::Tcp(name) => {
                    let address = addresses.get(at).map(|address| SocketAddr::new(*address, port));
                    let stream = by_tcp(name, port, address).await.map_err(NoSession::Unreachable)?;
                    encrypted(config, stream, tls, name, replicates).await
                }
            }
        };
        match tokio::time::timeout(time_max, one).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = NoSession::Unreachable(io::ErrorKind::TimedOut.into()),
        }
    }
    Err(last)
}

/// A connection whose other end is asked now and then whether it is still there.
async fn by_tcp(name: &str, port: u16, known: Option<SocketAddr>) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = match known {
        Some(address) => vec![address],
        None => lookup_host((name, port)).await?.collect(),
    };
    let mut last = io::ErrorKind::NotFound.into();
    for address in addresses {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.set_keepalive(true)?;
        socket.set_nodelay(true)?;
        match socket.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn plain(config: &Config, stream: UnixStream, replicates: bool) -> Result<Box<dyn Stream>, NoSession> {
    let lent = Lent::new(stream, replicates);
    let begun = config.connect_raw(lent.clone(), NoTls).await?;
    let stream = lent.back();
    // Never polled: it sends nothing when it goes.
    drop(begun);
    Ok(Box::new(stream.ok_or_else(gone)?))
}

async fn encrypted(
    config: &Config,
    stream: TcpStream,
    tls: &MakeRustlsConnect,
    name: &str,
    replicates: bool,
) -> Result<Box<dyn Stream>, NoSession> {
    let connect = MakeTlsConnect::<Lent<TcpStream>>::make_tls_connect(&mut tls.clone(), name);
    let connect = connect.map_err(|error| NoSession::Unreachable(io::Error::other(error)))?;
    let raw = Lent::new(stream, replicates);
    let secured = Lent::empty(replicates);
    let keeping = Keeping {
        connect,
        kept: secured.clone(),
    };
    let begun = config.connect_raw(raw.clone(), keeping).await?;
    let stream: Box<dyn Stream> = match secured.back() {
        Some(stream) => Box::new(stream),
        None => Box::new(raw.back().ok_or_else(gone)?),
    };
    drop(begun);
    Ok(stream)
}

fn gone() -> NoSession {
    NoSession::Unreachable(io::ErrorKind::NotConnected.into())
}

/// A stream that can be taken back.
struct Lent<S> {
    stream: Arc<Mutex<Option<S>>>,
    /// Whether the login that goes through it is to be one for replication, of which the driver knows nothing.
    replicates: bool,
    /// What is written in place of the login.
    login: Option<BytesMut>,
}

impl<S> Clone for Lent<S> {
    fn clone(&self) -> Lent<S> {
        Lent {
            stream: self.stream.clone(),
            replicates: self.replicates,
            login: None,
        }
    }
}

impl<S> Lent<S> {
    fn new(stream: S, replicates: bool) -> Lent<S> {
        Lent {
            stream: Arc::new(Mutex::new(Some(stream))),
            ..Lent::empty(replicates)
        }
    }

    fn empty(replicates: bool) -> Lent<S> {
        Lent {
            stream: Arc::default(),
            replicates,
            login: None,
        }
    }

    fn back(&self) -> Option<S> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The login with one more parameter.
fn for_replication(login: &[u8]) -> Option<BytesMut> {
    let (length, rest) = login.split_first_chunk::<4>()?;
    let rest = rest.strip_suffix(b"\0").filter(|rest| rest.starts_with(&PROTOCOL))?;
    let length = u32::from_be_bytes(*length).checked_add(u32::try_from(REPLICATION.len()).ok()?)?;
    let mut changed = BytesMut::new();
    for part in [&length.to_be_bytes(), rest, REPLICATION, b"\0"] {
        changed.put_slice(part);
    }
    Some(changed)
}

impl<S: Unpin> Lent<S> {
    fn poll<T>(&self, poll: impl FnOnce(Pin<&mut S>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match self.stream.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(stream) => poll(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lent<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_read(context, buffer))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.replicates && this.login.is_none() {
            this.login = for_replication(bytes);
        }
        let Some(mut login) = this.login.take() else {
            return this.poll(|stream| stream.poll_write(context, bytes));
        };
        while !login.is_empty() {
            match this.poll(|stream| stream.poll_write(context, &login)) {
                Poll::Ready(Ok(written)) => login.advance(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    this.login = Some(login);
                    return Poll::Pending;
                }
            }
        }
        this.replicates = false;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_shutdown(context))
    }
}

impl<S: TlsStream + Unpin> TlsStream for Lent<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream
            .as_ref()
            .map_or_else(ChannelBinding::none, TlsStream::channel_binding)
    }
}

/// Encrypts, and keeps a hand on the encrypted stream.
struct Keeping<C: TlsConnect<Lent<TcpStream>>> {
    connect: C,
    kept: Lent<C::Stream>,
}

impl<C> TlsConnect<Lent<TcpStream>> for Keeping<C>
where
    C: TlsConnect<Lent<TcpStream>>,
    C::Future: Send + 'static,
    C::Stream: Send + 'static,
    C::Error: 'static,
{
    type Stream = Lent<C::Stream>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, Self::Error>> + Send>>;

    fn connect(self, stream: Lent<TcpStream>) -> Self::Future {
        let Keeping { connect, kept } = self;
        let encrypting = connect.connect(stream);
        Box::pin(async move {
            let encrypted = encrypting.await?;
            *kept.stream.lock().unwrap_or_else(PoisonError::into_inner) = Some(encrypted);
            Ok(kept)
        })
    }
}
