use proptest::prelude::*;

use super::*;

fn steps(statuses: &[StepStatus]) -> Vec<(Step, StepStatus)> {
    let rest = std::iter::repeat(&StepStatus::Pending);
    Step::ALL
        .iter()
        .copied()
        .zip(statuses.iter().chain(rest).copied())
        .collect()
}

fn on_file(is_accepted: bool) -> Vec<OnFile> {
    ["deed", "insurance", "appraisal", "entity_papers"]
        .map(|kind| OnFile {
            document_type: kind.to_owned(),
            is_accepted,
        })
        .to_vec()
}

const ME: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

#[test]
fn names_read_back() {
    for &step in Step::ALL {
        assert_eq!(step.name().parse(), Ok(step));
        assert_eq!(
            usize::try_from(step.order()).unwrap(),
            Step::ALL.iter().position(|s| *s == step).unwrap() + 1
        );
    }
    assert!("minting".parse::<Step>().is_err());
    for &status in ProcessStatus::ALL {
        assert_eq!(status.name().parse(), Ok(status));
    }
}

#[test]
fn progress_is_what_the_steps_say() {
    use StepStatus::{Completed, InProgress, NotRequired, Rejected};
    let none = progress(&steps(&[InProgress]));
    assert_eq!(
        (none.current, none.percentage, none.status),
        (Some(Step::Submission), 0, ProcessStatus::InProgress)
    );
    let refused = progress(&steps(&[Completed, Rejected]));
    assert_eq!((refused.completed, refused.percentage), (vec![Step::Submission], 12));
    assert_eq!(
        (refused.current, refused.status),
        (Some(Step::Valuation), ProcessStatus::Rejected)
    );
    let without = [
        Completed,
        Completed,
        Completed,
        Completed,
        Completed,
        NotRequired,
        InProgress,
    ];
    let near = progress(&steps(&without));
    assert_eq!(
        (near.current, near.percentage),
        (Some(Step::Audit), 71),
        "five of seven that are required"
    );
    let all = [&without[..6], &[Completed, Completed]].concat();
    let done = progress(&steps(&all));
    assert_eq!(
        (done.current, done.percentage, done.status),
        (None, 100, ProcessStatus::Completed)
    );
    assert!(
        !done.completed.contains(&Step::ContractDeployment),
        "what was not required was not done"
    );
}

#[test]
fn a_step_is_submitted_and_approved_by_two() {
    let (filed, accepted) = (on_file(false), on_file(true));
    let due = steps(&[StepStatus::InProgress]);
    let asked = |steps, on_file| Asked {
        step: Step::Submission,
        steps,
        on_file,
    };
    assert_eq!(
        asked(&due, &filed).submit(),
        Ok(StepStatus::Submitted),
        "a review may come later"
    );
    let refused = asked(&due, &[]).submit().unwrap_err();
    assert_eq!(
        (refused.rule.as_str(), refused.inputs["missing"].as_str()),
        ("tokenization.evidence", "deed or title_search")
    );

    let submitted = steps(&[StepStatus::Submitted]);
    let rule = |outcome: Result<StepStatus, Refusal>| outcome.unwrap_err().rule;
    assert_eq!(
        rule(asked(&submitted, &accepted).approve(ME, Some(ME))),
        "tokenization.four_eyes"
    );
    assert_eq!(
        rule(asked(&submitted, &accepted).approve(ME, None)),
        "tokenization.four_eyes"
    );
    assert_eq!(
        rule(asked(&submitted, &filed).approve(OTHER, Some(ME))),
        "tokenization.evidence"
    );
    assert_eq!(
        asked(&submitted, &accepted).approve(OTHER, Some(ME)),
        Ok(StepStatus::Completed)
    );
    assert_eq!(
        asked(&submitted, &[]).reject(OTHER, Some(ME)),
        Ok(StepStatus::Rejected),
        "evidence or not"
    );
    assert_eq!(
        rule(asked(&due, &accepted).reject(OTHER, Some(ME))),
        "tokenization.step_order"
    );
    let later = Asked {
        step: Step::Valuation,
        steps: &due,
        on_file: &accepted,
    };
    assert_eq!(rule(later.submit()), "tokenization.step_is_due");
}

#[test]
fn whoever_submitted_does_not_launch() {
    use StepStatus::{Completed, InProgress, NotRequired};
    let steps = steps(&[
        Completed,
        Completed,
        Completed,
        Completed,
        Completed,
        NotRequired,
        Completed,
        InProgress,
    ]);
    let asked = Asked {
        step: Step::Launch,
        steps: &steps,
        on_file: &[],
    };
    assert_eq!(
        asked.launch(ME, &[OTHER, ME]).unwrap_err().rule,
        "tokenization.four_eyes"
    );
    assert_eq!(asked.launch(ME, &[OTHER]), Ok(StepStatus::Completed));
}

#[test]
fn the_register_needs_no_contract() {
    let after = next_steps(Step::TokenConfiguration, false);
    assert_eq!(after, (Some(Step::ContractDeployment), Some(Step::Audit)));
    assert_eq!(
        next_steps(Step::TokenConfiguration, true),
        (None, Some(Step::ContractDeployment))
    );
    assert_eq!(next_steps(Step::Launch, false), (None, None));
}

proptest! {
    /// Whatever is tried in whatever order, a process only ever moves along its table, one step at a time, and is
    /// completed when every required step is.
    #[test]
    fn a_walk_never_leaves_the_table(tries in proptest::collection::vec((0..8_usize, 0..4_u8, any::<bool>(), any::<bool>()), 0..120)) {
        let mut walk = steps(&[StepStatus::InProgress]);
        let mut submitter = None;
        for (at, what, by_me, accepted) in tries {
            let step = Step::ALL[at];
            let by = if by_me { ME } else { OTHER };
            let documents = on_file(accepted);
            let asked = Asked { step, steps: &walk, on_file: &documents };
            let outcome = match what {
                0 => asked.submit(),
                1 => asked.approve(by, submitter),
                2 => asked.reject(by, submitter),
                _ if step == Step::Launch => asked.launch(OTHER, &[ME]),
                _ => continue,
            };
            let Ok(next) = outcome else { continue };
            let from = walk[at].1;
            prop_assert!(from.may_become().contains(&next), "{step}: {from} to {next}");
            prop_assert!(walk[..at].iter().all(|(_, before)| matches!(before, StepStatus::Completed | StepStatus::NotRequired)));
            prop_assert!(next != StepStatus::Completed || what == 3 || submitter != Some(by), "four eyes");
            walk[at].1 = next;
            match next {
                StepStatus::Submitted => submitter = Some(by),
                StepStatus::Completed => {
                    let (skipped, due) = next_steps(step, false);
                    for (step, status) in &mut walk {
                        if Some(*step) == skipped { *status = StepStatus::NotRequired }
                        if Some(*step) == due { *status = StepStatus::InProgress }
                    }
                }
                StepStatus::Pending | StepStatus::InProgress | StepStatus::Rejected | StepStatus::NotRequired => {}
            }
            let progress = progress(&walk);
            prop_assert_eq!(progress.status == ProcessStatus::Completed, progress.percentage == 100);
        }
    }
}
