//! `select=`: columns, aggregates, embeds, spreads.

use super::{Cursor, Field, ParseError, Parsed, field_name, is_name_letter, json_path};

/// How deep embeds may be nested: deeper, the statement alone would be a burden to the planner.
const DEPTH_MAX: usize = 32;

/// One item of `select=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectItem {
    /// All columns.
    Star,
    /// A column or an aggregate.
    Column(ColumnItem),
    /// A related row or rows under a key of their own.
    Embed(EmbedItem),
    /// The columns of a related row or rows among the parent's.
    Spread(EmbedItem),
}

/// A column, maybe renamed, cast, aggregated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnItem {
    /// What; `None` counts rows.
    pub field: Option<Field>,
    /// Its key in the answer.
    pub alias: Option<String>,
    /// To which type.
    pub cast: Option<String>,
    /// Over the group.
    pub aggregate: Option<Aggregate>,
    /// To which type after that.
    pub aggregate_cast: Option<String>,
}

/// An aggregate function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// `sum()`
    Sum,
    /// `avg()`
    Avg,
    /// `count()`
    Count,
    /// `max()`
    Max,
    /// `min()`
    Min,
}

impl Aggregate {
    const ALL: [Aggregate; 5] = [
        Aggregate::Sum,
        Aggregate::Avg,
        Aggregate::Count,
        Aggregate::Max,
        Aggregate::Min,
    ];

    /// Its name in SQL and in requests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Aggregate::Sum => "sum",
            Aggregate::Avg => "avg",
            Aggregate::Count => "count",
            Aggregate::Max => "max",
            Aggregate::Min => "min",
        }
    }
}

/// Whether rows without a match stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// They go.
    Inner,
    /// They stay.
    Left,
}

/// A related resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EmbedItem {
    /// Its name: a table, a constraint, a column, a function.
    pub relation: String,
    /// Its key in the answer.
    pub alias: Option<String>,
    /// Which of several relationships.
    pub hint: Option<String>,
    /// How it is joined.
    pub join: Option<Join>,
    /// What of it.
    pub items: Vec<SelectItem>,
}

/// Reads `select=`.
///
/// # Errors
/// When it does not follow the grammar.
pub fn select(text: &str) -> Result<Vec<SelectItem>, ParseError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut cursor = Cursor::of(text);
    cursor.finish(format!("failed to parse select parameter ({text})"), |cursor| {
        let items = items(cursor, 0)?;
        // PostgREST reads no further than a bracket that closes, which clients with one too many rely on.
        let read = text.strip_suffix(cursor.rest()).unwrap_or(text).trim_end();
        if read.ends_with(')') || cursor.looking_at(")") {
            cursor.take(cursor.rest());
        }
        Ok(items)
    })
}

fn items(cursor: &mut Cursor<'_>, depth: usize) -> Parsed<Vec<SelectItem>> {
    if depth > DEPTH_MAX {
        return cursor.unexpected("fewer levels of embedding");
    }
    let mut found = vec![item(cursor, depth)?];
    while cursor.take_lexeme(",") {
        found.push(item(cursor, depth)?);
    }
    cursor.skip_blanks();
    Ok(found)
}

fn item(cursor: &mut Cursor<'_>, depth: usize) -> Parsed<SelectItem> {
    cursor.skip_blanks();
    if cursor.take("...") {
        let relation = field_name(cursor)?;
        return Ok(SelectItem::Spread(embed(cursor, relation, None, depth)?));
    }
    if cursor.take("*") {
        return Ok(SelectItem::Star);
    }
    let mut name = field_name(cursor)?;
    let mut alias = None;
    if cursor.looking_at(":") && !cursor.looking_at("::") {
        cursor.take(":");
        alias = Some(std::mem::replace(&mut name, field_name(cursor)?));
    }
    if name == "count" && cursor.take("()") {
        let aggregate_cast = cast(cursor)?;
        return Ok(SelectItem::Column(ColumnItem {
            alias,
            aggregate: Some(Aggregate::Count),
            aggregate_cast,
            ..ColumnItem::default()
        }));
    }
    if cursor.looking_at("!") || cursor.looking_at("(") {
        return Ok(SelectItem::Embed(embed(cursor, name, alias, depth)?));
    }
    column(cursor, name, alias)
}

fn column(cursor: &mut Cursor<'_>, name: String, alias: Option<String>) -> Parsed<SelectItem> {
    let path = json_path(cursor)?;
    let first_cast = cast(cursor)?;
    let mut item = ColumnItem {
        field: Some(Field { name, path }),
        alias,
        cast: first_cast,
        ..ColumnItem::default()
    };
    if cursor.take(".") {
        let found = Aggregate::ALL
            .into_iter()
            .find(|aggregate| cursor.looking_at(&format!("{}()", aggregate.name())));
        let Some(aggregate) = found else {
            return cursor.unexpected_word("sum", "\"sum\", \"avg\", \"count\", \"max\" or \"min\"");
        };
        cursor.take(aggregate.name());
        cursor.take("()");
        item.aggregate = Some(aggregate);
        item.aggregate_cast = cast(cursor)?;
    }
    Ok(SelectItem::Column(item))
}

fn cast(cursor: &mut Cursor<'_>) -> Parsed<Option<String>> {
    if !cursor.take("::") {
        return Ok(None);
    }
    let mut name = cursor.take_while(is_name_letter).trim().to_owned();
    if name.is_empty() {
        return cursor.unexpected("a type");
    }
    while cursor.take("[]") {
        name.push_str("[]");
    }
    Ok(Some(name))
}

fn embed(cursor: &mut Cursor<'_>, relation: String, alias: Option<String>, depth: usize) -> Parsed<EmbedItem> {
    let mut item = EmbedItem {
        relation,
        alias,
        ..EmbedItem::default()
    };
    while cursor.take("!") {
        match field_name(cursor)?.as_str() {
            "inner" => item.join = Some(Join::Inner),
            "left" => item.join = Some(Join::Left),
            hint => item.hint = Some(hint.to_owned()),
        }
    }
    cursor.expect("(", "\"!\" or \"(\"")?;
    cursor.skip_blanks();
    if !cursor.looking_at(")") {
        item.items = items(cursor, depth + 1)?;
    }
    cursor.expect(")", "\",\" or \")\"")?;
    cursor.skip_blanks();
    Ok(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[SelectItem]) {
        assert_eq!(select(text).unwrap(), expect, "{text}");
    }

    fn plain(name: &str) -> ColumnItem {
        ColumnItem {
            field: Some(Field::column(name)),
            ..ColumnItem::default()
        }
    }

    #[test]
    fn what_the_grammar_takes() {
        check("", &[]);
        check("*", &[SelectItem::Star]);
        check(
            "id, name",
            &[SelectItem::Column(plain("id")), SelectItem::Column(plain("name"))],
        );
        check(
            "myId:id::text",
            &[SelectItem::Column(ColumnItem {
                alias: Some("myId".to_owned()),
                cast: Some("text".to_owned()),
                ..plain("id")
            })],
        );
        check(
            "amount.sum()::int,count()",
            &[
                SelectItem::Column(ColumnItem {
                    aggregate: Some(Aggregate::Sum),
                    aggregate_cast: Some("int".to_owned()),
                    ..plain("amount")
                }),
                SelectItem::Column(ColumnItem {
                    aggregate: Some(Aggregate::Count),
                    ..ColumnItem::default()
                }),
            ],
        );
        check(
            "c:clients!fk!inner(id),...tasks(),x(*)",
            &[
                SelectItem::Embed(EmbedItem {
                    relation: "clients".to_owned(),
                    alias: Some("c".to_owned()),
                    hint: Some("fk".to_owned()),
                    join: Some(Join::Inner),
                    items: vec![SelectItem::Column(plain("id"))],
                }),
                SelectItem::Spread(EmbedItem {
                    relation: "tasks".to_owned(),
                    ..EmbedItem::default()
                }),
                SelectItem::Embed(EmbedItem {
                    relation: "x".to_owned(),
                    items: vec![SelectItem::Star],
                    ..EmbedItem::default()
                }),
            ],
        );
    }

    #[test]
    fn what_it_refuses_and_where() {
        let check = |text: &str, column: usize, details: &str| {
            let error = select(text).unwrap_err();
            let message = format!("\"failed to parse select parameter ({text})\" (line 1, column {column})");
            assert_eq!((error.message, error.details), (message, details.to_owned()));
        };
        check("data->>--34", 9, "unexpected \"-\" expecting digit");
        check(
            "id,",
            4,
            "unexpected end of input expecting field name (* or [a..z0..9_$])",
        );
        check("a(b", 4, "unexpected end of input expecting \",\" or \")\"");
        check("id;", 3, "unexpected ';' expecting end of input");
        assert!(select(&"a(".repeat(100)).is_err(), "depth has an end");
    }
}
