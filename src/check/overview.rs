//! All sockets of the machine in one table.

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, TableStyle};
use serde::Serialize;

use super::facts::Facts;
use super::finding::Finding;
use super::live_facts::Address;
use crate::model::UnitName;
use crate::render::text::escape;

/// A socket of the machine and how it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SocketRow {
    /// The socket.
    pub unit: UnitName,
    /// ActiveState and SubState, as `active (listening)`.
    pub state: String,
    /// Where it listens.
    pub listen: Vec<String>,
    /// Who holds the listener, as `systemd (1)`; empty where no process is listening or that may not be read.
    pub held_by: Vec<String>,
    /// The service it starts.
    pub service: String,
    /// ActiveState and SubState of the service; none with Accept=yes.
    pub service_state: Option<String>,
    /// Connections that wait to be accepted now, at all its addresses.
    pub queued: u32,
    /// The shortest of its queues; none where no process is listening.
    pub backlog: Option<u32>,
    /// The ids of what was found.
    pub findings: Vec<&'static str>,
}

impl SocketRow {
    /// Of a live socket; none where there is no socket.
    #[must_use]
    pub fn of(facts: &Facts, findings: &[Finding]) -> Option<Self> {
        let socket = facts.socket.as_ref()?;
        let live = socket.live.as_ref()?;
        let held = || live.addresses.iter().flat_map(|address: &Address| &address.listeners);
        let mut held_by: Vec<_> =
            held().flat_map(|held| held.holders.iter().flatten()).map(ToString::to_string).collect();
        held_by.sort();
        held_by.dedup();
        let service = facts.service.as_ref();
        let service_unit = service.and_then(|service| service.live.as_ref()).map(|live| &live.unit);
        Some(Self {
            unit: socket.source.name.clone(),
            state: format!("{} ({})", live.unit.active_state, live.unit.sub_state),
            listen: live.addresses.iter().map(|address| address.endpoint.to_string()).collect(),
            held_by,
            service: service.map_or_else(|| socket.unit.triggers(), |service| service.source.name.to_string()),
            service_state: service_unit.map(|unit| format!("{} ({})", unit.active_state, unit.sub_state)),
            queued: held().map(|held| held.listener.queued).sum(),
            backlog: held().map(|held| held.listener.backlog).min(),
            findings: findings.iter().map(|finding| finding.id).collect(),
        })
    }
}

/// One row for each socket, with its service and its addresses below it, fitted to the width: none of these is ever
/// broken, they are what the next command is about.
#[must_use]
pub fn table(rows: &[SocketRow], width: usize) -> String {
    let mut table = Table::new();
    // The output is bytes, whatever this process's own terminal is.
    table.force_no_tty();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width.max(40)).unwrap_or(u16::MAX));
    table.set_header(Row::from(["socket, service, address", "state", "queue", "held by", "findings"]));
    for row in rows {
        let queue = row.backlog.map_or_else(|| "-".to_owned(), |backlog| format!("{}/{backlog}", row.queued));
        let service_state = row.service_state.as_deref().unwrap_or("one for each connection");
        let below = [&row.service].into_iter().chain(&row.listen).map(|name| format!("\n  {}", escape(name)));
        let cells = [
            escape(row.unit.as_str()) + &below.collect::<String>(),
            [escape(&row.state), escape(service_state)].join("\n"),
            queue,
            row.held_by.iter().map(|holder| escape(holder)).collect::<Vec<_>>().join("\n"),
            row.findings.join(" "),
        ];
        table.add_row(Row::from(cells));
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if place < WHOLE_COLUMNS {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The names and their states, line by line beside each other.
const WHOLE_COLUMNS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::live_facts::HeldListener;
    use crate::check::testing::alive;
    use crate::host::holder::Holder;
    use crate::model::Endpoint;
    use crate::model::address::Listener;

    #[test]
    fn a_row_says_who_listens_where_and_what_waits() {
        let mut facts = alive();
        let endpoint = Endpoint::Tcp("127.0.0.1:8008".parse().unwrap());
        let held = |inode, queued, backlog| HeldListener {
            listener: Listener { endpoint: endpoint.clone(), inode, queued, backlog, cookie: None, drops: None },
            holders: Some(vec![Holder { pid: 1, name: "systemd".to_owned() }]),
            held_by_systemd: true,
        };
        let listeners = vec![held(1, 3, 128), held(2, 4, 64)];
        let address = Address { endpoint: endpoint.clone(), is_reachable: true, listeners };
        facts.socket.as_mut().unwrap().live.as_mut().unwrap().addresses = vec![address];
        let row = SocketRow::of(&facts, &[]).unwrap();
        assert_eq!((row.queued, row.backlog, row.held_by.join(",").as_str()), (7, Some(64), "systemd (1)"));
        assert_eq!((row.service.as_str(), row.service_state.as_deref()), ("a.service", Some("active (running)")));
        let text = table(std::slice::from_ref(&row), 200);
        assert!(text.contains("127.0.0.1:8008") && text.contains("7/64"), "{text}");
        let long = SocketRow { unit: UnitName::new(format!("{}.socket", "a".repeat(30))).unwrap(), ..row };
        let narrow = table(std::slice::from_ref(&long), 60);
        assert!(narrow.contains(long.unit.as_str()) && narrow.contains("active (running)"), "{narrow}");
    }
}
