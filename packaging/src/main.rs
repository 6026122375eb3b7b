//! Applier: the command `cargo pack`.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};
use clap_complete::Shell;
use vip_pack::release::Release;
use vip_pack::{completions, deb, man, rpm, tool, tree};

const HELP: &str = "\
The packages are the same, byte for byte, wherever the same source is built with the same compiler for the
same target. Their times are SOURCE_DATE_EPOCH, else the time of the last commit.";

/// Builds the packages, or one part of them.
#[derive(Parser)]
#[command(name = "cargo pack", bin_name = "cargo pack", after_help = HELP)]
struct Arguments {
    /// Without one, both packages are built
    #[command(subcommand)]
    what: Option<What>,
    /// Where the packages go
    #[arg(
        long,
        value_name = "DIR",
        default_value = "target/packages",
        global = true
    )]
    out: PathBuf,
    /// Pack this program instead of building the daemon
    #[arg(long, value_name = "PATH", global = true)]
    daemon: Option<PathBuf>,
}

#[derive(Clone, Copy, Subcommand)]
enum What {
    /// The package for Debian and Ubuntu only
    Deb,
    /// The package for Fedora, RHEL and openSUSE only
    Rpm,
    /// Print the manual page
    Man,
    /// Print the completions of a shell
    Completions { shell: Shell },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "cargo pack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let release = Release::of_this_source()?;
    match arguments.what {
        Some(What::Man) => print(&man::page(&release)),
        Some(What::Completions { shell }) => print(&completions::script(shell)?),
        Some(What::Deb) => packages(arguments, &release, &[deb::build]),
        Some(What::Rpm) => packages(arguments, &release, &[rpm::build]),
        None => packages(arguments, &release, &[deb::build, rpm::build]),
    }
}

/// Makes one package below a directory, of a tree of files, and returns its path.
type Build = fn(&Release, &Path, &Path) -> anyhow::Result<PathBuf>;

fn packages(arguments: &Arguments, release: &Release, builds: &[Build]) -> anyhow::Result<()> {
    let daemon = match &arguments.daemon {
        Some(path) => path.clone(),
        None => build_the_daemon()?,
    };
    let out = &arguments.out;
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for build in builds {
        let work = tempfile::tempdir().context("cannot make a directory to work in")?;
        let tree = work.path().join("tree");
        tree::lay_out(release, &daemon, &tree)?;
        let package = build(release, &tree, out)?;
        print(&format!("{}\n", package.display()))?;
    }
    Ok(())
}

/// Builds it as it is shipped: without the paths of this machine in it.
fn build_the_daemon() -> anyhow::Result<PathBuf> {
    let root = tree::root();
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let mut flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    for (path, name) in [
        (home.unwrap_or_default(), "/cargo"),
        (root.display().to_string(), "/source"),
    ] {
        flags.push_str(&format!(" --remap-path-prefix={path}={name}"));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // A directory of its own: other flags would have everything in the usual one compiled again.
    let target = root.join("target/pack");
    tool::run(
        Command::new(cargo)
            .args([
                "build",
                "--quiet",
                "--release",
                "--locked",
                "--package",
                "vip-elector",
            ])
            .arg("--manifest-path")
            .arg(root.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .env("RUSTFLAGS", flags.trim()),
        "a Rust toolchain",
    )?;
    Ok(target.join("release/vip-elector"))
}

fn print(text: &str) -> anyhow::Result<()> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("printing the result")
}
