//! The steps in their order: spaced as the scenario says, paced so that no start limit is tripped, and numbered.

use std::time::Duration;

use tokio::time::sleep;

use super::drive::Setup;
use super::halt::Halt;
use super::numbering::Numbering;
use super::pacing::{StartPacer, brings_a_start, limit_of};
use super::progress::Stage as ProgressStage;
use super::step::{Stage, StepOutcome, StepRun};
use crate::clock;
use crate::manager::Manager;
use crate::model::{MonoTime, UnitSnapshot};
use crate::record::line::NoteKind;
use crate::scenario::plan::{Spacing, Step};

/// Carries out every step, until one goes badly.
pub(super) async fn run_steps<M: Manager>(
    setup: &Setup<'_, M>,
    stage: &Stage<'_, M>,
    numbering: &Numbering,
) -> Result<(), Halt> {
    let events: u32 = setup.plan.steps.iter().map(|step| step.times).sum();
    let mut begun = 0;
    let mut pacer = StartPacer::default();
    for snapshot in stage.snapshots().await? {
        if let Some(started_at) = snapshot.service.as_ref().and_then(|service| service.main_started_at) {
            pacer.started(&snapshot.unit, started_at);
        }
    }
    for (index, step) in setup.plan.steps.iter().enumerate() {
        let mut last_begin = None;
        for run in 0..step.times {
            space(setup, step, last_begin).await?;
            let before = stage.snapshots().await?;
            if setup.plan.run.pace {
                pace(setup, step, &before, &mut pacer).await?;
            }
            last_begin = Some(clock::now());
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            let which = StepRun { event: numbering.begin(index, run), step: index, run };
            begun += 1;
            setup.progress.stage(&ProgressStage::Step {
                action: step.action.kind(),
                unit: step.action.unit().cloned(),
                event: begun,
                events,
            });
            match stage.run(step, which, before).await? {
                StepOutcome::Well => {}
                StepOutcome::Badly => return Err(Halt::StepFailed),
                StepOutcome::Interrupted => return Err(Halt::Interrupted),
            }
            if let Some(reason) = setup.recorder.failure() {
                return Err(Halt::Record(reason));
            }
        }
    }
    Ok(())
}

/// Waits as the step's `every` or `after` says.
async fn space<M>(setup: &Setup<'_, M>, step: &Step, last_begin: Option<MonoTime>) -> Result<(), Halt> {
    let pause = match (step.spacing, last_begin) {
        (Spacing::After(pause), _) => pause,
        (Spacing::Every(period), Some(begin)) => (begin + period).since(clock::now()),
        (Spacing::Every(_), None) => Duration::ZERO,
    };
    setup.interrupt.unless_raised(sleep(pause)).await.ok_or(Halt::Interrupted)
}

/// Waits until the start that this step brings cannot trip the service's start limit.
async fn pace<M>(
    setup: &Setup<'_, M>,
    step: &Step,
    before: &[UnitSnapshot],
    pacer: &mut StartPacer,
) -> Result<(), Halt> {
    let Some(unit) = step.action.unit().filter(|_| brings_a_start(&step.action)) else { return Ok(()) };
    let Some(service) = before.iter().find(|snapshot| snapshot.unit == *unit && snapshot.service.is_some()) else {
        return Ok(());
    };
    let now = clock::now();
    let limit = limit_of(service);
    let at = pacer.earliest(unit, limit, now);
    if at > now {
        let pause = at.since(now);
        let (burst, interval) = limit.unwrap_or_default();
        let message = format!(
            "waited {:.1} s before {} of {unit}, so that its start limit ({burst} in {:?}) is not tripped by the harness",
            pause.as_secs_f64(),
            step.action.kind(),
            interval,
        );
        setup.recorder.note(NoteKind::Info, message);
        setup.interrupt.unless_raised(sleep(pause)).await.ok_or(Halt::Interrupted)?;
    }
    pacer.started(unit, clock::now());
    Ok(())
}
