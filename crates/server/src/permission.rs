//! Who may run a command: proofs that only the checks here can make. A command's first argument is one of them.
//!
//! Roles are read in the command's own transaction, whatever the token says, so that a revoked role ends at once.

use mint_core::role::Role;
use uuid::Uuid;

use crate::{auth::token::Caller, command::Command, db::sql, problem::Problem};

/// Somebody with a login, and the party that the login acts for.
#[derive(Debug, Clone)]
pub struct Person {
    user_id: Uuid,
    party_id: Uuid,
    roles: Vec<Role>,
}

/// A person with the role of a compliance officer.
#[derive(Debug, Clone)]
pub struct Officer(Person);

/// A person with the role of an admin.
#[derive(Debug, Clone)]
pub struct Admin(Person);

/// A compliance officer or an admin.
#[derive(Debug, Clone)]
pub struct Overseer(Person);

/// A property manager who is an active member (owner or manager) of one property.
#[derive(Debug, Clone)]
pub struct Manager {
    person: Person,
    property_id: Uuid,
}

impl Person {
    /// The person whom a token proves. Refused: visitors, programs, logins without a profile.
    ///
    /// # Errors
    /// [`Problem::NotSignedIn`], or what the database answered.
    pub async fn of(command: &Command, caller: &Caller) -> Result<Person, Problem> {
        let user_id = caller.user_id().ok_or(Problem::NotSignedIn)?;
        let text = sql!(
            "select p.party_id, array(select a.role from public.user_role_assignments as a
                                      where a.user_id = p.id and a.is_active)
             from public.user_profiles as p where p.id = $1"
        );
        let row = command
            .tx
            .query_opt(text, &[&user_id])
            .await?
            .ok_or(Problem::NotSignedIn)?;
        let names: Vec<String> = row.try_get(1)?;
        Ok(Person {
            user_id,
            party_id: row.try_get(0)?,
            roles: names.iter().filter_map(|name| name.parse().ok()).collect(),
        })
    }

    /// The login.
    #[must_use]
    pub fn user_id(&self) -> Uuid {
        self.user_id
    }

    /// The party that the login acts for.
    #[must_use]
    pub fn party_id(&self) -> Uuid {
        self.party_id
    }

    /// Whether the person has a role now.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The person, where a command asks for no role.
    ///
    /// # Errors
    /// None.
    pub fn person(&self) -> Result<Person, Problem> {
        Ok(self.clone())
    }

    /// Whether another login is the same person: four eyes are counted by party, since somebody may have two logins.
    ///
    /// # Errors
    /// What the database answered.
    pub async fn is_same_party(&self, command: &Command, other: Uuid) -> Result<bool, Problem> {
        let text = sql!("select nexus.is_same_party($1, $2)");
        Ok(command.tx.query_one(text, &[&self.user_id, &other]).await?.try_get(0)?)
    }

    /// Proof that the person is a compliance officer.
    ///
    /// # Errors
    /// [`Problem::NotPermitted`].
    pub fn officer(&self) -> Result<Officer, Problem> {
        self.with(&[Role::ComplianceOfficer]).map(Officer)
    }

    /// Proof that the person is an admin.
    ///
    /// # Errors
    /// [`Problem::NotPermitted`].
    pub fn admin(&self) -> Result<Admin, Problem> {
        self.with(&[Role::Admin]).map(Admin)
    }

    /// Proof that the person is a compliance officer or an admin.
    ///
    /// # Errors
    /// [`Problem::NotPermitted`].
    pub fn overseer(&self) -> Result<Overseer, Problem> {
        self.with(&[Role::ComplianceOfficer, Role::Admin]).map(Overseer)
    }

    /// The person, where a command asks for the role of a property manager and there is no property yet.
    ///
    /// # Errors
    /// [`Problem::NotPermitted`].
    pub fn property_manager(&self) -> Result<Person, Problem> {
        self.with(&[Role::PropertyManager])
    }

    /// Proof that the person manages a property: the role, and an active row as owner or manager.
    ///
    /// # Errors
    /// [`Problem::NotFound`] where he does not act for it: what is not his does not exist for him.
    pub async fn manager_of(&self, command: &Command, property_id: Uuid) -> Result<Manager, Problem> {
        let person = self.with(&[Role::PropertyManager])?;
        let text = sql!(
            "select from public.property_members
             where user_id = $1 and property_id = $2 and is_active and capacity in ('owner', 'manager')"
        );
        match command.tx.query_opt(text, &[&self.user_id, &property_id]).await? {
            Some(_) => Ok(Manager { person, property_id }),
            None => Err(Problem::NotFound),
        }
    }

    fn with(&self, roles: &[Role]) -> Result<Person, Problem> {
        if roles.iter().any(|role| self.has(*role)) {
            Ok(self.clone())
        } else {
            let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
            Err(Problem::NotPermitted(names.join(" or ")))
        }
    }
}

macro_rules! person_inside {
    ($($proof:ident),*) => {$(
        impl std::ops::Deref for $proof {
            type Target = Person;
            fn deref(&self) -> &Person {
                &self.0
            }
        }
    )*};
}
person_inside!(Officer, Admin, Overseer);

impl std::ops::Deref for Manager {
    type Target = Person;
    fn deref(&self) -> &Person {
        &self.person
    }
}

impl Manager {
    /// The property that the proof is about.
    #[must_use]
    pub fn property_id(&self) -> Uuid {
        self.property_id
    }
}
