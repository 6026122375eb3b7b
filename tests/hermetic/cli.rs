//! The command line.

use clap::ValueEnum;
use secrecy::ExposeSecret;
use vip_elector::cli::{Cli, Command, EXIT_USAGE, command, exit_code, parse};

fn typed(arguments: &[&str]) -> Result<Cli, clap::Error> {
    parse(
        std::iter::once("vip-elector")
            .chain(arguments.iter().copied())
            .map(Into::into),
    )
}

fn good(arguments: &[&str]) -> Cli {
    match typed(arguments) {
        Ok(cli) => cli,
        Err(error) => panic!("{arguments:?}: {error}"),
    }
}

#[test]
fn help() {
    // The width is fixed: the terminal of whoever runs the test must not matter.
    let help = command().term_width(100).render_help().to_string();
    insta::assert_snapshot!(help);
}

#[test]
fn short_help_fits_one_screen() {
    // Without a terminal, clap takes a width of 100.
    let help = typed(&["-h"]).unwrap_err().to_string();
    assert!(help.lines().count() <= 24, "{help}");
    insta::assert_snapshot!(help);
}

#[test]
fn every_command_is_in_the_help() {
    for help in [&["-h"], &["--help"]].map(|flag| typed(flag).unwrap_err().to_string()) {
        for command in Command::value_variants() {
            let value = command.to_possible_value().unwrap();
            let words = value.get_help().map(ToString::to_string);
            let words = words.unwrap_or_else(|| panic!("{} has no help", value.get_name()));
            let line = help
                .lines()
                .find(|line| line.starts_with(&format!("  {} ", value.get_name())));
            assert!(line.is_some_and(|line| line.ends_with(&words)), "{help}");
        }
    }
}

#[test]
fn every_flag_has_help_and_a_heading() {
    const WITHOUT_A_HEADING: [&str; 6] = [
        "command",
        "host",
        "vip_manager_config",
        "config_dir",
        "help",
        "version",
    ];
    for flag in command().get_arguments() {
        let id = flag.get_id().as_str();
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        assert!(!help.is_empty(), "--{id} has no help");
        let heading = flag.get_help_heading().is_some();
        assert!(heading || WITHOUT_A_HEADING.contains(&id), "--{id}");
    }
}

#[test]
fn version() {
    for flag in ["--version", "-version", "-V"] {
        let error = typed(&[flag]).unwrap_err();
        assert_eq!(
            error.to_string(),
            concat!("vip-elector ", env!("CARGO_PKG_VERSION"), "\n")
        );
        assert_eq!(exit_code(&error), 0);
    }
}

#[test]
fn help_is_no_mistake() {
    for flag in ["--help", "-help", "-h"] {
        assert_eq!(exit_code(&typed(&[flag]).unwrap_err()), 0);
    }
    assert_eq!(
        exit_code(&typed(&["check-config", "--help"]).unwrap_err()),
        0
    );
}

#[test]
fn the_flags_of_the_go_tool_with_one_dash_and_two() {
    for dashes in ["-", "--"] {
        let cli = good(
            &[
                "vip-manager-config=/etc/vip-manager.yml",
                "check-id=vip-http",
                "ttl=10s",
                "lock-delay=1s",
                "addr=127.0.0.1:8500",
                "token=t",
                "hostname=h",
            ]
            .map(|flag| format!("{dashes}{flag}"))
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        );
        assert_eq!(cli.command, None);
        let flags = cli.flags;
        assert_eq!(
            flags.vip_manager_config,
            [std::path::Path::new("/etc/vip-manager.yml")]
        );
        assert_eq!(flags.check_id.as_deref(), Some("vip-http"));
        assert_eq!(flags.ttl.as_deref(), Some("10s"));
        assert_eq!(flags.lock_delay.as_deref(), Some("1s"));
        assert_eq!(flags.addr.as_deref(), Some("127.0.0.1:8500"));
        assert_eq!(flags.token.unwrap().expose_secret(), "t");
        assert_eq!(flags.hostname.as_deref(), Some("h"));
    }
}

#[test]
fn a_value_may_follow_its_flag() {
    let flags = good(&["-check-id", "vip-http", "--ttl", "10s"]).flags;
    assert_eq!(flags.check_id.as_deref(), Some("vip-http"));
    assert_eq!(flags.ttl.as_deref(), Some("10s"));
}

#[test]
fn manage_vip_with_and_without_a_value() {
    for (argument, value) in [
        ("--manage-vip", "true"),
        ("-manage-vip", "true"),
        ("-manage-vip=true", "true"),
        ("--manage-vip=false", "false"),
    ] {
        assert_eq!(
            good(&[argument]).flags.manage_vip.as_deref(),
            Some(value),
            "{argument}"
        );
    }
    // As in Go, the value of a switch never stands apart.
    assert_eq!(
        good(&["--manage-vip", "check-config"]).command,
        Some(Command::CheckConfig)
    );
}

#[test]
fn a_priority_may_be_negative_and_stand_apart() {
    for arguments in [&["--priority=-5"][..], &["-priority", "-5"]] {
        let priority = good(arguments).flags.priority;
        assert_eq!(priority.as_deref(), Some("-5"), "{arguments:?}");
    }
}

#[test]
fn preempt_with_and_without_a_value() {
    for (argument, value) in [("--preempt", "true"), ("-preempt=false", "false")] {
        assert_eq!(good(&[argument]).flags.preempt.as_deref(), Some(value));
    }
}

#[test]
fn a_flag_given_twice_counts_as_last_written() {
    assert_eq!(
        good(&["--ttl=10s", "-ttl=20s"]).flags.ttl.as_deref(),
        Some("20s")
    );
}

#[test]
fn check_config_takes_flags_before_and_after() {
    for arguments in [
        &["check-config", "--vip-manager-config=a", "--ttl=5s"][..],
        &["--vip-manager-config=a", "--ttl=5s", "check-config"],
        &["-vip-manager-config=a", "check-config", "-ttl=5s"],
    ] {
        let cli = good(arguments);
        assert_eq!(cli.command, Some(Command::CheckConfig));
        assert_eq!(
            cli.flags.vip_manager_config,
            [std::path::Path::new("a")],
            "{arguments:?}"
        );
        assert_eq!(cli.flags.ttl.as_deref(), Some("5s"), "{arguments:?}");
    }
}

#[test]
fn a_host_may_follow_what_is_done_with_it() {
    for (arguments, command, host) in [
        (&["drain"][..], Command::Drain, None),
        (&["drain", "web1"], Command::Drain, Some("web1")),
        (
            &["resume", "--ttl=5s", "web1"],
            Command::Resume,
            Some("web1"),
        ),
        (&["switchover", "web2"], Command::Switchover, Some("web2")),
        (&["switchover", "-to", "web2"], Command::Switchover, None),
    ] {
        let cli = good(arguments);
        assert_eq!((cli.command, cli.host.as_deref()), (Some(command), host));
    }
    let flags = good(&["status", "--json", "-watch", "--trigger-key=k"]).flags;
    assert!(flags.json && flags.watch);
    assert_eq!(flags.trigger_key.as_deref(), Some("k"));
}

#[test]
fn files_before_and_after_the_command_all_count() {
    let cli = good(&[
        "--vip-manager-config=a",
        "check-config",
        "--vip-manager-config=b",
    ]);
    assert_eq!(
        cli.flags.vip_manager_config,
        ["a", "b"].map(std::path::PathBuf::from)
    );
}

#[test]
fn mistakes() {
    for (name, arguments) in [
        ("unknown_flag", &["--tll=10s"][..]),
        ("unknown_flag_one_dash", &["-tll=10s"]),
        ("flag_without_value", &["--ttl"]),
        ("unknown_command", &["chek-config"]),
        ("host_without_use", &["status", "web1"]),
        ("to_without_switchover", &["drain", "--to=web1"]),
        ("to_twice", &["switchover", "web1", "--to=web1"]),
        ("json_without_status", &["--json"]),
        ("key_for_the_daemon", &["--trigger-key=k"]),
        (
            "key_and_file",
            &["status", "--trigger-key=k", "--vip-manager-config=f"],
        ),
    ] {
        let error = typed(arguments).unwrap_err();
        assert_eq!(exit_code(&error), EXIT_USAGE, "{name}");
        insta::assert_snapshot!(name, error.to_string());
    }
}
