//! Databases, data platforms, observability.

use super::{Rule, rule};
use crate::scrub::value::looks_random;

pub(super) const RULES: &[Rule] = &[
    rule("supabase_access_token", "sbp_{h40}", &["sbp_{h40}"], &["sbp_{h12}"]),
    rule("supabase_access_token", "sbp_{l4-10}_{h40}", &["sbp_oauth_{h40}"], &["sbp_oauth_{h12}"]),
    rule("supabase_secret_key", "sb_secret_{w20-64}", &["sb_secret_{w22}_{a8}"], &["sb_secret_name", "sb_publishable_{a22}_{a8}"])
        .checked(looks_random),
    rule("neon_api_key", "napi_{l60-70}", &["napi_{l64}"], &["napi_{l10}"]),
    rule("planetscale_password", "pscale_pw_{t32-64}", &["pscale_pw_{a43}"], &["pscale_pw_{a8}"]),
    rule("planetscale_token", "pscale_tkn_{t32-64}", &["pscale_tkn_{a43}"], &["pscale_tkn_{a8}"]),
    rule("planetscale_oauth_token", "pscale_oauth_{t32-64}", &["pscale_oauth_{a43}"], &["pscale_oauth_{a8}"]),
    rule("mongodb_atlas_secret", "mdb_sa_sk_{w40-60}", &["mdb_sa_sk_{w43}{a1}"], &["mdb_sa_sk_{a10}", "mdb_sa_id_{h24}"]),
    rule("databricks_token", "dapi{h32}", &["dapi{h32}"], &["dapi{h12}"]),
    rule("databricks_token", "dapi{h32}-{d1}", &["dapi{h32}-2"], &["dapi{h12}-2"]),
    rule("databricks_oauth_secret", "dose{h32}", &["dose{h32}"], &["dose{h12}"]),
    rule("cockroach_api_key", "CCDB1_{a22}_{a40}", &["CCDB1_{a22}_{a40}"], &["CCDB1_{a12}"]),
    rule("confluent_secret", "cflt{s60}", &["cflt{a60}"], &["cflt{a12}"]),
    rule("clickhouse_cloud_secret", "4b1d{a38}", &["4b1d{a38}"], &["4b1d{h36}"]).checked(mixed_case),
    rule("aiven_token", "aivenv1{b30-}", &["aivenv1{a60}"], &["aivenv1beta1"]),
    rule("datadog_app_key", "ddapp_{a34}", &["ddapp_{a34}"], &["ddapp_{a10}"]),
    rule("datadog_personal_token", "ddpat_{a20-64}_{a20-64}", &["ddpat_{a22}_{a42}"], &["ddpat_{a10}"]),
    rule("newrelic_user_key", "NRAK-{u27}", &["NRAK-{u27}"], &["NRAK-{u10}"]),
    rule("newrelic_insert_key", "NRII-{w32}", &["NRII-{w31}{a1}"], &["NRII-{a10}"]),
    rule("newrelic_query_key", "NRIQ-{w32}", &["NRIQ-{w31}{a1}"], &["NRIQ-{a10}"]),
    rule("newrelic_browser_key", "NRJS-{h19}", &["NRJS-{h19}"], &["NRJS-{h10}"]),
    rule("newrelic_admin_key", "NRAA-{h27}", &["NRAA-{h27}"], &["NRAA-{h10}"]),
    rule("newrelic_license_key", "{h36}NRAL", &["{h36}NRAL"], &["{h20}NRAL"]),
    rule("newrelic_license_key", "eu01xx{h30}NRAL", &["eu01xx{h30}NRAL"], &["eu01xx{h10}NRAL"]),
    rule("sentry_user_token", "sntryu_{h64}", &["sntryu_{h64}"], &["sntryu_{h10}"]),
    rule("sentry_org_token", "sntrys_eyJ{B60-}", &["sntrys_eyJ{a180}_{a43}"], &["sntrys_eyJ{a10}"]),
    rule("sentry_app_token", "sntrya_{h64}", &["sntrya_{h64}"], &["sntrya_{h10}"]),
    rule("sentry_integration_token", "sntryi_{h64}", &["sntryi_{h64}"], &["sntryi_{h10}"]),
    rule("grafana_service_token", "glsa_{a32}_{H8}", &["glsa_{a32}_{h8}"], &["glsa_{a12}"]),
    rule("grafana_cloud_token", "glc_{B32-}", &["glc_eyJ{a120}=", "glc_{a60}"], &["glc_eyJ{a10}", "glc_{L8}_{L8}_{L20}"]).checked(looks_random),
    rule("grafana_api_key", "eyJrIjoi{B60-}", &["eyJrIjoi{a90}"], &["eyJrIjoi{a10}"]),
    rule("dynatrace_token", "dt0{a1}{d2}.{u24}.{u64}", &["dt0c01.{u24}.{u64}", "dt0s16.{u24}.{u64}"], &["dt0c01.{u24}"]),
    rule("dynatrace_client_secret", "dt0s{d2}.{u8}.{u64}", &["dt0s02.{u8}.{u64}"], &["dt0s02.{u8}"]),
    rule("honeycomb_ingest_key", "hcaik_{a40-90}", &["hcaik_{l58}", "hcaik_01{l56}", "hcaik_01{a50}"], &["hcaik_{l26}"]),
    rule("honeycomb_ingest_key", "hc{l1}ik_{l58}", &["hcbik_{l58}"], &["hcbik_{l26}"]),
    rule("honeycomb_management_key", "hcamk_{l58}", &["hcamk_{l58}"], &["hcamk_{l26}"]),
    rule("launchdarkly_sdk_key", "sdk-{h8}-{h4}-{h4}-{h4}-{h12}", &["sdk-{h8}-{h4}-{h4}-{h4}-{h12}"], &["sdk-{h8}", "{h8}-{h4}-{h4}-{h4}-{h12}"]),
    rule("launchdarkly_api_key", "api-{h8}-{h4}-{h4}-{h4}-{h12}", &["api-{h8}-{h4}-{h4}-{h4}-{h12}"], &["api-{h8}-{l5}"]),
    rule("logfire_token", "pylf_v{d1}_{l2}_{a40-50}", &["pylf_v1_us_{a43}"], &["pylf_v1_us_{a8}"]),
    rule(
        "betterstack_webhook",
        "uptime.betterstack.com/api/v1/heartbeat/{a24}",
        &["uptime.betterstack.com/api/v1/heartbeat/{a24}"],
        &["uptime.betterstack.com/api/v1/heartbeat/"],
    ),
    rule("prefect_api_key", "pnu_{a36}", &["pnu_{a36}"], &["pnu_{a12}"]),
    rule("prefect_bot_key", "pnb_{a36}", &["pnb_{a36}"], &["pnb_{a12}"]),
    rule("posthog_personal_key", "phx_{a40-50}", &["phx_{a43}", "phx_{a47}"], &["phx_{a12}", "phc_{a43}"]),
    rule("posthog_feature_key", "phs_{a40-50}", &["phs_{a43}"], &["phs_{a12}"]),
];

fn mixed_case(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_uppercase).count() >= 2 && text.bytes().filter(u8::is_ascii_lowercase).count() >= 2
}
