//! From a result to bytes: terminal, JSON and the rest. Pure; somebody else writes them.
