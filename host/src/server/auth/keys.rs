//! The keys themselves: which of them a text is, and how they are read from a file or a folder.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

/// Shortest key. With fewer characters a key is a password that a person has made up, and may be guessed.
const MIN_KEY: usize = 16;
/// Longest key: what headers have room for, with some left.
const MAX_KEY: usize = 512;
/// Longest file that is read for keys.
const MAX_FILE: u64 = 16 * 1024;

/// Which of the two keys. Both are as good; there are two so that one can be changed while the other is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyName {
    Primary,
    Secondary,
}

impl KeyName {
    const ALL: [Self; 2] = [Self::Primary, Self::Secondary];

    /// As files and logs have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }
}

/// What is kept of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// # Errors
    /// If a key must not be like this; the text does not show it.
    pub(super) fn of_key(key: &str) -> Result<Self, String> {
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a key is made of visible ASCII characters, without spaces".to_owned());
        }
        if !(MIN_KEY..=MAX_KEY).contains(&key.len()) {
            let count = key.len();
            return Err(format!("a key has {MIN_KEY} to {MAX_KEY} characters, and this has {count}"));
        }
        Ok(Self::of(key.as_bytes()))
    }

    fn of(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }
}

/// At least one key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys(Vec<(KeyName, Digest)>);

impl Keys {
    /// None, if neither is given.
    pub(super) fn new(primary: Option<Digest>, secondary: Option<Digest>) -> Option<Self> {
        let given = KeyName::ALL.into_iter().zip([primary, secondary]);
        let keys: Vec<_> = given.filter_map(|(name, key)| Some((name, key?))).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The key that this text is.
    ///
    /// How long it takes does not depend on how much of a key is right: texts are compared by their digests, which nobody
    /// can bring near each other byte by byte, in constant time, and with all keys even after one has fitted. That is why
    /// no test measures it: a measurement of microseconds on a busy machine shows less than these lines do.
    pub(super) fn find(&self, text: &[u8]) -> Option<KeyName> {
        let digest = Digest::of(text);
        let mut found = u8::MAX;
        for (index, (_, key)) in (0_u8..).zip(&self.0) {
            found.conditional_assign(&index, digest.0.ct_eq(&key.0));
        }
        self.0.get(usize::from(found)).map(|(name, _)| *name)
    }

    pub(super) fn names(&self) -> String {
        self.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// The names alone.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.names()).finish()
    }
}

/// Reads keys from a file of lines `NAME: KEY`, or from a folder with a file for each name, as Kubernetes mounts a secret.
///
/// # Errors
/// What is wrong with it. The text shows no key, nor anything else of the content.
pub(super) fn read(path: &Path) -> Result<Keys, String> {
    let problem = |problem: String| format!("{}: {problem}", path.display());
    let keys = if path.is_dir() { of_folder(path) } else { of_text(&content(path).map_err(problem)?) };
    keys.map_err(problem)
}

fn of_folder(folder: &Path) -> Result<Keys, String> {
    let mut digests = [None; 2];
    for (name, digest) in KeyName::ALL.into_iter().zip(&mut digests) {
        let file = folder.join(name.as_str());
        if file.try_exists().unwrap_or(true) {
            let read = content(&file).and_then(|text| Digest::of_key(text.trim_end_matches(['\r', '\n'])));
            *digest = Some(read.map_err(|problem| format!("{}: {problem}", name.as_str()))?);
        }
    }
    let [primary, secondary] = digests;
    Keys::new(primary, secondary).ok_or_else(|| "there is no file `primary` or `secondary` in this folder".to_owned())
}

fn of_text(text: &str) -> Result<Keys, String> {
    let mut digests = [None; 2];
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line == "---" {
            continue;
        }
        let at = |problem: &str| format!("line {number}: {problem}");
        let pair = line.split_once(':').and_then(|(name, key)| {
            let index = KeyName::ALL.iter().position(|known| known.as_str() == name.trim_end())?;
            Some((index, unquoted(key.trim())))
        });
        // What stands there may be a key without its name, and is not shown.
        let Some((index, key)) = pair else {
            return Err(at("expected `primary: KEY` or `secondary: KEY`"));
        };
        let digest = Digest::of_key(key).map_err(|problem| at(&problem))?;
        if digests[index].replace(digest).is_some() {
            return Err(at("there is a key of this name already"));
        }
    }
    let [primary, secondary] = digests;
    Keys::new(primary, secondary).ok_or_else(|| "there is no key; write `primary: KEY`".to_owned())
}

/// YAML's quotes, which tools may write around a value.
fn unquoted(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

fn content(path: &Path) -> Result<String, String> {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > MAX_FILE {
        return Err(format!("is longer than {MAX_FILE} bytes, which no two keys are"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "primary-0123456789";
    const B: &str = "secondary-0123456789";

    fn keys(primary: Option<&str>, secondary: Option<&str>) -> Keys {
        let digest = |key: &str| Digest::of_key(key).expect("a good key");
        Keys::new(primary.map(digest), secondary.map(digest)).expect("a key")
    }

    #[test]
    fn a_text_is_a_key_only_if_all_of_it_is() {
        let both = keys(Some(A), Some(B));
        let cases = [
            (A, Some(KeyName::Primary)),
            (B, Some(KeyName::Secondary)),
            ("", None),
            (&A[..17], None),
            (&A[1..], None),
            ("primary-0123456789 ", None),
            (" primary-0123456789", None),
            ("Primary-0123456789", None),
        ];
        for (text, expected) in cases {
            assert_eq!(both.find(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(keys(None, Some(B)).find(B.as_bytes()), Some(KeyName::Secondary));
        assert_eq!(keys(None, Some(B)).find(A.as_bytes()), None);
    }

    #[test]
    fn a_key_is_long_and_visible() {
        let visible = "a key is made of visible ASCII characters, without spaces";
        let cases = [
            ("0123456789abcde", "a key has 16 to 512 characters, and this has 15"),
            ("", "a key has 16 to 512 characters, and this has 0"),
            ("0123456789abcdef ", visible),
            ("0123456789 abcdef", visible),
            ("0123456789abcdef\u{e9}", visible),
            ("0123456789abcdef\u{7f}", visible),
        ];
        for (key, expected) in cases {
            assert_eq!(Digest::of_key(key).err().as_deref(), Some(expected), "{key:?}");
        }
        assert!(Digest::of_key(&"x".repeat(512)).is_ok());
        assert!(Digest::of_key(&"x".repeat(513)).is_err());
    }

    #[test]
    fn a_file_has_a_line_for_each_key() {
        for text in [
            format!("primary: {A}\nsecondary: {B}\n"),
            format!("# of Monday\n---\n\nsecondary : '{B}'\r\nprimary: \"{A}\""),
        ] {
            assert_eq!(of_text(&text), Ok(keys(Some(A), Some(B))), "{text}");
        }
        assert_eq!(of_text(&format!("secondary: {B}")), Ok(keys(None, Some(B))));
        let named = "expected `primary: KEY` or `secondary: KEY`";
        for (text, expected) in [
            (String::new(), "there is no key; write `primary: KEY`".to_owned()),
            (A.to_owned(), format!("line 1: {named}")),
            (format!("primary: {A}\nthird: {B}"), format!("line 2: {named}")),
            (format!("primary: {A}\n\nprimary: {A}"), "line 3: there is a key of this name already".to_owned()),
            ("primary: short".to_owned(), "line 1: a key has 16 to 512 characters, and this has 5".to_owned()),
        ] {
            assert_eq!(of_text(&text), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_folder_has_a_file_for_each_key() {
        let folder = tempfile::tempdir().unwrap();
        let told = |problem: &str| Err(format!("{}: {problem}", folder.path().display()));
        assert_eq!(read(folder.path()), told("there is no file `primary` or `secondary` in this folder"));
        std::fs::write(folder.path().join("primary"), format!("{A}\n")).unwrap();
        std::fs::write(folder.path().join("ca.crt"), "something else").unwrap();
        assert_eq!(read(folder.path()), Ok(keys(Some(A), None)));
        std::fs::write(folder.path().join("secondary"), "short").unwrap();
        assert_eq!(read(folder.path()), told("secondary: a key has 16 to 512 characters, and this has 5"));
        std::fs::write(folder.path().join("secondary"), B).unwrap();
        assert_eq!(read(folder.path()), Ok(keys(Some(A), Some(B))));
        std::fs::write(folder.path().join("secondary"), "x".repeat(20_000)).unwrap();
        assert_eq!(read(folder.path()), told("secondary: is longer than 16384 bytes, which no two keys are"));
    }
}
