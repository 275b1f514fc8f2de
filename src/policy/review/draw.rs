//! Findings, drawn by miette: the line they are about, what is meant marked, and what to write instead.
//!
//! miette is given one line and its number, never the file: a finding outlives the text, and a line of a megabyte is cut.

use std::fmt::{self, Write};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents,
};

use super::super::diagnostics::{Finding, Severity};

/// How findings are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// ASCII without colour: the same everywhere.
    Plain,
    /// Unicode and colour.
    Terminal,
}

/// The findings, one after another with an empty line between them, each ending with a line break.
#[must_use]
pub fn draw<'f>(findings: impl IntoIterator<Item = &'f Finding>, look: Look) -> String {
    let theme = match look {
        Look::Plain => GraphicalTheme::none(),
        Look::Terminal => GraphicalTheme::unicode(),
    };
    // Nothing is wrapped: a terminal does that, and a pipe wants each message on a line.
    let handler = GraphicalReportHandler::new_themed(theme).with_wrap_lines(false).with_links(false).with_context_lines(1);
    let mut drawn = String::new();
    for finding in findings {
        if !drawn.is_empty() {
            drawn.push('\n');
        }
        if finding.line == 0 {
            // About the file as a whole: there is no line to draw.
            let help = finding.help.as_ref().map_or_else(String::new, |help| format!("\n  help: {help}"));
            let _ = writeln!(drawn, "  {}: {}{help}", finding.file, finding.message);
            continue;
        }
        let mut one = String::new();
        if handler.render_report(&mut one, finding).is_err() {
            one = format!("  {}:{}:{}: {}", finding.file, finding.line, finding.column, finding.message);
        }
        one.lines().for_each(|line| drawn = std::mem::take(&mut drawn) + line.trim_end() + "\n");
    }
    drawn
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Finding {}

impl Diagnostic for Finding {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(None, self.marked()))))
    }
}

impl Finding {
    /// The bytes of `source_line` that the finding is about.
    fn marked(&self) -> SourceSpan {
        let byte = |nth: usize| self.source_line.char_indices().nth(nth).map_or(self.source_line.len(), |(byte, _)| byte);
        let (caret, width) = (usize::from(self.caret), usize::from(self.width));
        let from = byte(caret);
        (from, byte(caret + width) - from).into()
    }
}

/// The one line, under its own number. miette asks with lines of context for the drawing, and without for the heading.
impl SourceCode for Finding {
    fn read_span<'a>(&'a self, _: &SourceSpan, before: usize, _: usize) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let line = (self.line as usize).saturating_sub(1);
        let column = if before == 0 { (self.column as usize).saturating_sub(1) } else { 0 };
        let whole = (0, self.source_line.len()).into();
        Ok(Box::new(MietteSpanContents::new_named(self.file.clone(), self.source_line.as_bytes(), whole, line, column, 1)))
    }
}
