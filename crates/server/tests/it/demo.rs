//! The demo, told to a test: fewer buyers, the same story.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use nexus_mint::demo::{self, Teller};

use crate::laws;
use crate::site::Site;
use crate::world::World;

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_demo_tells_the_whole_story_and_every_law_holds() {
    let site = Site::over(World::own_database().await);
    demo::check_empty(&site.app.db).await.unwrap();
    let heard = Heard::default();
    let mut teller = Teller::new(Box::new(heard.clone()), site.app.db.clone());
    let told = demo::tell(&site.app, &mut teller, 25, &site.world.admin().await)
        .await
        .unwrap();
    assert!(told.people.iter().any(|(email, _)| email == "admin@demo.example"));
    laws::hold(&site.world).await;
    let text = String::from_utf8(heard.0.lock().unwrap().clone()).unwrap();
    for step in [
        "24 holders have",
        "withdraws within the day",
        "2 people get back every cent",
        "each is paid once",
        "sells two tokens",
        "lost the login",
        "1 disposal",
        "everything agrees",
        "every law holds",
    ] {
        assert!(text.contains(step), "{step:?} is missing in\n{text}");
    }
    let again = demo::check_empty(&site.app.db).await.unwrap_err().to_string();
    assert!(again.contains("one of its own"), "{again}");
}
