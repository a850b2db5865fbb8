//! The four roles that a login can have, as the seed names them.

use std::{fmt, str::FromStr};

/// What a login may be. The names are the database's (`user_role_assignments.role`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Full system access.
    Admin,
    /// Audit and compliance access.
    ComplianceOfficer,
    /// Management of the properties that the person is a member of.
    PropertyManager,
    /// Standard access; everybody has it.
    Investor,
}

impl Role {
    /// All roles, the highest first.
    pub const ALL: [Role; 4] = [
        Role::Admin,
        Role::ComplianceOfficer,
        Role::PropertyManager,
        Role::Investor,
    ];

    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::ComplianceOfficer => "compliance_officer",
            Role::PropertyManager => "property_manager",
            Role::Investor => "investor",
        }
    }

    /// Whether a person with this role works here: staff act in the database as `nexus_staff`.
    pub fn is_staff(self) -> bool {
        match self {
            Role::Admin | Role::ComplianceOfficer | Role::PropertyManager => true,
            Role::Investor => false,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not a role's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a role: choose admin, compliance_officer, property_manager or investor")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Role::ALL
            .into_iter()
            .find(|role| role.name() == name)
            .ok_or_else(|| UnknownRole(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("superuser".parse::<Role>(), Err(UnknownRole("superuser".to_owned())));
    }
}
