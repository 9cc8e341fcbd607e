//! Every wrong input of `races` and `stampede`.

use crate::failures::fails;
use crate::support::{lab, output};

#[test]
fn one_thread_races_with_nobody() {
    for threads in ["0", "1", "1025", "-2", "two"] {
        let out = output(&mut lab(["races", "--threads", threads]));
        fails(&out, "whole number from 2 to 1024");
    }
}

#[test]
fn stampedes() {
    let stampede =
        |arguments: &[&str], says| fails(&output(lab(["stampede"]).args(arguments)), says);
    stampede(&["--seconds", "-1"], "give a number of seconds from 0 to 3600");
    stampede(&["--uncached-seconds", "soon"], "give a number of seconds from 0 to 3600");
    stampede(&["--callers", "0"], "from 1 to 1024");
    for option in ["--keys", "--think-ms", "--store-ms", "--life-ms", "--refresh-ms"] {
        stampede(&[option, "0"], option);
    }
    stampede(&["--seconds", "3"], "give more --seconds");
    stampede(&["--seconds", "0"], "give more --seconds");
    stampede(&["--life-ms", "5000", "--refresh-ms", "5000"], "give less --refresh-ms");
    stampede(&["--json", "no/such/file"], "no/such/file cannot be written");
}
