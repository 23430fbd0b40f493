//! Requests as the services of the load read them: whole, and no more of them than is needed.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The body of the next request of a connection, which says how long it is; none when the connection has ended. What came
/// behind it stays in `buffer`.
pub(crate) async fn body(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Vec<u8>>> {
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|it| it == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let length: usize = length.expect("a client says how long its body is");
    while buffer.len() < head + length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(buffer.drain(..head + length).skip(head).collect()))
}
