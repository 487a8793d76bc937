//! The commands that ask a running daemon: `pull`, `images`, `status` and `rm`.
//!
//! Owns the connection and the order of the calls. Relies on the CRI alone, so they work with any CRI image service.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cri_api::v1::image_service_client::ImageServiceClient;
use cri_api::v1::{
    ImageFilter, ImageSpec, ImageStatusRequest, ListImagesRequest, PullImageRequest, RemoveImageRequest,
};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request, Status};

use crate::config::Config;
use crate::exit::{Exit, explain};
use crate::print;
pub(crate) use output::Output;

mod output;

/// For every call but a pull: the kubelet's default (`runtimeRequestTimeout`).
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// The daemon's own bound; gRPC's 4 MiB are too few for a long list.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Flags of every command that asks the daemon.
#[derive(Debug, clap::Args)]
pub(crate) struct ClientArgs {
    /// The daemon's socket
    #[arg(long, value_name = "PATH", default_value_os_t = Config::default().socket)]
    socket: PathBuf,
    /// Form of the output
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t)]
    output: Output,
}

/// What to ask.
#[derive(Debug)]
pub(crate) enum Command {
    /// Pull this reference.
    Pull(String),
    /// List all images, or the one that is named.
    Images(Option<String>),
    /// Show one image.
    Status {
        /// Reference or id.
        reference: String,
        /// With the `info` of the answer.
        verbose: bool,
    },
    /// Remove these.
    Remove(Vec<String>),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum ClientError {
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    #[error("cannot reach the daemon at `{}`", socket.display())]
    Connect {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no gRPC server answers at `{}`", socket.display())]
    Handshake {
        socket: PathBuf,
        #[source]
        source: tonic::transport::Error,
    },
    #[error("cannot {what}: {}: {message}", name(*code))]
    Call { what: String, code: Code, message: String },
    #[error("no image `{0}`")]
    Absent(String),
    #[error("cannot write the answer")]
    Print(#[source] io::Error),
}

/// The code as the gRPC specification and every other tool spell it, `NOT_FOUND`.
fn name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Asks, prints the answer.
pub(crate) fn run(arguments: &ClientArgs, command: Command) -> Exit {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ClientError::Runtime);
    match runtime.and_then(|runtime| runtime.block_on(ask(arguments, command))) {
        Ok(()) => Exit::Done,
        Err(ClientError::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Failed,
        Err(error) => {
            explain(&error);
            Exit::Failed
        }
    }
}

async fn ask(arguments: &ClientArgs, command: Command) -> Result<(), ClientError> {
    let mut client = connect(&arguments.socket).await?;
    match command {
        Command::Pull(reference) => {
            let request = PullImageRequest { image: Some(spec(&reference)), ..Default::default() };
            let answer = client.pull_image(request).await;
            let image_id = answer.map_err(failed(format!("pull `{reference}`")))?.into_inner().image_ref;
            show(|out| arguments.output.pulled(&image_id, out))
        }
        Command::Images(filter) => {
            let image = filter.as_deref().map(spec);
            let request = ListImagesRequest { filter: image.map(|image| ImageFilter { image: Some(image) }) };
            let answer = client.list_images(bounded(request)).await;
            let images = answer.map_err(failed("list images".to_owned()))?.into_inner().images;
            show(|out| arguments.output.images(&images, out))
        }
        Command::Status { reference, verbose } => {
            let request = ImageStatusRequest { image: Some(spec(&reference)), verbose };
            let answer = client.image_status(bounded(request)).await;
            let answer = answer.map_err(failed(format!("show `{reference}`")))?.into_inner();
            let image = answer.image.ok_or(ClientError::Absent(reference))?;
            show(|out| arguments.output.status(&image, &answer.info, out))
        }
        Command::Remove(references) => {
            for reference in references {
                let request = RemoveImageRequest { image: Some(spec(&reference)) };
                client
                    .remove_image(bounded(request))
                    .await
                    .map_err(failed(format!("remove `{reference}`")))?;
                show(|out| arguments.output.removed(&reference, out))?;
            }
            Ok(())
        }
    }
}

async fn connect(socket: &Path) -> Result<ImageServiceClient<Channel>, ClientError> {
    // Connected here, for tonic says an error of its connector twice over.
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|source| ClientError::Connect { socket: socket.to_owned(), source })?;
    let (mut stream, path) = (Some(stream), socket.to_owned());
    let connector = tower::service_fn(move |_: Uri| {
        let (stream, path) = (stream.take(), path.clone());
        async move {
            let stream = match stream {
                Some(stream) => stream,
                None => UnixStream::connect(path).await?,
            };
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    // The authority is `localhost` for every path: a path of odd characters would make one that servers refuse.
    let channel = Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .map_err(|source| ClientError::Handshake { socket: socket.to_owned(), source })?;
    Ok(ImageServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX))
}

fn spec(image: &str) -> ImageSpec {
    ImageSpec { image: image.to_owned(), user_specified_image: image.to_owned(), ..Default::default() }
}

fn bounded<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// For `map_err`: a call that was to do `what`.
fn failed(what: String) -> impl FnOnce(Status) -> ClientError {
    move |status| ClientError::Call { what, code: status.code(), message: status.message().to_owned() }
}

fn show(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<(), ClientError> {
    print::write_stdout(write).map_err(ClientError::Print)
}
