//! `gapless watch`: the load and the verdict of a scenario around a command of the user's, or for a while.
//!
//! It is a scenario of one step. Its text is made from the command line and goes the way of every scenario, so
//! options mean and default to what the keys of a file do, and mistakes in them are found by the same code.

use std::cell::RefCell;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use toml::Value;

use super::caller::Caller;
use super::exit::Exit;
use super::folder::Folder;
use super::output::{self, say};
use super::place::Site;
use super::rehearse::Watched;
use super::request::{self, Bears, line};
use super::run::{How, finish, known, pin_loads, record_all};
use super::session;
use super::sharing::Shared;
use super::targets;
use crate::cli::{Format, ManagerArg, OutputArgs, WatchArgs};
use crate::model::Share;
use crate::run::exec::resolve;
use crate::run::{Interrupt, Marks, Surroundings};
use crate::scenario::{self, Scenario};

/// What mistakes are said to be in.
const SOURCE: &str = "gapless watch";

/// Runs the command.
///
/// # Errors
/// When the harness cannot do its job: no folder to write to, no runtime.
pub fn main(args: &WatchArgs) -> anyhow::Result<Exit> {
    let here = std::env::current_dir().context("cannot tell the current directory")?;
    let requests = match args.request.requests.as_deref().map(|file| targets::read(file, &args.url)).transpose() {
        Ok(requests) => requests,
        Err(reason) => {
            say(&format!("error: {reason}"));
            return Ok(Exit::Usage);
        }
    };
    match scenario::load_text(SOURCE, &text(args, requests), &here) {
        Ok(scenario) => session::block_on(watch(args, scenario, &here)),
        Err(mistakes) => {
            output::say_mistakes(&mistakes);
            Ok(Exit::Usage)
        }
    }
}

/// The load of a scenario of one step, which is a command of the user's that may mark its stages.
pub(super) async fn while_command(
    output: &OutputArgs,
    force: bool,
    scenario: Scenario,
    notes: &[String],
    twin: &Watched,
) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::on_signals().context("cannot listen for signals")?;
    let scenarios = pin_loads(known(vec![scenario]), Share::WHOLE)?;
    let marks = Marks::of_command().context("cannot make the pipe that GAPLESS_MARKS names")?;
    let how = How {
        shared: Shared::ALONE,
        manager: ManagerArg::System,
        site: &Site::here(),
        force,
        surroundings: with_marks(Some(&marks), output, false),
        is_patient: false,
        show_bodies: output.show_bodies,
        notes,
        twin: Some(twin),
        marks: Some(&RefCell::new(Some(marks))),
    };
    let folder = Folder::create(output.out.as_deref(), how.visibility(), Caller::of_sudo())?;
    let (result, exit) = record_all(&scenarios, how, &folder, &interrupt).await?;
    Ok(finish(&result, exit, &folder, output))
}

/// What a command gets that may write marks.
fn with_marks(marks: Option<&Marks>, output: &OutputArgs, input_is_marks: bool) -> Surroundings {
    // For as long as the process lives: a command may outlast the run.
    let pipe = marks.and_then(Marks::pipe).map(|pipe| &*Box::leak(pipe.to_owned().into_boxed_path()));
    // Only a table may stand below what the command prints.
    Surroundings::Users { stdout_to_stderr: output.format != Format::Table, marks: pipe, input_is_marks }
}

async fn watch(args: &WatchArgs, scenario: Scenario, here: &Path) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::on_signals().context("cannot listen for signals")?;
    let scenarios = known(vec![scenario]);
    let with_command = args.duration.as_deref().filter(|_| !args.command.is_empty());
    let shared = Shared::of(&args.shard, with_command, &scenarios);
    let shared = match shared.and_then(|shared| sensible(args, shared, here)) {
        Ok(shared) => shared,
        Err(reason) => {
            say(&format!("error: {reason}"));
            return Ok(Exit::Usage);
        }
    };
    let acts = shared.share().is_first();
    let scenarios = pin_loads(scenarios, shared.share())?;
    let marks = match marks(args, acts) {
        Ok(marks) => marks,
        Err(error) => {
            say(&format!("error: {error:#}"));
            return Ok(Exit::Usage);
        }
    };
    let surroundings = if args.command.is_empty() || !acts {
        Surroundings::Stated
    } else {
        with_marks(marks.as_ref(), &args.output, args.marks.as_deref() == Some(Path::new("-")))
    };
    // There is no unit to act on.
    let how = How {
        shared,
        manager: ManagerArg::Auto,
        site: &Site::here(),
        force: false,
        surroundings,
        is_patient: false,
        show_bodies: args.output.show_bodies,
        notes: &[],
        twin: None,
        marks: Some(&RefCell::new(marks)),
    };
    let folder = Folder::create(args.output.out.as_deref(), how.visibility(), Caller::of_sudo())?;
    let (result, exit) = record_all(&scenarios, how, &folder, &interrupt).await?;
    Ok(finish(&result, exit, &folder, &args.output))
}

/// The part of the load, if it makes sense with the command, which can be run where it is to be.
fn sensible(args: &WatchArgs, shared: Shared, here: &Path) -> Result<Shared, String> {
    let share = shared.share();
    match (args.command.first(), &args.duration) {
        (Some(_), Some(_)) if share.is_whole() => {
            Err("a command and --duration go together only with --shard; the load lasts as long as the command"
                .to_owned())
        }
        (Some(_), None) if !share.is_whole() => Err(format!(
            "shard 1 of {} runs the command, and the others do not see when it ends; pass --duration, how long it may take",
            share.of()
        )),
        (Some(program), _) if share.is_first() => cannot_run(program, here).map_or(Ok(shared), Err),
        _ => Ok(shared),
    }
}

/// Where the marks of who acts come from: what `--marks` names, else a pipe for the command.
fn marks(args: &WatchArgs, acts: bool) -> anyhow::Result<Option<Marks>> {
    match &args.marks {
        _ if !acts => Ok(None),
        Some(path) => {
            let opened = Marks::of_file(path).with_context(|| format!("cannot read marks from {}", path.display()));
            opened.map(Some)
        }
        None if args.command.is_empty() => Ok(None),
        None => Marks::of_command().map(Some).context("cannot make the pipe that GAPLESS_MARKS names"),
    }
}

/// Why that program cannot be run from `here`, found before the load starts; none if it looks as if it can.
fn cannot_run(program: &str, here: &Path) -> Option<String> {
    let is_program =
        |path: &Path| path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    if !program.contains('/') {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_there = std::env::split_paths(&path).any(|folder| is_program(&folder.join(program)));
        let remedy = format!("give its path, or for a line of shell say: -- sh -c '{program} ...'");
        return (!is_there).then(|| format!("cannot run `{program}`: there is no such program in PATH; {remedy}"));
    }
    let file = resolve(program, here);
    match file.metadata() {
        Err(error) => Some(format!("cannot run `{program}`: {error}; it is looked for at {}", file.display())),
        Ok(_) if is_program(&file) => None,
        Ok(_) => {
            Some(format!("cannot run `{program}`: it is not an executable file; chmod +x it, or name its interpreter"))
        }
    }
}

/// The scenario that the command line describes.
fn text(args: &WatchArgs, requests: Option<Value>) -> String {
    let request = &args.request;
    let speaks_http = scenario::speaks_http(&args.url);
    let mut text = format!("name = \"watch\"\n\n[target]\n{}", line("url", args.url.as_str()));
    text.extend(request.unix.iter().map(|path| line("unix", path.as_str())));
    text.extend(request::target_keys(request, speaks_http).into_iter().map(|(key, value)| line(key, value)));
    text.extend(requests.map(|requests| line("requests", requests)));
    for load in request::loads(&request.load, speaks_http, Bears::USUAL) {
        text.extend(["\n", &load.text()]);
    }
    text += "\n[run]\n";
    for (key, given, with_command) in [("warmup", &args.warmup, "2s"), ("cooldown", &args.cooldown, "5s")] {
        let default = if args.command.is_empty() { "0s" } else { with_command };
        text += &line(key, given.as_deref().unwrap_or(default));
    }
    if let Some(max_unseen) = &args.max_unseen {
        text += &line("max_unseen", max_unseen.as_str());
    }
    text += "\n[[steps]]\n";
    text += &match &args.duration {
        Some(duration) if args.command.is_empty() => line("wait", duration.as_str()),
        _ => line("exec", args.command.clone()),
    };
    // A pause replaces nothing.
    let expectations =
        if args.command.is_empty() { request::expectations(request) } else { request::expectations_of_action(request) };
    if !expectations.is_empty() {
        text.extend(["\n[expect]\n", &expectations.join("\n"), "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::model::Metric;
    use crate::scenario::plan::{Action, Connections, Destination, Pace, Plan};

    const URL: &str = "http://127.0.0.1:1/";

    fn text_of(args: &[&str]) -> String {
        let Command::Watch(args) = Cli::try_parse_from([&["gapless", "watch", URL], args].concat()).unwrap().command
        else {
            panic!("another command");
        };
        text(&args, None)
    }

    fn plan(args: &[&str]) -> Plan {
        let loaded = scenario::load_text(SOURCE, &text_of(args), Path::new("/"));
        loaded.unwrap_or_else(|errors| panic!("{}", errors.render(false, 100))).plan
    }

    fn mistake(args: &[&str]) -> String {
        scenario::load_text(SOURCE, &text_of(args), Path::new("/")).unwrap_err().render(false, 200)
    }

    #[test]
    fn a_command_is_one_step_under_the_default_load_between_warmup_and_cooldown() {
        let plan = plan(&["--", "./deploy.sh", "--to", "a \"quoted\" place"]);
        assert_eq!((plan.run.warmup, plan.run.cooldown), (Duration::from_secs(2), Duration::from_secs(5)));
        let names: Vec<_> = plan.cohorts.iter().map(|cohort| cohort.name.as_str()).collect();
        assert_eq!(names, ["keep-alive", "new"]);
        let argv = ["./deploy.sh", "--to", "a \"quoted\" place"].map(str::to_owned).to_vec();
        assert_eq!(plan.steps.len(), 1);
        assert_eq!(plan.steps[0].action, Action::Exec { argv, replaces: None });
        assert!(plan.steps[0].wait_ready, "the target must answer again when the command is done");
    }

    #[test]
    fn a_duration_is_a_pause_under_load() {
        let plan = plan(&["--duration", "1m30s"]);
        assert_eq!(plan.steps[0].action, Action::Wait { duration: Duration::from_secs(90) });
    }

    #[test]
    fn the_options_of_the_load_make_its_cohorts() {
        let cohorts = |args: &[&str]| {
            let plan = plan(&[args, &["--duration", "1s"]].concat());
            plan.cohorts.iter().map(|cohort| (cohort.pace, cohort.connections)).collect::<Vec<_>>()
        };
        let both = [(Pace::Rate(40.0), Connections::Reused(4)), (Pace::Rate(10.0), Connections::New)];
        assert_eq!(cohorts(&["--rate", "50", "--connections", "4"]), both);
        assert_eq!(cohorts(&["--clients", "40"]), [(Pace::Clients(40), Connections::Reused(40))]);
        assert_eq!(cohorts(&["--fresh"]), [(Pace::Rate(250.0), Connections::New)]);
    }

    #[test]
    fn the_options_of_the_request_are_the_keys_of_the_target() {
        let args = ["-H", "X-A: 1", "-d", "{}", "--connect-to", "[::1]:81", "--timeout", "2s", "--duration", "1s"];
        let target = plan(&args).cohorts.remove(0).target;
        assert_eq!((target.method.as_str(), target.body.as_slice()), ("POST", &b"{}"[..]));
        assert_eq!(target.headers, [("X-A".to_owned(), "1".to_owned())]);
        assert_eq!(target.connect, Destination::Host { host: "::1".to_owned(), port: 81 });
        assert_eq!((target.authority.as_str(), target.timeout), ("127.0.0.1:1", Duration::from_secs(2)));
    }

    #[test]
    fn expectations_are_those_of_a_scenario() {
        let plan = plan(&["--duration", "1s", "--expect", "p99=500ms", "--expect", "dropped = >= 1"]);
        let bounds: Vec<_> = plan.expect.bounds.iter().map(|(metric, bound)| (*metric, bound.to_string())).collect();
        assert!(bounds.contains(&(Metric::Dropped, ">= 1".to_owned())), "{bounds:?}");
        assert!(bounds.iter().any(|(metric, _)| metric.to_string() == "p99"), "{bounds:?}");
    }

    #[test]
    fn mistakes_are_told_as_those_of_a_scenario() {
        let duration = ["--duration", "1s"];
        assert!(mistake(&["--duration", "10"]).contains("1m30s"));
        assert!(mistake(&[&duration[..], &["--expect", "dropt=0"]].concat()).contains("dropped"));
        assert!(mistake(&[&duration[..], &["--expect", "dropped"]].concat()).contains("gapless watch"));
        assert!(mistake(&[&duration[..], &["-H", "no header: x"]].concat()).contains("is not a header name"));
    }

    #[test]
    fn a_command_or_a_duration_is_needed() {
        let parse = |args: &[&str]| Cli::try_parse_from([&["gapless", "watch", URL], args].concat()).is_ok();
        assert!(!parse(&[]));
        assert!(!parse(&["--rate", "1", "--clients", "1", "--", "true"]));
        assert!(parse(&["--", "true"]));
    }
}
