//! Lists the SQL files that the program carries, so that a new file needs no second place to name it.
//!
//! `include_str!` does the embedding; this only writes the list: name and text, in order of the name.

#![allow(clippy::disallowed_methods)] // cargo speaks to a build script through the environment

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let crate_dir = env::var("CARGO_MANIFEST_DIR")?;
    let mut code = list("PLATFORM", &Path::new(&crate_dir).join("platform"))?;
    code += &list("MIGRATIONS", &Path::new(&crate_dir).join("../../supabase/migrations"))?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("sql_files.rs"), code)?;
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}

fn list(name: &str, folder: &Path) -> Result<String, Box<dyn Error>> {
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut code = format!("static {name}: &[SqlFile] = &[\n");
    for path in files {
        let file = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or("a file name that is not UTF-8")?;
        writeln!(
            code,
            "    SqlFile {{ name: {file:?}, text: include_str!({:?}) }},",
            path.display()
        )?;
    }
    Ok(code + "];\n")
}
