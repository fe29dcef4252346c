//! Who asks: a bearer token (RFC 6750) and what it is good for. No cookies, so that no other page can borrow them.
//!
//! A handler says in its arguments what it needs: [`Board`], [`Admin`], or [`Grant`] with a look at the scopes.

use super::Api;
use super::problem::Problem;
use super::tokens::Scope;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use std::sync::Arc;

/// A caller with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant(pub(super) Vec<Scope>);

impl Grant {
    /// Whether it may do everything.
    pub(super) fn is_admin(&self) -> bool {
        self.0.contains(&Scope::Admin)
    }

    /// Whether it may see the board. Who may set a state may not look at others' by that.
    fn sees_board(&self) -> bool {
        self.is_admin() || self.0.contains(&Scope::BoardRead)
    }

    /// Whether it may read the metrics.
    pub(super) fn reads_metrics(&self) -> bool {
        self.is_admin() || self.0.contains(&Scope::MetricsRead)
    }

    /// Whether it may set the state of this person or extension.
    pub(super) fn sets_state_of(&self, name: &str) -> bool {
        let sets = |scope: &Scope| matches!(scope, Scope::StateWrite(whose) if whose == "*" || whose.eq_ignore_ascii_case(name));
        self.is_admin() || self.0.iter().any(sets)
    }
}

impl FromRequestParts<Arc<Api>> for Grant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let unauthorized = |detail| Problem::new(StatusCode::UNAUTHORIZED, detail);
        let typed = parts.headers.get(header::AUTHORIZATION);
        let typed = typed.ok_or_else(|| {
            unauthorized("send `Authorization: Bearer TOKEN`; `lampyris token create` makes one")
        })?;
        let typed = typed.to_str().unwrap_or_default();
        let token = typed.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
        let (_, token) = token.ok_or_else(|| unauthorized("the only scheme is Bearer"))?;
        let scopes = api.tokens.scopes_of(token.trim());
        scopes.map(Self).ok_or_else(|| unauthorized("the token is unknown or revoked"))
    }
}

/// A caller who may see the board.
pub(super) struct Board(pub(super) Grant);

impl FromRequestParts<Arc<Api>> for Board {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let grant = Grant::from_request_parts(parts, api).await?;
        if !grant.sees_board() {
            return Err(Problem::forbidden("this takes the scope board:read"));
        }
        Ok(Self(grant))
    }
}

/// A caller who may do everything.
pub(super) struct Admin;

impl FromRequestParts<Arc<Api>> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let grant = Grant::from_request_parts(parts, api).await?;
        if !grant.is_admin() {
            return Err(Problem::forbidden("this takes the scope admin"));
        }
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_good_for_what_it_says() {
        let write = |name: &str| Scope::StateWrite(name.to_owned());
        let rows = [
            (vec![Scope::Admin], [true, true, true, true]),
            (vec![Scope::BoardRead], [false, true, false, false]),
            (vec![write("alice")], [false, false, true, false]),
            (vec![write("*")], [false, false, true, true]),
            (vec![Scope::MetricsRead], [false, false, false, false]),
            (vec![Scope::BoardRead, write("Bob")], [false, true, false, true]),
        ];
        for (scopes, expected) in rows {
            let grant = Grant(scopes);
            let found = [
                grant.is_admin(),
                grant.sees_board(),
                grant.sets_state_of("alice"),
                grant.sets_state_of("bob"),
            ];
            assert_eq!(found, expected, "{grant:?}");
        }
    }
}
