//! The README's first command, as it stands there, in a home in which nothing was ever configured and without a network. What it makes
//! is read by Debian's amrestore, zstd and GNU tar, which know nothing of us.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use asyncamanda_tests::compare::{self, OURS};
use asyncamanda_tests::torture::{self, Size};
use asyncamanda_tests::{Finished, Home, Whose, life};

/// The words before ours in the README: there the program is built first.
const CARGO: &str = "cargo run --release -- ";

/// Returns the README's first command.
fn first_command() -> String {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("there is one");
    let blocks = readme.split("```").skip(1).step_by(2);
    let command = blocks.filter_map(|block| block.lines().nth(1)).next().expect("a block with a command");
    let rest = command.trim_start_matches("$ ").strip_prefix(CARGO);
    rest.unwrap_or_else(|| panic!("the README's first command is {command:?}, and no {CARGO}…")).to_owned()
}

/// Runs it, with the program that was built.
fn type_it(home: &Home) -> Finished {
    home.sh(&format!("{} {}", home.program("asyncamanda").display(), first_command())).expect_code(0)
}

/// Returns the one line of what was said that is a command to get files back with.
fn way_back(said: &Finished) -> String {
    let all = format!("{}\n{}", said.stdout, said.stderr);
    let lines: Vec<&str> = all.lines().filter(|line| line.contains("tar ") && line.contains("zstd")).collect();
    let [line] = lines[..] else { panic!("one line that says how to get a file back was expected:\n{said}") };
    line.split_once(": ").map_or(line, |(_, command)| command).trim().trim_matches('`').to_owned()
}

fn a_vault_out_of_nothing(whose: Whose) {
    let home = Home::new(whose);
    let documents = home.path("Documents");
    torture::plant(&documents, 1, Size::Small);
    if whose == Whose::User {
        // What he may not read himself is in nobody's backup of his.
        fs::remove_dir_all(documents.join("secrets")).expect("ours");
    }
    home.hand_over();

    let said = type_it(&home);
    let vault = home.vault("vault");
    assert!(said.stdout.contains("vault") || said.stderr.contains("vault"), "nothing is said of what was made:\n{said}");
    let owner = fs::metadata(&vault.0).expect("it was made").uid();
    assert_eq!(owner, fs::metadata(&home.dir).expect("ours").uid());

    // As printed, by whoever it was printed for.
    home.sh(&way_back(&said)).expect_code(0);
    compare::assert_equal(&documents, &home.path("back"), OURS);
    fs::remove_dir_all(home.path("back")).expect("ours");

    let mut levels = Vec::new();
    for round in 0..3 {
        if round > 0 {
            life::go_on(&documents, round);
            home.hand_over();
            let said = type_it(&home);
            assert!(!said.stdout.contains("Made ") && !said.stderr.contains("Made "), "it is said again:\n{said}");
        }
        let dumps = vault.dumps();
        let newest = dumps.last().expect("one at least");
        assert_eq!(dumps.len(), round as usize + 1, "{dumps:#?}");
        assert!(newest.slot.is_some() && newest.whole, "{newest:#?}");
        assert_eq!(newest.disk.trim_matches('"'), documents.to_string_lossy());
        levels.push(newest.level);
        if round > 0 {
            assert!(newest.bytes < dumps[0].bytes / 4, "that is no incremental dump: {dumps:#?}");
        }
        let chain = vault.chain(&documents, None);
        for (how, by_amanda) in [("amrestore", true), ("zstd", false)] {
            let target = home.target(&format!("{how}-{round}"));
            if by_amanda {
                vault.amrestore(&chain, &target);
            } else {
                vault.restore(&chain, &target);
            }
            compare::assert_equal(&documents, &target, OURS);
            fs::remove_dir_all(&target).expect("ours");
        }
    }
    assert_eq!(levels, [0, 1, 1]);
    let left = vault.unfinished();
    assert!(left.is_empty(), "left lying: {left:?}");
    home.shim(&["verify", &vault.0.display().to_string()]).expect_code(0);
}

#[test]
fn the_readmes_first_command_makes_a_vault_of_roots() {
    a_vault_out_of_nothing(Whose::Root);
}

#[test]
fn the_readmes_first_command_makes_a_vault_of_anybodys() {
    a_vault_out_of_nothing(Whose::User);
}
