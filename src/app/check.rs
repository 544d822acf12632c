//! `gapless check`: the audit of units, before anything is restarted.

use std::path::{Path, PathBuf};

use super::choose::Machine;
use super::exit::Exit;
use super::output::{self, say};
use super::{learn, place, session};
use crate::check::facts::{self, Clients};
use crate::check::live::Gatherer;
use crate::check::overview::{self, SocketRow};
use crate::check::{Facts, Finding, Severity, audit as findings, check, files, render, rules};
use crate::cli::{CheckArgs, CheckFormat, SystemdArg};
use crate::manager::ManagerError;
use crate::manager::systemd::Inspector;
use crate::model::UnitName;
use crate::ssh::Place;

/// Runs the command.
///
/// # Errors
/// When systemd cannot be asked, or does not know a unit.
pub fn main(args: &CheckArgs) -> anyhow::Result<Exit> {
    if args.rules {
        output::write(render::rule_list(rules(), output::width()).as_bytes())?;
        return Ok(Exit::Passed);
    }
    let targets = match targets(args) {
        Ok(targets) => targets,
        Err(error) => {
            say(&format!("error: {error:#}"));
            return Ok(Exit::Usage);
        }
    };
    session::block_on(audit(args, targets))
}

async fn audit(args: &CheckArgs, targets: Targets) -> anyhow::Result<Exit> {
    let place = place::open(args.host.as_ref()).await?;
    let mut all = targets.facts;
    let (mut rows, mut found) = (None, Vec::new());
    if args.all || !targets.units.is_empty() {
        let gatherer = Gatherer::new(inspector(args.manager, &place, FILES).await?, clients(args)).await?;
        if args.all {
            let (seen, of_all) = survey(args, &gatherer, &place).await?;
            (rows, found) = (Some(seen), of_all);
        }
        for unit in &targets.units {
            all.extend(gatherer.facts(unit).await?);
        }
    }
    found.extend(all.iter().flat_map(|facts| check(facts, &args.ignore)));
    for facts in &all {
        learn::from_facts(facts, &place).await;
    }
    if let Some(ssh) = place.there() {
        output::inform(&format!(
            "of {}, files, states and processes were looked at; its kernel's listeners and queues were not",
            ssh.destination()
        ));
    }
    findings::sort(&mut found);
    let found = learn::without_secrets(found);
    print(args.format, &found, rows.as_deref())?;
    Ok(exit(&found, args.strict))
}

/// What is to be checked.
struct Targets {
    facts: Vec<Facts>,
    units: Vec<UnitName>,
}

/// Tells files from units, and reads the files. Errors are the user's.
fn targets(args: &CheckArgs) -> anyhow::Result<Targets> {
    if let Some(unknown) = args.ignore.iter().find(|id| !rules().any(|rule| rule.id == id.as_str())) {
        let ids: Vec<_> = rules().map(|rule| rule.id).collect();
        anyhow::bail!("--ignore {unknown}: there is no such rule; there are {}", ids.join(", "));
    }
    if let (Some(file), Some(_)) = (args.units.iter().find(|name| name.contains('/')), &args.host) {
        anyhow::bail!("{file} names a file, and with --host units are checked: pass the unit's name");
    }
    let is_file = |name: &&String| args.host.is_none() && (name.contains('/') || Path::new(name).is_file());
    let (paths, units): (Vec<&String>, Vec<&String>) = args.units.iter().partition(is_file);
    for name in paths.iter().filter(|name| !name.contains('/')) {
        say(&format!("{name}: the file in this folder is checked, not the unit of systemd"));
    }
    let paths: Vec<PathBuf> = paths.into_iter().map(PathBuf::from).collect();
    let machine = facts::Machine {
        is_users: args.manager == SystemdArg::User,
        systemd: installed_systemd(),
        ..facts::Machine::default()
    };
    let facts = files::read(&paths, &clients(args), machine)?;
    let units = units.into_iter().map(|name| UnitName::of_service_by_default(name));
    Ok(Targets { facts, units: units.collect::<Result<_, _>>()? })
}

/// The version of the systemd that is installed here, whether or not it runs; none where there is none.
fn installed_systemd() -> Option<u16> {
    let output = std::process::Command::new("systemctl").arg("--version").output().ok()?;
    String::from_utf8_lossy(&output.stdout).strip_prefix("systemd ")?.split([' ', '.', '~']).next()?.parse().ok()
}

fn clients(args: &CheckArgs) -> Clients {
    Clients { rate: args.rate, gap: args.gap, user: args.client.clone() }
}

/// What can be checked without systemd.
const FILES: &str = "give files, such as ./web.socket ./web.service";

/// The systemd that is meant, to look at.
///
/// # Errors
/// When there is none to ask; `instead` says what to do without.
pub(super) async fn inspector(asked: SystemdArg, place: &Place, instead: &str) -> anyhow::Result<Inspector> {
    if let Place::There(ssh) = place {
        return Ok(Inspector::at(ssh, place::kind_there(asked)?).await?);
    }
    let machine = Machine::here();
    let of_machine = match asked {
        SystemdArg::Auto => machine.booted_with_systemd,
        SystemdArg::System => true,
        SystemdArg::User => false,
        SystemdArg::Embedded => {
            anyhow::bail!("the embedded manager has no installed units, only the files of a scenario; {instead}")
        }
    };
    let connected = if of_machine { Inspector::system().await } else { Inspector::user().await };
    match connected {
        Err(ManagerError::NoBus { bus, reason, .. }) => anyhow::bail!(
            "cannot look at installed units: cannot reach {bus}: {reason}; run this where systemd runs, or {instead}"
        ),
        connected => Ok(connected?),
    }
}

/// Every socket of the machine, and what is found of it. One that is gone by now is left out.
async fn survey(
    args: &CheckArgs,
    gatherer: &Gatherer,
    place: &Place,
) -> anyhow::Result<(Vec<SocketRow>, Vec<Finding>)> {
    let (mut rows, mut all) = (Vec::new(), Vec::new());
    for socket in gatherer.sockets().await? {
        let facts = match gatherer.facts(&socket).await {
            Ok(facts) => facts,
            Err(error) => {
                say(&format!("left out: {error}"));
                continue;
            }
        };
        for facts in &facts {
            learn::from_facts(facts, place).await;
            let findings = check(facts, &args.ignore);
            rows.extend(SocketRow::of(facts, &findings));
            all.extend(findings);
        }
    }
    Ok((rows, all))
}

fn print(format: CheckFormat, findings: &[Finding], rows: Option<&[SocketRow]>) -> anyhow::Result<()> {
    let text = match (format, rows) {
        (CheckFormat::Json, rows) => render::json(findings, rows),
        (CheckFormat::Github, _) => render::github(findings),
        (CheckFormat::Table, Some(rows)) => overview::table(rows, output::width()),
        (CheckFormat::Table, None) => render::table(findings, output::width(), output::stdout_color()),
    };
    output::write(text.as_bytes())
}

fn exit(findings: &[Finding], strict: bool) -> Exit {
    let fails = |finding: &Finding| match finding.severity {
        Severity::Error => true,
        Severity::Warning => strict,
        Severity::Info => false,
    };
    if findings.iter().any(fails) { Exit::Failed } else { Exit::Passed }
}
