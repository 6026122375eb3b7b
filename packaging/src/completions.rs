//! Completions, from the daemon's own definitions.

use anyhow::Context;
use clap::{Arg, ValueHint};
use clap_complete::Shell;

/// Returns the script that a shell reads.
pub fn script(shell: Shell) -> anyhow::Result<String> {
    let mut command = vip_elector::cli::command()
        .mut_arg("command", |argument| argument.hide(false))
        .mut_args(hinted);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "vip-elector", &mut script);
    String::from_utf8(script).context("the completions are no text")
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
            for command in ["check-config", "acl-policy"] {
                assert!(script.contains(command), "{shell}: {command}");
            }
        }
    }
}
