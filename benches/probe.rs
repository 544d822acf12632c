//! What a question to a probe costs over a local pipe: `cargo bench --bench probe`.

#![expect(clippy::print_stdout, reason = "it is what this is for")]

use std::net::TcpListener;
use std::slice;
use std::time::Instant;

use gapless::host::{Host, Local, Remote};
use gapless::model::Endpoint;
use tokio::process::Command;
use tokio::task::LocalSet;

const QUESTIONS: u32 = 20_000;

/// Asks one question after the other, and tells how long each takes.
async fn measure<F: Future>(what: &str, ask: impl Fn() -> F) {
    let mut took_us = Vec::new();
    let begun = Instant::now();
    for _ in 0..QUESTIONS {
        let asked = Instant::now();
        ask().await;
        took_us.push(asked.elapsed().as_secs_f64() * 1e6);
    }
    let per_second = f64::from(QUESTIONS) / begun.elapsed().as_secs_f64();
    took_us.sort_by(f64::total_cmp);
    let (median, p99) = (took_us[took_us.len() / 2], took_us[took_us.len() * 99 / 100]);
    println!("{what}: median {median:.0} us, p99 {p99:.0} us, {per_second:.0} a second");
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gapless"));
        command.arg("probe");
        let remote = Remote::start("a pipe", command).await.expect("a probe");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let at = Endpoint::Tcp(listener.local_addr().expect("it is bound"));
        measure("round trip", || remote.exchange()).await;
        measure("look at the listeners", || remote.listeners(slice::from_ref(&at))).await;
        measure("the same without a probe", || Local.listeners(slice::from_ref(&at))).await;
        let half_width_ns = remote.clock().map_or(0, |clock| clock.half_width_ns);
        println!("half-width of its clock: {half_width_ns} ns");
    });
}
