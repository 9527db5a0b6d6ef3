//! The shell of InfluxDB 1.x, the program itself: what it sends is answered so that it shows what it should.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::Arc;

use bellwether_series::http::{Authorizer, Credentials, Denied, router};
use bellwether_series::{Change, NotTaken, Options, Store, Writer};

/// One token may do everything.
struct Door;

impl Authorizer for Door {
    fn may_read(&self, credentials: &Credentials, _: &str) -> Result<(), Denied> {
        if credentials.secret() == Some("sesame") { Ok(()) } else { Err(Denied::Wrong) }
    }

    fn may_write(&self, credentials: &Credentials, database: &str) -> Result<(), Denied> {
        self.may_read(credentials, database)
    }
}

/// Applies at once, without a journal.
struct Scribe(Arc<Store>);

impl Writer for Scribe {
    fn commit(&self, change: Change) -> Result<(), NotTaken> {
        self.0.apply_change(self.0.applied() + 1, &change).map_err(|error| NotTaken::Later(error.to_string()))?;
        Ok(())
    }
}

struct House {
    address: SocketAddr,
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl House {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&folder.path().join("series"), Options::default()).unwrap());
        let routes = router(store.clone(), Arc::new(Door), Arc::new(Scribe(store)));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { address, folder, _runtime: runtime }
    }

    fn run(&self, password: &str, arguments: &[&str]) -> Output {
        Command::new("influx")
            .args(["-host", "127.0.0.1", "-port", &self.address.port().to_string()])
            .args(["-username", "x", "-password", password])
            .args(arguments)
            .env("HOME", self.folder.path())
            .output()
            .expect("influx of the Debian package influxdb-client")
    }

    /// What the shell prints when all goes well.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run("sesame", arguments);
        let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}{wrong}");
        format!("{said}{wrong}")
    }
}

#[test]
fn the_shell_makes_databases_writes_and_asks_in_every_format() {
    let house = House::open();
    house.says(&["-execute", "create database shell"]);
    assert_eq!(house.says(&["-execute", "show databases"]), "name: databases\nname\n----\nbellwether\nshell\n");
    house.says(&["-database", "shell", "-execute", "insert m,h=a v=1,s=\"x y\" 5"]);
    house.says(&["-database", "shell", "-precision", "s", "-execute", "insert m,h=b v=2 6"]);
    let ask = |format: &str, question: &str| {
        house.says(&["-database", "shell", "-format", format, "-precision", "rfc3339", "-execute", question])
    };
    let column = "name: m\ntime                           h s   v\n----                           - -   -\n\
                  1970-01-01T00:00:00.000000005Z a x y 1\n1970-01-01T00:00:06Z           b     2\n";
    assert_eq!(ask("column", "select * from m"), column);
    let csv =
        "name,tags,time,v\nm,h=a,1970-01-01T00:00:00.000000005Z,1\nname,tags,time,v\nm,h=b,1970-01-01T00:00:06Z,2\n";
    assert_eq!(ask("csv", "select v from m group by h"), csv);
    let json = "{\"results\":[{\"series\":[{\"name\":\"m\",\"columns\":[\"time\",\"v\"],\"values\":[[\"1970-01-01T00:00:00.000000005Z\",1]]}]}]}\n";
    assert_eq!(ask("json", "select v from m limit 1"), json);
    let milliseconds = house.says(&["-database", "shell", "-precision", "ms", "-execute", "select v from m"]);
    assert!(milliseconds.contains("6000 2"), "{milliseconds}");
}

#[test]
fn the_shell_shows_what_is_wrong() {
    let house = House::open();
    let fails = |password: &str, arguments: &[&str]| {
        let output = house.run(password, arguments);
        assert!(!output.status.success(), "{arguments:?}");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let wrong = fails("sesame", &["-database", "bellwether", "-execute", "select v from"]);
    assert!(wrong.contains("error parsing query: found EOF, expected identifier at line 1, char 15"), "{wrong}");
    let wrong = fails("sesame", &["-database", "nosuch", "-execute", "select v from m"]);
    assert!(wrong.contains("database not found: nosuch"), "{wrong}");
    let wrong = fails("guess", &["-execute", "show databases"]);
    assert!(wrong.contains("authorization failed"), "{wrong}");
}

#[test]
fn the_shell_imports_a_file_with_statements_and_lines() {
    let house = House::open();
    let file = house.folder.path().join("import.txt");
    let text = "# DDL\nCREATE DATABASE imported\nCREATE RETENTION POLICY short ON imported DURATION 0s REPLICATION 1\n\n# DML\n\
                # CONTEXT-DATABASE: imported\n# CONTEXT-RETENTION-POLICY: short\n\n\
                treasures,captain=flint value=29 1439856000\ntreasures,captain=tetra value=47 1439858880\n";
    std::fs::write(&file, text).unwrap();
    let said = house.says(&["-import", "-path", file.to_str().unwrap(), "-precision", "s"]);
    assert!(said.contains("Processed 2 inserts") && said.contains("Failed 0 inserts"), "{said}");
    let asked = house.says(&["-database", "imported", "-format", "csv", "-execute", "select * from short.treasures"]);
    assert_eq!(
        asked,
        "name,time,captain,value\ntreasures,1439856000000000000,flint,29\ntreasures,1439858880000000000,tetra,47\n"
    );
}
