//! `[gateways.NAME]`, `[subscriptions.NAME]`, `[publications.NAME]` and `[federation."DOMAIN"]`.

use super::{DeTable, Reader, Table};
use crate::config::raw::{FederationFields, GatewayFields, PublicationFields, SubscriptionFields};
use crate::config::source::Typed;

impl Reader<'_> {
    pub(super) fn gateway(&mut self, name: Typed<String>, table: &DeTable<'_>) {
        let values = self.values(Table::Gateway, table);
        let (secret, _) = self.secret(&values);
        let own = GatewayFields {
            realm: values.text("realm"),
            username: values.text("username"),
            secret,
            domain: values.text("domain"),
            proxy: values.text("proxy"),
            outbound_proxy: values.text("outbound_proxy"),
            register: values.boolean("register"),
            register_expires_s: values.number("register_expires_s"),
            retry_s: values.number("retry_s"),
            maps: values.texts("map"),
            peer: values.text("as_peer"),
            watches: values.texts("watches"),
        };
        self.raw.gateway(name).overlay(own);
    }

    pub(super) fn subscription(&mut self, name: Typed<String>, table: &DeTable<'_>) {
        let values = self.values(Table::Subscription, table);
        let own = SubscriptionFields {
            gateway: values.text("gateway"),
            event: values.text("event"),
            uris: values.texts("uris"),
            list: values.boolean("list"),
            accept: values.plain_texts("accept"),
            username_in_request: values.boolean("username_in_request"),
            expires_s: values.number("expires_s"),
            retry_s: values.number("retry_s"),
        };
        self.raw.subscription(name).overlay(own);
    }

    pub(super) fn federated(&mut self, name: Typed<String>, table: &DeTable<'_>) {
        let values = self.values(Table::Federation, table);
        let own = FederationFields {
            proxy: values.text("proxy"),
            names: values.plain_texts("names"),
            ask: values.texts("ask"),
            allow: values.texts("allow"),
        };
        self.raw.federated(name).overlay(own);
    }

    pub(super) fn publication(&mut self, name: Typed<String>, table: &DeTable<'_>) {
        let values = self.values(Table::Publication, table);
        let own = PublicationFields {
            gateway: values.text("gateway"),
            event: values.text("event"),
            who: values.texts("who"),
            maps: values.texts("map"),
            expires_s: values.number("expires_s"),
            retry_s: values.number("retry_s"),
        };
        self.raw.publication(name).overlay(own);
    }
}
