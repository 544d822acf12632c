//! Whether a twin has run out of space: what is written there then fails, as it would not on the machine.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use rustix::fs::statvfs;

/// How often is looked: what fills a file system in less, and makes room again, is not seen.
const LOOKS: Duration = Duration::from_millis(50);

/// What of a twin has an end of its own, and its name. The scratch is below / and /tmp.
const PLACES: [(&str, &str); 3] = [("", "scratch"), ("run", "/run"), ("dev/shm", "/dev/shm")];

/// Of a file system's size, what is as good as nothing: a program that needs more at once leaves it.
const AS_GOOD_AS_NOTHING: u64 = 256;

/// Watches a twin from inside.
#[derive(Debug)]
pub struct Space {
    shortage: Arc<OnceLock<String>>,
}

impl Space {
    /// Begins to look, until this is dropped.
    #[must_use]
    pub fn watch() -> Self {
        let shortage = Arc::new(OnceLock::new());
        let seen = Arc::clone(&shortage);
        // Without the thread, the looks are those that are asked for.
        let _ = thread::Builder::new().name("space".to_owned()).spawn(move || {
            while Arc::strong_count(&seen) > 1 {
                if let Some(sentence) = shortage_in(Path::new("/")) {
                    let _ = seen.set(sentence);
                    return;
                }
                thread::sleep(LOOKS);
            }
        });
        Self { shortage }
    }

    /// What was full, now or before, and what to do; none if nothing was.
    #[must_use]
    pub fn shortage(&self) -> Option<String> {
        self.shortage.get().cloned().or_else(|| shortage_in(Path::new("/")))
    }
}

/// What of the twin with that root is full, and what to do.
pub(super) fn shortage_in(root: &Path) -> Option<String> {
    let (name, size) = PLACES.iter().find_map(|(place, name)| {
        let status = statvfs(root.join(place)).ok()?;
        let size = status.f_blocks * status.f_frsize;
        let is_full = status.f_bavail * status.f_frsize <= size / AS_GOOD_AS_NOTHING
            || (status.f_files > 0 && status.f_favail == 0);
        // What has no size, has no end.
        (size > 0 && is_full).then_some((name, size))
    })?;
    Some(format!(
        "the twin's {name} ({} MiB) is full, so what happens in the twin is not what happens on this machine: rehearse with \
         a larger --scratch-size, or with --scratch DIR to write to a disk instead of memory",
        size >> 20
    ))
}
