//! What systemd has done to a unit before, by its journal.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::model::UnitName;
use crate::record::begin::ManagerKind;
use crate::ssh::Place;

/// The messages that a unit was started, could not be started, and was stopped: sd-messages.h.
const MESSAGES: [&str; 3] =
    ["39f53479d3a045ac8e11786248231fbf", "be02cf6855d2428ba40df7e9d022f03d", "9d1aaa27d60140bd96365438aad20286"];

/// A journal that has not answered by then is as good as none.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The InvocationID of the incarnation of this boot that was started or stopped last; none where the journal does not
/// tell.
pub(super) async fn last_incarnation(place: &Place, kind: ManagerKind, unit: &UnitName) -> Option<String> {
    let (scope, prefix) = if kind == ManagerKind::User { ("--user", "USER_") } else { ("--system", "") };
    let field = format!("{prefix}INVOCATION_ID");
    let mut arguments = [scope, "--boot", "--quiet", "--lines=1", "--output=json"].map(str::to_owned).to_vec();
    arguments.extend([format!("--output-fields={field}"), format!("{prefix}UNIT={unit}")]);
    arguments.extend(MESSAGES.map(|message| format!("MESSAGE_ID={message}")));
    let output = match place {
        Place::Here => {
            let mut command = Command::new("journalctl");
            command.args(&arguments).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
            timeout(ANSWER_MAX, command.output()).await.ok()?.ok()?.stdout
        }
        Place::There(ssh) => {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            timeout(ANSWER_MAX, ssh.run("exec journalctl \"$@\"", &arguments)).await.ok()?.ok()?
        }
    };
    let entry: serde_json::Value = serde_json::from_slice(&output).ok()?;
    entry.get(&field)?.as_str().map(str::to_owned)
}
