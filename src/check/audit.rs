//! All rules applied to what is known of a unit.

use super::facts::{Facts, SocketFacts};
use super::finding::Finding;
use super::rule::Rule;
use super::rules::GROUPS;

/// Every rule, by id.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    GROUPS.iter().copied().flatten()
}

/// What can be found of a socket that nothing starts: its text, and that it is not in use.
const OF_UNUSED_SOCKETS: [&str; 8] = ["GL001", "GL002", "GL003", "GL004", "GL005", "GL006", "GL007", "GL060"];

/// What the rules find, without those whose ids are in `ignored`: errors first, then by id.
#[must_use]
pub fn check(facts: &Facts, ignored: &[String]) -> Vec<Finding> {
    let is_unused = facts.socket.as_ref().is_some_and(SocketFacts::is_unused);
    let applies = |rule: &&Rule| !is_unused || OF_UNUSED_SOCKETS.contains(&rule.id);
    let wanted = rules().filter(applies).filter(|rule| !ignored.iter().any(|id| id == rule.id));
    let mut findings: Vec<Finding> = wanted.flat_map(|rule| rule.findings(facts)).collect();
    if facts.machine.is_users {
        findings.iter_mut().for_each(Finding::address_users_systemd);
    }
    sort(&mut findings);
    findings
}

/// Errors first, then by id; what was found twice, of two sockets with one service, only once.
pub fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| (a.severity, a.id, &a.unit, a.line).cmp(&(b.severity, b.id, &b.unit, b.line)));
    findings.dedup();
}

#[cfg(test)]
mod tests {
    use super::super::testing::{EXAMPLES, found};
    use super::*;

    #[test]
    fn ids_are_unique_and_in_order() {
        let ids: Vec<_> = rules().map(|rule| rule.id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }

    #[test]
    fn sound_units_have_no_finding() {
        assert_eq!(found(EXAMPLES.socket, EXAMPLES.service), Vec::<&str>::new());
    }

    #[test]
    fn a_users_unit_is_mended_at_the_users_systemd() {
        let mut facts = super::super::testing::alive();
        facts.service.as_mut().unwrap().live.as_mut().unwrap().unit.active_state = crate::model::ActiveState::Failed;
        facts.machine.is_users = true;
        let findings = check(&facts, &[]);
        assert_eq!(findings[0].fix, "journalctl --user -u a.service -n 50\nsystemctl --user reset-failed a.service");
    }

    #[test]
    fn an_ignored_rule_finds_nothing() {
        let facts = super::super::testing::pair("[Socket]\nListenStream=80\nBacklogg=1\n", EXAMPLES.service);
        let ids = |ignored: &[String]| check(&facts, ignored).into_iter().map(|finding| finding.id).collect::<Vec<_>>();
        assert!(ids(&[]).contains(&"GL002"));
        assert!(!ids(&["GL002".to_owned()]).contains(&"GL002"));
    }
}
