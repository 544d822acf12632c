//! One file per command, each thin: it calls the modules that do the work.
