//! Reads the command line, restricts the process, runs the daemon, and says what went wrong.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use nix::net::if_::if_nametoindex;
use vip_elector::cli::{self, Cli, Command};
use vip_elector::config::{self, Config, Problems, Sources};
use vip_elector::{daemon, logging, privileges};

/// `EX_USAGE` of sysexits.h: the command line or the configuration is wrong.
const EXIT_USAGE: u8 = 64;

/// `EX_NOPERM` of sysexits.h: a capability is missing.
const EXIT_NO_PERMISSION: u8 = 77;

fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return cli::exit_code(&error).into();
        }
    };
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "vip-elector: {error:#}");
            exit_code(&error)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let config = load(cli)?;
    match cli.command {
        Some(Command::CheckConfig) => {
            io::stdout()
                .write_all(config.describe().as_bytes())
                .context("printing the result")?;
            return Ok(ExitCode::SUCCESS);
        }
        None => {}
    }
    let logging = logging::init(&config.log);
    privileges::restrict(config.manage_vip)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let again = cli.clone();
    match daemon::run(&config, Arc::new(move || Ok(load(&again)?)), logging) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            // Once there is a log, this is where errors go.
            tracing::error!("{:#}", anyhow::Error::from(error));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn load(cli: &Cli) -> anyhow::Result<Config> {
    let host_name = nix::unistd::gethostname().context("asking for the host name")?;
    let sources = Sources {
        environment: &config::process_environment,
        read: &|path| std::fs::read(path),
        list: &config::list_directory,
        interface_exists: &|name| if_nametoindex(name).is_ok(),
        host_name: &host_name.to_string_lossy(),
    };
    Ok(config::load(cli, &sources)?)
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<privileges::Error>() {
        Some(privileges::Error::Missing(_)) => return EXIT_NO_PERMISSION.into(),
        Some(privileges::Error::Caps(_)) | None => {}
    }
    match error.downcast_ref::<Problems>() {
        Some(_) => EXIT_USAGE.into(),
        None => ExitCode::FAILURE,
    }
}
