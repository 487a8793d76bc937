//! Unpacks a tar archive from the standard input into a directory, to be measured beside `tar -x`.
//!
//! `cargo run --release -p layer --example untar -- DIRECTORY < ARCHIVE`

use std::io::Read as _;

use layer::{Form, Limits, Unpacker};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os().nth(1).ok_or("the directory is missing")?;
    let mut unpacker = Unpacker::new(std::fs::File::open(directory)?.into(), Form::Lowest, Limits::default());
    let mut buffer = vec![0; 256 << 10];
    loop {
        let length = std::io::stdin().read(&mut buffer)?;
        if length == 0 {
            break;
        }
        unpacker.push(buffer.get(..length).unwrap_or_default())?;
    }
    let (_, deferred) = unpacker.finish()?;
    deferred.settle(&[])?;
    Ok(())
}
