//! Every wrong input of the commands with peers.

use crate::failures::fails;
use crate::support::{Folder, lab, output};

#[test]
fn comparisons() {
    fails(&output(&mut lab(["compare", "--rounds", "0"])), "--rounds");
    fails(&output(&mut lab(["compare", "file"])), "file");
    fails(&output(&mut lab(["compare", "--threads", "1,0"])), "from 1 to 1024");
    fails(&output(&mut lab(["compare", "--peers", "mokka"])), "there is no peer `mokka`");
    fails(&output(&mut lab(["compare", "--peers", ""])), "there is no peer ``");
    fails(&output(&mut lab(["compare", "--peers", ","])), "there is no peer ``");
    fails(&output(&mut lab(["compare", "--threads", ""])), "from 1 to 1024");
    fails(&output(&mut lab(["compare", "--threads", "1,,2"])), "from 1 to 1024");
    fails(&output(&mut lab(["compare", "--threads", "0"])), "from 1 to 1024");
    fails(&output(&mut lab(["compare", "--round-ms", "0"])), "--round-ms");
    fails(&output(&mut lab(["compare", "--entries", "0"])), "--entries");
    fails(
        &output(&mut lab(["compare", "--json", "no/such/file"])),
        "no/such/file cannot be written",
    );
    fails(
        &output(&mut lab(["compare", "--charts", "Cargo.toml/no"])),
        "Cargo.toml/no cannot be made",
    );
    fails(&output(&mut lab(["compare", "--markdown", "/"])), "/ cannot be written");
    fails(&output(&mut lab(["resident", "same", "nobody", "narrow", "1"])), "nobody");
    fails(&output(&mut lab(["excess", "same", "nobody", "1"])), "nobody");
}

#[test]
fn loads() {
    let load = |arguments: &[&str], says| fails(&output(lab(["load"]).args(arguments)), says);
    load(&["--threads", "1,0"], "from 1 to 1024");
    load(&["--threads", ""], "from 1 to 1024");
    load(&["--callers", "1"], "--callers");
    load(&["--rounds", "0"], "--rounds");
    load(&["--round-ms", "60001"], "--round-ms");
    load(&["--json", "no/such/file"], "no/such/file cannot be written");
    load(&["fast"], "fast");
}

#[test]
fn folders_of_traces() {
    let folder = Folder::new();
    let path = folder.path().to_str().expect("a plain name");
    let compare = || output(&mut lab(["compare", "hit-ratio", "--traces", path]));
    fails(&compare(), "rows.csv cannot be read");
    let header = "trace,entries,policy,hit_ratio\n";
    for (text, says) in [
        (String::new(), "does not begin with the line"),
        ("trace,entries\n".into(), "does not begin with the line"),
        (header.into(), "has no rows"),
        (format!("{header}small,10,LRU\n"), "in line 2"),
        (format!("{header}small,0,LRU,0.5\n"), "in line 2"),
        (format!("{header}\nsmall,1,LRU,1.5\n"), "in line 3"),
        (format!("{header}small,1,LRU,NaN\n"), "in line 2"),
        (format!("{header}small,1,LRU,0.5\n"), "small.u64.zst cannot be opened"),
    ] {
        folder.raw("rows.csv", text.as_bytes());
        fails(&compare(), says);
    }
    folder.raw("small.u64.zst", b"");
    fails(&compare(), "holds no accesses");
    folder.keys("small", &[1, 2, 3]);
    let header = "trace,capacity_bytes,percent,name,object_hit_ratio,byte_hit_ratio\n";
    for (text, says) in [
        ("trace\n".into(), "rows_sizes.csv does not begin with the line"),
        (format!("{header}small,10,1,Belady,0.5\n"), "in line 2"),
        (format!("{header}small,0,1,Belady,0.5,0.5\n"), "in line 2"),
        (format!("{header}\nsmall,10,1,Belady,0.5,1.5\n"), "in line 3"),
    ] {
        folder.raw("rows_sizes.csv", text.as_bytes());
        fails(&compare(), says);
    }
}
