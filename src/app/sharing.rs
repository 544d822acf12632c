//! `--shard` and `--start-at`: what a launcher tells in its variables, and what a time means.

use std::time::Duration;

use jiff::civil::Time;
use jiff::{Timestamp, Zoned};

use super::stamp;
use crate::cli::{ShardArg, ShardArgs};
use crate::clock;
use crate::model::Share;
use crate::model::time::nanos;
use crate::record::shard::Shard;
use crate::run::{Sharing, sharing};
use crate::scenario::plan::Plan;
use crate::scenario::{self, Scenario, duration};

/// Where a launcher tells of which of its jobs this is.
struct Launcher {
    name: &'static str,
    /// The variable with the number of the job.
    index: &'static str,
    /// Its number for the first.
    first: u32,
    /// The variable with how many there are; none where it tells nobody.
    of: Option<&'static str>,
}

/// Kubernetes sets the index of a pod and not `completions`; GNU parallel the number of a job and of its slot, and not how
/// many jobs there are (its `{##}` is that). In one array, each job of Slurm has one task.
const LAUNCHERS: [Launcher; 3] = [
    Launcher { name: "a Kubernetes Indexed Job", index: "JOB_COMPLETION_INDEX", first: 0, of: None },
    Launcher { name: "Slurm", index: "SLURM_PROCID", first: 0, of: Some("SLURM_NTASKS") },
    Launcher { name: "GNU parallel", index: "PARALLEL_SEQ", first: 1, of: None },
];

/// What was asked for, with all that the environment and the clock decide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared {
    share: Share,
    start_at_ns: Option<u64>,
    duration: Option<Duration>,
    /// Before anything of this machine is in the plan; none where no shard was asked for.
    plan_sum: Option<u32>,
}

impl Shared {
    /// A load of its own, at once.
    pub(super) const ALONE: Self = Self { share: Share::WHOLE, start_at_ns: None, duration: None, plan_sum: None };

    /// Reads the options.
    ///
    /// # Errors
    /// What does not make sense in them, and what to pass instead.
    pub(super) fn of(args: &ShardArgs, duration: Option<&str>, scenarios: &[Scenario]) -> Result<Self, String> {
        let share = args.shard.map(|shard| share(shard, |name| std::env::var(name).ok())).transpose()?;
        let start_at_ns = args.start_at.as_deref().map(start_at).transpose()?;
        if args.shard.is_none() && args.start_at.is_none() {
            return Ok(Self::ALONE);
        }
        let (only, more) = scenarios.split_first().ok_or("there is no scenario")?;
        if !more.is_empty() {
            let names: Vec<&str> = scenarios.iter().map(|scenario| scenario.plan.name.as_str()).collect();
            return Err(format!(
                "--shard and --start-at are for one scenario, and there are {}: {}; name one with --only",
                names.len(),
                names.join(", ")
            ));
        }
        let shared = Self {
            share: share.unwrap_or(Share::WHOLE),
            start_at_ns,
            duration: duration.map(duration::parse).transpose()?,
            plan_sum: args.shard.map(|_| plan_sum(&only.plan)),
        };
        shared.checked(args)
    }

    fn checked(self, args: &ShardArgs) -> Result<Self, String> {
        if self.share.is_whole() {
            return Ok(self);
        }
        let share = self.share;
        match args.start_at.as_deref() {
            None => Err(format!(
                "shard {share} needs --start-at, the same time for every shard: --start-at @$(( $(date +%s) + 10 )), \
                 evaluated once for all of them"
            )),
            Some(text) if text.starts_with('+') => Err(format!(
                "--start-at {text} is another time in each shard; pass one time to all of them, such as @$(( $(date +%s) + 10 )), \
                 evaluated once"
            )),
            Some(_) => Ok(self),
        }
    }

    /// Which of the requests.
    pub(super) fn share(self) -> Share {
        self.share
    }

    /// Its part of a run of `plan`.
    pub(super) fn sharing(self, plan: &Plan) -> Sharing {
        let whole = plan.run.warmup + plan.run.cooldown;
        let stated = self.duration.map(|steps| steps + whole);
        let window = (!self.share.is_whole()).then(|| stated.unwrap_or_else(|| sharing::window(plan)));
        let is_fine = !self.share.is_whole() && sharing::is_asked_finely(plan);
        Sharing { share: self.share, start_at_ns: self.start_at_ns, window, is_fine }
    }

    /// What the first line of its record says of it.
    pub(super) fn recorded(self, sharing: Sharing) -> Option<Shard> {
        Some(Shard {
            share: self.share,
            start_at_ns: self.start_at_ns,
            window_ns: sharing.window.map(nanos),
            plan_sum: format!("{:08x}", self.plan_sum?),
            boot: std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned()),
        })
    }
}

/// The sum of a plan as every shard reads it. Its bodies count by their length: they may be secret.
fn plan_sum(plan: &Plan) -> u32 {
    let bodies = plan.cohorts.iter().flat_map(|cohort| {
        let own = cohort.target.body.len();
        cohort.target.requests.iter().map(|request| request.body.len()).chain([own])
    });
    let mut sum = crc32fast::Hasher::new();
    // A plan always serialises: it stands in every record.
    sum.update(&serde_json::to_vec(&scenario::masked(plan, false)).unwrap_or_default());
    bodies.for_each(|length| sum.update(&(length as u64).to_be_bytes()));
    sum.finalize()
}

fn share(shard: ShardArg, variable: impl Fn(&str) -> Option<String>) -> Result<Share, String> {
    let told_of = match shard {
        ShardArg::Is(share) => return Ok(share),
        ShardArg::Auto(of) => of,
    };
    let set: Vec<(&Launcher, String)> =
        LAUNCHERS.iter().filter_map(|launcher| Some((launcher, variable(launcher.index)?))).collect();
    let [(launcher, text)] = set.as_slice() else {
        let names = |launchers: &mut dyn Iterator<Item = &Launcher>| {
            launchers.map(|launcher| format!("{} ({})", launcher.index, launcher.name)).collect::<Vec<_>>().join(", ")
        };
        return Err(if set.is_empty() {
            format!("--shard auto finds none of {}; pass --shard I/N", names(&mut LAUNCHERS.iter()))
        } else {
            let found = names(&mut set.iter().map(|(launcher, _)| *launcher));
            format!("--shard auto finds more than one of {found}; pass --shard I/N")
        });
    };
    let number = |name: &str, text: &str| {
        text.trim().parse::<u32>().map_err(|_| format!("--shard auto: {name} is {text:?}, which is not a number"))
    };
    let index = number(launcher.index, text)?;
    let is_of_array = launcher.of.is_some() && variable("SLURM_ARRAY_TASK_ID").is_some();
    if is_of_array {
        return Err("--shard auto: in a job array of Slurm each job has a task 0; \
                    pass --shard $((SLURM_ARRAY_TASK_ID + 1))/N with --array=0-(N-1)"
            .to_owned());
    }
    let said = launcher.of.and_then(|name| Some((name, variable(name)?)));
    let said = said.map(|(name, text)| number(name, &text)).transpose()?;
    let of = match (told_of, said) {
        (Some(told), Some(said)) if told != said => {
            return Err(format!("--shard auto/{told}: {} says that there are {said}", launcher.name));
        }
        (told, said) => told.or(said).ok_or_else(|| {
            format!("--shard auto: {} does not say how many there are; pass --shard auto/N", launcher.name)
        })?,
    };
    let index_from_1 = index.checked_sub(launcher.first).and_then(|index| index.checked_add(1));
    index_from_1.and_then(|index| Share::new(index, of)).ok_or_else(|| {
        format!(
            "--shard auto: {} is {index}, which is not one of the {of} tasks counted from {}",
            launcher.index, launcher.first
        )
    })
}

/// When to start, in nanoseconds since 1970.
fn start_at(text: &str) -> Result<u64, String> {
    let (_, now_ns) = clock::both();
    let at_ns = moment(text, now_ns, &stamp::local()).ok_or_else(|| {
        format!(
            "--start-at {text:?} is not a time: give RFC 3339 (2026-11-20T08:30:00Z), @SECONDS since 1970, HH:MM:SS today, or +10s"
        )
    })?;
    match now_ns.checked_sub(at_ns) {
        None => Ok(at_ns),
        Some(ago) => Err(format!(
            "--start-at {text} was {:.1} s ago by this machine's clock; give a time to come",
            Duration::from_nanos(ago).as_secs_f64()
        )),
    }
}

fn moment(text: &str, now_ns: u64, today: &Zoned) -> Option<u64> {
    let of = |timestamp: Timestamp| u64::try_from(timestamp.as_nanosecond()).ok();
    if let Some(seconds) = text.strip_prefix('@') {
        let seconds = seconds.parse::<f64>().ok().filter(|seconds| (0.0..1e10).contains(seconds))?;
        return Some(nanos(Duration::from_secs_f64(seconds)));
    }
    if let Some(from_now) = text.strip_prefix('+') {
        return now_ns.checked_add(nanos(duration::parse(from_now).ok()?));
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return of(timestamp);
    }
    let time: Time = text.parse().ok()?;
    of(today.with().time(time).build().ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(of: Option<u32>, variables: &[(&str, &str)]) -> Result<String, String> {
        let variable =
            |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        share(ShardArg::Auto(of), variable).map(|share| share.to_string())
    }

    #[test]
    fn each_launcher_tells_which_shard_this_is() {
        let slurm = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")];
        assert_eq!(auto(None, &slurm), Ok("1/4".to_owned()));
        assert_eq!(auto(Some(4), &slurm), Ok("1/4".to_owned()));
        assert_eq!(auto(Some(3), &[("JOB_COMPLETION_INDEX", "2")]), Ok("3/3".to_owned()));
        assert_eq!(auto(Some(3), &[("PARALLEL_SEQ", "3"), ("PARALLEL_JOBSLOT", "1")]), Ok("3/3".to_owned()));
    }

    #[test]
    fn what_is_not_known_is_asked_for() {
        let mistake = |of, variables: &[(&str, &str)]| auto(of, variables).expect_err("it is not known");
        assert!(mistake(None, &[]).contains("pass --shard I/N"));
        assert!(mistake(None, &[("JOB_COMPLETION_INDEX", "0")]).contains("pass --shard auto/N"));
        assert!(mistake(None, &[("PARALLEL_SEQ", "1")]).contains("GNU parallel does not say how many"));
        assert!(mistake(Some(2), &[("PARALLEL_SEQ", "3")]).contains("not one of the 2 tasks"));
        assert!(mistake(Some(2), &[("PARALLEL_SEQ", "0")]).contains("counted from 1"));
        assert!(mistake(Some(2), &[("JOB_COMPLETION_INDEX", "2")]).contains("counted from 0"));
        assert!(mistake(None, &[("SLURM_PROCID", "x")]).contains("not a number"));
        assert!(mistake(Some(3), &[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]).contains("says that there are 4"));
        assert!(mistake(Some(3), &[("PARALLEL_SEQ", "1"), ("SLURM_PROCID", "0")]).contains("more than one"));
        let array = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "1"), ("SLURM_ARRAY_TASK_ID", "3")];
        assert!(mistake(None, &array).contains("SLURM_ARRAY_TASK_ID + 1"));
    }

    #[test]
    fn a_time_is_read_in_each_of_its_forms() {
        let today: Zoned = "2026-11-20T10:00:00+01:00[Europe/Berlin]".parse().expect("a time");
        let now_ns = u64::try_from(today.timestamp().as_nanosecond()).expect("after 1970");
        let seconds = |text| moment(text, now_ns, &today).map(|ns| ns / 1_000_000_000);
        let now = now_ns / 1_000_000_000;
        assert_eq!(seconds("2026-11-20T09:30:00Z"), Some(now + 1_800));
        assert_eq!(seconds("10:00:30"), Some(now + 30));
        assert_eq!(seconds("+1m30s"), Some(now + 90));
        assert_eq!(seconds("@1795165200.5"), Some(1_795_165_200));
        for wrong in ["", "soon", "@", "@-1", "@1e300", "+", "+10", "25:00:00", "2026-11-20"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_that_has_passed_is_refused() {
        assert!(start_at("@1").expect_err("1970").contains("give a time to come"));
        assert!(start_at("+5s").is_ok());
    }
}
