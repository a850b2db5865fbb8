//! Who is in the story. All of them are invented.

use std::sync::Arc;

use mint_core::role::Role;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::stage::{Player, Stage, at};
use crate::{
    auth::{
        email::Email,
        users::{self, NewUser},
    },
    db::{Actor, sql},
    problem::AnyError,
};

const FIRST: [&str; 25] = [
    "Ada", "Ben", "Chloe", "Dmitri", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kamala", "Liam", "Mei",
    "Noor", "Olga", "Pablo", "Qiu", "Rosa", "Sven", "Tara", "Umar", "Vera", "Wanda", "Ximena", "Yusuf",
];

const LAST: [&str; 20] = [
    "Abbott",
    "Bianchi",
    "Castillo",
    "Dubois",
    "Eriksen",
    "Fischer",
    "Gupta",
    "Haddad",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "Okafor",
    "Petrov",
    "Quinn",
    "Rossi",
    "Silva",
    "Tanaka",
];

/// Where the buyers live, in turn.
const COUNTRIES: [&str; 5] = ["US", "GB", "DE", "FR", "AE"];

/// Those who run the platform.
pub(super) struct Staff {
    pub(super) manager: Player,
    pub(super) officer: Player,
    pub(super) second_officer: Player,
    pub(super) admin: Player,
    pub(super) second_admin: Player,
}

async fn person(stage: &Stage, name: &str, address: &str, roles: &[Role]) -> Result<Player, AnyError> {
    let id = Uuid::now_v7();
    let email = format!("{address}@demo.example");
    let new = NewUser {
        id,
        email: Email::parse(&email)?,
        password_hash: stage.password_hash().to_owned(),
        name: Some(name.to_owned()),
    };
    let tx = stage.app.db.as_auth().await?;
    users::create(&tx, &new, stage.now()).await?;
    tx.commit().await?;
    let tx = stage.app.db.as_engine(Actor::Program("demo")).await?;
    for role in roles {
        users::grant(&tx, id, *role).await?;
    }
    tx.commit().await?;
    stage.sign_in(id, name.to_owned(), email).await
}

/// Makes those who run the platform.
pub(super) async fn staff(stage: &Stage) -> Result<Staff, AnyError> {
    Ok(Staff {
        manager: person(stage, "Margaret Manager", "manager", &[Role::PropertyManager]).await?,
        officer: person(stage, "Oscar Officer", "officer", &[Role::ComplianceOfficer]).await?,
        second_officer: person(stage, "Olivia Officer", "officer2", &[Role::ComplianceOfficer]).await?,
        admin: person(stage, "Amara Admin", "admin", &[Role::Admin]).await?,
        second_admin: person(stage, "Aldo Admin", "admin2", &[Role::Admin]).await?,
    })
}

/// Makes so many people who want to buy.
pub(super) async fn sign_up(stage: &Arc<Stage>, count: usize) -> Result<Vec<Player>, AnyError> {
    let many = FIRST
        .iter()
        .flat_map(|first| LAST.iter().map(move |last| (*first, *last)));
    stage
        .each(
            "signing up",
            many.take(count).collect(),
            async |stage, (first, last)| {
                let address = format!("{first}.{last}").to_lowercase();
                person(&stage, &format!("{first} {last}"), &address, &[]).await
            },
        )
        .await
}

/// Everybody is screened, files a document, and is approved.
pub(super) async fn verify(stage: &Arc<Stage>, staff: &Staff, people: &[Player]) -> Result<(), AnyError> {
    let officer = staff.officer.clone();
    let many = people.iter().cloned().enumerate().collect();
    stage
        .each("verifying", many, move |stage, (number, person): (usize, Player)| {
            let officer = officer.clone();
            let country = COUNTRIES.get(number % COUNTRIES.len()).unwrap_or(&"US");
            async move { verify_one(&stage, &officer, &person, country).await }
        })
        .await?;
    Ok(())
}

async fn verify_one(stage: &Stage, officer: &Player, person: &Player, country: &str) -> Result<(), AnyError> {
    let fields: Map<String, Value> = [("documentType", "passport"), ("fileName", "passport.pdf")]
        .map(|(field, value)| (field.to_owned(), json!(value)))
        .into_iter()
        .collect();
    let document = paper(&["Simulated passport", &person.name]);
    let filed = stage.filed(person, "upload-kyc-document", fields, document).await?;
    let body = json!({
        "action": "submit", "level": "basic", "documentIds": [at(&filed, "/document/id")],
        "submission": { "legalName": person.name },
    });
    let submitted = stage.done(person, "verify-kyc", body).await?;
    let case = at(&submitted, "/case/id");
    stage
        .done(officer, "verify-kyc", json!({ "action": "take", "caseId": case }))
        .await?;
    let body = json!({ "caseId": case, "reason": "to compare the passport with what was submitted" });
    let opened = stage.done(officer, "get-kyc-case", body).await?;
    let body = json!({ "partyId": at(&opened, "/case/partyId"), "status": "clear", "provider": "simulated" });
    stage.done(officer, "record-screening", body).await?;
    let body = json!({ "action": "approve", "caseId": case, "legalName": person.name, "country": country });
    stage.done(officer, "verify-kyc", body).await?;
    Ok(())
}

/// Somebody signs up once more, since the first login is lost, and is verified with the same name and country.
pub(super) async fn comes_back(stage: &Stage, staff: &Staff, lost: &Player) -> Result<Player, AnyError> {
    let address = lost.email.split('@').next().unwrap_or_default();
    let found = person(stage, &lost.name, &format!("{address}.again"), &[]).await?;
    let tx = stage.app.db.as_service(Actor::Program("demo")).await?;
    let text = sql!(
        "select p.residency_country from public.user_profiles as u join public.parties as p on p.id = u.party_id where u.id = $1"
    );
    let country: String = tx.query_one(text, &[&lost.id]).await?.try_get(0)?;
    tx.commit().await?;
    verify_one(stage, &staff.officer, &found, &country).await?;
    Ok(found)
}

/// Whom to look with afterwards.
pub(super) fn to_look_with(staff: &Staff, buyers: &[Player]) -> Vec<(String, &'static str)> {
    let mut people = vec![
        (staff.admin.email.clone(), "admin"),
        (staff.officer.email.clone(), "compliance officer"),
        (staff.manager.email.clone(), "manager of both houses"),
    ];
    people.extend(buyers.first().map(|buyer| (buyer.email.clone(), "buyer")));
    people
}

/// A page of PDF with these lines, which say that it is simulated.
pub(super) fn paper(lines: &[&str]) -> Vec<u8> {
    let mut text = String::from("BT /F1 18 Tf 72 720 Td 24 TL");
    for line in lines {
        let plain: String = line
            .chars()
            .filter(|letter| letter.is_ascii() && !matches!(letter, '(' | ')' | '\\'))
            .collect();
        text += &format!(" ({plain}) Tj T*");
    }
    text += " ET";
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut pdf = String::from("%PDF-1.4\n");
    let mut places = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        places.push(pdf.len());
        pdf += &format!("{number} 0 obj\n{object}\nendobj\n");
    }
    let table = pdf.len();
    pdf += &format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for place in places {
        pdf += &format!("{place:010} 00000 n \n");
    }
    pdf += &format!(
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n",
        objects.len() + 1
    );
    pdf.into_bytes()
}
