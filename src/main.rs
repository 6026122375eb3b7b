//! Reads the command line, restricts the process, runs the daemon, and says what went wrong.
#![forbid(unsafe_code)]

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use nix::net::if_::if_nametoindex;
use vip_elector::cli::{self, Cli, Command};
use vip_elector::config::{self, Config, Problems, Sources};
use vip_elector::doctor::report::{Colour, Level};
use vip_elector::{acl, crash, daemon, doctor, logging, privileges};

/// `EX_USAGE` of sysexits.h: the command line or the configuration is wrong.
const EXIT_USAGE: u8 = 64;

/// `EX_NOPERM` of sysexits.h: a capability is missing.
const EXIT_NO_PERMISSION: u8 = 77;

fn main() -> ExitCode {
    crash::abort_on_panic();
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
    privileges::conceal_memory()?;
    let config = match cli.command {
        Some(Command::CheckConfig) => return print(&load(cli)?.describe()),
        Some(Command::AclPolicy) => return print(&acl::policy(&load(&without_token(cli))?)),
        Some(Command::Doctor) => return examine(&load(cli)?, cli.flags.json),
        None => load(cli)?,
    };
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

fn print(text: &str) -> anyhow::Result<ExitCode> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("printing the result")?;
    Ok(ExitCode::SUCCESS)
}

/// Fails where there are problems.
fn examine(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let host_name = nix::unistd::gethostname().context("asking for the host name")?;
    let report = doctor::run(config, &host_name.to_string_lossy())?;
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let colour = match io::stdout().is_terminal() && wanted {
        true => Colour::On,
        false => Colour::Off,
    };
    print(&match json {
        true => report.json().context("writing the report as JSON")?,
        false => report.text(colour),
    })?;
    Ok(match report.count(Level::Problem) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The token is made from the policy, so that the file which will hold it is not there yet: a flag, which
/// wins over all others, keeps it from being looked for.
fn without_token(cli: &Cli) -> Cli {
    let mut cli = cli.clone();
    cli.flags.token = Some("none".into());
    cli
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
        Some(privileges::Error::Caps(_) | privileges::Error::Refused { .. }) | None => {}
    }
    match error.downcast_ref::<Problems>() {
        Some(_) => EXIT_USAGE.into(),
        None => ExitCode::FAILURE,
    }
}
