//! Reads the command line, restricts the process, runs the daemon, and says what went wrong.
#![forbid(unsafe_code)]

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use nix::net::if_::if_nametoindex;
use vip_elector::cli::{self, Cli, Command};
use vip_elector::config::{self, Config, Problems, Sources};
use vip_elector::doctor::report::{Colour, Level};
use vip_elector::operate::{self, Order, Place, Style};
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
        Some(Command::Status | Command::Switchover | Command::Drain | Command::Resume) => {
            return operate(cli);
        }
        None => load(cli)?.without_description(),
    };
    let logging = logging::init(&config.log);
    privileges::restrict(config.manage_vip)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let again = cli.clone();
    let reread = move || Ok(load(&again)?.without_description());
    match daemon::run(config, Arc::new(reread), logging) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            // Once there is a log, this is where errors go.
            tracing::error!("{:#}", anyhow::Error::from(error));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// A file that says no more than which group it is.
const KEY_ALONE: &str = "--trigger-key";

fn operate(cli: &Cli) -> anyhow::Result<ExitCode> {
    let (to, host) = (&cli.flags.to, &cli.host);
    let order = match cli.command {
        Some(Command::Switchover) => Order::Switchover(to.clone().or(host.clone())),
        Some(Command::Drain) => Order::Drain(host.clone()),
        Some(Command::Resume) => Order::Resume(host.clone()),
        Some(Command::Status | Command::CheckConfig | Command::AclPolicy | Command::Doctor)
        | None => Order::Status {
            json: cli.flags.json,
            watch: cli.flags.watch,
        },
    };
    let mut cli = cli.clone();
    // Whoever asks holds no address, and may have no such interface.
    cli.flags.manage_vip = Some("false".to_owned());
    let key = cli.flags.trigger_key.take();
    if key.is_some() {
        cli.flags.vip_manager_config = vec![KEY_ALONE.into()];
    }
    let host_name = host_name()?;
    let read = |path: &Path| match &key {
        Some(key) if path == Path::new(KEY_ALONE) => {
            // Every JSON string is a YAML one.
            let key = serde_json::Value::from(key.as_str());
            Ok(format!("dcs-type: consul\ntrigger-key: {key}\n").into_bytes())
        }
        Some(_) | None => std::fs::read(path),
    };
    let environment = |name: &str| match name {
        "VIP_TRIGGER_KEY" if key.is_some() => None,
        name => config::process_environment(name),
    };
    let config = config::load(&cli, &sources(&host_name, &environment, &read))?;
    let terminal = io::stdout().is_terminal();
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
    let place = Place {
        terminal,
        style: if colours {
            Style::Coloured
        } else {
            Style::Plain
        },
        who: &format!("{}@{host_name}", user.as_deref().unwrap_or("root")),
    };
    let well = operate::run(&config, &order, &place)?;
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
    let read = |path: &Path| std::fs::read(path);
    let host_name = host_name()?;
    let sources = sources(&host_name, &config::process_environment, &read);
    Ok(config::load(cli, &sources)?)
}

fn host_name() -> anyhow::Result<String> {
    let name = nix::unistd::gethostname().context("asking for the host name")?;
    Ok(name.to_string_lossy().into_owned())
}

fn sources<'a>(
    host_name: &'a str,
    environment: &'a dyn Fn(&str) -> Option<String>,
    read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Sources<'a> {
    Sources {
        environment,
        read,
        list: &config::list_directory,
        interface_exists: &|name| if_nametoindex(name).is_ok(),
        host_name,
    }
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
