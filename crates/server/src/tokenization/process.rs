//! A process and its steps: begun, locked, derived, shown.

use mint_core::{
    refusal::Refusal,
    role::Role,
    states::StepStatus,
    tokenization::{OnFile, Step, progress},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    documents::gate::OfferingKind,
    outbox,
    permission::Person,
    problem::Problem,
};

/// A process under its lock.
pub(super) struct Process {
    pub(super) id: Uuid,
    pub(super) property_id: Uuid,
    pub(super) user_id: Uuid,
    pub(super) offering_kind: OfferingKind,
    pub(super) token_id: Option<Uuid>,
    pub(super) currency: String,
    pub(super) currency_decimals: i16,
    pub(super) deploys_contract: bool,
    pub(super) steps: Vec<(Step, StepStatus)>,
    rows: Vec<StepRow>,
}

struct StepRow {
    step: Step,
    data: Value,
    submitter: Option<Uuid>,
}

impl Process {
    /// Locks a process and loads it with its steps.
    pub(super) async fn lock(command: &Command, id: Uuid) -> Result<Process, Problem> {
        let text = sql!(
            "select p.property_id, p.user_id, p.offering_kind, p.property_token_id, h.currency, h.currency_decimals,
                    coalesce((select t.settlement = 'chain' from public.property_tokens as t where t.id = p.property_token_id), false)
             from public.tokenization_processes as p join public.properties as h on h.id = p.property_id
             where p.id = $1 for update of p"
        );
        let row = command.tx.query_opt(text, &[&id]).await?.ok_or(Problem::NotFound)?;
        let kind: &str = row.try_get(2)?;
        let (steps, rows) = load_steps(command, id).await?;
        Ok(Process {
            id,
            property_id: row.try_get(0)?,
            user_id: row.try_get(1)?,
            offering_kind: if kind == OfferingKind::Acquisition.name() {
                OfferingKind::Acquisition
            } else {
                OfferingKind::IssuerOwns
            },
            token_id: row.try_get(3)?,
            currency: row.try_get(4)?,
            currency_decimals: row.try_get(5)?,
            deploys_contract: row.try_get(6)?,
            steps,
            rows,
        })
    }

    /// The party that submitted a step last.
    pub(super) fn submitter_of(&self, step: Step) -> Option<Uuid> {
        self.rows.iter().find(|row| row.step == step)?.submitter
    }

    /// The parties that submitted any of its steps.
    pub(super) fn submitters(&self) -> Vec<Uuid> {
        self.rows.iter().filter_map(|row| row.submitter).collect()
    }

    /// What was submitted with a step.
    pub(super) fn data_of(&self, step: Step) -> Map<String, Value> {
        let row = self.rows.iter().find(|row| row.step == step);
        row.and_then(|row| row.data.as_object().cloned()).unwrap_or_default()
    }

    /// The property's documents that are pending or accepted, and have not expired.
    pub(super) async fn on_file(&self, command: &Command) -> Result<Vec<OnFile>, Problem> {
        let text = sql!(
            "select document_type, bool_or(review_status = 'accepted') from public.property_documents
             where property_id = $1 and review_status in ('pending', 'accepted') and (expires_at is null or expires_at > $2)
             group by document_type"
        );
        let rows = command.tx.query(text, &[&self.property_id, &command.now]).await?;
        let document = |row: &tokio_postgres::Row| -> Result<OnFile, Problem> {
            Ok(OnFile {
                document_type: row.try_get(0)?,
                is_accepted: row.try_get(1)?,
            })
        };
        rows.iter().map(document).collect()
    }
}

async fn load_steps(command: &Command, id: Uuid) -> Result<(Vec<(Step, StepStatus)>, Vec<StepRow>), Problem> {
    let text = sql!(
        "select s.step_name, s.status, s.step_data, u.party_id
         from public.tokenization_steps as s left join public.user_profiles as u on u.id = s.submitted_by
         where s.process_id = $1 order by s.step_order"
    );
    let (mut steps, mut rows) = (Vec::new(), Vec::new());
    for row in command.tx.query(text, &[&id]).await? {
        let step = row.try_get::<_, &str>(0)?.parse().map_err(Problem::internal)?;
        steps.push((step, row.try_get::<_, &str>(1)?.parse().map_err(Problem::internal)?));
        rows.push(StepRow {
            step,
            data: row.try_get(2)?,
            submitter: row.try_get(3)?,
        });
    }
    Ok((steps, rows))
}

/// Writes what follows from the steps: what is done, what is due, and what that makes of the process. A launch completes it
/// with its pass, in one statement, since the database lets no process be completed without.
pub(super) async fn derive(command: &Command, id: Uuid) -> Result<(), Problem> {
    derive_with(command, id, None).await
}

pub(super) async fn derive_with(command: &Command, id: Uuid, pass: Option<Uuid>) -> Result<(), Problem> {
    let (steps, _) = load_steps(command, id).await?;
    let progress = progress(&steps);
    let completed: Vec<&str> = progress.completed.iter().map(|step| step.name()).collect();
    let text = sql!(
        "update public.tokenization_processes
         set steps_completed = $2, current_step = $3, progress_percentage = $4, status = $5, launch_pass_id = $6 where id = $1"
    );
    let (current, status) = (progress.current.map(Step::name), progress.status.name());
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&id, &json!(completed), &current, &progress.percentage, &status, &pass];
    command.tx.execute(text, params).await?;
    Ok(())
}

/// Looks at processes, or begins one.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Monitor {
    /// Those that the caller may see, the newest first.
    ListProcesses,
    /// One of them.
    GetProcess {
        /// Which.
        process_id: Uuid,
    },
    /// Begins one for a property that the caller manages.
    CreateProcess {
        /// Of which property.
        property_id: Uuid,
        /// Which kind of offering the property is tokenized for.
        #[serde(default)]
        offering_kind: OfferingKind,
    },
}

/// Lists, shows or begins processes.
///
/// # Errors
/// Where there is no such process for the caller, or none can be begun.
pub async fn monitor(command: &Command, person: &Person, body: Monitor) -> Result<Value, Problem> {
    match body {
        Monitor::ListProcesses => {
            let processes = seen_by(command, person, None).await?;
            Ok(json!({ "success": true, "processes": processes }))
        }
        Monitor::GetProcess { process_id } => {
            let process = seen_by(command, person, Some(process_id)).await?.pop();
            Ok(json!({ "success": true, "process": process.ok_or(Problem::NotFound)? }))
        }
        Monitor::CreateProcess {
            property_id,
            offering_kind,
        } => {
            let id = create(command, person, property_id, offering_kind).await?;
            Ok(json!({ "success": true, "process": show(command, id).await? }))
        }
    }
}

async fn create(command: &Command, person: &Person, property_id: Uuid, kind: OfferingKind) -> Result<Uuid, Problem> {
    let manager = person.manager_of(command, property_id).await?;
    let text = sql!("select origin, tokenization_status from public.properties where id = $1 for update");
    let property = command
        .tx
        .query_opt(text, &[&property_id])
        .await?
        .ok_or(Problem::NotFound)?;
    let (origin, status): (&str, &str) = (property.try_get(0)?, property.try_get(1)?);
    if origin == "import" || !["not_started", "rejected", "cancelled"].contains(&status) {
        return Err(Refusal::new(
            "tokenization.can_begin",
            "the property is tokenized already, on its way, or the history of another platform",
            "begin with a property of your own that is not on its way",
        )
        .looking_at("origin", origin)
        .looking_at("tokenization_status", status)
        .into());
    }
    let id = Uuid::now_v7();
    let text = sql!(
        "insert into public.tokenization_processes (id, property_id, user_id, offering_kind, current_step, created_at)
         values ($1, $2, $3, $4, $5, $6)"
    );
    let (kind, first) = (kind.name(), Step::Submission.name());
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&id, &property_id, &manager.user_id(), &kind, &first, &command.now];
    command
        .tx
        .execute(text, params)
        .await
        .on_constraint("tokenization_processes_one_under_way_key", || {
            Refusal::new(
                "tokenization.one_at_a_time",
                "a process of this property is under way",
                "go on with that one",
            )
            .into()
        })?;
    let text = sql!(
        "insert into public.tokenization_steps (process_id, step_name, step_order, status, started_at, created_at)
         select $1, s.name, s.place, case s.place when 1 then 'in_progress' else 'pending' end, case s.place when 1 then $4::timestamptz end, $4
         from unnest($2::text[], $3::smallint[]) as s (name, place)"
    );
    let names: Vec<&str> = Step::ALL.iter().map(|step| step.name()).collect();
    let places: Vec<i16> = Step::ALL.iter().map(|step| step.order()).collect();
    command.tx.execute(text, &[&id, &names, &places, &command.now]).await?;
    let text = sql!("update public.properties set tokenization_status = 'in_progress' where id = $1");
    command.tx.execute(text, &[&property_id]).await?;
    let told = json!({ "process_id": id, "property_id": property_id });
    outbox::emit(command, "tokenization.begun", &id.to_string(), &told).await?;
    Ok(id)
}

/// A process as front ends read it, for whom the caller has checked already.
pub(super) async fn show(command: &Command, id: Uuid) -> Result<Value, Problem> {
    load(command, Uuid::nil(), true, Some(id))
        .await?
        .pop()
        .ok_or(Problem::NotFound)
}

/// The processes that a person may see: overseers all, others those that they submitted or whose property they act for.
pub(super) async fn seen_by(command: &Command, person: &Person, only: Option<Uuid>) -> Result<Vec<Value>, Problem> {
    let sees_all = person.has(Role::Admin) || person.has(Role::ComplianceOfficer);
    load(command, person.user_id(), sees_all, only).await
}

/// The most processes that one answer lists.
const PROCESSES_MAX: i64 = 200;

async fn load(command: &Command, user_id: Uuid, sees_all: bool, only: Option<Uuid>) -> Result<Vec<Value>, Problem> {
    let text = sql!(
        "select jsonb_build_object('id', p.id, 'property_id', p.property_id, 'user_id', p.user_id, 'status', p.status,
           'current_step', p.current_step, 'progress_percentage', p.progress_percentage, 'steps_completed', p.steps_completed,
           'offering_kind', p.offering_kind, 'property_token_id', p.property_token_id, 'launch_pass_id', p.launch_pass_id,
           'created_at', p.created_at, 'updated_at', p.updated_at,
           'properties', jsonb_build_object('title', h.title, 'location', h.location, 'price', h.price),
           'tokenization_steps', coalesce((select jsonb_agg(jsonb_build_object('id', s.id, 'step_name', s.step_name, 'step_order', s.step_order,
              'status', s.status, 'started_at', s.started_at, 'completed_at', s.completed_at, 'duration_seconds', s.duration_seconds,
              'submitted_by', s.submitted_by, 'submitted_at', s.submitted_at, 'decided_by', s.decided_by, 'step_data', s.step_data,
              'error_details', s.error_details) order by s.step_order)
              from public.tokenization_steps as s where s.process_id = p.id), '[]'))
         from public.tokenization_processes as p join public.properties as h on h.id = p.property_id
         where ($4::uuid is null or p.id = $4) and ($2 or p.user_id = $1 or exists (
           select from public.property_members as m join public.user_role_assignments as a on a.user_id = m.user_id
           where m.property_id = p.property_id and m.user_id = $1 and m.is_active and a.role = 'property_manager' and a.is_active))
         order by p.created_at desc, p.id limit $3"
    );
    let rows = command
        .tx
        .query(text, &[&user_id, &sees_all, &PROCESSES_MAX, &only])
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
