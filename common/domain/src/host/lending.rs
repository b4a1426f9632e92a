//! A host that serves another pool than its own, until it is given back.

use hostler_core::saga::SagaRef;
use hostler_events::host::HostMoved;
use hostler_events::{HostEvent, PoolId};

use super::{HostDecision, Known, evolving};

/// What a saga's reservation for another pool records beside it.
pub(super) fn lent(known: Known<'_>, saga: &SagaRef, to: Option<&PoolId>) -> Option<HostEvent> {
    let from = &known.profile.pool;
    let to = to.filter(|to| *to != from)?.clone();
    let (host, from, saga) = (known.host(), from.clone(), Some(saga.clone()));
    Some(HostEvent::Moved(HostMoved { host, from, to, saga }))
}

/// A host that was lent goes back to its own pool by the commit that says that it is free again.
pub(super) fn home_when_free(known: Known<'_>, decision: HostDecision) -> HostDecision {
    let Some(to) = known.state.home.clone() else { return decision };
    let before = known.state.clone();
    if before.is_available() || !decision.events.iter().fold(before, evolving::evolve).is_available() {
        return decision;
    }
    let (host, from) = (known.host(), known.profile.pool.clone());
    decision.event(HostEvent::Moved(HostMoved { host, from, to, saga: None }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use hostler_core::Payload;
    use hostler_events::commands::BootOutcome;

    use super::super::tests::phases::at;
    use super::super::{HostDecider, HostInput};
    use crate::testing::{Run, id, saga_ref};

    fn pool(host: &Run<HostDecider>) -> String {
        host.state.profile.as_ref().unwrap().pool.to_string()
    }

    fn lend(saga: &str, to: &str) -> HostInput {
        HostInput::Reserve { saga: saga_ref(saga), step: id("t/1"), lent_to: Some(id(to)) }
    }

    #[test]
    fn a_host_that_is_lent_serves_the_other_pool_until_it_is_free_again() {
        let mut host = at("available");
        let own = pool(&host);
        assert_eq!(host.names(&lend("p-9", "db")), ["host.moved", "host.reserved"]);
        assert_eq!((pool(&host), host.state.home.clone()), ("db".to_owned(), Some(id(&own))));
        assert!(host.ignores(&lend("p-9", "db")), "the same step again");
        let release = HostInput::Release { saga: saga_ref("p-9"), step: id("t/2") };
        assert_eq!(host.names(&release), ["host.released", "host.moved"]);
        assert_eq!((pool(&host), &host.state.home), (own, &None));
        assert!(host.ignores(&release), "told twice");
    }

    #[test]
    fn one_that_was_written_to_goes_home_when_it_is_clean_and_not_before() {
        let mut host = at("available");
        let own = pool(&host);
        host.when(&lend("p-9", "db")).unwrap();
        let image = id("debian-13");
        host.when(&HostInput::StartDeploy { saga: saga_ref("p-9"), step: id("t/2"), image }).unwrap();
        host.when(&HostInput::StartUndeploy { saga: saga_ref("p-9"), step: id("t/3") }).unwrap();
        host.when(&HostInput::RecordUndeployed { saga: saga_ref("p-9"), step: id("t/3") }).unwrap();
        let cleaning = host.state.phase.step().cloned().unwrap();
        let outcome = BootOutcome::Succeeded;
        host.when(&HostInput::BootReported { step: cleaning.clone(), outcome, reason: None }).unwrap();
        let cleaned = host.when(&HostInput::RecordCleaned { step: cleaning }).unwrap();
        let names: Vec<_> = cleaned.events.iter().map(Payload::type_name).collect();
        assert_eq!((names, pool(&host)), (vec!["host.cleaned"], "db".to_owned()), "its saga still holds it");
        let release = HostInput::Release { saga: saga_ref("p-9"), step: id("t/4") };
        assert_eq!(host.names(&release), ["host.released", "host.moved"]);
        assert_eq!(pool(&host), own);
    }

    #[test]
    fn a_host_that_was_lent_on_goes_back_to_the_pool_that_it_was_enrolled_in() {
        let mut host = at("available");
        let own = pool(&host);
        host.when(&lend("p-1", "db")).unwrap();
        host.when(&HostInput::Release { saga: saga_ref("p-1"), step: id("t/2") }).unwrap();
        assert_eq!(host.names(&lend("p-2", &own)), ["host.reserved"], "it is its own pool");
        assert_eq!(host.state.home, None);
    }
}
