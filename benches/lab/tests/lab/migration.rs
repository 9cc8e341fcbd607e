//! The program of `docs/migration.md` before its migration: what is there is what is compiled here.

use std::error::Error;
use std::fs;
use std::path::Path;

fn fetch(path: &str) -> Result<String, std::io::Error> {
    Ok(format!("page: {path}"))
}

#[test]
fn the_program_with_moka_runs() -> Result<(), Box<dyn Error>> {
    // From here on as in the text.
    use moka::sync::Cache;
    use std::{sync::Arc, time::Duration};

    let pages: Cache<String, Arc<String>> = Cache::builder()
        .max_capacity(64 * 1024 * 1024)
        .weigher(|key: &String, page: &Arc<String>| (key.len() + page.len()) as u32)
        .time_to_live(Duration::from_secs(60))
        .support_invalidation_closures()
        .eviction_listener(|key, _, cause| println!("{key}: {cause:?}"))
        .build();

    let page = pages.try_get_with("/".to_string(), || fetch("/").map(Arc::new))?;
    assert_eq!(page.len(), 7);
    pages.invalidate("/");
    pages.invalidate_entries_if(|key, _| key.starts_with("/old"))?;
    // To here.
    Ok(())
}

#[test]
fn the_text_has_this_program() {
    let own = include_str!("migration.rs");
    let from = own.find("    use moka::sync").expect("it begins");
    let to = own.find("    // To here.").expect("it ends");
    let program: String =
        own[from..to].lines().map(|line| line.trim_start().to_string() + "\n").collect();
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/migration.md");
    let text = fs::read_to_string(text).expect("the text is there");
    let shown: String = text.lines().map(|line| line.trim_start().to_string() + "\n").collect();
    assert!(shown.contains(program.trim()), "docs/migration.md differs from:\n{program}");
}
