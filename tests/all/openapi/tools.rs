//! The judges of the document: programs of Python, installed once into the target folder by the test that comes first.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What is installed, all by exact version.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// Name of the file that the judges read.
const DOCUMENT: &str = "document.json";

/// What the fuzzer does not hold against the host. Prompt flow is lenient, so some requests against the schema are served
/// (a text for a number), and it refuses some that no schema can tell from others (an object that is no image). And who
/// keeps coming without a key is told to wait, where the fuzzer wants to hear that it has none: see access.rs for that.
const LENIENT: &str = "negative_data_rejection,positive_data_acceptance,ignored_auth";

/// Whether a document is valid OpenAPI.
///
/// # Errors
/// What the validator says.
pub(super) async fn validate(document: &Value) -> Result<(), String> {
    run("openapi-spec-validator", vec![DOCUMENT.to_owned()], vec![(DOCUMENT, document.to_string())]).await
}

/// Makes requests of a document, and holds the replies against it. `config` is the text of a `schemathesis.toml`.
///
/// # Errors
/// What the fuzzer has found, with requests that show it.
pub(super) async fn fuzz(document: &Value, address: SocketAddr, requests: u32, config: &str) -> Result<(), String> {
    let url = format!("http://{address}");
    let requests = requests.to_string();
    let options = [
        ["run", DOCUMENT],
        ["--url", &url],
        ["--max-examples", &requests],
        ["--exclude-checks", LENIENT],
        // The same requests in every run.
        ["--seed", "1"],
        ["--generation-database", "none"],
        ["--suppress-health-check", "all"],
    ];
    let arguments =
        options.as_flattened().iter().chain(&["--no-color"]).map(|argument| (*argument).to_owned()).collect();
    run("schemathesis", arguments, vec![(DOCUMENT, document.to_string()), ("schemathesis.toml", config.to_owned())])
        .await
}

/// Runs a program in a folder of its own with these files.
async fn run(program: &'static str, arguments: Vec<String>, files: Vec<(&'static str, String)>) -> Result<(), String> {
    let work = move || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("a file in it");
        }
        let mut command = Command::new(installed().join("bin").join(program));
        told(command.args(arguments).current_dir(folder.path()).env_remove("PYTHONPATH"))
    };
    tokio::task::spawn_blocking(work).await.expect("nothing panics there but for a failure to install")
}

/// The virtual environment, made anew when the requirements are others than those it was made for.
fn installed() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi");
    fs::create_dir_all(&home).expect("a folder of the target folder");
    let (stamp, venv) = (home.join("installed.txt"), home.join("venv"));
    // Tests are processes of their own: the others wait for the first.
    let lock = File::create(home.join("lock")).expect("a file in it");
    lock.lock().expect("a lock on it");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == REQUIREMENTS) {
        return venv;
    }
    let _ = fs::remove_file(&stamp);
    let requirements = home.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).expect("a file in it");
    told(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))
        .expect("python3 makes a virtual environment");
    let mut pip = Command::new(venv.join("bin/python"));
    // All is named, so nothing else is looked for; and nothing is built, so that no more is needed than Python.
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        "-r",
    ]);
    told(pip.arg(&requirements)).expect("the registry has what tests/all/openapi/requirements.txt names");
    fs::write(&stamp, REQUIREMENTS).expect("a file in it");
    venv
}

/// Runs a command; what it said, if it fails.
fn told(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("{}{}", text(&output.stdout), text(&output.stderr)))
}
