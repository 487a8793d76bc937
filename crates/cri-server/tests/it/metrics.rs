//! `/metrics`, `/healthz` and `/readyz` as a scraper and a probe see them.

use cri_server::{PullResult, Readiness};
use expect_test::expect;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::dummy::Served;

/// Status line and body.
async fn get(served: &Served, path: &str) -> String {
    let mut stream = TcpStream::connect(served.metrics_address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    format!("{}\n{body}", head.lines().next().expect("a status line"))
}

#[tokio::test]
async fn pulls_are_counted_by_how_they_end() {
    let served = Served::start().await;
    let _running = served.metrics.pull_started();
    served.metrics.pull_started().end(PullResult::Done);
    served.metrics.pull_started().end(PullResult::Failed);
    drop(served.metrics.pull_started());
    drop(served.metrics.pull_started());
    let text = get(&served, "/metrics").await;
    // A family iterates in no order.
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    expect![[r##"
        # EOF
        # HELP cri_imaged_pulls Pulls that ended, by result.
        # HELP cri_imaged_pulls_in_flight Pulls that run now.
        # TYPE cri_imaged_pulls counter
        # TYPE cri_imaged_pulls_in_flight gauge
        HTTP/1.1 200 OK
        cri_imaged_pulls_in_flight 1
        cri_imaged_pulls_total{result="cancelled"} 2
        cri_imaged_pulls_total{result="done"} 1
        cri_imaged_pulls_total{result="failed"} 1"##]]
    .assert_eq(&lines.join("\n"));
}

#[tokio::test]
async fn readiness_is_containerds_and_health_is_the_daemons() {
    let served = Served::start().await;
    expect![[r#"
        HTTP/1.1 503 Service Unavailable
        waiting: containerd is away
    "#]]
    .assert_eq(&get(&served, "/readyz").await);
    assert_eq!(get(&served, "/healthz").await, "HTTP/1.1 200 OK\nok\n");
    served.readiness.send_replace(Readiness::Ready);
    assert_eq!(get(&served, "/readyz").await, "HTTP/1.1 200 OK\nready\n");
    served.readiness.send_replace(Readiness::Waiting { reason: "containerd went away".into() });
    assert!(get(&served, "/readyz").await.starts_with("HTTP/1.1 503"));
    assert!(get(&served, "/").await.starts_with("HTTP/1.1 404"));
}
