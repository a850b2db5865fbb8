//! Columns, paths into them, and what they are held against.

use super::Statement;
use crate::{
    grammar::{
        Field, Operand,
        filter::{Condition, Operator, Quantifier, Search, Test},
    },
    name::{literal, quoted},
    schema::{Column, Schema},
};

/// `"alias"."column"` with its path.
pub(super) fn expression(alias: &str, field: &Field, column: Option<&Column>) -> String {
    let plain = format!("{}.{}", quoted(alias), quoted(&field.name));
    if field.path.is_empty() {
        return plain;
    }
    let is_json = column.is_some_and(|column| matches!(column.base_type.as_str(), "json" | "jsonb"));
    let mut text = if is_json { plain } else { format!("to_jsonb({plain})") };
    for step in &field.path {
        text.push_str(if step.as_text { "->>" } else { "->" });
        match &step.to {
            Operand::Index(index) => {
                text.push('(');
                text.push_str(index);
                text.push(')');
            }
            Operand::Key(key) => text.push_str(&literal(key)),
        }
    }
    text
}

/// A condition on an expression.
pub(super) fn condition(
    sql: &mut Statement,
    schema: &Schema,
    expression: &str,
    has_path: bool,
    column: Option<&Column>,
    condition: &Condition,
) {
    let column = column.filter(|_| !has_path);
    // A pattern is no value of the domain, and what is told apart is compared as it is stored.
    let is_value = match &condition.test {
        Test::Compare(Operator::Like | Operator::Ilike, ..) | Test::IsDistinct(_) | Test::Is(_) | Test::Search(..) => {
            false
        }
        Test::Compare(..) | Test::In(_) => true,
    };
    let reads = column
        .filter(|_| is_value)
        .and_then(|column| schema.representation("text", &column.type_name));
    // A value of a domain with a representation of its own is read by its function.
    let value = |sql: &mut Statement, text: &str| match reads {
        Some(function) => {
            sql.push(&function.quoted());
            sql.push("(");
            sql.bind(text);
            sql.push("::text)");
        }
        None => sql.bind(text),
    };
    if condition.negated {
        sql.push("NOT ");
    }
    sql.push("(");
    match &condition.test {
        Test::Compare(operator, quantifier, text) => {
            let text = if operator.is_pattern() {
                text.replace('*', "%")
            } else {
                text.clone()
            };
            compare(sql, expression, *operator, *quantifier, &text, &value);
        }
        Test::In(values) => {
            sql.push(expression);
            sql.push(" = ANY (");
            match reads {
                Some(function) => {
                    sql.push("ARRAY(SELECT ");
                    sql.push(&function.quoted());
                    sql.push("(pgrst_value) FROM unnest(");
                    sql.bind(&array(values));
                    sql.push("::text[]) AS pgrst_value)");
                }
                None => sql.bind(&array(values)),
            }
            sql.push(")");
        }
        Test::Is(is) => {
            sql.push(expression);
            sql.push(" IS ");
            sql.push(is.sql());
        }
        Test::IsDistinct(text) => {
            sql.push(expression);
            sql.push(" IS DISTINCT FROM ");
            value(sql, text);
        }
        Test::Search(search, config, text) => {
            let is_vector = column.is_none_or(|column| column.base_type == "tsvector") && !has_path;
            searched(sql, expression, is_vector, *search, config.as_deref(), text);
        }
    }
    sql.push(")");
}

fn compare(
    sql: &mut Statement,
    expression: &str,
    operator: Operator,
    quantifier: Option<Quantifier>,
    text: &str,
    value: &dyn Fn(&mut Statement, &str),
) {
    sql.push(expression);
    sql.push(" ");
    sql.push(operator.sql());
    sql.push(" ");
    match quantifier {
        None => value(sql, text),
        Some(quantifier) => {
            sql.push(match quantifier {
                Quantifier::Any => "ANY (",
                Quantifier::All => "ALL (",
            });
            sql.bind(text);
            sql.push(")");
        }
    }
}

fn searched(sql: &mut Statement, expression: &str, is_vector: bool, search: Search, config: Option<&str>, text: &str) {
    let config = |sql: &mut Statement| {
        if let Some(config) = config {
            sql.bind(config);
            sql.push("::regconfig, ");
        }
    };
    if is_vector {
        sql.push(expression);
    } else {
        sql.push("to_tsvector(");
        config(sql);
        sql.push(expression);
        sql.push(")");
    }
    sql.push(" @@ ");
    sql.push(search.function());
    sql.push("(");
    config(sql);
    sql.bind(text);
    sql.push(")");
}

/// An array literal of texts.
pub(super) fn array(values: &[String]) -> String {
    let mut text = String::from("{");
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push('"');
        for letter in value.chars() {
            if matches!(letter, '"' | '\\') {
                text.push('\\');
            }
            text.push(letter);
        }
        text.push('"');
    }
    text.push('}');
    text
}

/// A type's name where a column is declared of it: the two whose plain names mean one letter or one bit.
pub(super) fn declarable(type_name: &str) -> String {
    match type_name {
        "character" => "bpchar".to_owned(),
        "character[]" => "bpchar[]".to_owned(),
        "bit" => "\"bit\"".to_owned(),
        "bit[]" => "\"bit\"[]".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::Step;

    #[test]
    fn no_value_reaches_the_text() {
        let evil = "x'; drop table t; --";
        let mut sql = Statement::default();
        let test = Test::Compare(Operator::Eq, None, evil.to_owned());
        condition(
            &mut sql,
            &Schema::default(),
            "\"t\".\"c\"",
            false,
            None,
            &Condition { negated: true, test },
        );
        assert_eq!(sql.text, "NOT (\"t\".\"c\" = $1)");
        assert_eq!(sql.binds, [Some(evil.to_owned())]);
        assert_eq!(array(&["a\"b\\".to_owned(), "c".to_owned()]), r#"{"a\"b\\","c"}"#);
    }

    #[test]
    fn paths() {
        let step = |as_text, to| Step { as_text, to };
        let field = Field {
            name: "d".to_owned(),
            path: vec![
                step(false, Operand::Key("a'b".to_owned())),
                step(true, Operand::Index("-1".to_owned())),
            ],
        };
        let json = Column {
            base_type: "jsonb".to_owned(),
            ..Column::default()
        };
        assert_eq!(expression("t", &field, Some(&json)), r#""t"."d"->'a''b'->>(-1)"#);
        assert_eq!(expression("t", &field, None), r#"to_jsonb("t"."d")->'a''b'->>(-1)"#);
    }
}
