use super::*;

/// An empty folder of this test's own.
pub(crate) fn scratch_folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("nexus-mint-unit-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn flags<const N: usize>(values: [(&'static str, &str); N]) -> Flags {
    Flags {
        values: values.into_iter().map(|(key, value)| (key, value.to_owned())).collect(),
        dev_keys: false,
        demo: false,
    }
}

fn folder_with(name: &str, toml: &str) -> String {
    let folder = scratch_folder(name);
    fs::write(folder.join(FILE_NAME), toml).unwrap();
    folder.to_str().unwrap().to_owned()
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let folder = folder_with("precedence", "listen = \"127.0.0.1:3\"\nlog = \"debug\"\n");
    let port = |flags: &Flags, environment: &Environment| Settings::load(flags, environment).unwrap().listen.port();
    let file_only = flags([("data_dir", &folder)]);
    let environment = Environment::of([("NEXUS_MINT_LISTEN", "127.0.0.1:2"), ("NEXUS_MINT_SITE_URL", "")]);
    assert_eq!(
        port(&flags([("data_dir", &folder), ("listen", "127.0.0.1:1")]), &environment),
        1
    );
    assert_eq!(port(&file_only, &environment), 2);
    assert_eq!(port(&file_only, &Environment::default()), 3);
    let elsewhere = scratch_folder("precedence-none");
    assert_eq!(
        port(
            &flags([("data_dir", elsewhere.to_str().unwrap())]),
            &Environment::default()
        ),
        54321
    );
}

#[test]
fn each_value_says_where_it_came_from_and_no_secret_is_shown() {
    let folder = folder_with(
        "sources",
        "mail_autoconfirm = true\nredirect_urls = [\"http://a/*\", \"http://b\"]\n",
    );
    let environment = Environment::of([
        ("NEXUS_MINT_JWT_SECRET", "0123456789012345678901234567890123"),
        ("DATABASE_URL", "postgres://me:hunter2@db/mint"),
    ]);
    let settings = Settings::load(&flags([("data_dir", &folder)]), &environment).unwrap();
    assert_eq!(settings.redirect_urls, ["http://a/*", "http://b"]);
    let row = |key: &str| settings.in_force.iter().find(|row| row.spec.key == key).unwrap();
    assert_eq!(row("jwt_secret").from, Source::Environment("NEXUS_MINT_JWT_SECRET"));
    assert_eq!(row("jwt_secret").shown, "[secret]");
    assert_eq!(row("database_url").shown, "me@db:5432/mint");
    assert_eq!(
        row("mail_autoconfirm").from.to_string(),
        format!("{folder}/nexus-mint.toml")
    );
    assert_eq!(row("listen").from, Source::Default);
    let everything = format!("{settings:?}");
    assert!(
        !everything.contains("hunter2") && !everything.contains("012345678901"),
        "{everything}"
    );
}

#[test]
fn a_wrong_value_names_setting_source_and_expectation() {
    let folder = scratch_folder("wrong");
    let given = flags([("data_dir", folder.to_str().unwrap())]);
    for (name, value, expected) in [
        (
            "NEXUS_MINT_LISTEN",
            "localhost",
            "listen (from environment NEXUS_MINT_LISTEN): expected an IP address",
        ),
        (
            "NEXUS_MINT_PUBLIC_URL",
            "mint.example",
            "expected a URL such as https://mint.example",
        ),
        (
            "NEXUS_MINT_JWT_SECRET",
            "short",
            "expected at least 32 characters, and not 5",
        ),
        ("NEXUS_MINT_FILE_KEY", "short", "expected 32 bytes in base64"),
        ("NEXUS_MINT_SEAL_KEY", "short", "expected 32 bytes in base64"),
        ("NEXUS_MINT_MAIL_AUTOCONFIRM", "maybe", "expected true or false"),
        ("NEXUS_MINT_SMTP_URL", "http://x", "expected a URL such as smtp://"),
        ("NEXUS_MINT_LOG", "nexus=loud", "expected error, warn, info"),
        ("DATABASE_URL", "mysql://x", "expected a URL such as postgres://"),
    ] {
        let error = Settings::load(&given, &Environment::of([(name, value)]))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_unknown_key_in_the_file_is_an_error() {
    for (name, toml) in [
        ("unknown", "listn = \"127.0.0.1:3\""),
        ("unknown-dir", "data_dir = \"/x\""),
    ] {
        let folder = folder_with(name, toml);
        let error = Settings::load(&flags([("data_dir", &folder)]), &Environment::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("unknown setting") && error.contains("listen"), "{error}");
    }
}

#[test]
fn dev_keys_are_for_loopback_and_bring_their_own_secret() {
    let folder = scratch_folder("dev-keys");
    let with = |values: Flags, environment| {
        Settings::load(
            &Flags {
                dev_keys: true,
                ..values
            },
            &environment,
        )
    };
    let here = || flags([("data_dir", folder.to_str().unwrap())]);
    let open = flags([("data_dir", folder.to_str().unwrap()), ("listen", "0.0.0.0:1")]);
    assert!(
        with(open, Environment::default())
            .unwrap_err()
            .to_string()
            .contains("loopback")
    );
    let secret = Environment::of([("NEXUS_MINT_JWT_SECRET", "0123456789012345678901234567890123")]);
    assert!(with(here(), secret).unwrap_err().to_string().contains("jwt_secret"));
    let config = with(here(), Environment::default()).unwrap().into_config().unwrap();
    assert_eq!(config.jwt_secret.expose(), DEV_JWT_SECRET);
}

#[test]
fn a_server_that_was_told_everything_needs_no_data_folder() {
    let folder = scratch_folder("told-everything").join("absent");
    let environment = Environment::of([
        ("DATABASE_URL", "postgres://me@db/mint"),
        ("NEXUS_MINT_JWT_SECRET", "0123456789012345678901234567890123"),
        ("NEXUS_MINT_FILE_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("NEXUS_MINT_SEAL_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ]);
    Settings::load(&flags([("data_dir", folder.to_str().unwrap())]), &environment)
        .unwrap()
        .into_config()
        .unwrap();
    assert!(!folder.exists());
}

#[test]
fn any_address_is_reached_through_loopback() {
    assert_eq!(
        BaseUrl::of_address("0.0.0.0:80".parse().unwrap()).as_str(),
        "http://127.0.0.1:80"
    );
    assert_eq!(
        BaseUrl::of_address("[::]:80".parse().unwrap()).as_str(),
        "http://[::1]:80"
    );
}
