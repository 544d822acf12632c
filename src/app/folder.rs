//! A run's folder: `result.json`, the other reports and the records. It may lie where others can write, and a saved one
//! may be anybody's: everything in it is reached through descriptors, no link in it is followed, and nothing but regular
//! files is opened.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode, fchown, fstat, mkdirat, openat, renameat, unlinkat,
};

use super::caller::Caller;
use crate::record::reader::LARGEST_RECORD_BYTES;
use crate::result::RunResult;

/// A run's folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    directory: OwnedFd,
    visibility: Visibility,
    caller: Option<Caller>,
    /// It was not there before.
    is_made: bool,
}

/// Who may read a run's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Whoever the caller's umask lets: nothing secret is in it.
    Umask,
    /// Its owner alone.
    Owner,
}

impl Visibility {
    fn of_directory(self) -> RawMode {
        if self == Self::Owner { 0o700 } else { 0o777 }
    }

    fn of_file(self) -> RawMode {
        if self == Self::Owner { 0o600 } else { 0o666 }
    }
}

impl Folder {
    /// Makes the folder: `wanted`, which must be new or empty, or else a new one under `reports/` named after the
    /// time. What is made of it where `caller` could have made it belongs to that user.
    ///
    /// # Errors
    /// When it cannot be made, or holds something.
    pub fn create(wanted: Option<&Path>, visibility: Visibility, caller: Option<Caller>) -> anyhow::Result<Self> {
        let folder = Self::reserve(wanted, visibility, caller)?;
        let what = || format!("cannot make the folder of this run, {}; use --out elsewhere", folder.path.display());
        folder.subfolder("records").with_context(what)?;
        Ok(folder)
    }

    /// Makes it without anything in it, for a run that another process makes.
    ///
    /// # Errors
    /// When it cannot be made, or holds something.
    pub fn reserve(wanted: Option<&Path>, visibility: Visibility, caller: Option<Caller>) -> anyhow::Result<Self> {
        let path = match wanted {
            Some(path) => path.to_owned(),
            None => unused(&PathBuf::from("reports").join(crate::app::stamp::folder_name())),
        };
        let what = || format!("cannot make the folder of this run, {}; use --out elsewhere", path.display());
        let is_made = !path.exists();
        let directory = make_all(&path, visibility, caller).with_context(what)?;
        if !is_empty(&directory).with_context(what)? {
            anyhow::bail!("{} is not empty: a run never overwrites another; use a new --out", path.display());
        }
        Ok(Self { path, directory, visibility, caller, is_made })
    }

    /// The folder of a run that is over.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn existing(path: &Path) -> anyhow::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, path, flags, Mode::empty())
            .with_context(|| format!("cannot open {}: is this the folder of a run?", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            directory,
            visibility: Visibility::Umask,
            caller: Caller::of_sudo(),
            is_made: false,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the record of a scenario.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_record(&self, name: &str) -> anyhow::Result<File> {
        let what = || format!("cannot make the record {}", self.path.join(record_path(name)).display());
        let records = self.subfolder("records").with_context(what)?;
        Ok(File::from(self.create_file(&records, format!("{name}.jsonl")).with_context(what)?))
    }

    /// Takes back what [`Self::create`] and [`Self::create_record`] made, where nothing came of it: as far as it is empty.
    pub fn discard(&self, name: &str) {
        if let Ok(records) = open_directory(&self.directory, "records") {
            let _ = unlinkat(&records, format!("{name}.jsonl"), AtFlags::empty());
        }
        let _ = unlinkat(&self.directory, "records", AtFlags::REMOVEDIR);
        if self.is_made {
            let _ = std::fs::remove_dir(&self.path);
        }
    }

    /// The names of the records in it.
    ///
    /// # Errors
    /// When the folder cannot be read or holds none.
    pub fn records(&self) -> anyhow::Result<Vec<String>> {
        let what = || format!("cannot read {}: is this the folder of a run?", self.path.join("records").display());
        let records = open_directory(&self.directory, "records").with_context(what)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&records).with_context(what)? {
            let name = entry.with_context(what)?.file_name().to_string_lossy().into_owned();
            names.extend(name.strip_suffix(".jsonl").map(str::to_owned));
            anyhow::ensure!(
                names.len() <= MOST_RECORDS,
                "{} holds more than {MOST_RECORDS} records",
                self.path.display()
            );
        }
        names.sort();
        anyhow::ensure!(!names.is_empty(), "{} holds no record", self.path.join("records").display());
        Ok(names)
    }

    /// Opens the record of that name.
    ///
    /// # Errors
    /// When it is not a regular file of at most [`LARGEST_RECORD_BYTES`], or cannot be opened.
    pub fn open_record(&self, name: &str) -> anyhow::Result<File> {
        let what = || format!("cannot use the record {}", self.path.join(record_path(name)).display());
        let records = open_directory(&self.directory, "records").with_context(what)?;
        open_regular(&records, &format!("{name}.jsonl"), LARGEST_RECORD_BYTES).with_context(what)
    }

    /// The bytes of another file in it, none if it holds no such file.
    ///
    /// # Errors
    /// When it is not a regular file, or cannot be read.
    pub fn read(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let what = || format!("cannot use {}", self.path.join(name).display());
        match open_regular(&self.directory, name, LARGEST_RECORD_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => {
                let mut bytes = Vec::new();
                opened.with_context(what)?.take(LARGEST_RECORD_BYTES).read_to_end(&mut bytes).with_context(what)?;
                Ok(Some(bytes))
            }
        }
    }

    /// Writes every report of `result`, replacing older ones whole. One that cannot be rendered or written does
    /// not keep the others from being written.
    ///
    /// # Errors
    /// The first failure.
    pub fn write_reports(&self, result: &RunResult) -> anyhow::Result<()> {
        let mut first_error = None;
        for report in super::reports::render(result) {
            let written = report.and_then(|(name, bytes)| {
                self.replace(&name, &bytes).with_context(|| format!("cannot write {}", self.path.join(&name).display()))
            });
            if let Err(error) = written {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Puts `bytes` at `name`, which may be in a folder of this one, in one step: a reader sees the old file or the new
    /// one, never half of it. A draft that cannot be finished is removed.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (subfolder, name) = name.split_once('/').map_or((None, name), |(folder, name)| (Some(folder), name));
        let opened = subfolder.map(|folder| self.subfolder(folder)).transpose()?;
        let directory = opened.as_ref().unwrap_or(&self.directory);
        let draft = Path::new(name).with_extension("draft");
        // One that was left half-written goes. Should it be a link to elsewhere, it is the link that goes.
        match unlinkat(directory, &draft, AtFlags::empty()) {
            Err(error) if error != rustix::io::Errno::NOENT => return Err(error.into()),
            _ => {}
        }
        let mut file = File::from(self.create_file(directory, &draft)?);
        let written = file.write_all(bytes).and_then(|()| Ok(renameat(directory, &draft, directory, name)?));
        if written.is_err() {
            let _ = unlinkat(directory, &draft, AtFlags::empty());
        }
        written
    }

    /// A folder in this one, made where it is missing.
    fn subfolder(&self, name: &str) -> io::Result<OwnedFd> {
        match open_directory(&self.directory, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(&self.directory, Path::new(name), self.visibility, self.caller)
            }
            opened => opened,
        }
    }

    /// A new file; it belongs to the caller where its folder does.
    fn create_file(&self, directory: &OwnedFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(directory, name, flags, Mode::from_raw_mode(self.visibility.of_file()))?;
        if let Some(caller) = self.caller.filter(|caller| fstat(directory).is_ok_and(|folder| caller.owns(&folder))) {
            fchown(&file, Some(caller.uid), Some(caller.gid))?;
        }
        Ok(file)
    }
}

/// More records than any run makes.
const MOST_RECORDS: usize = 10_000;

fn record_path(name: &str) -> String {
    format!("records/{name}.jsonl")
}

/// `path`, or the first of `path-2`, `path-3`, ... that is not there.
fn unused(path: &Path) -> PathBuf {
    let numbered = (2..).map(|n| PathBuf::from(format!("{}-{n}", path.display())));
    std::iter::once(path.to_owned()).chain(numbered).find(|path| !path.exists()).unwrap_or_else(|| path.to_owned())
}

/// Opens the directory at `path`, and makes what of it is missing.
fn make_all(path: &Path, visibility: Visibility, caller: Option<Caller>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let start = if path.is_absolute() { "/" } else { "." };
    let mut directory = openat(CWD, start, flags, Mode::empty())?;
    let steps = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(Path::new(name)),
        Component::ParentDir => Some(Path::new("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    for step in steps {
        directory = match openat(&directory, step, flags, Mode::empty()) {
            Ok(next) => next,
            Err(rustix::io::Errno::NOENT) => make(&directory, step, visibility, caller)?,
            // It may be passed through all the same.
            Err(rustix::io::Errno::ACCESS) => {
                openat(&directory, step, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?
            }
            Err(error) => return Err(error.into()),
        };
    }
    Ok(directory)
}

/// Makes a directory. It is given to the caller only if the caller could have made it, and only if it is the one that was
/// made: empty, and ours.
fn make(parent: &OwnedFd, name: &Path, visibility: Visibility, caller: Option<Caller>) -> io::Result<OwnedFd> {
    mkdirat(parent, name, Mode::from_raw_mode(visibility.of_directory()))?;
    let made =
        openat(parent, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let parent = fstat(parent)?;
    if let Some(caller) = caller.filter(|caller| caller.could_write(&parent)) {
        let is_ours = fstat(&made)?.st_uid == rustix::process::geteuid().as_raw() && is_empty(&made)?;
        if is_ours {
            fchown(&made, Some(caller.uid), Some(caller.gid))?;
        }
    }
    Ok(made)
}

fn is_empty(directory: &OwnedFd) -> io::Result<bool> {
    for entry in Dir::read_from(directory)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn open_directory(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

/// Opens a regular file of at most that size. Opening a FIFO or a device neither waits nor does anything to it.
fn open_regular(directory: &OwnedFd, name: &str, most_bytes: u64) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match openat(directory, name, flags, Mode::empty()) {
        Err(rustix::io::Errno::LOOP) => return Err(io::Error::other("it is a link, which no run leaves")),
        opened => opened?,
    };
    let status = fstat(&file)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is not a regular file"));
    }
    if u64::try_from(status.st_size).unwrap_or(u64::MAX) > most_bytes {
        let most = most_bytes >> 20;
        return Err(io::Error::other(format!("it is larger than {most} MiB, which no run leaves")));
    }
    Ok(File::from(file))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").mode() & 0o777
    }

    #[test]
    fn a_runs_folder_follows_the_umask_and_one_with_bodies_is_its_owners_alone() {
        let place = tempfile::tempdir().expect("a place");
        // What the umask leaves of a directory that anybody may write to.
        let open = place.path().join("open");
        fs::create_dir(&open).expect("made");
        for (visibility, directory, file) in
            [(Visibility::Umask, mode(&open), mode(&open) & 0o666), (Visibility::Owner, 0o700, 0o600)]
        {
            let out = place.path().join(format!("{visibility:?}/out"));
            let folder = Folder::create(Some(&out), visibility, None).expect("made");
            folder.replace("result.json", b"{}").expect("written");
            folder.create_record("a").expect("made");
            let modes = ["", "records", "result.json", "records/a.jsonl"].map(|name| mode(&out.join(name)));
            assert_eq!(modes, [directory, directory, file, file]);
        }
    }

    #[test]
    fn no_link_that_somebody_put_there_is_followed_out_of_the_folder() {
        let place = tempfile::tempdir().expect("a place");
        let (elsewhere, out) = (place.path().join("elsewhere"), place.path().join("out"));
        fs::create_dir_all(elsewhere.join("charts")).expect("made");
        fs::write(elsewhere.join("work"), "somebody's").expect("written");
        let folder = Folder::create(Some(&out), Visibility::Umask, None).expect("made");
        symlink(elsewhere.join("work"), out.join("report.md")).expect("made");
        symlink(elsewhere.join("work"), out.join("report.draft")).expect("made");
        symlink(elsewhere.join("charts"), out.join("charts")).expect("made");
        folder.replace("report.md", b"ours").expect("written");
        assert!(folder.replace("charts/a.svg", b"ours").is_err());
        assert_eq!(fs::read_to_string(elsewhere.join("work")).expect("it is there"), "somebody's");
        assert_eq!(fs::read_to_string(out.join("report.md")).expect("it is there"), "ours");
        assert!(!out.join("report.md").is_symlink());
        assert_eq!(fs::read_dir(elsewhere.join("charts")).expect("readable").count(), 0);
    }

    #[test]
    fn of_a_saved_run_only_regular_files_are_opened() {
        let place = tempfile::tempdir().expect("a place");
        let out = place.path().join("out");
        Folder::create(Some(&out), Visibility::Umask, None).expect("made");
        symlink("/dev/zero", out.join("records/link.jsonl")).expect("made");
        let fifo = out.join("records/fifo.jsonl");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("made");
        fs::create_dir(out.join("records/folder.jsonl")).expect("made");
        let large = File::create(out.join("records/large.jsonl")).expect("made");
        large.set_len(LARGEST_RECORD_BYTES + 1).expect("sparse");
        let folder = Folder::existing(&out).expect("it is there");
        for (name, reason) in [
            ("link", "it is a link"),
            ("fifo", "not a regular file"),
            ("folder", "not a regular file"),
            ("large", "larger than"),
        ] {
            let error = folder.open_record(name).expect_err("refused");
            assert!(format!("{error:#}").contains(reason), "{error:#}");
        }
    }

    #[test]
    fn what_cannot_be_written_leaves_no_draft() {
        let place = tempfile::tempdir().expect("a place");
        let folder = Folder::create(Some(&place.path().join("out")), Visibility::Umask, None).expect("made");
        fs::create_dir(folder.path().join("report.md")).expect("made");
        assert!(folder.replace("report.md", b"ours").is_err());
        assert!(!folder.path().join("report.draft").exists());
    }
}
