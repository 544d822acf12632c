//! Specifiers, systemd.unit(5) "Specifiers": `%n` and the like.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{getgid, getuid};
use rustix::system::uname;

use super::account::{Account, group_name};
use super::finding::ValueError;
use crate::model::UnitName;

/// The directories that specifiers and RuntimeDirectory= and its kin refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// `%t`: /run, or $XDG_RUNTIME_DIR.
    pub runtime: PathBuf,
    /// `%S`: /var/lib, or $XDG_STATE_HOME.
    pub state: PathBuf,
    /// `%C`: /var/cache, or $XDG_CACHE_HOME.
    pub cache: PathBuf,
    /// `%L`: /var/log, or $XDG_STATE_HOME/log.
    pub logs: PathBuf,
    /// `%E`: /etc, or $XDG_CONFIG_HOME.
    pub configuration: PathBuf,
    /// `%D`: /usr/share, or $XDG_DATA_HOME.
    pub shared: PathBuf,
}

impl Directories {
    /// Those of the system manager.
    #[must_use]
    pub fn system() -> Self {
        Self {
            runtime: "/run".into(),
            state: "/var/lib".into(),
            cache: "/var/cache".into(),
            logs: "/var/log".into(),
            configuration: "/etc".into(),
            shared: "/usr/share".into(),
        }
    }

    /// All of them below `root`.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        let dir = |name| root.join(name);
        Self {
            runtime: dir("run"),
            state: dir("state"),
            cache: dir("cache"),
            logs: dir("log"),
            configuration: dir("etc"),
            shared: dir("share"),
        }
    }
}

/// What specifiers stand for in one unit.
#[derive(Clone, Debug)]
pub struct Specifiers {
    unit: UnitName,
    directories: Directories,
    /// The instance is a stand-in: the file is a template.
    is_template: bool,
}

impl Specifiers {
    /// For `unit` (an instance, where it has one).
    #[must_use]
    pub fn new(unit: UnitName, directories: Directories) -> Self {
        Self { unit, directories, is_template: false }
    }

    /// For the template `unit`, read as an instance of it whose name nothing may depend on.
    #[must_use]
    pub fn of_template(unit: UnitName, directories: Directories) -> Self {
        let instance = UnitName::new(format!("{}instance.{}", unit.stem(), unit.suffix()));
        Self { unit: instance.unwrap_or(unit), directories, is_template: true }
    }

    /// Whether what stands in `text` is known only when there is an instance.
    #[must_use]
    pub fn depends_on_instance(&self, text: &str) -> bool {
        self.is_template && ["%i", "%I", "%f", "%n", "%N"].iter().any(|specifier| text.contains(specifier))
    }

    /// The unit.
    #[must_use]
    pub fn unit(&self) -> &UnitName {
        &self.unit
    }

    /// The directories.
    #[must_use]
    pub fn directories(&self) -> &Directories {
        &self.directories
    }

    /// Where the credentials of the unit are, systemd.exec(5) "CREDENTIALS".
    #[must_use]
    pub fn credentials(&self) -> PathBuf {
        self.directories.runtime.join("credentials").join(self.unit.as_str())
    }

    /// Replaces every specifier of `text`. A percent sign before anything but a letter or digit stays as it is.
    ///
    /// # Errors
    /// When a letter stands for nothing here.
    pub fn replace(&self, text: &str) -> Result<String, ValueError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match rest.clone().next() {
                Some('%') => {
                    out.push('%');
                    rest.next();
                }
                Some(letter) if letter.is_ascii_alphanumeric() => {
                    out.push_str(&self.value(letter).ok_or(ValueError::Specifier { letter })?);
                    rest.next();
                }
                _ => out.push('%'),
            }
        }
        Ok(out)
    }

    fn value(&self, letter: char) -> Option<String> {
        self.of_the_unit(letter).or_else(|| self.of_the_place(letter)).or_else(|| of_the_host(letter))
    }

    fn of_the_unit(&self, letter: char) -> Option<String> {
        let stem = self.unit.stem();
        let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
        let last = prefix.rsplit('-').next().unwrap_or(prefix);
        Some(match letter {
            'n' => self.unit.to_string(),
            'N' => stem.to_owned(),
            'p' => prefix.to_owned(),
            'P' => unescape(prefix),
            'i' => instance.to_owned(),
            'I' => unescape(instance),
            'j' => last.to_owned(),
            'J' => unescape(last),
            'f' => absolute(unescape(if instance.is_empty() { prefix } else { instance })),
            // Where the file is found is not known here: the folder stands for it.
            'y' => format!("/etc/systemd/system/{}", self.unit.template().unwrap_or_else(|| self.unit.to_string())),
            'Y' => "/etc/systemd/system".to_owned(),
            // Deprecated, and read by every version up to 262: the control groups of the unit.
            'c' => format!("/system.slice/{}", self.unit),
            'r' => "/system.slice".to_owned(),
            'R' => "/".to_owned(),
            _ => return None,
        })
    }

    fn of_the_place(&self, letter: char) -> Option<String> {
        let temporary = |variable_path: &str| {
            ["TMPDIR", "TEMP", "TMP"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or(variable_path.into())
        };
        let path = match letter {
            't' => &self.directories.runtime,
            'S' => &self.directories.state,
            'C' => &self.directories.cache,
            'L' => &self.directories.logs,
            'E' => &self.directories.configuration,
            'D' => &self.directories.shared,
            'd' => return Some(self.credentials().display().to_string()),
            'T' => return Some(temporary("/tmp")),
            'V' => return Some(temporary("/var/tmp")),
            _ => return None,
        };
        Some(path.display().to_string())
    }
}

fn of_the_host(letter: char) -> Option<String> {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    let account = || Account::find(&uid.to_string());
    let host = || uname().nodename().to_string_lossy().into_owned();
    Some(match letter {
        'u' => account().map_or_else(|| uid.to_string(), |account| account.name),
        'U' => uid.to_string(),
        'g' => group_name(gid).unwrap_or_else(|| gid.to_string()),
        'G' => gid.to_string(),
        'h' => account()?.home.display().to_string(),
        's' => account()?.shell.display().to_string(),
        'H' => host(),
        'l' => host().split('.').next().unwrap_or_default().to_owned(),
        'v' => uname().release().to_string_lossy().into_owned(),
        'm' => fs::read_to_string("/etc/machine-id").ok()?.trim().to_owned(),
        'b' => fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().replace('-', ""),
        'a' => architecture(std::env::consts::ARCH).to_owned(),
        'A' => os_release("IMAGE_VERSION"),
        'B' => os_release("BUILD_ID"),
        'M' => os_release("IMAGE_ID"),
        'o' => os_release("ID"),
        'w' => os_release("VERSION_ID"),
        'W' => os_release("VARIANT_ID"),
        'q' => {
            let pretty = assigned(&fs::read_to_string("/etc/machine-info").unwrap_or_default(), "PRETTY_HOSTNAME");
            if pretty.is_empty() { host().split('.').next().unwrap_or_default().to_owned() } else { pretty }
        }
        _ => return None,
    })
}

/// A field of os-release(5); empty if it is not set.
fn os_release(field: &str) -> String {
    let text = fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release"));
    assigned(&text.unwrap_or_default(), field)
}

/// What a file of shell assignments gives `name`, without its quotes; empty if nothing.
fn assigned(text: &str, name: &str) -> String {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
}

/// systemd's word for Rust's.
fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "x86-64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// Undoes the escaping of unit names: `-` is `/`, `\xNN` is a byte.
fn unescape(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let escaped = behind.strip_prefix(b"x").and_then(|digits| std::str::from_utf8(digits.get(..2)?).ok());
        match (byte, escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'\\', Some(value)) => {
                bytes.push(value);
                rest = &behind[3..];
            }
            (b'-', _) => {
                bytes.push(b'/');
                rest = behind;
            }
            _ => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn absolute(path: String) -> String {
    if path.starts_with('/') { path } else { format!("/{path}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(unit: &str) -> Specifiers {
        Specifiers::new(UnitName::new(unit).expect("valid"), Directories::system())
    }

    #[test]
    fn the_name_of_an_instance_is_taken_apart() {
        let specifiers = of("web-app@srv-my\\x2dsite.service");
        for (text, value) in [
            ("%n", "web-app@srv-my\\x2dsite.service"),
            ("%N", "web-app@srv-my\\x2dsite"),
            ("%p|%P", "web-app|web/app"),
            ("%i|%I", "srv-my\\x2dsite|srv/my-site"),
            ("%j", "app"),
            ("%f", "/srv/my-site"),
            ("%t/%p.sock", "/run/web-app.sock"),
            ("100%%", "100%"),
            ("50% of", "50% of"),
            ("%", "%"),
        ] {
            assert_eq!(specifiers.replace(text).expect(text), value, "{text}");
        }
    }

    #[test]
    fn a_letter_or_digit_that_is_no_specifier_is_an_error() {
        for letter in ['Q', '1', 'x'] {
            assert_eq!(of("a.service").replace(&format!("x%{letter}")), Err(ValueError::Specifier { letter }));
        }
    }

    #[test]
    fn every_specifier_of_the_manual_has_a_value() {
        for letter in "aAbBCdDEfgGhHiIjJlLmMnNopPqsStTuUvVwW".chars() {
            assert!(of("a.service").replace(&format!("%{letter}")).is_ok(), "%{letter}");
        }
        assert_eq!(of("a@b.service").replace("%d/key").expect("known"), "/run/credentials/a@b.service/key");
    }

    #[test]
    fn the_user_is_who_we_are() {
        assert_eq!(of("a.service").replace("%U"), Ok(getuid().as_raw().to_string()));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[%nNiIfj\\\\x])*", instance in "[a-z\\\\x-]{0,9}") {
            let _ = of(&format!("a@{instance}.service")).replace(&text);
        }
    }
}
