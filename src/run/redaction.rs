//! What a record does not tell: secrets, and where on the machine the scenario lay.
//!
//! The plan is masked where its secrets stand ([`crate::scenario::masked`]). Here is what others say of it: journals,
//! the output of commands, errors.

use std::path::Path;

use crate::record::begin::Begin;
use crate::record::gate::GateCheck;
use crate::record::line::{EndReason, Line};
use crate::record::segment::Segment;
use crate::scenario::placeholder::PLACEHOLDER;
use crate::scenario::plan::{Action, InstanceSource, Plan};
use crate::secrets::Secrets;

/// Takes secrets and the scenario's folder out of what is recorded.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    secrets: Secrets,
    /// Paths, each with what stands for it; the longest first, so that no part of one is left over.
    replaced: Vec<(String, &'static str)>,
    show_bodies: bool,
}

impl Redaction {
    /// What the record of `plan` keeps to itself: what is secret, now or when it is learned, and where on the machine
    /// the binary `own` lies, which the unit files of the demo name.
    #[must_use]
    pub fn of(plan: &Plan, secrets: Secrets, own: Option<&Path>) -> Self {
        // A folder at the root says nothing, and its name would be found in paths that are none of the scenario.
        let folder = plan.directory.to_str().filter(|folder| folder.matches('/').count() > 1);
        let folder = folder.map(|folder| (folder.to_owned(), PLACEHOLDER));
        let own = own.and_then(Path::to_str).map(|own| (own.to_owned(), "gapless"));
        let mut replaced: Vec<_> = folder.into_iter().chain(own).collect();
        replaced.sort_by_key(|(text, _)| (std::cmp::Reverse(text.len()), text.clone()));
        Self { secrets, replaced, show_bodies: false }
    }

    /// The scenario's text is recorded with the bodies in it.
    #[must_use]
    pub fn showing_bodies(self, show_bodies: bool) -> Self {
        Self { show_bodies, ..self }
    }

    /// What is secret.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The line as it is recorded; none where it can be recorded as it is.
    #[must_use]
    pub fn applied(&self, line: &Line) -> Option<Line> {
        match line {
            Line::Segment(segment) => self.segment(segment),
            // Of our own making, and many.
            Line::Rows(_) | Line::Queue(_) | Line::Looks(_) | Line::Counters(_) | Line::Trace(_) => None,
            _ => {
                let mut line = line.clone();
                self.texts(&mut line);
                Some(line)
            }
        }
    }

    /// How a run ended, as it is recorded.
    #[must_use]
    pub fn reason(&self, mut reason: EndReason) -> EndReason {
        match &mut reason {
            EndReason::Stopped(text)
            | EndReason::NotReady(text)
            | EndReason::Error(text)
            | EndReason::Lost(text)
            | EndReason::Full(text) => self.hide(text),
            EndReason::Completed | EndReason::StepFailed | EndReason::Interrupted => {}
        }
        reason
    }

    /// Everything in a line that somebody else may have worded.
    fn texts(&self, line: &mut Line) {
        match line {
            Line::Begin(begin) => self.begin(begin),
            Line::Journal(entry) => self.hide(&mut entry.message),
            Line::Exec(outcome) => {
                outcome.argv.iter_mut().for_each(|argument| self.hide_known(argument));
                self.hide(&mut outcome.output);
            }
            Line::StepBegin(begin) => begin.name.iter_mut().for_each(|name| self.hide(name)),
            Line::Note(note) => self.hide(&mut note.message),
            Line::Check(check) => [&mut check.expected, &mut check.actual].into_iter().for_each(|text| self.hide(text)),
            Line::Gate(gate) => gate.checks.iter_mut().for_each(|GateCheck { expected, actual, reason, .. }| {
                [expected, actual, reason].into_iter().for_each(|text| self.hide(text));
            }),
            Line::StepEnd(end) => {
                end.error.iter_mut().for_each(|text| self.hide(text));
                end.proof.iter_mut().for_each(|claim| {
                    [&mut claim.claim, &mut claim.seen].into_iter().for_each(|text| self.hide(text));
                });
            }
            _ => {}
        }
    }

    /// All of our own making but the names of instances, which answers give.
    fn segment(&self, segment: &Segment) -> Option<Line> {
        let named = &segment.instances.as_ref()?.named;
        let hidden: Vec<String> = named.iter().map(|instance| self.secrets.hide_known(&instance.name)).collect();
        if named.iter().zip(&hidden).all(|(instance, hidden)| instance.name == *hidden) {
            return None;
        }
        let mut segment = segment.clone();
        let named = segment.instances.iter_mut().flat_map(|instances| &mut instances.named);
        named.zip(hidden).for_each(|(instance, hidden)| instance.name = hidden);
        Some(Line::Segment(Box::new(segment)))
    }

    /// The plan is masked already where its secrets stand. Elsewhere in it they are known.
    fn begin(&self, begin: &mut Begin) {
        let plan = &mut begin.plan;
        self.hide_known(&mut plan.description);
        for target in plan.cohorts.iter_mut().map(|cohort| &mut cohort.target) {
            let values = target.headers.iter_mut().map(|(_, value)| value);
            values
                .chain([&mut target.url, &mut target.path, &mut target.authority, &mut target.method])
                .for_each(|text| self.hide_known(text));
            for request in &mut target.requests {
                let values = request.headers.iter_mut().map(|(_, value)| value);
                values.chain([&mut request.path, &mut request.method]).for_each(|text| self.hide_known(text));
            }
            target.expect_body.iter_mut().for_each(|text| self.hide_known(text));
            if let Some(InstanceSource::Body(text) | InstanceSource::Header(text)) = &mut target.instance {
                self.hide_known(text);
            }
        }
        if let Some(units) = &mut plan.units {
            units.files.iter_mut().for_each(|file| self.hide_known(&mut file.text));
            units.prepare.iter_mut().flatten().for_each(|argument| self.hide_known(argument));
        }
        for step in &mut plan.steps {
            match &mut step.action {
                Action::Exec { argv, .. } => argv.iter_mut().for_each(|argument| self.hide_known(argument)),
                Action::Request { path, .. } => self.hide_known(path),
                _ => {}
            }
        }
        if !self.show_bodies {
            self.hide_known(&mut begin.scenario_text);
        }
    }

    fn hide(&self, text: &mut String) {
        *text = self.secrets.hide(text);
        self.hide_paths(text);
    }

    fn hide_known(&self, text: &mut String) {
        *text = self.secrets.hide_known(text);
        self.hide_paths(text);
    }

    fn hide_paths(&self, text: &mut String) {
        for (hidden, shown) in &self.replaced {
            if text.contains(hidden.as_str()) {
                *text = text.replace(hidden.as_str(), shown);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::model::{MonoTime, UnitName};
    use crate::record::line::{ExecOutcome, JournalEntry};
    use crate::run::testing::plan_with_prepare;
    use crate::scenario::learn_plan;
    use crate::scenario::plan::{Spacing, Step, UnitFile};

    fn plan() -> Plan {
        let mut plan = plan_with_prepare("/srv/shop/scenario".as_ref(), &["true"]);
        let unit = UnitName::new("a.service").expect("valid");
        let text = "[Service]\nEnvironment=DB_PASSWORD=hunter2 MODE=production\n".to_owned();
        plan.units.as_mut().expect("it has units").files = vec![UnitFile { unit, text, is_private: false }];
        let argv = ["./deploy", "--token", "hunter2-other", "--secret=abc"].map(str::to_owned).to_vec();
        plan.steps = vec![Step {
            action: Action::Exec { argv, replaces: None },
            times: 1,
            spacing: Spacing::After(std::time::Duration::ZERO),
            wait_ready: false,
            job: crate::model::JobResult::Done,
            expect: None,
        }];
        plan
    }

    fn redaction(plan: &Plan) -> Redaction {
        let secrets = Secrets::default();
        learn_plan(&secrets, plan);
        Redaction::of(plan, secrets, Some("/opt/bin/gapless".as_ref()))
    }

    fn recorded(message: &str) -> String {
        let unit = UnitName::new("a.service").expect("valid");
        let entry = JournalEntry { at: MonoTime::default(), unit, priority: 6, message: message.to_owned() };
        match redaction(&plan()).applied(&Line::Journal(entry)) {
            Some(Line::Journal(entry)) => entry.message,
            other => panic!("a journal line stays one: {other:?}"),
        }
    }

    #[test]
    fn a_journal_does_not_tell_the_secrets_of_the_scenario_nor_where_it_lay() {
        assert_eq!(recorded("login with hunter2 failed"), "login with *** failed");
        assert_eq!(recorded("token hunter2-other, mode production"), "token ***, mode production");
        assert_eq!(recorded("File \"/srv/shop/scenario/app.py\", line 1"), "File \"{scenario_dir}/app.py\", line 1");
        assert_eq!(recorded("/opt/bin/gapless: no such option"), "gapless: no such option");
        assert_eq!(recorded("abc of abc"), "abc of abc", "too short to be taken for a secret in any text");
    }

    #[test]
    fn nor_does_what_a_command_prints_or_how_the_run_ended() {
        let redaction = redaction(&plan());
        let outcome = ExecOutcome {
            event: None,
            argv: Vec::new(),
            at: MonoTime::default(),
            exit_code: Some(1),
            output: "cannot log in with hunter2-other".to_owned(),
        };
        match redaction.applied(&Line::Exec(outcome)) {
            Some(Line::Exec(outcome)) => assert_eq!(outcome.output, "cannot log in with ***"),
            other => panic!("an outcome stays one: {other:?}"),
        }
        let error = EndReason::Error("cannot read /srv/shop/scenario/x".to_owned());
        assert_eq!(redaction.reason(error), EndReason::Error("cannot read {scenario_dir}/x".to_owned()));
    }

    #[test]
    fn a_folder_at_the_root_is_no_secret() {
        let mut plan = plan();
        plan.directory = PathBuf::from("/run");
        let reason = EndReason::Error("cannot connect to /run/app.sock".to_owned());
        assert_eq!(redaction(&plan).reason(reason.clone()), reason);
    }

    #[test]
    fn what_is_learned_later_is_kept_from_then_on() {
        let redaction = redaction(&plan());
        redaction.secrets().keep("learned-later-7");
        let error = EndReason::Error("saw learned-later-7".to_owned());
        assert_eq!(redaction.reason(error), EndReason::Error("saw ***".to_owned()));
    }
}
