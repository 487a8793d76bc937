//! The registry of a case, and the network before it: made anew for each turn, so that no contestant meets one that
//! another has worn out.

use std::path::Path;

use tests::{
    Access, BlackHole, Format, Front, Harm, Link, Nginx, Registry, Relay, certs_d, push_layout, resets,
};

use super::case::{Case, LINK_RATE_BYTES, RATE_BYTES, RETRY_AFTER_S, far};
use super::image::{Image, build};

/// A registry that has the images of a case.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) case: Case,
    pub(crate) images: Vec<Image>,
    registry: Registry,
}

/// The way to the registry, for one turn.
#[derive(Debug)]
pub(crate) struct Way {
    way: Kind,
    _link: Option<Link>,
    mirror: Option<BlackHole>,
}

#[derive(Debug)]
enum Kind {
    Nginx(Box<Nginx>),
    Relay(Relay),
    /// nginx behind a relay.
    Both(Relay, Box<Nginx>),
}

impl Scene {
    /// Builds the images, a hundredth `scale` times as large as they are meant, and starts a registry that has them.
    pub(crate) async fn prepare(folder: &Path, case: Case, scale: u64) -> anyhow::Result<Self> {
        let registry = Registry::start(Access::Plain).await?;
        let mut images = Vec::new();
        for (seed, layers) in (1..).zip(case.images()) {
            let layers = layers.iter().map(|bytes| bytes * scale / 100).collect();
            let image = build(folder, layers, seed).await?;
            push_layout(&registry, &name(images.len()), &image.layout, Format::Oci).await?;
            images.push(image);
        }
        Ok(Self { case, images, registry })
    }

    /// The way of the case; equal seeds are equally bad.
    pub(crate) async fn way(&self, seed: u64) -> anyhow::Result<Way> {
        let (mut link, mut mirror) = (None, None);
        let mut front = Front { from_files: true, ..Front::default() };
        let way = match self.case {
            Case::Far => {
                let link = link.insert(Link::new(far(seed)).await?);
                Kind::Relay(Relay::on(link.listen().await?, self.registry.address(), |_| Harm::None)?)
            }
            Case::Resets => Kind::Relay(Relay::start(self.registry.address(), resets(5.0, seed)).await?),
            case => {
                match case {
                    Case::RateLimited | Case::SharedLink | Case::Beside => {
                        front.rate_bytes = Some(RATE_BYTES)
                    }
                    Case::Errors => front.failing = Some((1.0, seed)),
                    Case::Throttled => front.throttled = Some(RETRY_AFTER_S),
                    Case::DeadMirror => mirror = Some(BlackHole::new()?),
                    Case::Far | Case::Resets | Case::Hundred => {}
                }
                let nginx = Box::new(Nginx::start(&self.registry, &front).await?);
                if case == Case::SharedLink {
                    let relay = Relay::start(nginx.host().parse()?, |_| Harm::None).await?;
                    Kind::Both(relay.paced(LINK_RATE_BYTES), nginx)
                } else {
                    Kind::Nginx(nginx)
                }
            }
        };
        Ok(Way { way, _link: link, mirror })
    }
}

impl Way {
    /// Tells `folder` how the registry is reached; the dead mirror not yet.
    pub(crate) fn announce(&self, folder: &Path) -> anyhow::Result<()> {
        certs_d(folder, &self.host(), None)
    }

    /// Puts the dead mirror before the registry, where the case has one.
    pub(crate) fn announce_mirror(&self, folder: &Path) -> anyhow::Result<()> {
        if let Some(mirror) = &self.mirror {
            let host = self.host();
            let text = format!(
                "server = \"http://{host}\"\n[host.\"http://{}\"]\ndial_timeout = \"3s\"\n",
                mirror.host()
            );
            std::fs::write(folder.join(host).join("hosts.toml"), text)?;
        }
        Ok(())
    }

    /// The reference of the image of this number.
    pub(crate) fn reference(&self, number: usize) -> String {
        format!("{}/{}", self.host(), name(number))
    }

    /// Ends the 429 of [`Case::Throttled`].
    pub(crate) fn relent(&self) -> anyhow::Result<()> {
        match &self.way {
            Kind::Nginx(nginx) | Kind::Both(_, nginx) => nginx.relent(),
            Kind::Relay(_) => Ok(()),
        }
    }

    /// What clients were sent until now. A relay counts the heads of answers too.
    pub(crate) async fn sent_bytes(&self) -> anyhow::Result<u64> {
        Ok(match &self.way {
            Kind::Nginx(nginx) => nginx.all_answered().await?.iter().map(|answer| answer.body_bytes).sum(),
            Kind::Relay(relay) | Kind::Both(relay, _) => relay.sent_bytes(),
        })
    }

    /// How often it was bad: connections that were reset, answers of 429 and 5xx. A link does not tell.
    pub(crate) fn harms(&self) -> anyhow::Result<usize> {
        Ok(match &self.way {
            Kind::Nginx(nginx) | Kind::Both(_, nginx) => {
                nginx.answered()?.iter().filter(|answer| answer.status >= 429).count()
            }
            Kind::Relay(relay) => usize::try_from(relay.harmed())?,
        })
    }

    /// Whether answers are under way; a relay does not tell.
    pub(crate) async fn is_busy(&self) -> anyhow::Result<bool> {
        match &self.way {
            Kind::Nginx(nginx) | Kind::Both(_, nginx) => Ok(nginx.answers_under_way().await? > 0),
            Kind::Relay(_) => Ok(true),
        }
    }

    fn host(&self) -> String {
        match &self.way {
            Kind::Nginx(nginx) => nginx.host(),
            Kind::Relay(relay) | Kind::Both(relay, _) => relay.host(),
        }
    }
}

fn name(number: usize) -> String {
    format!("bench/image-{number}:1")
}
