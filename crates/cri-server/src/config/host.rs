//! The tables `[registry."HOST"]`: what is set for one host.

use std::collections::BTreeSet;
use std::ops::Range;

use auth::Host;
use registry::{CredentialSource, Fallback, RegistrySettings};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::shown;
use super::nearest::best;
use super::{BadValue, Fault, value};

/// The keys of a host.
const KEYS: [&str; 4] = ["fallback", "proxy", "credentials", "credential_domain"];
/// Where credentials may be.
const PLACES: [&str; 3] = ["file", "docker_config", "helper"];

/// The settings in the table `name`; what is wrong with the rest is added to `faults`.
pub(super) fn read(
    name: &str,
    table: &DeTable<'_>,
    faults: &mut Vec<(Range<usize>, Fault)>,
) -> RegistrySettings {
    let mut settings = RegistrySettings::default();
    for (key, value) in table {
        let full = format!("{name}.{}", shown(key.get_ref()));
        let set = match key.get_ref().as_ref() {
            "fallback" => fallback(&full, value).map(|fallback| settings.fallback = fallback),
            "proxy" => proxy(&full, value).map(|proxy| settings.proxy = Some(proxy)),
            "credentials" => credentials(&full, value).map(|source| settings.credentials = Some(source)),
            "credential_domain" => domain(&full, value).map(|domain| settings.credential_domain = domain),
            other => {
                let nearest = best(other, KEYS.into_iter()).map(|nearest| format!("{name}.{nearest}"));
                Err((key.span(), Fault::Unknown { what: "key", name: full, nearest }))
            }
        };
        faults.extend(set.err());
    }
    settings
}

type Read<T> = Result<T, (Range<usize>, Fault)>;

fn fallback(name: &str, value: &Spanned<DeValue<'_>>) -> Read<Fallback> {
    let words = [("always", Fallback::Always), ("never", Fallback::Never)];
    parsed(name, value, |text| value::one_of(text, &words))
}

fn proxy(name: &str, value: &Spanned<DeValue<'_>>) -> Read<registry::ProxySetting> {
    let text = string(name, value)?;
    value::proxy(text).map_err(|reason| (value.span(), Fault::HiddenValue { name: name.to_owned(), reason }))
}

fn credentials(name: &str, value: &Spanned<DeValue<'_>>) -> Read<CredentialSource> {
    let table = value.get_ref().as_table().ok_or_else(|| wrong_type(name, "table", value))?;
    let mut places = table.iter();
    let (Some((place, value)), None) = (places.next(), places.next()) else {
        let reason = BadValue::NotOnePlace;
        return Err((value.span(), Fault::HiddenValue { name: name.to_owned(), reason }));
    };
    let full = format!("{name}.{}", shown(place.get_ref()));
    match place.get_ref().as_ref() {
        "file" => parsed(&full, value, value::absolute_path).map(CredentialSource::File),
        "docker_config" => parsed(&full, value, value::absolute_path).map(CredentialSource::DockerConfig),
        "helper" => parsed(&full, value, value::helper).map(CredentialSource::Helper),
        other => {
            let nearest = best(other, PLACES.into_iter()).map(|nearest| format!("{name}.{nearest}"));
            Err((place.span(), Fault::Unknown { what: "key", name: full, nearest }))
        }
    }
}

fn domain(name: &str, value: &Spanned<DeValue<'_>>) -> Read<BTreeSet<Host>> {
    let list = value.get_ref().as_array().ok_or_else(|| wrong_type(name, "list of strings", value))?;
    list.iter().map(|value| parsed(name, value, value::host)).collect()
}

fn parsed<T>(
    name: &str,
    value: &Spanned<DeValue<'_>>,
    parse: impl FnOnce(&str) -> Result<T, BadValue>,
) -> Read<T> {
    let text = string(name, value)?;
    parse(text).map_err(|reason| {
        (value.span(), Fault::BadValue { name: name.to_owned(), value: shown(text), reason })
    })
}

fn string<'a>(name: &str, value: &'a Spanned<DeValue<'_>>) -> Read<&'a str> {
    value.get_ref().as_str().ok_or_else(|| wrong_type(name, "string", value))
}

fn wrong_type(name: &str, wanted: &'static str, value: &Spanned<DeValue<'_>>) -> (Range<usize>, Fault) {
    let found = value.get_ref().type_str();
    (value.span(), Fault::WrongType { name: name.to_owned(), wanted, found })
}
