//! Connections that are lost: an ssh that is killed, a gapless that is killed, a network that goes away. The next run puts
//! back what the lost one left.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::machine::{Machine, await_that, children, ended, shown};

/// Numbers that look random, from a seed that is printed.
struct Dice(u64);

impl Dice {
    fn up_to(&mut self, limit: u64) -> u64 {
        // xorshift64, Marsaglia 2003.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn signal(name: &str, pid: u32) {
    // It may have ended by itself.
    let _ = Command::new("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// A lost machine is tried for this long at most.
const LIMIT: Duration = Duration::from_secs(200);

/// One more run; the service is up after it, and no ledger is left.
fn the_next_run_puts_it_back(machine: &Machine, service: &str, context: &str) {
    let more = ["--action", "try-restart", "--times", "1", "--every", "1s", "--max-unseen", "none"];
    let output = machine.try_unit(service, &more).output().expect("runs");
    assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{context}: {}", shown(&output));
    assert_eq!(machine.state(service), "active", "{context}: {}", shown(&output));
    assert_eq!(machine.ledgers(), "", "{context}: {}", shown(&output));
}

/// The number of kills: GAPLESS_FLEET_KILLS, or few.
fn kills() -> u64 {
    std::env::var("GAPLESS_FLEET_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(9)
}

#[test]
#[ignore = "runs in the fleet"]
#[expect(clippy::print_stdout, reason = "the number of kills belongs into the log")]
fn whatever_is_killed_when_the_next_run_finds_the_unit_as_it_was() {
    let mut machine = Machine::new("h1");
    // It stays down when it is killed, until it is put back.
    machine.own_port("victim.service", 8092, "--start-delay 100ms");
    // Another run, another seed: it is in every message.
    let seed = gapless::clock::now().as_nanos();
    let mut dice = Dice(seed);
    let (mut whole, mut lost) = (0, 0);
    for nth in 0..kills() {
        let more = ["--action", "kill", "--signal", "TERM", "--times", "1", "--every", "1s", "--max-unseen", "none"];
        let child = machine.start_try("victim.service", &more);
        let after = Duration::from_millis(dice.up_to(8_000));
        let begun = Instant::now();
        await_that("the moment of the kill", || begun.elapsed() >= after);
        let below = children(child.id());
        let ssh: Vec<u32> = below.iter().filter(|(_, line)| line.contains("ssh")).map(|(pid, _)| *pid).collect();
        let what = match dice.up_to(3) {
            0 => {
                signal("-KILL", child.id());
                "gapless"
            }
            1 if !ssh.is_empty() => {
                ssh.iter().for_each(|pid| signal("-KILL", *pid));
                "every ssh"
            }
            _ => {
                let place = usize::try_from(dice.up_to(8)).expect("small") % ssh.len().max(1);
                ssh.get(place).into_iter().for_each(|pid| signal("-KILL", *pid));
                "one ssh"
            }
        };
        let output = ended(child, LIMIT);
        let context = format!("seed {seed}, kill {nth}: {what} after {after:?}, exit {:?}", output.status.code());
        println!("{context}, ledgers {:?}, {}", machine.ledgers(), machine.state("victim.service"));
        if machine.state("victim.service") == "active" {
            whole += 1;
        } else {
            lost += 1;
        }
        the_next_run_puts_it_back(&machine, "victim.service", &context);
        await_that("the killed run leaves no ssh", || {
            ssh.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
        });
    }
    println!("{} kills: {whole} left the service up, {lost} left it down, all were put back", whole + lost);
}

/// The network of a machine.
fn link(machine: &Machine, state: &str) {
    let veth = format!("veth-{}", machine.name);
    assert!(Command::new("ip").args(["link", "set", &veth, state]).status().expect("ip").success());
}

#[test]
#[ignore = "runs in the fleet"]
fn a_machine_that_loses_its_network_is_not_judged_and_the_next_run_puts_it_back() {
    let mut machine = Machine::new("h2");
    machine.own_port("adrift.service", 8093, "");
    let before = machine.incarnation("adrift.service");
    let more = ["--action", "kill", "--signal", "TERM", "--times", "1", "--max-unseen", "none"];
    let child = machine.start_try("adrift.service", &more);
    await_that("the service is killed", || machine.state("adrift.service") != "active");
    link(&machine, "down");
    let output = ended(child, LIMIT);
    link(&machine, "up");
    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    assert!(shown(&output).contains("root@h2"), "{}", shown(&output));
    // The shell that kept its ledger there hears of us no more.
    await_that("its ledger is let go of", || {
        machine.ssh("for f in /run/gapless/*.jsonl; do flock -n $f true || echo held; done").is_empty()
    });
    the_next_run_puts_it_back(&machine, "adrift.service", "the network was lost");
    assert_ne!(machine.incarnation("adrift.service"), before);
}
