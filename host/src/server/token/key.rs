//! The key of feedback tokens: from a file that hosts share, from the data directory, or of this process alone.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom as _, SystemRandom};

/// Shortest key, in bytes: as long as the signature, as HMAC asks.
const MIN_KEY: usize = 32;

/// Longest key file that is read; whoever names a larger one has named the wrong file.
const MAX_KEY: u64 = 4096;

/// The key's file in the data directory.
const FILE: &str = "feedback.key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the key of feedback tokens, {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot make the key of feedback tokens, {}", path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error(
        "the key of feedback tokens, {}, has {found} bytes; it must have {MIN_KEY} to {MAX_KEY}, as from `head -c {MIN_KEY} /dev/urandom`",
        path.display()
    )]
    Length { path: PathBuf, found: u64 },
    #[error("the system gives no random bytes for the key of feedback tokens")]
    Random,
}

/// Where the key comes from; tokens are good where this is.
#[derive(Clone, Debug)]
pub(super) enum KeyOrigin {
    File(PathBuf),
    Data(PathBuf),
    Process,
}

impl fmt::Display for KeyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "signed by {} ({})", path.display(), super::TOKEN_KEY_FILE.variable),
            Self::Data(path) => write!(f, "signed by {}; no other host takes them", path.display()),
            Self::Process => {
                let variable = super::TOKEN_KEY_FILE.variable;
                write!(f, "good until this process ends ({variable} and WEIR_DATA_DIR are not set)")
            }
        }
    }
}

pub(super) fn find(file: Option<&Path>, data_dir: Option<&Path>) -> Result<(Vec<u8>, KeyOrigin), KeyError> {
    if let Some(file) = file {
        return Ok((read(file)?, KeyOrigin::File(file.to_owned())));
    }
    let Some(folder) = data_dir else { return Ok((random()?.to_vec(), KeyOrigin::Process)) };
    let path = folder.join(FILE);
    if !path.exists() {
        let key = random()?;
        make(folder, &path, &key).map_err(|source| KeyError::Make { path: path.clone(), source })?;
    }
    Ok((read(&path)?, KeyOrigin::Data(path)))
}

fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    let failed = |source| KeyError::Read { path: path.to_owned(), source };
    let found = fs::metadata(path).map_err(failed)?.len();
    if found > MAX_KEY {
        return Err(KeyError::Length { path: path.to_owned(), found });
    }
    let key = fs::read(path).map_err(failed)?;
    if key.len() < MIN_KEY {
        return Err(KeyError::Length { path: path.to_owned(), found: key.len() as u64 });
    }
    Ok(key)
}

fn random() -> Result<[u8; MIN_KEY], KeyError> {
    let mut key = [0; MIN_KEY];
    SystemRandom::new().fill(&mut key).map_err(|_| KeyError::Random)?;
    Ok(key)
}

/// Puts the key into place whole or not at all: a host that is killed here must not leave half a key behind. If another
/// has made one in the meantime, that one stays.
fn make(folder: &Path, path: &Path, key: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let draft = folder.join(format!("{FILE}.{}", uuid::Uuid::new_v4().simple()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = file.write_all(key).and_then(|()| file.sync_all());
    let placed = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    fs::remove_file(&draft)?;
    placed?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_of_the_data_directory_is_made_once_and_is_its_owners_alone() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("data");
        let (key, _) = find(None, Some(&folder)).unwrap();
        let (again, origin) = find(None, Some(&folder)).unwrap();
        assert_eq!(key, again);
        let path = folder.join("feedback.key");
        assert_eq!(origin.to_string(), format!("signed by {}; no other host takes them", path.display()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_key_file_must_be_there_and_of_some_length() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key");
        let told = || find(Some(&path), None).unwrap_err().to_string();
        assert_eq!(told(), format!("cannot read the key of feedback tokens, {}", path.display()));
        for length in [0, 31, 5000] {
            fs::write(&path, vec![b'k'; length]).unwrap();
            let expected = format!(
                "the key of feedback tokens, {}, has {length} bytes; it must have 32 to 4096, as from `head -c 32 \
                 /dev/urandom`",
                path.display()
            );
            assert_eq!(told(), expected);
        }
        fs::write(&path, [b'k'; 32]).unwrap();
        assert_eq!(find(Some(&path), None).unwrap().0, [b'k'; 32]);
    }
}
