//! The official SDKs of the services, each in a process that reads commands and writes results.
//!
//! They are installed once into `sdk` below the directory that cargo builds into, with the versions
//! that `sdk/python/requirements.txt` and `sdk/node/package-lock.json` pin, and again when those
//! change. The scripts that drive them are beside those files; a command is a JSON object on one
//! line, and so is its result.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

/// How long a command may take unless it is said otherwise.
const PATIENCE: Duration = Duration::from_secs(90);

/// The language of an SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `braintree` and `pyairtable` from PyPI.
    Python,
    /// `braintree` and `airtable` from npm.
    Node,
}

impl Language {
    fn name(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::Node => "node",
        }
    }

    fn scripts(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk").join(self.name())
    }

    /// The file that pins every version.
    fn lock(self) -> PathBuf {
        self.scripts().join(match self {
            Language::Python => "requirements.txt",
            Language::Node => "package-lock.json",
        })
    }

    /// Where it is installed, when it is.
    fn installed(self) -> Result<&'static Path> {
        static PYTHON: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
        static NODE: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
        let place = match self {
            Language::Python => &PYTHON,
            Language::Node => &NODE,
        };
        place
            .get_or_init(|| self.install().map_err(|error| format!("{error:#}")))
            .as_deref()
            .map_err(|message| anyhow!("{message}"))
    }

    /// Installs it, unless that has been done with the same versions.
    fn install(self) -> Result<PathBuf> {
        let parent = target_dir()?.join("sdk");
        fs::create_dir_all(&parent)?;
        let _turn = Turn::take(&parent.join("turn"))?;
        let place = parent.join(self.name());
        let marker = place.join("installed");
        let wanted = fs::read_to_string(self.lock())?;
        if fs::read_to_string(&marker).is_ok_and(|found| found == wanted) {
            return Ok(place);
        }
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        fs::create_dir_all(&place)?;
        match self {
            Language::Python => {
                run(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
                let mut pip = Command::new(place.join("bin/pip"));
                pip.args(["install", "--quiet", "--no-input", "--no-deps", "--requirement"]);
                run(pip.arg(self.lock()))?;
            }
            Language::Node => {
                for file in ["package.json", "package-lock.json"] {
                    fs::copy(self.scripts().join(file), place.join(file))?;
                }
                let mut npm = Command::new("npm");
                npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]);
                run(npm.current_dir(&place))?;
            }
        }
        fs::write(&marker, wanted)?;
        Ok(place)
    }
}

/// The directory that cargo builds into. This program is in the folder of its profile there, or, if
/// it is a test, in the folder `deps` of that.
fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let mut folders = program.ancestors().skip(1).peekable();
    folders.next_if(|folder| folder.ends_with("deps"));
    Ok(folders.nth(1).context("this program is not in a directory of cargo")?.to_owned())
}

/// A lock among processes, held as long as this lives.
struct Turn {
    _file: File,
}

impl Turn {
    fn take(path: &Path) -> Result<Turn> {
        let file = File::create(path)?;
        // SAFETY: a descriptor that is open as long as `file`.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) } != 0 {
            return Err(std::io::Error::last_os_error()).context("cannot wait for the lock");
        }
        Ok(Turn { _file: file })
    }
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}: run `make setup`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed ({}): {}", output.status, said.trim());
    }
    Ok(())
}

/// A running SDK.
#[derive(Debug)]
pub struct Sdk {
    name: String,
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    patience: Duration,
}

impl Sdk {
    /// Starts `script` (without its ending) with these variables in its environment. Installs the
    /// SDKs of the language first if need be, which takes half a minute.
    pub fn start(language: Language, script: &str, variables: &[(&str, &str)]) -> Result<Sdk> {
        let place = language.installed()?;
        let ending = if language == Language::Python { "py" } else { "js" };
        let path = language.scripts().join(format!("{script}.{ending}"));
        let mut command = match language {
            Language::Python => Command::new(place.join("bin/python")),
            Language::Node => Command::new("node"),
        };
        if !path.exists() {
            bail!("{} is missing", path.display());
        }
        command.arg(path).env("NODE_PATH", place.join("node_modules"));
        // Nothing between the SDK and this machine's own emulator.
        for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        command.envs(variables.iter().copied()).env("PYTHONDONTWRITEBYTECODE", "1");
        // SAFETY: prctl is async-signal-safe. The SDK ends with the thread that started it.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {script}"))?;
        let input = child.stdin.take().context("no pipe to the SDK")?;
        let output = child.stdout.take().context("no pipe from the SDK")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(std::io::Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let name = format!("{script} ({})", language.name());
        Ok(Sdk { name, child, input, lines, patience: PATIENCE })
    }

    /// The same with other patience for each command.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Sdk {
        self.patience = patience;
        self
    }

    /// Carries out one command. What the SDK raises is a result with members `error`, the name of
    /// its class or type, and `message`; an error here is a failure to carry it out at all.
    pub fn ask(&mut self, command: &Value) -> Result<Value> {
        writeln!(self.input, "{command}").with_context(|| format!("{} is gone", self.name))?;
        match self.lines.recv_timeout(self.patience) {
            Ok(line) => serde_json::from_str(&line)
                .with_context(|| format!("{} said something that is not JSON: {line}", self.name)),
            Err(RecvTimeoutError::Timeout) => bail!("{} did not answer {command}", self.name),
            Err(RecvTimeoutError::Disconnected) => bail!("{} ended upon {command}", self.name),
        }
    }

    /// The same for a command that must succeed.
    pub fn must(&mut self, command: &Value) -> Result<Value> {
        let result = self.ask(command)?;
        if let Some(error) = result.get("error") {
            bail!("{}: {command}: {error}: {}", self.name, result["message"]);
        }
        Ok(result)
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
