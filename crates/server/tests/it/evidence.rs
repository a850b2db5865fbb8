//! Evidence: filed with its bytes by the manager, reviewed by somebody else, read by few and never unseen.

use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{House, id_of};
use crate::site::Site;

const DEED: &[u8] = b"%PDF-1.7 the deed of a house";

async fn file(site: &Site, house: &House, fields: &[(&str, &str)], content: &[u8]) -> (StatusCode, Value) {
    let property = house.id.to_string();
    let common = [
        ("propertyId", property.as_str()),
        ("documentType", "deed"),
        ("documentName", "Deed"),
    ];
    site.upload(&house.manager, "upload-document", &[&common, fields].concat(), content)
        .await
}

#[tokio::test]
async fn what_is_filed_is_what_its_bytes_say() {
    let site = Site::new().await;
    let house = House::new(&site).await;
    let fields = [
        ("issuedOn", "2030-01-02"),
        ("isPublic", "false"),
        ("sha256", "00"),
        ("reviewStatus", "accepted"),
    ];
    let (status, answer) = file(&site, &house, &fields, DEED).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let document = &answer["document"];
    assert_eq!(
        document["file_type"], "application/pdf",
        "and not text/html, as the client said"
    );
    assert_eq!(document["file_size"], DEED.len());
    let digest = nexus_mint::files::sealed::digest_of(DEED);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(document["sha256"], digest);
    assert_eq!(document["review_status"], "pending", "whatever the client wished");

    let admin = site.world.admin().await;
    let told =
        "select count(*) from nexus.outbox_events where topic = 'document.filed' and dedupe_key = $1 and actor_id = $2";
    let id = id_of(&document["id"]);
    let count: i64 = admin
        .query_one(told, &[&id.to_string(), &house.manager.id])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 1);
    let trail = "select count(*) from public.audit_log where table_name = 'public.property_documents' and row_key = $1 and actor_id = $2";
    let count: i64 = admin
        .query_one(trail, &[&id.to_string(), &house.manager.id])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 1);
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let site = Site::new().await;
    let house = House::new(&site).await;
    for (fields, content, status, said) in [
        (
            &[][..],
            &b"<script>alert(1)</script>"[..],
            StatusCode::CONFLICT,
            "files.kind",
        ),
        (
            &[("documentType", "letter")],
            DEED,
            StatusCode::BAD_REQUEST,
            "documentType is one of",
        ),
        (&[("documentName", " ")], DEED, StatusCode::BAD_REQUEST, "documentName"),
        (
            &[("isPublic", "perhaps")],
            DEED,
            StatusCode::BAD_REQUEST,
            "true or false",
        ),
        (&[], b"", StatusCode::BAD_REQUEST, "empty"),
        (
            &[("issuedOn", "2030-01-02"), ("expiresAt", "2029-01-01T00:00:00Z")],
            DEED,
            StatusCode::BAD_REQUEST,
            "expiresAt",
        ),
    ] {
        let (found, answer) = file(&site, &house, fields, content).await;
        assert_eq!(found, status, "{said}: {answer}");
        assert!(answer.to_string().contains(said), "{said}: {answer}");
    }
    let property = house.id.to_string();
    let fields = [
        ("propertyId", property.as_str()),
        ("documentType", "deed"),
        ("documentName", "Deed"),
    ];
    for (roles, status) in [
        (&[][..], StatusCode::FORBIDDEN),
        (&["property_manager"], StatusCode::NOT_FOUND),
    ] {
        let stranger = site.person(roles).await;
        let (found, answer) = site.upload(&stranger, "upload-document", &fields, DEED).await;
        assert_eq!(found, status, "{answer}");
    }
}

#[tokio::test]
async fn a_retry_files_nothing_twice() {
    let site = Site::new().await;
    let house = House::new(&site).await;
    let send = async |border: &str, content: &str| {
        let mut form = String::new();
        for (name, value) in [
            ("propertyId", house.id.to_string().as_str()),
            ("documentType", "deed"),
            ("documentName", "Deed"),
        ] {
            form += &format!("--{border}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        form += &format!(
            "--{border}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n{content}\r\n--{border}--\r\n"
        );
        let request = Request::post("/functions/v1/upload-document")
            .header("content-type", format!("multipart/form-data; boundary={border}"))
            .header("idempotency-key", "the deed");
        let (status, _, body) = site.send(Some(&house.manager), request, form).await;
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let first = send("one", "%PDF-1 a").await;
    assert_eq!(first.0, StatusCode::OK, "{}", first.1);
    assert_eq!(
        send("other", "%PDF-1 a").await,
        first,
        "another border is the same form"
    );
    assert_eq!(send("one", "%PDF-1 b").await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn large_files_have_a_route_of_their_own() {
    let site = Site::new().await;
    let house = House::new(&site).await;
    let mut content = DEED.to_vec();
    content.resize(3 * 1024 * 1024, b'x');
    let (status, answer) = file(&site, &house, &[], &content).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    content.resize(51 * 1024 * 1024, b'x');
    assert_eq!(
        file(&site, &house, &[], &content).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn content_is_read_by_those_who_may_and_each_read_is_noted() {
    let site = Site::new().await;
    let house = House::new(&site).await;
    let (_, answer) = file(&site, &house, &[("isPublic", "true")], DEED).await;
    let id = id_of(&answer["document"]["id"]);
    let read = async |who, range: Option<&str>| {
        let mut request = Request::get(format!("/functions/v1/document-content/{id}"));
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let (status, headers, body) = site.send(who, request, "").await;
        let told = headers
            .get("content-range")
            .map(|value| value.to_str().unwrap().to_owned());
        (status.as_u16(), told, body)
    };
    let investor = site.person(&[]).await;
    let stranger = site.person(&["property_manager"]).await;
    assert_eq!(read(Some(&house.officer), None).await, (200, None, DEED.to_vec()));
    let part = read(Some(&house.manager), Some("bytes=9-11")).await;
    assert_eq!(part, (206, Some(format!("bytes 9-11/{}", DEED.len())), b"the".to_vec()));
    assert_eq!(read(Some(&house.manager), Some("bytes=900-")).await.0, 416);
    for who in [&investor, &stranger] {
        assert_eq!(read(Some(who), None).await.0, 404, "it is not there for them");
    }
    assert_eq!(read(None, None).await.0, 401);

    let admin = site.world.admin().await;
    let note = "select reader_id from public.file_reads where object_name = $1 order by id::text = '', read_at, reader_id = $2";
    let name = format!("{}/{id}", house.id);
    let readers: Vec<Uuid> = admin
        .query(note, &[&name, &house.manager.id])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(readers, [house.officer.id, house.manager.id, house.manager.id]);

    // Published, it is everybody's who may see the house, and nobody is noted.
    house.accept(&site, id).await;
    assert_eq!(read(Some(&investor), None).await.0, 404, "the house is not public yet");
    admin
        .execute(
            "update public.properties set is_active = true where id = $1",
            &[&house.id],
        )
        .await
        .unwrap();
    assert_eq!(read(Some(&investor), None).await.0, 200);
    let count = admin.query(note, &[&name, &house.manager.id]).await.unwrap().len();
    assert_eq!(count, 3);
}

#[tokio::test]
async fn nobody_reviews_what_they_filed_and_decisions_follow_their_order() {
    let site = Site::new().await;
    let house = House::new(&site).await;
    let document = house.file(&site, "deed", &[]).await;
    let review = |decision: &str, reason: Option<&str>| json!({ "documentId": document, "decision": decision, "reason": reason });

    let (status, answer) = site
        .call(&house.manager, "review-document", review("accepted", None))
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
    // The manager becomes an officer too, and then lets another login of his do it.
    let admin = site.world.admin().await;
    let twin = site.person(&["compliance_officer"]).await;
    admin
        .execute(
            "insert into public.user_role_assignments (user_id, role) values ($1, 'compliance_officer')",
            &[&house.manager.id],
        )
        .await
        .unwrap();
    let same = "update public.user_profiles set party_id = (select party_id from public.user_profiles where id = $1) where id = $2";
    admin.execute(same, &[&house.manager.id, &twin.id]).await.unwrap();
    for who in [&house.manager, &twin] {
        let (rule, _) = site.refused(who, "review-document", review("accepted", None)).await;
        assert_eq!(rule, "review.four_eyes");
    }
    let (rule, _) = site
        .refused(&house.officer, "review-document", review("revoked", Some("x")))
        .await;
    assert_eq!(rule, "review.order");
    let (status, _) = site
        .call(&house.officer, "review-document", review("rejected", None))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a rejection says why");
    site.done(&house.officer, "review-document", review("accepted", None))
        .await;
    site.done(
        &house.officer,
        "review-document",
        review("revoked", Some("the registry says no")),
    )
    .await;
    let (rule, answer) = site
        .refused(&house.officer, "review-document", review("accepted", None))
        .await;
    assert_eq!(rule, "review.order");
    assert!(answer["remedy"].as_str().unwrap().contains("new version"));
    let late = house
        .file(&site, "insurance", &[("expiresAt", "2030-03-17T17:46:40Z")])
        .await;
    let (rule, _) = site
        .refused(
            &house.officer,
            "review-document",
            json!({ "documentId": late, "decision": "accepted" }),
        )
        .await;
    assert_eq!(rule, "review.current", "it ends at this very instant");
}
