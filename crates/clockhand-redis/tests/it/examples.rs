//! The example of two processes says what it should.

use std::process::Command;

use crate::support::Server;

#[test]
fn two_processes_read_what_the_other_writes() {
    let Some(server) = Server::start() else { return };
    let program = std::env::current_exe().expect("this program");
    let built = program.ancestors().nth(2).expect("the folder of what was built");
    let example = built.join("examples/two_processes");
    if !example.exists() {
        eprintln!("skipped: the example was not built, as only some tests were asked for");
        return;
    }
    let output = Command::new(example).arg(server.url()).output().expect("the example runs");
    let text = String::from_utf8_lossy(&output.stdout);
    for price in ["1.0842", "1.0843", "1.0844"] {
        assert!(
            text.contains(&format!("written: {price}; the other process reads {price}\n")),
            "{text}"
        );
    }
    assert!(text.contains("invalidated; the other process reads nothing\n"), "{text}");
    assert!(output.status.success());
}
