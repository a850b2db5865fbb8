//! The matrix as a page to read and to compare.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::matrix::{Answers, Block, Cell, Matrix};
use super::reach::Reach;

/// A list of columns is turned round where few are left out.
const LEFT_OUT_MAX: usize = 6;

pub(super) const HEAD: &str = "\
Who can do what to which rows: every relation and function that clients can reach, tried by every persona on one fixture.
Written by a test; a change to this page is read like a change to the wall. What a persona's block does not name, he cannot.

  read     `select *` shows these rows
  insert   a row like these can be inserted; then the columns that can be given (column=caller: with the caller's id only)
  update   these rows can be changed; then the columns
  delete   these rows can be removed

  all            every row of the fixture
  public         rows that the visitor reads
  own, another's rows that belong to the persona, or to another person
  assigned       rows of properties that he acts for, as a property manager
  invested       rows of properties in which he holds tokens
  joined, made   rows of chat rooms that he is in, or made
  open           rows of chat rooms that everybody who is signed in may join
  listed         rows of active properties
  published, for verified   accepted documents for everybody, and for those whose identity is verified: of the personas
                 the investor's is
  issued         tokens that are more than a draft
  uploaded       files that he uploaded; climbing: under names like <his id>/../file; a property's: in a property's folder
  X and Y        rows that are both;  X + Y  rows that are one or the other
  N of no class  rows that no class explains
  N blindly      rows that a statement without WHERE reaches, though the persona cannot read them
";

impl Matrix {
    pub(super) fn page(&self) -> String {
        let names: Vec<&str> = self.personas.iter().map(|who| who.name).collect();
        let mut page = HEAD.to_owned();
        for block in &self.blocks {
            let _ = write!(page, "\n{}\n", block.subject.title());
            page.push_str(&grouped(
                &names,
                block.cells.iter().map(|cell| block.lines(cell)).collect(),
            ));
        }
        for Answers { signature, questions } in &self.functions {
            let _ = write!(page, "\n{signature}\n");
            let answers = (0..names.len()).map(|at| {
                let lines = questions
                    .iter()
                    .map(|(asked, answers)| format!("{asked}: {}", answers[at]));
                lines.collect::<Vec<_>>()
            });
            page.push_str(&grouped(&names, answers.collect()));
        }
        page
    }
}

/// Personas of whom the same is true stand together.
fn grouped(names: &[&str], lines: Vec<Vec<String>>) -> String {
    let mut groups: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
    for (name, lines) in names.iter().zip(lines) {
        match groups.iter_mut().find(|(_, known)| *known == lines) {
            Some((together, _)) => together.push(name),
            None => groups.push((vec![name], lines)),
        }
    }
    let mut text = String::new();
    for (together, lines) in groups {
        let together = together.join(", ");
        if lines.is_empty() {
            let _ = writeln!(text, "  {together}: nothing");
            continue;
        }
        let _ = writeln!(text, "  {together}");
        for line in lines {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

impl Block {
    /// The relation and what the persona of this number can do to it.
    pub(super) fn text_of(&self, persona: usize) -> String {
        let lines = self.lines(&self.cells[persona]).into_iter();
        let lines = lines.map(|line| format!("  {line}\n"));
        format!("{}\n{}", self.subject.title(), lines.collect::<String>())
    }

    /// What a persona can do, a line an operation.
    fn lines(&self, cell: &Cell) -> Vec<String> {
        let mut lines = Vec::new();
        if !cell.read.is_none() {
            lines.push(format!("read {}", cell.read));
        }
        if !cell.insert.is_none() {
            lines.push(format!(
                "insert {} ({})",
                cell.insert,
                self.listed(&cell.insert_columns)
            ));
        }
        let mut updates: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for column in &self.subject.columns {
            if let Some(reach) = cell.update.get(&column.name).map(Reach::to_string) {
                updates.entry(reach).or_default().push(column.name.clone());
            }
        }
        for (reach, columns) in updates {
            lines.push(format!("update {reach} ({})", self.listed(&columns)));
        }
        if !cell.delete.is_none() {
            lines.push(format!("delete {}", cell.delete));
        }
        if cell.can_truncate {
            lines.push("truncate".to_owned());
        }
        lines
    }

    fn listed(&self, columns: &[String]) -> String {
        let has = |name: &str| columns.iter().any(|column| column.split('=').next() == Some(name));
        let all = self.subject.columns.iter().map(|column| column.name.as_str());
        let left_out: Vec<&str> = all.filter(|name| !has(name)).collect();
        let is_bound = columns.iter().any(|column| column.contains('='));
        if is_bound || left_out.len() > LEFT_OUT_MAX || left_out.len() >= columns.len() {
            columns.join(" ")
        } else if left_out.is_empty() {
            "every column".to_owned()
        } else {
            format!("every column but {}", left_out.join(" "))
        }
    }
}
