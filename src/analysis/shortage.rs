//! What the load thread lacked, and what helps.

use std::time::Duration;

use crate::record::generator::GeneratorUse;
use crate::record::line::Pause;

/// What kept the load thread from its work, adding up the spans in which something did.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Shortage {
    /// Without enough memory.
    pub(crate) short_of_memory_ns: u64,
    /// Of that time: how long a task waited for memory,
    pub(crate) memory_wait_ns: u64,
    /// and how often a socket was refused it.
    pub(crate) socket_memory_denied: u64,
    pub(crate) paused_ns: u64,
    /// Of the spans with pauses: by the quota of a cgroup,
    pub(crate) paused_throttled_ns: u64,
    /// and by the hypervisor, over all cores.
    pub(crate) paused_steal_ns: u64,
    pub(crate) saturated_ns: u64,
    /// Of the saturated time: requests that were due,
    pub(crate) due: u64,
    /// those that were begun,
    pub(crate) begun: u64,
    /// on a core,
    pub(crate) cpu_ns: u64,
    /// and ready to run, without a core;
    pub(crate) run_delay_ns: u64,
    /// of which by the quota of a cgroup,
    pub(crate) throttled_ns: u64,
    /// and by the hypervisor, over all cores.
    pub(crate) steal_ns: u64,
    /// Most requests that were due and waited for a connection.
    pub(crate) waiting: u64,
}

impl Shortage {
    /// Adds what it lacked in one span.
    pub(super) fn add(&mut self, generator: &GeneratorUse) {
        self.waiting = self.waiting.max(generator.waiting);
        if generator.is_short_of_memory() {
            self.short_of_memory_ns += generator.span_ns();
            self.memory_wait_ns += generator.taken.memory_wait_ns.unwrap_or_default();
            self.socket_memory_denied += generator.taken.socket_memory_denied.unwrap_or_default();
        }
        let (throttled_ns, steal_ns) =
            (generator.taken.throttled_ns.unwrap_or_default(), generator.taken.steal_ns.unwrap_or_default());
        if generator.is_saturated() {
            self.saturated_ns += generator.span_ns();
            self.due += generator.due;
            self.begun += generator.begun;
            self.cpu_ns += generator.cpu_ns;
            self.run_delay_ns += generator.run_delay_ns.unwrap_or_default();
            self.throttled_ns += throttled_ns;
            self.steal_ns += steal_ns;
        } else if !generator.pauses.is_empty() {
            self.paused_ns += generator.pauses.iter().map(Pause::length_ns).sum::<u64>();
            self.paused_throttled_ns += throttled_ns;
            self.paused_steal_ns += steal_ns;
        }
    }

    /// Whether it lacked anything that is known.
    pub(crate) fn is_any(&self) -> bool {
        self.short_of_memory_ns + self.saturated_ns + self.paused_ns > 0
    }

    /// What was exhausted, and what helps.
    pub(crate) fn sentence(&self) -> String {
        let memory = (self.short_of_memory_ns > 0).then(|| self.of_memory());
        let thread = match (self.saturated_ns, self.paused_ns) {
            (0, 0) => None,
            (0, _) => Some(self.of_pauses()),
            _ => Some(self.of_saturation()),
        };
        match (memory, thread) {
            (Some(memory), Some(thread)) => format!("{memory}; and {thread}"),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => {
                "the kernel had no memory for connections of this machine; free memory, or raise the limits of sockets"
                    .to_owned()
            }
        }
    }

    fn of_memory(&self) -> String {
        let span = seconds(self.short_of_memory_ns);
        if self.socket_memory_denied > 0 {
            let times = self.socket_memory_denied;
            return format!(
                "within {span} the memory limit of its cgroup was in the way of its sockets {times} times; raise it \
                 (MemoryHigh=, MemoryMax=, or memory.kmem.tcp.limit_in_bytes of version 1)"
            );
        }
        let waited = seconds(self.memory_wait_ns);
        format!("it waited {waited} of {span} for memory; raise the limit of its cgroup (MemoryHigh=, MemoryMax=)")
    }

    fn of_pauses(&self) -> String {
        let why = taken_away(self.paused_ns, self.paused_throttled_ns, self.paused_steal_ns);
        let why = why.unwrap_or_else(|| "leave it a core of its own".to_owned());
        format!("the load thread did not run for {} though requests were due; {why}", seconds(self.paused_ns))
    }

    fn of_saturation(&self) -> String {
        let (saturated, waited) = (seconds(self.saturated_ns), seconds(self.run_delay_ns));
        // A record may say anything: the product of two of its numbers need not fit.
        let is_too_much = self.begun > 0 && (self.cpu_ns / self.begun).saturating_mul(self.due) >= self.saturated_ns;
        let why = if is_too_much {
            format!(
                "{} requests were due and it began {}, each for {} us of CPU time; lower the rate",
                self.due,
                self.begun,
                self.cpu_ns / self.begun / 1_000
            )
        } else if self.cpu_ns >= self.saturated_ns / 2 {
            format!(
                "it used {} of CPU time, which is all that one thread has; lower the rate or the number of clients",
                seconds(self.cpu_ns)
            )
        } else if self.run_delay_ns < self.saturated_ns / 4 {
            "it waited in the kernel, for memory or for a disk; free memory, or raise the cgroup's memory.high"
                .to_owned()
        } else {
            taken_away(self.run_delay_ns, self.throttled_ns, self.steal_ns).unwrap_or_else(|| {
                format!("it waited {waited} for a core that something else used; leave it a core of its own")
            })
        };
        let waiting = match self.waiting {
            0 => String::new(),
            waiting => format!(", while up to {waiting} requests waited for a connection"),
        };
        format!("the load thread was at its limit for {saturated}{waiting}: {why}")
    }
}

/// What kept the load thread from a core for most of `kept_ns`, as far as the kernel tells.
fn taken_away(kept_ns: u64, throttled_ns: u64, steal_ns: u64) -> Option<String> {
    let is_most = |ns: u64| ns > 0 && ns >= kept_ns / 2;
    if is_most(throttled_ns) {
        let throttled = seconds(throttled_ns);
        return Some(format!(
            "the CPU quota of its cgroup kept it from a core ({throttled} throttled); raise CPUQuota="
        ));
    }
    let stolen = seconds(steal_ns);
    is_most(steal_ns).then(|| format!("the hypervisor kept the cores ({stolen} stolen); use a machine of its own"))
}

/// To a tenth of a second, and what is shorter than that to a millisecond.
fn seconds(ns: u64) -> String {
    let length = Duration::from_nanos(ns);
    if length < Duration::from_millis(100) {
        format!("{} ms", length.as_millis())
    } else {
        format!("{:.1} s", length.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::generator::tests::{MS, at, second};
    use crate::record::generator::Taken;

    #[test]
    fn the_sentence_names_what_was_exhausted() {
        let told = |generator: GeneratorUse| {
            let mut shortage = Shortage::default();
            shortage.add(&generator);
            shortage.sentence()
        };
        assert!(told(GeneratorUse { waiting: 70, ..second(0, 985, 5, 100) }).contains("up to 70 requests waited"));
        assert!(told(second(0, 985, 5, 100)).contains("all that one thread has"));
        let asked = GeneratorUse { due: 100_000, begun: 25_000, ..second(0, 985, 5, 100) };
        assert!(told(asked).contains("100000 requests were due and it began 25000, each for 39 us of CPU time"));
        assert!(told(second(0, 100, 880, 890)).contains("a core that something else used"));
        let taken = |throttled_ns, steal_ns| Taken {
            throttled_ns: Some(throttled_ns),
            steal_ns: Some(steal_ns),
            ..Taken::default()
        };
        assert!(told(GeneratorUse { taken: taken(800 * MS, 0), ..second(0, 190, 800, 790) }).contains("CPU quota"));
        assert!(told(GeneratorUse { taken: taken(0, 800 * MS), ..second(0, 190, 800, 790) }).contains("hypervisor"));
        let paused = |throttled_ns, steal_ns| {
            let pauses = vec![Pause { from: at(200), to: at(900) }];
            told(GeneratorUse { pauses, taken: taken(throttled_ns, steal_ns), ..second(0, 100, 20, 880) })
        };
        assert!(paused(400 * MS, 0).contains("did not run for 0.7 s") && paused(400 * MS, 0).contains("CPU quota"));
        assert!(paused(0, 400 * MS).contains("hypervisor"));
        let briefly = vec![Pause { from: at(200), to: at(212) }];
        assert!(told(GeneratorUse { pauses: briefly, ..second(0, 100, 20, 880) }).contains("did not run for 12 ms"));
        assert!(paused(100 * MS, 0).ends_with("leave it a core of its own"));
        let short = |wait_ms, denied| Taken {
            memory_wait_ns: Some(wait_ms * MS),
            socket_memory_denied: Some(denied),
            ..Taken::default()
        };
        assert!(told(GeneratorUse { taken: short(0, 7), ..second(0, 50, 5, 940) }).contains("its sockets 7 times"));
        assert!(
            told(GeneratorUse { taken: short(400, 0), ..second(0, 50, 5, 940) })
                .contains("waited 0.4 s of 1.0 s for memory")
        );
        let both = told(GeneratorUse { taken: short(0, 7), ..second(0, 985, 5, 100) });
        assert!(both.contains("its sockets 7 times") && both.contains("all that one thread has"), "{both}");
        assert!(told(second(0, 50, 5, 10)).contains("waited in the kernel"));
        assert!(told(second(0, 50, 5, 940)).contains("no memory"));
    }
}
