//! Lists: one level of folders by number (`/object/list`), and pages by cursor (`/object/list-v2`), which cost the same
//! wherever they begin. By name the database walks its index (`nexus_storage.list_objects`); other orders look at everything below
//! the prefix.

use axum::{Json, body::Bytes};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_postgres::{Row, types::Json as Jsonb};

use super::{
    asked::{Asked, InBucket},
    links::json_of,
    refusal::Refusal,
};
use crate::db::{like, sql};

/// Entries where no other number is asked for.
const LISTED: i32 = 100;
/// Entries of a page (storage-api: 1000).
const PAGE_MAX: i32 = 1_000;
/// Entries of a level, with those that are passed over.
const REACH_MAX: i32 = 100_000;
const PREFIX_MAX: usize = 1_024;

#[derive(Deserialize)]
struct Order {
    column: Option<String>,
    order: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Updated,
    Created,
    Accessed,
}

impl Column {
    fn parse(text: &str) -> Result<Column, Refusal> {
        match text {
            "name" => Ok(Column::Name),
            "updated_at" => Ok(Column::Updated),
            "created_at" => Ok(Column::Created),
            "last_accessed_at" => Ok(Column::Accessed),
            _ => Err(Refusal::Invalid(
                "body/sortBy/column must be name, updated_at, created_at or last_accessed_at".to_owned(),
            )),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Column::Name => "name",
            Column::Updated => "updated_at",
            Column::Created => "created_at",
            Column::Accessed => "last_accessed_at",
        }
    }
}

fn order_of(order: Option<Order>) -> Result<(Column, bool), Refusal> {
    let Some(Order { column, order }) = order else {
        return Ok((Column::Name, false));
    };
    let is_descending = match order.unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "asc" => false,
        "desc" => true,
        _ => return Err(Refusal::Invalid("body/sortBy/order must be asc or desc".to_owned())),
    };
    Ok((Column::parse(column.as_deref().unwrap_or("name"))?, is_descending))
}

fn check_prefix(prefix: &str) -> Result<(), Refusal> {
    if prefix.len() > PREFIX_MAX || prefix.contains('\0') {
        return Err(Refusal::Invalid("body/prefix is too long".to_owned()));
    }
    Ok(())
}

struct Entry {
    /// From the bucket's root on; a folder's ends with a slash.
    name: String,
    id: Option<uuid::Uuid>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    last_accessed_at: Option<DateTime<Utc>>,
    metadata: Option<Value>,
}

impl Entry {
    fn of(row: &Row) -> Result<Entry, Refusal> {
        Ok(Entry {
            name: row.try_get(0)?,
            id: row.try_get(1)?,
            created_at: row.try_get(2)?,
            updated_at: row.try_get(3)?,
            last_accessed_at: row.try_get(4)?,
            metadata: row.try_get::<_, Option<Jsonb<Value>>>(5)?.map(|found| found.0),
        })
    }

    fn told(&self, name: &str) -> Value {
        json!({
            "name": name,
            "id": self.id,
            "updated_at": self.updated_at,
            "created_at": self.created_at,
            "last_accessed_at": self.last_accessed_at,
            "metadata": self.metadata,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Level {
    #[serde(default)]
    prefix: String,
    limit: Option<i32>,
    offset: Option<i32>,
    sort_by: Option<Order>,
    search: Option<String>,
}

pub(super) async fn level(asked: Asked, InBucket(bucket): InBucket, body: Bytes) -> Result<Json<Value>, Refusal> {
    let wish: Level = json_of(&body)?;
    check_prefix(&wish.prefix)?;
    // The prefix is a folder, however it is written.
    let search = wish.search.as_deref().unwrap_or_default().trim_start_matches('/');
    // What is searched for may lie in folders below it.
    let (below, search) = search.rsplit_once('/').unwrap_or(("", search));
    let parts = [wish.prefix.trim_matches('/'), below];
    let folder: String = parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| format!("{part}/"))
        .collect();
    let (column, is_descending) = order_of(wish.sort_by)?;
    let (limit, offset) = (wish.limit.unwrap_or(LISTED), wish.offset.unwrap_or(0));
    if limit < 0 || offset < 0 || limit.saturating_add(offset) > REACH_MAX {
        return Err(Refusal::Invalid(format!(
            "body/limit and body/offset are at most {REACH_MAX} together: use list-v2 for more"
        )));
    }
    let search = like(search);
    let tx = asked.begin("storage.object.list").await?;
    let rows = if column == Column::Name {
        let text = sql!(
            "select name, id, created_at, updated_at, last_accessed_at, metadata
             from nexus_storage.list_objects($1, $2, null, $3, $4, true, $5) offset $6"
        );
        let (reach, offset) = (limit + offset, i64::from(offset));
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&bucket.as_str(), &folder, &reach, &search, &is_descending, &offset];
        tx.query(text, params).await?
    } else {
        let text = sql!(
            "with entries as (
               select split_part(substr(o.name, length($2) + 1), '/', 1) as part, strpos(substr(o.name, length($2) + 1), '/') > 0 as is_folder, o.*
               from storage.objects as o
               where o.bucket_id = $1 and o.name collate \"C\" >= $2 collate \"C\" and o.name collate \"C\" < $2 || chr(1114111) collate \"C\"
             ), listed as (
               select distinct $2 || part || '/' as name, null::uuid as id, null::timestamptz as created_at, null::timestamptz as updated_at,
                      null::timestamptz as last_accessed_at, null::jsonb as metadata, part from entries where is_folder
               union all
               select name, id, created_at, updated_at, last_accessed_at, metadata, part from entries where not is_folder
             )
             select name, id, created_at, updated_at, last_accessed_at, metadata from listed where part ilike $3 || '%'
             order by id is not null,
               case when not $5 then case $4 when 'created_at' then created_at when 'updated_at' then updated_at else last_accessed_at end end,
               case when $5 then case $4 when 'created_at' then created_at when 'updated_at' then updated_at else last_accessed_at end end desc,
               part collate \"C\"
             limit $6 offset $7"
        );
        let (limit, offset) = (i64::from(limit), i64::from(offset));
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
            &bucket.as_str(),
            &folder,
            &search,
            &column.name(),
            &is_descending,
            &limit,
            &offset,
        ];
        tx.query(text, params).await?
    };
    let listed: Result<Vec<Value>, Refusal> = rows
        .iter()
        .map(|row| {
            let entry = Entry::of(row)?;
            let name = entry.name.strip_prefix(&folder).unwrap_or(&entry.name);
            Ok(entry.told(name.trim_end_matches('/')))
        })
        .collect();
    Ok(Json(Value::Array(listed?)))
}

#[derive(Deserialize)]
struct Pages {
    #[serde(default)]
    prefix: String,
    limit: Option<i32>,
    cursor: Option<String>,
    #[serde(default)]
    with_delimiter: bool,
    #[serde(rename = "sortBy")]
    sort_by: Option<Order>,
}

/// Where a page ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// The last name.
    n: String,
    /// Its instant, where the order is one of instants.
    #[serde(skip_serializing_if = "Option::is_none")]
    t: Option<DateTime<Utc>>,
}

impl Cursor {
    fn parse(text: &str) -> Result<Cursor, Refusal> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let cursor = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        cursor.ok_or_else(|| Refusal::Invalid("body/cursor is none of ours".to_owned()))
    }

    fn told(&self) -> String {
        URL_SAFE_NO_PAD.encode(json!(self).to_string())
    }
}

pub(super) async fn pages(asked: Asked, InBucket(bucket): InBucket, body: Bytes) -> Result<Json<Value>, Refusal> {
    let wish: Pages = json_of(&body)?;
    check_prefix(&wish.prefix)?;
    let limit = wish.limit.unwrap_or(PAGE_MAX);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Refusal::Invalid(format!("body/limit must be >= 1 and <= {PAGE_MAX}")));
    }
    let (column, is_descending) = order_of(wish.sort_by)?;
    let cursor = wish.cursor.as_deref().filter(|cursor| !cursor.is_empty());
    let cursor = cursor.map(Cursor::parse).transpose()?;
    let after = cursor.as_ref().map(|cursor| cursor.n.as_str());
    let tx = asked.begin("storage.object.list_v2").await?;
    // One more tells whether there is a next page.
    let wanted = limit + 1;
    let rows = if column == Column::Name {
        let text = sql!(
            "select name, id, created_at, updated_at, last_accessed_at, metadata
             from nexus_storage.list_objects($1, $2, $3, $4, '', $5, $6)"
        );
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
            &bucket.as_str(),
            &wish.prefix,
            &after,
            &wanted,
            &wish.with_delimiter,
            &is_descending,
        ];
        tx.query(text, params).await?
    } else {
        // A folder has no instant: folders come first, by name, and a cursor without an instant stands at one of them.
        let text = sql!(
            "with found as (
               select o.name, o.id, o.created_at, o.updated_at, o.last_accessed_at, o.metadata,
                      case $3 when 'created_at' then o.created_at when 'updated_at' then o.updated_at else o.last_accessed_at end as at,
                      case when $8 then strpos(substr(o.name, length($2) + 1), '/') else 0 end as folder
               from storage.objects as o
               where o.bucket_id = $1 and o.name collate \"C\" >= $2 collate \"C\" and o.name collate \"C\" < $2 || chr(1114111) collate \"C\"
             ), listed as (
               select distinct substr(name, 1, length($2) + folder) as name, null::uuid as id, null::timestamptz as created_at,
                      null::timestamptz as updated_at, null::timestamptz as last_accessed_at, null::jsonb as metadata, null::timestamptz as at
               from found where folder > 0
               union all
               select name, id, created_at, updated_at, last_accessed_at, metadata, at from found where folder = 0
             )
             select name, id, created_at, updated_at, last_accessed_at, metadata from listed
             where $6::text is null
                or case when $5::timestamptz is null then id is not null or name collate \"C\" > $6 collate \"C\"
                        when id is null then false
                        when $4 then (at, name collate \"C\") < ($5, $6 collate \"C\")
                        else (at, name collate \"C\") > ($5, $6 collate \"C\") end
             order by id is not null, case when id is null then name collate \"C\" end,
               case when not $4 then at end, case when $4 then at end desc, case when not $4 then name collate \"C\" end,
               case when $4 then name collate \"C\" end desc
             limit $7"
        );
        let instant = cursor.as_ref().and_then(|cursor| cursor.t);
        let wanted = i64::from(wanted);
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
            &bucket.as_str(),
            &wish.prefix,
            &column.name(),
            &is_descending,
            &instant,
            &after,
            &wanted,
            &wish.with_delimiter,
        ];
        tx.query(text, params).await?
    };
    let entries: Result<Vec<Entry>, Refusal> = rows.iter().map(Entry::of).collect();
    Ok(Json(page(&entries?, usize::try_from(limit).unwrap_or(0), column)))
}

fn page(entries: &[Entry], limit: usize, column: Column) -> Value {
    let has_next = entries.len() > limit;
    let shown = entries.get(..limit).unwrap_or(entries);
    let (mut folders, mut objects) = (Vec::new(), Vec::new());
    for entry in shown {
        let mut told = entry.told(&entry.name);
        if let Some(fields) = told.as_object_mut() {
            // A folder's key has no slash behind it, and its name has.
            fields.insert("key".to_owned(), entry.name.trim_end_matches('/').into());
        }
        if entry.id.is_some() {
            objects.push(told);
        } else {
            folders.push(told);
        }
    }
    let mut page = Map::new();
    page.insert("hasNext".to_owned(), has_next.into());
    page.insert("folders".to_owned(), folders.into());
    page.insert("objects".to_owned(), objects.into());
    if let Some(last) = shown.last().filter(|_| has_next) {
        let t = match column {
            Column::Name => None,
            Column::Updated => last.updated_at,
            Column::Created => last.created_at,
            Column::Accessed => last.last_accessed_at,
        };
        let cursor = Cursor {
            n: last.name.clone(),
            t,
        };
        page.insert("nextCursor".to_owned(), cursor.told().into());
        page.insert("nextCursorKey".to_owned(), last.name.as_str().into());
    }
    Value::Object(page)
}
