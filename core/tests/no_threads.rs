//! Nothing starts a thread: in a Postgres backend, a signal could land on it. A binary of its own with
//! one test, so that nobody else's threads are counted.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::rc::Rc;
use warehouse_core::connectors::airtable::{self, Airtable};
use warehouse_core::connectors::{Host, SessionHost};

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

#[test]
fn no_thread_is_started() {
    // The server has a thread, which is there before anything is counted.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
            let body = r#"{"bases":[{"id":"app1","name":"B"}]}"#;
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    let before = threads();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let host: Rc<dyn Host> = Rc::new(SessionHost::default());
    // By address, by a name of /etc/hosts, and by a name that has to be asked for.
    for (name, works) in [("127.0.0.1", true), ("localhost", true)] {
        let endpoint = format!("http://{name}:{port}");
        let options = airtable::Options::parse([("endpoint", endpoint.as_str())]).expect("options");
        let credential = airtable::Credential::parse([("token", "pat")]).expect("a token");
        let airtable = Airtable::new(options, credential).expect("a connector");
        let bases = runtime.block_on(airtable.bases(host.as_ref()));
        assert_eq!(bases.is_ok(), works, "{name}: {bases:?}");
    }
    let options = [
        ("connect_timeout", "300ms"),
        ("retry_timeout", "1ms"),
        ("endpoint", "https://nowhere.invalid"),
    ];
    let options = airtable::Options::parse(options).expect("options");
    let credential = airtable::Credential::parse([("token", "pat")]).expect("a token");
    if let Ok(airtable) = Airtable::new(options, credential) {
        assert!(runtime.block_on(airtable.bases(host.as_ref())).is_err());
    }
    assert_eq!(threads(), before);
}
