//! Builds the web phone (`control/phone`) into `OUT_DIR` and writes the table of its files, which
//! `src/phone.rs` embeds. Nothing is written into the source tree.
//!
//! A phone that was built elsewhere (`npm run build` in `control/phone`) is taken from the
//! directory that `RINGWAY_PHONE_DIST` names; then no Node is needed.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

/// What the phone is made of, relative to `control/phone`; only a change here rebuilds it.
const SOURCES: [&str; 5] = [
    "package.json",
    "package-lock.json",
    ".npmrc",
    "build.js",
    "src",
];

const PREBUILT: &str = "RINGWAY_PHONE_DIST";

const NODE_MISSING: &str =
    "the web phone is built with Node.js 18 or newer, but `npm` was not found.
Either install it (Debian: `apt-get install nodejs npm`; elsewhere: https://nodejs.org/en/download),
or use `make run`, which brings its own,
or set RINGWAY_PHONE_DIST to a directory in which the phone was already built.";

#[expect(
    clippy::print_stderr,
    reason = "cargo shows a failed build script's standard error"
)]
fn main() -> ExitCode {
    match embed_phone() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn embed_phone() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let sources =
        Path::new(&env::var_os("CARGO_MANIFEST_DIR").ok_or("no manifest directory")?).join("phone");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={PREBUILT}");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", sources.join(source).display());
    }
    let built = match env::var_os(PREBUILT) {
        Some(directory) => {
            let directory = fs::canonicalize(directory)?;
            println!("cargo::rerun-if-changed={}", directory.display());
            directory
        }
        None => build_phone(&sources, &out.join("phone"))?,
    };
    fs::write(out.join("phone_assets.rs"), asset_table(&built)?)?;
    Ok(())
}

/// Copies the sources into `workshop`, installs what they need and bundles them there.
fn build_phone(sources: &Path, workshop: &Path) -> Result<PathBuf, Box<dyn Error>> {
    fs::create_dir_all(workshop)?;
    let installed = workshop.join("node_modules/.package-lock.json");
    let lock_before = fs::read(workshop.join("package-lock.json")).ok();
    match fs::remove_dir_all(workshop.join("src")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    for source in SOURCES {
        copy(&sources.join(source), &workshop.join(source))
            .map_err(|error| format!("{}: {error}", sources.join(source).display()))?;
    }
    let lock = fs::read(workshop.join("package-lock.json"))?;
    if !installed.exists() || lock_before.as_deref() != Some(lock.as_slice()) {
        npm(
            workshop,
            &["ci", "--include=dev", "--no-audit", "--no-fund"],
        )?;
    }
    npm(workshop, &["run", "build"])?;
    Ok(workshop.join("dist"))
}

fn npm(directory: &Path, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let output = match Command::new("npm")
        .args(arguments)
        .current_dir(directory)
        .output()
    {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(NODE_MISSING.into()),
        other => other?,
    };
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "`npm {}` in {} failed ({}):\n{}{}",
        arguments.join(" "),
        directory.display(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    )
    .into())
}

/// Copies a file, or a directory with all it holds.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The source text of a table of (path, asset), one line per file in `directory`.
fn asset_table(directory: &Path) -> Result<String, Box<dyn Error>> {
    let mut files = fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or("odd file name")?;
        let content_type = content_type(&file)
            .ok_or_else(|| format!("{name}: no content type is known for this file"))?;
        let etag = format!("\"{:016x}\"", fnv1a(&fs::read(&file)?));
        writeln!(
            table,
            "(\"/{name}\", Asset {{ content_type: {content_type:?}, etag: {etag:?}, \
             bytes: include_bytes!({file:?}) }}),"
        )?;
    }
    table.push_str("]\n");
    Ok(table)
}

fn content_type(file: &Path) -> Option<&'static str> {
    match file.extension()?.to_str()? {
        "html" => Some("text/html; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "txt" => Some("text/plain; charset=utf-8"),
        _ => None,
    }
}

/// FNV-1a, 64 bits: tells versions of a file apart, and stays the same from build to build.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
