//! Opens, reads and writes files, by the names it is given.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::ErrorCode;
use weir_sdk::node;

/// Does each step, `VERB PATH [MORE]`, and says what came of it. The last word may be a number: of bytes, or of files.
#[node]
fn files_does(steps: Vec<Vec<String>>) -> Vec<String> {
    steps.iter().map(|step| step_done(step).unwrap_or_else(|error| format!("{:?}", error.kind()))).collect()
}

fn step_done(step: &[String]) -> std::io::Result<String> {
    let word = |at: usize| step.get(at).map_or("", String::as_str);
    let number = |at: usize| word(at).parse::<u64>().unwrap_or_default();
    let (verb, path) = (word(0), word(1));
    let done = |()| "done".to_owned();
    match verb {
        "read" => fs::read_to_string(path),
        "write" => fs::write(path, word(2)).map(done),
        "truncate" => OpenOptions::new().write(true).truncate(true).open(path).map(|_| done(())),
        "append" => OpenOptions::new().append(true).open(path)?.write_all(word(2).as_bytes()).map(done),
        "create" => OpenOptions::new().write(true).create_new(true).open(path).map(|_| done(())),
        "list" => {
            let mut names: Vec<_> =
                fs::read_dir(path)?.flatten().map(|it| it.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            Ok(names.join(" "))
        }
        "stat" => {
            fs::metadata(path).map(|it| if it.is_dir() { "folder".to_owned() } else { format!("{} bytes", it.len()) })
        }
        "mkdir" => fs::create_dir(path).map(done),
        "unlink" => fs::remove_file(path).map(done),
        "rmdir" => fs::remove_dir(path).map(done),
        "rename" => fs::rename(path, word(2)).map(done),
        "hardlink" => fs::hard_link(path, word(2)).map(done),
        "symlink" => Ok(symlinked(path, word(2))),
        "readlink" => fs::read_link(path).map(|it| it.display().to_string()),
        // Writes so many bytes in pieces, and says how many went through.
        "fill" => {
            let (mut file, piece, mut written) = (fs::File::create(path)?, vec![b'x'; 64 * 1024], 0);
            while written < number(2) {
                match file.write(&piece) {
                    Ok(length) => written += length as u64,
                    Err(error) => return Ok(format!("{written} then {:?}", error.kind())),
                }
            }
            Ok(format!("{written}"))
        }
        // One byte, so far behind the beginning.
        "far" => {
            let mut file = fs::File::create(path)?;
            file.seek(SeekFrom::Start(number(2)))?;
            file.write_all(b"x").map(done)
        }
        "grow" => OpenOptions::new().write(true).create(true).truncate(false).open(path)?.set_len(number(2)).map(done),
        "many" => {
            for made in 0..number(2) {
                if let Err(error) = fs::File::create(Path::new(path).join(made.to_string())) {
                    return Ok(format!("{made} then {:?}", error.kind()));
                }
            }
            Ok("all".to_owned())
        }
        // So many folders, each in the one before, and a file in the last.
        "deep" => {
            let mut path = Path::new(path).to_owned();
            for _ in 0..number(2) {
                path.push("d");
                fs::create_dir(&path)?;
            }
            fs::write(path.join("file"), "x").map(done)
        }
        // As far as it comes without waiting for ever.
        "begin" => {
            let mut first = [0; 4];
            let length = fs::File::open(path)?.read(&mut first)?;
            Ok(format!("{length} bytes"))
        }
        "env" => Ok(std::env::vars().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")),
        "args" => Ok(std::env::args().collect::<Vec<_>>().join(" ")),
        _ => Ok(format!("no verb {verb}")),
    }
}

/// What the standard library has no stable name for.
fn symlinked(target: &str, link: &str) -> String {
    for (folder, name) in get_directories() {
        if let Some(within) = link.strip_prefix(&format!("{name}/")) {
            return match folder.symlink_at(target, within) {
                Ok(()) => "done".to_owned(),
                Err(ErrorCode::NotPermitted) => "PermissionDenied".to_owned(),
                Err(other) => format!("{other:?}"),
            };
        }
    }
    "NotFound".to_owned()
}
