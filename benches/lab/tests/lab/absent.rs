//! Commands that a build is without say how to run them.

use crate::failures::fails;
use crate::support::{lab, output};

#[test]
fn each_says_how_to_run_it_with_the_same_arguments() {
    let all =
        [&["compare"][..], &["load", "--quick"], &["compare", "--help"], &["serve", "--port=0"]];
    for arguments in all {
        let feature = if arguments[0] == "serve" { "serve" } else { "peers" };
        let run = format!("--features {feature} -- {}`", arguments.join(" "));
        fails(&output(&mut lab(arguments)), &run);
    }
}
