//! The documents say what is so: the README's examples print what stands there, its tables name
//! every option, and the paths that the pages name are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::root;
use crate::testing::{Case, Job, Scratch, launcher};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("docs::readme_examples", readme_examples),
        Case::new("docs::every_option_is_told", options_are_told),
        Case::new("docs::named_files_are_there", named_files),
    ]
}

fn page(name: &str) -> Result<String> {
    fs::read_to_string(root::project().join(name)).context(name.to_owned())
}

/// A command and what it prints, `...` standing for anything.
struct Example<'a> {
    command: &'a str,
    output: Vec<&'a str>,
}

/// The indented blocks under `## Examples`: `$ command`, then its output.
fn examples(readme: &str) -> Vec<Example<'_>> {
    let section = readme
        .split("\n## ")
        .find(|part| part.starts_with("Examples"));
    let mut found: Vec<Example<'_>> = Vec::new();
    for line in section.unwrap_or_default().lines() {
        let Some(line) = line.strip_prefix("    ") else {
            continue;
        };
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push(Example {
                command,
                output: vec![],
            }),
            (None, Some(last)) => last.output.push(line),
            (None, None) => {}
        }
    }
    found
}

/// All of them in one directory, one after the other, as a reader would try them.
fn readme_examples() -> Result<()> {
    let scratch = Scratch::new("readme")?;
    let run = scratch.path("run.sh");
    fs::write(&run, "#!/bin/sh\nexec \"$KILN_RUN\" \"$@\"\n")?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&run, mode)?;
    let sample = root::project().join("harness");
    std::os::unix::fs::symlink(sample, scratch.path("harness"))?;
    let readme = page("README.md")?;
    let examples = examples(&readme);
    ensure!(examples.len() >= 6, "only {} examples", examples.len());
    for example in examples {
        let mut shell = Command::new("bash");
        shell
            .args(["-c", "exec 2>&1; eval \"$0\"", example.command])
            .env("KILN_RUN", launcher())
            .env("KILN_HOME", root::project())
            .env("PATH", path_with_sbin())
            .current_dir(&scratch.0);
        let got = Job::of(shell).run()?;
        let printed = got.out();
        let lines: Vec<&str> = printed.lines().collect();
        ensure!(
            lines_match(&example.output, &lines),
            "{:?} prints:\n{printed}",
            example.command
        );
    }
    Ok(())
}

/// Debian keeps mke2fs where only root's shells look.
fn path_with_sbin() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

/// A line `...` stands for any number of lines.
fn lines_match(wanted: &[&str], lines: &[&str]) -> bool {
    match (wanted.split_first(), lines.split_first()) {
        (None, None) => true,
        (Some((&"...", rest)), _) => {
            (0..=lines.len()).any(|skip| lines_match(rest, lines.get(skip..).unwrap_or_default()))
        }
        (Some((want, rest)), Some((line, others))) => {
            text_matches(want, line) && lines_match(rest, others)
        }
        _ => false,
    }
}

/// `...` in a line stands for any text.
fn text_matches(wanted: &str, text: &str) -> bool {
    let Some((head, tail)) = wanted.split_once("...") else {
        return wanted == text;
    };
    let Some(rest) = text.strip_prefix(head) else {
        return false;
    };
    let places = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    places
        .filter_map(|at| rest.get(at..))
        .any(|rest| text_matches(tail, rest))
}

/// The words of `text` that begin with `--`.
fn long_options(text: &str) -> BTreeSet<String> {
    let part_of_word = |c: char| !(c.is_ascii_lowercase() || c == '-');
    text.split(part_of_word)
        .filter(|word| word.len() > 3 && word.starts_with("--") && !word.ends_with('-'))
        .map(str::to_owned)
        .collect()
}

/// `--help` and the README's table name the same options.
fn options_are_told() -> Result<()> {
    let help = Job::new(["--help"]).run()?.has_status(0)?.out();
    let readme = page("README.md")?;
    let table: String = readme
        .split("\n## ")
        .find(|part| part.starts_with("Options"))
        .unwrap_or_default()
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split(" | ").next())
        .collect();
    let (shown, told) = (long_options(&help), long_options(&table));
    ensure!(
        shown == told,
        "only in --help or only in the README: {:?}",
        shown.symmetric_difference(&told).collect::<Vec<_>>()
    );
    Ok(())
}

/// What stands in backquotes and looks like a path of this repository is one.
fn named_files() -> Result<()> {
    let tops = [
        "harness/",
        "kernel/",
        "pvh/",
        "userland/",
        "docs/",
        "images/",
        ".ci/",
    ];
    for name in ["README.md", "docs/architecture.md", "docs/contributing.md"] {
        let text = page(name)?;
        for word in text.split('`').skip(1).step_by(2) {
            let path = word.split([' ', ':', '*', '<']).next().unwrap_or_default();
            let ours = tops.iter().any(|top| path.starts_with(top));
            ensure!(
                !ours || root::project().join(Path::new(path)).exists(),
                "{name} names {word}, which isn't there"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_stand_for_anything() {
        assert!(text_matches("a...c", "abbc") && text_matches("a...", "a"));
        assert!(!text_matches("a...c", "abb") && !text_matches("a", "ab"));
        assert!(lines_match(&["a", "...", "z"], &["a", "b", "c", "z"]));
        assert!(lines_match(&["a", "..."], &["a"]));
        assert!(!lines_match(&["a"], &["a", "b"]) && !lines_match(&["a", "b"], &["a"]));
    }

    #[test]
    fn examples_are_found() {
        let text = "# T\n\n## Examples\n\nx\n\n    $ one\n    1\n    $ two\n\n    $ three\n    3\n\n## Next\n\n    $ no\n";
        let found: Vec<_> = examples(text)
            .into_iter()
            .map(|example| (example.command.to_owned(), example.output.len()))
            .collect();
        let wanted = [("one", 1), ("two", 0), ("three", 1)].map(|(a, b)| (a.to_owned(), b));
        assert_eq!(found, wanted);
    }
}
