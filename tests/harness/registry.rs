//! The real registry of OCI artifacts: that of Debian.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use bytes::Bytes;
use http::Request;
use tempfile::TempDir;

use crate::debian;
use crate::host::process::Process;
use crate::http::attempt;

/// The name and the password by which [`Registry::with_password`] is asked.
const USER: (&str, &str) = ("weir", "secret");

/// The same as `htpasswd -B` writes it.
const HTPASSWD: &str = "weir:$2b$04$Rp7Yy7Q9ww3HttDn5UYN7.Db7RWqr4zygp1Lddd1fuwW8ETdFaI/6\n";

/// A registry of this test alone. Dropping it ends it.
pub struct Registry {
    address: SocketAddr,
    _process: Process,
    home: TempDir,
}

impl Registry {
    /// One that anyone may write to.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// One that wants a name and a password: see [`Registry::credentials`].
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn with_password() -> Self {
        Self::start_with("auth: {htpasswd: {realm: weir, path: htpasswd}}\n").await
    }

    async fn start_with(more: &str) -> Self {
        let home = tempfile::tempdir().expect("the machine has a temporary folder");
        let write = |file: &str, text: &str| fs::write(home.path().join(file), text).expect("its own folder");
        write("htpasswd", HTPASSWD);
        write(
            "config.yml",
            &format!(
                "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
                 storage: {{filesystem: {{rootdirectory: data}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n{more}"
            ),
        );
        let mut command = Command::new(program());
        command.args(["serve", "config.yml"]).current_dir(home.path());
        let process = Process::spawn(command);
        // The system chooses a port, and it says which.
        let address = process.said("msg=\"listening on ").await;
        let address = address.trim_end_matches('"').parse().expect("an address");
        Self { address, _process: process, home }
    }

    /// The name of a repository of it.
    pub fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.address)
    }

    /// A folder with the `config.json` of someone who has logged in by Docker's tools.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn credentials(&self) -> PathBuf {
        let folder = self.home.path().join("docker");
        fs::create_dir_all(&folder).expect("its own folder can be written");
        let (name, password) = USER;
        let text =
            format!(r#"{{"auths": {{"{}": {{"username": "{name}", "password": "{password}"}}}}}}"#, self.address);
        fs::write(folder.join("config.json"), text).expect("its own folder can be written");
        folder
    }

    /// The manifest of a name, as it lies there.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub async fn manifest(&self, repository: &str, tag: &str) -> serde_json::Value {
        let request = Request::get(format!("/v2/{repository}/manifests/{tag}"))
            .header("accept", "application/vnd.oci.image.manifest.v1+json")
            .body(Bytes::new())
            .expect("a valid request");
        serde_json::from_slice(&self.answer(request).await).expect("a manifest is JSON")
    }

    /// A blob, as it lies there.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub async fn blob(&self, repository: &str, digest: &str) -> Bytes {
        let request = Request::get(format!("/v2/{repository}/blobs/{digest}")).body(Bytes::new());
        self.answer(request.expect("a valid request")).await
    }

    /// Puts a manifest there.
    ///
    /// # Panics
    ///
    /// If the registry does not take it.
    pub async fn put_manifest(&self, repository: &str, tag: &str, manifest: &serde_json::Value) {
        let request = Request::put(format!("/v2/{repository}/manifests/{tag}"))
            .header("content-type", manifest["mediaType"].as_str().expect("a manifest has a type"))
            .body(Bytes::from(manifest.to_string()))
            .expect("a valid request");
        self.answer(request).await;
    }

    /// Changes a blob where it lies, so that it is not what its digest says.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn tamper(&self, digest: &str) {
        let hex = digest.trim_start_matches("sha256:");
        let blobs = self.home.path().join("data/docker/registry/v2/blobs/sha256");
        let file = blobs.join(&hex[..2]).join(hex).join("data");
        let mut bytes = fs::read(&file).expect("there is a blob of this digest");
        *bytes.last_mut().expect("it has bytes") ^= 1;
        fs::write(&file, bytes).expect("its own folder can be written");
    }

    async fn answer(&self, request: Request<Bytes>) -> Bytes {
        let reply = attempt(self.address, request).await.expect("the registry answers");
        assert!(reply.status < 300, "the registry answered {}: {:?}", reply.status, reply.body);
        reply.body
    }
}

/// The registry's program, which is fetched if need be.
fn program() -> PathBuf {
    debian::programs("docker-registry", &["docker-registry"]).join("docker-registry")
}
