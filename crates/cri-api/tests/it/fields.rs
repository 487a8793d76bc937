//! Every method and every field, as a table in `fields.txt`: the interface changes on purpose only.
//!
//! After a change that is meant: `UPDATE_EXPECT=1 cargo test -p cri-api`.

use std::fmt::Write;

use expect_test::expect_file;
use protox::prost_reflect::{Cardinality, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};

#[test]
fn methods_and_fields_are_those_of_the_table() {
    let mut compiler =
        protox::Compiler::new([concat!(env!("CARGO_MANIFEST_DIR"), "/proto")]).expect("a directory");
    compiler.open_file("cri/image_service.proto").expect("the proto compiles");
    let file = compiler.descriptor_pool().get_file_by_name("cri/image_service.proto").expect("it was opened");
    expect_file!["./fields.txt"].assert_eq(&table(&file));
}

fn table(file: &FileDescriptor) -> String {
    let mut table = String::new();
    for service in file.services() {
        for method in service.methods() {
            let stream = if method.is_server_streaming() { "stream " } else { "" };
            let (input, output) = (method.input(), method.output());
            writeln!(
                table,
                "rpc /{}/{}({}) -> {stream}{}",
                service.full_name(),
                method.name(),
                input.name(),
                output.name()
            )
            .expect("a string takes any text");
        }
    }
    for message in file.messages() {
        writeln!(table, "\n{}", message.full_name()).expect("a string takes any text");
        for field in message.fields() {
            writeln!(table, "  {:>2} {}: {}", field.number(), field.name(), field_type(&field))
                .expect("a string takes any text");
        }
    }
    table
}

fn field_type(field: &FieldDescriptor) -> String {
    match (field.kind(), field.cardinality()) {
        (Kind::Message(entry), _) if field.is_map() => map_type(&entry),
        (kind, Cardinality::Repeated) => format!("repeated {}", kind_name(&kind)),
        (kind, _) => kind_name(&kind),
    }
}

fn map_type(entry: &MessageDescriptor) -> String {
    let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
    format!("map<{}, {}>", kind_name(&key.kind()), kind_name(&value.kind()))
}

fn kind_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}
