//! Requests for hosts: how these take requests of their own is said by the site's policies, and kept by their sagas.

use async_trait::async_trait;
use hostler_app::{FollowedPolicies, Requests, Settings, request};
use hostler_events::commands::RequestHosts;
use hostler_runtime::register::{Accept, Accepted, Rejected, operate};
use hostler_runtime::state::shell::{Cause, Shell};

/// Takes requests.
pub(crate) struct Asked {
    pub(crate) policies: FollowedPolicies,
    pub(crate) settings: Settings,
}

#[async_trait]
impl Accept<RequestHosts> for Asked {
    async fn accept(
        &self,
        shell: &Shell,
        cause: &Cause,
        command: RequestHosts,
    ) -> Result<Accepted, Rejected> {
        let policies = self.policies.now().await?;
        let pool = policies.policy.pools.get(&command.pool);
        let traffic = pool.and_then(|pool| pool.traffic.clone());
        let id = command.request.clone();
        let asked = request(command, &self.settings, traffic)?.telling("request", id.as_str());
        operate::<Requests>(shell, cause, id.as_str(), asked).await
    }
}
