//! The fault tools.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, ensure};
use postgres::{Client, NoTls};
use warehouse_tests::Cluster;
use warehouse_tests::cluster::{SUPERUSER, SUPERUSER_PASSWORD};
use warehouse_tests::faults::{Mode, Proxy, SilentHost};
use warehouse_tests::timing::{eventually, timed};

fn through(proxy: &Proxy) -> Result<Client> {
    let mut config = Client::configure();
    config.host("127.0.0.1").port(proxy.port()).dbname("postgres");
    config.user(SUPERUSER).password(SUPERUSER_PASSWORD);
    Ok(config.connect(NoTls)?)
}

fn is_refused(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port))
        .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Starts a program that holds copies of all descriptors of this process for `patience` before it
/// becomes what it is, as every program does that a test beside this one starts; shorter.
fn hold_descriptors(patience: Duration) -> Result<JoinHandle<io::Result<ExitStatus>>> {
    let (mut born, tell) = io::pipe()?;
    let thread = std::thread::spawn(move || {
        let mut command = Command::new("true");
        // SAFETY: writing and sleeping are safe after a fork.
        unsafe {
            command.pre_exec(move || {
                (&tell).write_all(b"!")?;
                std::thread::sleep(patience);
                Ok(())
            });
        }
        command.status()
    });
    born.read_exact(&mut [0])?;
    Ok(thread)
}

#[test]
fn refusing_does_not_wait_for_programs_that_are_starting() -> Result<()> {
    let cluster = Cluster::builder("starting").start()?;
    let proxy = Proxy::to_cluster(&cluster)?;
    let host = SilentHost::start()?;
    let mut client = through(&proxy)?;
    let starting = hold_descriptors(Duration::from_millis(500))?;
    proxy.set(Mode::Refuse)?;
    ensure!(is_refused(proxy.port()));
    proxy.drop_connections()?;
    ensure!(client.simple_query("SELECT 1").is_err());
    let port = host.port();
    drop(host);
    ensure!(is_refused(port));
    ensure!(!starting.is_finished());
    // The port is still the proxy's.
    proxy.set(Mode::Pass)?;
    through(&proxy)?.simple_query("SELECT 1")?;
    ensure!(starting.join().is_ok_and(|status| status.is_ok_and(|status| status.success())));
    Ok(())
}

#[test]
fn a_silent_host_accepts_and_says_nothing() -> Result<()> {
    let host = SilentHost::start()?;
    let mut stream = TcpStream::connect(("127.0.0.1", host.port()))?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    stream.write_all(b"hello")?;
    ensure!(stream.read(&mut [0; 8]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
    ensure!(host.accepted() == 1);
    let port = host.port();
    drop(host);
    ensure!(is_refused(port));
    Ok(())
}

#[test]
fn a_proxy_passes_counts_delays_and_stalls() -> Result<()> {
    let cluster = Cluster::builder("proxied").start()?;
    let proxy = Proxy::to_cluster(&cluster)?;
    let mut client = through(&proxy)?;
    let before = proxy.bytes_to_client();
    let big: String = client.query_one("SELECT repeat('x', 3000000)", &[])?.get(0);
    ensure!(big.len() == 3_000_000);
    ensure!(proxy.bytes_to_client() - before > 3_000_000);
    ensure!(proxy.bytes_to_server() > 0 && proxy.connections() == 1);

    proxy.set(Mode::Delay(Duration::from_millis(100)))?;
    let (result, took) = timed(|| client.simple_query("SELECT 1"));
    ensure!(result.is_ok() && took >= Duration::from_millis(200));
    // Later, not slower: what is sent while something waits does not wait for that.
    let (result, took) = timed(|| client.simple_query("SELECT repeat('x', 3000000)"));
    ensure!(result.is_ok() && took >= Duration::from_millis(200));
    ensure!(took < Duration::from_millis(1500), "{took:?}");

    proxy.set(Mode::Stall)?;
    let (result, took) = timed(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(300));
                proxy.set(Mode::Pass)
            });
            client.simple_query("SELECT 1")
        })
    });
    ensure!(result.is_ok() && took >= Duration::from_millis(300));
    Ok(())
}

#[test]
fn a_proxy_cuts_refuses_and_drops() -> Result<()> {
    let cluster = Cluster::builder("cut").start()?;
    let proxy = Proxy::to_cluster(&cluster)?;
    let mut client = through(&proxy)?;
    let before = proxy.bytes_to_client();
    proxy.set(Mode::CutAfter(100_000))?;
    ensure!(client.simple_query("SELECT repeat('x', 3000000)").is_err());
    ensure!(proxy.bytes_to_client() - before == 100_000);
    ensure!(client.is_closed());

    proxy.set(Mode::Pass)?;
    let mut client = through(&proxy)?;
    proxy.set(Mode::Refuse)?;
    ensure!(is_refused(proxy.port()));
    client.simple_query("SELECT 1")?;

    proxy.drop_connections()?;
    ensure!(client.simple_query("SELECT 1").is_err());
    proxy.set(Mode::Pass)?;
    through(&proxy)?.simple_query("SELECT 1")?;
    eventually(Duration::from_secs(5), "closed connections are noticed", || {
        Ok(proxy.connections() == 0)
    })?;
    let port = proxy.port();
    drop(proxy);
    ensure!(is_refused(port));
    Ok(())
}
