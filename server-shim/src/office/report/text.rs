//! A report in words and tables: what amreport prints, in its order.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::dumps::Row;
use super::{Left, Report};

/// Prints a report.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    head(report, &mut text);
    volumes(report, &mut text);
    section("FAILURE DUMP SUMMARY", &report.failures, &mut text);
    section("STRANGE DUMP SUMMARY", &report.strange, &mut text);
    statistics(report, &mut text);
    used(report, &mut text);
    section("FAILED DUMP DETAILS", &report.details.failed, &mut text);
    section("STRANGE DUMP DETAILS", &report.details.strange, &mut text);
    section("NOTES", &report.notes, &mut text);
    dumps(report, &mut text);
    text
}

fn head(report: &Report, text: &mut String) {
    if !report.ending.finished {
        text.push_str("*** THE DUMPS DID NOT FINISH PROPERLY!\n\n");
    }
    let date = report.date();
    for (name, value) in [("Hostname", &report.hostname), ("Org", &report.org), ("Config", &report.config), ("Date", &date)] {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<8}: {value}");
        }
    }
    text.push('\n');
}

fn volumes(report: &Report, text: &mut String) {
    for (storage, labels) in &report.tapes_of {
        let to = if report.several { format!(" to storage '{storage}'") } else { String::new() };
        let done = match (report.flush, report.vault) {
            (true, _) => format!("The dumps{to} were flushed"),
            (_, true) => format!("The dumps{to} were vaulted"),
            _ => format!("These dumps{to} were"),
        };
        let tapes = if labels.len() > 1 { "tapes" } else { "tape" };
        let _ = writeln!(text, "{done} to {tapes} {}.", labels.join(", "));
    }
    match &report.no_tape {
        Some((true, why)) => drop(writeln!(text, "Not using all tapes because {}.", why.trim_matches(['[', ']']))),
        Some((false, why)) => drop(writeln!(text, "*** A TAPE ERROR OCCURRED: {why}.")),
        None => {}
    }
    match report.left {
        Left::Unknown | Left::Nothing => {}
        Left::Perhaps => text.push_str("Some dumps may have been left in the holding disk.\n\n"),
        Left::NothingLeft => text.push_str("No dumps are left in the holding disk.\n"),
        Left::Kib(kb) => {
            let size = format!("{:.0}{}", kb as f64 / report.unit_kb.max(1) as f64, report.unit);
            let next = if report.autoflush { "They will be flushed on the next run." } else { "Run amflush to flush them to tape." };
            let _ = writeln!(text, "There are {size} of dumps left in the holding disk.\n{next}");
        }
    }
    next(report, text);
}

fn next(report: &Report, text: &mut String) {
    let Some(wanted) = &report.wanted else { return };
    let new = |count: usize| format!("{count} new tape{}", if count > 1 { "s" } else { "" });
    let (mut told, mut fresh) = (Vec::new(), 0);
    for volume in &wanted.volumes {
        match volume {
            None => fresh += 1,
            Some(label) => {
                told.extend((fresh > 0).then(|| new(fresh)));
                told.push(label.clone());
                fresh = 0;
            }
        }
    }
    told.extend((fresh > 0).then(|| new(fresh)));
    match wanted.volumes.len() {
        0 => {}
        1 => drop(writeln!(text, "The next tape Amanda expects to use is: {}.", told.join(", "))),
        count => drop(writeln!(text, "The next {count} tapes Amanda expects to use are: {}.", told.join(", "))),
    }
    match &wanted.labelled[..] {
        [] => {}
        [label] => drop(writeln!(text, "The next new tape already labelled is: {label}.")),
        labels => drop(writeln!(text, "The next {} new tapes already labelled are: {}.", labels.len(), labels.join(", "))),
    }
}

fn section(title: &str, lines: &[String], text: &mut String) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}:");
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

/// A table without lines around it, its first columns on the left and all others on the right.
pub fn table(header: &[&str], left: usize) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header.iter().map(ToString::to_string).collect::<Vec<_>>());
    for (at, column) in table.column_iter_mut().enumerate() {
        let padding = (if at == 0 { 0 } else { 1 }, 1);
        column.set_padding(padding);
        if at >= left {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Prints a table, without the blanks at the ends of its lines.
pub fn lines(table: &Table, text: &mut String) {
    for line in table.lines() {
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn statistics(report: &Report, text: &mut String) {
    text.push_str("\nSTATISTICS:\n");
    let mut table = table(&["", "Total", "Full", "Incr.", "Level:#"], 1);
    for row in report.statistics.rows() {
        table.add_row(row);
    }
    lines(&table, text);
}

fn used(report: &Report, text: &mut String) {
    if report.used.is_empty() {
        return;
    }
    text.push_str("\nUSAGE BY TAPE:\n");
    let mut table = table(&["Label", "Time", "Size", "%", "DLEs", "Parts"], 1);
    for used in &report.used {
        let (dles, parts) = (used.dles.to_string(), used.parts.to_string());
        table.add_row([used.label.as_str(), &used.time, &used.size, &used.percent, &dles, &parts]);
    }
    lines(&table, text);
}

fn dumps(report: &Report, text: &mut String) {
    let (orig, out) = (format!("ORIG-{}B", report.unit), format!("OUT-{}B", report.unit));
    text.push_str("\nDUMP SUMMARY:\n");
    let header = ["HOSTNAME", "DISK", "L", &orig, &out, "COMP%", "DUMP-M:SS", "DUMP-KB/s", "TAPE-M:SS", "TAPE-KB/s", ""];
    let mut table = table(&header, 2);
    for row in &report.dumps {
        table.add_row(cells(row));
    }
    lines(&table, text);
}

fn cells(row: &Row) -> [String; 11] {
    let instead = row.instead.map(str::to_owned);
    [
        row.host.clone(),
        row.disk.clone(),
        row.level.clone(),
        row.orig.clone(),
        row.out.clone(),
        row.compressed.clone(),
        instead.unwrap_or_else(|| row.dump_time.clone()),
        row.dump_rate.clone(),
        row.tape_time.clone(),
        row.tape_rate.clone(),
        if row.partial { "PARTIAL".to_owned() } else { String::new() },
    ]
}
