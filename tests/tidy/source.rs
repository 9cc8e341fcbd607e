//! The sources, as the rules read them: lines of code and comment, without the contents of strings.

use std::fs;
use std::path::{Path, PathBuf};

/// What the names of files end with that are compiled for tests only.
const TEST_FILES: [&str; 6] = ["tests", "models", "audit", "explore", "properties", "stress"];

/// A file, taken apart.
pub(crate) struct Source {
    /// Below the folder that is looked at, with slashes.
    pub(crate) path: String,
    pub(crate) lines: Vec<Line>,
    /// Compiled for tests only, by its name.
    pub(crate) test: bool,
}

/// A line: what is compiled, without the contents of its strings, and what is not.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) code: String,
    pub(crate) comment: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let mut in_string = false;
        let lines = text.lines().map(|line| take_apart(line, &mut in_string)).collect();
        assert!(!in_string, "{path}: a string that these rules do not read");
        let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        let test = TEST_FILES.iter().any(|test| name.ends_with(test));
        Self { path: path.to_string(), lines, test }
    }

    /// The module of the crate that the file belongs to.
    pub(crate) fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// A finding for each line whose number and self are such that `wrong` has something to say.
    pub(crate) fn findings(&self, wrong: impl Fn(usize, &Line) -> Option<String>) -> Vec<String> {
        let finding =
            |(nth, line)| wrong(nth, line).map(|text| format!("{}:{}: {text}", self.path, nth + 1));
        self.lines.iter().enumerate().filter_map(finding).collect()
    }

    /// All code, without comments.
    pub(crate) fn code(&self) -> String {
        self.lines.iter().flat_map(|line| [&line.code, "\n"]).collect()
    }

    /// Whether the documentation of what a line begins has one of these words. What is hidden has all of them.
    pub(crate) fn documents(&self, nth: usize, words: &[&str]) -> bool {
        let above = self.lines[..nth].iter().rev().take_while(|line| {
            let code = line.code.trim();
            let documents = code.is_empty() && !line.comment.is_empty();
            documents || code.starts_with('#') || code.ends_with(")]")
        });
        above.into_iter().any(|line| {
            let hidden = ["doc(hidden)", "fuzzing"].iter().any(|mark| line.code.contains(mark));
            hidden || words.iter().any(|word| line.comment.contains(word))
        })
    }
}

/// Divides a line into code and comment. Strings keep their quotes only. Comments in the midst of a line are not known,
/// and quotes in a raw string have to come in pairs: the sources have no others.
fn take_apart(text: &str, in_string: &mut bool) -> Line {
    let (mut line, mut rest) = (Line::default(), text);
    while let Some(next) = rest.chars().next() {
        let quote = ["'\"'", "'\\\"'"].into_iter().find(|quote| rest.starts_with(quote));
        let step = match (*in_string, next) {
            (true, '\\') => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (_, '"') => {
                *in_string = !*in_string;
                line.code.push('"');
                1
            }
            (false, '/') if rest.starts_with("//") => {
                line.comment = rest.to_string();
                break;
            }
            (false, '\'') if quote.is_some() => quote.map_or(1, str::len),
            (in_string, next) => {
                line.code.extend((!in_string).then_some(next));
                next.len_utf8()
            }
        };
        rest = &rest[step..];
    }
    line
}

/// The names and numbers in a text.
pub(crate) fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty())
}

/// Whether a word stands alone in the code.
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    names(code).any(|name| name == word)
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The paths and texts of all Rust files below a folder, but for what was built there.
pub(crate) fn files(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, base: &Path, out: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).expect("a folder of the package") {
            let path = entry.expect("an entry of a folder").path();
            if path.is_dir() && !path.ends_with("target") {
                walk(&path, base, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(base).expect("below its base");
                let name = name.to_string_lossy().replace('\\', "/");
                out.push((name, fs::read_to_string(&path).expect("a readable file")));
            }
        }
    }
    let (base, mut out) = (root().join(folder), Vec::new());
    walk(&base, &base, &mut out);
    out.sort();
    out
}

pub(crate) fn sources_of(folder: &str) -> Vec<Source> {
    files(folder).iter().map(|(path, text)| Source::new(path, text)).collect()
}

pub(crate) fn sources() -> Vec<Source> {
    sources_of("src")
}

/// The sources of the crates below `crates`, by their paths in them.
pub(crate) fn crates() -> Vec<Source> {
    let folders = fs::read_dir(root().join("crates")).expect("the folder of the crates");
    let names = folders.map(|folder| folder.expect("a crate").file_name());
    names.flat_map(|name| sources_of(&format!("crates/{}/src", name.to_string_lossy()))).collect()
}

#[test]
fn code_strings_and_comments_are_told_apart() {
    let text = "a(\"// b \\\" c\"); // d \"\ng('\"', 'h, \"i\n// j\"); 'k: '\\\"'";
    let source = Source::new("a.rs", text);
    let code: Vec<&str> = source.lines.iter().map(|line| line.code.as_str()).collect();
    let comment: Vec<&str> = source.lines.iter().map(|line| line.comment.as_str()).collect();
    assert_eq!(code, ["a(\"\"); ", "g(, 'h, \"", "\"); 'k: "]);
    assert_eq!(comment, ["// d \"", "", ""]);
}
