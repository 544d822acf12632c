//! Every question is answered as this machine answers it itself.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::slice;

use gapless::clock;
use gapless::host::Host;
use gapless::model::Endpoint;
use gapless::model::process::ExitSource;
use rustix::process::{Pid, Signal, kill_process};

use super::{Sleeper, both, on_one_thread, remote};

#[test]
fn listeners_of_every_kind_and_their_holders() {
    on_one_thread(async {
        let (remote, local) = both().await;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.sock");
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let _unix = UnixListener::bind(&path).unwrap();
        let address = tcp.local_addr().unwrap();
        let _waiting = TcpStream::connect(address).unwrap();
        let (_open, _) = { (TcpStream::connect(address).unwrap(), tcp.accept().unwrap()) };
        let endpoints = [Endpoint::Tcp(address), Endpoint::Unix(path), Endpoint::Udp(udp.local_addr().unwrap())];
        let before = clock::now();
        let told = remote.listeners(&endpoints).await.unwrap();
        assert_eq!(told.seen, local.listeners(&endpoints).await.unwrap().seen);
        assert_eq!(told.seen.len(), 3);
        let slack = std::time::Duration::from_nanos(remote.clock().unwrap().half_width_ns);
        assert!(before < told.at + slack && told.at <= clock::now(), "the look is dated on our clock");
        let inode = rustix::fs::fstat(tcp.as_fd()).unwrap().st_ino;
        assert_eq!(told.seen[0].inode, inode);
        let holders = remote.holders(&endpoints[0], inode).await.unwrap().seen;
        assert_eq!(holders, local.holders(&endpoints[0], inode).await.unwrap().seen);
        assert_eq!(holders.iter().map(|holder| holder.process.id.pid).collect::<Vec<_>>(), [std::process::id()]);
        let held = remote.held(&endpoints, None).await.unwrap();
        assert_eq!(held, local.held(&endpoints, None).await.unwrap());
        assert_eq!(held.len(), 3);
        let own = std::process::id();
        assert_eq!(remote.listens(own).await.unwrap(), local.listens(own).await.unwrap());
    });
}

#[test]
fn processes_counters_paths_and_addresses() {
    on_one_thread(async {
        let (remote, local) = both().await;
        let sleeper = Sleeper::start();
        let told = remote.process(sleeper.pid()).await.unwrap();
        assert_eq!(told.as_ref().map(|process| process.id.pid), Some(sleeper.pid()));
        assert_eq!(told, local.process(sleeper.pid()).await.unwrap());
        assert_eq!(remote.process(0).await.unwrap(), None);
        let group = local.own_group().await.unwrap_or_default();
        assert_eq!(remote.own_group().await.unwrap_or_default(), group);
        let (here, there) = (local.processes(&group).await.unwrap(), remote.processes(&group).await.unwrap());
        // Other processes of this machine come and go.
        let own = |process: &&gapless::model::ProcessId| [std::process::id(), sleeper.pid()].contains(&process.pid);
        assert_eq!(here.iter().filter(own).collect::<Vec<_>>(), there.iter().filter(own).collect::<Vec<_>>());
        // What is shared with a process that has just come or gone counts otherwise a moment later.
        let has_memory = |bytes: Option<u64>| bytes.is_some_and(|bytes| bytes > 64 * 1024);
        assert_eq!(has_memory(remote.memory(&group).await.unwrap()), has_memory(local.memory(&group).await.unwrap()));
        assert_eq!(remote.memory("/no/such/group").await.unwrap(), None);
        let names = |counters: Vec<(String, u64)>| counters.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(remote.counters().await.unwrap()), names(local.counters().await.unwrap()));
        for path in ["/", "/no/such/file"] {
            let path = Path::new(path);
            assert_eq!(remote.has_path(path).await.unwrap(), local.has_path(path).await.unwrap());
        }
        for address in ["127.0.0.1:80", "[::1]:80", "192.0.2.1:80"] {
            let at = Endpoint::Tcp(address.parse().unwrap());
            assert_eq!(remote.has(&at).await.unwrap(), local.has(&at).await.unwrap(), "{address}");
        }
    });
}

#[test]
fn the_exit_of_a_process_is_told_when_it_ends() {
    on_one_thread(async {
        let remote = remote().await;
        let mut sleeper = Sleeper::start();
        let id = remote.process(sleeper.pid()).await.unwrap().unwrap().id;
        let exit = remote.exit(id);
        // Many others go on meanwhile.
        for _ in 0..100 {
            remote.exchange().await.unwrap();
        }
        let before = clock::now();
        kill_process(Pid::from_raw(i32::try_from(sleeper.pid()).unwrap()).unwrap(), Signal::KILL).unwrap();
        let exit = exit.await.unwrap();
        let slack = std::time::Duration::from_nanos(remote.clock().unwrap().half_width_ns);
        assert!(before < exit.at + slack && exit.at <= clock::now());
        assert_eq!(exit.source, ExitSource::Pidfd);
        assert_eq!(sleeper.0.wait().unwrap().signal(), Some(9));
        assert_eq!(remote.exit(id).await.unwrap().source, ExitSource::Late);
    });
}

#[test]
fn a_question_that_nobody_waits_for_is_withdrawn() {
    on_one_thread(async {
        let remote = remote().await;
        let sleeper = Sleeper::start();
        let id = remote.process(sleeper.pid()).await.unwrap().unwrap().id;
        // As many as may wait, twice.
        for _ in 0..8_192 {
            drop(remote.exit(id));
        }
        remote.exchange().await.unwrap();
        assert!(remote.listeners(slice::from_ref(&Endpoint::Tcp(([127, 0, 0, 1], 1).into()))).await.is_ok());
    });
}
