//! Every wrong input ends with one line on standard error, nothing on standard output, and status 2.

use std::process::Output;

use crate::support::{Folder, compress, lab, output, zstd_keys};

/// Checks the form of a failure, and that its line says this.
pub(crate) fn fails(out: &Output, says: &str) {
    let line = String::from_utf8(out.stderr.clone()).expect("errors are text");
    assert_eq!(out.status.code(), Some(2), "{line}");
    assert_eq!(String::from_utf8_lossy(&out.stdout), "");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("clockhand-lab: ") && line.ends_with('\n'), "{line}");
    assert!(line.contains(says), "`{says}` is not in: {line}");
}

fn replay_fails(arguments: &[&str], says: &str) {
    fails(&output(lab(["replay"]).args(arguments)), says);
    fails(&output(lab(["replay", "--json"]).args(arguments)), says);
}

fn file_fails(name: &str, bytes: &[u8], says: &str) {
    let folder = Folder::new();
    let path = folder.raw(name, bytes);
    let path = path.to_str().expect("a plain name");
    replay_fails(&[path], says);
    replay_fails(&[path], name);
}

#[test]
fn capacities() {
    let bad =
        ["0", "-1", "0%", "-5%", "101%", "NaN%", "inf%", "%", "", "many", "10 %", "1.5", "1e3"];
    let overflow = "18446744073709551616";
    for capacity in bad.into_iter().chain([overflow, "--json"]) {
        replay_fails(
            &["--capacity", capacity],
            "give a whole number of 1 or more, or a percentage",
        );
    }
    replay_fails(&["--capacity"], "--capacity");
}

#[test]
fn thread_counts() {
    for threads in ["0", "-1", "two", "", "1.5", "1025", "99999999999999999999"] {
        replay_fails(&["--threads", threads], "give a whole number from 1 to 1024");
    }
}

#[test]
fn times() {
    for seconds in ["-1", "NaN", "inf", "3601", "soon", ""] {
        replay_fails(&["--seconds", seconds], "give a number of seconds from 0 to 3600");
    }
}

#[test]
fn arguments() {
    replay_fails(&["--fast"], "--fast");
    replay_fails(&["--read", "both"], "both");
    fails(&output(&mut lab::<_, &str>([])), "try `replay`");
    fails(&output(&mut lab(["replya"])), "replya");
}

#[test]
fn missing_files() {
    replay_fails(&["no/such.u64.zst"], "no/such.u64.zst cannot be opened");
    let folder = Folder::new();
    replay_fails(&[folder.path().to_str().expect("a plain name")], "cannot be read");
}

#[test]
fn a_missing_file_is_found_before_the_first_replay() {
    let folder = Folder::new();
    let sound = folder.keys("sound", &[1, 2, 3]);
    replay_fails(&[sound.to_str().expect("a plain name"), "missing.u64.zst"], "missing.u64.zst");
}

#[test]
fn a_name_cannot_break_the_line() {
    replay_fails(&["two\nlines\u{1b}[31m.u64.zst"], "two lines");
    replay_fails(&["--capacity", "1\n2"], "1 2");
}

#[test]
fn empty_files() {
    file_fails("nothing.u64.zst", &[], "holds no accesses");
    file_fails("frame.u64.zst", &compress(&[]), "holds no accesses");
}

#[test]
fn truncated_and_corrupt_files() {
    let sound = zstd_keys(&(0..5000).collect::<Vec<_>>());
    file_fails("short.u64.zst", &sound[..sound.len() / 2], "is truncated");
    file_fails("unchecked.u64.zst", &sound[..sound.len() - 1], "is truncated");
    let mut flipped = sound.clone();
    flipped[sound.len() / 2] ^= 0x10;
    file_fails("flipped.u64.zst", &flipped, "is corrupt");
    file_fails("text.csv", b"trace,entries,policy,hit_ratio\n", "not compressed with zstd");
    file_fails("trailing.u64.zst", &[&sound[..], b"more"].concat(), "is corrupt");
}

#[test]
fn misaligned_files() {
    file_fails("odd.u64.zst", &compress(&[0; 12]), "12 bytes, not a multiple of 8");
}

#[test]
fn sizes_that_do_not_belong_to_the_keys() {
    let folder = Folder::new();
    let keys = folder.keys("pair", &[1, 2, 3]);
    let keys = keys.to_str().expect("a plain name");
    for (sizes, says) in [
        (compress(&[0; 8]), "has 2 sizes for 3 accesses"),
        (compress(&[0; 16]), "has 4 sizes for 3 accesses"),
        (compress(&[0; 13]), "13 bytes, not a multiple of 4"),
        (Vec::new(), "has 0 sizes for 3 accesses"),
        (b"not zstd".to_vec(), "is corrupt"),
        (compress(&[0; 12])[..9].to_vec(), "is truncated"),
    ] {
        folder.raw("pair.u32.zst", &sizes);
        replay_fails(&[keys], says);
        replay_fails(&[keys], "pair.u32.zst");
    }
    let sizes = folder.sizes("pair", &[1, 2, 3]);
    replay_fails(&[sizes.to_str().expect("a plain name")], "name the .u64.zst file");
}
