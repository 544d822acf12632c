use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

use super::*;
use crate::model::ActiveState;

/// A directory for ledgers that goes with the test.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a place for files"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("gapless")
    }

    fn ledger(&self) -> Ledger {
        Ledger::open_in(&self.path(), owner("demo")).expect("opens")
    }

    fn abandoned(&self) -> Vec<AbandonedLedger> {
        Ledger::abandoned_in(&self.path()).expect("can be searched")
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.path()).expect("is there").count()
    }
}

fn unit(name: &str) -> UnitName {
    UnitName::new(name).expect("valid")
}

fn owner(scenario: &str) -> Owner {
    Owner::this_process(scenario, "2026-11-20T08:30:00.000Z".to_owned())
}

fn started(name: &str) -> Change {
    let found = UnitMark { active_state: ActiveState::Inactive, ..UnitMark::default() };
    let (manager, action) = (ManagerKind::System, "start".to_owned());
    Change::Started(ActedUnit { manager, unit: unit(name), action, starts: true, found })
}

fn uses(name: &str) -> Change {
    Change::Uses { manager: ManagerKind::System, unit: unit(name), scenario: "demo".to_owned(), pid: 7, folder: None }
}

#[test]
fn what_a_dead_run_did_not_undo_is_outstanding() {
    let place = Place::new();
    let mut ledger = place.ledger();
    let first = ledger.entry(started("a.service")).expect("written");
    let second = ledger.entry(started("b.service")).expect("written");
    ledger.undone(first).expect("written");
    let left =
        UnitMark { active_state: ActiveState::Active, invocation_id: Some("b".to_owned()), ..UnitMark::default() };
    ledger.left(second, left.clone()).expect("written");
    assert!(place.abandoned().is_empty(), "its owner lives");
    drop(ledger);

    let abandoned = place.abandoned();
    let [only] = abandoned.as_slice() else { panic!("{abandoned:?}") };
    let outstanding: Vec<_> = only.outstanding().map(|(_, entry)| (entry.change.clone(), entry.left.clone())).collect();
    assert_eq!(outstanding, [(started("b.service"), Some(left))]);
    assert_eq!(*only.owner(), owner("demo"));
    assert!(!only.is_void());
    assert!(place.abandoned().is_empty(), "nobody else may undo it meanwhile");
}

#[test]
fn a_recovery_that_is_cut_short_is_taken_up_where_it_stopped() {
    let place = Place::new();
    let mut ledger = place.ledger();
    for name in ["a.service", "b.service", "c.service"] {
        ledger.entry(started(name)).expect("written");
    }
    drop(ledger);

    let mut cut_short = place.abandoned().remove(0);
    let (first, _) = cut_short.outstanding().next().expect("three");
    cut_short.undone(first).expect("written");
    drop(cut_short);

    let mut taken_up = place.abandoned().remove(0);
    let ids: Vec<EntryId> = taken_up.outstanding().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 2);
    for id in ids {
        taken_up.undone(id).expect("written");
    }
    taken_up.close().expect("removed");
    assert_eq!(place.files(), 0);
}

#[test]
fn the_ledger_of_a_run_that_ends_by_itself_goes_whatever_is_in_it() {
    let place = Place::new();
    let mut ledger = place.ledger();
    ledger.entry(uses("a.service")).expect("written");
    ledger.entry(started("a.service")).expect("written");
    ledger.close().expect("removed");
    assert_eq!(place.files(), 0);
    ledger.close().expect("it is gone already");
}

#[test]
fn the_ledger_of_a_dead_run_that_changed_nothing_is_removed_by_the_next() {
    let place = Place::new();
    let mut ledger = place.ledger();
    ledger.entry(uses("a.service")).expect("written");
    drop(ledger);
    let mut alive = place.ledger();
    alive.entry(uses("b.service")).expect("written");
    assert!(place.abandoned().is_empty());
    assert_eq!(place.files(), 1, "that of the living");
}

#[test]
fn an_entry_that_was_cut_short_was_never_carried_out() {
    let place = Place::new();
    let mut ledger = place.ledger();
    ledger.entry(started("a.service")).expect("written");
    ledger.store.file().write_all(br#"{"entry":{"id":1,"cha"#).expect("written");
    drop(ledger);
    let abandoned = place.abandoned().remove(0);
    assert_eq!(abandoned.outstanding().count(), 1);
}

/// Puts something else in place of a ledger: what both who look for dead runs and who claim units say of it.
fn refused(make: impl FnOnce(&Path)) -> [String; 2] {
    let place = Place::new();
    let mut ledger = place.ledger();
    let path = place.path().join("1-0.jsonl");
    make(&path);
    let abandoned = Ledger::abandoned_in(&place.path()).expect_err("it is not a ledger").to_string();
    let claimed = ledger.claim(&claim(&[unit("a.service")])).expect_err("it is not a ledger").to_string();
    for message in [&abandoned, &claimed] {
        assert!(message.starts_with(&format!("cannot read the ledger {}: ", path.display())), "{message}");
    }
    [abandoned, claimed]
}

#[test]
fn what_is_not_a_ledger_of_ours_is_named_with_its_path_and_never_waited_for() {
    let write = |text: &'static [u8]| move |path: &Path| std::fs::write(path, text).expect("written");
    refused(write(b"{\"entry\":{\"id\":0,\"change\":{\"renamed\":{}}}}\n"));
    refused(write(b"no JSON\n"));
    refused(write(b"\xff\xfe\n"));
    refused(|path| {
        let flags = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, flags, 0).expect("made");
    });
    refused(|path| symlink("/dev/null", path).expect("made"));
    refused(|path| std::fs::create_dir(path).expect("made"));
    refused(|path| {
        std::fs::write(path, "").expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).expect("ours");
    });
    refused(|path| {
        std::fs::write(path, "").expect("written");
        std::fs::hard_link(path, path.with_extension("second")).expect("made");
    });
    refused(|path| {
        let file = File::create(path).expect("made");
        file.set_len(1 << 30).expect("sparse");
    });
}

#[test]
fn a_disk_that_is_full_leaves_no_half_line_before_the_next() {
    let place = Place::new();
    let mut ledger = place.ledger();
    *ledger.store.file() = File::open("/dev/full").expect("it is there");
    assert!(
        ledger.entry(started("a.service")).expect_err("full").to_string().contains(&*place.path().to_string_lossy())
    );
    assert_eq!(ledger.outstanding().count(), 0, "it may not be changed");
}

fn claim(units: &[UnitName]) -> Claim<'_> {
    Claim { manager: ManagerKind::System, units, folder: None }
}

#[test]
fn the_second_to_claim_a_unit_is_told_of_the_first_and_gets_none() {
    let place = Place::new();
    let mut first = Ledger::open_in(&place.path(), owner("first")).expect("opens");
    let mut second = place.ledger();
    first.claim(&claim(&[unit("a.service"), unit("a.socket")])).expect("asked").expect("free");

    let both = [unit("b.service"), unit("a.socket")];
    let refused = second.claim(&claim(&both)).expect("asked");
    let user = LiveUse { unit: unit("a.socket"), pid: std::process::id(), machine: None, scenario: "first".to_owned() };
    assert_eq!(refused, Err(user));
    assert_eq!(second.outstanding().count(), 0, "all or none");

    drop(first);
    assert_eq!(second.claim(&claim(&both)).expect("asked").map(|entries| entries.len()), Ok(2));
}

#[test]
fn runs_on_different_units_and_folders_do_not_meet() {
    let place = Place::new();
    let (mut first, mut second, mut third) = (place.ledger(), place.ledger(), place.ledger());
    let (a, b) = ([unit("a.service")], [unit("b.service")]);
    assert!(first.claim(&claim(&a)).expect("asked").is_ok());
    assert!(second.claim(&claim(&b)).expect("asked").is_ok());
    let of_the_user = Claim { manager: ManagerKind::User, ..claim(&a) };
    assert!(second.claim(&of_the_user).expect("asked").is_ok(), "another systemd has units of its own");
    let embedded = |folder: &'static str| Claim { folder: Some(Path::new(folder)), ..claim(&a) };
    assert!(second.claim(&embedded("/one")).expect("asked").is_ok());
    assert!(third.claim(&embedded("/two")).expect("asked").is_ok());
    assert!(third.claim(&embedded("/one")).expect("asked").is_err());
}

#[test]
fn of_many_that_claim_a_unit_at_once_exactly_one_gets_it() {
    let place = Place::new();
    let (start, end) = (std::sync::Barrier::new(8), std::sync::Barrier::new(8));
    let claims: Vec<bool> = std::thread::scope(|scope| {
        let run = || {
            let mut ledger = place.ledger();
            start.wait();
            let is_ours = ledger.claim(&claim(&[unit("a.service")])).expect("asked").is_ok();
            // Nobody lets go of it before all have claimed it.
            end.wait();
            is_ours
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(claims.iter().filter(|is_ours| **is_ours).count(), 1);
}

#[test]
fn only_its_owner_may_read_it() {
    let place = Place::new();
    let _ledger = place.ledger();
    let mode = |path: &Path| std::fs::metadata(path).expect("is there").mode() & 0o777;
    assert_eq!(mode(&place.path()), 0o700);
    let file = std::fs::read_dir(place.path()).expect("is there").next().expect("one").expect("readable").path();
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn a_directory_that_others_may_enter_or_a_link_to_one_is_refused() {
    let place = Place::new();
    std::fs::create_dir(place.path()).expect("made");
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
    assert!(Ledger::open_in(&place.path(), owner("demo")).is_err());

    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o700)).expect("ours");
    let link = place.0.path().join("link");
    symlink(place.path(), &link).expect("made");
    let error = Ledger::open_in(&link, owner("demo")).expect_err("a link").to_string();
    assert!(error.contains(&link.display().to_string()), "{error}");
}
