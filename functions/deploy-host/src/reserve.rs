//! Holding a host for a saga, and giving it back.
//!
//! The choice is recorded on the reservation's stream before the host is asked, so that a crash between the two
//! cannot hold a second host; and a close that comes in between is seen afterwards and undone.

use hostler_core::mutants;

use hostler_core::saga::SagaRef;
use hostler_core::{Category, Decider, Failure, StreamId};
use hostler_domain::{
    HostDecider, HostInput, HostRefusal, ReservationDecider, ReservationInput, ReservationRefusal,
    ReservationState,
};
use hostler_events::HostId;
use hostler_events::commands::{ReleaseReservation, ReserveHost};
use hostler_runtime::state::history::Fold;
use hostler_runtime::state::shell::{Cause, ExecuteError, Outcome};

use crate::{DeployHost, host_stream, part};

/// How many candidates are looked at in one try, so that a try ends well within its deadline.
const CANDIDATES_MAX: usize = 200;

impl DeployHost {
    /// Finds a free host and holds it.
    pub(crate) async fn reserve(&self, cause: &Cause, command: &ReserveHost) -> Result<(), Failure> {
        let stream = reservation_stream(&command.saga)?;
        let mut reservation = self.worker.shell.load::<ReservationDecider>(&stream).await?;
        let failed = part(cause, "failed")?;
        if self.worker.shell.committed(&stream, &reservation, &failed).await?.is_some() {
            return Ok(());
        }
        // What an earlier try, or this one before a crash, has chosen comes first.
        if let Some(host) = reservation.state.chosen.clone() {
            let candidate = self.worker.shell.load::<HostDecider>(&host_stream(&host)?).await?;
            match self.hold(cause, command, &host, reservation, candidate).await? {
                Held::Done => return Ok(()),
                Held::Lost(after) => reservation = *after,
            }
        }
        let mut may_be_old = true;
        loop {
            let listed = self.candidates.of(command, self.worker.shell.now(), may_be_old).await?;
            for host in listed.hosts.into_iter().take(CANDIDATES_MAX) {
                if reservation.state.closed {
                    return Ok(());
                }
                if reservation.state.lost.contains(&host) {
                    continue;
                }
                let candidate = self.worker.shell.load::<HostDecider>(&host_stream(&host)?).await?;
                if !candidate.state.is_available() {
                    continue;
                }
                match self.hold(cause, command, &host, reservation, candidate).await? {
                    Held::Done => return Ok(()),
                    Held::Lost(after) => reservation = *after,
                }
            }
            if listed.is_fresh {
                return self.fail(cause, command, no_host(command, &reservation.state)).await;
            }
            // A host may have been given back since the list was made.
            may_be_old = false;
        }
    }

    /// Chooses a host and asks it, from what is known of the reservation and of the host.
    async fn hold(
        &self,
        cause: &Cause,
        command: &ReserveHost,
        host: &HostId,
        reservation: Fold<ReservationDecider>,
        candidate: Fold<HostDecider>,
    ) -> Result<Held, Failure> {
        let stream = reservation_stream(&command.saga)?;
        let choose = ReservationInput::Choose {
            saga: command.saga.clone(),
            step: command.step.clone(),
            host: host.clone(),
        };
        let cause_of_choice = part(cause, &format!("choose:{host}"))?;
        let chosen =
            match self.worker.shell.execute_from(&stream, reservation, &cause_of_choice, &choose).await {
                Ok(done)
                    if done.outcome == Outcome::Repeated && is_overtaken(&done.fold.state, command, host) =>
                {
                    tracing::info!(%stream, %host, "a later try has taken over: nothing to do");
                    return Ok(Held::Done);
                }
                Ok(done) => done.fold.state.chosen.unwrap_or_else(|| host.clone()),
                Err(ExecuteError::Refused(ReservationRefusal::AlreadyChosen { chosen, .. })) => chosen,
                Err(ExecuteError::Refused(ReservationRefusal::Closed { .. })) => {
                    tracing::info!(%stream, "the saga wants no host any more");
                    return Ok(Held::Done);
                }
                Err(ExecuteError::Refused(refusal @ ReservationRefusal::TooManyTried { .. })) => {
                    self.fail(cause, command, refusal.to_string()).await?;
                    return Ok(Held::Done);
                }
                Err(error) => return Err(error.into()),
            };
        let ask = HostInput::Reserve {
            saga: command.saga.clone(),
            step: command.step.clone(),
            lent_to: (!command.take_from.is_empty()).then(|| command.pool.clone()),
        };
        let stream = host_stream(&chosen)?;
        let held = match chosen == *host {
            true => self.worker.shell.execute_from(&stream, candidate, cause, &ask).await,
            false => self.worker.shell.execute::<HostDecider>(&stream, cause, &ask).await,
        };
        match held {
            Ok(_) => self.undo_unless_chosen(cause, command, &chosen).await,
            Err(ExecuteError::Refused(refusal)) => self.lose(cause, command, chosen, &refusal).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Whatever came between the choice and the hold did not know that the host would be held: a close, or a later
    /// try that lost this host and went on to another. Nobody else would ever give the host back.
    async fn undo_unless_chosen(
        &self,
        cause: &Cause,
        command: &ReserveHost,
        host: &HostId,
    ) -> Result<Held, Failure> {
        let stream = reservation_stream(&command.saga)?;
        let state = self.worker.shell.load::<ReservationDecider>(&stream).await?.state;
        let stands = !state.closed && state.chosen.as_ref() == Some(host);
        if !stands && !mutants::on("deploy-host.keeps-what-nobody-wants") {
            let undo = HostInput::Release { saga: command.saga.clone(), step: command.step.clone() };
            let (stream, cause) = (host_stream(host)?, part(cause, "undone")?);
            self.worker.tell::<HostDecider>(&stream, &cause, &undo).await?;
        }
        Ok(Held::Done)
    }

    async fn lose(
        &self,
        cause: &Cause,
        command: &ReserveHost,
        host: HostId,
        refusal: &HostRefusal,
    ) -> Result<Held, Failure> {
        tracing::info!(%host, %refusal, "candidate lost");
        let cause = part(cause, &format!("lose:{host}"))?;
        let lose = ReservationInput::Lose { saga: command.saga.clone(), step: command.step.clone(), host };
        let stream = reservation_stream(&command.saga)?;
        let lost = self.worker.shell.execute::<ReservationDecider>(&stream, &cause, &lose).await?;
        Ok(Held::Lost(Box::new(lost.fold)))
    }

    async fn fail(&self, cause: &Cause, command: &ReserveHost, reason: String) -> Result<(), Failure> {
        let fail = ReservationInput::Fail {
            saga: command.saga.clone(),
            step: command.step.clone(),
            category: Category::Transient,
            reason,
        };
        let stream = reservation_stream(&command.saga)?;
        self.worker.shell.execute::<ReservationDecider>(&stream, &part(cause, "failed")?, &fail).await?;
        Ok(())
    }

    /// Gives back whatever is held for a saga, and lets nothing be held for it any more.
    pub(crate) async fn release(&self, cause: &Cause, command: &ReleaseReservation) -> Result<(), Failure> {
        let ReleaseReservation { saga, step } = command;
        let stream = reservation_stream(saga)?;
        let close = ReservationInput::Close { saga: saga.clone(), step: step.clone() };
        let closed =
            self.worker.shell.execute::<ReservationDecider>(&stream, &part(cause, "closed")?, &close).await?;
        let release = HostInput::Release { saga: saga.clone(), step: step.clone() };
        for host in &closed.fold.state.tried {
            match self.worker.shell.execute::<HostDecider>(&host_stream(host)?, cause, &release).await {
                Ok(_) => {}
                Err(ExecuteError::Refused(refusal)) => {
                    // No answer: the saga tries again, and ends visibly stuck rather than forget a dirty host.
                    tracing::error!(%host, %refusal, "a host cannot be given back");
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        let released = ReservationInput::Released {
            saga: saga.clone(),
            step: step.clone(),
            host: closed.fold.state.chosen.clone(),
        };
        self.worker
            .shell
            .execute::<ReservationDecider>(&stream, &part(cause, "released")?, &released)
            .await?;
        Ok(())
    }
}

/// How asking one candidate ended.
enum Held {
    /// The saga has its answer, or wants none any more.
    Done,
    /// Somebody else was faster.
    Lost(Box<Fold<ReservationDecider>>),
}

fn reservation_stream(saga: &SagaRef) -> Result<StreamId, Failure> {
    StreamId::new(ReservationDecider::CATEGORY, saga.id()).map_err(Failure::invalid)
}

/// Whether a choice that this command made before does not stand any more, as a later try has decided since. To act
/// on it would hold a host that the reservation does not know of, and that nobody would ever give back. After a
/// close it is acted on nevertheless: the hold is undone at once.
fn is_overtaken(state: &ReservationState, command: &ReserveHost, host: &HostId) -> bool {
    let stands = state.chosen.as_ref() == Some(host) && state.step.as_ref() == Some(&command.step);
    !state.closed && !stands
}

fn no_host(command: &ReserveHost, state: &ReservationState) -> String {
    let pool = &command.pool;
    let sku = command.sku.as_ref().map_or_else(String::new, |sku| format!(" of SKU {sku}"));
    let lost = match state.lost.len() {
        0 => String::new(),
        lost => format!("; {lost} were given to others while this was decided"),
    };
    format!(
        "no host{sku} is free in pool {pool}{lost}: check the pool's name, free or enrol hosts there, or ask for fewer"
    )
}
