//! A server that is cheaper than any client of HTTP: a thread blocks on each connection, takes whatever comes for one
//! request, and sends the same answer (with the header that ab wants, to keep a connection). Prints its address. `benches/compare` builds it with rustc alone.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello";

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        std::thread::Builder::new().stack_size(16 * 1024).spawn(move || serve(stream))?;
    }
    Ok(())
}

fn serve(mut stream: TcpStream) {
    let mut request = [0; 2048];
    while matches!(stream.read(&mut request), Ok(1..)) && stream.write_all(ANSWER).is_ok() {}
}
