//! The tokenization process: its steps, who owns each, what evidence each needs, and what may become of them.
//!
//! Pure: the caller has locked the process and loaded its steps and documents. Nobody approves what they submitted; four
//! eyes are counted by party. How far a process is, is derived from its steps and never kept by hand.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::{
    refusal::Refusal,
    role::Role,
    states::{ProcessStatus, StepStatus},
};

/// Writes the steps once: the enum, the database's names, and what follows each.
macro_rules! steps {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident $text:literal => [$($next:ident),*];)* }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $doc])+ $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            /// The name in the database.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// What follows it.
            pub fn is_followed_by(self) -> &'static [$name] {
                match self { $($name::$variant => &[$($name::$next,)*],)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;
            fn from_str(name: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|known| known.name() == name).ok_or_else(|| UnknownName(name.to_owned()))
            }
        }
    };
}

/// A name that stands for nothing here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no step of a tokenization")]
pub struct UnknownName(pub String);

steps! {
    /// A step of the process, in its order.
    Step {
        /// The manager submits the property with evidence of its title.
        Submission "submission" => [Valuation];
        /// What it is worth.
        Valuation "valuation" => [LegalStructuring];
        /// The entity that holds it.
        LegalStructuring "legal_structuring" => [ComplianceReview];
        /// A compliance officer looks at everything, a second one or an admin agrees.
        ComplianceReview "compliance_review" => [TokenConfiguration];
        /// Supply, price, name.
        TokenConfiguration "token_configuration" => [ContractDeployment];
        /// The system's; not required while the register alone settles.
        ContractDeployment "contract_deployment" => [Audit];
        /// A finished audit of the property.
        Audit "audit" => [Launch];
        /// An admin's, through the evidence gate.
        Launch "launch" => [];
    }
}

/// Why `contract_deployment` is not required.
pub const SETTLED_IN_THE_REGISTER: &str =
    "settlement is 'register': the register alone says who holds, and there is no contract to deploy";

/// Evidence that a step needs: any one of these documents.
pub type Need = &'static [&'static str];

impl Step {
    /// Whose it is to submit; none for what nobody submits.
    pub fn submitted_by(self) -> Option<Role> {
        match self {
            Step::Submission | Step::Valuation | Step::LegalStructuring | Step::TokenConfiguration => {
                Some(Role::PropertyManager)
            }
            Step::ComplianceReview | Step::Audit => Some(Role::ComplianceOfficer),
            Step::ContractDeployment | Step::Launch => None,
        }
    }

    /// The documents that must be on file to submit it, and accepted and current to approve it.
    pub fn needs(self) -> &'static [Need] {
        const TITLE: Need = &["deed", "title_search"];
        match self {
            Step::Submission => &[TITLE],
            Step::Valuation => &[&["appraisal"]],
            Step::LegalStructuring => &[&["entity_papers"]],
            Step::ComplianceReview => &[TITLE, &["insurance"], &["appraisal"], &["entity_papers"]],
            Step::TokenConfiguration | Step::ContractDeployment | Step::Audit | Step::Launch => &[],
        }
    }

    /// Its place in the walk, from 1.
    pub fn order(self) -> i16 {
        let before = Step::ALL.iter().take_while(|step| **step != self).count();
        i16::try_from(before + 1).unwrap_or(i16::MAX)
    }
}

/// How far a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The steps done, in order.
    pub completed: Vec<Step>,
    /// The step that is due; none once all are done.
    pub current: Option<Step>,
    /// Part of the required steps that is done, in percent, rounded down.
    pub percentage: i32,
    /// What that makes of the process.
    pub status: ProcessStatus,
}

/// Derives how far a process is from its steps.
pub fn progress(steps: &[(Step, StepStatus)]) -> Progress {
    let status_of = |step: Step| {
        steps
            .iter()
            .find(|(known, _)| *known == step)
            .map(|(_, status)| *status)
    };
    let is_done = |step: &Step| status_of(*step) == Some(StepStatus::Completed);
    let is_required = |step: &Step| status_of(*step) != Some(StepStatus::NotRequired);
    let completed: Vec<Step> = Step::ALL.iter().copied().filter(is_done).collect();
    let required = Step::ALL.iter().filter(|step| is_required(step)).count();
    let current = Step::ALL
        .iter()
        .copied()
        .find(|step| is_required(step) && !is_done(step));
    let status = match current.map(status_of) {
        None => ProcessStatus::Completed,
        Some(Some(StepStatus::Rejected)) => ProcessStatus::Rejected,
        Some(_) => ProcessStatus::InProgress,
    };
    let percentage = (completed.len() * 100).checked_div(required).unwrap_or(100);
    Progress {
        completed,
        current,
        percentage: i32::try_from(percentage).unwrap_or(100),
        status,
    }
}

/// A document on file, as the steps look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnFile {
    /// Its kind.
    pub document_type: String,
    /// Whether it is accepted; else it waits for its review.
    pub is_accepted: bool,
}

/// The step that somebody wants to move, with what decides.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// Which.
    pub step: Step,
    /// All steps of its process.
    pub steps: &'a [(Step, StepStatus)],
    /// The documents of its property that are pending or accepted and have not expired.
    pub on_file: &'a [OnFile],
}

impl Asked<'_> {
    /// Submits the step, or submits it again.
    pub fn submit(&self) -> Result<StepStatus, Refusal> {
        self.is_due()?;
        self.may_become(
            StepStatus::Submitted,
            "a step that is due or was rejected can be submitted",
        )?;
        self.has_evidence(|_| true, "file")?;
        Ok(StepStatus::Submitted)
    }

    /// Approves what `submitter` submitted, by somebody of party `by`.
    pub fn approve(&self, by: Uuid, submitter: Option<Uuid>) -> Result<StepStatus, Refusal> {
        self.is_due()?;
        self.may_become(StepStatus::Completed, "it must be submitted first")?;
        self.is_by_another(by, submitter)?;
        self.has_evidence(|document| document.is_accepted, "have accepted")?;
        Ok(StepStatus::Completed)
    }

    /// Rejects what `submitter` submitted, by somebody of party `by`.
    pub fn reject(&self, by: Uuid, submitter: Option<Uuid>) -> Result<StepStatus, Refusal> {
        self.is_due()?;
        self.may_become(StepStatus::Rejected, "only what was submitted can be rejected")?;
        self.is_by_another(by, submitter)?;
        Ok(StepStatus::Rejected)
    }

    /// Launches, by somebody of party `by`: the last step, which nobody submits. Whoever submitted a step does not launch.
    pub fn launch(&self, by: Uuid, submitters: &[Uuid]) -> Result<StepStatus, Refusal> {
        self.is_due()?;
        if submitters.contains(&by) {
            return Err(self.four_eyes("whoever submitted a step of it does not launch it"));
        }
        self.may_become(StepStatus::Completed, "it is launched already")?;
        Ok(StepStatus::Completed)
    }

    fn status(&self) -> Option<StepStatus> {
        self.steps
            .iter()
            .find(|(step, _)| *step == self.step)
            .map(|(_, status)| *status)
    }

    fn is_due(&self) -> Result<(), Refusal> {
        let current = progress(self.steps).current;
        if current == Some(self.step) {
            return Ok(());
        }
        let due = current.map_or("none", Step::name);
        Err(Refusal::new(
            "tokenization.step_is_due",
            format!("{} is not the step that is due", self.step),
            format!("the step that is due: {due}"),
        )
        .looking_at("step", self.step)
        .looking_at("due", due))
    }

    fn may_become(&self, next: StepStatus, remedy: &str) -> Result<(), Refusal> {
        let status = self.status();
        if status.is_some_and(|status| status.may_become().contains(&next)) {
            return Ok(());
        }
        let found = status.map_or("none", StepStatus::name);
        Err(Refusal::new(
            "tokenization.step_order",
            format!("the step is {found} and cannot become {next}"),
            remedy,
        )
        .looking_at("step", self.step)
        .looking_at("status", found))
    }

    fn is_by_another(&self, by: Uuid, submitter: Option<Uuid>) -> Result<(), Refusal> {
        match submitter {
            Some(submitter) if submitter != by => Ok(()),
            Some(_) | None => Err(self.four_eyes("nobody decides about what they submitted")),
        }
    }

    fn four_eyes(&self, reason: &str) -> Refusal {
        Refusal::new("tokenization.four_eyes", reason, "another person does it").looking_at("step", self.step)
    }

    fn has_evidence(&self, counts: impl Fn(&OnFile) -> bool, verb: &str) -> Result<(), Refusal> {
        let is_met = |need: &&Need| {
            let fits = |document: &&OnFile| need.contains(&document.document_type.as_str());
            self.on_file.iter().filter(fits).any(&counts)
        };
        let missing: Vec<String> = self
            .step
            .needs()
            .iter()
            .filter(|need| !is_met(need))
            .map(|need| need.join(" or "))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.join("; ");
        Err(Refusal::new(
            "tokenization.evidence",
            format!("{} needs evidence that is not there: {missing}", self.step),
            format!("{verb} current: {missing}"),
        )
        .looking_at("step", self.step)
        .looking_at("missing", missing))
    }
}

/// What the next required step is after one, where `contract_deployment` is not required.
pub fn next_steps(after: Step, deploys_contract: bool) -> (Option<Step>, Option<Step>) {
    let next = after.is_followed_by().first().copied();
    match next {
        Some(Step::ContractDeployment) if !deploys_contract => (
            Some(Step::ContractDeployment),
            Step::ContractDeployment.is_followed_by().first().copied(),
        ),
        Some(_) | None => (None, next),
    }
}

#[cfg(test)]
mod tests;
