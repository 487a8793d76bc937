//! `Debug` of the CRI's credentials, which tells the forms that are present and none of the secrets.

use std::fmt;

use crate::v1::AuthConfig;

/// Shows whether a secret is there.
struct Masked<'a>(&'a str);

impl fmt::Debug for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "absent" } else { "***" })
    }
}

impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without `..`: a field that is added must be decided on here.
        let AuthConfig { username, password, auth, server_address, identity_token, registry_token } = self;
        f.debug_struct("AuthConfig")
            .field("username", username)
            .field("password", &Masked(password))
            .field("auth", &Masked(auth))
            .field("server_address", server_address)
            .field("identity_token", &Masked(identity_token))
            .field("registry_token", &Masked(registry_token))
            .finish()
    }
}
