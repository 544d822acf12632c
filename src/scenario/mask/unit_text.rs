//! Secrets in the text of unit files.

use super::MASK;
use super::arguments::{is_secret_name, masked_arguments, secrets_in};
use crate::unit_file::UnitFile;
use crate::unit_file::word;

/// Assignments that hold a secret as a whole.
const SECRET_KEYS: &[&str] = &["SetCredential", "SetCredentialEncrypted"];

/// The text of a unit file as it is recorded: the names of its variables, not their values; no credentials; commands
/// without what looks like one. A masked assignment stands on one line. Comments are left as they are, unless they
/// are such an assignment that was put out of use.
pub(super) fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let (marks, assignment) = split_comment(line);
        let Some((key, value)) = assignment.split_once('=').filter(|(key, _)| is_delicate(key.trim())) else {
            masked.push_str(line);
            continue;
        };
        let (mut written, mut value) = (line.to_owned(), value.to_owned());
        while let Some(joined) = value.trim_end_matches(['\n', '\r']).strip_suffix('\\') {
            let Some(next) = lines.next() else { break };
            value = format!("{joined} {next}");
            written.push_str(next);
        }
        let shown = masked_value(key.trim(), value.trim());
        if shown == value.trim() {
            masked.push_str(&written);
        } else {
            masked.extend([marks, key, "=", &shown, "\n"]);
        }
    }
    masked
}

/// The values of variables that are called like secrets, and the credentials in commands.
pub(super) fn secrets(text: &str) -> Vec<String> {
    let (file, _) = UnitFile::parse(text);
    let entries = file.sections.iter().flat_map(|section| &section.entries);
    let mut secrets = Vec::new();
    for entry in entries {
        let words = word::split(&entry.value).unwrap_or_default();
        if entry.key == "Environment" {
            let pairs = words.iter().filter_map(|word| word.split_once('='));
            secrets.extend(pairs.filter(|(name, _)| is_secret_name(name)).map(|(_, value)| value.to_owned()));
        } else if entry.key.starts_with("Exec") {
            secrets.extend(secrets_in(&words).map(str::to_owned));
        }
    }
    secrets
}

fn is_delicate(key: &str) -> bool {
    key == "Environment" || SECRET_KEYS.contains(&key) || key.starts_with("Exec")
}

/// The marks of a comment with the space around them, and what stands behind.
fn split_comment(line: &str) -> (&str, &str) {
    line.split_at(line.len() - line.trim_start_matches(['#', ';', ' ', '\t']).len())
}

fn masked_value(key: &str, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    if SECRET_KEYS.contains(&key) {
        let id = value.split_once(':').map_or("", |(id, _)| id);
        return format!("{id}:{MASK}");
    }
    if key != "Environment" {
        let words: Vec<String> = value.split(' ').map(str::to_owned).collect();
        return masked_arguments(&words).join(" ");
    }
    let Ok(words) = word::split(value) else { return MASK.to_owned() };
    let named = |word: &String| word.split_once('=').map_or(MASK.to_owned(), |(name, _)| format!("{name}={MASK}"));
    words.iter().map(named).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_variables_only_the_names_are_recorded() {
        let text = "[Service]\nEnvironment=A=hunter2 \"B=hunter2 too\"\nEnvironment=C=hunter2 \\\n  D=hunter2\nEnvironment=\n\
                    #Environment=E=hunter2\nType=notify\n";
        let shown = "[Service]\nEnvironment=A=*** B=***\nEnvironment=C=*** D=***\nEnvironment=\n#Environment=E=***\nType=notify\n";
        assert_eq!(masked(text), shown);
    }

    #[test]
    fn commands_and_credentials_lose_their_secrets_only() {
        let text = "ExecStart=-/bin/app --token=hunter2 --port 80\nSetCredential=db:hunter2\nKeyringMode=private";
        let shown = "ExecStart=-/bin/app --token=*** --port 80\nSetCredential=db:***\nKeyringMode=private";
        assert_eq!(masked(text), shown);
    }

    #[test]
    fn a_variable_that_cannot_be_read_is_masked_whole() {
        assert_eq!(masked("Environment=\"A=hunter2\n"), "Environment=***\n");
    }

    #[test]
    fn a_text_without_secrets_stays_as_it_is() {
        let text = "# a comment\n[Service]\r\nExecStart=/bin/app  \\\n  --port 80\nRestart=no";
        assert_eq!(masked(text), text);
    }

    #[test]
    fn secrets_are_known_by_the_names_of_their_variables() {
        let text = "[Service]\nEnvironment=DB_PASSWORD=hunter2 MODE=fast\nExecStart=/bin/app --token hunter3\n";
        assert_eq!(secrets(text), ["hunter2", "hunter3"]);
    }
}
