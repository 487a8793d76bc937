//! Runs the conformance bodies against the containerd behind a socket: `conform SOCKET 1.6|1.7|2.1|2.3 [FILTER]`.
//!
//! Each body works in a namespace of its own, named for the time of the run; nothing is cleaned up.

#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

use std::process::ExitCode;
use std::time::Duration;

use sim::Clock;
use sim::conformance::{Subject, all, on_disk};
use sim::containerd::Version;
use tonic::transport::Endpoint;

const BODY_TIME_MAX: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(socket), Some(version)) = (arguments.next(), arguments.next()) else {
        return Err("usage: conform SOCKET 1.6|1.7|2.1|2.3 [FILTER]".into());
    };
    let filter = arguments.next().unwrap_or_default();
    let version = match version.as_str() {
        "1.6" => Version::V1_6,
        "1.7" => Version::V1_7,
        "2.1" => Version::V2_1,
        "2.3" => Version::V2_3,
        other => return Err(format!("unknown version `{other}`").into()),
    };
    let channel = Endpoint::from_static("http://localhost")
        .connect_with_connector(tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { tokio::net::UnixStream::connect(socket).await.map(hyper_util::rt::TokioIo::new) }
        }))
        .await?;
    let run = Clock::system().now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    let mut failed = 0;
    let bodies = [all(), on_disk()].concat().into_iter().enumerate();
    for (number, body) in bodies.filter(|(_, body)| body.name().contains(&filter)) {
        let subject = Subject::new(channel.clone(), &format!("conform-{run}-{number}"), version);
        let task = tokio::spawn(async move { tokio::time::timeout(BODY_TIME_MAX, body.run(subject)).await });
        let verdict = match task.await {
            Ok(Ok(())) => "ok",
            Ok(Err(_)) => "HANGS",
            Err(_) => "FAILED",
        };
        println!("{verdict:7}{}", body.name());
        failed += u32::from(verdict != "ok");
    }
    println!("{failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
