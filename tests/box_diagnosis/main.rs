//! Every cause brought about under the real systemd and told from its neighbours; every latent failure found.

mod causes;
mod lab;
mod latent;
mod permission;
mod probes;
