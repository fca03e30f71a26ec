//! One order of a certificate (RFC 8555 section 7.4), from the account to the chain.

use std::sync::Arc;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use zeroize::Zeroizing;

use super::AcmeError;
use super::challenge::Challenges;
use super::https::Https;
use super::store::Store;
use crate::config::AcmeConfig;
use crate::limits::ACME_POLL_WITHIN;

/// What an order comes to.
pub(super) struct Issued {
    /// The private key, as PEM.
    pub(super) key: Zeroizing<String>,
    /// The certificate and its intermediates, as PEM.
    pub(super) chain: String,
}

/// The account that the store knows, else a new one, which it knows from then on.
pub(super) async fn account(
    config: &AcmeConfig,
    store: &Arc<Store>,
    https: Https,
) -> Result<Account, AcmeError> {
    let builder = Account::builder_with_http(Box::new(https));
    if let Some(credentials) = store.account().await? {
        return Ok(builder.from_credentials(credentials).await?);
    }
    let contact: Vec<&str> = config.contact.iter().map(String::as_str).collect();
    let account = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let directory = config.directory.clone();
    let (account, credentials) = builder.create(&account, directory, None).await?;
    store.put_account(&credentials).await?;
    Ok(account)
}

/// Orders a certificate for all domains, with a key of its own.
pub(super) async fn certificate(
    config: &AcmeConfig,
    account: &Account,
    challenges: &Challenges,
) -> Result<Issued, AcmeError> {
    let identifiers = config.domains.iter().cloned().map(Identifier::Dns);
    let identifiers: Vec<Identifier> = identifiers.collect();
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    let patience = RetryPolicy::default().timeout(ACME_POLL_WITHIN);
    {
        // Answered until the authority has seen all of them.
        let _answers = prove(&mut order, challenges).await?;
        match order.poll_ready(&patience).await? {
            OrderStatus::Ready | OrderStatus::Valid => {}
            OrderStatus::Invalid | OrderStatus::Pending | OrderStatus::Processing => {
                return Err(why_not(&mut order).await);
            }
        }
    }
    let key = rcgen::KeyPair::generate()?;
    let mut parameters = rcgen::CertificateParams::new(config.domains.clone())?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let request = parameters.serialize_request(&key)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&patience).await?;
    let key = Zeroizing::new(key.serialize_pem());
    Ok(Issued { key, chain })
}

/// Tells the authority to look, at each name that it does not know to be ours.
async fn prove<'a>(
    order: &mut Order,
    challenges: &'a Challenges,
) -> Result<super::challenge::Answers<'a>, AcmeError> {
    let answers = challenges.answers();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        let name = authorization.identifier().to_string();
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Invalid
            | AuthorizationStatus::Deactivated
            | AuthorizationStatus::Expired
            | AuthorizationStatus::Revoked => return Err(AcmeError::NotOurs(name)),
        }
        let mut challenge = authorization
            .challenge(ChallengeType::TlsAlpn01)
            .ok_or_else(|| AcmeError::NoChallenge(name.clone()))?;
        answers.add(&name, challenge.key_authorization().digest().as_ref())?;
        challenge.set_ready().await?;
    }
    Ok(answers)
}

/// What the authority says of the first name that it did not believe.
async fn why_not(order: &mut Order) -> AcmeError {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let name = authorization.identifier().to_string();
        let Ok(state) = authorization.refresh().await else {
            continue;
        };
        let mut problems = state.challenges.iter().filter_map(|c| c.error.as_ref());
        if let Some(problem) = problems.next() {
            let detail = problem.detail.as_deref().unwrap_or("no reason is given");
            return AcmeError::NotOurs(format!("{name}: {detail}"));
        }
    }
    AcmeError::NotOurs("no reason is given".to_owned())
}
