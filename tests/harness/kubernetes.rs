//! The manifests of examples/kubernetes: as Kustomize renders them, held against schemas, and a pod of theirs as kubelet would
//! start it, without a container around it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use bytes::Bytes;
use http::Request;
use serde_json::Value;
use tempfile::TempDir;

use crate::host::Exit;
use crate::host::process::{Process, weir};
use crate::http::{Reply, attempt};

/// Three versions that are held against: an old one that managed clusters still have, one of now, and the newest.
const VERSIONS: [&str; 3] = ["1.31", "1.34", "1.37"];

/// What `kubectl kustomize` makes of a folder, as text.
///
/// # Panics
///
/// With what it says, if it refuses.
pub fn render(folder: &Path) -> String {
    let output = Command::new(tools().join("kubectl")).arg("kustomize").arg(folder).output().expect("kubectl starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", folder.display());
    String::from_utf8(output.stdout).expect("kubectl writes text")
}

/// The manifests of such a text.
pub fn manifests(text: &str) -> Vec<Value> {
    text.split("\n---\n").map(|one| serde_saphyr::from_str(one).expect("kubectl writes YAML")).collect()
}

/// Holds such a text against the schemas of Kubernetes and of what extends it, strictly; gives what was found, a line for each
/// fault, and what was looked at.
pub fn validate(text: &str) -> (Vec<String>, Vec<String>) {
    let tools = tools();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/kubernetes/validate.py");
    let mut python = Command::new("python3");
    python.arg("-B").arg(script).args(VERSIONS).env("PYTHONPATH", tools.join("python"));
    let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let python = python.as_mut().expect("python3 starts");
    // All of it is read before anything is written, and the end is told by dropping it.
    python.stdin.take().expect("it was asked for").write_all(text.as_bytes()).expect("it reads all");
    let mut said = [String::new(), String::new()];
    std::io::Read::read_to_string(&mut python.stderr.take().expect("it was asked for"), &mut said[1]).expect("text");
    std::io::Read::read_to_string(&mut python.stdout.take().expect("it was asked for"), &mut said[0]).expect("text");
    let status = python.wait().expect("it ends");
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    let (faults, seen) = (lines(&said[0]), lines(&said[1]));
    assert_eq!(status.code(), Some(i32::from(!faults.is_empty())), "{}", said[1]);
    (faults, seen)
}

/// The folder with `kubectl` and what validates, which are fetched if need be.
fn tools() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/kubernetes.sh");
    let output = Command::new(script).output().expect("the script can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
}

/// The first pod of a Deployment, on this machine: its arguments, its environment, its user if the test runs as root, and its
/// volumes as kubelet lays them out, at other paths. What is missing is the container: its memory limit is told to the process
/// by a variable, and that the root cannot be written to is looked at afterwards.
pub struct PodSpec {
    pod: Value,
    /// Paths in the container, and where they are here.
    mounts: BTreeMap<String, PathBuf>,
    program: PathBuf,
    user: Option<(u32, u32)>,
    home: TempDir,
}

/// Such a pod that runs.
pub struct Pod {
    process: Process,
    public: SocketAddr,
    admin: SocketAddr,
    probes: Value,
}

impl PodSpec {
    /// That of the Deployment `name` among these manifests.
    ///
    /// # Panics
    ///
    /// If there is none, or it has what this cannot do.
    pub fn of(manifests: &[Value], name: &str) -> Self {
        let pod = named(manifests, "Deployment", name)["spec"]["template"]["spec"].clone();
        let home = tempfile::Builder::new().prefix("weir-pod-").tempdir().expect("the machine has a temporary folder");
        let context = &pod["securityContext"];
        let id = |key: &str| context[key].as_u64().and_then(|id| u32::try_from(id).ok()).expect("a number");
        // Who is not root can be nobody else; the pod then runs as they do.
        let user = rustix::process::geteuid().is_root().then(|| (id("runAsUser"), id("fsGroup")));
        let mut spec = Self { mounts: BTreeMap::new(), program: home.path().join("weir"), user, home, pod };
        spec.permit(spec.home.path(), 0o755);
        // The one that is built may lie where that user cannot go.
        fs::copy(weir().get_program(), &spec.program).expect("the program under test can be copied");
        spec.lay_volumes(manifests);
        spec
    }

    fn container(&self) -> &Value {
        let containers = self.pod["containers"].as_array().expect("containers");
        assert_eq!(containers.len(), 1, "a pod of weir has one container");
        &containers[0]
    }

    fn lay_volumes(&mut self, manifests: &[Value]) {
        for mount in self.container()["volumeMounts"].as_array().expect("mounts").clone() {
            let volumes = self.pod["volumes"].as_array().expect("volumes");
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).expect("a volume of that name");
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let target = text(&mount["mountPath"]);
            // As in the container: the folder's own name says something.
            let here = self.home.path().join("mounts").join(text(&mount["name"])).join(base(&target));
            fs::create_dir_all(&here).expect("the test's own folder");
            if let Some(secret) = volume.get("secret") {
                let secret = named(manifests, "Secret", &text(&secret["secretName"]));
                self.lay_files(&here, &secret["data"], decoded, mode(volume, "secret"));
            } else if let Some(map) = volume.get("configMap") {
                let map = named(manifests, "ConfigMap", &text(&map["name"]));
                self.lay_files(&here, &map["data"], |value| value.as_bytes().to_vec(), mode(volume, "configMap"));
            } else {
                assert!(volume.get("emptyDir").is_some(), "{volume}");
                // kubelet gives the group of the pod everything, and keeps it below.
                self.give(&here);
                self.permit(&here, 0o2777);
            }
            self.mounts.insert(target, here);
        }
    }

    /// Files as kubelet writes them: links to a folder that is replaced as a whole.
    fn lay_files(&self, folder: &Path, data: &Value, bytes: impl Fn(&str) -> Vec<u8>, mode: u32) {
        let version = "..2026_11_26_12_00_00.0000000001";
        fs::create_dir(folder.join(version)).expect("the test's own folder");
        symlink(version, folder.join("..data")).expect("links can be made");
        for (name, value) in data.as_object().expect("data") {
            let file = folder.join(version).join(name);
            fs::write(&file, bytes(value.as_str().expect("text"))).expect("the test's own folder");
            self.give(&file);
            self.permit(&file, mode);
            symlink(format!("..data/{name}"), folder.join(name)).expect("links can be made");
        }
    }

    fn permit(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the test's own file");
    }

    /// Lets it belong to root and the group of the pod.
    fn give(&self, path: &Path) {
        if let Some((_, group)) = self.user {
            chown(path, Some(0), Some(group)).expect("root may");
        }
    }

    /// A text of the manifest, with paths of the container as they are here.
    fn here(&self, text: &str) -> String {
        for (target, here) in &self.mounts {
            if let Some(rest) = text.strip_prefix(target.as_str())
                && (rest.is_empty() || rest.starts_with('/'))
            {
                return format!("{}{rest}", here.display());
            }
        }
        text.to_owned()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear();
        for variable in self.container()["env"].as_array().expect("variables") {
            let name = variable["name"].as_str().expect("a name");
            let value = match variable["value"].as_str() {
                Some(value) => self.here(value),
                None => variable["valueFrom"]["fieldRef"]["fieldPath"].as_str().expect("a field of the pod").to_owned(),
            };
            command.env(name, value);
        }
        // What it would read from its cgroup.
        let limit = self.container()["resources"]["limits"]["memory"].as_str().expect("a limit of memory");
        command.env("WEIR_MEMORY_LIMIT", format!("{limit}B"));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.current_dir("/");
        command
    }

    fn arguments(&self) -> Vec<String> {
        let arguments = self.container()["args"].as_array().expect("arguments");
        arguments.iter().map(|argument| self.here(argument.as_str().expect("text"))).collect()
    }

    /// What `weir config` says of the settings of this pod: values by their names.
    ///
    /// # Panics
    ///
    /// If it refuses them.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let mut arguments = self.arguments();
        arguments[0] = "config".to_owned();
        let output = self.command().args(arguments).arg("--json").output().expect("the program under test starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        lines.filter_map(|line| Some((text(&line["name"])?, text(&line["value"])?))).collect()
    }

    /// Starts it, on ports that are free, and waits until it listens. A pod that ended may be started again: on the same volumes, as
    /// after a crash of its container.
    ///
    /// # Panics
    ///
    /// If it ends instead.
    pub async fn start(&self) -> Pod {
        let mut command = self.command();
        command.args(self.arguments()).env("WEIR_LISTEN", "127.0.0.1:0").env("WEIR_ADMIN_LISTEN", "127.0.0.1:0");
        let process = Process::spawn(command);
        match process.listening().await {
            Ok((admin, public)) => Pod { process, public, admin, probes: self.container().clone() },
            Err(exit) => panic!("the pod ended with {} instead of listening", exit.status),
        }
    }

    /// Paths of the container at which the pod has made files, apart from those on its volume for data.
    pub fn written_elsewhere(&self) -> Vec<PathBuf> {
        let is_data = |path: &Path| path.starts_with(&self.mounts["/var/lib/weir"]);
        let mut found = Vec::new();
        let mut folders = vec![self.home.path().to_owned()];
        let before = fs::metadata(&self.program).and_then(|it| it.modified()).expect("it is there");
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("the test's own folder").flatten() {
                let (path, metadata) = (entry.path(), entry.metadata().expect("it is there"));
                if is_data(&path) {
                    continue;
                }
                if metadata.is_dir() {
                    folders.push(path);
                } else if self.user.is_some_and(|(user, _)| std::os::unix::fs::MetadataExt::uid(&metadata) == user)
                    && metadata.modified().is_ok_and(|modified| modified >= before)
                {
                    found.push(path);
                }
            }
        }
        found
    }
}

impl Pod {
    /// What a probe of its Deployment gets: a status, or none if nobody answers.
    pub async fn probe(&self, probe: &str) -> Option<u16> {
        let get = &self.probes[probe]["httpGet"];
        let address = match get["port"].as_str().expect("a port by its name") {
            "admin" => self.admin,
            "http" => self.public,
            other => panic!("{probe}: no port {other}"),
        };
        let request = Request::get(get["path"].as_str().expect("a path")).body(Bytes::new()).expect("a valid request");
        attempt(address, request).await.map(|reply| reply.status)
    }

    /// A request to the port of its Service.
    pub async fn post(&self, path: &str, key: Option<&str>, body: &str) -> Option<Reply> {
        let mut request = Request::post(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        attempt(self.public, request.body(Bytes::from(body.to_owned())).expect("a valid request")).await
    }

    /// What Prometheus would read.
    pub async fn metrics(&self) -> String {
        let request = Request::get("/metrics").body(Bytes::new()).expect("a valid request");
        attempt(self.admin, request).await.expect("an answer").text().to_owned()
    }

    /// Sends SIGTERM, as kubelet does first.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Whether it has written this text by now, or as soon as it has.
    pub async fn wrote(&self, text: &str) {
        self.process.wrote(text).await;
    }

    /// Sends SIGKILL: what kubelet does when there is too little memory.
    pub async fn kill(self) -> Exit {
        self.process.kill();
        self.process.exit().await
    }

    /// Waits for the end.
    pub async fn ended(self) -> Exit {
        self.process.exit().await
    }
}

/// The manifest of this kind and name; of generated ones, whose names end in a digest, the beginning is enough.
///
/// # Panics
///
/// If there is none.
pub fn named<'a>(manifests: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let of_kind = manifests.iter().filter(|it| it["kind"] == kind);
    let is_named = |it: &&Value| {
        let full = it["metadata"]["name"].as_str().unwrap_or_default();
        full == name || full.strip_prefix(name).is_some_and(|rest| rest.starts_with('-') && rest.len() == 11)
    };
    of_kind.clone().find(is_named).unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// What stands in a Secret.
fn decoded(value: &str) -> Vec<u8> {
    let value: String = value.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(value).expect("base64")
}

fn mode(volume: &Value, kind: &str) -> u32 {
    volume[kind]["defaultMode"].as_u64().and_then(|mode| u32::try_from(mode).ok()).unwrap_or(0o644)
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
