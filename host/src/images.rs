//! Loads the images that a request points to: from the flow folder, or from the web. Where they are in a request, and what
//! becomes of them: see flow/images.rs.
//!
//! An address comes from a caller, so it may be meant for somewhere else: what is fetched comes from public addresses,
//! or from hosts that the operator has listed, and is an image by its bytes. Nothing else of an answer is told to anyone.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use http::header;
use reqwest::{Client, Response, Url, redirect};
use tokio::sync::Semaphore;

use crate::address::{Allowed, Guarded, Refused};
use crate::flow::images::{Image, ImageError, Outstanding, Source, Wanted};
use crate::flow::inputs::{InputError, Inputs};
use crate::folder::{Folder, FolderError};

/// How many images of one request are loaded: more than models look at with profit, and few enough to be asked for at
/// the same time.
const MAX_IMAGES: usize = 16;
/// Size of all loaded images of one request together, in MiB. As base64 in JSON, and with the copies that a template
/// makes of it, this fits the memory of a node; models scale larger pictures down.
const MAX_MIB: usize = 8;
/// Time to fetch one image, redirects included. A caller waits, and the flow has not even begun.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Images that are fetched at the same time, over the whole process: each holds a socket, and those of a request that are
/// too slow hold theirs for as long as one may take. Four requests with as many as they may have.
static AT_ONCE: Semaphore = Semaphore::const_new(64);
/// How many redirects are followed: to https, to the host with `www`, to the network that delivers.
const MAX_REDIRECTS: usize = 3;

/// What may be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Config {
    /// Nothing.
    Nothing,
    /// What is public, and these hosts.
    Public(Allowed),
}

/// Loads images for one flow.
#[derive(Debug)]
pub struct Images {
    folder: Folder,
    web: Option<Web>,
}

#[derive(Debug)]
struct Web {
    guard: Guarded,
    /// Made when it is first needed: most flows see no picture. None: it cannot be made.
    client: OnceLock<Option<Client>>,
    timeout: Duration,
}

/// How many bytes the images of a request may still have.
struct Budget(AtomicUsize);

impl Default for Config {
    fn default() -> Self {
        Self::Public(Allowed::default())
    }
}

impl Config {
    /// Reads `none`, or a list of hosts.
    ///
    /// # Errors
    /// Names the entry that is no host.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "none" { Ok(Self::Nothing) } else { Allowed::parse(text).map(Self::Public) }
    }
}

impl Images {
    pub fn new(config: Config, folder: Folder) -> Self {
        let web = match config {
            Config::Nothing => None,
            Config::Public(allowed) => Some(Web::new(allowed, FETCH_TIMEOUT)),
        };
        Self { folder, web }
    }

    /// The inputs with all their images, which are loaded at the same time.
    ///
    /// # Errors
    /// If one cannot be had, or they are too many or too large.
    pub async fn load(&self, outstanding: Outstanding<'_>) -> Result<Inputs, InputError> {
        let wanted = outstanding.wanted();
        if let Some(last) = wanted.get(MAX_IMAGES) {
            return Err(InputError::Image { input: last.input.clone(), error: ImageError::TooMany(MAX_IMAGES) });
        }
        let budget = Budget::new();
        let loaded = try_join_all(wanted.iter().map(|wanted| self.load_one(wanted, &budget))).await?;
        Ok(outstanding.fill(loaded))
    }

    async fn load_one(&self, wanted: &Wanted, budget: &Budget) -> Result<Image, InputError> {
        let bytes = match (&wanted.source, &self.web) {
            // Not worth a thread: a local file of few megabytes.
            (Source::File(path), _) => read(&self.folder, path, budget),
            (Source::Url(url), Some(web)) => web.fetch(url, budget).await,
            (Source::Url(_), None) => Err(failed("this host fetches none; send the image itself as base64")),
        };
        let image = bytes.and_then(|bytes| image(&bytes));
        image.map_err(|error| InputError::Image { input: wanted.input.clone(), error })
    }
}

/// An image of the flow folder.
///
/// # Errors
/// If there is none of that path.
pub fn read_file(folder: &Folder, path: &str) -> Result<Image, ImageError> {
    image(&read(folder, path, &Budget::new())?)
}

fn image(bytes: &[u8]) -> Result<Image, ImageError> {
    Image::read(bytes).ok_or(ImageError::NotAnImage)
}

fn read(folder: &Folder, path: &str, budget: &Budget) -> Result<Vec<u8>, ImageError> {
    let bytes = folder.read_bytes(path, budget.left()).map_err(|error| match error {
        FolderError::Outside(_) => ImageError::Outside,
        FolderError::TooLarge { .. } => ImageError::TooLarge(MAX_MIB),
        FolderError::NoFolder(_) | FolderError::NoFlow(_) | FolderError::ManyFlows { .. } | FolderError::Io { .. } => {
            ImageError::Missing
        }
    })?;
    budget.spend(bytes.len())?;
    Ok(bytes)
}

impl Web {
    fn new(allowed: Allowed, timeout: Duration) -> Self {
        Self { guard: Guarded::new(allowed), client: OnceLock::new(), timeout }
    }

    async fn fetch(&self, url: &str, budget: &Budget) -> Result<Vec<u8>, ImageError> {
        let fetched = async {
            let _place = AT_ONCE.acquire().await.map_err(|_| failed("this host fetches none any more"))?;
            body(self.follow(url).await?, budget).await
        };
        let late = |_| failed(format!("it did not come within {:?}", self.timeout));
        tokio::time::timeout(self.timeout, fetched).await.map_err(late)?
    }

    /// The answer at the end of all redirects. Each is followed here, so that each is checked.
    async fn follow(&self, url: &str) -> Result<Response, ImageError> {
        let mut url = Url::parse(url).map_err(|_| ImageError::Url)?;
        for _ in 0..=MAX_REDIRECTS {
            self.guard.check_url(&url).map_err(|refused| failed(refused.to_string()))?;
            let response = self.client()?.get(url.clone()).send().await.map_err(|error| reason(&error))?;
            if response.status().is_success() {
                return Ok(response);
            }
            let location = response.headers().get(header::LOCATION).filter(|_| response.status().is_redirection());
            let Some(location) = location else {
                return Err(failed(format!("the answer has status {}", response.status().as_u16())));
            };
            let next = location.to_str().ok().and_then(|location| url.join(location).ok());
            url = next.ok_or_else(|| failed("it redirects to what is no address"))?;
        }
        Err(failed(format!("it redirects more than {MAX_REDIRECTS} times")))
    }

    fn client(&self) -> Result<&Client, ImageError> {
        let client = self.client.get_or_init(|| {
            let client = client(&self.guard);
            client.inspect_err(|error| tracing::error!(%error, "images cannot be fetched: no HTTP client")).ok()
        });
        client.as_ref().ok_or_else(|| failed("this host has no HTTP client"))
    }
}

impl Budget {
    fn new() -> Self {
        Self(AtomicUsize::new(MAX_MIB << 20))
    }

    fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn spend(&self, bytes: usize) -> Result<(), ImageError> {
        let spent = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        spent.map(|_| ()).map_err(|_| ImageError::TooLarge(MAX_MIB))
    }
}

/// The body, which ends with the budget whatever was announced.
async fn body(mut response: Response, budget: &Budget) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| reason(&error))? {
        budget.spend(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

fn client(guard: &Guarded) -> reqwest::Result<Client> {
    // reqwest takes the provider of the process; that somebody has installed one already serves as well.
    _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        // The next image is somewhere else, and callers could make us keep a socket for each name they can think of.
        .pool_max_idle_per_host(0)
        .redirect(redirect::Policy::none())
        .dns_resolver(guard.clone())
        // A proxy would resolve the name itself, past the guard.
        .no_proxy()
        .build()
}

fn failed(why: impl Into<String>) -> ImageError {
    ImageError::Fetch(why.into())
}

/// What a caller is told of a failure: not the error's own text, which may hold addresses.
fn reason(error: &reqwest::Error) -> ImageError {
    match Refused::cause_of(error) {
        Some(refused) => failed(refused.to_string()),
        None if error.is_connect() => failed("no connection can be made"),
        None => failed("the connection broke off"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn the_setting_is_none_or_a_list_of_hosts() {
        assert_eq!(Config::parse("none"), Ok(Config::Nothing));
        let allowed = Allowed::parse("images.internal,10.0.0.0/8").expect("a list");
        assert_eq!(Config::parse("images.internal, 10.0.0.0/8"), Ok(Config::Public(allowed)));
        assert!(Config::parse("10.0.0.300").is_err());
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_given_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("the address of a bound listener");
        let web = Web::new(Allowed::parse("127.0.0.1").expect("an address"), Duration::from_millis(20));
        let fetched = web.fetch(&format!("http://{address}/cat.png"), &Budget::new()).await;
        assert_eq!(fetched, Err(failed("it did not come within 20ms")));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_without_its_address() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("the address of a bound listener");
        drop(listener);
        let web = Web::new(Allowed::parse("127.0.0.1").expect("an address"), FETCH_TIMEOUT);
        let fetched = web.fetch(&format!("http://{address}/cat.png"), &Budget::new()).await;
        assert_eq!(fetched, Err(failed("no connection can be made")));
    }

    #[tokio::test]
    async fn no_connection_is_kept_for_an_image_that_may_never_come() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the address of a bound listener");
        let web = Web::new(Allowed::parse("127.0.0.1").expect("an address"), FETCH_TIMEOUT);
        let served = async {
            let (mut stream, _) = listener.accept().await?;
            let mut read = [0; 4096];
            assert!(stream.read(&mut read).await? > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ncat").await?;
            tokio::time::timeout(FETCH_TIMEOUT, stream.read(&mut read)).await?
        };
        let url = format!("http://{address}/cat.png");
        let budget = Budget::new();
        let (fetched, after) = tokio::join!(web.fetch(&url, &budget), served);
        assert_eq!(fetched, Ok(b"cat".to_vec()));
        assert_eq!(after.expect("the end of the connection"), 0);
    }

    #[test]
    fn images_spend_one_budget_together() {
        let budget = Budget(AtomicUsize::new(10));
        assert_eq!(budget.spend(7), Ok(()));
        assert_eq!(budget.spend(4), Err(ImageError::TooLarge(MAX_MIB)));
        assert_eq!((budget.spend(3), budget.left()), (Ok(()), 0));
    }
}
