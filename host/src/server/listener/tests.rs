use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::server::drain::Drain;

#[test]
fn documented_defaults_are_the_real_ones() {
    let mut reader = setting::Reader::new(&setting::Variables(|_: &str| None));
    assert_eq!(Config::read(&mut reader), Config::default());
}

#[tokio::test]
async fn a_handler_that_panics_ends_its_request_and_nothing_else() {
    async fn panics() -> &'static str {
        assert!(std::hint::black_box(false), "as a fault of the host would");
        ""
    }
    let routes = Router::new().route("/panics", get(panics)).route("/works", get(async || "works"));
    let listener = bind("127.0.0.1:0".parse().expect("an address")).expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let drain = Drain::default();
    let watched = Watched { draining: drain.watch(), pressure: None };
    let client = async {
        let mut socket = TcpStream::connect(address).await.expect("the listener accepts");
        let requests =
            "GET /panics HTTP/1.1\r\nhost: a\r\n\r\nGET /works HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        socket.write_all(requests.as_bytes()).await.expect("the listener reads");
        let mut answers = String::new();
        socket.read_to_string(&mut answers).await.expect("the listener answers");
        answers
    };
    let answers = tokio::select! {
        answers = client => answers,
        () = serve(listener, routes, Config::default(), Config::default().budget(), watched) => panic!("it serves until it is told to stop"),
    };
    assert!(answers.starts_with("HTTP/1.1 500 "), "{answers}");
    assert!(answers.contains("\"innerError\":{\"code\":\"Internal\"}"), "{answers}");
    assert!(answers.ends_with("\r\n\r\nworks"), "{answers}");
}
