//! Decides through Consul which Linux host holds a virtual IP, and moves it there.
//!
//! Three kinds of code, and each file is one of them: **pure** ([`election`], parts of [`vip`] and
//! [`config`]), **driver** ([`driver`]) and **applier** ([`vip::task`]). `ARCHITECTURE.md` has the
//! map.
#![forbid(unsafe_code)]

pub mod acl;
pub mod calendar;
pub mod cli;
mod command;
pub mod config;
pub mod consul;
pub mod crash;
pub mod daemon;
pub mod doctor;
pub mod driver;
pub mod election;
pub mod health;
pub mod hooks;
pub mod logging;
pub mod operate;
pub mod peers;
pub mod privileges;
pub mod runtime;
pub mod status;
pub mod systemd;
pub mod vip;
