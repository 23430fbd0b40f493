//! A resolver that a test plays, in time that does not pass by itself.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{advance, pause};

use super::*;

/// What the test's own lookup does, one after the other; then it never answers.
#[derive(Clone, Copy, Debug)]
enum Act {
    Tell(usize),
    Fail,
    Hang,
    /// Answers after so long.
    Late(Duration),
    /// Holds its place whoever waits, as a thread does whose name server is silent.
    Silent,
}

#[derive(Debug)]
struct Played {
    acts: Mutex<Vec<Act>>,
    /// The places of lookups that are not over.
    held: Mutex<Vec<Place>>,
    asked: AtomicUsize,
}

impl Lookup for Played {
    fn addresses(&self, _: &str, place: Place) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut acts = self.acts.lock().expect("no test panics with it");
        let act = if acts.is_empty() { Act::Hang } else { acts.remove(0) };
        if let Act::Silent = act {
            self.held.lock().expect("no test panics with it").push(place);
        }
        async move {
            match act {
                Act::Tell(count) => Ok(addresses(count)),
                Act::Fail => Err(io::Error::other("no such name")),
                Act::Hang | Act::Silent => std::future::pending().await,
                Act::Late(time) => {
                    tokio::time::sleep(time).await;
                    Ok(addresses(1))
                }
            }
        }
        .boxed()
    }
}

fn addresses(count: usize) -> Vec<SocketAddr> {
    let address = |number: usize| SocketAddr::from((Ipv4Addr::from_bits(number as u32 + 1), 0));
    (0..count).map(address).collect()
}

fn played(acts: &[Act]) -> (Resolver, Arc<Played>) {
    let played =
        Arc::new(Played { acts: Mutex::new(acts.to_vec()), held: Mutex::default(), asked: AtomicUsize::new(0) });
    (Resolver::new(played.clone()), played)
}

/// What a name leads to now.
async fn ask(resolver: &Resolver) -> Result<usize, String> {
    resolver.addresses("a.example", Origin::Written).await.map(|found| found.len()).map_err(|error| error.to_string())
}

fn asked(played: &Played) -> usize {
    played.asked.load(Ordering::SeqCst)
}

#[tokio::test(start_paused = true)]
async fn each_answer_is_asked_for_anew_and_counts() {
    let (resolver, played) = played(&[Act::Tell(1), Act::Tell(3), Act::Tell(100)]);
    assert_eq!([ask(&resolver).await, ask(&resolver).await], [Ok(1), Ok(3)]);
    assert_eq!(ask(&resolver).await, Ok(MAX_ADDRESSES));
    assert_eq!(asked(&played), 3);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_cannot_be_resolved_is_asked_for_again_after_five_seconds() {
    let (resolver, played) = played(&[Act::Fail, Act::Tell(1)]);
    for _ in 0..3 {
        assert_eq!(ask(&resolver).await, Err("no such name".to_owned()));
    }
    assert_eq!(asked(&played), 1);
    advance(NEGATIVE).await;
    assert_eq!(ask(&resolver).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_hangs_is_waited_for_two_seconds_and_no_longer() {
    let (resolver, played) = played(&[]);
    let began = Instant::now();
    assert_eq!(ask(&resolver).await, Err("no answer in time".to_owned()));
    assert_eq!(began.elapsed(), TIMEOUT);
    assert_eq!(ask(&resolver).await, Err("no answer in time".to_owned()));
    assert_eq!(began.elapsed(), TIMEOUT, "and for five seconds not at all");
    // One lookup hangs, and not one for each who asks.
    for _ in 0..3 {
        advance(NEGATIVE).await;
        assert!(ask(&resolver).await.is_err());
    }
    assert_eq!(asked(&played), 1);
    advance(HANGS).await;
    assert!(ask(&resolver).await.is_err());
    assert_eq!(asked(&played), 2);
}

#[tokio::test(start_paused = true)]
async fn known_addresses_are_used_for_five_minutes_while_nobody_answers() {
    let (resolver, _) = played(&[Act::Tell(2)]);
    assert_eq!(ask(&resolver).await, Ok(2));
    let began = Instant::now();
    while began.elapsed() < STALE - NEGATIVE - TIMEOUT {
        assert_eq!(ask(&resolver).await, Ok(2));
        advance(NEGATIVE).await;
    }
    advance(NEGATIVE + TIMEOUT).await;
    assert_eq!(ask(&resolver).await, Err("no answer in time".to_owned()));
    // Another name has none.
    assert!(resolver.addresses("b.example", Origin::Written).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_is_back_is_believed() {
    let (resolver, _) = played(&[Act::Tell(2), Act::Fail, Act::Tell(1)]);
    assert_eq!([ask(&resolver).await, ask(&resolver).await], [Ok(2), Ok(2)]);
    advance(NEGATIVE).await;
    assert_eq!(ask(&resolver).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_late_is_heard_by_the_next() {
    let (resolver, played) = played(&[Act::Late(Duration::from_secs(6))]);
    assert!(ask(&resolver).await.is_err());
    advance(NEGATIVE).await;
    assert_eq!(ask(&resolver).await, Ok(1));
    assert_eq!(asked(&played), 1);
}

#[tokio::test(start_paused = true)]
async fn all_who_ask_at_the_same_moment_ask_once() {
    let (resolver, played) = played(&[Act::Late(Duration::from_secs(1))]);
    let results = futures_util::future::join_all((0..50).map(|_| ask(&resolver))).await;
    assert_eq!(results, vec![Ok(1); 50]);
    assert_eq!(asked(&played), 1);
    // Also if the first of them goes away.
    let (resolver, played) = self::played(&[Act::Late(Duration::from_secs(1))]);
    let first = timeout(Duration::from_millis(100), ask(&resolver)).await;
    assert!(first.is_err());
    assert_eq!((ask(&resolver).await, asked(&played)), (Ok(1), 1));
}

#[tokio::test]
async fn names_without_end_are_not_remembered_without_end() {
    pause();
    let (resolver, _) = played(&[Act::Tell(1)]);
    assert_eq!(ask(&resolver).await, Ok(1));
    let names: Vec<_> = (0..MAX_NAMES * 2).map(|number| format!("{number}.example")).collect();
    let asked = names.iter().map(|name| resolver.addresses(name, Origin::Chosen));
    assert!(futures_util::future::join_all(asked).await.iter().all(Result::is_err));
    assert_eq!(resolver.all().len(), MAX_NAMES);
    // What was of use is still known.
    advance(NEGATIVE).await;
    assert_eq!(ask(&resolver).await, Ok(1));
}

/// Asks for twice as many names as there are places, of a name server that never answers.
async fn ask_in_vain(resolver: &Resolver) {
    let names: Vec<_> = (0..2 * AT_ONCE).map(|number| format!("{number}.silent.example")).collect();
    let began = Instant::now();
    let asked = names.iter().map(|name| resolver.addresses(name, Origin::Chosen));
    assert!(futures_util::future::join_all(asked).await.iter().all(Result::is_err));
    assert!(began.elapsed() <= TIMEOUT, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn names_of_a_silent_name_server_do_not_stop_others_once_their_lookups_are_over() {
    let (resolver, played) = played(&[[Act::Silent; AT_ONCE].as_slice(), &[Act::Tell(1)]].concat());
    ask_in_vain(&resolver).await;
    assert_eq!(asked(&played), AT_ONCE);
    let honest = async || resolver.addresses("honest.example", Origin::Chosen).await.map(|found| found.len());
    let taken = honest().await.expect_err("every place is taken");
    assert_eq!(taken.to_string(), "too many names are looked up at the moment");
    played.held.lock().expect("no test panics with it").clear();
    // That it could not be asked for was not held against it.
    assert_eq!(honest().await.ok(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn names_that_others_choose_do_not_stop_those_that_are_written_down() {
    let (resolver, _) = played(&[[Act::Silent; AT_ONCE].as_slice(), &[Act::Tell(1)]].concat());
    ask_in_vain(&resolver).await;
    let began = Instant::now();
    assert_eq!(ask(&resolver).await, Ok(1));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn the_machine_knows_itself() {
    let found =
        Resolver::default().addresses("localhost", Origin::Written).await.expect("every machine knows this name");
    assert!(found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
}
