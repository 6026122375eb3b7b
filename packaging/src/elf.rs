//! Applier: which libraries a program needs, by binutils' word.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::tool;

/// Returns Debian's `Depends` for a program: the C library in the version whose symbols it uses.
pub fn debian_dependencies(program: &Path) -> anyhow::Result<String> {
    let mut packages = Vec::new();
    for library in needed(&objdump("-p", program)?) {
        let package = match library {
            "libc.so.6" => {
                let (major, minor) = newest_glibc(&objdump("-T", program)?)
                    .context("the daemon needs the C library, and no version of it")?;
                format!("libc6 (>= {major}.{minor})")
            }
            "libgcc_s.so.1" => "libgcc-s1 (>= 4.2)".to_owned(),
            // Part of libc6.
            "libm.so.6" => continue,
            loader if loader.starts_with("ld-linux") => continue,
            other => bail!("the daemon needs {other}, and it is not known which package has it"),
        };
        packages.push(package);
    }
    ensure!(
        !packages.is_empty(),
        "the daemon needs no library: that is not what is shipped"
    );
    packages.sort();
    Ok(packages.join(", "))
}

fn objdump(what: &str, program: &Path) -> anyhow::Result<String> {
    tool::run(Command::new("objdump").arg(what).arg(program), "binutils")
}

fn needed(headers: &str) -> impl Iterator<Item = &str> {
    headers
        .lines()
        .filter_map(|line| line.trim().strip_prefix("NEEDED"))
        .map(str::trim)
}

/// The newest version of glibc that a symbol is bound to. A weak symbol may be missing, but its version
/// may not.
fn newest_glibc(symbols: &str) -> Option<(u32, u32)> {
    symbols
        .split("GLIBC_")
        .skip(1)
        .filter_map(|rest| {
            let version = rest.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
            let mut parts = version.take(1).flat_map(|version| version.split('.'));
            Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        })
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_symbol_counts_by_number() {
        let symbols = "\
0 DF *UND*	0 (GLIBC_2.9) a
0 w  *UND*	0 (GLIBC_2.34) pthread_create
0 DF *UND*	0 (GLIBC_2.2.5) b
0 DF *UND*	0 GLIBC_2.14  c
0 w  *UND*	0 d
";
        assert_eq!(newest_glibc(symbols), Some((2, 34)));
        assert_eq!(newest_glibc("0 w  *UND*	0 d\n"), None);
    }

    #[test]
    fn libraries_are_read_from_the_headers() {
        let headers = "Dynamic Section:\n  NEEDED               libc.so.6\n  INIT  0x1\n";
        assert_eq!(needed(headers).collect::<Vec<_>>(), ["libc.so.6"]);
    }
}
