//! The built-in scenarios: what a restart loses, and what a held socket saves.
//!
//! They are files like any other scenario's, made for this machine by [`write_to`]: the service is our own binary,
//! and each scenario has a port of its own.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

/// Scenarios in the order they are run: file name and text.
const SCENARIOS: &[(&str, &str)] = &[
    ("plain-restart.toml", include_str!("plain-restart.toml")),
    ("socket-restart.toml", include_str!("socket-restart.toml")),
    ("plain-kill.toml", include_str!("plain-kill.toml")),
    ("socket-kill.toml", include_str!("socket-kill.toml")),
    ("slow-start.toml", include_str!("slow-start.toml")),
    ("slow-stop.toml", include_str!("slow-stop.toml")),
    ("small-backlog.toml", include_str!("small-backlog.toml")),
];

/// Their unit files.
const UNITS: &[(&str, &str)] = &[
    ("plain.service", include_str!("units/plain.service")),
    ("held.service", include_str!("units/held.service")),
    ("held.socket", include_str!("units/held.socket")),
    ("busy.service", include_str!("units/busy.service")),
    ("busy.socket", include_str!("units/busy.socket")),
    ("slow-start.service", include_str!("units/slow-start.service")),
    ("slow-start.socket", include_str!("units/slow-start.socket")),
    ("slow-stop.service", include_str!("units/slow-stop.service")),
    ("slow-stop.socket", include_str!("units/slow-stop.socket")),
    ("small-backlog.service", include_str!("units/small-backlog.service")),
    ("small-backlog.socket", include_str!("units/small-backlog.socket")),
];

/// Writes the scenarios and their units into `folder`, each scenario into a folder of its own, with free ports and
/// `gapless` as the service. The paths of the scenarios, in the order they are to be run.
///
/// # Errors
/// When a file cannot be written, or there is no free port.
pub fn write_to(folder: &Path, gapless: &Path) -> io::Result<Vec<PathBuf>> {
    let gapless = word_of_unit_file(gapless)?;
    let mut paths = Vec::with_capacity(SCENARIOS.len());
    for (file, text) in SCENARIOS {
        let port = free_port()?.to_string();
        let fill = |text: &str| text.replace("{port}", &port).replace("{gapless}", &gapless);
        let own = folder.join(file.trim_end_matches(".toml"));
        fs::create_dir_all(own.join("units"))?;
        for (unit, unit_text) in UNITS.iter().filter(|(unit, _)| text.contains(unit)) {
            fs::write(own.join("units").join(unit), fill(unit_text))?;
        }
        let path = own.join(file);
        fs::write(&path, fill(text))?;
        paths.push(path);
    }
    Ok(paths)
}

/// A port that nobody uses now.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A path as a quoted word of ExecStart=, systemd.syntax(7): `%` and `$` would be replaced.
fn word_of_unit_file(path: &Path) -> io::Result<String> {
    let not_text = || io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not UTF-8", path.display()));
    let path = path.to_str().ok_or_else(not_text)?;
    let escaped = path.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    Ok(format!("\"{escaped}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Overrides, load_all};

    #[test]
    fn they_are_scenarios_without_a_mistake_whatever_the_path_of_the_binary() {
        let folder = tempfile::tempdir().unwrap();
        let paths = write_to(folder.path(), Path::new("/opt/my \"tools\" 100%/gapless")).unwrap();
        let scenarios = load_all(&paths, &[], &Overrides::default());
        let scenarios = scenarios.unwrap_or_else(|errors| panic!("{}", errors.render(false, 100)));
        assert_eq!(scenarios.len(), SCENARIOS.len());
        for scenario in &scenarios {
            assert!(!scenario.plan.description.is_empty(), "{}", scenario.plan.name);
            let units = scenario.plan.units.as_ref().unwrap();
            assert!(units.service.is_some() && !scenario.text.contains('{'), "{}", scenario.text);
            assert!(units.files.iter().all(|file| !file.text.contains('{')), "{}", scenario.plan.name);
        }
    }

    #[test]
    fn every_unit_file_belongs_to_a_scenario() {
        for (unit, _) in UNITS {
            assert!(SCENARIOS.iter().any(|(_, text)| text.contains(unit)), "{unit}");
        }
    }
}
