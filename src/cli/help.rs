//! Pure: what `-h` and `--help` say around the flags.
//!
//! Both have one line for a flag where it fits, and both name the commands, which clap takes for the values
//! of an argument.

use clap::builder::Styles;
use clap::{Arg, ArgAction, Command, ValueEnum};

const USAGE: &str = "vip-elector [COMMAND [HOST]] [OPTIONS]";

/// What most hosts need: the flags of `-h`, which fits one screen. All others are in `--help`.
const BRIEF: [&str; 4] = ["vip_manager_config", "check_id", "health_url", "manage_vip"];

const BRIEF_END: &str = "\
Example: vip-elector --vip-manager-config=/etc/vip-manager.yml --check-id=vip-http
All flags and more examples: vip-elector --help. Everything: man vip-elector";

const FULL_END: &str = "\
Examples:
  Beside vip-manager, which moves the address:
    vip-elector --vip-manager-config=/etc/vip-manager.yml --check-id=vip-http

  All in one, without vip-manager:
    vip-elector --vip-manager-config=/etc/vip-manager.yml --check-id=vip-http --manage-vip

  Look for what will go wrong, here and in Consul:
    vip-elector doctor --vip-manager-config=/etc/vip-manager.yml --check-id=vip-http --manage-vip

  Show what would be used, and where each value comes from:
    vip-elector check-config --vip-manager-config=/etc/vip-manager.yml

  Show who leads, from any host that reaches Consul:
    vip-elector status --trigger-key=service/web/leader

  Make the ACL policy that its token needs in Consul:
    vip-elector acl-policy --vip-manager-config=/etc/vip-manager.yml --check-id=vip-http |
      consul acl policy create -name vip-elector -rules -

Durations: 10s, 1m30s, 1.5s, 250ms. One dash (-check-id=vip-http) works as well as two.
Environment: CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, CONSUL_CACERT and the rest of Consul's; VIP_* as
vip-manager reads it. A flag wins over the environment, and that over the file; CONSUL_HTTP_ADDR is
used where the file names no endpoint. A password is no flag, because every user of this host could
read it: CONSUL_HTTP_AUTH, or --http-auth-file.
SIGHUP: files, token and certificates are read again, without losing the lock.";

/// `--help`: every flag, below its heading.
pub(super) fn full(command: Command) -> Command {
    common(command).after_help(FULL_END)
}

/// `-h`: the commands, and the flags that most hosts need.
pub(super) fn brief(command: Command) -> Command {
    common(command)
        .mut_args(|flag| {
            let hidden = !BRIEF.contains(&flag.get_id().as_str()) && !is_of_every_program(&flag);
            flag.hide(hidden).help_heading(None)
        })
        .after_help(BRIEF_END)
}

/// `-h` and `-V` are on both pages.
fn is_of_every_program(flag: &Arg) -> bool {
    ["help", "version"].contains(&flag.get_id().as_str())
}

fn common(command: Command) -> Command {
    let heading = Styles::styled();
    let heading = heading.get_header();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{heading}Commands:{heading:#}\n{}\n\
         {{all-args}}{{after-help}}\n",
        commands()
    );
    command
        .override_usage(USAGE)
        .help_template(template)
        .max_term_width(100)
        // clap's own would put each flag's words on a line of their own.
        .disable_help_flag(true)
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .action(ArgAction::HelpShort)
                .help("Print help: -h the short one, --help everything"),
        )
}

/// A line for each command.
fn commands() -> String {
    let named: Vec<_> = super::Command::value_variants()
        .iter()
        .filter_map(ValueEnum::to_possible_value)
        .collect();
    let width = named.iter().map(|value| value.get_name().len()).max();
    let width = width.unwrap_or_default();
    let line = |value: &clap::builder::PossibleValue| {
        let help = value.get_help().map(ToString::to_string);
        format!(
            "  {:width$}  {}\n",
            value.get_name(),
            help.unwrap_or_default()
        )
    };
    named.iter().map(line).collect()
}
