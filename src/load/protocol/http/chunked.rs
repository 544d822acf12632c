//! A body in chunks (RFC 9112, section 7.1), as strict as hyper is.

use super::head::{HEADERS_MAX, NotHttp};

/// Maximum number of bytes of chunk extensions in a body, and of trailers.
const EXTENSION_BYTES_MAX: usize = 16 * 1024;
const TRAILER_BYTES_MAX: usize = 16 * 1024;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The first digit of a size.
    Size,
    /// Another digit, or what ends the size.
    MoreSize,
    /// Space behind the size.
    Space,
    /// What a chunk says beside its size, up to the end of the line.
    Extension,
    /// The second byte of the line's end.
    SizeLf,
    /// Bytes of the body.
    Data,
    /// The line's end behind them.
    DataCr,
    DataLf,
    /// A trailer, or the empty line that ends the body.
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
}

/// Reads one body.
#[derive(Debug)]
pub(super) struct Chunked {
    next: Next,
    /// Bytes of the chunk that are still to come.
    left: u64,
    extension_bytes: usize,
    trailer: Vec<u8>,
    trailer_lines: usize,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self { next: Next::Size, left: 0, extension_bytes: 0, trailer: Vec::new(), trailer_lines: 0 }
    }

    /// Takes the next bytes and gives those of the body to `body`: how many were taken when the body is whole.
    pub(super) fn feed(&mut self, bytes: &[u8], mut body: impl FnMut(&[u8])) -> Result<Option<usize>, NotHttp> {
        let mut at = 0;
        while at < bytes.len() {
            if self.next == Next::Data {
                let rest = &bytes[at..];
                let data = &rest[..usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len())];
                body(data);
                self.left -= data.len() as u64;
                at += data.len();
                if self.left == 0 {
                    self.next = Next::DataCr;
                }
                continue;
            }
            let ends = (self.next, bytes[at]) == (Next::EndLf, b'\n');
            at += 1;
            if ends {
                return self.check_trailer().map(|()| Some(at));
            }
            self.next = self.step(bytes[at - 1])?;
        }
        Ok(None)
    }

    /// What comes after a byte that is not of the body.
    fn step(&mut self, byte: u8) -> Result<Next, NotHttp> {
        Ok(match (self.next, byte) {
            (Next::Size | Next::MoreSize, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).ok_or(NotHttp)?;
                self.left = self.left.checked_mul(16).and_then(|left| left.checked_add(digit.into())).ok_or(NotHttp)?;
                Next::MoreSize
            }
            (Next::MoreSize | Next::Space, b' ' | b'\t') => Next::Space,
            (Next::MoreSize | Next::Space, b';') => Next::Extension,
            (Next::MoreSize | Next::Space | Next::Extension, b'\r') => Next::SizeLf,
            (Next::Extension, byte) if byte != b'\n' => {
                self.extension_bytes += 1;
                if self.extension_bytes >= EXTENSION_BYTES_MAX {
                    return Err(NotHttp);
                }
                Next::Extension
            }
            (Next::SizeLf, b'\n') if self.left == 0 => Next::TrailerStart,
            (Next::SizeLf, b'\n') => Next::Data,
            (Next::DataCr, b'\r') => Next::DataLf,
            (Next::DataLf, b'\n') => Next::Size,
            (Next::TrailerStart, b'\r') => Next::EndLf,
            (Next::TrailerStart, byte) => self.keep_trailer(byte, Next::Trailer)?,
            (Next::Trailer, byte) => {
                self.keep_trailer(byte, if byte == b'\r' { Next::TrailerLf } else { Next::Trailer })?
            }
            (Next::TrailerLf, b'\n') => {
                self.trailer_lines += 1;
                if self.trailer_lines > HEADERS_MAX {
                    return Err(NotHttp);
                }
                self.keep_trailer(byte, Next::TrailerStart)?
            }
            _ => return Err(NotHttp),
        })
    }

    fn keep_trailer(&mut self, byte: u8, next: Next) -> Result<Next, NotHttp> {
        self.trailer.push(byte);
        if self.trailer.len() >= TRAILER_BYTES_MAX { Err(NotHttp) } else { Ok(next) }
    }

    /// Trailers are headers. What they say matters to nobody here.
    fn check_trailer(&mut self) -> Result<(), NotHttp> {
        if self.trailer.is_empty() {
            return Ok(());
        }
        self.trailer.extend_from_slice(b"\r\n");
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        match httparse::parse_headers(&self.trailer, &mut headers) {
            Ok(httparse::Status::Complete(_)) => Ok(()),
            Ok(httparse::Status::Partial) | Err(_) => Err(NotHttp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, and the bytes behind it.
    fn decode(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, NotHttp> {
        let (mut body, mut chunked) = (Vec::new(), Chunked::new());
        let taken = chunked.feed(bytes, |part| body.extend_from_slice(part))?;
        Ok(taken.map(|taken| (body, bytes.len() - taken)))
    }

    #[test]
    fn chunks_are_joined_and_what_follows_is_left() {
        let text = b"5 ;a=\"b\"\r\nhello\r\n0006\r\n world\r\n0\r\nExpires: never\r\n\r\nHTTP";
        assert_eq!(decode(text), Ok(Some((b"hello world".to_vec(), 4))));
        assert_eq!(decode(b"A\t\r\n0123456789\r\n000\r\n\r\n"), Ok(Some((b"0123456789".to_vec(), 0))));
        assert_eq!(decode(b"0\r\n\r"), Ok(None));
    }

    #[test]
    fn what_is_no_chunk_is_not_http() {
        for text in [
            "\r\n",
            "g\r\n",
            " 5\r\n",
            "5 5\r\n",
            "5\n",
            "5;a\nb\r\n",
            "1\r\nab",
            "1\r\na\n",
            "1\r\na\rb",
            "0\r\nx y\r\n\r\n",
            "0\r\na: b\n\rc",
            "10000000000000000\r\n",
        ] {
            assert_eq!(decode(text.as_bytes()), Err(NotHttp), "{text:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_have_limits() {
        let extension = |bytes| decode(format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(bytes)).as_bytes());
        assert_eq!(extension(EXTENSION_BYTES_MAX - 1), Ok(Some((b"x".to_vec(), 0))));
        assert_eq!(extension(EXTENSION_BYTES_MAX), Err(NotHttp));
        let trailers = |lines: usize| decode(format!("0\r\n{}\r\n", "a: b\r\n".repeat(lines)).as_bytes());
        assert_eq!(trailers(HEADERS_MAX), Ok(Some((Vec::new(), 0))));
        assert_eq!(trailers(HEADERS_MAX + 1), Err(NotHttp));
        assert_eq!(decode(format!("0\r\na: {}", "b".repeat(TRAILER_BYTES_MAX)).as_bytes()), Err(NotHttp));
    }
}
