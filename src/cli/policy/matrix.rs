//! `opsgate policy matrix`: who may call what.

use std::path::PathBuf;

use opsgate_tools::tool::Class;
use owo_colors::OwoColorize;

use super::{Failure, bad, exit, load, out};
use crate::catalogue;
use crate::home::Settings;
use crate::policy::{Matrix, May, Policy};

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// The file [default: the policy the gateway would use]
    file: Option<PathBuf>,
    /// Only this caller, or those that this glob names; may be given several times
    #[arg(long, value_name = "CALLER")]
    caller: Vec<String>,
    /// Print the matrix as JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the matrix as Markdown, for a file that is kept
    #[arg(long)]
    markdown: bool,
}

/// As many columns as this are filled.
const WIDTH: usize = 100;

pub(super) fn run(settings: &Settings, args: &Args) -> Result<u8, Failure> {
    let catalogue = catalogue::catalogue().map_err(bad)?;
    let policy = load(settings, args.file.as_deref(), &catalogue)?;
    // A glob may name callers of several kinds.
    let is_spelt = |caller: &&String| caller.split_once(':').is_some_and(|(issuer, _)| !issuer.contains(['*', '?', '[', '{']));
    if let Some(problem) = args.caller.iter().filter(is_spelt).find_map(|caller| Policy::no_issuer(caller)) {
        return Err(Failure::new(exit::USAGE, problem));
    }
    let matrix = policy.matrix(&args.caller).map_err(bad)?;
    if matrix.callers.is_empty() {
        let asked = args.caller.iter().map(|caller| format!("`{caller}`")).collect::<Vec<_>>().join(", ");
        return Err(Failure::new(exit::USAGE, format!("no caller of the policy is named by {asked}; its entries are under `callers`")));
    }
    // What was not tried may be otherwise.
    let code = if matrix.partial { exit::FINDING } else { exit::OK };
    if args.json {
        out::json(&matrix);
    } else if args.markdown {
        out::say(for_markdown(matrix).markdown().trim_end());
    } else {
        show(&matrix);
    }
    Ok(code)
}

/// With the texts of the policy's writer as Markdown shows them. A caller's name is code, where nothing but a backtick ends it.
fn for_markdown(mut matrix: Matrix) -> Matrix {
    matrix.callers.iter_mut().for_each(|column| column.caller = column.caller.replace('`', "'"));
    let cells = matrix.tools.iter_mut().flat_map(|row| &mut row.cells);
    cells.flat_map(|cell| &mut cell.denials).for_each(|reason| reason.because = out::markdown(&reason.because));
    for says in &mut matrix.rules {
        says.name = says.name.replace('`', "'");
        for (key, words) in &mut says.keys {
            words.iter_mut().for_each(|word| *word = if key == "because" { out::markdown(word) } else { word.replace('`', "'") });
        }
    }
    matrix
}

fn show(matrix: &Matrix) {
    let notes = matrix.notes();
    let texts: Vec<Vec<String>> = matrix.tools.iter().map(|row| row.cells.iter().map(|cell| Matrix::text(cell, &notes)).collect()).collect();
    let tool = matrix.tools.iter().map(|row| row.tool.len()).max().unwrap_or_default() + 2;
    let first = 2 + tool + 7;
    let widths: Vec<usize> = matrix
        .callers
        .iter()
        .enumerate()
        .map(|(place, column)| {
            let cells = texts.iter().filter_map(|row| row.get(place)).map(|text| text.chars().count());
            cells.chain([column.caller.chars().count()]).max().unwrap_or_default() + 2
        })
        .collect();
    // Callers that do not fit beside each other come in a table of their own.
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut used = WIDTH;
    for (place, width) in widths.iter().enumerate() {
        match groups.last_mut().filter(|_| used + width <= WIDTH) {
            Some(group) => {
                used += width;
                group.push(place);
            }
            None => {
                used = first + width;
                groups.push(vec![place]);
            }
        }
    }
    for group in groups {
        // The cells are padded here: a table counts colours as text.
        let padded = |text: &str, place: usize| {
            let width = if group.last() == Some(&place) { 0 } else { widths.get(place).copied().unwrap_or_default() };
            format!("{text:<width$}")
        };
        let head = group.iter().filter_map(|place| Some(padded(&matrix.callers.get(*place)?.caller, *place)));
        out::say(format!("{:first$}{}", "tool", head.collect::<String>()).trim_end());
        let mut system = "";
        for (row, texts) in matrix.tools.iter().zip(&texts) {
            if system != row.system {
                system = &row.system;
                out::say(format!("{}: {}", system.bold(), row.mode.unwrap_or("not listed")));
            }
            let class = if row.class == Class::Read { "read" } else { "write" };
            let cells = group.iter().filter_map(|place| Some(coloured(row.cells.get(*place)?.may, &padded(texts.get(*place)?, *place))));
            out::say(format!("  {:tool$}{class:<7}{}", row.tool, cells.collect::<String>()).trim_end());
        }
        out::say("");
    }
    notes.iter().zip(1..).for_each(|(note, number)| out::say(format!("[{number}] {note}")));
    if !matrix.rules.is_empty() {
        out::say(format!("{}:", "rules and other entries".bold()));
        matrix.rules.iter().for_each(|one| out::say(format!("  {}", one.sentence())));
    }
    if matrix.partial {
        out::say("there were too many combinations to try them all: a cell may be otherwise with arguments that were not tried");
    }
}

fn coloured(may: May, text: &str) -> String {
    match may {
        May::Yes => text.green().to_string(),
        May::Some | May::SomeAndApproval => text.yellow().to_string(),
        May::Approval | May::SomeApproval => text.cyan().to_string(),
        May::No => text.dimmed().to_string(),
    }
}
