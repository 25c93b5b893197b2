//! Runs a command against a throwaway cluster and removes the cluster afterwards.
//!
//! `throwaway [--setting NAME=VALUE]… [--database NAME]… -- COMMAND [ARGUMENT…]`
//!
//! The command finds the cluster through `PGHOST` (its socket), `PGPORT` and `PGUSER`; over TCP the
//! superuser's password is in `SOURCE_PASSWORD`. Every `--database` is created first. The exit
//! status is the command's.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use warehouse_tests::Cluster;
use warehouse_tests::cluster::{SUPERUSER, SUPERUSER_PASSWORD};

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let mut builder = Cluster::builder("throwaway");
    let mut databases = Vec::new();
    loop {
        let option = arguments.next().context("no command given")?;
        if option == "--" {
            break;
        }
        let value = arguments.next().with_context(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--database" => databases.push(value),
            "--setting" => {
                let (name, value) = value.split_once('=').context("--setting needs NAME=VALUE")?;
                builder = builder.setting(name, value);
            }
            _ => bail!("unknown option {option}"),
        }
    }
    let program = arguments.next().context("no command given")?;
    let cluster = builder.start()?;
    for database in databases {
        cluster.execute("postgres", &format!("CREATE DATABASE \"{database}\""))?;
    }
    let mut command = Command::new(&program);
    // SAFETY: prctl is async-signal-safe. The command ends with this process, not after it.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        })
    };
    let status = command
        .args(arguments)
        .env("PGHOST", cluster.socket_dir())
        .env("PGPORT", cluster.port().to_string())
        .env("PGUSER", SUPERUSER)
        .env("SOURCE_PASSWORD", SUPERUSER_PASSWORD)
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}
