//! What GoTrue answers instead of what was asked for.

use std::borrow::Cow;

use axum::http::StatusCode;

use super::token::TokenError;

macro_rules! refusals {
    ($($(#[$about:meta])* $name:ident: $status:literal, $code:literal, $text:literal;)*) => {
        /// A refusal of the auth protocol: its code, status and text are GoTrue's.
        #[derive(Debug, thiserror::Error)]
        pub enum AuthRefusal {
            /// A bearer token that is not ours or has ended.
            #[error("invalid JWT: unable to parse or verify signature, {0}")]
            BadToken(TokenError),
            /// A body that is no JSON.
            #[error("Could not parse request body as JSON: {0}")]
            BadJson(String),
            /// Something in the body or the query does not fit.
            #[error("{0}")]
            Invalid(Cow<'static, str>),
            /// A password that is too easy; why, in GoTrue's words.
            #[error("{text}")]
            WeakPassword {
                /// For people.
                text: String,
                /// For programs: `length`, `characters`, `pwned`.
                reasons: &'static [&'static str],
            },
            /// Too many mails to one address; the number of seconds to wait.
            #[error("For security purposes, you can only request this after {0} seconds.")]
            MailTooSoon(i64),
            /// A provider's ID token, and the provider is not configured: its issuer.
            #[error("Provider (issuer \"{0}\") is not enabled")]
            IssuerDisabled(&'static str),
            /// A request in the form that OAuth gives to errors.
            #[error("{0}")]
            OAuth(&'static str),
            $($(#[$about])* #[error($text)] $name,)*
        }

        impl AuthRefusal {
            /// GoTrue's error code.
            #[must_use]
            pub fn code(&self) -> &'static str {
                match self {
                    AuthRefusal::BadToken(_) => "bad_jwt",
                    AuthRefusal::BadJson(_) => "bad_json",
                    AuthRefusal::Invalid(_) | AuthRefusal::OAuth(_) => "validation_failed",
                    AuthRefusal::IssuerDisabled(_) => "provider_disabled",
                    AuthRefusal::WeakPassword { .. } => "weak_password",
                    AuthRefusal::MailTooSoon(_) => "over_email_send_rate_limit",
                    $(AuthRefusal::$name => $code,)*
                }
            }

            /// Its HTTP status.
            #[must_use]
            pub fn status(&self) -> StatusCode {
                let number = match self {
                    AuthRefusal::BadToken(_) => 403,
                    AuthRefusal::BadJson(_)
                    | AuthRefusal::Invalid(_)
                    | AuthRefusal::IssuerDisabled(_)
                    | AuthRefusal::OAuth(_) => 400,
                    AuthRefusal::WeakPassword { .. } => 422,
                    AuthRefusal::MailTooSoon(_) => 429,
                    $(AuthRefusal::$name => $status,)*
                };
                StatusCode::from_u16(number).unwrap_or(StatusCode::BAD_REQUEST)
            }

            /// Those that have nothing to tell but themselves, for the test that compares them with the page.
            #[cfg(test)]
            fn plain() -> Vec<AuthRefusal> {
                vec![$(AuthRefusal::$name),*]
            }
        }
    };
}

refusals! {
    /// No bearer token.
    NoAuthorization: 401, "no_authorization", "This endpoint requires a valid Bearer token";
    /// A token that is nobody's, such as an API key.
    NoSubject: 403, "bad_jwt", "invalid claim: missing sub claim";
    /// The person is gone.
    UserNotFound: 403, "user_not_found", "User from sub claim in JWT does not exist";
    /// The session was ended.
    SessionNotFound: 403, "session_not_found", "Session from session_id claim in JWT does not exist";
    /// The person is locked out.
    UserBanned: 403, "user_banned", "User is banned";
    /// Signing in, and the person is locked out.
    SignInBanned: 400, "user_banned", "User is banned";
    /// Not the service's key.
    NotAdmin: 403, "not_admin", "User not allowed";
    /// Nobody has this id.
    NoSuchUser: 404, "user_not_found", "User not found";
    /// Not an id.
    UserIdNotUuid: 404, "validation_failed", "user_id must be an UUID";
    /// Nobody may sign up.
    SignUpDisabled: 422, "signup_disabled", "Signups not allowed for this instance";
    /// Nobody may come in without a name.
    AnonymousDisabled: 422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled";
    /// The address is taken, and a person asked.
    UserExists: 422, "user_already_exists", "User already registered";
    /// The address is taken.
    EmailExists: 422, "email_exists", "A user with this email address has already been registered";
    /// The id is taken.
    IdExists: 422, "conflict", "A user with this id already exists";
    /// No address.
    EmailInvalid: 400, "validation_failed", "Unable to validate email address: invalid format";
    /// An address that is no address for a password that is too long to be one.
    PasswordTooLong: 400, "validation_failed", "Password cannot be longer than 72 characters";
    /// No password.
    PasswordNeeded: 400, "validation_failed", "Signup requires a valid password";
    /// There are no telephones here.
    PhoneDisabled: 400, "phone_provider_disabled", "Phone logins are disabled";
    /// Nobody, or not the password.
    InvalidCredentials: 400, "invalid_credentials", "Invalid login credentials";
    /// No such way to get a token.
    UnsupportedGrant: 400, "invalid_credentials", "unsupported_grant_type";
    /// The address was never confirmed.
    EmailNotConfirmed: 400, "email_not_confirmed", "Email not confirmed";
    /// A refresh token that is none of ours.
    RefreshTokenNotFound: 400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found";
    /// A refresh token that was used before; its session has ended.
    RefreshTokenUsed: 400, "refresh_token_already_used", "Invalid Refresh Token: Already Used";
    /// The session of a refresh token has run out.
    SessionExpired: 400, "session_expired", "Invalid Refresh Token: Session Expired";
    /// No flow has this code.
    FlowNotFound: 404, "flow_state_not_found", "invalid flow state, no valid flow state found";
    /// The flow has run out.
    FlowExpired: 422, "flow_state_expired", "invalid flow state, flow state has expired";
    /// Not the verifier of the flow's challenge.
    BadVerifier: 400, "bad_code_verifier", "code challenge does not match previously saved code verifier";
    /// A code that is wrong or has run out.
    CodeExpired: 403, "otp_expired", "Token has expired or is invalid";
    /// A link that is wrong or has run out.
    LinkExpired: 403, "otp_expired", "Email link is invalid or has expired";
    /// A code was asked for by somebody unknown who is not to be added.
    CodeDisabled: 422, "otp_disabled", "Signups not allowed for otp";
    /// The new password is the old one.
    SamePassword: 422, "same_password", "New password should be different from the old password.";
    /// The password that must be known is missing.
    CurrentPasswordNeeded: 400, "current_password_required", "Current password is required to set a new password";
    /// It is wrong.
    CurrentPasswordWrong: 400, "current_password_invalid", "Current password is invalid";
    /// A change that wants a fresh proof.
    ReauthenticationNeeded: 400, "reauthentication_needed", "Password update requires reauthentication";
    /// The proof is wrong or has run out.
    ReauthenticationInvalid: 422, "reauthentication_not_valid", "Nonce has expired or is invalid";
    /// A second factor is wanted first.
    FactorNeeded: 401, "insufficient_aal", "AAL2 session is required to update email or password when MFA is enabled.";
    /// A second factor is wanted to add another.
    FactorNeededToEnroll: 403, "insufficient_aal", "AAL2 required to enroll a new factor";
    /// A second factor is wanted to remove one.
    FactorNeededToRemove: 422, "insufficient_aal", "AAL2 required to unenroll verified factor";
    /// Linking is off.
    LinkingDisabled: 404, "manual_linking_disabled", "Manual linking is disabled";
    /// The last identity stays.
    LastIdentity: 422, "single_identity_not_deletable", "User must have at least 1 identity after unlinking";
    /// No such identity.
    IdentityNotFound: 422, "identity_not_found", "Identity doesn't exist";
    /// Somebody has this identity.
    IdentityExists: 422, "identity_already_exists", "Identity is already linked";
    /// A kind of factor that is not here.
    PhoneFactorsDisabled: 422, "mfa_phone_enroll_not_enabled", "MFA enroll is disabled for Phone";
    /// A kind of factor that is not here.
    WebAuthnFactorsDisabled: 422, "mfa_webauthn_enroll_not_enabled", "MFA enroll is disabled for WebAuthn";
    /// Two factors of one name.
    FactorNameTaken: 422, "mfa_factor_name_conflict", "A factor with this friendly name already exists for this user";
    /// More than enough factors.
    TooManyFactors: 422, "too_many_enrolled_mfa_factors", "Maximum number of verified factors reached, unenroll to continue";
    /// No such factor.
    FactorNotFound: 422, "mfa_factor_not_found", "Factor not found";
    /// No such challenge of the factor, or of another address.
    ChallengeElsewhere: 422, "mfa_ip_address_mismatch", "Challenge and verify IP addresses mismatch.";
    /// The challenge has run out.
    ChallengeExpired: 422, "mfa_challenge_expired", "MFA challenge has expired, verify against another challenge or create a new challenge.";
    /// Not the factor's code.
    FactorCodeWrong: 422, "mfa_verification_failed", "Invalid TOTP code entered";
    /// Too many tries.
    TooMany: 429, "over_request_rate_limit", "Request rate limit reached";
    /// A provider that is not configured.
    ProviderDisabled: 400, "validation_failed", "Unsupported provider: provider is not enabled";
    /// What a provider answered does not count.
    ProviderAnswer: 400, "bad_oauth_callback", "The provider's answer does not hold";
    /// A provider sent somebody back without a flow that is under way.
    BadState: 400, "bad_oauth_state", "OAuth state is invalid or has expired";
    /// A provider sent somebody back without what it takes.
    BadCallback: 400, "bad_oauth_callback", "OAuth callback with neither code nor error";
    /// The person or the provider said no.
    ProviderRefused: 400, "bad_oauth_callback", "The provider did not sign the person in";
    /// The provider does not know whether the address is the person's.
    EmailNeedsVerification: 422, "provider_email_needs_verification", "Unverified email with the provider. A confirmation email has been sent to it";
    /// Wallets cannot sign in.
    Web3Disabled: 422, "web3_provider_disabled", "Web3 provider is disabled";
    /// Wallets of another chain.
    Web3ChainUnknown: 400, "web3_unsupported_chain", "Unsupported chain";
    /// A signed message that does not hold.
    Web3Invalid: 400, "invalid_credentials", "Signature does not match address in message";
    /// No SAML.
    SamlDisabled: 422, "saml_provider_disabled", "SAML 2.0 is disabled";
    /// Not a feature of this server.
    FeatureDisabled: 404, "feature_disabled", "This feature is not available here";
    /// No passkeys.
    PasskeysDisabled: 404, "passkey_disabled", "Passkeys are disabled";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_refusal_is_told_apart() {
        let mut seen = BTreeSet::new();
        for refusal in AuthRefusal::plain() {
            assert!(refusal.status().is_client_error(), "{refusal}");
            assert!(
                refusal
                    .code()
                    .chars()
                    .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
            );
            let told = (refusal.status().as_u16(), refusal.code(), refusal.to_string());
            assert!(seen.insert(told), "{refusal:?} is told twice in the same way");
        }
    }
}
