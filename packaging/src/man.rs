//! A manual page: what clap knows of a command line, and the sections that it does not know.
//!
//! All subcommands stand on their program's own page, since a page for each would hold three lines.

use std::io;

use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use crate::words::{Item, Words};

/// Makes the page of a program.
pub fn page(command: Command, section: &str, words: &Words) -> io::Result<Vec<u8>> {
    let mut command = command;
    command.build();
    let man = Man::new(command.clone()).section(section).source(concat!("asyncamanda ", env!("CARGO_PKG_VERSION"))).manual("asyncamanda");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis(command.get_name(), &words.synopsis).to_writer(&mut page)?;
    let mut description = Roff::new();
    description.control("SH", ["DESCRIPTION"]);
    for paragraph in &words.description {
        description.control("PP", []).text([roman(*paragraph)]);
    }
    description.to_writer(&mut page)?;
    commands(&command)?.to_writer(&mut page)?;
    man.render_options_section(&mut page)?;
    for (title, items) in [("EXIT STATUS", &words.exit_status), ("ENVIRONMENT", &words.environment), ("FILES", &words.files)] {
        list(title, items).to_writer(&mut page)?;
    }
    examples(&words.examples).to_writer(&mut page)?;
    let mut see_also = Roff::new();
    see_also.control("SH", ["SEE ALSO"]).text([roman(words.see_also)]);
    see_also.to_writer(&mut page)?;
    Ok(page)
}

/// clap's own synopsis names every option and no command.
fn synopsis(name: &str, lines: &[&str]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    for line in lines {
        roff.control("PP", []).text([bold(name), roman(" "), roman(*line)]);
    }
    roff
}

/// Lists the subcommands with their own arguments; what is global stands under OPTIONS.
fn commands(command: &Command) -> io::Result<Roff> {
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    // Those of one group stand beside the others, with the group's name before their own.
    let all = shown.flat_map(|sub| {
        let nested: Vec<_> = sub.get_subcommands().filter(|nested| nested.get_name() != "help").map(|nested| (Some(sub), nested)).collect();
        if nested.is_empty() { vec![(None, sub)] } else { nested }
    });
    for (group, sub) in all {
        let own: Vec<&Arg> =
            sub.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_global_set() && arg.get_id() != "help").collect();
        let mut usage: Vec<Inline> = group.iter().flat_map(|group| [bold(group.get_name()), roman(" ")]).collect();
        usage.push(bold(sub.get_name()));
        for arg in &own {
            usage.push(roman(" "));
            usage.append(&mut short(arg));
        }
        roff.control("TP", []).text(usage);
        let about = sub.get_long_about().or_else(|| sub.get_about()).map(ToString::to_string).unwrap_or_default();
        let mut first = true;
        for paragraph in about.split("\n\n") {
            if !first {
                roff.control("IP", []);
            }
            first = false;
            roff.text([roman(sentence(&paragraph.replace('\n', " ")))]);
        }
        for arg in own {
            let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
            let mut line = short(arg);
            line.push(roman(format!(": {}.", help.trim_end_matches('.').replace('\n', " "))));
            roff.control("IP", []).text(line);
        }
    }
    Ok(roff)
}

/// Returns an argument as it stands in a synopsis.
fn short(arg: &Arg) -> Vec<Inline> {
    let name = || {
        arg.get_value_names().and_then(|names| names.first()).map_or_else(|| arg.get_id().to_string().to_uppercase(), ToString::to_string)
    };
    let takes_value = arg.get_action().takes_values();
    let mut inlines = match arg.get_long() {
        Some(long) if takes_value => vec![bold(format!("--{long}")), roman(" "), italic(name())],
        Some(long) => vec![bold(format!("--{long}"))],
        None if arg.get_num_args().is_some_and(|count| count.max_values() > 1) => vec![italic(name()), roman("...")],
        None => vec![italic(name())],
    };
    if !arg.is_required_set() {
        inlines.insert(0, roman("["));
        inlines.push(roman("]"));
    }
    inlines
}

fn sentence(text: &str) -> String {
    if text.ends_with(['.', '…', ':']) { text.to_owned() } else { format!("{text}.") }
}

fn list(title: &str, items: &[Item]) -> Roff {
    let mut roff = Roff::new();
    if items.is_empty() {
        return roff;
    }
    roff.control("SH", [title]);
    for (name, text) in items {
        roff.control("TP", []).text([bold(name.as_str())]).text([roman(*text)]);
    }
    roff
}

fn examples(examples: &[(&str, &str)]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    for (why, lines) in examples {
        roff.control("PP", []).text([roman(*why)]);
        roff.control("PP", []).control("RS", ["4"]).control("nf", []);
        for line in lines.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []).control("RE", []);
    }
    roff
}
