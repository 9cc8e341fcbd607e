//! Commands that a build is without say how to run them.

use crate::failures::fails;
use crate::support::{lab, output};

#[test]
fn each_says_how_to_run_it_with_the_same_arguments() {
    let all: [(&str, &[&str]); 7] = [
        ("peers", &["compare"]),
        ("peers", &["load", "--quick"]),
        ("peers", &["compare", "--help"]),
        ("predict", &["predict", "days", "--symbols=100"]),
        ("serve", &["serve"]),
        ("serve", &["serve", "--port=0"]),
        ("tier", &["tier", "--time-ms", "10"]),
    ];
    for (feature, arguments) in all {
        let run = format!("--features {feature} -- {}`", arguments.join(" "));
        fails(&output(&mut lab(arguments)), &run);
    }
}
