//! What is said of pools: a metric that has crossed a threshold, or is back.

use hostler_events::PoolId;
use hostler_events::signal::{Direction, Metric, ReportThreshold};

use super::item::{Claim, SHELF_LIFE, Said, short};

/// A metric of a pool, as texts.
pub(super) struct Measured<'a> {
    pub(super) pool: &'a str,
    pub(super) metric: &'a str,
    pub(super) direction: Option<&'a str>,
    pub(super) value: Option<f64>,
    pub(super) threshold: Option<f64>,
}

impl Measured<'_> {
    /// What is claimed of the pool.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub(super) fn claimed(self, claim: Claim) -> Result<Said, String> {
        let direction = match self.direction {
            Some("above") => Direction::Above,
            Some("below") => Direction::Below,
            Some(other) => {
                let other = short(other, 40);
                return Err(format!(
                    "its direction is {other:?}: label it direction=above or direction=below"
                ));
            }
            None => {
                return Err("it does not say on which side of the threshold the metric is: label it direction=above or direction=below".to_owned());
            }
        };
        Ok(Said::Pool(Box::new(ReportThreshold {
            pool: PoolId::new(self.pool).map_err(|error| error.to_string())?,
            header: claim.header(SHELF_LIFE)?,
            metric: Metric::new(self.metric).map_err(|error| error.to_string())?,
            value: self.value,
            threshold: self.threshold,
            direction,
        })))
    }
}

/// A number in a text.
///
/// # Errors
/// When it is none, or no finite one.
pub(super) fn number(what: &str, text: Option<&str>) -> Result<Option<f64>, String> {
    let Some(text) = text else { return Ok(None) };
    let number: Option<f64> = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
    number.map(Some).ok_or_else(|| {
        format!("its {what} is {:?}, and no number: send one such as 0.93, without a unit", short(text, 40))
    })
}
