//! Generates the protocol's code with protox, so that no `protoc` is needed.

use std::error::Error;
use std::path::PathBuf;

use prost_types::{FileDescriptorSet, ServiceDescriptorProto};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = std::fs::read_dir("proto/sprint/v1")?.map(|file| Ok(file?.path()));
    let mut files = files.collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(files)?;
    let descriptors = compiler.file_descriptor_set();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    std::fs::write(out.join("services.rs"), services(&descriptors))?;
    std::fs::write(out.join("permissions.rs"), permissions(&compiler)?)?;
    tonic_prost_build::configure().bytes(".sprint.v1").compile_fds(descriptors)?;
    Ok(())
}

/// A macro that gives the list of all services to another, one on a line:
/// `changes changes_client ChangesClient changes_server ChangesServer;`.
fn services(descriptors: &FileDescriptorSet) -> String {
    let row = |service: &ServiceDescriptorProto| {
        let (name, module) = (service.name(), snake_case(service.name()));
        format!("{module} {module}_client {name}Client {module}_server {name}Server;\n")
    };
    let rows = descriptors.file.iter().flat_map(|file| &file.service).map(row).collect::<String>();
    format!("#[macro_export] macro_rules! each_service {{ ($made:ident) => {{ $made! {{ {rows} }} }}; }}")
}

/// The list of all methods' paths, each with the permission that its option names.
///
/// # Errors
/// A method that names none. What it names must be a permission, or the list does not compile.
fn permissions(compiler: &protox::Compiler) -> Result<String, Box<dyn Error>> {
    let pool = compiler.descriptor_pool();
    let option = pool.get_extension_by_name("sprint.v1.permission").ok_or("permission.proto declares no option")?;
    let mut rows = Vec::new();
    for service in pool.services() {
        for method in service.methods() {
            let options = method.options();
            let value = options.get_extension(&option);
            let Some((first, rest)) = value.as_str().and_then(|word| word.split_at_checked(1)) else {
                return Err(format!("{} names no permission: option (permission) = \"...\"", method.full_name()).into());
            };
            let variant = first.to_uppercase() + rest;
            rows.push(format!("(\"/{}/{}\", Permission::{variant}),\n", service.full_name(), method.name()));
        }
    }
    rows.sort();
    Ok(format!("&[{}]", rows.concat()))
}

/// A service's name as its module has it.
fn snake_case(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
