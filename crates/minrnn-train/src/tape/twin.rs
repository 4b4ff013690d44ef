//! The slow twin of a plan: every launch in plain float64 loops in host memory. Plans are tested with it against candle's gradients, kernels
//! against it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::host::Host;
use super::launch::Launch;
use super::plan::Plan;
use crate::optim::Rule;

/// A plan with host memory that it runs in.
#[derive(Debug)]
pub struct Twin {
    plan: Plan,
    host: Host,
}

/// Its memory.
impl Deref for Twin {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl DerefMut for Twin {
    fn deref_mut(&mut self) -> &mut Host {
        &mut self.host
    }
}

impl Twin {
    /// Memory for a plan; parameters zero, buffers poisoned.
    pub fn new(plan: Plan, rule: Arc<dyn Rule>) -> Self {
        let arena = (plan.buffers.clone(), plan.arena);
        let host = Host::new(plan.layout.clone(), plan.options.compute, arena, rule);
        Self { plan, host }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs all launches.
    pub fn run(&mut self) {
        for launch in &self.plan.launches {
            launch.kernel().host(&mut self.host);
        }
    }

    /// Runs one launch.
    pub fn launch(&mut self, launch: &Launch) {
        launch.kernel().host(&mut self.host);
    }
}
