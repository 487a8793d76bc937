//! The promise: a typical reference is parsed and normalized in less than 300 ns.
//!
//! Typical is what a kubelet sends: a short name with a tag, a name with registry and tag, and one that is pinned by a
//! digest. Beside them the longest names that the grammar allows, and a refusal.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use refparse::{Digest, Reference};

fn parse(criterion: &mut Criterion) {
    let digest = Digest::from_sha256([0x7c; 32]);
    let inputs = [
        ("short", "busybox:1.36".to_owned()),
        ("with_registry", "registry.example.com:5000/team/project/app:v1.2.3".to_owned()),
        ("with_digest", format!("registry.example.com/team/app:v1.2.3@{digest}")),
        ("ipv6", "[2001:db8::ff00:42:8329]:5000/team/app:v1".to_owned()),
        ("longest", format!("registry.example.com/{}:{}", "a".repeat(255), "T".repeat(128))),
        ("refused", "registry.example.com/team/App:v1.2.3".to_owned()),
    ];
    let mut group = criterion.benchmark_group("parse");
    for (name, input) in inputs {
        group.bench_function(name, |bencher| bencher.iter(|| Reference::parse(black_box(&input))));
    }
    group.finish();
}

fn print(criterion: &mut Criterion) {
    let reference = Reference::parse("busybox:1.36").expect("the input is of the grammar");
    criterion.bench_function("familiar", |bencher| bencher.iter(|| black_box(&reference).familiar()));
}

criterion_group!(benches, parse, print);
criterion_main!(benches);
