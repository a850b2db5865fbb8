//! `/realtime/v1` through real sockets: who hears what, in one process and in several, and what happens when something breaks.

mod changes;
mod kills;
mod processes;
mod removals;
mod routes;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use nexus_mint::app::App;
use nexus_mint::auth::request::Peer;
use nexus_mint::request_line::Lenient;
use nexus_mint::router::router;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// A bound on a run that hangs; nothing waits for it to pass.
const HANGS: Duration = Duration::from_secs(60);

/// A server that listens.
pub(crate) struct Listening {
    app: App,
    address: std::net::SocketAddr,
    serving: tokio::task::JoinHandle<()>,
}

impl Listening {
    pub(crate) async fn over(app: &App) -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = app.clone();
        let service = router(app.clone()).into_make_service_with_connect_info::<Peer>();
        let serving = tokio::spawn(async move {
            axum::serve(Lenient(listener), service).await.unwrap();
        });
        Listening { app, address, serving }
    }

    pub(crate) fn url(&self, query: &str) -> String {
        format!("ws://{}/realtime/v1/websocket?{query}", self.address)
    }

    /// Connects with the visitors' key.
    pub(crate) async fn connect(&self) -> Talk {
        let url = self.url(&format!("vsn=2.0.0&apikey={}", self.app.keys.anon_key()));
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (socket, _) = client_async(url, stream).await.unwrap();
        Talk { socket }
    }

    /// Ends it as a process that is killed: its connections are gone, and it says goodbye to nobody.
    pub(crate) fn kill(self) {
        self.serving.abort();
        self.app.realtime.stop();
    }
}

/// A client.
pub(crate) struct Talk {
    socket: WebSocketStream<TcpStream>,
}

impl Talk {
    pub(crate) async fn send(&mut self, frame: Value) {
        self.socket.send(Message::Text(frame.to_string().into())).await.unwrap();
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        let next = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                    Some(Ok(Message::Close(frame))) => {
                        return json!({ "closed": frame.map(|frame| frame.reason.to_string()) });
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return json!({ "closed": null }),
                }
            }
        };
        tokio::time::timeout(HANGS, next).await.expect("something is said")
    }

    /// The payload of the next frame that is this event.
    pub(crate) async fn until(&mut self, event: &str) -> Value {
        loop {
            let frame = self.next().await;
            assert!(
                frame.get("closed").is_none(),
                "closed while {event} was waited for: {frame}"
            );
            if frame[3] == event {
                return frame[4].clone();
            }
        }
    }

    /// Joins `realtime:<name>`; gives the reply.
    pub(crate) async fn join(&mut self, name: &str, config: Value, token: Option<&str>) -> Value {
        let topic = format!("realtime:{name}");
        self.send(json!(["1", "1", topic, "phx_join", { "config": config, "access_token": token }]))
            .await;
        self.until("phx_reply").await
    }

    /// Follows the changes of a table, and waits until they are followed.
    pub(crate) async fn follow(&mut self, binding: Value, token: Option<&str>) -> Value {
        let name = uuid::Uuid::now_v7().to_string();
        let reply = self.join(&name, json!({ "postgres_changes": [binding] }), token).await;
        assert_eq!(reply["status"], "ok", "{reply}");
        self.until("system").await
    }

    /// The next change: kind, new row, old row.
    pub(crate) async fn change(&mut self) -> (String, Value, Value) {
        let payload = self.until("postgres_changes").await;
        let data = &payload["data"];
        (
            data["type"].as_str().unwrap().to_owned(),
            data["record"].clone(),
            data["old_record"].clone(),
        )
    }
}
