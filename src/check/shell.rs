//! What a command line runs in the end: past `env`, `su -c`, `sudo -u`, shells and the like.

use crate::unit_file::word;

/// A program that runs another one.
struct Wrapper {
    names: &'static [&'static str],
    /// Its options that take the next word.
    valued: &'static [&'static str],
    /// Words of its own between its options and the command.
    own_words: usize,
}

/// Wrappers by the synopsis of their manuals: coreutils, util-linux, sudo(8), numactl(8), daemontools, runit, tini,
/// gosu, Bundler, Poetry and so on.
const WRAPPERS: &[Wrapper] = &[
    wrapper(&["env"], &["-u", "--unset", "-C", "--chdir"], 0),
    wrapper(&["sudo", "doas"], &["-u", "-g", "-h", "-p", "-C", "-D", "-R", "-r", "-t", "-T", "-U"], 0),
    wrapper(&["runuser", "su"], &["-u", "--user", "-g", "--group", "-G", "--supp-group", "-s", "--shell", "-w"], 0),
    wrapper(&["setpriv"], &["--reuid", "--regid", "--groups", "--inh-caps", "--ambient-caps", "--bounding-set"], 0),
    wrapper(&["nice"], &["-n", "--adjustment"], 0),
    wrapper(&["ionice"], &["-c", "--class", "-n", "--classdata"], 0),
    wrapper(&["chrt"], &["-T", "-P", "-D"], 1),
    wrapper(&["taskset", "chroot", "gosu", "su-exec", "setuidgid", "envdir", "envuidgid", "s6-setuidgid"], &[], 1),
    wrapper(&["timeout"], &["-s", "--signal", "-k", "--kill-after"], 1),
    wrapper(&["flock"], &["-w", "--timeout", "-E", "--conflict-exit-code"], 1),
    wrapper(&["stdbuf"], &["-i", "-o", "-e"], 0),
    wrapper(&["numactl"], &["-N", "-m", "-C", "-i", "-p"], 0),
    wrapper(&["systemd-cat"], &["-t", "-p"], 0),
    wrapper(&["tini", "tini-static"], &["-p", "-e"], 0),
    wrapper(&["chpst"], &["-u", "-U", "-b", "-e", "-/", "-C", "-n", "-l", "-L", "-m", "-d", "-o", "-p", "-f", "-c"], 0),
    wrapper(
        &["exec", "setsid", "nohup", "dumb-init", "catatonit", "systemd-inhibit", "time", "npx", "catchsegv"],
        &[],
        0,
    ),
    wrapper(
        &["bundle", "rbenv", "poetry", "pipenv", "uv", "pdm", "hatch", "mise", "asdf"],
        &["--with", "--project"],
        1,
    ),
];

const fn wrapper(names: &'static [&'static str], valued: &'static [&'static str], own_words: usize) -> Wrapper {
    Wrapper { names, valued, own_words }
}

/// A command inside a command inside a command: more is nobody's.
const DEEPEST: usize = 8;

/// The words of the program that a command comes to, as well as they can be told without running it: its own name
/// first. `is_known` picks one of a script's several commands.
pub(super) fn unwrapped(words: Vec<String>, is_known: &dyn Fn(&str) -> bool) -> Vec<String> {
    unwrap(words, is_known, DEEPEST)
}

fn unwrap(words: Vec<String>, is_known: &dyn Fn(&str) -> bool, depth: usize) -> Vec<String> {
    let Some(program) = words.first().map(|program| base_name(program)).filter(|_| depth > 0) else { return words };
    if let Some(script) = script_of(&words) {
        return unwrap(commanded(&words[script], is_known), is_known, depth - 1);
    }
    if program.starts_with("python") || program == "ruby" || program == "node" || program == "nodejs" {
        return interpreted(words);
    }
    let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.names.contains(&program)) else { return words };
    let command = inside(&words, wrapper);
    if command.is_empty() { words } else { unwrap(command, is_known, depth - 1) }
}

/// The command behind a wrapper's own options and words.
fn inside(words: &[String], wrapper: &Wrapper) -> Vec<String> {
    let (mut rest, mut own_words) = (&words[1..], wrapper.own_words);
    while let [word, behind @ ..] = rest {
        if word == "--" {
            rest = behind;
        } else if wrapper.valued.contains(&word.as_str()) {
            rest = behind.get(1..).unwrap_or_default();
        } else if word.starts_with('-') || is_assignment(word) {
            rest = behind;
        } else if own_words > 0 {
            own_words -= 1;
            rest = behind;
        } else {
            break;
        }
    }
    rest.to_vec()
}

/// `python3 -m uvicorn app:app`, `ruby bin/puma`: the module or script is the program.
fn interpreted(mut words: Vec<String>) -> Vec<String> {
    let mut place = 1;
    while let Some(word) = words.get(place) {
        match word.as_str() {
            "-m" => return words.split_off(place + 1),
            "-X" | "-W" | "-I" | "-r" | "--require" => place += 2,
            option if option.starts_with('-') => place += 1,
            _ => return words.split_off(place),
        }
    }
    words
}

/// Where the script of a shell stands among the words: behind `-c`, `-lc` and the like. Of su(1), runuser(1), script(1)
/// and flock(1) as well, which hand it to a shell.
pub(super) fn script_of(words: &[String]) -> Option<usize> {
    let program = words.first()?.trim_start_matches(['-', '@', ':', '+', '!']);
    let runs_scripts = is_shell(program) || matches!(base_name(program), "su" | "runuser" | "script" | "flock");
    let takes_command = |word: &String| {
        let letters = word.strip_prefix('-').unwrap_or_default();
        word == "--command" || (letters.contains('c') && letters.chars().all(|c| c.is_ascii_lowercase()))
    };
    let option = words.iter().skip(1).position(takes_command)? + 1;
    (runs_scripts && option + 1 < words.len()).then_some(option + 1)
}

/// Whether it is a shell, which runs what it is told to and replaces what systemd does not.
pub(super) fn is_shell(program: &str) -> bool {
    matches!(base_name(program), "sh" | "bash" | "dash" | "zsh" | "ksh" | "mksh" | "ash" | "fish" | "busybox")
}

/// Whether it hands all its words to a shell, here or elsewhere, as ssh(1) does.
pub(super) fn joins_words_for_shell(program: &str) -> bool {
    matches!(base_name(program), "ssh" | "autossh" | "sshpass" | "watch" | "eval")
}

/// The words of the command of a script that stays: the one it replaces itself with, else one that is known, else the
/// first of the last pipeline. Variables stay, their defaults taken.
fn commanded(script: &str, is_known: &dyn Fn(&str) -> bool) -> Vec<String> {
    let commands: Vec<(Vec<String>, bool)> =
        commands(script).into_iter().map(|(text, in_pipe)| (words_of(&text), in_pipe)).collect();
    let starts = |words: &[String], name: &str| words.first().is_some_and(|first| first == name);
    let known = |words: &[String]| {
        let unwrapped = unwrap(words.to_vec(), &|_| false, DEEPEST);
        unwrapped.first().is_some_and(|program| is_known(base_name(program)))
    };
    let all = || commands.iter().filter(|(words, _)| !words.is_empty());
    let chosen = all()
        .find(|(words, _)| starts(words, "exec"))
        .or_else(|| all().find(|(words, _)| known(words)))
        .or_else(|| all().rfind(|(_, in_pipe)| !in_pipe));
    chosen.map(|(words, _)| words.clone()).unwrap_or_default()
}

/// The commands of a script, and whether each reads from a pipe.
fn commands(script: &str) -> Vec<(String, bool)> {
    let (mut commands, mut current, mut in_pipe) = (Vec::new(), String::new(), false);
    let (mut quote, mut depth, mut before) = (None, 0_u32, ' ');
    let mut characters = script.chars().peekable();
    while let Some(c) = characters.next() {
        let redirects = before == '>' || before == '<' || characters.peek() == Some(&'>');
        match (c, quote) {
            ('\\', None | Some('"')) => {
                current.push(c);
                current.extend(characters.next());
                before = 'x';
                continue;
            }
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"' | '`', None) => quote = Some(c),
            ('(', None) => depth += 1,
            (')', None) => depth = depth.saturating_sub(1),
            ('&', None) if redirects => {}
            (';' | '&' | '|' | '\n', None) if depth == 0 => {
                let is_pipe = c == '|' && before != '|' && characters.peek() != Some(&'|');
                let text = std::mem::take(&mut current);
                if !text.trim().is_empty() {
                    commands.push((text, in_pipe));
                }
                in_pipe = is_pipe;
                before = c;
                continue;
            }
            _ => {}
        }
        current.push(c);
        before = c;
    }
    if !current.trim().is_empty() {
        commands.push((current, in_pipe));
    }
    commands
}

/// A command's words without assignments before it and redirections behind it.
fn words_of(command: &str) -> Vec<String> {
    let words = word::split(command).unwrap_or_else(|_| command.split_whitespace().map(str::to_owned).collect());
    let mut words =
        words.into_iter().skip_while(|word| is_assignment(word) || matches!(word.as_str(), "{" | "(" | "!"));
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        let redirection = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '&');
        if redirection.starts_with(['<', '>']) {
            // `> file`: the file is the next word.
            if redirection.trim_start_matches(['<', '>', '&']).is_empty() {
                words.next();
            }
            continue;
        }
        kept.push(with_default(&word));
    }
    kept
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name).unwrap_or_default();
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `8008` for `${PORT:-8008}`.
fn with_default(word: &str) -> String {
    let default = word.strip_suffix('}').and_then(|open| Some((open.split_once("${")?.0, open.rsplit_once(":-")?.1)));
    default.map_or_else(|| word.to_owned(), |(before, default)| format!("{before}{default}"))
}

pub(super) fn base_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &str) -> String {
        let words = word::split(command).expect("balanced");
        unwrapped(words, &|name| name == "uvicorn").join(" ")
    }

    #[test]
    fn the_program_is_found_past_what_runs_it() {
        for command in [
            "uvicorn a:b",
            "env -i A=1 -u B uvicorn a:b",
            "sudo -u www -E uvicorn a:b",
            "runuser -u www -- uvicorn a:b",
            "nice -n 5 ionice -c 2 -n 0 uvicorn a:b",
            "timeout -k 5 60 uvicorn a:b",
            "taskset -c 0-3 uvicorn a:b",
            "python3 -u -m uvicorn a:b",
            "poetry run uvicorn a:b",
            "sh -c 'exec uvicorn a:b'",
            "bash -lc 'cd /srv && A=1 exec uvicorn a:b 2>&1'",
            "su -s /bin/sh -c 'cd /srv && exec uvicorn a:b > /dev/null' www",
            "env bash -c 'test -e x || exit 1; uvicorn a:b | tee /tmp/log'",
            "bash -o pipefail -c 'uvicorn a:b < /dev/null |& logger -t web'",
            "sh -c 'uvicorn a:b & wait'",
            "sh -c \"exec setsid nohup uvicorn a:b &> /tmp/x\"",
        ] {
            assert_eq!(run(command), "uvicorn a:b", "{command}");
        }
    }

    #[test]
    fn what_is_quoted_or_substituted_separates_nothing() {
        assert_eq!(run("sh -c 'app --a \"b; c | d\" --e=$(x; y)'"), "app --a b; c | d --e=$(x; y)");
        assert_eq!(run("sh -c 'app --port ${PORT:-8008}'"), "app --port 8008");
    }

    #[test]
    fn a_shell_without_a_script_of_its_own_is_the_program() {
        assert_eq!(run("sh /srv/start.sh -x"), "sh /srv/start.sh -x");
        assert_eq!(run("env"), "env");
    }
}
