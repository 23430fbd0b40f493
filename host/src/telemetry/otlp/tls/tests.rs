use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

/// A certificate and its key, as text.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn written(folder: &TempDir, name: &str, text: &str) -> File {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    File { path, variable: "VARIABLE" }
}

fn problems(authorities: Option<File>, client: Option<(File, File)>) -> Vec<String> {
    let client = client.map(|(certificate, key)| ClientFiles { certificate, key });
    let result = Certificates::read(&Files { authorities, client });
    // Where the files are changes from run to run.
    let told = result.err().unwrap_or_default();
    told.into_iter().map(|problem| problem.split_once("\": ").map_or(problem.clone(), |it| it.1.to_owned())).collect()
}

#[test]
fn files_that_belong_together_can_be_used() {
    let folder = TempDir::new().unwrap();
    let (certificate, key) = pair();
    let both = format!("# a comment\n{certificate}{}", pair().0);
    let (certificate, key) = (written(&folder, "c", &certificate), written(&folder, "k", &key));
    assert_eq!(problems(Some(written(&folder, "both", &both)), Some((certificate, key))), Vec::<String>::new());
    assert_eq!(problems(None, None), Vec::<String>::new());
}

#[test]
fn all_that_is_wrong_with_files_is_told() {
    let folder = TempDir::new().unwrap();
    let (certificate, key) = pair();
    let (one, other) = (written(&folder, "c", &certificate), written(&folder, "other", &pair().1));
    let secret = written(&folder, "k", &key);
    let no_certificate = "it holds no certificate; it must be PEM, with -----BEGIN CERTIFICATE-----";
    let no_key = "it holds no key; it must be PEM without a password, with -----BEGIN PRIVATE KEY-----";
    let absent = File { path: folder.path().join("absent"), variable: "VARIABLE" };
    assert_eq!(
        problems(Some(absent), Some((secret.clone(), one.clone()))),
        ["it cannot be read: No such file or directory (os error 2)", no_certificate, no_key]
    );
    assert_eq!(problems(Some(written(&folder, "empty", "")), None), [no_certificate]);
    let broken = written(&folder, "broken", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    assert!(problems(Some(broken), None)[0].starts_with("it cannot be read as PEM: "));
    let hollow = written(&folder, "hollow", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(problems(Some(hollow), None)[0].starts_with("one of its certificates is not valid: "));
    let strange = problems(None, Some((one.clone(), other)));
    assert_eq!(strange, [format!("it is not the key of {:?}", one.path)]);
}

#[test]
fn what_is_told_names_the_variable_and_the_file_and_nothing_secret() {
    let folder = TempDir::new().unwrap();
    let file = written(&folder, "k", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE");
    let told = private_key(&file).unwrap_err();
    assert!(told.starts_with(&format!("VARIABLE: {:?}: it holds no key", file.path)), "{told}");
    assert!(!told.contains("c2VjcmV0"));
}

#[test]
fn what_is_made_of_files_is_made_anew_when_they_change() {
    fn replace(path: &Path, text: &str, second: u64) {
        fs::write(path, text).unwrap();
        let changed = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
        fs::File::options().write(true).open(path).unwrap().set_modified(changed).unwrap();
    }
    let folder = TempDir::new().unwrap();
    let file = written(&folder, "ca", &pair().0);
    let files = Files { authorities: Some(file.clone()), client: None };
    let renewed = Renewed::new(&files, |it| Ok(it.authorities.clone().unwrap_or_default())).unwrap();
    let first = renewed.get();
    assert_eq!(renewed.get(), first);

    // While it is half written, what was there holds.
    replace(&file.path, "-----BEGIN", 1);
    assert_eq!(renewed.get(), first);
    let next = pair().0;
    replace(&file.path, &next, 2);
    assert_eq!(renewed.get(), next.as_bytes());
    fs::remove_file(&file.path).unwrap();
    assert_eq!(renewed.get(), next.as_bytes());

    assert!(Renewed::new(&files, |_| Ok(())).is_err());
}
