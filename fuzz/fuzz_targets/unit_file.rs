//! Any text as a unit file: read as a service and as a socket, whatever it says.
#![no_main]

use std::path::Path;

use gapless::model::UnitName;
use gapless::unit_file::specifier::Directories;
use gapless::unit_file::{ServiceUnit, SocketUnit, Specifiers, UnitFile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (file, _) = UnitFile::parse(text);
    let specifiers = |name: &str| {
        let unit = UnitName::new(name).expect("it is one");
        Specifiers::new(unit, Directories::below(Path::new("/nonexistent")))
    };
    let (service, _, _) = ServiceUnit::read(&file, &specifiers("fuzzed@x.service"));
    for command in &service.commands.start {
        command.arguments(|_| Some("value"));
    }
    let (socket, _, _) = SocketUnit::read(&file, &specifiers("fuzzed.socket"));
    socket.triggers();
});
