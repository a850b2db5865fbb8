//! A house with people around it, as the evidence side's tests need it.

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::site::{Signed, Site};

pub(crate) struct House {
    pub(crate) id: Uuid,
    pub(crate) manager: Signed,
    pub(crate) officer: Signed,
    pub(crate) admin: Signed,
}

/// What a launch needs.
pub(crate) const EVIDENCE: [&str; 4] = ["deed", "insurance", "appraisal", "entity_papers"];

impl House {
    pub(crate) async fn new(site: &Site) -> House {
        let manager = site.person(&["property_manager"]).await;
        let officer = site.person(&["compliance_officer"]).await;
        let admin = site.person(&["admin"]).await;
        let sql = "with made as (insert into public.properties (title, city, country) values ('A house', 'Seattle', 'US') returning id)
                   insert into public.property_members (property_id, user_id, capacity) select id, $1, 'manager' from made returning property_id";
        let row = site.world.admin().await.query_one(sql, &[&manager.id]).await.unwrap();
        House {
            id: row.get(0),
            manager,
            officer,
            admin,
        }
    }

    /// Files a document, by the manager: its id.
    pub(crate) async fn file(&self, site: &Site, kind: &str, fields: &[(&str, &str)]) -> Uuid {
        let property = self.id.to_string();
        let common = [
            ("propertyId", property.as_str()),
            ("documentType", kind),
            ("documentName", kind),
        ];
        let content = [b"%PDF-1.7 ".as_slice(), Uuid::now_v7().as_bytes()].concat();
        let fields = [&common, fields].concat();
        let (status, answer) = site.upload(&self.manager, "upload-document", &fields, &content).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        id_of(&answer["document"]["id"])
    }

    pub(crate) async fn accept(&self, site: &Site, document: Uuid) {
        let body = json!({ "documentId": document, "decision": "accepted" });
        site.done(&self.officer, "review-document", body).await;
    }

    /// Files and accepts a document.
    pub(crate) async fn evidence(&self, site: &Site, kind: &str, fields: &[(&str, &str)]) -> Uuid {
        let document = self.file(site, kind, fields).await;
        self.accept(site, document).await;
        document
    }

    /// Everything that a launch needs, until two years from the site's beginning.
    pub(crate) async fn all_evidence(&self, site: &Site) {
        for kind in EVIDENCE {
            self.evidence(
                site,
                kind,
                &[("issuedOn", "2030-01-05"), ("expiresAt", "2032-03-17T00:00:00Z")],
            )
            .await;
        }
    }
}

pub(crate) fn id_of(value: &Value) -> Uuid {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("{value} is no id"))
}
