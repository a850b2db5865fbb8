//! Mails reach a mail server, and wait where it does not take them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use chrono::TimeDelta;
use nexus_mint::auth::mail::sending::{MailServer, remove_old, send_due};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::{Confirm, Desk, address};
use crate::world::World;

/// A mail server for one connection; gives back what it was told.
fn mail_server(takes: bool) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let answer = |text: &str| (&stream).write_all(format!("{text}\r\n").as_bytes()).unwrap();
        let (mut told, mut is_data) = (String::new(), false);
        answer("220 here");
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return told;
            }
            told.push_str(&line);
            if is_data {
                if line == ".\r\n" {
                    is_data = false;
                    answer("250 taken");
                }
                continue;
            }
            match line.get(..4).unwrap_or_default() {
                "RCPT" if !takes => answer("451 later"),
                "DATA" => {
                    is_data = true;
                    answer("354 go on");
                }
                "QUIT" => {
                    answer("221 bye");
                    return told;
                }
                _ => answer("250 fine"),
            }
        }
    });
    (port, told)
}

#[tokio::test]
async fn a_mail_is_sent_once_and_tried_again_where_it_was_not_taken() {
    let (port, told) = mail_server(true);
    let url = format!("smtp://127.0.0.1:{port}");
    let world = World::own_database().await;
    let desk = Desk::over(world, Confirm::ByMail, ("NEXUS_MINT_SMTP_URL", &url));
    let email = address();
    desk.sign_up(&email).await.ok();
    let (_, code, link) = desk.mail(&email).await;
    let server = MailServer::of(&desk.app).unwrap().unwrap();
    assert_eq!(send_due(&desk.app, &server, desk.now()).await.unwrap(), 1);
    assert_eq!(desk.mails_to(&email).await, 0, "it is gone from the outbox");
    drop(server);
    let told = told.join().unwrap();
    assert!(told.contains(&format!("RCPT TO:<{email}>")), "{told}");
    assert!(
        told.contains("From: \"Nexus Mint\" <no-reply@localhost>") && told.contains("Subject: Confirm your address"),
        "{told}"
    );
    assert!(
        told.contains("text/plain") && told.contains("text/html") && told.contains(&code),
        "{told}"
    );
    let plain = told.replace("=\r\n", "").replace("=3D", "=");
    assert!(plain.contains(&link), "{plain}");

    let (port, told) = mail_server(false);
    let url = format!("smtp://127.0.0.1:{port}");
    let again = Desk::over(
        World::own_database().await,
        Confirm::ByMail,
        ("NEXUS_MINT_SMTP_URL", &url),
    );
    again.sign_up(&email).await.ok();
    let server = MailServer::of(&again.app).unwrap().unwrap();
    assert_eq!(send_due(&again.app, &server, again.now()).await.unwrap(), 0);
    drop(server);
    told.join().unwrap();
    assert_eq!(again.mails_to(&email).await, 1, "it waits");
    again.advance(TimeDelta::hours(25));
    remove_old(&again.app, again.now()).await.unwrap();
    assert_eq!(again.mails_to(&email).await, 0, "nobody can use it any more");
}

/// A mail server with TLS: at once, or after `STARTTLS` where it says that it has that. Its certificate is for `localhost` and
/// 127.0.0.1, by an authority that only the tests know. Gives back what it was told under TLS.
async fn secret_server(starts: Starts) -> (u16, tokio::task::JoinHandle<String>) {
    let pem = include_bytes!("sending/server.pem");
    let certificate = CertificateDer::from_pem_slice(pem).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pem).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut plain = tokio::io::BufReader::new(stream);
        if starts != Starts::WithTls {
            plain.write_all(b"220 here\r\n").await.unwrap();
            loop {
                let mut line = String::new();
                if plain.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return String::from("left");
                }
                let begins_tls = line.starts_with("STARTTLS");
                let answer: &[u8] = match line.get(..4).unwrap_or_default() {
                    "EHLO" if starts == Starts::ByCommand => b"250-here\r\n250 STARTTLS\r\n",
                    "EHLO" => b"250 here\r\n",
                    "STAR" => b"220 go on\r\n",
                    "QUIT" => return String::from("left"),
                    other => panic!("in the clear: {other}"),
                };
                plain.write_all(answer).await.unwrap();
                if begins_tls {
                    break;
                }
            }
        }
        let Ok(stream) = acceptor.accept(plain.into_inner()).await else {
            return String::from("no TLS");
        };
        taken(stream, starts == Starts::WithTls).await
    });
    (port, told)
}

/// How TLS begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Starts {
    WithTls,
    ByCommand,
    Never,
}

async fn taken(stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>, greets: bool) -> String {
    let mut stream = tokio::io::BufReader::new(stream);
    if greets {
        stream.write_all(b"220 here\r\n").await.unwrap();
    }
    let (mut told, mut is_data) = (String::new(), false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return told;
        }
        told.push_str(&line);
        let answer: &[u8] = match line.get(..4).unwrap_or_default() {
            _ if is_data && line != ".\r\n" => continue,
            "EHLO" => b"250-here\r\n250 AUTH PLAIN LOGIN\r\n",
            "AUTH" => b"235 come in\r\n",
            "DATA" => b"354 go on\r\n",
            _ => b"250 fine\r\n",
        };
        is_data = line.starts_with("DATA");
        stream.write_all(answer).await.unwrap();
    }
}

/// Sends one mail to such a server: how many were sent, and what the server was told.
async fn sent_to(starts: Starts, url: &str, authority: &str) -> (usize, String) {
    let (port, told) = secret_server(starts).await;
    let url = url.replace("PORT", &port.to_string());
    let settings = [("NEXUS_MINT_SMTP_URL", url.as_str()), ("NEXUS_MINT_SMTP_CA", authority)];
    let desk = Desk::over_with(World::own_database().await, Confirm::ByMail, settings);
    desk.sign_up(&address()).await.ok();
    let server = MailServer::of(&desk.app).unwrap().unwrap();
    let sent = send_due(&desk.app, &server, desk.now()).await.unwrap();
    drop(server);
    (sent, told.await.unwrap())
}

#[tokio::test]
async fn mails_and_passwords_go_under_tls_to_the_server_that_was_meant_and_to_no_other() {
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/logins/sending/authority.pem");
    for (starts, url) in [
        (Starts::WithTls, "smtps://mint:hidden@localhost:PORT"),
        (Starts::ByCommand, "smtp://mint:hidden@localhost:PORT?tls=required"),
        (Starts::ByCommand, "smtp://mint:hidden@127.0.0.1:PORT?tls=required"),
    ] {
        let (sent, told) = sent_to(starts, url, authority).await;
        assert_eq!(sent, 1, "{url}");
        assert!(
            told.contains("AUTH PLAIN") && told.contains("Subject: Confirm your address"),
            "{told}"
        );
    }
    let (sent, told) = sent_to(
        Starts::Never,
        "smtp://mint:hidden@localhost:PORT?tls=required",
        authority,
    )
    .await;
    assert_eq!(
        (sent, told.as_str()),
        (0, "left"),
        "a server without TLS is told nothing"
    );
    // An authority that did not make the server's certificate: any other certificate.
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/logins/sending/another.pem");
    let (sent, told) = sent_to(Starts::WithTls, "smtps://mint:hidden@localhost:PORT", other).await;
    assert_eq!(
        (sent, told.as_str()),
        (0, "no TLS"),
        "somebody who is not the server learns nothing"
    );
}

#[tokio::test]
async fn mails_have_the_operators_words_and_headers_that_nobody_else_writes() {
    let folder = std::env::temp_dir().join(format!("nexus-mint-words-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("recovery.subject.txt"), "Mot de passe oublié").unwrap();
    std::fs::write(folder.join("recovery.txt"), "Voici: {{link}} ({{code}})\n").unwrap();
    let desk = Desk::with(Confirm::ByMail, ("NEXUS_MINT_MAIL_TEMPLATES", folder.to_str().unwrap())).await;
    let email = address();
    desk.sign_up(&email).await.ok();
    desk.advance(TimeDelta::minutes(2));
    desk.post("/recover", json!({ "email": email })).await.ok();
    let tx = desk.app.db.as_auth().await.unwrap();
    let mails = nexus_mint::auth::mail::waiting(&tx, Some(&email), 1).await.unwrap();
    assert_eq!(mails[0].subject, "Mot de passe oublié");
    assert!(
        mails[0]
            .text
            .starts_with("Voici: http://127.0.0.1:54321/auth/v1/verify?token="),
        "{}",
        mails[0].text
    );
    drop(tx);
    std::fs::remove_dir_all(&folder).unwrap();
    for wrong in [
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com\nSubject: x",
        "a\u{0}@example.com",
        "a@example.com\u{2028}Bcc: b@example.com",
    ] {
        for path in ["/recover", "/otp", "/magiclink", "/resend"] {
            let answer = desk.post(path, json!({ "email": wrong, "type": "signup" })).await;
            assert_eq!(answer.told(), (400, "validation_failed"), "{wrong:?} {path}");
        }
        let signed = desk
            .post(
                "/signup",
                json!({ "email": wrong, "password": "correct horse battery" }),
            )
            .await;
        assert_eq!(signed.told(), (400, "validation_failed"), "{wrong:?}");
    }
}
