//! Every workflow's statuses and the ways between them, once: the database's constraints have the same names, and
//! docs/STATES.md is this table printed. A test compares all three.

use std::fmt;

/// A workflow, as the page about states shows it.
#[derive(Debug, Clone, Copy)]
pub struct Workflow {
    /// The column that holds the status, such as `investments.status`.
    pub column: &'static str,
    /// What goes through it.
    pub about: &'static str,
    /// Status, what it means, and what it may become with what makes it so.
    pub states: &'static [State],
}

/// One status of a workflow.
#[derive(Debug, Clone, Copy)]
pub struct State {
    /// Its name in the database.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What it may become, and what makes it so.
    pub ways: &'static [(&'static str, &'static str)],
}

impl Workflow {
    /// Whether a row may go from one status to another. Staying is no change.
    pub fn allows(&self, from: &str, to: &str) -> bool {
        self.states
            .iter()
            .find(|state| state.name == from)
            .is_some_and(|state| state.ways.iter().any(|(name, _)| *name == to))
    }
}

/// A status that the database has and this program does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a status of {1}")]
pub struct UnknownStatus(pub String, pub &'static str);

/// Writes a workflow once: the enum, its names, and its ways.
macro_rules! workflows {
    ($($(#[doc = $about:literal])+ $name:ident in $column:literal: $constant:ident {
        $($(#[doc = $meaning:literal])+ $state:ident $text:literal => [$($to:ident $why:literal),*];)*
    })*) => {
        $(
            $(#[doc = $about])+
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub enum $name { $($(#[doc = $meaning])+ $state,)* }

            impl $name {
                /// All statuses.
                pub const ALL: &[$name] = &[$($name::$state,)*];

                /// The name in the database.
                pub fn name(self) -> &'static str {
                    match self { $($name::$state => $text,)* }
                }

                /// What it may become.
                pub fn may_become(self) -> &'static [$name] {
                    match self { $($name::$state => &[$($name::$to,)*],)* }
                }
            }

            impl std::str::FromStr for $name {
                type Err = UnknownStatus;
                fn from_str(name: &str) -> Result<$name, UnknownStatus> {
                    $name::ALL.iter().copied().find(|state| state.name() == name)
                        .ok_or_else(|| UnknownStatus(name.to_owned(), $column))
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(self.name())
                }
            }

            #[doc = concat!("The ways of `", $column, "`.")]
            pub const $constant: Workflow = Workflow {
                column: $column,
                about: concat!($($about,)+),
                states: &[$(State {
                    name: $text,
                    meaning: concat!($($meaning,)+),
                    ways: &[$(($name::$to.name_const(), $why),)*],
                },)*],
            };

            impl $name {
                const fn name_const(self) -> &'static str {
                    match self { $($name::$state => $text,)* }
                }
            }
        )*

        /// All workflows.
        pub const WORKFLOWS: &[&Workflow] = &[$(&$constant,)*];
    };
}

workflows! {
    /// An offering: one primary sale.
    OfferingStatus in "offerings.status": OFFERING {
        /// Being prepared; nobody can buy.
        Draft "draft" => [Open "an admin who did not make it opens it", Cancelled "the manager or an admin gives it up"];
        /// On sale within its window.
        Open "open" => [
            Funded "it ended (hard cap, deadline, announced early close) and the soft cap was reached",
            Failed "it ended below the soft cap, or an admin failed it"
        ];
        /// Sold; waits for the last right to withdraw, the settlement of payments and the evidence.
        Funded "funded" => [
            Closed "the gate passed; tokens and cash changed hands in one transaction",
            Failed "below the soft cap after all, no evidence by the long stop, or an admin failed it"
        ];
        /// Tokens are held, the issuer has the proceeds.
        Closed "closed" => [];
        /// Everybody gets back what was received.
        Failed "failed" => [];
        /// Given up before it opened.
        Cancelled "cancelled" => [];
    }
    /// An investment: one purchase.
    InvestmentStatus in "investments.status": INVESTMENT {
        /// Reserved, no money.
        Pending "pending" => [
            Paid "the charge arrived",
            Expired "nobody paid in time",
            Cancelled "the buyer cancelled, or the offering failed"
        ];
        /// The charge is in escrow.
        Paid "paid" => [
            Confirmed "the offering closed",
            RefundDue "the buyer withdrew in time, the offering failed, or the payment was charged back"
        ];
        /// The offering closed; the tokens are held.
        Confirmed "confirmed" => [];
        /// The reservation ran out.
        Expired "expired" => [];
        /// Given up before it was paid.
        Cancelled "cancelled" => [];
        /// What was received is owed back.
        RefundDue "refund_due" => [Refunded "the rail confirmed that everything went back"];
        /// What was received went back.
        Refunded "refunded" => [];
    }
    /// A checkout session: one way to pay one investment.
    SessionStatus in "payment_sessions.status": SESSION {
        /// The buyer can pay.
        Open "open" => [Paid "a payment arrived", Expired "the reservation ended unpaid"];
        /// A payment arrived by it.
        Paid "paid" => [];
        /// Ended unpaid; money that still arrives goes back.
        Expired "expired" => [Paid "a payment arrived late, and goes back"];
    }
    /// A refund: one payment, or a part of it, on its way back.
    RefundStatus in "refunds.status": REFUND {
        /// Owed, not yet asked of the rail.
        Due "due" => [
            Sent "the rail was asked",
            Confirmed "a chargeback gave the money back first"
        ];
        /// Asked of the rail; whether it arrived is not known yet.
        Sent "sent" => [
            Confirmed "the rail confirmed, or a chargeback did",
            Failed "the rail says that it could not"
        ];
        /// The money is back.
        Confirmed "confirmed" => [];
        /// The rail could not; a person decides.
        Failed "failed" => [
            Due "a second person approved another try",
            Confirmed "a chargeback gave the money back after all"
        ];
    }
    /// An incident: what stops closings and payouts of a property until two people cleared it.
    IncidentStatus in "incidents.status": INCIDENT {
        /// Stops.
        Open "open" => [Cleared "a second person approved the clearing"];
        /// Explained and cleared.
        Cleared "cleared" => [];
    }
    /// A tokenization process: the walk of a property from submission to launch.
    ProcessStatus in "tokenization_processes.status": PROCESS {
        /// A step is due.
        InProgress "in_progress" => [
            Rejected "a step was rejected",
            Completed "an admin launched, through the evidence gate",
            Cancelled "given up"
        ];
        /// A step was rejected, and can be submitted again.
        Rejected "rejected" => [InProgress "the step was submitted again", Cancelled "given up"];
        /// Launched.
        Completed "completed" => [];
        /// Given up.
        Cancelled "cancelled" => [];
    }
    /// A step of a tokenization process.
    StepStatus in "tokenization_steps.status": STEP {
        /// Its turn has not come.
        Pending "pending" => [InProgress "the step before it was approved", NotRequired "there is nothing to do in it, with the reason"];
        /// It is due.
        InProgress "in_progress" => [Submitted "its owner submitted it", Completed "an admin launched: nobody submits that step"];
        /// It waits for another person.
        Submitted "submitted" => [Completed "somebody else approved it", Rejected "somebody else rejected it, with the reason"];
        /// Approved.
        Completed "completed" => [];
        /// Refused with a reason.
        Rejected "rejected" => [Submitted "its owner submitted it again"];
        /// Not needed, with a reason.
        NotRequired "not_required" => [];
    }
    /// A document about a property.
    DocumentStatus in "property_documents.review_status": DOCUMENT {
        /// Waits for a compliance officer.
        Pending "pending" => [
            Accepted "a compliance officer who did not file it accepted it",
            Rejected "a compliance officer who did not file it rejected it, with the reason"
        ];
        /// Evidence, until it expires.
        Accepted "accepted" => [Revoked "a compliance officer who did not file it revoked it, with the reason"];
        /// Never was evidence; a new version is a new document.
        Rejected "rejected" => [];
        /// Was evidence.
        Revoked "revoked" => [];
    }
    /// An audit of a property.
    AuditStatus in "property_audits.compliance_status": AUDIT {
        /// Being made.
        InProgress "in_progress" => [
            Compliant "its findings make the risk low",
            Conditional "its findings make the risk medium or high, with 60 points or more",
            NonCompliant "its findings stand in the way"
        ];
        /// Nothing stands in the way.
        Compliant "compliant" => [];
        /// Something must be mended, and nothing stands in the way.
        Conditional "conditional" => [];
        /// Something stands in the way.
        NonCompliant "non_compliant" => [];
    }
    /// A period of rent: what a property received and paid, line by line from its bank.
    PeriodStatus in "rent_periods.status": PERIOD {
        /// Recorded by the manager; nothing is posted.
        Recorded "recorded" => [
            Approved "an overseer of another party compared it with the bank; it is posted",
            Rejected "an overseer says why; its lines can be recorded again"
        ];
        /// In the ledger, and distributable.
        Approved "approved" => [];
        /// Not so.
        Rejected "rejected" => [];
    }
    /// A distribution: one payment of a property's distributable cash.
    DistributionStatus in "distributions.status": DISTRIBUTION {
        /// Asked for; nothing is owed.
        Proposed "proposed" => [
            Declared "an overseer of another party declared it: the gate passed, the register is frozen, a debt to the holders",
            Cancelled "given up before it was declared"
        ];
        /// A debt to the holders at the record date.
        Declared "declared" => [Paying "the first holders are credited"];
        /// Holders are credited, part by part, and payouts are under way.
        Paying "paying" => [Paid "every holder is credited and every line is paid"];
        /// Every line is paid.
        Paid "paid" => [];
        /// Given up.
        Cancelled "cancelled" => [];
    }
    /// A line of a distribution: one holder's part, paid once.
    LineStatus in "distribution_lines.status": LINE {
        /// Owed to him from the declaration on, and not on its way.
        Payable "payable" => [Sent "he was credited, and the rail is asked"];
        /// On its way.
        Sent "sent" => [Paid "the rail confirmed", Failed "the rail says that it could not; the money is owed to him again"];
        /// Paid, or nothing of it is to be sent: all was withheld, or it is below the smallest unit.
        Paid "paid" => [];
        /// Owed to him; a person decides how to go on.
        Failed "failed" => [Payable "a second person approved another try"];
    }
    /// A payout: a line's money on its way to the holder.
    PayoutStatus in "payouts.status": PAYOUT {
        /// Owed, not yet asked of the rail.
        Due "due" => [Sent "the rail is asked"];
        /// Asked of the rail; whether it arrived is not known yet.
        Sent "sent" => [Confirmed "the rail confirmed", Failed "the rail says that it could not"];
        /// It arrived.
        Confirmed "confirmed" => [];
        /// The rail could not; a person decides.
        Failed "failed" => [Due "a second person approved another try"];
    }
    /// A transfer: tokens that one holder gives or sells to another.
    TransferStatus in "transfers.status": TRANSFER {
        /// Asked for by the holder; the tokens are promised.
        Requested "requested" => [
            Accepted "the receiver agreed, and may hold them",
            Declined "the receiver does not want them",
            Cancelled "the holder took it back",
            Expired "the receiver did not answer in time"
        ];
        /// Agreed; waits for a third person.
        Accepted "accepted" => [
            Completed "an overseer of a third party approved it, and the tokens moved",
            Rejected "an overseer of a third party says why",
            Cancelled "the holder or the receiver took it back",
            Expired "nobody decided in time"
        ];
        /// The tokens are the receiver's.
        Completed "completed" => [];
        /// Not wanted.
        Declined "declined" => [];
        /// Not approved.
        Rejected "rejected" => [];
        /// Taken back.
        Cancelled "cancelled" => [];
        /// Nobody went on with it in time.
        Expired "expired" => [];
    }
    /// A case file about holdings.
    HoldingCaseStatus in "holding_cases.status": HOLDING_CASE {
        /// Opened with its reason; waits for approvals. Nothing is changed yet.
        Open "open" => [
            Done "a second person approved, and what it says was done in the same transaction",
            Rejected "an overseer says why",
            Cancelled "whoever opened it gave it up"
        ];
        /// Done.
        Done "done" => [];
        /// Not to be done.
        Rejected "rejected" => [];
        /// Given up.
        Cancelled "cancelled" => [];
    }
    /// A redemption: a holder's tokens taken out, and the money owed to him for them.
    RedemptionStatus in "redemptions.status": REDEMPTION {
        /// Owed to him, and not on its way.
        Payable "payable" => [Sent "the rail is asked"];
        /// On its way.
        Sent "sent" => [Paid "the rail confirmed", Failed "the rail says that it could not; the money is owed to him again"];
        /// Paid, or his part is below the smallest unit.
        Paid "paid" => [];
        /// Owed to him; a person decides how to go on.
        Failed "failed" => [Payable "a second person approved another try"];
    }
    /// A holder's own tax form.
    TaxFormStatus in "tax_forms.status": TAX_FORM {
        /// Filed with its document; no rate rests on it.
        Filed "filed" => [
            Checked "an officer of another party compared it with its document",
            Rejected "an officer says why",
            Replaced "the holder filed another of its kind"
        ];
        /// Rates may rest on it until it expires.
        Checked "checked" => [Replaced "a newer one of its kind was checked"];
        /// Not so.
        Rejected "rejected" => [];
        /// There is a newer one.
        Replaced "replaced" => [];
    }
    /// A rate of withholding, as an admin proposes it.
    RateStatus in "withholding_rate_proposals.status": RATE {
        /// Holds for nobody.
        Proposed "proposed" => [
            Approved "an overseer of another party approved it before the day from which it is to hold",
            Rejected "an overseer says why"
        ];
        /// A dated rate, never changed.
        Approved "approved" => [];
        /// Not so.
        Rejected "rejected" => [];
    }
    /// A verification of a party's identity.
    KycStatus in "kyc_cases.status": KYC_CASE {
        /// Nobody looks at it yet.
        Submitted "submitted" => [InReview "a compliance officer who is a stranger to the party took it", Withdrawn "the person took it back"];
        /// A compliance officer looks at it; another may take it over.
        InReview "in_review" => [
            Approved "the officer who took it approved it",
            Rejected "the officer who took it rejected it, with the reason",
            Withdrawn "the person took it back"
        ];
        /// It counts until it expires.
        Approved "approved" => [
            Expired "its time is over: it counts no more at that instant, and the job writes it down",
            Superseded "a newer one of the party was approved",
            Revoked "a compliance officer took the approval back, with the reason"
        ];
        /// It was not shown.
        Rejected "rejected" => [];
        /// It counted, and that has ended.
        Expired "expired" => [];
        /// Taken back before it was decided.
        Withdrawn "withdrawn" => [];
        /// A newer approval took its place.
        Superseded "superseded" => [];
        /// An approval that was taken back.
        Revoked "revoked" => [];
    }
    /// A request to count as accredited or sophisticated. An entry test begins approved or rejected.
    AccreditationStatus in "accreditation_cases.status": ACCREDITATION_CASE {
        /// Nobody looks at it yet.
        Submitted "submitted" => [InReview "a compliance officer who is a stranger to the party took it", Withdrawn "the person took it back"];
        /// A compliance officer looks at it; another may take it over.
        InReview "in_review" => [
            Approved "the officer who took it approved it",
            Rejected "the officer who took it rejected it, with the reason",
            Withdrawn "the person took it back"
        ];
        /// It counts until it expires.
        Approved "approved" => [
            Expired "its time is over: it counts no more at that instant, and the job writes it down",
            Superseded "a newer one of the party was approved",
            Revoked "a compliance officer took the approval back, with the reason"
        ];
        /// It was not shown.
        Rejected "rejected" => [];
        /// It counted, and that has ended.
        Expired "expired" => [];
        /// Taken back before it was decided.
        Withdrawn "withdrawn" => [];
        /// A newer approval took its place.
        Superseded "superseded" => [];
        /// An approval that was taken back.
        Revoked "revoked" => [];
    }
}

/// The page about states, as docs/STATES.md has it.
pub fn page(workflows: &[&Workflow]) -> String {
    let mut text = String::from(
        "# States\n\nEvery workflow's statuses and what they may become. Printed from `mint_core::states`; a test keeps the page, the\n\
         table and the database's constraints equal, and every change of status that the tests cause is looked up in it.\n",
    );
    for workflow in workflows {
        text += &format!(
            "\n## `{}`\n\n{}\n\n| status | meaning | may become |\n| --- | --- | --- |\n",
            workflow.column,
            workflow.about.trim()
        );
        for state in workflow.states {
            let ways: Vec<String> = state.ways.iter().map(|(to, why)| format!("`{to}`: {why}")).collect();
            let ways = if ways.is_empty() {
                "(an end)".to_owned()
            } else {
                ways.join("; ")
            };
            text += &format!("| `{}` | {} | {ways} |\n", state.name, state.meaning.trim());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_ways_are_the_tables() {
        for &status in InvestmentStatus::ALL {
            assert_eq!(status.name().parse(), Ok(status));
            for &to in InvestmentStatus::ALL {
                assert_eq!(
                    INVESTMENT.allows(status.name(), to.name()),
                    status.may_become().contains(&to)
                );
            }
        }
        assert!("gone".parse::<InvestmentStatus>().is_err());
    }

    #[test]
    fn every_status_is_reached_and_every_end_is_reachable() {
        for workflow in WORKFLOWS {
            let first = workflow.states[0].name;
            let mut reached = vec![first];
            let mut at = 0;
            while let Some(name) = reached.get(at).copied() {
                let state = workflow.states.iter().find(|state| state.name == name).unwrap();
                for (to, _) in state.ways {
                    if !reached.contains(to) {
                        reached.push(to);
                    }
                }
                at += 1;
            }
            assert_eq!(reached.len(), workflow.states.len(), "{}", workflow.column);
        }
    }
}
