use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;

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
        Ledger::open_in(&self.path()).expect("opens")
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

fn started(name: &str) -> Change {
    Change::Started { manager: ManagerKind::System, unit: unit(name) }
}

fn uses(name: &str) -> Change {
    Change::Uses { unit: unit(name), scenario: "demo".to_owned(), pid: 7, folder: None }
}

#[test]
fn what_a_dead_run_did_not_undo_is_outstanding() {
    let place = Place::new();
    let mut ledger = place.ledger();
    let first = ledger.entry(started("a.service")).expect("written");
    ledger.entry(started("b.service")).expect("written");
    ledger.undone(first).expect("written");
    assert!(place.abandoned().is_empty(), "its owner lives");
    drop(ledger);

    let abandoned = place.abandoned();
    let [only] = abandoned.as_slice() else { panic!("{abandoned:?}") };
    let outstanding: Vec<_> = only.outstanding().map(|(_, change)| change.clone()).collect();
    assert_eq!(outstanding, [started("b.service")]);
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
fn a_ledger_goes_when_everything_is_undone_and_stays_when_not() {
    let place = Place::new();
    let mut ledger = place.ledger();
    ledger.entry(uses("a.service")).expect("written");
    let id = ledger.entry(started("a.service")).expect("written");
    ledger.undone(id).expect("written");
    ledger.close().expect("removed");
    assert_eq!(place.files(), 0);

    let mut ledger = place.ledger();
    ledger.entry(started("a.service")).expect("written");
    ledger.close().expect("kept");
    assert_eq!(place.files(), 1);
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
    ledger.file.0.write_all(br#"{"entry":{"id":1,"cha"#).expect("written");
    drop(ledger);
    let abandoned = place.abandoned().remove(0);
    assert_eq!(abandoned.outstanding().count(), 1);
    assert_eq!(abandoned.unreadable_lines(), 0);
}

#[test]
fn a_line_of_another_version_keeps_the_file() {
    let place = Place::new();
    let mut ledger = place.ledger();
    ledger.file.0.write_all(b"{\"entry\":{\"id\":0,\"change\":{\"renamed\":{}}}}\n").expect("written");
    drop(ledger);
    let abandoned = place.abandoned().remove(0);
    assert_eq!(abandoned.unreadable_lines(), 1);
    abandoned.close().expect("kept");
    assert_eq!(place.files(), 1);
}

fn claim<'a>(units: &'a [UnitName], scenario: &'a str) -> Claim<'a> {
    Claim { units, scenario, folder: None }
}

#[test]
fn the_second_to_claim_a_unit_is_told_of_the_first_and_gets_none() {
    let place = Place::new();
    let (mut first, mut second) = (place.ledger(), place.ledger());
    first.claim(&claim(&[unit("a.service"), unit("a.socket")], "first")).expect("asked").expect("free");

    let both = [unit("b.service"), unit("a.socket")];
    let refused = second.claim(&claim(&both, "second")).expect("asked");
    let user = LiveUse { unit: unit("a.socket"), pid: std::process::id(), scenario: "first".to_owned() };
    assert_eq!(refused, Err(user));
    assert_eq!(second.outstanding().count(), 0, "all or none");

    drop(first);
    assert_eq!(second.claim(&claim(&both, "second")).expect("asked").map(|entries| entries.len()), Ok(2));
}

#[test]
fn runs_on_different_units_and_folders_do_not_meet() {
    let place = Place::new();
    let (mut first, mut second, mut third) = (place.ledger(), place.ledger(), place.ledger());
    let (a, b) = ([unit("a.service")], [unit("b.service")]);
    assert!(first.claim(&claim(&a, "first")).expect("asked").is_ok());
    assert!(second.claim(&claim(&b, "second")).expect("asked").is_ok());
    let embedded = |folder: &'static str| Claim { folder: Some(Path::new(folder)), ..claim(&a, "embedded") };
    assert!(second.claim(&embedded("/one")).expect("asked").is_ok());
    assert!(third.claim(&embedded("/two")).expect("asked").is_ok());
    assert!(third.claim(&embedded("/one")).expect("asked").is_err());
}

#[test]
fn of_many_that_claim_a_unit_at_once_exactly_one_gets_it() {
    let place = Place::new();
    let start = std::sync::Barrier::new(8);
    let claims: Vec<_> = std::thread::scope(|scope| {
        let run = |ledger: Ledger| {
            let start = &start;
            scope.spawn(move || {
                let mut ledger = ledger;
                start.wait();
                let is_ours = ledger.claim(&claim(&[unit("a.service")], "one of many")).expect("asked").is_ok();
                (is_ours, ledger)
            })
        };
        let threads: Vec<_> = (0..8).map(|_| run(place.ledger())).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(claims.iter().filter(|(is_ours, _)| *is_ours).count(), 1);
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
    assert!(Ledger::open_in(&place.path()).is_err());

    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o700)).expect("ours");
    let link = place.0.path().join("link");
    symlink(place.path(), &link).expect("made");
    assert!(Ledger::open_in(&link).is_err());
}
