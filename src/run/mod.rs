//! Drives a scenario: the loop that carries out steps and linearises what is seen.
