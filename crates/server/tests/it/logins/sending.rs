//! Mails reach a mail server, and wait where it does not take them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use chrono::TimeDelta;
use nexus_mint::auth::mail::sending::{MailServer, remove_old, send_due};

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
