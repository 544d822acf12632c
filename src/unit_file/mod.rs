//! Unit files as systemd.syntax(7) has them.
