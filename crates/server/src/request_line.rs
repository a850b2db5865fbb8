//! Signs that a URL may not have but clients send as they are, such as the `>` of `select=data->>name`, the quotes of
//! `in.("a","b")` and the `#` of a key in JSON: they are encoded in the request line, before HTTP is read, which would refuse them without a word.
//!
//! What follows a request line is passed on untouched. To know where the next one begins, heads are read for the length of
//! their body; after a body whose length is not told, nothing is changed any more on that connection.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use axum::serve::Listener;
use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much of a header is looked at (bytes): enough for the two that tell where a body ends.
const HEADER_BYTES_MAX: usize = 64;

/// A listener whose connections are read leniently.
pub struct Lenient<L>(pub L);

impl<L: Listener> Listener for Lenient<L> {
    type Io = Connection<L::Io>;
    type Addr = L::Addr;

    fn accept(&mut self) -> impl Future<Output = (Self::Io, Self::Addr)> + Send {
        let accepted = self.0.accept();
        async {
            let (io, address) = accepted.await;
            (Connection::over(io), address)
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// A connection whose request lines are mended.
pub struct Connection<S> {
    stream: S,
    place: Place,
    /// Mended bytes that did not fit.
    rest: BytesMut,
}

/// Where in a request the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the request line, at its beginning or behind it.
    Line { is_empty: bool },
    /// In a header, of which so many bytes were seen; and how long the body will be.
    Header {
        seen: [u8; HEADER_BYTES_MAX],
        count: usize,
        body: Body,
    },
    /// In a body, of which so many bytes are to come.
    Body(u64),
    /// Where it cannot be told.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Bytes(u64),
    Unknown,
}

const BEGINNING: Place = Place::Line { is_empty: true };

const fn header(body: Body) -> Place {
    Place::Header {
        seen: [0; HEADER_BYTES_MAX],
        count: 0,
        body,
    }
}

impl<S> Connection<S> {
    fn over(stream: S) -> Connection<S> {
        Connection {
            stream,
            place: BEGINNING,
            rest: BytesMut::new(),
        }
    }
}

/// Passes over bytes that came in; gives them mended where that is needed.
fn mend(place: &mut Place, bytes: &[u8]) -> Option<BytesMut> {
    let mut mended: Option<BytesMut> = None;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let begun = at;
        at += 1;
        match place {
            Place::Line { is_empty } => match byte {
                // Empty lines may stand before a request.
                b'\r' => {}
                b'\n' if *is_empty => {}
                b'\n' => *place = header(Body::Bytes(0)),
                b'>' | b'<' | b'"' | b'#' => {
                    let mended = mended.get_or_insert_with(|| BytesMut::from(bytes.get(..begun).unwrap_or_default()));
                    mended.put_slice(match byte {
                        b'>' => b"%3E",
                        b'<' => b"%3C",
                        b'#' => b"%23",
                        _ => b"%22",
                    });
                    continue;
                }
                _ => *is_empty = false,
            },
            Place::Header { seen, count, body } => match byte {
                b'\n' if *count == 0 => {
                    *place = match *body {
                        Body::Bytes(0) => BEGINNING,
                        Body::Bytes(bytes) => Place::Body(bytes),
                        Body::Unknown => Place::Unknown,
                    };
                }
                b'\n' => *place = header(told(seen.get(..*count).unwrap_or_default(), *body)),
                b'\r' => {}
                _ => {
                    if let Some(next) = seen.get_mut(*count) {
                        *next = byte;
                        *count += 1;
                    }
                }
            },
            Place::Body(left) => {
                let here = u64::try_from(bytes.len() - begun).unwrap_or(u64::MAX).min(*left);
                at = begun + usize::try_from(here).unwrap_or(usize::MAX);
                *left -= here;
                if *left == 0 {
                    *place = BEGINNING;
                }
            }
            Place::Unknown => at = bytes.len(),
        }
        if let Some(mended) = &mut mended {
            mended.put_slice(bytes.get(begun..at).unwrap_or_default());
        }
    }
    mended
}

/// What a header tells of the body.
fn told(header: &[u8], known: Body) -> Body {
    let Some((name, value)) = std::str::from_utf8(header)
        .ok()
        .and_then(|header| header.split_once(':'))
    else {
        return known;
    };
    if name.eq_ignore_ascii_case("content-length") {
        match (known, value.trim().parse()) {
            (Body::Bytes(_), Ok(bytes)) => Body::Bytes(bytes),
            (Body::Unknown, _) | (_, Err(_)) => Body::Unknown,
        }
    } else if name.eq_ignore_ascii_case("transfer-encoding") || name.eq_ignore_ascii_case("upgrade") {
        Body::Unknown
    } else {
        known
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            let before = out.filled().len();
            std::task::ready!(Pin::new(&mut this.stream).poll_read(context, out))?;
            let came = out.filled().get(before..).unwrap_or_default();
            let Some(mended) = mend(&mut this.place, came) else {
                return Poll::Ready(Ok(()));
            };
            out.set_filled(before);
            this.rest = mended;
        }
        let fits = this.rest.len().min(out.remaining());
        out.put_slice(this.rest.get(..fits).unwrap_or_default());
        this.rest.advance(fits);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// What is read of bytes that come in pieces of a size.
    fn read(bytes: &str, size: usize) -> String {
        let mut place = BEGINNING;
        let mut read = Vec::new();
        for piece in bytes.as_bytes().chunks(size) {
            match mend(&mut place, piece) {
                Some(mended) => read.extend_from_slice(&mended),
                None => read.extend_from_slice(piece),
            }
        }
        String::from_utf8(read).unwrap()
    }

    #[test]
    fn request_lines_are_mended_and_nothing_else() {
        let check = |sent: &str, expected: &str| {
            for size in [1, 2, 7, 1000] {
                assert_eq!(read(sent, size), expected, "in pieces of {size}");
            }
        };
        check(
            "GET /a?select=data->>b#c&c=in.(\"x\") HTTP/1.1\r\nHost: \"a>b\"\r\n\r\nGET /<> HTTP/1.1\r\n\r\n",
            "GET /a?select=data-%3E%3Eb%23c&c=in.(%22x%22) HTTP/1.1\r\nHost: \"a>b\"\r\n\r\nGET /%3C%3E HTTP/1.1\r\n\r\n",
        );
        check(
            "POST /a?b=\">\" HTTP/1.1\r\ncontent-length: 7\r\n\r\n{\">\":1}\r\nGET /> HTTP/1.1\r\n\r\n",
            "POST /a?b=%22%3E%22 HTTP/1.1\r\ncontent-length: 7\r\n\r\n{\">\":1}\r\nGET /%3E HTTP/1.1\r\n\r\n",
        );
        let chunked =
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\">\"\r\n0\r\n\r\nGET /> HTTP/1.1\r\n\r\n";
        check(chunked, chunked);
    }

    #[tokio::test]
    async fn what_does_not_fit_comes_next() {
        let sent: &[u8] = b"GET />>>>>> HTTP/1.1\r\n\r\n";
        let mut connection = Connection::over(sent);
        let (mut all, mut few) = (Vec::new(), [0; 5]);
        loop {
            let count = connection.read(&mut few).await.unwrap();
            if count == 0 {
                break;
            }
            all.extend_from_slice(few.get(..count).unwrap());
        }
        assert_eq!(all, b"GET /%3E%3E%3E%3E%3E%3E HTTP/1.1\r\n\r\n");
    }
}
