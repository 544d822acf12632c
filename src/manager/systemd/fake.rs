//! A systemd at the other end of a socket pair that answers as a test has scripted.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use zbus::message::{Header, Type};
use zbus::{Connection, Guid, Message, MessageStream, ObjectPath, OwnedObjectPath, OwnedVariant, Variant};

use super::bus::object_path;
use super::route::Route;
use super::systemd_manager::{Options, SystemdManager};
use crate::clock;
use crate::host::Local;
use crate::manager::ledger::{Change, Ledger, Owner, UnitMark};
use crate::model::{MonoTime, UnitName};
use crate::record::begin::ManagerKind;

pub(super) const UNIT: &str = "org.freedesktop.systemd1.Unit";
pub(super) const SERVICE: &str = "org.freedesktop.systemd1.Service";
pub(super) const SOCKET: &str = "org.freedesktop.systemd1.Socket";

/// What the next call that queues a job is answered with.
pub(super) enum Answer {
    /// The job of that number; JobRemoved signals come before and after the answer.
    Job { number: u32, before: Vec<(u32, &'static str)>, after: Vec<(u32, &'static str)> },
    /// A D-Bus error.
    Error(&'static str, &'static str),
    /// The connection ends after the job was queued.
    HangUp,
}

/// The properties of an interface.
pub(super) type Values = Vec<(&'static str, OwnedVariant)>;

#[derive(Default)]
struct Script {
    properties: HashMap<(String, String), Values>,
    answers: VecDeque<Answer>,
    calls: Vec<String>,
    /// When properties were asked for.
    reads: Vec<MonoTime>,
}

impl Script {
    /// The properties of a unit, of all its interfaces if none is named.
    fn read(&mut self, path: &str, interface: &str) -> HashMap<&'static str, OwnedVariant> {
        self.reads.push(clock::now());
        let is_meant = |(of, named): &(String, String)| of == path && (interface.is_empty() || named == interface);
        let meant = self.properties.iter().filter(|(key, _)| is_meant(key));
        let values: HashMap<_, _> = meant.flat_map(|(_, values)| values.iter().cloned()).collect();
        if values.is_empty() {
            return HashMap::from([("LoadState", text("not-found")), ("ActiveState", text("inactive"))]);
        }
        values
    }
}

/// A manager and the systemd that it talks to.
pub(super) struct Fake {
    pub(super) manager: SystemdManager,
    ledger: Rc<RefCell<Ledger>>,
    server: Connection,
    script: Arc<Mutex<Script>>,
    place: tempfile::TempDir,
}

impl Fake {
    pub(super) async fn start() -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let server = zbus::connection::Builder::unix_stream(theirs).server(Guid::generate()).p2p();
        let client = zbus::connection::Builder::unix_stream(ours).p2p();
        let (server, client) = tokio::join!(server.build(), client.build());
        let (server, client) = (server.expect("connects"), client.expect("connects"));
        let script = Arc::new(Mutex::new(Script::default()));
        tokio::spawn(serve(server.clone(), MessageStream::from(&server), Arc::clone(&script)));
        let place = tempfile::tempdir().expect("a place for files");
        let owner = Owner::this_process("fake", String::new());
        let ledger = Ledger::open_in(&place.path().join("ledger"), owner).expect("opens");
        let ledger = Rc::new(RefCell::new(ledger));
        let options = Options { ledger: Rc::clone(&ledger), host: Some(Rc::new(Local)), force: false, restores: true };
        let manager = SystemdManager::on(client, ManagerKind::System, place.path().join("units"), options).await;
        Self { manager: manager.expect("it answers"), ledger, server, script, place }
    }

    /// Puts the properties of a unit in place.
    pub(super) fn has(&self, unit: &str, interface: &str, values: Values) {
        let key = (path_of(unit), interface.to_owned());
        self.script.lock().expect("no panic").properties.insert(key, values);
    }

    /// A unit that runs, or has the other states given.
    pub(super) fn has_unit(&self, unit: &str, active_state: &'static str) {
        self.has(unit, UNIT, vec![("LoadState", text("loaded")), ("ActiveState", text(active_state))]);
    }

    pub(super) fn answers(&self, answer: Answer) {
        self.script.lock().expect("no panic").answers.push_back(answer);
    }

    /// What changed systemd's state was called: method and arguments.
    pub(super) fn calls(&self) -> Vec<String> {
        self.script.lock().expect("no panic").calls.clone()
    }

    /// When properties were asked for.
    pub(super) fn reads(&self) -> Vec<MonoTime> {
        self.script.lock().expect("no panic").reads.clone()
    }

    /// Emits PropertiesChanged.
    pub(super) async fn changes(&self, unit: &str, interface: &str, values: Values) {
        let values: HashMap<&str, OwnedVariant> = values.into_iter().collect();
        let body = (interface, values, Vec::<&str>::new());
        let path = path_of(unit);
        let interface = "org.freedesktop.DBus.Properties";
        self.server
            .emit_signal(None::<&str>, path.as_str(), interface, "PropertiesChanged", &body)
            .await
            .expect("connected");
    }

    pub(super) fn unit_directory(&self) -> PathBuf {
        self.place.path().join("units")
    }

    /// What the ledger would undo: `stopped a.service`.
    pub(super) fn outstanding(&self) -> Vec<String> {
        let words = |change: &Change| match change {
            Change::Started(acted) => format!("started {}", acted.unit),
            Change::Stopped(acted) => format!("stopped {}", acted.unit),
            Change::Installed { unit, .. } => format!("installed {unit}"),
            Change::Uses { unit, .. } => format!("uses {unit}"),
        };
        self.ledger.borrow().outstanding().map(|(_, entry)| words(&entry.change)).collect()
    }

    /// How the ledger says that units were left.
    pub(super) fn left(&self) -> Vec<Option<UnitMark>> {
        self.ledger.borrow().outstanding().map(|(_, entry)| entry.left.clone()).collect()
    }

    /// From now on it can be reached by a socket of its own, too, once.
    pub(super) fn listens_at_its_own_socket(&mut self) {
        let path = self.place.path().join("private");
        let listener = tokio::net::UnixListener::bind(&path).expect("a free path");
        self.manager.routes = vec![Route::Private(path)];
        let script = Arc::clone(&self.script);
        tokio::spawn(async move {
            let (theirs, _) = listener.accept().await.expect("it connects");
            let theirs = theirs.into_std().expect("a socket");
            let server = zbus::connection::Builder::unix_stream(theirs).server(Guid::generate()).p2p();
            let server = server.build().await.expect("connects");
            serve(server.clone(), MessageStream::from(&server), script).await;
        });
    }
}

pub(super) fn text(value: &str) -> OwnedVariant {
    OwnedVariant::from(zbus::Str::from(value.to_owned()))
}

pub(super) fn value<'v>(value: impl Into<Variant<'v>>) -> OwnedVariant {
    value.into().try_into_owned().expect("holds no descriptor")
}

/// The Job property.
pub(super) fn job_property(number: u32) -> OwnedVariant {
    value((number, ObjectPath::try_from(job_path(number)).expect("valid")))
}

fn path_of(unit: &str) -> String {
    let name = UnitName::new(unit).expect("valid");
    object_path(&name).expect("valid").to_string()
}

fn job_path(number: u32) -> String {
    format!("/org/freedesktop/systemd1/job/{number}")
}

fn object(path: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(path).expect("valid")
}

async fn serve(connection: Connection, mut calls: MessageStream, script: Arc<Mutex<Script>>) {
    while let Some(Ok(call)) = calls.next().await {
        if call.message_type() == Type::MethodCall && !answer(&connection, &call, &script).await {
            break;
        }
    }
    let _ = connection.close().await;
}

/// Whether to go on.
async fn answer(connection: &Connection, call: &Message, script: &Mutex<Script>) -> bool {
    let header = call.header();
    let member = header.member().expect("every call has one").as_str().to_owned();
    let replied = match member.as_str() {
        "Subscribe" => connection.reply(&header, &()).await,
        "LoadUnit" => {
            let unit: String = call.body().deserialize().expect("a name");
            connection.reply(&header, &object(&path_of(&unit))).await
        }
        "Get" => property(connection, call, &header).await,
        "GetAll" => {
            let interface: String = call.body().deserialize().expect("a name");
            let path = header.path().expect("every call has one").to_string();
            let values = script.lock().expect("no panic").read(&path, &interface);
            connection.reply(&header, &values).await
        }
        "ListUnitsByPatterns" => connection.reply(&header, &Vec::<super::bus::ListedUnit>::new()).await,
        "Reload" | "Ref" | "ResetFailedUnit" => {
            note(script, &member, call);
            connection.reply(&header, &()).await
        }
        "CancelJob" => {
            let job: u32 = call.body().deserialize().expect("a number");
            script.lock().expect("no panic").calls.push(format!("CancelJob {job}"));
            connection.reply(&header, &()).await.expect("connected");
            remove_jobs(connection, vec![(job, "canceled")]).await;
            return true;
        }
        "GetNameOwner" => {
            connection.reply_error(&header, "org.freedesktop.DBus.Error.NameHasNoOwner", &"a peer, no bus").await
        }
        _ => {
            note(script, &member, call);
            return queue(connection, &header, script).await;
        }
    };
    replied.is_ok()
}

fn note(script: &Mutex<Script>, member: &str, call: &Message) {
    let body = call.body();
    let unit = body.deserialize::<(String, String)>().map(|(unit, _)| unit);
    let kill = body.deserialize::<(String, String, i32)>().map(|(unit, who, signal)| format!("{unit} {who} {signal}"));
    let argument = kill.or(unit).or_else(|_| body.deserialize::<String>()).unwrap_or_default();
    script.lock().expect("no panic").calls.push(format!("{member} {argument}").trim_end().to_owned());
}

async fn property(connection: &Connection, call: &Message, header: &Header<'_>) -> zbus::Result<()> {
    let (_, name): (String, String) = call.body().deserialize()?;
    let value = match name.as_str() {
        "Version" => text("252.39-1~deb12u2"),
        _ => value(vec!["/nowhere/systemd/system"]),
    };
    connection.reply(header, &value).await
}

async fn queue(connection: &Connection, header: &Header<'_>, script: &Mutex<Script>) -> bool {
    let answer = script.lock().expect("no panic").answers.pop_front();
    match answer {
        Some(Answer::Job { number, before, after }) => {
            remove_jobs(connection, before).await;
            connection.reply(header, &object(&job_path(number))).await.expect("connected");
            remove_jobs(connection, after).await;
            true
        }
        Some(Answer::Error(name, message)) => connection.reply_error(header, name, &message).await.is_ok(),
        Some(Answer::HangUp) => {
            connection.reply(header, &object(&job_path(1))).await.expect("connected");
            false
        }
        None => connection.reply(header, &()).await.is_ok(),
    }
}

async fn remove_jobs(connection: &Connection, jobs: Vec<(u32, &str)>) {
    let (path, interface) = ("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager");
    for (number, result) in jobs {
        let body = (number, object(&job_path(number)), "some.service", result);
        connection.emit_signal(None::<&str>, path, interface, "JobRemoved", &body).await.expect("connected");
    }
}
