//! Properties: filed by whoever will manage them; members are added by an admin.

use mint_core::refusal::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    outbox,
    permission::{Admin, Person},
    problem::Problem,
};

/// Files a property. It is seen by nobody else until it is launched.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Create {
    title: String,
    description: Option<String>,
    property_type: Option<String>,
    location: Option<String>,
    address: Option<String>,
    city: Option<String>,
    state_province: Option<String>,
    country: Option<String>,
    postal_code: Option<String>,
    currency: Option<String>,
}

/// A property as it was filed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    success: bool,
    property_id: Uuid,
}

/// Files a property, whose owner in the sense of [`crate::permission::Manager`] the caller then is.
///
/// # Errors
/// Where the caller is no property manager, or a field does not fit.
pub async fn create(command: &Command, person: &Person, body: Create) -> Result<Created, Problem> {
    let person = person.property_manager()?;
    let id = Uuid::now_v7();
    let currency = body.currency.as_deref().unwrap_or("USD");
    let text = sql!(
        "insert into public.properties (id, title, description, property_type, location, address, city, state_province, country,
           postal_code, currency, currency_decimals, created_at)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, c.code, c.decimals, $12 from public.currencies as c where c.code = $11"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &id,
        &body.title,
        &body.description,
        &body.property_type,
        &body.location,
        &body.address,
        &body.city,
        &body.state_province,
        &body.country,
        &body.postal_code,
        &currency,
        &command.now,
    ];
    let invalid = |what: &str| Problem::Invalid(what.to_owned());
    let made = command
        .tx
        .execute(text, params)
        .await
        .on_constraint("properties_title_is_not_blank", || {
            invalid("title has 1 to 300 characters")
        })
        .on_constraint("properties_description_is_bounded", || {
            invalid("description has at most 20000 characters")
        })
        .on_constraint("properties_place_is_bounded", || {
            invalid("a part of the address is too long")
        })
        .on_constraint("properties_property_type_is_short", || {
            invalid("propertyType has at most 100 characters")
        })?;
    if made == 0 {
        return Err(invalid("currency is the code of one that is known here"));
    }
    let text = sql!("insert into public.property_members (property_id, user_id, capacity) values ($1, $2, 'owner')");
    command.tx.execute(text, &[&id, &person.user_id()]).await?;
    let told = json!({ "property_id": id, "user_id": person.user_id() });
    outbox::emit(command, "property.filed", &id.to_string(), &told).await?;
    Ok(Created {
        success: true,
        property_id: id,
    })
}

/// Lets somebody act for a property.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddMember {
    property_id: Uuid,
    user_id: Uuid,
    capacity: Capacity,
}

/// In what way.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capacity {
    /// Its sponsor.
    Owner,
    /// Runs it.
    Manager,
    /// Sees it.
    Agent,
}

/// A member as added.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Added {
    success: bool,
    member_id: Uuid,
}

/// Adds a member, or lets one whose membership ended act again.
///
/// # Errors
/// Where the admin would appoint himself, or there is no such property or login.
pub async fn add_member(command: &Command, admin: &Admin, body: AddMember) -> Result<Added, Problem> {
    let capacity = match body.capacity {
        Capacity::Owner => "owner",
        Capacity::Manager => "manager",
        Capacity::Agent => "agent",
    };
    let text = sql!("select nexus.is_same_party($1, $2)");
    if command
        .tx
        .query_one(text, &[&admin.user_id(), &body.user_id])
        .await?
        .try_get(0)?
    {
        return Err(Refusal::new("member.not_oneself", "nobody appoints himself", "another admin does it").into());
    }
    let text = sql!(
        "insert into public.property_members (property_id, user_id, capacity, added_by) values ($1, $2, $3, $4)
         on conflict on constraint property_members_once_a_capacity do update set is_active = true returning id"
    );
    let row = command
        .tx
        .query_one(text, &[&body.property_id, &body.user_id, &capacity, &admin.user_id()])
        .await
        .on_constraint("property_members_property_id_fkey", || Problem::NotFound)
        .on_constraint("property_members_user_id_fkey", || Problem::NotFound)?;
    let member_id: Uuid = row.try_get(0)?;
    let told = json!({ "property_id": body.property_id, "user_id": body.user_id, "capacity": capacity });
    outbox::emit(
        command,
        "property.member_added",
        &format!("{member_id}:{}", Uuid::now_v7()),
        &told,
    )
    .await?;
    Ok(Added {
        success: true,
        member_id,
    })
}
