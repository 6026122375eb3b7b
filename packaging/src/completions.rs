//! Completions, from the daemon's own definitions.

use anyhow::Context;
use clap::{Arg, ValueEnum, ValueHint};
use clap_complete::Shell;

/// Returns the script that a shell reads.
pub fn script(shell: Shell) -> anyhow::Result<String> {
    let mut command = vip_elector::cli::command()
        .mut_arg("command", |argument| argument.hide(false))
        .mut_args(hinted);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "vip-elector", &mut script);
    let script = String::from_utf8(script).context("the completions are no text")?;
    let is_fish = shell == Shell::Fish;
    let commands = is_fish.then(commands_for_fish).unwrap_or_default();
    Ok(script + &commands)
}

/// What clap_complete leaves out for fish: the values of an argument without a flag.
fn commands_for_fish() -> String {
    let line = |value: clap::builder::PossibleValue| {
        let help = value.get_help().map(ToString::to_string);
        let help = help.unwrap_or_default().replace('\'', "\\'");
        let name = value.get_name();
        format!("complete -c vip-elector -n __fish_is_first_arg -f -a {name} -d '{help}'\n")
    };
    let commands = vip_elector::cli::Command::value_variants().iter();
    commands
        .filter_map(ValueEnum::to_possible_value)
        .map(line)
        .collect()
}

/// What a flag takes, by the name of its value.
fn hinted(flag: Arg) -> Arg {
    let names = flag.get_value_names().unwrap_or_default();
    let hint = match names.first().map(|name| name.as_str()) {
        Some("FILE") => ValueHint::FilePath,
        Some("DIR") => ValueHint::DirPath,
        Some("URL") => ValueHint::Url,
        Some("COMMAND") if flag.get_long().is_some() => ValueHint::CommandString,
        _ => return flag,
    };
    flag.value_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_every_flag_and_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell).unwrap();
            for flag in vip_elector::cli::command().get_arguments() {
                let Some(long) = flag.get_long() else {
                    continue;
                };
                let dashes = if shell == Shell::Fish { "-l " } else { "--" };
                let long = format!("{dashes}{long}");
                assert!(script.contains(&long), "{shell}: {long}");
            }
            for command in vip_elector::cli::Command::value_variants() {
                let value = command.to_possible_value().unwrap();
                let command = value.get_name();
                assert!(script.contains(command), "{shell}: {command}");
            }
        }
    }
}
