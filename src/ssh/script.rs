//! What is run on the other machine: POSIX sh, quoted for the login shell.

/// A command line for a login shell: `script` run by sh with `arguments` as `$1`, `$2`, ... Lines of `script` that are
/// comments are left out.
pub(super) fn line(script: &str, arguments: &[&str]) -> String {
    let lines: Vec<&str> = script.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let mut words = vec!["exec sh -c".to_owned(), quote(&lines.join("\n")), "gapless".to_owned()];
    words.extend(arguments.iter().map(|argument| quote(argument)));
    words.join(" ")
}

/// One word for any shell: single quotes keep everything but themselves.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r#"'"'"'"#))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_gets_its_arguments_whole_whatever_is_in_them() {
        let hostile = "a'b\"c $(echo no) `no` \\ *\nd";
        let line = line("# comment\nprintf %s \"$1\"\nprintf %s \"$2\"", &[hostile, "two"]);
        let output = std::process::Command::new("sh").args(["-c", &line]).output().expect("sh runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{hostile}two"));
    }

    #[test]
    fn no_script_of_ours_has_a_single_quote() {
        // A login shell that is not POSIX may read the quoting of one in another way.
        for script in [include_str!("hello.sh"), include_str!("read.sh"), include_str!("../manager/ledger/keeper.sh")] {
            let code: Vec<&str> = script.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
            assert!(!code.join("\n").contains('\''), "{script}");
        }
    }
}
