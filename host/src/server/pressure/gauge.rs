//! How much memory the host takes, and may take: what its cgroup counts and allows, or its own against a limit that the
//! operator sets.

use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) struct Gauge {
    limit: Option<u64>,
    of: Of,
}

/// Whose memory it is.
#[derive(Debug)]
enum Of {
    Process,
    /// Of all that the container runs.
    Cgroup(Cgroup),
    #[cfg(test)]
    Test(std::sync::Arc<std::sync::atomic::AtomicU64>),
}

/// A cgroup that has a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cgroup {
    folder: PathBuf,
    names: Names,
}

/// How a version of cgroups calls its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Names {
    limit: &'static str,
    used: &'static str,
    /// Of what the system can take back at once: pages of files that nobody has asked for lately. As Kubernetes counts.
    inactive: &'static str,
}

const V2: Names = Names { limit: "memory.max", used: "memory.current", inactive: "inactive_file " };
const V1: Names =
    Names { limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes", inactive: "total_inactive_file " };

/// Where version 1 has no limit, it says a number that no machine has.
const UNLIMITED: u64 = 1 << 60;

impl Gauge {
    /// With the operator's limit, or else that of the cgroup.
    pub(super) fn new(limit: Option<u64>) -> Self {
        if limit.is_some() {
            return Self { limit, of: Of::Process };
        }
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        match limited(Path::new("/sys/fs/cgroup"), &own) {
            Some((cgroup, limit)) => Self { limit: Some(limit), of: Of::Cgroup(cgroup) },
            None => Self { limit: None, of: Of::Process },
        }
    }

    #[cfg(test)]
    pub(super) fn of_test(limit: u64, used: std::sync::Arc<std::sync::atomic::AtomicU64>) -> Self {
        Self { limit: Some(limit), of: Of::Test(used) }
    }

    pub(super) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// None: it cannot be read.
    pub(super) fn used(&self) -> Option<u64> {
        match &self.of {
            Of::Process => resident(&fs::read_to_string("/proc/self/status").ok()?),
            Of::Cgroup(cgroup) => cgroup.used(),
            #[cfg(test)]
            Of::Test(used) => Some(used.load(std::sync::atomic::Ordering::Relaxed)),
        }
    }
}

impl Cgroup {
    fn used(&self) -> Option<u64> {
        let Self { folder, names } = self;
        let used = number(&folder.join(names.used))?;
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let inactive = stat.lines().find_map(|line| line.strip_prefix(names.inactive)?.trim().parse().ok());
        Some(used.saturating_sub(inactive.unwrap_or(0)))
    }
}

/// The cgroup with the lowest limit of those that a process is in; `own` is what it is told of them. A container often sees
/// its own as the root.
fn limited(root: &Path, own: &str) -> Option<(Cgroup, u64)> {
    let mut lowest: Option<(Cgroup, u64)> = None;
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, names) = match controllers {
            "" => (root.to_owned(), V2),
            _ if controllers.split(',').any(|it| it == "memory") => (root.join("memory"), V1),
            _ => continue,
        };
        let path = root.join(path.trim_start_matches('/'));
        for folder in path.ancestors().take_while(|folder| folder.starts_with(&root)) {
            let limit = number(&folder.join(names.limit)).filter(|limit| *limit < UNLIMITED);
            if let Some(limit) = limit.filter(|limit| lowest.as_ref().is_none_or(|(_, lowest)| limit < lowest)) {
                lowest = Some((Cgroup { folder: folder.to_owned(), names }, limit));
            }
        }
    }
    lowest
}

/// None also for `max`.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Of `/proc/self/status`.
fn resident(status: &str) -> Option<u64> {
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(kilobytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(root: &Path, path: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = root.join(path);
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn the_lowest_limit_of_all_cgroups_above_counts() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path();
        folder(root, "", &[("memory.max", "max\n")]);
        let pod = folder(
            root,
            "kube/pod",
            &[("memory.max", "1000\n"), ("memory.current", "900\n"), ("memory.stat", "anon 1\ninactive_file 300\n")],
        );
        folder(root, "kube/pod/host", &[("memory.max", "2000\n"), ("memory.current", "5\n")]);
        let (found, limit) = limited(root, "0::/kube/pod/host\n").unwrap();
        assert_eq!((&found.folder, limit, found.used()), (&pod, 1000, Some(600)));
        // As a container sees it.
        assert_eq!(limited(&pod, "0::/\n").map(|(found, limit)| (found.folder, limit)), Some((pod, 1000)));
        for unlimited in ["0::/", "0::/elsewhere", "", "nonsense", "3:cpu:/kube/pod"] {
            assert_eq!(limited(root, unlimited), None, "{unlimited}");
        }
    }

    #[test]
    fn cgroups_of_version_1_are_read_as_well() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path();
        let files = [
            ("memory.limit_in_bytes", "1000\n"),
            ("memory.usage_in_bytes", "700\n"),
            ("memory.stat", "inactive_file 1\ntotal_inactive_file 200\n"),
        ];
        folder(root, "memory", &[("memory.limit_in_bytes", "9223372036854771712\n")]);
        folder(root, "memory/docker/1", &files);
        let (found, limit) = limited(root, "4:cpu:/\n3:memory:/docker/1\n").unwrap();
        assert_eq!((limit, found.used()), (1000, Some(500)));
        assert_eq!(limited(root, "3:memory:/\n"), None);
    }

    #[test]
    fn a_process_knows_what_it_takes() {
        assert_eq!(resident("Name:\tweir\nVmRSS:\t   1234 kB\n"), Some(1234 * 1024));
        assert_eq!(resident("Name:\tweir\n"), None);
        assert!(Gauge::new(Some(1)).used().unwrap() > 1 << 20);
    }
}
