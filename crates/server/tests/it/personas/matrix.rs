//! What each persona can do to each relation, found by trying.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use super::fixture::{Persona, Subject, other_than, property};
use super::reach::Reach;
use super::relations::{FUNCTIONS, RELATIONS};
use super::trial::{Trial, sound_templates};
use super::tries::answer;

pub(super) struct Matrix {
    pub(super) personas: Vec<Persona>,
    pub(super) blocks: Vec<Block>,
    pub(super) functions: Vec<Answers>,
}

/// What a function answered, question by question, to each persona.
pub(super) struct Answers {
    pub(super) signature: &'static str,
    pub(super) questions: Vec<(&'static str, Vec<String>)>,
}

pub(super) struct Block {
    pub(super) subject: Subject,
    /// One a persona, in their order.
    pub(super) cells: Vec<Cell>,
}

#[derive(Default)]
pub(super) struct Cell {
    pub(super) read: Reach,
    pub(super) insert: Reach,
    pub(super) insert_columns: Vec<String>,
    /// What of each column can be changed.
    pub(super) update: BTreeMap<String, Reach>,
    pub(super) delete: Reach,
    pub(super) can_truncate: bool,
}

impl Cell {
    pub(super) fn writes_nothing(&self) -> bool {
        self.insert.is_none() && self.update.is_empty() && self.delete.is_none() && !self.can_truncate
    }
}

impl Matrix {
    /// Tries everything. The first persona is the visitor, who says what is public.
    pub(super) async fn of(client: &Client, personas: Vec<Persona>, subjects: Vec<Subject>) -> Matrix {
        let mut blocks = Vec::new();
        for subject in subjects {
            let sound = sound_templates(client, &subject).await;
            let mut cells: Vec<Cell> = Vec::new();
            for who in &personas {
                let public = cells.first().map(|visitor| visitor.read.rows.clone());
                let trial = Trial {
                    client,
                    who,
                    subject: &subject,
                    public: public.unwrap_or_default(),
                };
                cells.push(trial.cell(&sound).await);
            }
            blocks.push(Block { subject, cells });
        }
        let functions = functions(client, &personas).await;
        Matrix {
            personas,
            blocks,
            functions,
        }
    }
}

pub(super) async fn subjects(client: &Client) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for relation in RELATIONS {
        subjects.push(Subject::of(client, relation).await);
    }
    subjects
}

async fn functions(client: &Client, personas: &[Persona]) -> Vec<Answers> {
    let mut functions = Vec::new();
    for function in FUNCTIONS {
        let mut questions = Vec::new();
        for (asked, expression) in function.questions {
            let mut of_all = Vec::new();
            for who in personas {
                of_all.push(answer(client, who, &with_logins(expression, who)).await);
            }
            questions.push((*asked, of_all));
        }
        functions.push(Answers {
            signature: function.signature,
            questions,
        });
    }
    functions
}

/// Who has no login asks about null.
fn with_logins(expression: &str, who: &Persona) -> String {
    let me = who.login.map_or("null".to_owned(), |id| format!("'{id}'"));
    let other = format!("'{}'", other_than(who));
    let asked = expression.replace("{me}", &me).replace("{other}", &other);
    (1..=5).fold(asked, |asked, number| {
        asked.replace(&format!("{{{number}}}"), &format!("'{}'", property(number)))
    })
}
